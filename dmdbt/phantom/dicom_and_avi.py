"""Write simulated images as a clinic exports them. The only module here that knows DICOM and video.

Neither a file's name nor its header tells the label, the finding or its look.
"""

import hashlib
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from av.video.stream import VideoStream
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, DigitalMammographyXRayImageStorageForPresentation, ExplicitVRLittleEndian

from dmdbt.files import whole_file
from dmdbt.phantom.anatomy import SOURCE_MM, SUPPORT_MM
from dmdbt.phantom.imaging import GRAY_LEVELS_DM, ImagePair, image_pair
from dmdbt.phantom.patients import Patient, PhantomSettings
from dmdbt.terms import Laterality, View

FRAMES_PER_SECOND = 10
MJPEG_QUALITY = 2  # Scale of the quantization tables of motion JPEG, from 1 (best) to 31.

_IMPLEMENTATION = "dmdbt phantom 1"
# SNOMED CT codes of DICOM PS3.16, CID 4014 (view) and CID 4013 (anatomic region).
_VIEW_CODES = {View.CC: ("399162004", "cranio-caudal"), View.MLO: ("399368009", "medio-lateral oblique")}

Row = dict[str, str | int | float]


def write_patient(patient: Patient, settings: PhantomSettings, folder: Path) -> list[tuple[Row, Row]]:
    """Image all views of a patient and write ``dm/<case>.dcm`` and ``dbt/<case>.avi`` into a cohort's folder.

    Return the rows of each pair in ``cases.csv`` and in ``truth.csv``: what was simulated, which no training may see.
    """
    return [_write_pair(patient, view, settings, folder) for view in patient.views]


def _write_pair(patient: Patient, view: View, settings: PhantomSettings, folder: Path) -> tuple[Row, Row]:
    pair = image_pair(patient, view, settings)
    case_id = patient.case_id(view)
    dm, dbt = f"dm/{case_id}.dcm", f"dbt/{case_id}.avi"
    write_mammogram(folder / dm, pair, patient, view)
    write_volume(folder / dbt, pair.slices, codec=settings.codec)
    case: Row = {
        "patient_id": patient.patient_id,
        "laterality": str(patient.laterality),
        "view": str(view),
        "label": str(patient.label),
        "dm": dm,
        "dbt": dbt,
        "case_id": case_id,
    }
    truth: Row = {
        "case_id": case_id,
        "label": str(patient.label),
        "look": str(patient.look),
        "finding": str(patient.finding),
        "radius_mm": round(patient.radius_mm, 3),
        "row": round(pair.finding_row, 5),
        "column": round(pair.finding_column, 5),
        "slice": pair.finding_slice + 1,
        "slices": len(pair.slices),
        "thickness_mm": round(patient.thickness_mm, 3),
        "density": round(patient.density, 5),
    }
    return case, truth


def write_volume(path: Path, slices: npt.NDArray[np.uint8], *, codec: str) -> None:
    """Write slices as an AVI: equal slices give equal bytes.

    Parameters
    ----------
    path
        File to write.
    slices
        Gray values, shape (T, H, W).
    codec
        ``mjpeg``: full-range luma, whose rounding in the JPEG is the only loss; ``ffv1`` and ``raw``: exact.
    """
    name, pixel_format = {"mjpeg": ("mjpeg", "yuvj420p"), "ffv1": ("ffv1", "gray"), "raw": ("rawvideo", "gray")}[codec]
    with (
        whole_file(path) as temporary,
        av.open(str(temporary), "w", format="avi", options={"fflags": "+bitexact"}) as container,
    ):
        stream = container.add_stream(name, rate=FRAMES_PER_SECOND)
        assert isinstance(stream, VideoStream)
        stream.height, stream.width = slices.shape[1:]
        stream.pix_fmt = pixel_format
        stream.codec_context.thread_count = 1
        # Without bitexact the encoder and the container sign with the version of the library.
        stream.codec_context.options = {"flags": "+bitexact"}
        if codec == "mjpeg":
            stream.codec_context.qmin = stream.codec_context.qmax = MJPEG_QUALITY
        for image in slices:
            container.mux(stream.encode(_frame(image, pixel_format)))
        container.mux(stream.encode(None))


def _frame(image: npt.NDArray[np.uint8], pixel_format: str) -> av.VideoFrame:
    rows, columns = image.shape
    frame = av.VideoFrame(columns, rows, pixel_format)
    luma = frame.planes[0]
    padded = np.zeros((rows, luma.line_size), np.uint8)
    padded[:, :columns] = image
    luma.update(padded.tobytes())
    for chroma in frame.planes[1:]:
        chroma.update(bytes([128]) * chroma.buffer_size)
    return frame


def write_mammogram(path: Path, pair: ImagePair, patient: Patient, view: View) -> None:
    """Write a mammogram as Digital Mammography X-Ray Image Storage - For Presentation (PS3.3 A.26)."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.ImplementationClassUID = _uid(_IMPLEMENTATION)
    _add_patient_and_study(dataset, patient, view)
    _add_equipment(dataset)
    _add_acquisition(dataset, pair, patient, view)
    _add_image(dataset, pair)
    with whole_file(path) as temporary:
        dataset.save_as(temporary, enforce_file_format=True)


def _uid(*parts: object) -> UID:
    """Return a UID (PS3.5 B.2) that depends on nothing but the parts."""
    digest = hashlib.sha256(" ".join(map(str, parts)).encode()).digest()
    return UID(f"2.25.{int.from_bytes(digest[:16], 'big')}")


def _add_patient_and_study(dataset: Dataset, patient: Patient, view: View) -> None:
    dataset.SOPClassUID = DigitalMammographyXRayImageStorageForPresentation
    dataset.SOPInstanceUID = _uid("image", patient.seed, patient.index, view)
    dataset.PatientID = patient.patient_id
    dataset.PatientName = f"Phantom^{patient.patient_id}"
    dataset.PatientBirthDate = ""
    dataset.PatientSex = "F"
    dataset.PatientIdentityRemoved = "YES"
    dataset.DeidentificationMethod = "Simulated patient"
    dataset.StudyInstanceUID = _uid("study", patient.seed, patient.index)
    dataset.StudyID = "1"
    dataset.StudyDate = dataset.StudyTime = ""
    dataset.AccessionNumber = ""
    dataset.ReferringPhysicianName = ""
    dataset.SeriesInstanceUID = _uid("series", patient.seed, patient.index)
    dataset.SeriesNumber = 1
    dataset.InstanceNumber = 1 + list(View).index(view)
    dataset.Modality = "MG"
    dataset.PresentationIntentType = "FOR PRESENTATION"
    request = Dataset()
    request.RequestedProcedureID = request.ScheduledProcedureStepID = "1"
    dataset.RequestAttributesSequence = [request]


def _add_equipment(dataset: Dataset) -> None:
    dataset.Manufacturer = "dmdbt"
    dataset.ManufacturerModelName = "phantom"
    dataset.DeviceSerialNumber = "1"
    dataset.SoftwareVersions = _IMPLEMENTATION
    dataset.KVP = 29
    dataset.AnodeTargetMaterial = "TUNGSTEN"
    dataset.FilterMaterial = "RHODIUM"
    dataset.FocalSpots = 0.3
    dataset.DetectorType = "DIRECT"
    dataset.DetectorConfiguration = "AREA"
    dataset.DetectorID = "1"
    dataset.DetectorTemperature = 25
    dataset.Grid = ["RECIPROCATING", "FOCUSED"]


def _add_acquisition(dataset: Dataset, pair: ImagePair, patient: Patient, view: View) -> None:
    dataset.BodyPartExamined = "BREAST"
    dataset.ImageLaterality = str(patient.laterality)
    dataset.ViewPosition = str(view)
    view_code = _code(*_VIEW_CODES[view])
    view_code.ViewModifierCodeSequence = []
    dataset.ViewCodeSequence = [view_code]
    dataset.AnatomicRegionSequence = [_code("76752008", "Breast")]
    dataset.OrganExposed = "BREAST"
    dataset.PatientOrientation = _orientation(patient.laterality, view)
    dataset.PositionerType = "MAMMOGRAPHIC"
    dataset.PositionerPrimaryAngle = 0 if view is View.CC else 50 if patient.laterality is Laterality.RIGHT else -50
    dataset.BodyPartThickness = round(patient.thickness_mm, 1)
    dataset.CompressionForce = 100
    dataset.DistanceSourceToDetector = SOURCE_MM
    dataset.DistanceSourceToPatient = SOURCE_MM - SUPPORT_MM
    dataset.EstimatedRadiographicMagnificationFactor = round(SOURCE_MM / (SOURCE_MM - SUPPORT_MM), 6)
    dataset.ImagerPixelSpacing = [round(mm, 6) for mm in pair.mammogram_pixel_mm]
    dataset.BreastImplantPresent = "NO"
    dataset.PartialView = "NO"
    dataset.OrganDose = 0.015
    dataset.ContentDate = dataset.ContentTime = ""
    dataset.AcquisitionContextSequence = []


def _orientation(laterality: Laterality, view: View) -> list[str]:
    """Return Patient Orientation (0020,0020): where the rows and the columns of the image point to."""
    toward_nipple = "A" if laterality is Laterality.LEFT else "P"
    medial = "R" if laterality is Laterality.LEFT else "L"
    return [toward_nipple, medial if view is View.CC else f"F{medial}"]


def _add_image(dataset: Dataset, pair: ImagePair) -> None:
    dataset.ImageType = ["DERIVED", "PRIMARY"]
    dataset.BurnedInAnnotation = "NO"
    dataset.LossyImageCompression = "00"
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.PresentationLUTShape = "IDENTITY"
    dataset.Rows, dataset.Columns = pair.mammogram.shape
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation = 0
    dataset.PixelIntensityRelationship = "LOG"
    dataset.PixelIntensityRelationshipSign = 1
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = 0, 1, "US"
    dataset.WindowCenter, dataset.WindowWidth = GRAY_LEVELS_DM / 2, GRAY_LEVELS_DM
    dataset.WindowCenterWidthExplanation = "NORMAL"
    dataset.VOILUTFunction = "LINEAR"
    dataset.PixelData = pair.mammogram.astype("<u2").tobytes()


def _code(value: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, "SCT", meaning
    return code
