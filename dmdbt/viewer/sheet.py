"""One case as a picture for print: its images, each beside itself with its heat map, and its numbers."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from dmdbt import __version__
from dmdbt.attention import HeatMap, top_slices
from dmdbt.files import whole_file
from dmdbt.prediction.result import NOTICE
from dmdbt.terms import Modality
from dmdbt.viewer import words
from dmdbt.viewer.pictures import FALLS, RISES, first_maps, full_color, gray_picture, gray_range
from dmdbt.viewer.view import Box, CaseView, ShownImage

_WIDTH, _MARGIN, _GAP = 1600, 30, 20  # pixels
_FULL = _WIDTH - 2 * _MARGIN
_HALF = (_FULL - 2 * _GAP) // 2  # a picture beside itself with its heat map
_PICTURE = (_HALF - _GAP // 2) // 2  # columns of a picture, at most
_TALLEST = 560  # rows of a picture, at most
_AROUND = 0.05  # of the crop box, on every side
_OPACITY, _BORDER = 0.65, 0.25  # of the largest value of a heat map; of the white between its cells
_SMALLEST_CELL = 6  # pixels: borders between smaller cells would hide the image
_TEXT, _SMALL, _LARGE = 19, 16, 30  # sizes of type
_INK, _MUTED, _ALARM, _BOX, _WHITE = (0, 0, 0), (70, 70, 70), (150, 20, 30), (255, 225, 77), (255, 255, 255)
_LETTER = (150, 220, 255)
_BAR = 12  # rows of the color bar
_BAR_GRAY, _SHORTEST_BAR = 85, 160  # below its colors; its columns
_COLUMNS = (0, 245, 370, 495, 630)  # where those of the table of numbers begin
_LONGEST = 300  # characters of a text that somebody else wrote
_MOST = 8  # warnings or flags
_TIMES = "\N{MULTIPLICATION SIGN}"

Color = tuple[int, int, int]


def write_sheet(path: Path, view: CaseView) -> None:
    """Write the sheet of one case, 1600 pixels wide; equal views give equal pixels.

    It has the mammogram, the dynamic image and the three slices with most evidence, from the first to the last, each
    beside itself with the heat map of `dmdbt.viewer.pictures.first_maps`.

    Parameters
    ----------
    path
        Ends in ``.png``. The file appears whole or not at all.
    view
        May lack the mammogram or the volume.
    """
    maps = first_maps(view)
    scale = _scale(maps)
    marker = f"{view.prediction.laterality} {view.prediction.view}".strip()
    blocks = [_pair(picture, marker, scale) for picture in _pictures(view, maps)]
    blocks.append(_numbers(view))
    rows = [_title(view), *(_row(blocks[k : k + 2]) for k in range(0, len(blocks), 2)), _foot(view, maps)]
    sheet = Image.new("RGB", (_WIDTH, 2 * _MARGIN + sum(row.height + _GAP for row in rows) - _GAP), _WHITE)
    top = _MARGIN
    for row in rows:
        sheet.paste(row, (_MARGIN, top))
        top += row.height + _GAP
    with whole_file(path) as temporary:
        sheet.save(temporary, "PNG", compress_level=3)


class _Picture(NamedTuple):
    """A picture of the sheet: pixels uint8 or uint16, shape (H, W), and the part of them around the crop box."""

    title: str
    pixels: np.ndarray
    box: Box
    part: Box
    heat: HeatMap | None
    edges: dict[str, str]


def _scale(maps: Sequence[HeatMap]) -> tuple[float, float]:
    """Return the ends of the color bar, which is that of all images: the least value (0 or below) and the largest."""
    full = full_color(maps) if maps else 1.0
    return (-full if any((of.values < 0).any() for of in maps) else 0.0), full


def _picture(title: str, shown: ShownImage, heat: HeatMap | None) -> _Picture:
    """Choose the part to show: the crop box with a margin, so that the breast is as large as there is room for."""
    box = shown.box
    rows, columns = (round(_AROUND * (box[k + 1] - box[k])) for k in (0, 2))
    height, width = shown.pixels.shape
    part = max(0, box[0] - rows), min(height, box[1] + rows), max(0, box[2] - columns), min(width, box[3] + columns)
    return _Picture(title, shown.pixels, box, part, heat, words.edges(shown.orientation))


def _pictures(view: CaseView, maps: Sequence[HeatMap]) -> Iterator[_Picture]:
    heat = {of.modality: of for of in maps}
    if view.dm is not None:
        yield _picture("Mammogram", view.dm, heat.get(Modality.DM))
    if view.dynamic is not None:
        of_volume = heat.get(Modality.DBT)
        yield _picture("Dynamic image: all slices pooled", view.dynamic, of_volume)
        if view.slices is not None:
            for index, said in _chosen_slices(view, maps, len(view.slices)).items():
                title = f"Slice {index + 1} of {len(view.slices)}: {said}"
                yield _picture(title, replace(view.dynamic, pixels=view.slices[index]), of_volume)


def _chosen_slices(view: CaseView, maps: Sequence[HeatMap], n_slices: int) -> dict[int, str]:
    """Return by index what makes a slice worth showing: its evidence, or its place where there is no evidence."""
    evidence = view.evidence.get((maps[0].backbone, maps[0].head)) if maps else None
    if evidence is None:
        return {n_slices // 2: "the middle one"}
    if not evidence.any():
        return {n_slices // 2: f"the middle one. {words.NO_EVIDENCE}"}
    even = words.percent(1 / n_slices)
    return {
        index: f"{words.percent(evidence[index])} of the evidence under Grad-CAM (even: {even})"
        for index in sorted(top_slices(evidence))
    }


def _pair(picture: _Picture, marker: str, ends: tuple[float, float]) -> Image.Image:
    """Draw a picture with its crop box, and beside it with its heat map, and what they are below."""
    top, bottom, left, right = picture.part
    scale = min(_PICTURE / (right - left), _TALLEST / (bottom - top))
    rows, columns = max(1, round((bottom - top) * scale)), max(1, round((right - left) * scale))
    gray = gray_picture(picture.pixels[top:bottom, left:right], rows, columns, gray_range(picture.pixels))
    plain = np.repeat(gray[..., None], 3, axis=2)
    shown = [_framed(plain, picture, scale)]
    _draw_letters(shown[0], picture.edges)
    line = "top" in picture.edges  # below the letter there, or both would read as one word
    _draw_marker(shown[0], marker, left=picture.box[2] - left > right - picture.box[3], line=line)
    text = _Text(_HALF)
    if picture.heat is not None:
        shown.append(_framed(_with_heat(plain, picture, picture.heat.values / ends[1], scale), picture, scale))
        text.height = _BAR + round(1.5 * _SMALL)  # room for the color bar
    text.add(picture.title, bold=True)
    text.add(_sizes(picture), size=_SMALL, color=_MUTED)
    below = text.drawn()
    if picture.heat is not None:
        below.paste(_color_bar(columns, ends), (columns + _GAP // 2, 0))
    block = Image.new("RGB", (_HALF, rows + below.height + 6), _WHITE)
    for k, image in enumerate(shown):
        block.paste(image, (k * (columns + _GAP // 2), 0))
    block.paste(below, (0, rows + 6))
    return block


def _color_bar(columns: int, ends: tuple[float, float]) -> Image.Image:
    """Draw the colors from the least to the largest value over a middle gray, with both numbers below."""
    columns = max(columns, _SHORTEST_BAR)
    image = Image.new("RGB", (columns, _BAR + round(1.5 * _SMALL)), _WHITE)
    values = np.linspace(ends[0] / ends[1], 1, columns)[None]
    image.paste(Image.fromarray(_colored(np.full((_BAR, columns, 3), _BAR_GRAY, np.float32), values)), (0, 0))
    draw, font = ImageDraw.Draw(image), _font(_SMALL, bold=False)
    for value, place, anchor in ((ends[0], 0, "la"), (ends[1], columns, "ra")):
        draw.text((place, _BAR + 2), words.short(value), _INK, font, anchor)
    return image


def _sizes(picture: _Picture) -> str:
    """Say which part of the original is shown, and how large a cell is in its pixels."""
    (height, width), (top, bottom, left, right) = picture.pixels.shape, picture.part
    part = f"Rows {top} to {bottom - 1} of {height}, columns {left} to {right - 1} of {width}."
    if picture.heat is None:
        return f"{part} No heat map."
    (n, m), box = picture.heat.values.shape, picture.box
    cell = f"{(box[1] - box[0]) / n:.1f} {_TIMES} {(box[3] - box[2]) / m:.1f}"
    values = picture.heat.values
    strongest = float(values.flat[np.abs(values).argmax()])
    said = f"Strongest heat: {words.short(strongest)}." if strongest else "The heat map is 0 everywhere."
    return f"{part} Cell = {cell} pixels, {n} {_TIMES} {m} cells in the crop box. {said}"


def _edges(picture: _Picture, n: int, scale: float, *, axis: int) -> np.ndarray:
    """Return where, in pixels of the sheet, the edges of `n` cells are that tile the crop box along an axis."""
    first, end = picture.box[2 * axis : 2 * axis + 2]
    return np.rint((np.linspace(first, end, n + 1) - picture.part[2 * axis]) * scale).astype(int)


def _with_heat(plain: np.ndarray, picture: _Picture, heat: np.ndarray, scale: float) -> np.ndarray:
    """Return a picture, uint8 of shape (H, W, 3), under the cells of a heat map, values from -1 to 1."""
    rows, columns = (_edges(picture, n, scale, axis=axis) for axis, n in enumerate(heat.shape))
    cells = heat.repeat(np.diff(rows), axis=0).repeat(np.diff(columns), axis=1)
    result = plain.astype(np.float32)
    inside = result[rows[0] : rows[-1], columns[0] : columns[-1]]
    inside[:] = _colored(inside, cells)
    if min(np.diff(rows).min(), np.diff(columns).min()) >= _SMALLEST_CELL:
        inside[rows[:-1] - rows[0]] += _BORDER * (255 - inside[rows[:-1] - rows[0]])
        inside[:, columns[:-1] - columns[0]] += _BORDER * (255 - inside[:, columns[:-1] - columns[0]])
    return np.rint(result).astype(np.uint8)


def _colored(gray: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """Return an image, uint8 of shape (H, W, 3), under the colors of a heat map, shape (H, W), values from -1 to 1."""
    color = np.where(heat[..., None] < 0, FALLS, RISES)
    return np.rint(gray + _OPACITY * np.abs(heat[..., None]) * (color - gray)).astype(np.uint8)


def _framed(pixels: np.ndarray, picture: _Picture, scale: float) -> Image.Image:
    image = Image.fromarray(pixels)
    (top, bottom), (left, right) = (_edges(picture, 1, scale, axis=axis) for axis in (0, 1))
    ImageDraw.Draw(image).rectangle((left, top, right - 1, bottom - 1), outline=_BOX, width=2)
    return image


def _draw_marker(image: Image.Image, marker: str, *, left: bool, line: int) -> None:
    place, anchor = (8, "la") if left else (image.width - 8, "ra")
    _draw_text(image, _printable(marker)[:12], (place, 6 + line * round(1.5 * _TEXT)), anchor, _WHITE)


def _draw_letters(image: Image.Image, edges: Mapping[str, str]) -> None:
    """Draw to where in the patient an image extends, at its edges."""
    middle, center, right, bottom = image.width // 2, image.height // 2, image.width - 8, image.height - 6
    places = {"left": (8, center), "right": (right, center), "top": (middle, 6), "bottom": (middle, bottom)}
    for edge, anchor in (("left", "lm"), ("right", "rm"), ("top", "ma"), ("bottom", "md")):
        if edge in edges:
            _draw_text(image, edges[edge], places[edge], anchor, _LETTER)


def _draw_text(image: Image.Image, text: str, place: tuple[int, int], anchor: str, color: Color) -> None:
    draw = ImageDraw.Draw(image)
    draw.text(place, text, color, _font(_TEXT, bold=True), anchor, stroke_width=2, stroke_fill=_INK)


def _row(blocks: Sequence[Image.Image]) -> Image.Image:
    row = Image.new("RGB", (_FULL, max(block.height for block in blocks)), _WHITE)
    for k, block in enumerate(blocks):
        row.paste(block, (k * (_HALF + 2 * _GAP), 0))
    return row


def _title(view: CaseView) -> Image.Image:
    of = view.prediction
    text = _Text(_FULL)
    text.add(of.case_id or "Case without a name", size=_LARGE, bold=True)
    known = [words.described(of.laterality, of.view), of.patient_id and f"patient {of.patient_id}"]
    known.append(of.label and f"label of the table: {of.label}")
    text.add("; ".join(filter(None, known)))
    decision = of.decisions.get(words.HALF, {}).get("ensemble") or "no decision"
    p = words.probability(of.p.get("ensemble"))
    text.add(f"Ensemble: {p}, {decision} ({words.votes(of)})", size=_LARGE, bold=True)
    text.add("; ".join(filter(None, (words.PROBABILITY, words.spread(of), "decision of the majority"))) + ".")
    text.add(f"{NOTICE} {words.trained_on(view.simulated)}", bold=True, color=_ALARM)
    text.add(f"Model: {view.model}.")
    for warning in _listed(of.warnings, "warning"):
        text.add(f"Warning. {warning}", color=_ALARM)
    return text.drawn()


def _numbers(view: CaseView) -> Image.Image:
    """Draw the table of probabilities and decisions, and the flags."""
    of = view.prediction
    text = _Text(_HALF)
    text.add(f"{words.PROBABILITY}, and decisions", bold=True)
    text.cells(["", *map(words.heading, words.ORDER)], bold=True)
    averaged = words.averaged(of)
    rows = {"Probability": of.p, "Calibrated": of.calibrated}
    for name, values in (rows | ({"Lowest": of.lowest, "Highest": of.highest} if averaged else {})).items():
        text.cells([name, *(words.probability(values.get(classifier)) for classifier in words.ORDER)])
    for rule, thresholds in of.thresholds.items():
        decisions = of.decisions.get(rule, {})
        text.cells([words.RULES.get(rule, rule), *(decisions.get(name) or words.number(None) for name in words.ORDER)])
        limits = {name: f"from {words.number(thresholds.get(name))}" for name in words.ORDER if decisions.get(name)}
        if rule == words.HALF and "ensemble" in limits:
            limits["ensemble"] = words.MAJORITY
        text.cells(["", *(limits.get(name, "") for name in words.ORDER)], color=_MUTED, size=_SMALL)
        for k, kind in enumerate(("sensitivity", "specificity")):
            shares = [view.measured.get(rule, {}).get(name, (None, None))[k] for name in words.ORDER]
            if any(share is not None for share in shares):
                cells = ["" if share is None else words.percent(share) for share in shares]
                text.cells([f"    {kind} on the tests", *cells], color=_MUTED, size=_SMALL)
    folds = f"{'Fold' if len(of.folds) == 1 else 'Folds'} used: {', '.join(map(str, of.folds)) or 'none'}."
    text.add(f"{words.votes(of).capitalize()}. {folds}")
    if averaged:
        text.add(f"Lowest and highest are those of {averaged}.", color=_MUTED, size=_SMALL)
    text.add("Thresholds and tests are those of the training cohort.", color=_MUTED, size=_SMALL)
    for flag in _listed(of.flags, "flag"):
        text.add(": ".join(filter(None, (flag, words.flag_meaning(flag)))), size=_SMALL)
    return text.drawn()


def _foot(view: CaseView, maps: Sequence[HeatMap]) -> Image.Image:
    text = _Text(_FULL)
    for first in maps[:1]:
        folds = words.only_fold(view.prediction) or "mean over folds"
        which = f"Heat maps: {words.heading(first.head)} of {first.backbone}, {folds}. "
        scale = f" {words.ONE_SCALE if len(maps) > 1 else ''} Cells of the feature map, not smoothed."
        text.add(which + words.SCALES.get(first.method, first.method) + scale, size=_SMALL)
        if (first.backbone, first.head) in view.evidence:
            text.add(words.EVIDENCE, size=_SMALL)
    if any(image and image.orientation for image in (view.dm, view.dynamic)):
        text.add(words.LETTERS, size=_SMALL)
    text.add(f"Line: crop box, the input of the network. {words.MEANING} dmdbt {__version__}.", size=_SMALL)
    return text.drawn()


def _listed(texts: Sequence[str], kind: str) -> list[str]:
    more = len(texts) - _MOST
    rest = f"{words.counted(more, f'more {kind}')}: see the page of the case."
    return [*texts[:_MOST], *([rest] if more > 0 else [])]


def _printable(text: str) -> str:
    """Return a text that somebody else wrote in one line of a limited length, without what changes direction."""
    shown = "".join(letter if letter.isprintable() else " " for letter in text)
    return shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST - 3]}..."


def _wrapped(text: str, font: ImageFont.FreeTypeFont, width: int) -> list[str]:
    """Break a text into lines of at most `width` pixels."""
    letters, lines = max(1, len(text)), [text]
    while max(map(font.getlength, lines), default=0) > width:
        letters = int(0.95 * letters)
        lines = textwrap.wrap(text, letters)
    return lines


@cache
def _font(size: int, *, bold: bool) -> ImageFont.FreeTypeFont:
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(Path(mpl.get_data_path()) / "fonts/ttf" / name, size)


class _Text:
    """Lines of text of a width, drawn at the end, when their height is known."""

    def __init__(self, width: int) -> None:
        self.width, self.height = width, 0
        self.lines: list[tuple[int, int, str, Color, ImageFont.FreeTypeFont]] = []

    def add(self, text: str, *, size: int = _TEXT, bold: bool = False, color: Color = _INK) -> None:
        """Add a paragraph."""
        font = _font(size, bold=bold)
        for line in _wrapped(_printable(text), font, self.width):
            self.lines.append((0, self.height, line, color, font))
            self.height += round(1.35 * size)

    def cells(self, texts: Sequence[str], *, size: int = _TEXT, bold: bool = False, color: Color = _INK) -> None:
        """Add a row of the table."""
        for left, text in zip(_COLUMNS, texts, strict=True):
            self.lines.append((left, self.height, _printable(text), color, _font(size, bold=bold)))
        self.height += round(1.35 * size)

    def drawn(self) -> Image.Image:
        """Return the lines as a picture."""
        image = Image.new("RGB", (self.width, self.height + 4), _WHITE)
        draw = ImageDraw.Draw(image)
        for left, top, line, color, font in self.lines:
            draw.text((left, top), line, color, font)
        return image
