"""Write the report and the sheet of a case as DICOM files, into the study of the images that they were made from."""

from collections.abc import Sequence
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path

from dmdbt.dicom_output.sources import read_sources
from dmdbt.errors import SystemResourceError
from dmdbt.files import whole_file
from dmdbt.readers.limits import Limits
from dmdbt.viewer.view import CaseView

_DEFAULT = Limits()


def write_dicom(
    folder: Path,
    stem: str,
    view: CaseView,
    sheet: Path,
    sources: Sequence[Path],
    *,
    created: datetime | None = None,
    limits: Limits = _DEFAULT,
) -> list[Path]:
    """Write ``<stem>-report.dcm``, a Comprehensive 3D SR, and ``<stem>-sheet.dcm``, a Secondary Capture.

    Both belong to the patient and the study of `sources`, each in a series of its own, and refer to every DICOM file of
    them. Name, identifiers and dates of patient and study stand in these two files because an archive files them by
    these, and in nothing else that this project writes. An element that is not legal DICOM is left empty.

    Equal arguments give equal bytes, and the UIDs depend on the sources and the content: another number, picture or
    time gives another object.

    Parameters
    ----------
    folder, stem
        Where to write; the caller sees to it that `stem` is the name of a file.
    view
        The case. Its file names are not written.
    sheet
        A picture that Pillow reads, such as ``sheet.png``. It is taken to show the case id, so that the object
        states Burned In Annotation.
    sources
        Paths of the mammogram and the volume: files, or a folder of single slices. What is no DICOM file has no
        reference, which the report says.
    created
        Content Date and Time, in local time. None: date and time of the study, and the year 1900 where it has none,
        so that the clock is never read.
    limits
        As the sources were read.

    Returns
    -------
    list of Path
        The report and the sheet.

    Raises
    ------
    InputDataError
        ``DICOM-NO-SOURCE``: none of `sources` is a DICOM file. ``DICOM-OTHER-STUDY``: they belong to two studies or
        patients. ``DICOM-REFERENCE``: one lacks its UIDs.
    SystemResourceError
        highdicom is not installed.
    ValueError
        `view` has no probability, or evidence of another number of slices than the DICOM volume has.
    """
    if find_spec("highdicom") is None:
        raise SystemResourceError("expected highdicom to write DICOM, found none. Run: pip install 'dmdbt[dicom]'")
    from dmdbt.dicom_output.objects import report_object, sheet_object

    found = read_sources(sources, limits)
    picture = sheet_object(sheet, view, found, created)
    objects = {"report": report_object(view, found, picture, created), "sheet": picture}
    paths = [folder / f"{stem}-{name}.dcm" for name in objects]
    for path, dataset in zip(paths, objects.values(), strict=True):
        with whole_file(path) as temporary:
            dataset.save_as(temporary, enforce_file_format=True)
    return paths
