"""The feature maps of one image under one backbone: an HDF5 file. The only module that knows HDF5.

A file MUST hold

* one dataset ``maps``: float16, shape (N, C, H, W), one map per augmented copy, with a Fletcher-32 checksum;
* the root attributes ``format`` ("dmdbt features"), ``version`` (1), ``backbone`` (torchvision's name),
  ``weights_sha256``, ``input_sha256`` (of the image file), ``size`` (rows and columns of the input), ``copies``
  (their names, separated by blanks).

It MUST NOT hold external links, virtual datasets or times: equal features give equal bytes. A file is written under a
temporary name and renamed; it is never changed afterwards.
"""

from dataclasses import asdict, dataclass
from pathlib import Path

import h5py
import numpy as np

from dmdbt.errors import IntegrityError
from dmdbt.files import whole_file

_FORMAT, _VERSION = "dmdbt features", 1


@dataclass(frozen=True)
class Origin:
    """What feature maps were made from.

    Attributes
    ----------
    backbone
        torchvision's name of the architecture.
    weights_sha256, input_sha256
        Of the weights file and of the image file.
    size
        Rows and columns of the input.
    crop
        ``breast``: the input is the box around the breast; ``none``: the whole image.
    copies
        Names of the augmented copies.
    """

    backbone: str
    weights_sha256: str
    input_sha256: str
    size: int
    crop: str
    copies: tuple[str, ...]


def write_features(path: Path, maps: np.ndarray, origin: Origin) -> None:
    """Write feature maps.

    Parameters
    ----------
    path
        Ends in ``.h5``.
    maps
        float16, shape (N, C, H, W): one map per name in ``origin.copies``.
    origin
        Recorded beside the maps.
    """
    if maps.dtype != np.float16 or maps.ndim != 4 or len(maps) != len(origin.copies):
        expected = f"float16 ({len(origin.copies)}, C, H, W)"
        raise ValueError(f"write_features: expected {expected}, got {maps.dtype} {maps.shape}")
    attributes = {"format": _FORMAT, "version": _VERSION, **asdict(origin), "copies": " ".join(origin.copies)}
    with whole_file(path) as temporary, h5py.File(temporary, "w", track_order=True) as file:
        for name, value in attributes.items():
            file.attrs[name] = value
        file.create_dataset("maps", data=maps, chunks=maps.shape, fletcher32=True, track_times=False)


def read_features(path: Path) -> tuple[np.ndarray, Origin]:
    """Read feature maps and what they were made from.

    Returns
    -------
    maps : ndarray of float16, shape (N, C, H, W)
    origin : Origin

    Raises
    ------
    IntegrityError
        The file is missing, damaged, or not of this format and version.
    """
    try:
        with h5py.File(path, "r") as file:
            attributes = dict(file.attrs)
            found = (attributes.get("format"), attributes.get("version"))
            if found != (_FORMAT, _VERSION):
                raise _error(path, f"expected format {_FORMAT} {_VERSION}, found {found[0]} {found[1]}")
            maps = file["maps"][()]
            origin = Origin(
                backbone=str(attributes["backbone"]),
                weights_sha256=str(attributes["weights_sha256"]),
                input_sha256=str(attributes["input_sha256"]),
                size=int(attributes["size"]),
                crop=str(attributes["crop"]),
                copies=tuple(str(attributes["copies"]).split()),
            )
    except (OSError, KeyError) as exc:
        raise _error(path, f"expected an intact HDF5 file with feature maps, found {type(exc).__name__}") from exc
    if maps.dtype != np.float16 or maps.ndim != 4 or len(maps) != len(origin.copies):
        raise _error(path, f"expected float16 ({len(origin.copies)}, C, H, W), found {maps.dtype} {maps.shape}")
    return maps, origin


def _error(path: Path, cause: str) -> IntegrityError:
    remedy = "Delete the file and run the stage features again."
    return IntegrityError("FEATURES", file=f"{path.parent.name}/{path.name}", cause=cause, remedy=remedy)
