"""Tomosynthesis volumes stored as a folder of slice images, ordered by the number in their names."""

import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from dmdbt.errors import InputDataError
from dmdbt.readers.closing import Opened
from dmdbt.readers.limits import Limits, check_limit, check_volume_size
from dmdbt.readers.other.jpeg import luma
from dmdbt.readers.other.stored import GRAY_MODES, stored_pixels, stored_samples, stored_size

_FORMATS = ("JPEG", "PNG", "TIFF")
_REMEDY = "Export the slices again, one 8-bit gray JPEG, PNG or TIFF each."
_NAMES_REMEDY = "Name the slices alike but for one number that counts without a gap, such as 001.png, 002.png."


class ImageFolderVolume(Opened):
    """A folder of slice images as a `dmdbt.readers.Volume`, and a context manager; holds one slice at a time.

    The slices are ordered by number, not by text: 2 comes before 10, with or without leading zeros. The names differ
    in one number only, and it counts without a gap, so that a lost slice is noticed.

    JPEG has no checksum: damage within its data is noticed where libjpeg warns of it, or the data end early or late.

    Flags: ``starts-late``, the first number is neither 0 nor 1; ``orientation-tag``, a viewer would turn the image,
    which is not done here: it is read as stored.

    Parameters
    ----------
    files
        The slices of one folder, in any order, at least one; the folder names the volume in errors.
    limits
        What is too large.

    Raises
    ------
    InputDataError
        At opening: the names give no order, or the volume is too large. While iterating: a slice is damaged, has
        colors or more than 8 bits, or another size than the first.
    """

    def __init__(self, files: Sequence[Path], limits: Limits) -> None:
        self._limits, folder = limits, files[0].parent
        numbers = _slice_numbers(folder, files)
        self._files = [path for _, path in sorted(zip(numbers, files, strict=True))]
        size = sum(path.stat().st_size for path in files) / 2**30
        check_limit("file_gib", size, limits, what="GiB", file=folder.name)
        self.n_slices = len(self._files)
        with _opened(self._files[0], limits) as first:
            self.rows, self.columns = stored_size(first)
            codec = str(first.format).lower()
        check_volume_size(self.n_slices, self.rows, self.columns, limits, file=folder.name)
        self.provenance: dict[str, str | int] = {
            "container": "folder of images",
            "codec": codec,
            "slice_order": "number in the file name",
        }
        self.flags: list[str] = ["starts-late"] if min(numbers) > 1 else []

    def __iter__(self) -> Iterator[np.ndarray]:
        """Yield uint8 slices of shape (H, W), by ascending number."""
        for path in self._files:
            image, asks_to_turn = _read_slice(path, (self.rows, self.columns), self._limits)
            if asks_to_turn and "orientation-tag" not in self.flags:
                self.flags.append("orientation-tag")
            yield image


def _slice_numbers(folder: Path, files: Sequence[Path]) -> list[int]:
    """Return the number of every slice: the only part in which the names differ."""
    parts = [re.split(r"(\d+)", path.name) for path in files]  # text and digits in turn
    if len({tuple(part[::2]) for part in parts}) > 1:
        raise _order_error(folder, "expected names that differ in one number, found other differences")
    columns = [column for column in list(zip(*parts, strict=True))[1::2] if len(set(column)) > 1]
    if len(files) == 1:
        return [1]
    if len(columns) != 1:
        raise _order_error(folder, f"expected names that differ in one number, found {len(columns)} that differ")
    numbers = [int(text) for text in columns[0]]
    expected = set(range(min(numbers), min(numbers) + len(numbers)))
    if set(numbers) != expected:
        lost = min(expected - set(numbers))
        raise _order_error(folder, f"expected slices numbered without a gap, found none with number {lost}")
    return numbers


def _order_error(folder: Path, cause: str) -> InputDataError:
    return InputDataError("FOLDER-ORDER", file=folder.name, cause=cause, remedy=_NAMES_REMEDY)


@contextmanager
def _opened(path: Path, limits: Limits) -> Iterator[Image.Image]:
    """Open an image, of which nothing but the header is read."""
    with _reading(path, limits), path.open("rb") as stream, Image.open(stream, formats=_FORMATS) as image:
        yield image


@contextmanager
def _reading(path: Path, limits: Limits) -> Iterator[None]:
    """Refuse an image that Pillow takes for too large, raises anything over, or warns of."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            yield
    except (InputDataError, MemoryError):
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as exc:
        cause = f"expected megapixels per slice up to {limits.slice_megapixels:g} (slice_megapixels), found far more"
        raise InputDataError("TOO-LARGE", file=path.name, cause=cause, remedy=_REMEDY) from exc
    except Exception as exc:  # a damaged file makes Pillow raise whatever it likes
        cause = f"expected a whole JPEG, PNG or TIFF image, found a damaged one ({type(exc).__name__})"
        raise InputDataError("SLICE-UNREADABLE", file=path.name, cause=cause, remedy=_REMEDY) from exc


def _read_slice(path: Path, shape: tuple[int, int], limits: Limits) -> tuple[np.ndarray, bool]:
    """Return the pixels and whether a tag asks to turn them."""
    with _opened(path, limits) as image:
        image.verify()  # the checksums of a PNG, which are not looked at when it is decoded
    with _opened(path, limits) as image:
        _check_header(path, image, shape)
        pixels, asks_to_turn = stored_pixels(image) if image.mode in GRAY_MODES else (None, False)
        if pixels is None:
            cause = f"expected gray pixels, found mode {image.mode} with colors or transparency"
            raise InputDataError("SLICE-COLOR", file=path.name, cause=cause, remedy=_REMEDY)
        if image.format == "JPEG":
            gray = luma(path.read_bytes())  # of colors that are gray for the checks only
            pixels = gray if image.mode == "L" else pixels
        return pixels, asks_to_turn


def _check_header(path: Path, image: Image.Image, shape: tuple[int, int]) -> None:
    found = stored_size(image)
    if found != shape:
        cause = f"expected {shape[0]} x {shape[1]} pixels as in the first slice, found {found[0]} x {found[1]}"
        raise InputDataError("SLICE-SIZE", file=path.name, cause=cause, remedy=_REMEDY)
    if (frames := getattr(image, "n_frames", 1)) != 1:
        cause = f"expected one image per file, found {frames}"
        raise InputDataError("SLICE-FRAMES", file=path.name, cause=cause, remedy=_REMEDY)
    bits, samples = stored_samples(image, path)
    if image.mode.startswith(("1", "I", "F")) or not 0 < bits <= 8:
        cause = f"expected 8 bits per pixel without sign, found {samples}, whose mapping to gray levels nobody knows"
        raise InputDataError("SLICE-BITS", file=path.name, cause=cause, remedy=_REMEDY)
