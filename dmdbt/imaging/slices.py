"""The decoded slices of one volume: a folder of numbered JPEG files and a manifest.

A folder MUST hold ``manifest.json`` with ``format`` ("dmdbt slices"), ``version`` (1), ``rows``, ``columns``,
``provenance``, and ``slices``: the name and SHA-256 of every file, in slice order. A folder without a manifest, or
with a file that differs from it in content, size or type, is not read.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dmdbt.errors import IntegrityError
from dmdbt.files import other_format, sha256, whole_folder, write_json
from dmdbt.imaging.images import read_gray, write_gray
from dmdbt.imaging.volume import MIN_SLICES, Volume

_FORMAT = {"format": "dmdbt slices", "version": 1}
_REMEDY = "Run the stage decode again."


def write_slices(volume: Volume, folder: Path, *, quality: int) -> None:
    """Write every slice of a volume as ``0001.jpg``, ``0002.jpg``, ...; the folder appears whole or not at all.

    Parameters
    ----------
    volume
        Yields uint8 slices of shape (H, W).
    folder
        Replaced if it exists.
    quality
        Of the JPEG files, 1 to 100.
    """
    with whole_folder(folder) as temporary:
        entries = []
        for number, image in enumerate(volume, start=1):
            path = temporary / f"{number:04d}.jpg"
            write_gray(path, image, quality=quality)
            entries.append({"file": path.name, "sha256": sha256(path)})
        manifest = {
            **_FORMAT,
            "rows": volume.rows,
            "columns": volume.columns,
            "provenance": volume.provenance,
            "slices": entries,
        }
        write_json(temporary / "manifest.json", manifest)


def read_slices(folder: Path, chosen: Sequence[int] | None = None) -> np.ndarray:
    """Read what `write_slices` wrote.

    Parameters
    ----------
    folder
        Of the volume.
    chosen
        Indices of the slices to read, from 0, in this order; all of them without it. No other file is opened.

    Returns
    -------
    ndarray of uint8, shape (T, H, W)
        In slice order, or in that of `chosen`.

    Raises
    ------
    IntegrityError
        There is no manifest of this format, it lists fewer than two slices, or a file is missing or differs from it.
    """
    manifest = _read_manifest(folder)
    shape = manifest["rows"], manifest["columns"]
    entries = manifest["slices"] if chosen is None else [manifest["slices"][index] for index in chosen]
    slices = np.empty((len(entries), *shape), np.uint8)
    for index, entry in enumerate(entries):
        slices[index] = _read_slice(folder / entry["file"], entry["sha256"], shape)
    return slices


def slices_shape(folder: Path) -> tuple[int, int, int]:
    """Return (T, H, W) of what `write_slices` wrote, by its manifest; IntegrityError as `read_slices`."""
    manifest = _read_manifest(folder)
    return len(manifest["slices"]), manifest["rows"], manifest["columns"]


def slices_provenance(folder: Path) -> dict[str, str | int]:
    """Return how the volume was stored that `write_slices` wrote, by its manifest; IntegrityError as `read_slices`."""
    provenance: dict[str, str | int] = _read_manifest(folder)["provenance"]
    return provenance


def _read_manifest(folder: Path) -> dict[str, Any]:
    path = folder / "manifest.json"
    if not path.is_file():
        raise IntegrityError("SLICES-MISSING", file=path.name, cause="expected a manifest, found none", remedy=_REMEDY)
    manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if cause := other_format(manifest, _FORMAT):
        raise IntegrityError("SLICES-FORMAT", file=path.name, cause=cause, remedy=_REMEDY)
    if len(manifest["slices"]) < MIN_SLICES:
        cause = f"expected at least {MIN_SLICES} slices, found {len(manifest['slices'])}"
        raise IntegrityError("SLICES-FEW", file=path.name, cause=cause, remedy=_REMEDY)
    return manifest


def _read_slice(file: Path, digest: str, shape: tuple[int, int]) -> np.ndarray:
    if not file.is_file() or sha256(file) != digest:
        cause = f"expected the SHA-256 {digest[:12]}... of the manifest, found another or no file"
        raise IntegrityError("SLICES-CHANGED", file=file.name, cause=cause, remedy=_REMEDY)
    image = read_gray(file)
    if image.dtype != np.uint8 or image.shape != shape:
        cause = f"expected uint8 {shape} as in the manifest, found {image.dtype} {image.shape}"
        raise IntegrityError("SLICES-SIZE", file=file.name, cause=cause, remedy=_REMEDY)
    return image
