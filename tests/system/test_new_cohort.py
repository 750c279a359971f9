"""A lab's own files, from their folder to the page, by nothing but what the doctor prints."""

import json

import numpy as np
import pytest
from PIL import Image

from dmdbt.terms import Laterality
from tests.support import dicom_corpus
from tests.support.breasts import SHOWN, breast, volume
from tests.support.clinic import write_avi, write_dicom
from tests.support.clones import call, copy_repository

pytestmark = pytest.mark.system
PATIENTS, WITH_BOTH_VIEWS = 24, 6


def write_volume(folder, number, slices):
    """Write slices in one of five ways; return the path that the table names."""
    name = f"dbt/{number}"
    kind = number % 5
    if kind < 2:
        codec = ("mjpeg", "yuvj420p") if kind else ("rawvideo", "gray")
        write_avi(folder / f"{name}.avi", slices, codec=codec[0], pixel_format=codec[1])
        return f"{name}.avi"
    if kind == 2:
        (folder / name).mkdir(parents=True)
        for index, image in enumerate(slices):
            Image.fromarray(image).save(folder / name / f"slice_{index + 1}.png")
        return name
    window = {"bits": 8, "window": (128, 256)}
    if kind == 3:
        dicom_corpus.write_tomosynthesis(folder / f"{name}.dcm", slices, **window)
        return f"{name}.dcm"
    for index, image in enumerate(slices):
        options = {"sop_class": dicom_corpus.CT, "SeriesInstanceUID": "1.2.3", "InstanceNumber": index + 1, "bits": 8}
        dicom_corpus.write(folder / name / f"{index}.dcm", image, WindowCenter=128, WindowWidth=256, **options)
    return name


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """24 patients, 30 pairs, five containers, and the table of a European spreadsheet; cancers have a bright star."""
    folder = tmp_path_factory.mktemp("lab") / "Our Cohort"
    lines = ["Patient_ID;Laterality;View;Label;DM;DBT;Bemerkung", ";;;;;;"]
    for number in range(PATIENTS + WITH_BOTH_VIEWS):
        patient = number % PATIENTS
        side = list(Laterality)[patient % 2]
        slices, image = volume(number, side=side), breast(number, side=side)
        if patient % 3 == 0:
            slices[3:6, 28:34, 20:26], image[28:34, 20:26] = 255, 4095
        dbt = write_volume(folder, number, slices)
        write_dicom(folder / f"dm/{number}.dcm", image, **SHOWN)
        view, label = "MLO" if number >= PATIENTS else "CC", "malignant" if patient % 3 == 0 else "benign"
        lines.append(f"P{patient:02d};{side};{view};{label};dm/{number}.dcm;{dbt};geprüft")
        lines += [";;;;;;"] if number == 9 else []
    (folder / "cases.csv").write_bytes(("\r\n".join(lines) + "\r\n").encode("cp1252"))
    return folder


def test_a_lab_goes_from_its_folder_to_the_page_by_what_the_doctor_prints(lab, tmp_path):
    copy_repository(tmp_path)
    call(tmp_path, "git", "add", "--all")
    call(tmp_path, "git", "commit", "--quiet", "--message", "as it came")
    said = call(tmp_path, "python", "-m", "dmdbt", "doctor", str(lab), "--pixels")
    assert "24 patients: 8 with a malignant pair, 16 without" in said
    assert "30 pairs: 24 CC, 6 MLO" in said
    assert "every pixel of 30 cases was read" in said
    assert "settings/small.yaml" in said
    (command,) = (line.strip() for line in said.splitlines() if line.strip().startswith("dvc exp run"))
    call(tmp_path, "bash", "-c", command)
    counts = json.loads((tmp_path / "metrics/cohort.json").read_text())
    assert (counts["patients"], counts["pairs"], len(counts["dbt_kinds"])) == (24, 30, 5)
    tested = (tmp_path / "data/predictions/mobilenet_v2.csv").read_text().splitlines()
    assert len(tested) == 1 + 30
    page = (tmp_path / "metrics/report.html").read_text()
    assert "24" in page
    assert str(lab) not in page
    metrics = json.loads((tmp_path / "metrics/mobilenet_v2.json").read_text())
    assert np.isfinite(metrics["ensemble"]["auc"])
