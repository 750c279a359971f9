"""The light classifiers over frozen feature maps."""

from dmdbt.heads.checkpoint import Checkpoint
from dmdbt.heads.dataset import FeatureSet, feature_bytes, open_features
from dmdbt.heads.networks import JointHead, SingleModalityHead, build_head, training_bytes
from dmdbt.heads.training import HeadSettings, TrainSettings, predict, train_heads

__all__ = [
    "Checkpoint",
    "FeatureSet",
    "HeadSettings",
    "JointHead",
    "SingleModalityHead",
    "TrainSettings",
    "build_head",
    "feature_bytes",
    "open_features",
    "predict",
    "train_heads",
    "training_bytes",
]
