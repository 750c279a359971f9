"""A sheet, and what a case's objects are when they are read back."""

from typing import NamedTuple

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import Dataset

from dmdbt.dicom_output import write_dicom


class Written(NamedTuple):
    report: Dataset
    sheet: Dataset
    paths: list


@pytest.fixture
def sheet(tmp_path):
    """A picture of odd rows and columns."""
    pixels = np.random.default_rng(3).integers(0, 256, (51, 33, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "sheet.png")
    return tmp_path / "sheet.png"


@pytest.fixture
def written(tmp_path, sheet):
    """Write the objects of a view, and read them back."""

    def write(view, sources, folder="out", **options):
        paths = write_dicom(tmp_path / folder, "case", view, sheet, sources, **options)
        return Written(*map(pydicom.dcmread, paths), paths)

    return write


def code(item):
    """Scheme and value of a coded entry."""
    return item.CodingSchemeDesignator, item.CodeValue


def name(item):
    return code(item.ConceptNameCodeSequence[0])[1]


def value(item):
    """What a content item says: a number with its unit, a code, a text, or references with their frames."""
    if item.ValueType == "NUM":
        measured = item.MeasuredValueSequence[0]
        assert float(measured.NumericValue) == pytest.approx(measured.FloatingPointValue, rel=1e-9)
        return measured.FloatingPointValue, measured.MeasurementUnitsCodeSequence[0].CodeValue
    if item.ValueType == "CODE":
        return code(item.ConceptCodeSequence[0])
    if item.ValueType == "IMAGE":
        reference = item.ReferencedSOPSequence[0]
        return str(reference.ReferencedSOPInstanceUID), reference.get("ReferencedFrameNumber")
    return item.TextValue if item.ValueType == "TEXT" else str(item.UID)


def children(item, wanted):
    """Content items of one name, one level down."""
    return [child for child in item.get("ContentSequence", []) if name(child) == wanted]


def values(item, wanted):
    return [value(child) for child in children(item, wanted)]


def every_item(item):
    yield item
    for child in item.get("ContentSequence", []):
        yield from every_item(child)


def groups(report):
    """Measurement groups by the classifier that is their method."""
    (measurements,) = children(report, "126010")
    return {values(group, "370129005")[0][1]: group for group in children(measurements, "125007")}
