"""Cache the feature maps of every image under one frozen backbone: the expensive stage."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
from torch import nn

from dmdbt import params
from dmdbt.backbones import architecture, build_backbone, feature_shape, last_layer
from dmdbt.cohort import Case, read_table
from dmdbt.errors import InputDataError, located
from dmdbt.features import EXTRACTION_CODE, Origin, batch_images, extract, write_features
from dmdbt.files import sha256
from dmdbt.imaging import breast_box, read_gray, resize
from dmdbt.running import Item, compute_device, make_items, recipe
from dmdbt.terms import Modality
from stages._entry import run

# What of the readers decides a feature map: another DICOM decoder does not, for it comes before the stored images.
_CODE = (*EXTRACTION_CODE, "dmdbt.imaging.breast", "dmdbt.imaging.images", "stages.features")


@dataclass(frozen=True)
class _Job:
    """What all images of one run have in common."""

    backbone: str
    resnet_depth: int
    architecture: str
    weights: Path
    weights_sha256: str
    size: int
    crop: bool
    copies: tuple[str, ...]
    device: str


def main(
    backbone: str,
    cases: Path,
    mammograms: Path,
    dynamic: Path,
    weights: Path,
    output: Path,
    backbones: params.Backbones,
    settings: params.Features,
) -> None:
    """Write ``dm/<case>.h5`` and ``dbt/<case>.h5`` for every case that has such an image."""
    job = _Job(
        backbone=backbone,
        resnet_depth=backbones.resnet_depth,
        architecture=architecture(backbone, backbones.resnet_depth),
        weights=weights,
        weights_sha256=sha256(weights),
        size=params.for_backbone(settings.size, backbone, key="features.size"),
        crop=settings.crop == "breast",
        copies=tuple(settings.copies),
        device=compute_device(),
    )
    images = {Modality.DM: mammograms, Modality.DBT: dynamic}
    items = [
        Item(
            f"{case.case_id} {modality}",
            (case, modality),
            inputs=(images[modality] / f"{case.case_id}.png",),
            outputs=(f"{modality}/{case.case_id}.h5",),
        )
        for case in read_table(cases)
        for modality in case.modalities
    ]
    parameters = asdict(job) | {"weights": None, "device": None}  # what the file is counts, not where it or the work is
    make_items(
        output,
        items,
        partial(_cache_features, job=job, images=images),
        recipe=recipe(_CODE, parameters),
        description=f"features {backbone}",
        preload=["dmdbt.features"],
        size=lambda _: _size(job),
        at_once=batch_images(job.device, job.size, len(job.copies)),
    )


def _cache_features(
    subjects: Sequence[tuple[Case, Modality]], folder: Path, *, job: _Job, images: dict[Modality, Path]
) -> None:
    """Several images on a GPU, one on a CPU; the next ones are decoded by the other workers meanwhile."""
    files, grays = [], []
    for case, modality in subjects:
        files.append(images[modality] / f"{case.case_id}.png")
        with located(case=case.case_id, file=case.file(modality)):
            grays.append(_framed(read_gray(files[-1]), job))
    cases = [case.case_id for case, _ in subjects]
    for (case, modality), file, maps in zip(subjects, files, _extract(grays, cases, job), strict=True):
        origin = Origin(
            backbone=job.architecture,
            layer=last_layer(_backbone(job)),
            weights_sha256=job.weights_sha256,
            input_sha256=sha256(file),
            size=job.size,
            crop="breast" if job.crop else "none",
            copies=job.copies,
        )
        write_features(folder / modality / f"{case.case_id}.h5", maps, origin)


def _framed(image: np.ndarray, job: _Job) -> np.ndarray:
    framed = image[breast_box(image)] if job.crop else image
    return resize(framed, job.size, job.size) / np.iinfo(image.dtype).max


def _extract(grays: Sequence[np.ndarray], cases: Sequence[str], job: _Job) -> list[np.ndarray]:
    try:
        return extract(_backbone(job), grays, job.copies)
    except ValueError as exc:
        remedy = "Check the image and the weights of the backbone."
        raise InputDataError("FEATURES-NOT-FINITE", case=", ".join(cases), cause=str(exc), remedy=remedy) from exc


@cache
def _backbone(job: _Job) -> nn.Module:
    """Once per worker."""
    return build_backbone(job.backbone, job.weights, resnet_depth=job.resnet_depth).to(job.device)


@cache
def _size(job: _Job) -> int:
    """Bytes that the feature maps of one image take, about: float16 compresses to .3 (large maps) to .9 (small)."""
    return math.prod(feature_shape(_backbone(job), job.size)) * len(job.copies) * np.dtype(np.float16).itemsize // 2


if __name__ == "__main__":
    run(main)
