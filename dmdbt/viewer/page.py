"""One case as a page that needs no other file, no network and no server."""

import base64
import hashlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from dmdbt import __version__
from dmdbt.attention import HeatMap, top_slices
from dmdbt.evaluation import CLASSIFIERS
from dmdbt.files import write_text
from dmdbt.prediction.result import NOTICE
from dmdbt.terms import Head
from dmdbt.viewer import words
from dmdbt.viewer.pictures import (
    FALLS,
    MAMMOGRAM,
    QUALITY,
    RISES,
    SLICE,
    alike,
    first_maps,
    full_color,
    gray_range,
    jpeg,
    reduced,
)
from dmdbt.viewer.view import CaseView, ShownImage

_TEMPLATES = "templates"
_DIGITS = 4  # significant digits of a cell


def write_page(path: Path, view: CaseView) -> None:
    """Write the page of one case; equal views give equal bytes.

    The page holds its images, style and script, and its content security policy permits no request.

    Parameters
    ----------
    path
        Ends in ``.html``. The file appears whole or not at all.
    view
        May lack the mammogram or the volume.
    """
    pictures = _pictures(view)
    content = {
        "view": view,
        "prediction": view.prediction,
        "pictures": pictures,
        "data": _data(view, pictures),
        "chosen": next(iter(first_maps(view)), None),
        "choices": {key: _distinct(getattr(heat, key) for heat in view.heat) for key in ("backbone", "head", "method")},
        "evidence": [(*key, [(k, shares[k]) for k in top_slices(shares)]) for key, shares in view.evidence.items()],
        "heads": [head.value for head in Head],
        "quality": QUALITY,
        "lettered": any(picture["edges"] for picture in pictures.values()),
    }
    write_text(path, environment().get_template("case.html.jinja").render(content | inlined("viewer.css", "viewer.js")))


@cache
def environment() -> Environment:
    """Return Jinja2 that escapes everything and refuses what is not defined, with the words of this room."""
    made = Environment(
        loader=PackageLoader("dmdbt.viewer"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    shared = (words.number, words.probability, words.percent, words.heading, words.described, words.flag_meaning)
    made.filters |= {function.__name__: function for function in (*shared, words.trained_on)}
    made.globals |= {"words": words, "notice": NOTICE, "version": __version__}
    made.policies["json.dumps_kwargs"] = {"sort_keys": True, "allow_nan": False, "separators": (",", ":")}
    return made


def inlined(style: str, script: str, *, images: str = "data:") -> dict[str, str]:
    """Return the style and the script of a page, files of this package, with the policy that permits only them.

    `images` has the sources of images, as a content security policy names them.
    """
    folder = resources.files("dmdbt.viewer") / _TEMPLATES
    texts = {"style": folder / style, "script": folder / script}
    read = {name: file.read_text(encoding="utf-8") for name, file in texts.items()}
    allowed = "; ".join(f"{name}-src '{_digest(text)}'" for name, text in read.items())
    policy = f"default-src 'none'; img-src {images}; {allowed}; base-uri 'none'; form-action 'none'"
    return {name: Markup(text) for name, text in read.items()} | {"policy": policy}  # files of ours, no input


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")


def _distinct(values: Any) -> list[Any]:
    return list(dict.fromkeys(values))


def _pictures(view: CaseView) -> dict[str, dict[str, Any]]:
    """Return by name (``dm``, ``slices``, ``dynamic``) the picture with its frames and what stands below it."""
    found = {}
    if view.dm is not None:
        found["dm"] = _picture(view.dm.pixels[None], view.dm, MAMMOGRAM)
    if view.dynamic is not None:
        if view.slices is not None:
            found["slices"] = _picture(view.slices, view.dynamic, SLICE)
        found["dynamic"] = _picture(view.dynamic.pixels[None], view.dynamic, SLICE)
    return found


def _picture(frames: np.ndarray, framed: ShownImage, longest: int) -> dict[str, Any]:
    """Reduce the frames, shape (T, H, W), of a picture; its box is that of `framed`."""
    with ThreadPoolExecutor() as threads:
        shown = list(threads.map(partial(reduced, longest=longest), frames))
        files = threads.map(jpeg, shown)
    return {
        "frames": ["data:image/jpeg;base64," + base64.b64encode(file).decode("ascii") for file in files],
        "rows": frames.shape[1],
        "columns": frames.shape[2],
        "shown": shown[0].shape,
        "bits": 8 * frames.dtype.itemsize,
        "range": gray_range(frames),
        "box": [int(edge) for edge in framed.box],
        "edges": words.edges(framed.orientation),
    }


def _data(view: CaseView, pictures: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return what the script reads."""
    weights = view.slice_weights
    return {
        "pictures": {
            name: {key: picture[key] for key in ("frames", "rows", "columns", "box")}
            for name, picture in pictures.items()
        },
        "heat": [_heat(heat, full_color(alike(heat, view.heat))) for heat in view.heat],
        "evidence": [
            {"backbone": backbone, "head": head, "shares": _rounded(shares), "top": top_slices(shares)}
            for (backbone, head), shares in view.evidence.items()
        ],
        "weights": None if weights is None else _rounded(weights / (np.abs(weights).max() or 1)),
        "p": {
            backbone: {name: words.probability(p) for name, p in result.p.items()}
            for backbone, result in view.prediction.backbones.items()
        },
        "colors": {"rises": RISES, "falls": FALLS},
        "scales": words.SCALES,
        "none": words.NO_EVIDENCE,
        "one_scale": words.ONE_SCALE,
        "heads": {name: words.heading(name) for name in CLASSIFIERS},
    }


def _heat(heat: HeatMap, full: float) -> dict[str, Any]:
    named = {key: getattr(heat, key) for key in ("method", "backbone", "head", "modality")}
    return named | {"values": [_rounded(row) for row in heat.values], "full": full}


def _rounded(values: np.ndarray) -> list[float]:
    return [float(f"{value:.{_DIGITS}g}") for value in values.tolist()]
