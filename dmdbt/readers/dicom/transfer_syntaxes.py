"""The transfer syntaxes that are read, each with the one decoder that is trusted with it.

pydicom by itself tries one plugin after another, so that one may decode in silence what another has refused.
"""

from dataclasses import dataclass

from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID


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


_JPEG_LS = ("pyjpegls",)
_RLE = ("pylibjpeg", "pylibjpeg-rle")
_EXTENDED = ("pylibjpeg", "pylibjpeg-libjpeg")  # under the GPL, thus not among the requirements

SYNTAXES: dict[str, Syntax] = {
    syntax.uid: syntax
    for syntax in (
        Syntax("1.2.840.10008.1.2", "Implicit VR Little Endian"),
        Syntax("1.2.840.10008.1.2.1", "Explicit VR Little Endian"),
        Syntax("1.2.840.10008.1.2.1.99", "Deflated Explicit VR Little Endian"),
        Syntax("1.2.840.10008.1.2.2", "Explicit VR Big Endian"),
        Syntax("1.2.840.10008.1.2.5", "RLE Lossless", "pylibjpeg", _RLE),
        Syntax("1.2.840.10008.1.2.4.50", "JPEG Baseline", "pillow", ("pillow",)),
        Syntax("1.2.840.10008.1.2.4.51", "JPEG Extended", "pylibjpeg", _EXTENDED),
        Syntax("1.2.840.10008.1.2.4.57", "JPEG Lossless", "gdcm", ("python-gdcm",)),
        Syntax("1.2.840.10008.1.2.4.70", "JPEG Lossless SV1", "gdcm", ("python-gdcm",)),
        Syntax("1.2.840.10008.1.2.4.80", "JPEG-LS Lossless", "pyjpegls", _JPEG_LS),
        Syntax("1.2.840.10008.1.2.4.81", "JPEG-LS Near Lossless", "pyjpegls", _JPEG_LS),
        Syntax("1.2.840.10008.1.2.4.90", "JPEG 2000 Lossless", "pillow", ("pillow",)),
        Syntax("1.2.840.10008.1.2.4.91", "JPEG 2000", "pillow", ("pillow",)),
    )
}


def is_available(syntax: Syntax) -> bool:
    """Whether this machine decodes a transfer syntax."""
    return not syntax.plugin or syntax.plugin in get_decoder(UID(syntax.uid)).available_plugins
