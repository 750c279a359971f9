"""Where the heads looked: heat maps over feature maps, and from there to slices and to pixels of the files.

The maps themselves need torch and are imported from `dmdbt.attention.maps`.
"""

from dmdbt.attention.depth import pooling_weights, relative_evidence, slice_evidence, top_slices
from dmdbt.attention.heat import HeatMap
from dmdbt.attention.original import Box, cell_edges, original_box, stretched

__all__ = [
    "Box",
    "HeatMap",
    "cell_edges",
    "original_box",
    "pooling_weights",
    "relative_evidence",
    "slice_evidence",
    "stretched",
    "top_slices",
]
