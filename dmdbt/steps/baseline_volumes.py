"""One volume, brought to the few slices, rows and columns that a 3-D network takes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from dmdbt import params
from dmdbt.baselines.slices import choose_slices
from dmdbt.cohort import Case
from dmdbt.errors import error_context
from dmdbt.features import COPIES, Provenance, write_features
from dmdbt.files import sha256
from dmdbt.imaging import framed, read_slices, slices_shape
from dmdbt.running import Item, Step
from dmdbt.terms import Modality

_NO_WEIGHTS = "0" * 64


@dataclass(frozen=True)
class _Job:
    """Settings shared by all volumes of one run."""

    slices: int
    choice: str
    rows: int
    columns: int
    copies: tuple[str, ...]
    crop: bool


def baseline_volumes_step(
    cases: Sequence[Case], slices: Path, features: params.Features, settings: params.Baselines
) -> Step[Case]:
    """Write ``dbt/<case>.h5`` for every case that has a volume.

    A file has the form of the stage features, with gray levels from 0 to 1 as maps of one channel; the slices are below
    each other. The ``crop`` of `features` is that of the baselines too.
    """
    maps = settings.resnet3d.maps
    job = _Job(
        slices=maps.slices,
        choice=maps.choice,
        rows=maps.rows,
        columns=maps.columns,
        copies=tuple(maps.augmentations),
        crop=features.crop == "breast",
    )
    having = [case for case in cases if Modality.DBT in case.modalities]
    return Step(
        "volumes resnet3d",
        [Item(c.case_id, c, inputs=(slices / c.case_id / "manifest.json",), outputs=(_output(c),)) for c in having],
        partial(_reduce, job=job, slices=slices),
        parameters=vars(job),
        preload=["dmdbt.features"],
        size=lambda _: math.prod((2, job.slices, job.rows, job.columns, len(job.copies))),
    )


def _output(case: Case) -> str:
    return f"{Modality.DBT}/{case.case_id}.h5"


def _reduce(case: Case, folder: Path, *, job: _Job, slices: Path) -> None:
    with error_context(case=case.case_id, file=case.dbt):
        n_slices, _, _ = slices_shape(slices / case.case_id)
        volume = read_slices(slices / case.case_id, choose_slices(n_slices, job.slices, job.choice).tolist())
    grays = torch.from_numpy(framed(volume, rows=job.rows, columns=job.columns, crop=job.crop))
    copies = torch.stack([COPIES[name](grays) for name in job.copies])
    origin = Provenance(
        backbone="r3d_18",
        layer="input",
        weights_sha256=_NO_WEIGHTS,
        input_sha256=sha256(slices / case.case_id / "manifest.json"),
        size=job.rows,
        crop="breast" if job.crop else "none",
        copies=job.copies,
    )
    maps = copies.reshape(len(job.copies), 1, job.slices * job.rows, job.columns).numpy()
    write_features(folder / _output(case), maps.astype(np.float16), origin)
