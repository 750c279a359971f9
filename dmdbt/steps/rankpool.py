"""One volume of slices: pooled into one 8-bit image, with the certificate of its optimum."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from dmdbt import params
from dmdbt.cohort import Case
from dmdbt.errors import error_context
from dmdbt.files import write_json
from dmdbt.imaging import read_slices, slices_provenance, slices_shape, write_gray
from dmdbt.rankpool import FLAGS, pool_slices, rank_pool, to_uint8, volume_flags
from dmdbt.running import Item, Step
from dmdbt.terms import Modality

_CERTIFICATE = ("rho", "lam", "lam_max", "primal", "dual", "gap", "iterations", "misranked")


def rankpool_step(cases: Sequence[Case], slices: Path, settings: params.Rankpool) -> Step[Case]:
    """Write ``<case>.png`` and ``<case>.json`` (weights, certificate) for every case with a volume."""
    return Step(
        "rankpool",
        [
            Item(
                case.case_id,
                case,
                inputs=(slices / case.case_id / "manifest.json",),  # it has the SHA-256 of every slice
                outputs=(f"{case.case_id}.png", f"{case.case_id}.json"),
            )
            for case in cases
            if Modality.DBT in case.modalities
        ],
        partial(_pool, slices=slices, settings=settings),
        parameters=asdict(settings),
        size=partial(_size, slices=slices),
    )


def pool(volume: np.ndarray, settings: params.Rankpool) -> tuple[np.ndarray, dict[str, Any]]:
    """Return the 8-bit image (H, W) of slices (T, H, W); the weights and the certificate of an image that has them."""
    if settings.pooler in ("mean", "max", "central"):  # these are in gray levels
        return np.rint(pool_slices(volume, settings.pooler)).astype(np.uint8), {}
    if settings.pooler in ("std", "svr"):
        image = pool_slices(volume, settings.pooler)
        return to_uint8(image, settings.mapping, quantile=settings.quantile), {}
    pooling = rank_pool(volume, settings.rho if settings.pooler == "ranksvm" else 1.0)
    proof = {name: getattr(pooling, name) for name in _CERTIFICATE}
    image = to_uint8(pooling.image, settings.mapping, quantile=settings.quantile)
    return image, proof | {"weights": pooling.weights.tolist()}


def pooling_summary(folder: Path, case_ids: Sequence[str]) -> dict[str, Any]:
    """Count the flags of pooled volumes, and take the extremes of their certificates."""
    records = {case_id: _read(folder / f"{case_id}.json") for case_id in case_ids}
    flagged = {flag: [case_id for case_id, record in records.items() if flag in record["flags"]] for flag in FLAGS}
    summary: dict[str, Any] = {"volumes": len(records), "flagged": flagged}
    if records and all("gap" in record for record in records.values()):
        summary["worst_gap"] = max(record["gap"] for record in records.values())
        misranked = sum(record["misranked"] for record in records.values())
        summary["mean_misranked"] = round(misranked / len(records), 6)
    return summary


def _pool(case: Case, folder: Path, *, slices: Path, settings: params.Rankpool) -> None:
    with error_context(case=case.case_id, file=case.dbt):
        volume = read_slices(slices / case.case_id)
        order = slices_provenance(slices / case.case_id)["slice_order"]
        image, proof = pool(volume, settings)
    write_gray(folder / f"{case.case_id}.png", image)
    record = {"slices": len(volume), "slice_order": order, "flags": volume_flags(volume)}
    write_json(folder / f"{case.case_id}.json", asdict(settings) | record | proof)


def _size(case: Case, *, slices: Path) -> int:
    """Bytes of an image of 8 bits per pixel, before PNG compresses it."""
    with error_context(case=case.case_id, file=case.dbt):
        _, rows, columns = slices_shape(slices / case.case_id)
    return rows * columns


def _read(path: Path) -> Mapping[str, Any]:
    record: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return record
