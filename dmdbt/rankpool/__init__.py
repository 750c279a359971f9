"""Rank pooling: all slices of a volume in one dynamic image."""

from dmdbt.rankpool.pooling import RankPooling, approximate_weights, rank_pool, to_uint8

__all__ = ["RankPooling", "approximate_weights", "rank_pool", "to_uint8"]
