"""Open a DICOM file: file meta information, transfer syntax, technical header, frames. Nothing is decoded here."""

import tempfile
import zlib
from pathlib import Path
from typing import BinaryIO, cast

from pydicom.filereader import read_dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian

from dmdbt.errors import InputDataError
from dmdbt.readers.closing import Opened
from dmdbt.readers.dicom.header import REMEDY, read_tags, strict
from dmdbt.readers.dicom.pixel_data import Frames, Layout, read_pixel_description
from dmdbt.readers.dicom.transfer_syntaxes import SYNTAXES, Syntax, is_available
from dmdbt.readers.limits import Limits, check_limit

_PREAMBLE, _PREFIX = 128, b"DICM"
# How a data set without preamble begins: groups 0002 or 0008 in little endian.
_BARE = (b"\x02\x00\x00\x00UL", b"\x08\x00\x05\x00", b"\x08\x00\x08\x00", b"\x08\x00\x16\x00")
_GIB = 1 << 30
_CHUNK = 1 << 20
_MOST_INFLATED = 100  # times what was read; images deflate to a tenth, and a bomb to a thousandth
_IN_MEMORY = 64 << 20  # of an inflated data set; what is beyond goes to a temporary file


def is_dicom(path: Path) -> bool:
    """Whether a file looks like DICOM, be it damaged or without its preamble; reads 132 bytes."""
    with path.open("rb") as stream:
        head = stream.read(_PREAMBLE + len(_PREFIX))
    return head[_PREAMBLE:] == _PREFIX or head.startswith(_BARE)


class DicomFile(Opened):
    """A DICOM file, open up to its pixels, and a context manager.

    Attributes
    ----------
    file
        Name of the file.
    syntax
        Its transfer syntax.
    tags
        The technical elements of its header.
    flags
        What is unusual and yet has one meaning: ``meta-length`` (a File Meta Information Group Length that is wrong),
        ``number-of-frames`` (0 for one frame), and those of `Frames`.

    Raises
    ------
    InputDataError
        No DICOM file, too large, a malformed header, or a transfer syntax that is not read.
    """

    def __init__(self, path: Path, limits: Limits) -> None:
        self.file = path.name
        self._limits = limits
        self.flags: set[str] = set()
        check_limit("file_gib", path.stat().st_size / _GIB, limits, what="GiB", file=self.file)
        self._stream: BinaryIO = path.open("rb")
        try:
            self.syntax = self._read_syntax()
            if "Deflated" in self.syntax.name:
                self._inflate()
            self.tags = read_tags(
                self._stream,
                implicit=self.syntax.name.startswith("Implicit"),
                little=not self.syntax.name.endswith("Big Endian"),
                file=self.file,
            )
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def layout(self) -> Layout:
        """Describe the pixels; InputDataError if the header contradicts itself."""
        self._check_end()
        if self.tags.integer("NumberOfFrames", 1) == 0:
            self.flags.add("number-of-frames")
        return read_pixel_description(self.tags, self.file)

    def frames(self, layout: Layout) -> Frames:
        """Find the frames.

        Raises
        ------
        InputDataError
            They are fewer or more than `layout` says, or this machine cannot decode them.
        """
        if not is_available(self.syntax):
            cause = f"expected a decoder of {self.syntax.name} ({self.syntax.uid}), found none"
            remedy = f"Run: pip install {' '.join(self.syntax.packages)}"
            raise InputDataError("DICOM-PLUGIN", file=self.file, cause=cause, remedy=remedy)
        return Frames(self._stream, layout, self.syntax, self.file, self.flags)

    def _check_end(self) -> None:
        """Tell a file that was cut off in its header from one without pixels; reading a header may run past the end."""
        position = self._stream.tell()
        size = self._stream.seek(0, 2)
        self._stream.seek(position)
        if position > size:
            raise self._error("DICOM-TRUNCATED", f"expected a header of {position} bytes or more", f"{size}")
        if position == size:
            raise self._error("DICOM-NO-PIXELS", "expected an element PixelData", "none")

    def _read_syntax(self) -> Syntax:
        """Read the file meta information (PS3.10, 7.1); the stream is left at the data set."""
        if self._stream.read(_PREAMBLE + len(_PREFIX))[_PREAMBLE:] != _PREFIX:
            raise self._error("DICOM-UNREADABLE", "expected a DICOM file with preamble", "something else")
        with strict(self.file, "file meta information according to PS3.10"):
            meta = read_dataset(
                self._stream,
                is_implicit_VR=False,
                is_little_endian=True,
                stop_when=lambda tag, _vr, _length: tag.group != 2,
                defer_size=_CHUNK,
                specific_tags=[0x00020000, 0x00020010],
            )
            uid = str(meta.get("TransferSyntaxUID", "none"))
            if "FileMetaInformationGroupLength" in meta:
                stated = _PREAMBLE + len(_PREFIX) + 12 + int(meta.FileMetaInformationGroupLength)
                if uid == DeflatedExplicitVRLittleEndian:  # what follows may look like an element by chance
                    self._stream.seek(stated)
                elif stated != self._stream.tell():
                    self.flags.add("meta-length")
        if uid not in SYNTAXES:
            names = ", ".join(syntax.name for syntax in SYNTAXES.values())
            remedy = f"Export the image again in one of: {names}."
            raise self._error("DICOM-SYNTAX", "expected a transfer syntax that is read", uid, remedy)
        return SYNTAXES[uid]

    def _inflate(self) -> None:
        """Decompress a deflated data set (PS3.5, A.5), no further than the limit of a file."""
        inflated = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 it replaces the stream
        with self._stream as compressed:
            self._stream = cast(BinaryIO, inflated)
            engine = zlib.decompressobj(-zlib.MAX_WBITS)
            try:
                while not engine.eof and (chunk := engine.unconsumed_tail or compressed.read(_CHUNK)):
                    inflated.write(engine.decompress(chunk, _CHUNK))
                    size = inflated.tell() / _GIB
                    check_limit("file_gib", size, self._limits, what="GiB when inflated", file=self.file)
                    if inflated.tell() > max(_IN_MEMORY, _MOST_INFLATED * compressed.tell()):
                        expected = f"expected a data set of at most {_MOST_INFLATED} times its compressed size"
                        raise self._error("TOO-LARGE", expected, "more")
            except zlib.error as exc:
                raise self._error("DICOM-TRUNCATED", "expected a deflated data set", "damage") from exc
        if not engine.eof:
            raise self._error("DICOM-TRUNCATED", "expected the end of a deflated data set", "the end of the file")
        inflated.seek(0)

    def _error(self, code: str, expected: str, found: str, remedy: str = REMEDY) -> InputDataError:
        return InputDataError(code, file=self.file, cause=f"{expected}, found {found}", remedy=remedy)
