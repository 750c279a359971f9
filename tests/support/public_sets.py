"""Folders in the published layout of T-SYNTH, and the table of an imported cohort."""

import csv

import numpy as np

from tests.support.clinic import write_mhd


def rows(cohort):
    with (cohort / "cases.csv").open(newline="") as file:
        return list(csv.DictReader(file))


DENSITY, BREAST, SIZE = "1.06", "fatty", "5.0"
ATTENUATION = np.outer(np.linspace(4, 0, 10), np.ones(24)).round(3)  # chest wall, thick, in the first row


def write_tsynth(source, phantom, *, lesion=None, dose="2.22e10", breast=BREAST):
    """One phantom as both sets store it: float64 (z, y, x), and two float32 images of which the first counts."""
    dbt = source / "volumes" / f"device_data_VICTREPhantoms_spic_{DENSITY}/{breast}/2/{SIZE}/SIM"
    dbt = dbt / f"D2_{SIZE}_{breast}.{phantom}" / str(phantom)
    dm = source / "data" / f"device_data_VICTREPhantoms_spic_{DENSITY}/{dose}/{breast}/2/{SIZE}/SIM"
    dm = dm / f"P2_{SIZE}_{breast}.8336192.{phantom}" / str(phantom)
    for folder in (dbt, dm):
        folder.mkdir(parents=True)
    volume = np.random.default_rng(phantom).normal(0, 0.01, (5, 12, 28)) + np.arange(28) / 28
    write_mhd(dbt / f"reconstruction{phantom}.mhd", volume)
    frames = np.stack([np.exp(ATTENUATION), np.full_like(ATTENUATION, 7.0)]).astype("<f4")
    flat = {"NDims": "2", "DimSize": "24 10", "ElementSpacing": "0.085 0.085"}
    write_mhd(dm / f"projection_DM{phantom}.mhd", frames, "MET_FLOAT", **flat)
    if phantom % 2 if lesion is None else lesion:
        (dbt / f"reconstruction{phantom}.loc").write_text("7 5 2\n")
        (dm / f"projection_DM{phantom}.loc").write_text("7 5 2\n")
    return dbt, dm, volume
