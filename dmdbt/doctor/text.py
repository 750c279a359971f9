"""The findings of the doctor, as data and as text."""

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
        Faults of the data, each with its remedy.
    """

    title: str
    lines: tuple[str, ...]
    missing: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()


@dataclass(frozen=True)
class Report:
    """All sections, and the exit code that follows from them."""

    sections: tuple[Section, ...]

    @property
    def missing(self) -> tuple[str, ...]:
        """Everything that this machine lacks."""
        return tuple(item for section in self.sections for item in section.missing)

    @property
    def faults(self) -> tuple[str, ...]:
        """All faults of the data."""
        return tuple(item for section in self.sections for item in section.faults)

    @property
    def exit_code(self) -> int:
        """0; 3 if the data are at fault; 4 if the machine lacks something, which may be why data cannot be read."""
        if self.missing:
            return SystemResourceError.exit_code
        return InputDataError.exit_code if self.faults else 0


def report_text(report: Report) -> str:
    """Write a report for a reader at a terminal."""
    lines = [text for part in report.sections for text in (part.title, *(f"  {line}" for line in part.lines))]
    lines += [f"MISSING {item}" for item in report.missing] + [f"FAULT {item}" for item in report.faults]
    end = f"{len(report.faults)} faults in the data: exit code {report.exit_code}."
    if report.missing:
        lines.append(f"{len(report.missing)} things are missing here, {end}")
    else:
        lines.append(end if report.faults else "Everything that is needed is there.")
    return "\n".join(lines)
