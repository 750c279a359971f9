"""Classifiers of other publications, tested on the same folds as the heads."""

from dmdbt.baselines.extractors import BlockMeans, extract_stack, pooled_alexnet
from dmdbt.baselines.networks import FullyConnected, SliceConvolution, VideoResnet
from dmdbt.baselines.slices import choose_slices
from dmdbt.baselines.subjects import BaselinePairs, read_baseline_pairs
from dmdbt.baselines.svm import Svm, SvmSettings, fit_svm, inner_folds, normalized
from dmdbt.baselines.tables import read_record, write_curves, write_results
from dmdbt.baselines.training import Experiment, Tested, run_folds

__all__ = [
    "BaselinePairs",
    "BlockMeans",
    "Experiment",
    "FullyConnected",
    "SliceConvolution",
    "Svm",
    "SvmSettings",
    "Tested",
    "VideoResnet",
    "choose_slices",
    "extract_stack",
    "fit_svm",
    "inner_folds",
    "normalized",
    "pooled_alexnet",
    "read_baseline_pairs",
    "read_record",
    "run_folds",
    "write_curves",
    "write_results",
]
