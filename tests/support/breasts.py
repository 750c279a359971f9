"""Images with a chest wall, a cohort of them, and the stage ingest on it."""

import json

import numpy as np

from dmdbt import params
from dmdbt.cohort import Case, write_table
from dmdbt.imaging import resize
from dmdbt.readers import Limits
from dmdbt.terms import Label, Laterality, MissingModality, View
from stages import ingest
from tests.support.clinic import write_avi, write_dicom

SHOWN = {"BurnedInAnnotation": "NO", "WindowCenter": 2048, "WindowWidth": 4096}
NO_LABELS = params.Labels(benign=[], malignant=[])
READING = params.Reading(**vars(Limits()))


def breast(seed, *, side=Laterality.LEFT, rows=64, columns=48):
    """A bright half disc with a texture of its own at the chest wall: uint16, 12 bits."""
    r, c = np.mgrid[:rows, :columns]
    inside = (r - rows / 2) ** 2 + c**2 < (0.7 * columns) ** 2
    coarse = np.random.default_rng(seed).uniform(0.2, 1, (16, 16)).astype(np.float32)
    image = np.where(inside, 4000 * resize(coarse, rows, columns), 0).astype(np.uint16)
    return image if side is Laterality.LEFT else image[:, ::-1]


def volume(seed, *, side=Laterality.LEFT, n_slices=9):
    first, last = (breast(1000 * k + seed, side=side) / 16 for k in (1, 2))
    return np.stack([first + (last - first) * k / n_slices for k in range(n_slices)]).astype(np.uint8)


def write_cohort(folder, n_patients=4):
    cases = []
    for number in range(n_patients):
        side = list(Laterality)[number % 2]
        case = Case(f"c{number}", f"p{number}", side, View.CC, Label.BENIGN, f"dm/{number}.dcm", f"dbt/{number}.avi")
        write_dicom(folder / case.dm, breast(number, side=side), **SHOWN)
        write_avi(folder / case.dbt, volume(number, side=side))
        cases.append(case)
    write_table(folder / "cases.csv", cases)
    return cases


def run_ingest(folder, *, allow=0, missing_modality=MissingModality.FORBID, reading=READING, labels=NO_LABELS):
    """Run the stage on ``<folder>/cohort``; return metrics/cohort.json."""
    ingest.main(
        cohort=folder / "cohort",
        missing_modality=missing_modality,
        cases=folder / "cases.csv",
        examined=folder / "examined",
        metrics=folder / "cohort.json",
        quarantine=folder / "quarantine.csv",
        reading=reading,
        labels=labels,
        settings=params.Quarantine(max_cases=allow),
    )
    return json.loads((folder / "cohort.json").read_text())
