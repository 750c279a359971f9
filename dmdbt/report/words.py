"""Numbers and names as a reader of the page sees them."""

from collections.abc import Mapping
from typing import Any

from dmdbt.baselines.registry import BASELINES
from dmdbt.evaluation import classifier_name

_BACKBONES = {
    "alexnet": "AlexNet",
    "resnet": "ResNet",
    "densenet": "DenseNet",
    "squeezenet": "SqueezeNet",
    "mobilenet_v2": "MobileNetV2",
}
_SMALLEST_P = 0.001
_DASH, _MINUS = "\N{EN DASH}", "\N{MINUS SIGN}"
TIMES = "\N{MULTIPLICATION SIGN}"


def number(value: float | None, digits: int = 3) -> str:
    """A number with a true minus sign; a dash where there is none."""
    if value is None:
        return _DASH
    text = f"{value:.{digits}f}"
    return text.replace("-", _MINUS) if float(text) else text.removeprefix("-")


def signed(value: float | None, digits: int = 3) -> str:
    """As `number`, with a plus sign too."""
    text = number(value, digits)
    return f"+{text}" if value is not None and float(f"{value:.{digits}f}") > 0 else text


def interval(low: float | None, high: float | None, digits: int = 3) -> str:
    """An interval in parentheses; nothing where there is none."""
    return "" if low is None or high is None else f"({number(low, digits)} to {number(high, digits)})"


def p_value(value: float | None) -> str:
    """A p-value; one too small for its digits is given by a bound."""
    if value is not None and value < _SMALLEST_P:
        return f"< {_SMALLEST_P}"
    return number(value)


def metric_name(name: str) -> str:
    """The paper's name of a metric in a claim."""
    return "AC" if name == "confidence" else name.upper()


def backbone_name(name: str) -> str:
    """The name of a backbone as its authors write it; torchvision's name of any other."""
    return _BACKBONES.get(name, name)


def model_name(name: str) -> str:
    """The name of a baseline in print, or of a classifier."""
    return BASELINES[name].title if name in BASELINES else classifier_name(name)


def short_name(name: str) -> str:
    """Name one side of a comparison: ``alexnet dm_dbt`` as DM-DBT, ``baseline 3d_t2_alex`` as 3D-T2-Alex."""
    return model_name(name.partition(" ")[2])


def sentence(claim: str) -> str:
    """A claim with the names of print, without its backbone."""
    text = claim.partition(": ")[2]
    for name in BASELINES:
        text = text.replace(f"the baseline {name}", f"the baseline {model_name(name)}")
    return text


def source_of_weights(provenance: Mapping[str, Any]) -> str:
    """Where the weights of a backbone come from, as `dmdbt.backbones.weights` records it."""
    known = {
        "procedural": "procedural: a short training on generated shapes, not ImageNet",
        "imagenet": _imagenet(provenance),
        "file": f"local file {provenance.get('file', '')}".rstrip(),
    }
    return known.get(str(provenance.get("source")), "not stated")


def computed_on(provenance: Mapping[str, Any]) -> str:
    """Name the device and the precision of features and heads, once if both have the same."""
    found = {what: f"{of['device']}, {of['precision']}" for what, of in provenance.get("computed", {}).items()}
    if len(set(found.values())) == 1:
        return next(iter(found.values()))
    return "; ".join(f"{what}: {words}" for what, words in found.items()) or "not stated"


def backbones_with(weights: Mapping[str, Mapping[str, Any]], source: str) -> str:
    """Name the backbones whose weights are of one source."""
    return ", ".join(backbone_name(name) for name, made in weights.items() if made.get("source") == source)


def _imagenet(provenance: Mapping[str, Any]) -> str:
    known = {
        "checkpoint": "file {}",
        "checkpoint_sha256": "SHA-256 {:.12}",
        "licence": "licence {}",
        "found_in": "from the {}",
        "package_licence": "licence of the package {}",
    }
    parts = [text.format(provenance[key]) for key, text in known.items() if key in provenance]
    return "; ".join([f"ImageNet ({provenance.get('weights', 'torchvision')})", *parts])
