"""The abilities of this machine, and the needs of a cohort."""

from pathlib import Path

from dmdbt import params
from dmdbt.cohort import read_table, table_path
from dmdbt.doctor.advice import next_command
from dmdbt.doctor.cohort_files import cohort_files
from dmdbt.doctor.machine import decoders, hardware, software, weights
from dmdbt.doctor.text import Report, Section, report_text

__all__ = ["Report", "Section", "examine", "report_text", "weights"]


def examine(params_path: Path, cohort: Path | None) -> Report:
    """Examine the machine and, where one is given, a cohort; nothing is decoded, written or downloaded.

    Raises
    ------
    ParameterError
        The parameters are malformed.
    TableError
        The cohort's table is.
    """
    sections = [software(), hardware(Path.cwd()), decoders(), weights(params_path)]
    if cohort is not None:
        cases = read_table(table_path(cohort), labels=params.read(params.Labels, params_path).meaning())
        sections += [cohort_files(cases, cohort), next_command(cases, cohort)]
    return Report(tuple(sections))
