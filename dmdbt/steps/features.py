"""One image under one frozen backbone: its feature maps, and those of its augmented copies."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
from torch import nn

from dmdbt import params
from dmdbt.backbones import architecture, build_backbone, feature_shape, last_layer
from dmdbt.cohort import Case
from dmdbt.errors import InputDataError, error_context
from dmdbt.features import Provenance, batch_images, extract, write_features
from dmdbt.files import sha256
from dmdbt.imaging import framed, read_gray
from dmdbt.running import Item, Step, by_room, card_workers, compute_device, device_kind
from dmdbt.terms import Modality


@dataclass(frozen=True)
class _Job:
    """Settings shared by all images of one run."""

    backbone: str
    resnet_depth: int
    architecture: str
    weights: Path
    weights_sha256: str
    size: int
    crop: bool
    copies: tuple[str, ...]
    device: str
    precision: str


def features_step(
    backbone: str,
    cases: Sequence[Case],
    images: Mapping[Modality, Path],
    weights: Path,
    backbones: params.Backbones,
    settings: params.Features,
) -> Step[tuple[Case, Modality]]:
    """Write ``dm/<case>.h5`` and ``dbt/<case>.h5`` for every case that has such an image.

    Parameters
    ----------
    backbone
        Name of the backbone.
    cases
        The pairs.
    images
        Folder with ``<case>.png`` of each modality.
    weights
        What the stage weights wrote for the backbone.
    backbones, settings
        Sections of ``params.yaml``.
    """
    job = _Job(
        backbone=backbone,
        resnet_depth=backbones.resnet_depth,
        architecture=architecture(backbone, backbones.resnet_depth),
        weights=weights,
        weights_sha256=sha256(weights),
        size=params.for_backbone(settings.size, backbone, key="features.size"),
        crop=settings.crop == "breast",
        copies=tuple(settings.augmentations),
        device=device_kind(),
        precision=settings.precision,
    )
    items = [
        Item(
            f"{case.case_id} {modality}",
            (case, modality),
            inputs=(images[modality] / f"{case.case_id}.png",),
            outputs=(f"{modality}/{case.case_id}.h5",),
        )
        for case in cases
        for modality in case.modalities
    ]
    return Step(
        f"features {backbone}",
        items,
        partial(_cache_features, job=job, images=images),
        parameters=asdict(job) | {"weights": None},  # what the file is counts, not where it is
        preload=["dmdbt.features"],
        size=lambda _: _size(job),
        at_once=batch_images(job.size, len(job.copies)) if job.device != "cpu" else 1,
        workers=card_workers(),
    )


def _cache_features(
    payloads: Sequence[tuple[Case, Modality]], folder: Path, *, job: _Job, images: Mapping[Modality, Path]
) -> None:
    """Several images on a card, one on a CPU; the other workers decode the next ones meanwhile."""
    files, grays = [], []
    for case, modality in payloads:
        files.append(images[modality] / f"{case.case_id}.png")
        with error_context(case=case.case_id, file=case.file(modality)):
            image = read_gray(files[-1])[None]
            grays.append(framed(image, rows=job.size, columns=job.size, crop=job.crop)[0])
    cases = [case.case_id for case, _ in payloads]
    for (case, modality), file, maps in zip(payloads, files, _extract(grays, cases, job), strict=True):
        origin = Provenance(
            backbone=job.architecture,
            layer=last_layer(_backbone(job)),
            weights_sha256=job.weights_sha256,
            input_sha256=sha256(file),
            size=job.size,
            crop="breast" if job.crop else "none",
            copies=job.copies,
            device=job.device,
            precision=job.precision,
        )
        write_features(folder / modality / f"{case.case_id}.h5", maps, origin)


def _extract(grays: Sequence[np.ndarray], cases: Sequence[str], job: _Job) -> list[np.ndarray]:
    # On a CPU one copy at a time: the map of an image is then the same whichever copies a model was trained with.
    run = partial(
        extract, _backbone(job), copies=job.copies, at_once=1 if job.device == "cpu" else None, precision=job.precision
    )
    try:
        return by_room("features", run, grays)
    except ValueError as exc:
        remedy = "Check the image and the weights of the backbone."
        raise InputDataError("FEATURES-NOT-FINITE", case=", ".join(cases), cause=str(exc), remedy=remedy) from exc


@cache
def _backbone(job: _Job) -> nn.Module:
    """Once per worker."""
    return build_backbone(job.backbone, job.weights, resnet_depth=job.resnet_depth).to(compute_device())


@cache
def _size(job: _Job) -> int:
    """Bytes that the feature maps of one image take, about: float16 compresses to .3 (large maps) to .9 (small)."""
    return math.prod(feature_shape(_backbone(job), job.size)) * len(job.copies) * np.dtype(np.float16).itemsize // 2
