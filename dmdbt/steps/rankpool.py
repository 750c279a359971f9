"""One volume of slices: pooled into one 8-bit image, with the certificate of its optimum."""

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from dmdbt import params
from dmdbt.cohort import Case
from dmdbt.errors import InputDataError, error_context
from dmdbt.files import write_json
from dmdbt.imaging import read_slices, slices_provenance, slices_shape, write_gray
from dmdbt.rankpool import FLAGS, RankPooling, pool_slices, rank_pool, rank_pool_batch, to_uint8, volume_flags
from dmdbt.running import Item, Step, by_room, card_workers, compute_device, device_kind
from dmdbt.terms import Modality

_BATCH_BYTES = 2**30  # of slices that are on a card together; float32 chunks and sums take about as much again
_CERTIFICATE = ("rho", "lam", "lam_max", "primal", "dual", "gap", "iterations", "misranked")


def rankpool_step(cases: Sequence[Case], slices: Path, settings: params.Rankpool) -> Step[Case]:
    """Write ``<case>.png`` and ``<case>.json`` (weights, certificate) for every case with a volume.

    On a CPU a worker pools one volume, on a card a batch of them: from a rho of 1 on with equal bytes, below it
    with the weights that the solver finds there, and then the kind of device is part of the key.
    """
    with_volume = [case for case in cases if Modality.DBT in case.modalities]
    kind, solved = device_kind(), settings.pooler == "ranksvm" and settings.rho < 1
    return Step(
        "rankpool",
        [
            Item(
                case.case_id,
                case,
                inputs=(slices / case.case_id / "manifest.json",),  # it has the SHA-256 of every slice
                outputs=(f"{case.case_id}.png", f"{case.case_id}.json"),
            )
            for case in with_volume
        ],
        partial(_pool, slices=slices, settings=settings, on_card=kind != "cpu"),
        parameters=asdict(settings) | {"device": kind if solved else None},
        size=lambda case: prod(_shape(case, slices)[1:]),  # 8 bits per pixel, before PNG compresses them
        at_once=1 if kind == "cpu" else _batch(with_volume, slices),
        workers=card_workers(),
    )


def _batch(cases: Sequence[Case], slices: Path) -> int:
    """Return how many volumes are on a card together; a plan is made before there are any."""
    sizes = [prod(_shape(case, slices)) for case in cases if (slices / case.case_id).is_dir()]
    return max(1, _BATCH_BYTES // max(sizes, default=1))


def _pool(cases: Sequence[Case], folder: Path, *, slices: Path, settings: params.Rankpool, on_card: bool) -> None:
    """Pool the volumes of several cases on a card, or of one on a CPU; threads read and write those of a card."""
    files = {case.case_id: case.dbt for case in cases}
    with ThreadPoolExecutor(len(cases) if on_card else 1) as threads:
        volumes = list(threads.map(partial(_read_volume, slices=slices), cases))
        try:
            poolings = _poolings(volumes, list(files), settings, on_card=on_card)
        except InputDataError as error:
            with error_context(case=error.case, file=files[error.case]):
                raise
        list(threads.map(partial(_write, folder=folder, slices=slices, settings=settings), cases, volumes, poolings))


def _poolings(
    volumes: Sequence[np.ndarray], names: Sequence[str], settings: params.Rankpool, *, on_card: bool
) -> Sequence[RankPooling | None]:
    """Return the poolings of volumes that are rank pooled, else None for each."""
    if settings.pooler not in ("ranksvm", "approximate"):
        return [None] * len(volumes)
    rho = settings.rho if settings.pooler == "ranksvm" else 1.0
    if on_card:
        return by_room("rankpool", partial(_on_card, rho=rho), list(zip(volumes, names, strict=True)))
    with error_context(case=names[0], file="-"):
        return [rank_pool(volume, rho) for volume in volumes]


def _on_card(named: Sequence[tuple[np.ndarray, str]], *, rho: float) -> list[RankPooling]:
    volumes, names = zip(*named, strict=True)
    return rank_pool_batch(volumes, rho, compute_device(), names=names)


def _mapped(
    volume: np.ndarray, pooling: RankPooling | None, settings: params.Rankpool
) -> tuple[np.ndarray, dict[str, Any]]:
    """Return the 8-bit image (H, W) of slices (T, H, W); the weights and the certificate of an image that has them."""
    if settings.pooler in ("mean", "max", "central"):  # these are in gray levels
        return np.rint(pool_slices(volume, settings.pooler)).astype(np.uint8), {}
    if settings.pooler in ("std", "svr"):
        image = pool_slices(volume, settings.pooler)
        return to_uint8(image, settings.mapping, quantile=settings.quantile), {}
    assert pooling is not None
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


def _read_volume(case: Case, *, slices: Path) -> np.ndarray:
    with error_context(case=case.case_id, file=case.dbt):
        return read_slices(slices / case.case_id)


def _write(
    case: Case,
    volume: np.ndarray,
    pooling: RankPooling | None,
    *,
    folder: Path,
    slices: Path,
    settings: params.Rankpool,
) -> None:
    image, proof = _mapped(volume, pooling, settings)
    write_gray(folder / f"{case.case_id}.png", image)
    order = slices_provenance(slices / case.case_id)["slice_order"]
    record = {"slices": len(volume), "slice_order": order, "flags": volume_flags(volume)}
    write_json(folder / f"{case.case_id}.json", asdict(settings) | record | proof)


def _shape(case: Case, slices: Path) -> tuple[int, int, int]:
    with error_context(case=case.case_id, file=case.dbt):
        return slices_shape(slices / case.case_id)


def _read(path: Path) -> Mapping[str, Any]:
    record: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return record
