"""The feature maps of one image under one backbone: an HDF5 file. The only module that knows HDF5.

A file MUST hold

* one dataset ``maps``: float16, shape (N, C, H, W), one map per augmented copy. A chunk is one copy, (1, C, H, W), so
  that a copy can be read alone; every chunk is there, and went through Blosc (LZ4, bytes shuffled: feature maps are
  mostly zeros) and then Fletcher-32;
* the root attributes ``format`` ("dmdbt features"), ``version`` (3), ``backbone`` (torchvision's name), ``layer`` (the
  last module, whose output the maps are), ``weights_sha256``, ``input_sha256`` (of the image file), ``size`` (rows and
  columns of the input), ``crop`` ("breast" or "none"), ``copies`` (their names, separated by blanks), ``device`` ("cpu"
  or another kind that torch knows) and ``precision`` ("float32" or "float16"), on and in which the backbone computed.
  Numbers are 64-bit integers, texts ASCII of fixed length, which HDF5 keeps under a checksum.

It MUST NOT hold anything else, links to other files, external or virtual storage, or times: equal features give equal
bytes, on one thread or many. A file is composed in memory, because HDF5 may crash where a disk is full, written under a
temporary name and renamed; it is never changed afterwards.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np

from dmdbt.errors import IntegrityError
from dmdbt.files import other_format, whole_file

_FORMAT: dict[str, str | int] = {"format": "dmdbt features", "version": 3}
_COMPRESSION = hdf5plugin.Blosc(cname="lz4", clevel=5, shuffle=hdf5plugin.Blosc.SHUFFLE)
_FILTERS = [_COMPRESSION.filter_id, h5py.h5z.FILTER_FLETCHER32]
_NO_BLOSC = 1  # bit of a chunk that Blosc would have made longer
_HDF5_VERSION = ("v110", "v110")  # the oldest layout of files that has checksums on all that it says of the maps
_VALUES = {  # what a text must match as a whole
    "backbone": r"[a-z]\w*",
    "layer": r"[a-z][\w.]*",
    "weights_sha256": "[0-9a-f]{64}",
    "input_sha256": "[0-9a-f]{64}",
    "size": "[1-9][0-9]*",
    "crop": "breast|none",
    "copies": r"\w+( \w+)*",
    "device": "[a-z][a-z-]*",
    "precision": "float32|float16",
}


@dataclass(frozen=True)
class Provenance:
    """Origin of feature maps: the attributes of a file, by their names.

    With the `crop` ``breast`` the input is the box around the breast, with ``none`` the whole image.
    """

    backbone: str
    layer: str
    weights_sha256: str
    input_sha256: str
    size: int
    crop: str
    copies: tuple[str, ...]
    device: str = "cpu"
    precision: str = "float32"


def write_features(path: Path, maps: np.ndarray, origin: Provenance) -> None:
    """Write feature maps, float16 of shape (N, C, H, W): one map per name in ``origin.copies``.

    Raises
    ------
    ValueError
        The maps or an attribute of `origin` are not what the format says.
    """
    if maps.dtype != np.float16 or maps.ndim != 4 or maps.size == 0 or len(maps) != len(origin.copies):
        expected = f"float16 ({len(origin.copies)}, C, H, W)"
        raise ValueError(f"write_features: expected {expected}, got {maps.dtype} {maps.shape}")
    attributes = asdict(origin) | {"copies": " ".join(origin.copies)}
    for name, value in attributes.items():
        if not _is_sane(name, value):
            raise ValueError(f"write_features: expected {name} to match {_VALUES[name]}, got {value!r}")
    content = _composed(maps, {**_FORMAT, **attributes})
    with whole_file(path) as temporary:
        temporary.write_bytes(content)


def read_features(path: Path) -> tuple[np.ndarray, Provenance]:
    """Read feature maps, float16 of shape (N, C, H, W), and what they were made from.

    Raises
    ------
    IntegrityError
        The file is missing, damaged, or not of this format and version.
    """
    with _opened(path) as file:
        origin = _origin(path, file.attrs)
        return _dataset(path, file, len(origin.copies))[()], origin


def read_provenance(path: Path) -> tuple[Provenance, tuple[int, int, int]]:
    """Return what feature maps were made from, and the shape (C, H, W) of one; checks all that needs no map read.

    Raises
    ------
    IntegrityError
        As `read_features`.
    """
    with _opened(path) as file:
        origin = _origin(path, file.attrs)
        channels, rows, columns = _dataset(path, file, len(origin.copies)).shape[1:]
        return origin, (channels, rows, columns)


def read_copy(path: Path, copy: int) -> np.ndarray:
    """Read the map of one copy, float16 of shape (C, H, W), of a file that `read_provenance` has checked.

    A third of the time of `read_features` for a small map: the attributes are not looked at again, the checksum is.

    Raises
    ------
    IntegrityError
        The file is missing or damaged.
    """
    with _opened(path) as file:
        maps: np.ndarray = file["maps"][copy]
        return maps


def _composed(maps: np.ndarray, attributes: dict[str, str | int]) -> bytes:
    """The bytes of an HDF5 file."""
    with h5py.File.in_memory(libver=_HDF5_VERSION) as file:
        for name, value in attributes.items():
            _attach(file, name, np.bytes_(value.encode("ascii")) if isinstance(value, str) else np.int64(value))
        chunks = (1, *maps.shape[1:])
        file.create_dataset("maps", data=maps, chunks=chunks, track_times=False, fletcher32=True, **_COMPRESSION)
        file.flush()
        content: bytes = file.id.get_file_image()
    return content


def _attach(file: h5py.File, name: str, value: np.generic) -> None:
    """Read attributes in a fifth of the time of `h5py.AttributeManager`, which matters for small maps."""
    space, kind = h5py.h5s.create(h5py.h5s.SCALAR), h5py.h5t.py_create(value.dtype)
    h5py.h5a.create(file.id, name.encode(), kind, space).write(np.asarray(value))


@contextmanager
def _opened(path: Path) -> Iterator[h5py.File]:
    """Name the file in the messages of HDF5 about damage."""
    try:
        with h5py.File(path, "r", locking=False) as file:  # it is never changed, and not every file system has locks
            yield file
    except (OSError, KeyError, RuntimeError) as exc:
        raise _error(path, f"expected an intact HDF5 file with feature maps, found {type(exc).__name__}") from exc


def _origin(path: Path, attributes: h5py.AttributeManager) -> Provenance:
    """Check every attribute."""
    found: dict[str, Any] = {name: _plain(attributes[name]) for name in attributes}
    if cause := other_format(found, _FORMAT):
        raise _error(path, cause)
    for name in _VALUES:
        if not _is_sane(name, found.get(name)):
            raise _error(path, f"expected an attribute {name} that matches {_VALUES[name]}, found {found.get(name)!r}")
    values = {name: found[name] for name in _VALUES}
    return Provenance(**values | {"copies": tuple(values["copies"].split())})


def _plain(value: object) -> str | int | None:
    """A text or a number as Python knows it; None for anything else."""
    if isinstance(value, bytes) and value.isascii():
        value = value.decode("ascii")
    if isinstance(value, str):
        return value
    return int(value) if isinstance(value, np.integer) else None


def _is_sane(name: str, value: str | int | None) -> bool:
    if not isinstance(value, int if name == "size" else str) or not re.fullmatch(_VALUES[name], str(value), re.ASCII):
        return False
    names = str(value).split()
    return len(set(names)) == len(names)


def _dataset(path: Path, file: h5py.File, n_copies: int) -> h5py.Dataset:
    """Check where and how the maps are stored, before any of them is read."""
    if list(file) != ["maps"] or not isinstance(file.get("maps", getlink=True), h5py.HardLink):
        raise _error(path, f"expected maps in the file itself and nothing else, found {sorted(file)} or a link")
    dataset = file["maps"]
    if not isinstance(dataset, h5py.Dataset) or dataset.is_virtual or dataset.external:
        raise _error(path, "expected a dataset of maps without external or virtual storage, found another thing")
    if dataset.dtype != np.float16 or dataset.ndim != 4 or len(dataset) != n_copies or dataset.size == 0:
        raise _error(path, f"expected float16 ({n_copies}, C, H, W), found {dataset.dtype} {dataset.shape}")
    properties = dataset.id.get_create_plist()
    filters = [properties.get_filter(index)[0] for index in range(properties.get_nfilters())]
    if dataset.chunks != (1, *dataset.shape[1:]) or filters != _FILTERS:
        expected = f"one chunk per copy with the filters {_FILTERS}"
        raise _error(path, f"expected {expected}, found chunks {dataset.chunks} with {filters}")
    # What was never written reads as zeros, and what skipped the checksum may read as anything.
    unfiltered = [dataset.id.get_chunk_info(index).filter_mask for index in range(dataset.id.get_num_chunks())]
    if len(unfiltered) != n_copies or not set(unfiltered) <= {0, _NO_BLOSC}:
        raise _error(path, f"expected {n_copies} chunks with a checksum, found {len(unfiltered)}, or one without")
    return dataset


def _error(path: Path, cause: str) -> IntegrityError:
    remedy = "Delete the file and run the stage features again."
    return IntegrityError("FEATURES", file=f"{path.parent.name}/{path.name}", cause=cause, remedy=remedy)
