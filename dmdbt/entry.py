"""The command line of every stage, made from the signature of its `main`."""

import argparse
import inspect
import re
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_type_hints

from dmdbt import params
from dmdbt.errors import DmdbtError, file_error

INTERRUPTED = 130
_MOST_NOTES = 200  # of an error, on the screen


def run(main: Callable[..., None]) -> None:
    """Call a stage's `main` with what the command line and ``params.yaml`` say, and exit.

    A parameter of `main` whose type is a section of `dmdbt.params` is read from ``params.yaml``; every other one
    (paths and the backbone's name) becomes an option, which is required unless the type allows None, or it is a value
    outside the sections of ``params.yaml``, which is read there: a path that the user chooses never goes through a
    shell. A parameter whose type is another dataclass stands for the fields of that class. A key of one section alone
    may be given as an option too, and then takes the place of that in ``params.yaml``. Every section that is there is
    checked, so that a mistake is found before any work. Exit codes are those of `dmdbt.errors`.
    """
    kinds = leaves(main)
    sections = {name: kind for name, kind in kinds.items() if kind in params.SECTIONS.values()}
    text, helps = _documented(main)
    parser = argparse.ArgumentParser(description=text, allow_abbrev=False)
    for name in kinds.keys() - sections.keys():
        kind = kinds[name]
        optional = NoneType in get_args(kind)
        required = not optional and name not in params.VALUES
        parser.add_argument(
            _option(name), type=get_args(kind)[0] if optional else kind, required=required, help=helps.get(name)
        )
    parser.add_argument("--params", type=Path, default=params.DEFAULT_PATH)
    keys = Counter(field.name for kind in sections.values() for field in fields(kind))
    changeable = [key for key, count in keys.items() if count == 1 and key not in kinds]
    for key in changeable:
        parser.add_argument(_option(key), help=argparse.SUPPRESS)
    values = vars(parser.parse_args())
    path = values.pop("params")
    changes = {key: values[key] for key in changeable if values[key] is not None}
    try:
        params.check(path)
        values |= {name: params.value(name, path) for name in kinds if name in params.VALUES and not values[name]}
        values |= {name: params.read(kind, path, changes=changes) for name, kind in sections.items()}
        main(**{name: _value(name, kind, values) for name, kind in _parameters(main).items()})
    except (DmdbtError, OSError) as error:
        raise SystemExit(report_error(error)) from error
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None


def report_error(error: DmdbtError | OSError) -> int:
    """Print an error and its notes, of very many only the first; return its exit code."""
    if isinstance(error, OSError):
        error = file_error(error, "dmdbt")
    notes = getattr(error, "__notes__", [])
    more = [f"... and {len(notes) - _MOST_NOTES} more"] if len(notes) > _MOST_NOTES else []
    print("\n".join([str(error), *notes[:_MOST_NOTES], *more]), file=sys.stderr)
    return error.exit_code


def leaves(main: Callable[..., None]) -> dict[str, Any]:
    """Return name and type of every option and section that a `main` asks for, with those of its dataclasses."""
    found: dict[str, Any] = {}
    for name, kind in _parameters(main).items():
        found |= get_type_hints(kind) if _is_group(kind) else {name: kind}
    return found


def _documented(main: Callable[..., None]) -> tuple[str, dict[str, str]]:
    """Return what a docstring says of the whole, and of each parameter: of its own, and those of its dataclasses."""
    text, _, own = (inspect.getdoc(main) or "").partition("\n\nParameters\n----------\n")
    helps: dict[str, str] = {}
    for kind in _parameters(main).values():
        if _is_group(kind):
            own += "\n" + (inspect.getdoc(kind) or "").partition("\n\nAttributes\n----------\n")[2]
    for names, words in re.findall(r"^([a-z_]+(?:, [a-z_]+)*)\n((?:    .+\n?)+)", own, re.MULTILINE):
        helps |= dict.fromkeys(names.split(", "), " ".join(words.split()).replace("%", "%%"))
    return text, helps


def _parameters(main: Callable[..., None]) -> dict[str, Any]:
    return {name: kind for name, kind in get_type_hints(main).items() if name != "return"}


def _is_group(kind: Any) -> bool:
    return is_dataclass(kind) and kind not in params.SECTIONS.values()


def _value(name: str, kind: Any, values: dict[str, Any]) -> Any:
    return kind(**{field.name: values[field.name] for field in fields(kind)}) if _is_group(kind) else values[name]


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"
