"""Pool the slices of every volume into its dynamic image."""

from dataclasses import asdict
from functools import partial
from pathlib import Path

from dmdbt import params
from dmdbt.cohort import Case, read_table
from dmdbt.errors import located
from dmdbt.files import whole_folder, write_json
from dmdbt.rankpool import rank_pool, to_uint8
from dmdbt.readers import read_slices, write_gray
from dmdbt.running import map_cases
from stages._entry import run

_CERTIFICATE = ("rho", "lam", "lam_max", "primal", "dual", "gap", "iterations", "misranked")


def main(cases: Path, slices: Path, output: Path, metrics: Path, settings: params.Rankpool) -> None:
    """Write ``<case>.png`` and ``<case>.json`` (weights and certificate) for every case, and a summary."""
    with whole_folder(output) as folder:
        pool = partial(_pool, slices=slices, folder=folder, settings=settings)
        certificates = map_cases(pool, read_table(cases), description="rankpool", name=lambda case: case.case_id)
    write_json(metrics, _summary(certificates))


def _pool(case: Case, *, slices: Path, folder: Path, settings: params.Rankpool) -> dict[str, float]:
    with located(case=case.case_id, file=case.dbt):
        volume = read_slices(slices / case.case_id)
    pooling = rank_pool(volume, settings.rho)
    image = to_uint8(pooling.image, settings.mapping, quantile=settings.quantile)
    write_gray(folder / f"{case.case_id}.png", image)
    certificate = {name: getattr(pooling, name) for name in _CERTIFICATE}
    record = {"slices": len(volume), "slice_order": "as stored", "weights": pooling.weights.tolist()}
    write_json(folder / f"{case.case_id}.json", asdict(settings) | certificate | record)
    return certificate


def _summary(certificates: list[dict[str, float]]) -> dict[str, float]:
    return {
        "volumes": len(certificates),
        "constant_volumes": sum(certificate["lam_max"] == 0 for certificate in certificates),
        "worst_gap": max(certificate["gap"] for certificate in certificates),
        "mean_misranked": round(sum(c["misranked"] for c in certificates) / len(certificates), 6),
    }


if __name__ == "__main__":
    run(main)
