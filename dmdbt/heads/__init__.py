"""The light classifiers over frozen feature maps."""

from dmdbt.heads.checkpoint import Checkpoint
from dmdbt.heads.dataset import FeatureSet, open_features
from dmdbt.heads.model_file import ModelInput, read_head, write_head
from dmdbt.heads.networks import HeadSettings, build_head, malignant_probability, training_bytes
from dmdbt.heads.ranks import rank, rank_count
from dmdbt.heads.training import TrainSettings, balanced_batches, learning_rate, predict, train_heads

__all__ = [
    "Checkpoint",
    "FeatureSet",
    "HeadSettings",
    "ModelInput",
    "TrainSettings",
    "balanced_batches",
    "build_head",
    "learning_rate",
    "malignant_probability",
    "open_features",
    "predict",
    "rank",
    "rank_count",
    "read_head",
    "train_heads",
    "training_bytes",
    "write_head",
]
