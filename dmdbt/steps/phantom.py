"""The simulated cohort: patients, imaged by physics and written as a clinic's files."""

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

from dmdbt import params
from dmdbt.cohort import STATEMENT_NAME, TABLE_NAME, Statement, phantom_source, write_statement
from dmdbt.files import whole_folder, write_rows
from dmdbt.phantom import Patient, PhantomSettings, Row, patients, write_patient
from dmdbt.running import map_cases


def simulate_cohort(output: Path, settings: params.Phantom) -> None:
    """Write the files of every pair, ``cases.csv``, ``cohort.json``, and ``truth.csv``, which no other stage reads."""
    phantom = PhantomSettings(**asdict(settings))
    with whole_folder(output) as folder:
        written = map_cases(
            partial(write_patient, settings=phantom, folder=folder),
            patients(phantom),
            description="phantom",
            name=_patient_id,
            preload=["dmdbt.phantom"],
        )
        _write_sorted(folder / "truth.csv", [truth for patient in written for _, truth in patient])
        _write_sorted(folder / TABLE_NAME, [case for patient in written for case, _ in patient])
        write_statement(folder / STATEMENT_NAME, _statement(settings))


def _statement(settings: params.Phantom) -> Statement:
    other = f"or of the other one with probability {settings.label_ambiguity:g}"
    rule = f"the finding has the look of its label, {other}" if settings.contrast else "no finding is inserted"
    return Statement(
        simulated=True,
        source=phantom_source(seed=settings.seed, contrast=settings.contrast),
        label_rule=f"The label is drawn for each patient; {rule}.",
    )


def _patient_id(patient: Patient) -> str:
    return patient.patient_id


def _write_sorted(path: Path, rows: Sequence[Row]) -> None:
    rows = sorted(rows, key=lambda row: str(row["case_id"]))
    write_rows(path, list(rows[0]), [row.values() for row in rows])
