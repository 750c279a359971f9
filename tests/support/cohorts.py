"""Small cohorts in the files of a clinic, and what they state of themselves."""

import numpy as np

from dmdbt.cohort import Case, Statement, stated, write_table
from dmdbt.files import write_json
from dmdbt.terms import Label, Laterality, View
from tests.support.clinic import write_avi, write_dicom
from tests.support.volumes import smooth_volume


def a_case(n, **files):
    """The only pair of patient `n`: benign if `n` is even; `files` replace its images."""
    files = {"dm": f"{n}.dcm", "dbt": f"{n}.avi"} | files
    return Case(f"C{n:02}", f"P{n:02}", Laterality.LEFT, View.CC, list(Label)[n % 2], **files)


def tiny_cohort(folder, n_cases, lacking=lambda _: []):
    """Write a cohort of small images with a black border; `lacking` tells of a number which image its pair has not."""
    rng = np.random.default_rng(0)
    cases = [a_case(n, **dict.fromkeys(lacking(n), "")) for n in range(n_cases)]
    for n, case in enumerate(cases):
        if case.dm:
            pixels = np.zeros((64, 48), np.uint16)
            pixels[8:56, :30] = rng.integers(1000, 4096, (48, 30))
            write_dicom(folder / case.dm, pixels, WindowCenter="2048", WindowWidth="4096")
        if case.dbt:
            write_avi(folder / case.dbt, smooth_volume(9, 64, 48, n))
    write_table(folder / "cases.csv", cases)
    return cases


def write_counts(path, *, simulated):
    """Write the part of metrics/cohort.json that has the statement; None is a cohort without one."""
    write_json(path, stated(Statement() if simulated is None else Statement(simulated, "a set", "a rule")))
    return path
