"""The file params.yaml as a whole."""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import create_model

from dmdbt.errors import ParameterError
from dmdbt.params import sections
from dmdbt.params.baselines import Baselines
from dmdbt.params.checking import CONFIG, Section, checked_section, load, parse
from dmdbt.terms import MissingModality

DEFAULT_PATH = Path("params.yaml")
SECTIONS = {
    "phantom": sections.Phantom,
    "reading": sections.Reading,
    "labels": sections.Labels,
    "quarantine": sections.Quarantine,
    "split": sections.Split,
    "mammogram": sections.Mammogram,
    "decode": sections.Decode,
    "rankpool": sections.Rankpool,
    "backbones": sections.Backbones,
    "weights": sections.Weights,
    "features": sections.Features,
    "heads": sections.Heads,
    "train": sections.Train,
    "ensemble": sections.Ensemble,
    "baselines": Baselines,
    "evaluation": sections.Evaluation,
    "ablation": sections.Ablation,
}

# What belongs to no section.
VALUES: dict[str, tuple[Callable[[str], Any], str]] = {
    "cohort": (Path, "the path of a folder"),
    "missing_modality": (MissingModality, "forbid or allow"),
}


def read(
    section: type[Section],
    path: Path = DEFAULT_PATH,
    setting: Path | None = None,
    *,
    changes: Mapping[str, str] = MappingProxyType({}),
) -> Section:
    """Read and check one section.

    Parameters
    ----------
    section
        One of the classes of this module; its name in lower case is the key in the file.
    path
        The file.
    setting
        A file that holds part of another ``params.yaml``, which takes precedence; see `overrides`.
    changes
        Values as YAML text, by key, which take precedence over both; those of other sections are left out.

    Raises
    ------
    ParameterError
        The file is missing or no YAML mapping; the section or a key is missing or unknown; a value has the wrong
        type or is out of range. The error names key, expectation and value.
    """
    key = section.__name__.lower()
    content = load(path)
    if setting is not None:
        content = merged(content, load(setting))
    if key not in content:
        raise ParameterError(key, expected=f"a section in {path.name}", found=None, remedy="Add the section.")
    own = {name: parse(text, f"--{name}") for name, text in changes.items() if name in section.__annotations__}
    return checked_section(section, merged(content[key], own) if own else content[key], key)


def json_schema() -> dict[str, Any]:
    """Return the JSON schema of the whole file. Not all that `read` checks can be said in it."""
    kinds: dict[str, Any] = {"cohort": str, "missing_modality": MissingModality, **SECTIONS}
    return create_model("params", __config__=CONFIG, **kinds).model_json_schema()


def for_backbone(values: dict[str, int], backbone: str, *, key: str) -> int:
    """Value of a mapping from backbones to numbers, such as ``features.size``; ParameterError if there is none."""
    if backbone not in values:
        remedy = f"Every name in backbones.names needs one: correct it, or add -S +{key}.{backbone}=<number>."
        raise ParameterError(f"{key}.{backbone}", expected="a number", found=None, remedy=remedy)
    return values[backbone]


def used_weights(path: Path = DEFAULT_PATH, setting: Path | None = None) -> list[str]:
    """Return the names under ``backbones.weights`` that the backbones and the named baselines use; see `read`."""
    names = read(sections.Backbones, path, setting).names + read(Baselines, path, setting).backbones
    return list(dict.fromkeys(names))


def check(path: Path = DEFAULT_PATH) -> None:
    """Check every section that the file has, and that what belongs to a backbone is there; ParameterError as `read`."""
    content = load(path)
    found: dict[str, Any] = {
        name: checked_section(kind, content[name], name) for name, kind in SECTIONS.items() if name in content
    }
    if {"backbones", "features", "weights"} <= found.keys():
        for name in found["backbones"].names:
            for_backbone(found["features"].size, name, key="features.size")
            if found["backbones"].source(name) == "procedural":
                for_backbone(found["weights"].steps, name, key="weights.steps")


def value(name: str, path: Path = DEFAULT_PATH) -> Any:
    """Read a value that belongs to no section, one of `VALUES`; ParameterError if it is missing or another thing."""
    kind, expected = VALUES[name]
    found = load(path).get(name)
    try:
        if isinstance(found, str) and found:
            return kind(found)
    except ValueError:
        pass
    remedy = "Add the key." if found is None else "Correct the value."
    raise ParameterError(name, expected=expected, found=found, remedy=remedy)


def overrides(path: Path) -> list[str]:
    """Flatten a file that holds part of ``params.yaml`` to items ``section.key=value``, as ``dvc exp run -S`` takes."""
    return _flatten(load(path), "")


def merged(content: Any, changes: Any) -> Any:
    """`content` with the leaves of `changes` in the place of its own."""
    if not isinstance(content, dict) or not isinstance(changes, dict):
        return changes
    return content | {name: merged(content.get(name), value) for name, value in changes.items()}


def _flatten(content: Any, key: str) -> list[str]:
    if isinstance(content, dict):
        return [item for name, value in content.items() for item in _flatten(value, f"{key}.{name}" if key else name)]
    return [f"{key}={str(content).replace(' ', '')}"]
