"""Rank pooling: all slices of a volume in one dynamic image."""

from dmdbt.rankpool.batch import rank_pool_batch
from dmdbt.rankpool.minimizer import approximate_weights
from dmdbt.rankpool.pooling import RankPooling, rank_pool, to_uint8

__all__ = ["RankPooling", "approximate_weights", "rank_pool", "rank_pool_batch", "to_uint8"]
