"""The mammogram or some slices of one pair under a frozen network: small maps of each, for a baseline."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
from torch import nn

from dmdbt import params
from dmdbt.backbones import architecture, build_backbone
from dmdbt.baselines.extractors import BlockMeans, extract_stack, pooled_alexnet
from dmdbt.baselines.registry import BASELINES
from dmdbt.baselines.slices import choose_slices
from dmdbt.baselines.svm import BLOCKS
from dmdbt.cohort import Case
from dmdbt.errors import InputDataError, error_context
from dmdbt.features import Provenance, batch_images, write_features
from dmdbt.files import sha256
from dmdbt.imaging import framed, read_gray, read_slices, slices_shape
from dmdbt.running import Item, Step, card_workers, compute_device, device_kind
from dmdbt.terms import Modality

_ALEXNET_CHANNELS = 256
# Where the parameters say nothing else: the mammogram or the slice in the middle, and means over the whole map.
_ONE_IMAGE = {"slices": 1, "choice": "even", "grid": None, "augmentations": ["original"]}
_CPU_PIXELS = 2**20  # of the input of one forward pass: a third faster than one slice at a time, where slices are small


@dataclass(frozen=True)
class _Job:
    """Settings shared by all pairs of one run. `grid` is None for means over the whole map."""

    backbone: str
    weights: Path
    weights_sha256: str
    modality: Modality
    size: int
    grid: int | None
    slices: int
    choice: str
    copies: tuple[str, ...]
    crop: bool
    device: str


def baseline_maps_step(
    baseline: str,
    modality: Modality,
    cases: Sequence[Case],
    images: Path,
    weights: Path,
    features: params.Features,
    settings: params.Baselines,
) -> Step[Case]:
    """Write ``<modality>/<case>.h5`` for every case that has an image of the modality.

    Parameters
    ----------
    baseline
        ``2d_t3_alex``, ``3d_t2_alex`` or ``svm_gap``.
    modality
        Of the images.
    cases
        The pairs.
    images
        The mammograms or the folders of slices.
    weights
        Weights of the backbone that the baseline uses.
    features
        Its ``crop`` is that of the baselines too.
    settings
        Section of ``params.yaml``.
    """
    seen = _ONE_IMAGE | vars(settings.of(baseline).maps)
    job = _Job(
        backbone=BASELINES[baseline].weights,
        weights=weights,
        weights_sha256=sha256(weights),
        modality=modality,
        crop=features.crop == "breast",
        device=device_kind(),
        copies=tuple(seen.pop("augmentations")),
        **seen,
    )
    having = [case for case in cases if job.modality in case.modalities]
    return Step(
        f"maps {baseline} {modality}",
        [Item(c.case_id, c, inputs=(_input(c, images, job),), outputs=(_output(c, job),)) for c in having],
        partial(_keep_maps, job=job, images=images),
        parameters={**vars(job), "weights": None},
        preload=["dmdbt.baselines.extractors"],
        size=lambda _: _size(job),
        workers=card_workers(),
    )


def _input(case: Case, images: Path, job: _Job) -> Path:
    """The file whose content decides the images: of slices the manifest, which has the SHA-256 of each."""
    return images / (f"{case.case_id}.png" if job.modality is Modality.DM else f"{case.case_id}/manifest.json")


def _output(case: Case, job: _Job) -> str:
    return f"{job.modality}/{case.case_id}.h5"


def _keep_maps(case: Case, folder: Path, *, job: _Job, images: Path) -> None:
    with error_context(case=case.case_id, file=case.file(job.modality)):
        grays = framed(_read(case, images, job), rows=job.size, columns=job.size, crop=job.crop)
    try:
        maps = extract_stack(_network(job), grays, job.copies, at_once=_at_once(job))
    except ValueError as exc:
        remedy = "Check the images and the weights of the backbone."
        raise InputDataError("FEATURES-NOT-FINITE", case=case.case_id, cause=str(exc), remedy=remedy) from exc
    origin = Provenance(
        backbone=architecture(job.backbone),
        layer="means" if job.grid is None else f"features.12.grid{job.grid}",
        weights_sha256=job.weights_sha256,
        input_sha256=sha256(_input(case, images, job)),
        size=job.size,
        crop="breast" if job.crop else "none",
        copies=job.copies,
        device=job.device,
    )
    write_features(folder / _output(case, job), maps, origin)


def _at_once(job: _Job) -> int:
    """Slices in a forward pass: on a CPU of one volume alone too, so that a pair does not depend on the cohort."""
    if job.device != "cpu":
        return batch_images(job.size, len(job.copies))
    return max(1, _CPU_PIXELS // (job.size**2 * len(job.copies)))


def _read(case: Case, images: Path, job: _Job) -> np.ndarray:
    """uint8 or uint16, shape (K, H, W)."""
    if job.modality is Modality.DM:
        return read_gray(_input(case, images, job))[None]
    n_slices, _, _ = slices_shape(images / case.case_id)
    return read_slices(images / case.case_id, choose_slices(n_slices, job.slices, job.choice).tolist())


@cache
def _network(job: _Job) -> nn.Module:
    """Once per worker."""
    backbone = build_backbone(job.backbone, job.weights).to(compute_device())
    return BlockMeans(backbone).eval() if job.grid is None else pooled_alexnet(backbone, job.grid)


def _size(job: _Job) -> int:
    """Bytes of the maps of a pair, not compressed."""
    n_numbers = sum(BLOCKS) if job.grid is None else _ALEXNET_CHANNELS * job.grid**2
    return math.prod((n_numbers, job.slices, len(job.copies), np.dtype(np.float16).itemsize))
