"""What this machine decodes: codecs of AVI files, and DICOM's transfer syntaxes."""

from dataclasses import dataclass

from av.codec import Codec
from av.codec.codec import UnknownCodecError
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID

AVI_CODECS = (
    *("rawvideo", "mjpeg", "png", "msrle", "mpeg4", "msmpeg4", "msmpeg4v1", "msmpeg4v2", "h264", "huffyuv"),
    *("ffvhuff", "ffv1", "cinepak", "msvideo1", "zlib", "utvideo", "lagarith"),
)


@dataclass(frozen=True)
class Syntax:
    """A DICOM transfer syntax.

    Attributes
    ----------
    uid, name
        As in PS3.6.
    plugin
        pydicom's name of the decoder; empty for pixels that are not compressed.
    packages
        What ``pip install`` needs for it.
    """

    uid: str
    name: str
    plugin: str = ""
    packages: tuple[str, ...] = ()


SYNTAXES: dict[str, Syntax] = {
    syntax.uid: syntax
    for syntax in (
        Syntax("1.2.840.10008.1.2", "Implicit VR Little Endian"),
        Syntax("1.2.840.10008.1.2.1", "Explicit VR Little Endian"),
        Syntax("1.2.840.10008.1.2.1.99", "Deflated Explicit VR Little Endian"),
        Syntax("1.2.840.10008.1.2.2", "Explicit VR Big Endian"),
        Syntax("1.2.840.10008.1.2.5", "RLE Lossless", "pylibjpeg", ("pylibjpeg", "pylibjpeg-rle")),
        Syntax("1.2.840.10008.1.2.4.50", "JPEG Baseline", "pillow", ("pillow",)),
        Syntax("1.2.840.10008.1.2.4.51", "JPEG Extended", "pylibjpeg", ("pylibjpeg", "pylibjpeg-libjpeg")),
        Syntax("1.2.840.10008.1.2.4.57", "JPEG Lossless", "gdcm", ("python-gdcm",)),
        Syntax("1.2.840.10008.1.2.4.70", "JPEG Lossless SV1", "gdcm", ("python-gdcm",)),
        Syntax("1.2.840.10008.1.2.4.80", "JPEG-LS Lossless", "pyjpegls", ("pyjpegls",)),
        Syntax("1.2.840.10008.1.2.4.81", "JPEG-LS Near Lossless", "pyjpegls", ("pyjpegls",)),
        Syntax("1.2.840.10008.1.2.4.90", "JPEG 2000 Lossless", "pillow", ("pillow",)),
        Syntax("1.2.840.10008.1.2.4.91", "JPEG 2000", "pillow", ("pillow",)),
    )
}
OPTIONAL = ("1.2.840.10008.1.2.4.51",)  # its decoder is under the GPL, thus not among the requirements


def is_available(syntax: Syntax) -> bool:
    """Whether this machine decodes a transfer syntax."""
    return not syntax.plugin or syntax.plugin in get_decoder(UID(syntax.uid)).available_plugins


def codec_available(name: str) -> bool:
    """Whether the FFmpeg that PyAV brings decodes a codec."""
    try:
        Codec(name, "r")
    except UnknownCodecError:
        return False
    return True
