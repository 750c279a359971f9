"""Rank pooling: all slices of a volume in one dynamic image."""

from dmdbt.rankpool.batch import rank_pool_batch
from dmdbt.rankpool.flags import FLAGS, volume_flags
from dmdbt.rankpool.objective import approximate_weights
from dmdbt.rankpool.other_poolers import pool_slices
from dmdbt.rankpool.ranksvm import RankPooling, rank_pool, to_uint8

__all__ = [
    "FLAGS",
    "RankPooling",
    "approximate_weights",
    "pool_slices",
    "rank_pool",
    "rank_pool_batch",
    "to_uint8",
    "volume_flags",
]
