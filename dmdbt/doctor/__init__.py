"""What this machine can do, and what a cohort needs of it."""

from pathlib import Path

from dmdbt.cohort import TABLE_NAME, read_table
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
        sections += [cohort_files(cohort), next_command(read_table(cohort / TABLE_NAME), cohort)]
    return Report(tuple(sections))
