"""DICOM objects of a prediction for an archive: the numbers as a Structured Report, the sheet as a Secondary Capture.

They need ``highdicom``, which only this room imports, and only when it writes: ``pip install 'dmdbt[dicom]'``.
"""

from dmdbt.dicom_output.writing import write_dicom

__all__ = ["write_dicom"]
