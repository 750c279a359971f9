"""From YAML to typed sections: every name, type and range is checked."""

import math
import re
import types
from dataclasses import is_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import yaml

from dmdbt.errors import ParameterError

Section = TypeVar("Section")


class Loader(yaml.SafeLoader):
    """YAML 1.1, but with the numbers of YAML 1.2: PyYAML alone reads ``5e-05`` as text, and DVC writes it so."""


Loader.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), [*"-+0123456789"])


def load(path: Path) -> dict[str, Any]:
    """Read a YAML file that is a mapping of sections; ParameterError if it is missing or something else."""
    if not path.is_file():
        raise ParameterError(str(path), expected="a file", found=None, remedy="Run from the root of the repository.")
    content = parse(path.read_text(encoding="utf-8"), str(path))
    if not isinstance(content, dict):
        raise ParameterError(str(path), expected="a mapping of sections", found=content, remedy="Restore the file.")
    return content


def parse(text: str, where: str) -> Any:
    """Return what YAML text says; ParameterError that names `where` it is from if it is no YAML."""
    try:
        return yaml.load(text, Loader)  # a SafeLoader
    except yaml.YAMLError as exc:
        reason = str(exc).replace("\n", " ")
        raise ParameterError(where, expected="YAML", found=reason, remedy="Correct the line it names.") from exc


def checked_section(section: type[Section], content: Any, key: str) -> Section:
    """Return the section that `content` describes; ParameterError that names the key at fault.

    Parameters
    ----------
    section
        A dataclass whose annotations say what each value may be; another such dataclass is a section in it.
    content
        As read from YAML.
    key
        Where it stands in the file, such as ``rankpool``.
    """
    hints = get_type_hints(section, include_extras=True)
    if not isinstance(content, dict):
        raise ParameterError(key, expected=f"the keys {', '.join(hints)}", found=content, remedy="Restore the section.")
    for name in [*hints, *content]:
        if name not in hints:
            raise ParameterError(
                f"{key}.{name}", expected=f"one of {', '.join(hints)}", found=name, remedy="Remove or rename the key."
            )
        if name not in content:
            raise ParameterError(f"{key}.{name}", expected=_describe(hints[name]), found=None, remedy="Add the key.")
    return section(**{name: _value(content[name], hints[name], f"{key}.{name}") for name in hints})


def _value(value: Any, hint: Any, key: str) -> Any:
    """Return `value` as `hint` demands, or raise with the key that is at fault."""
    if is_dataclass(hint) and isinstance(hint, type):
        return checked_section(hint, value, key)
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is list and isinstance(value, list):
        return [_value(item, arguments[0], f"{key}[{index}]") for index, item in enumerate(value)]
    if origin is dict and isinstance(value, dict):
        return {_value(k, arguments[0], key): _value(v, arguments[1], f"{key}.{k}") for k, v in value.items()}
    if not _matches(value, hint):
        raise ParameterError(key, expected=_describe(hint), found=value, remedy=_remedy(value))
    return float(value) if _accepts_float(hint) else value


def _matches(value: Any, hint: Any) -> bool:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _matches(value, arguments[0]) and value in arguments[1]
    if origin is Literal:
        return any(type(value) is type(choice) and value == choice for choice in arguments)
    if origin in (types.UnionType, Union):
        return any(_matches(value, argument) for argument in arguments)
    if origin is dict:
        return type(value) is dict and all(
            _matches(k, arguments[0]) and _matches(v, arguments[1]) for k, v in value.items()
        )
    if hint is float:
        return type(value) in (int, float) and math.isfinite(value)
    return type(value) is hint  # exactly: True is no whole number


def _accepts_float(hint: Any) -> bool:
    return hint is float or (get_origin(hint) is Annotated and get_args(hint)[0] is float)


def _describe(hint: Any) -> str:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return f"{_describe(arguments[0])} {arguments[1]}"
    if origin is Literal:
        return "one of " + ", ".join(str(choice) for choice in arguments)
    if origin in (types.UnionType, Union):
        return " or ".join(_describe(argument) for argument in arguments)
    if origin is list:
        return f"a list, each {_describe(arguments[0])}"
    if origin is dict:
        return f"a mapping to {_describe(arguments[1])}"
    return {int: "a whole number", float: "a number", str: "text"}.get(hint, "a mapping")


def _remedy(value: Any) -> str:
    if isinstance(value, str) and re.fullmatch(r"[-+\d.eE]+", value):
        return "It is text here; write it as a number, such as 0.001 or 1e-3, without quotes."
    return "Correct the value."
