"""What the doctor says, as data and as text."""

from collections.abc import Iterator
from dataclasses import dataclass

from dmdbt.errors import InputDataError, SystemResourceError


@dataclass(frozen=True)
class Section:
    """A part of the report.

    Attributes
    ----------
    title, lines
        What was found.
    missing
        What this machine lacks, each with what to do.
    faults
        What is wrong with the data, each with what to do.
    """

    title: str
    lines: tuple[str, ...]
    missing: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()


@dataclass(frozen=True)
class Report:
    """All sections, and the exit code that they amount to."""

    sections: tuple[Section, ...]

    @property
    def missing(self) -> tuple[str, ...]:
        """What this machine lacks."""
        return tuple(item for section in self.sections for item in section.missing)

    @property
    def faults(self) -> tuple[str, ...]:
        """What is wrong with the data."""
        return tuple(item for section in self.sections for item in section.faults)

    @property
    def exit_code(self) -> int:
        """0; 3 if the data are at fault; 4 if the machine lacks something, which may be why data cannot be read."""
        if self.missing:
            return SystemResourceError.exit_code
        return InputDataError.exit_code if self.faults else 0


def report_text(report: Report) -> str:
    """Write a report for a reader at a terminal."""
    return "\n".join(_lines(report))


def _lines(report: Report) -> Iterator[str]:
    for section in report.sections:
        yield section.title
        yield from (f"  {line}" for line in section.lines)
    yield from (f"MISSING {item}" for item in report.missing)
    yield from (f"FAULT {item}" for item in report.faults)
    faults = f"{len(report.faults)} faults in the data"
    if report.missing:
        yield f"{len(report.missing)} things are missing here, {faults}: exit code {report.exit_code}."
    else:
        yield f"{faults}: exit code {report.exit_code}." if report.faults else "Everything that is needed is there."
