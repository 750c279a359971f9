"""From YAML to typed sections: every name, type and range is checked."""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails, to_json
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from dmdbt.errors import ParameterError

Section = TypeVar("Section")
# Parameters of earlier versions, by their old names.
RENAMED = {
    "pairs": "missing_modality (require is forbid)",
    "phantom.ambiguous": "phantom.label_ambiguity",
    "quarantine.allow": "quarantine.max_cases",
    "features.copies": "features.augmentations",
    "baselines.alexnet_2d.maps.copies": "baselines.alexnet_2d.maps.augmentations",
    "baselines.alexnet_3d.maps.copies": "baselines.alexnet_3d.maps.augmentations",
    "baselines.resnet3d.maps.copies": "baselines.resnet3d.maps.augmentations",
}
_MOST_VALUES = 100_000
CONFIG = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


def load(path: Path) -> dict[str, Any]:
    """Read a YAML 1.2 file that is a mapping of sections; ParameterError if it is missing or something else."""
    if not path.is_file():
        raise ParameterError(str(path), expected="a file", found=None, remedy="Run from the root of the repository.")
    content = _parsed(path.read_bytes(), str(path))
    if not isinstance(content, dict):
        raise ParameterError(str(path), expected="a mapping of sections", found=content, remedy="Restore the file.")
    if (size := _expanded(content, {})) > _MOST_VALUES:
        expected, found = f"at most {_MOST_VALUES} values", f"{size:.0g} by aliases (*name)"
        raise ParameterError(str(path), expected=expected, found=found, remedy="Write the values out.")
    for key in RENAMED.keys() & content.keys():
        remedy = f"It is called {RENAMED[key]} now."
        raise ParameterError(key, expected="no such key", found=content[key], remedy=remedy)
    return content


def _expanded(content: Any, known: dict[int, int]) -> int:
    """Count the values of a tree in which one branch may stand in many places."""
    if not isinstance(content, dict | list):
        return 1
    if id(content) not in known:
        parts = content.values() if isinstance(content, dict) else content
        known[id(content)] = 1  # of a branch that holds itself
        known[id(content)] = 1 + sum(_expanded(part, known) for part in parts)
    return known[id(content)]


@cache
def _parsed(text: bytes, where: str) -> Any:
    """Parse a file once, however many sections a stage reads of it; nothing changes what it returns."""
    return parse(text, where)


def parse(text: str | bytes, where: str) -> Any:
    """Return what YAML 1.2 in UTF-8 says, read as DVC reads it; ParameterError that names `where` if it is not that."""
    try:
        return YAML(typ="safe", pure=True).load(text if isinstance(text, str) else text.decode())
    except (UnicodeDecodeError, YAMLError) as exc:
        reason = str(exc).replace("\n", " ")
        if isinstance(exc, MarkedYAMLError):
            reason = f"line {exc.problem_mark.line + 1}: {exc.problem}"
        expected, remedy = "YAML in UTF-8", "Correct what it names."
        raise ParameterError(where, expected=expected, found=reason, remedy=remedy) from exc


def checked_section(section: type[Section], content: Any, key: str) -> Section:
    """Return the section that `content` describes; ParameterError that names the key at fault, with notes on others.

    Parameters
    ----------
    section
        A dataclass whose annotations say what each value may be; another such dataclass is a section in it.
    content
        As read from YAML.
    key
        Where it stands in the file, such as ``rankpool``.
    """
    kind = TypeAdapter(dict[str, section], config=CONFIG)  # type: ignore[valid-type]
    try:  # as JSON, from which the strict mode of pydantic makes dataclasses
        return kind.validate_json(to_json({key: content}, inf_nan_mode="constants"))[key]
    except ValidationError as exc:
        schema, faults = kind.json_schema(), dict[str, ParameterError]()
        for error in exc.errors():  # one for each member of a union
            fault = _fault(error, schema)
            faults.setdefault(fault.key, fault)
        first, *others = faults.values()
        for other in others:
            first.add_note(str(other))
        raise first from exc


def _fault(error: ErrorDetails, schema: Mapping[str, Any]) -> ParameterError:
    """Say in words of the file what pydantic has found; `schema` is of the same kind."""
    key, node, parent = "", schema, schema
    for part in (part for part in error["loc"] if part != "[key]"):
        if "anyOf" in node:
            break  # the rest names a member of the union
        key += f"[{part}]" if isinstance(part, int) else f".{part}"
        parent, node = node, node.get("properties", {}).get(part) or node.get("items") or node["additionalProperties"]
        node = schema["$defs"][node["$ref"].rpartition("/")[2]] if node and "$ref" in node else node
    key, found, context = key.removeprefix("."), error["input"], error.get("ctx", {})
    if "remedy" in context:  # of `kinds.expect`
        return ParameterError(key, found=found, **context)
    if error["type"] == "unexpected_keyword_argument" or error["loc"][-1] == "[key]":
        known = ", ".join(parent.get("properties") or parent["propertyNames"]["enum"])
        remedy = "Remove or rename the key."
        if new := RENAMED.get(key):
            remedy = f"It is called {new} now."
        return ParameterError(key, expected=f"one of {known}", found=key.rpartition(".")[2], remedy=remedy)
    if error["type"] == "missing":
        return ParameterError(key, expected=_describe(node), found=None, remedy="Add the key.")
    remedy = "Correct the value."
    if error["type"] == "dataclass_type":
        remedy = "Restore the section."
    elif isinstance(found, str) and re.fullmatch(r"[-+]?[\d.]+([eE][-+]?\d+)?", found):
        remedy = "It is text here; write it as a number, such as 0.001 or 1e-3, without quotes."
    return ParameterError(key, expected=_describe(node), found=found, remedy=remedy)


def _describe(node: Mapping[str, Any]) -> str:
    if "$ref" in node:
        return "a mapping"
    if "anyOf" in node:
        return " or ".join(map(_describe, node["anyOf"]))
    if choices := node.get("enum", [node["const"]] if "const" in node else []):
        return "one of " + ", ".join(map(str, choices))
    if "properties" in node:
        return f"the keys {', '.join(node['properties'])}"
    if node["type"] == "array":
        return f"a list, each {_describe(node['items'])}"
    if node["type"] == "object":
        return f"a mapping to {_describe(node['additionalProperties'])}"
    kinds = {"integer": "a whole number", "number": "a number", "string": "text", "boolean": "true or false"}
    text = kinds[node["type"]]
    words = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "up to" if "exclusiveMinimum" in node else "to"}
    return text + "".join(f" {word} {node[name]:g}" for name, word in words.items() if name in node)
