"""Words for a run: the settings that decide the results, and the libraries."""

import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version

from dmdbt import params
from dmdbt.cohort import Statement, phantom_source
from dmdbt.evaluation import classifier_name
from dmdbt.report.words import TIMES

_LIBRARIES = ("torch", "torchvision", "numpy", "scikit-learn", "pydicom", "av", "pillow")


@dataclass(frozen=True)
class ReportSettings:
    """The sections of ``params.yaml`` that the page names; `phantom` counts only for the cohort that it made."""

    phantom: params.Phantom
    split: params.Split
    mammogram: params.Mammogram
    rankpool: params.Rankpool
    backbones: params.Backbones
    features: params.Features
    heads: params.Heads
    train: params.Train
    ensemble: params.Ensemble


def settings_rows(settings: ReportSettings, statement: Statement) -> list[tuple[str, str]]:
    """Name and value of each setting that decides the results."""
    return [*_cohort_rows(settings, statement), *_image_rows(settings), *_training_rows(settings)]


def library_versions() -> Mapping[str, str]:
    """Version of Python and of the libraries that compute, without the name of a build."""
    python = ".".join(platform.python_version_tuple()[:2])
    return {"Python": python} | {name: version(name).partition("+")[0] for name in _LIBRARIES}


def _cohort_rows(settings: ReportSettings, statement: Statement) -> Iterator[tuple[str, str]]:
    phantom, split = settings.phantom, settings.split
    described = phantom_source(seed=phantom.seed, contrast=phantom.contrast)
    if statement.simulated and statement.source == described:  # a cohort of other settings may have been moved here
        yield (
            "Simulation",
            f"contrast of the findings {TIMES} {phantom.contrast:g} (0 inserts none), share drawn like the other class "
            f"{phantom.label_ambiguity:g}, dose {TIMES} {phantom.dose:g} of a screening exposure, seed {phantom.seed}",
        )
    elif statement.simulated:
        yield "Simulation", f"{statement.source}. Labels: {statement.label_rule}"
    folds = ", ".join(map(str, sorted(split.test_folds)))
    yield "Tested folds", f"{folds} of {split.folds} (numbered from 0), whole patients, seed {split.seed}"


def _image_rows(settings: ReportSettings) -> Iterator[tuple[str, str]]:
    mammogram, rankpool, features = settings.mammogram, settings.rankpool, settings.features
    resized = {"stretch": "stretched to a square", "pad": "padded with black to a square"}[mammogram.resize]
    yield "Mammogram", f"{resized} of {mammogram.size} {TIMES} {mammogram.size}"
    rho = f", rho = {rankpool.rho:g}" if rankpool.pooler == "ranksvm" else ""
    yield "Dynamic image", f"pooler {rankpool.pooler}{rho}, {rankpool.mapping} mapping to 8 bits"
    box = {"breast": "the box around the breast", "none": "the whole image"}[features.crop]
    yield "What a backbone sees", f"{box}; training copies: {', '.join(features.augmentations)}; testing: original"


def _training_rows(settings: ReportSettings) -> Iterator[tuple[str, str]]:
    heads, train = settings.heads, settings.train
    filters = "as many filters as the backbone" if heads.filters == "backbone" else f"{heads.filters} filters"
    layers = ", ".join(map(str, heads.hidden))
    between = {"none": "", "relu": "ReLU, ", "batch_norm_relu": "batch norm and ReLU, "}[heads.activation]
    convolution = f"1 {TIMES} 1 convolution with {filters}"
    yield "Heads", f"{convolution}, fully connected {layers}, {between}dropout {heads.dropout:g}"
    falling = " falling as a cosine" if train.schedule == "cosine" else ""
    yield (
        "Training",
        f"{train.epochs} epochs, the last one is tested; balanced batches of {train.batch_size}, learning rate "
        f"{train.learning_rate:g}{falling}, {train.precision}, seed {train.seed}",
    )
    votes = (f"{classifier_name(head)} {weight:g}" for head, weight in settings.ensemble.weights.items())
    yield "Votes of the ensemble", ", ".join(votes)


def input_sizes(settings: ReportSettings) -> Mapping[str, int]:
    """Rows (and columns) of what each backbone sees, by backbone."""
    sizes = settings.features.size
    return {name: params.for_backbone(sizes, name, key="features.size") for name in settings.backbones.names}
