"""The light classifiers over frozen feature maps."""

from dmdbt.heads.dataset import FeatureSet, load_features
from dmdbt.heads.networks import JointHead, SingleModalityHead, build_head
from dmdbt.heads.training import HeadSettings, TrainSettings, predict, train_heads

__all__ = [
    "FeatureSet",
    "HeadSettings",
    "JointHead",
    "SingleModalityHead",
    "TrainSettings",
    "build_head",
    "load_features",
    "predict",
    "train_heads",
]
