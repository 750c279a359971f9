"""Build a cohort's folder from files elsewhere, for every importer, so that an interrupted import goes on."""

import errno
import os
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from tqdm import tqdm

from dmdbt.cohort import STATEMENT_NAME, TABLE_NAME, Case, Statement, write_statement
from dmdbt.errors import DmdbtError, InputDataError, ParameterError, SystemResourceError
from dmdbt.files import remove_unfinished, whole_file, write_rows, write_text

README_NAME = "README.txt"
_STAMP_NAME = ".dmdbt-import"
_STAMP = "dmdbt import, version 1\n"  # raise it when a file is made in another way
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True)
class Transfer:
    """A file of the cohort.

    Attributes
    ----------
    source
        What it is made of.
    target
        Its path, relative to the cohort's folder, with forward slashes.
    make
        Writes the target (second argument), whole or not at all, from the source (first); None links or copies.
    """

    source: Path
    target: str
    make: Callable[[Path, Path], None] | None = None


@dataclass(frozen=True)
class Pair:
    """A row of the table: the case, the files it needs, and columns beyond those of a cohort."""

    case: Case
    transfers: tuple[Transfer, ...]
    columns: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Findings:
    """Contents of a source, as an importer found them.

    Attributes
    ----------
    pairs
        What becomes a row.
    left_out
        How many of each kind were left out, by rule.
    noted
        How many have something that is unusual but no fault.
    problems
        What should not be so, each with the file's path relative to the source.
    """

    pairs: list[Pair] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    noted: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)


def check_folders(source: Path, target: Path) -> None:
    """Refuse a source that is no folder, and a target inside it: the next import would find its own output."""
    if not source.is_dir():
        raise ParameterError("SOURCE", expected="a folder", found=str(source), remedy="Correct the path.")
    if target.resolve().is_relative_to(source.resolve()):
        expected = "a folder outside SOURCE"
        raise ParameterError("TARGET", expected=expected, found=str(target), remedy="Choose another folder.")


def build_cohort(
    target: Path, findings: Findings, *, copy: bool, incomplete: bool, about: str, statement: Statement
) -> str:
    """Bring every file into the cohort's folder, then write ``README.txt``, ``cohort.json`` and the table.

    A file appears whole or not at all and carries the modification time of its source, by which a second import knows
    that it is finished. The table is written last, so a folder with a table is complete.

    Parameters
    ----------
    target
        The cohort's folder; made if it does not exist.
    findings
        What to import.
    copy
        Copy files that could be hard links, which share their content with the source.
    incomplete
        Import the rest where something is wrong.
    about
        Label rule and everything else to know about the set; goes into ``README.txt``.
    statement
        What ``cohort.json`` says.

    Returns
    -------
    str
        What was done, for the user.

    Raises
    ------
    InputDataError
        Something is wrong with the source and `incomplete` is not set, or nothing is left; each problem is a note.
    SystemResourceError
        The disk is full.
    """
    problems = list(findings.problems)
    finished = []
    for name in (_STAMP_NAME, README_NAME, STATEMENT_NAME, TABLE_NAME):
        remove_unfinished(target / name)
    _remove_other_versions(target, findings.pairs)
    for pair in tqdm(findings.pairs, desc="import", unit="pair", disable=len(findings.pairs) < 2):
        if (problem := _bring(target, pair, copy=copy)) is None:
            finished.append(pair)
        else:
            problems.append(problem)
    if not finished or (problems and not incomplete):
        cause = f"expected a complete set, found {len(problems)} problems and {len(finished)} usable pairs"
        remedy = "Complete SOURCE and import again, or import what there is with --incomplete."
        error = InputDataError("IMPORT", cause=cause, remedy=remedy)
        for problem in problems:
            error.add_note(problem)
        raise error
    summary = _summary(finished, findings, problems)
    write_text(target / README_NAME, f"{about.strip()}\n\n{summary}\n")
    write_statement(target / STATEMENT_NAME, statement)
    _write_table(target / TABLE_NAME, finished)
    return summary


def _remove_other_versions(target: Path, pairs: Sequence[Pair]) -> None:
    """Remove files that another version of the importers made; links and copies stay."""
    stamp = target / _STAMP_NAME
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == _STAMP:
        return
    for transfer in (transfer for pair in pairs for transfer in pair.transfers if transfer.make is not None):
        (target / transfer.target).unlink(missing_ok=True)
    write_text(stamp, _STAMP)


def _bring(target: Path, pair: Pair, *, copy: bool) -> str | None:
    """Bring the files of a pair; return what went wrong."""
    for transfer in pair.transfers:
        try:
            _transfer(transfer, target / transfer.target, copy=copy)
        except OSError as exc:
            if exc.errno in _DISK_FULL:
                raise SystemResourceError(
                    f"TARGET: expected room for {transfer.target}, found a full disk. Make room and import again; "
                    "what is finished stays."
                ) from exc
            return f"{pair.case.case_id}: {transfer.source.name}: {exc.strerror or type(exc).__name__}"
        except DmdbtError as exc:
            return f"{pair.case.case_id}: {exc}"
    return None


def _transfer(transfer: Transfer, path: Path, *, copy: bool) -> None:
    source = transfer.source.resolve()  # a link would lead out of the cohort's folder
    status = source.stat()
    if path.is_file() and path.stat().st_mtime_ns == status.st_mtime_ns:
        same_size = path.stat().st_size == status.st_size
        if transfer.make is not None or (same_size and not (copy and path.samefile(source))):
            return
    remove_unfinished(path)
    if transfer.make is not None:
        transfer.make(source, path)
    else:
        with whole_file(path) as temporary:
            if copy or not _link(source, temporary):
                shutil.copyfile(source, temporary)
    if not path.samefile(source):  # a link has it already, and may belong to somebody else
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))  # last: without it the file does not count


def _link(source: Path, path: Path) -> bool:
    """Make a hard link where the file system can."""
    try:
        path.hardlink_to(source)
    except OSError:
        return False
    return True


def _summary(pairs: Sequence[Pair], findings: Findings, problems: Sequence[str]) -> str:
    labels = [pair.case.label.value for pair in pairs]
    counts = ", ".join(f"{labels.count(label)} {label}" for label in sorted(set(labels)))
    patients = len({pair.case.patient_id for pair in pairs})
    lines = [f"Imported: {len(pairs)} rows ({counts}) of {patients} patients."]
    lines += [f"Left out: {count} ({reason})." for reason, count in sorted(findings.left_out.items())]
    lines += [f"Noted: {count} ({what})." for what, count in sorted(findings.noted.items())]
    lines += [f"Problem: {problem}" for problem in problems]
    return "\n".join(lines)


def _write_table(path: Path, pairs: Sequence[Pair]) -> None:
    """Write the cohort's table with its further columns, sorted by case."""
    columns = [column.name for column in fields(Case)] + sorted({column for pair in pairs for column in pair.columns})
    rows = [{**pair.columns, **asdict(pair.case)} for pair in sorted(pairs, key=lambda pair: pair.case.case_id)]
    write_rows(path, columns, ([row.get(column, "") for column in columns] for row in rows))
