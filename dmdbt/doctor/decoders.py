"""What this machine decodes: codecs of AVI files, and DICOM's transfer syntaxes."""

from av.codec import Codec
from av.codec.codec import UnknownCodecError

from dmdbt.readers.avi.volume import CODECS as AVI_CODECS
from dmdbt.readers.dicom import SYNTAXES, is_available

__all__ = ["AVI_CODECS", "OPTIONAL", "SYNTAXES", "codec_available", "is_available"]

OPTIONAL = ("1.2.840.10008.1.2.4.51",)  # its decoder is under the GPL, thus not among the requirements


def codec_available(name: str) -> bool:
    """Whether the FFmpeg that PyAV brings decodes a codec."""
    try:
        Codec(name, "r")
    except UnknownCodecError:
        return False
    return True
