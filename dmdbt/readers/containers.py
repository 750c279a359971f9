"""Which container a file is, by its first bytes: a name tells what somebody meant, not what is there."""

import re
from pathlib import Path
from typing import Literal

from dmdbt.readers.dicom.file import is_dicom

Container = Literal["avi", "dicom", "metaimage", "image", "unknown"]

_HEAD = 4096  # bytes, more than any signature reaches
_IMAGES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"II*\0", b"MM\0*")  # JPEG, PNG, TIFF of either byte order
_METAIMAGE = re.compile(rb"\A\s*(?=[A-Za-z]\w*[ \t]*=)(?s:.*)\bNDims[ \t]*=")


def container(path: Path) -> Container:
    """Return the container of a file; ``unknown`` also for one that is empty or cannot be opened, or is a pipe."""
    if not path.is_file():
        return "unknown"
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
        dicom = is_dicom(path)
    except OSError:
        return "unknown"
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return "avi"
    if dicom:
        return "dicom"
    if head.startswith(_IMAGES):
        return "image"
    return "metaimage" if _METAIMAGE.match(head) else "unknown"


def visible_entries(folder: Path) -> list[Path]:
    """Return what a folder holds, sorted by name, but for names that start with a dot.

    Such files are what macOS and file managers leave behind; they are ignored everywhere.
    """
    return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
