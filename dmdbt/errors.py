"""The exceptions of this project. The exit code of a stage is that of the error that ended it."""

import errno
import re
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager

_UNSHOWN = ("Cc", "Cf", "Cs", "Zl", "Zp")  # Unicode categories: control, format, surrogate, separators of lines
_TEMPORARY = re.compile(r"\.([^/]+)\.\d+\.tmp")  # of `dmdbt.files.whole_file`: a user looks for the name itself
_LONGEST_CAUSE = 1000  # characters: a header may quote thousands


class DmdbtError(Exception):
    """Bad data, parameters or resources of the machine: the user can mend it, and the message says how."""

    exit_code = 1


class ParameterError(DmdbtError):
    """A value in ``params.yaml`` is missing, of the wrong type or out of range."""

    exit_code = 2

    def __init__(self, key: str, *, expected: str, found: object, remedy: str) -> None:
        self.key, self.expected, self.found, self.remedy = key, expected, found, remedy
        super().__init__(f"{key}: expected {expected}, got {found!r}. {remedy}")

    def __reduce__(self) -> tuple[object, ...]:
        fields = {"expected": self.expected, "found": self.found, "remedy": self.remedy}
        return _rebuild, (type(self), (self.key,), fields)


class InputDataError(DmdbtError):
    """A file or the table of a cohort is not what it should be.

    Parameters
    ----------
    code
        Short name of the fault without the leading ``E-``, such as ``DM-NOT-DICOM``.
    case, file
        The case, and the file relative to the cohort's folder; ``-`` where there is none.
    cause
        What was expected and what was found.
    remedy
        One sentence.
    """

    exit_code = 3

    def __init__(self, code: str, *, case: str = "-", file: str = "-", cause: str, remedy: str) -> None:
        file, cause = printable(file), printable(cause)  # names and headers may have characters that no output takes
        self.code, self.case, self.file, self.remedy = code, case, file, remedy
        self.cause = cause if len(cause) <= _LONGEST_CAUSE else cause[: _LONGEST_CAUSE - 3] + "..."
        super().__init__(f"E-{code} case={case} file={file} cause={self.cause} remedy={remedy}")

    def __reduce__(self) -> tuple[object, ...]:
        fields = {"case": self.case, "file": self.file, "cause": self.cause, "remedy": self.remedy}
        return _rebuild, (type(self), (self.code,), fields)


class TableError(InputDataError):
    """``cases.csv`` or ``cohort.json`` cannot be used; lists every problem of the whole file."""

    exit_code = 2


class SystemResourceError(DmdbtError):
    """The machine lets the work down: disk, memory, network, a killed worker."""

    exit_code = 4


class IntegrityError(InputDataError):
    """Two things that must agree do not: a checksum, a format, a patient on both sides of a split."""

    exit_code = 5


def is_no_room(error: OSError) -> bool:
    """Return whether a disk, a quota or a limit of the size of files is exhausted."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def file_error(error: OSError, name: str) -> SystemResourceError:
    """Return the error for a file or a folder that the machine does not let us use, while `name` was in work."""
    if is_no_room(error):
        expected, remedy = "room for its output", "Free disk space, or raise the limit"
    else:
        file = _TEMPORARY.sub(r"\1", str(error.filename or "its files"))
        expected, remedy = f"to use {file}", "Mend that"
    found = error.strerror or str(error)
    again = "then run the command again: what is finished is kept."
    return SystemResourceError(printable(f"{name}: expected {expected}, got: {found}. {remedy}, {again}"))


@contextmanager
def error_context(*, case: str, file: str) -> Iterator[None]:
    """Name the case and its file in an `InputDataError` of a reader, which knows neither.

    A file made of it, such as one of its slices, stays named in parentheses.
    """
    try:
        yield
    except InputDataError as error:
        made = "" if error.file in ("-", file.rpartition("/")[2]) else f" ({error.file})"
        raise type(error)(error.code, case=case, file=file + made, cause=error.cause, remedy=error.remedy) from error


def printable(text: str) -> str:
    """Return `text` with escapes for control characters, and for what UTF-8 cannot have, as in some names of files."""
    escaped = (c.encode("unicode_escape").decode() if unicodedata.category(c) in _UNSHOWN else c for c in text)
    return "".join(escaped)


def _rebuild(kind: type[DmdbtError], args: tuple[object, ...], fields: dict[str, object]) -> DmdbtError:
    # An exception with keyword-only arguments does not survive the way back from a worker by itself.
    return kind(*args, **fields)
