import os
import re
import shutil
import time
from concurrent.futures import Future

import numpy as np
import pandas as pd
import pytest

import dmdbt
from dmdbt.cohort import read_table
from dmdbt.errors import InputDataError, IntegrityError, ParameterError
from dmdbt.prediction.predictor import Predictor
from dmdbt.readers import read_mammogram, read_volume
from dmdbt.terms import Head
from tests.support.pipelines import BACKBONES


@pytest.fixture(scope="module")
def model(bundle):
    return dmdbt.load_model(str(bundle))


@pytest.fixture(scope="module")
def wanted(trained):
    return pd.read_csv(trained.data("predictions", "squeezenet.csv")).set_index("case_id")


def test_paths_and_arrays_give_what_the_pipeline_gave(model, cohort, wanted):
    for case in read_table(cohort / "cases.csv")[:2]:
        dm, dbt = cohort / case.dm, str(cohort / case.dbt)
        by_path = model.predict(dm, dbt)
        by_array = model.predict(read_mammogram(dm).pixels, read_volume(dbt))
        for found in (by_path, by_array):
            assert found.folds == [wanted.loc[case.case_id, "fold"]]
            for head in Head:
                p = found.backbones["squeezenet"].p[head]
                assert p == pytest.approx(wanted.loc[case.case_id, f"p_{head}"], abs=1e-6)
        assert by_path.p == by_array.p


def test_an_array_is_not_compared_with_the_formats_of_files(model, cohort):
    case = read_table(cohort / "cases.csv")[0]
    dm, dbt = read_mammogram(cohort / case.dm).pixels, read_volume(cohort / case.dbt)
    words = "of the kind|png"
    assert not [text for text in model.predict(dm, dbt).warnings if re.search(words, text)]
    view = model.view(dm[:, :40], dbt)
    assert not re.search(words, str(view.facts))
    assert "The mammogram has 40 columns; the training had 48 to 48." in view.prediction.warnings


def test_side_and_view_are_those_of_the_caller(model, cohort):
    for found in (model.predict(cohort / "0.dcm", view="MLO"), model.view(cohort / "0.dcm", view="MLO").prediction):
        assert (found.laterality, found.view) == ("", "MLO")
    assert model.predict(cohort / "0.dcm", laterality="R").laterality == "R"


@pytest.mark.parametrize("name", ["dm", "dbt"])
@pytest.mark.parametrize("path", ["a\0b.dcm", "a" * 400, "\udcff\ud800"])
def test_a_path_that_cannot_be_one_is_refused(model, name, path):
    with pytest.raises(ParameterError, match=f"{name}: expected a path that this system can open"):
        model.predict(**{name: path})
    with pytest.raises(InputDataError):
        model.predict(**{name: "a"})


def test_the_view_has_a_heat_map_of_every_backbone_head_image_and_method(model, cohort):
    case = read_table(cohort / "cases.csv")[0]
    view = model.view(cohort / case.dm, cohort / case.dbt)
    assert {(heat.backbone, heat.head, heat.modality, heat.method) for heat in view.heat} == {
        (backbone, head, modality, method)
        for backbone in BACKBONES
        for head in Head
        for modality in head.modalities
        for method in ("grad_cam", "occlusion")
    }
    shapes = {name: model.model.backbones[name].feature_shape[1:] for name in BACKBONES}
    assert all(heat.values.shape == shapes[heat.backbone] and np.isfinite(heat.values).all() for heat in view.heat)
    assert all(shares.shape == (9,) for shares in view.evidence.values())
    assert {round(shares.sum(), 6) for shares in view.evidence.values()} <= {0, 1}  # 0 where Grad-CAM is
    assert {head for _, head in view.evidence} == {"dbt", "dm_dbt"}
    # 64 x 48 pixels, brought to a square of 64: the breast is in rows 8 to 55 and columns 0 to 29.
    assert view.dm.box == pytest.approx((8, 56, 0, 30), abs=3)
    assert view.prediction == model.predict(cohort / case.dm, cohort / case.dbt)
    assert view.slice_weights.shape == (9,)


def test_the_heads_are_as_they_were_after_a_view(model, cohort, wanted):
    case = read_table(cohort / "cases.csv")[0]
    model.view(cohort / case.dm, cohort / case.dbt)
    again = model.predict(cohort / case.dm, cohort / case.dbt).backbones["squeezenet"].p
    assert again["dm_dbt"] == pytest.approx(wanted.loc[case.case_id, "p_dm_dbt"], abs=1e-6)


@pytest.mark.parametrize(
    ("sources", "words"),
    [
        ({"dm": np.zeros((4, 4, 3), np.uint8)}, "dm: expected uint8 or uint16 of shape"),
        ({"dm": np.zeros((4, 4), np.float32)}, "dm: expected uint8 or uint16 of shape"),
        ({"dbt": np.zeros((4, 4), np.uint8)}, "dbt: expected uint8 of shape"),
        ({"dbt": np.zeros((9, 4, 4), np.uint16)}, "dbt: expected uint8 of shape"),
        ({"dm": np.zeros((0, 0), np.uint8)}, "dm: expected uint8 or uint16 of shape"),
        ({"dbt": np.zeros((0, 4, 4), np.uint8)}, "dbt: expected uint8 of shape"),
        ({"dm": np.ma.zeros((4, 4), np.uint8)}, "dm: expected an array without a mask"),
        ({"dbt": np.ma.zeros((9, 4, 4), np.uint8)}, "dbt: expected an array without a mask"),
        ({"laterality": "left"}, "laterality: expected L or R or nothing, got 'left'"),
        ({"view": "LM"}, "view: expected CC or MLO or nothing, got 'LM'"),
    ],
)
def test_an_array_or_a_term_of_another_kind_is_refused_with_what_is_expected(model, sources, words):
    with pytest.raises(ValueError, match=words):
        model.predict(**sources)


def test_neither_image_and_an_unreadable_one_are_refused(model, tmp_path):
    with pytest.raises(ParameterError, match="at least one file"):
        model.predict()
    (tmp_path / "dm.dcm").write_bytes(b"x")
    with pytest.raises(InputDataError, match="E-DM-NOT-DICOM.*file=dm.dcm"):
        model.predict(tmp_path / "dm.dcm")


def test_a_folder_that_is_no_bundle_is_refused(tmp_path):
    with pytest.raises(IntegrityError, match="E-BUNDLE-MISSING.*dmdbt export"):
        dmdbt.load_model(tmp_path)


@pytest.mark.parametrize("files", ["heads/squeezenet/fold*/dm.safetensors", "weights/squeezenet.safetensors"])
def test_a_file_that_is_exchanged_after_the_bundle_was_read_is_refused(bundle, cohort, tmp_path, files):
    copy = shutil.copytree(bundle, tmp_path / "bundle")
    loaded = dmdbt.load_model(copy)
    for check in loaded._predictor._checks.values():
        check.result()
    for file in copy.glob(files):
        content = bytearray(file.read_bytes())
        content[-1] ^= 1
        file.write_bytes(content)
    with pytest.raises(IntegrityError, match="E-BUNDLE-CHANGED"):
        loaded.predict(cohort / "0.dcm")


def test_a_process_that_is_forked_from_the_one_that_reads_compares_for_itself(bundle):
    predictor = Predictor(bundle)
    name = next(iter(predictor._checks))
    predictor._checks = {name: Future()}  # which no thread of the new process will ever end
    child = os.fork()
    if child == 0:
        os._exit(0 if predictor._file(name) == bundle / name else 1)
    deadline = time.monotonic() + 60
    while (ended := os.waitpid(child, os.WNOHANG))[0] == 0 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert ended == (child, 0)


def test_the_present_folder_may_change(bundle, cohort, wanted, monkeypatch):
    monkeypatch.chdir(bundle.parent)
    loaded = dmdbt.load_model(bundle.name)
    monkeypatch.chdir("/")
    case = read_table(cohort / "cases.csv")[0]
    p = loaded.predict(cohort / case.dm).backbones["squeezenet"].p["dm"]
    assert p == pytest.approx(wanted.loc[case.case_id, "p_dm"], abs=1e-6)


def test_a_head_that_was_changed_by_one_bit_is_refused_when_it_is_needed(bundle, cohort, tmp_path):

    damaged = shutil.copytree(bundle, tmp_path / "bundle")
    for file in damaged.rglob("fold*/dm.safetensors"):
        content = bytearray(file.read_bytes())
        content[-1] ^= 1
        file.write_bytes(content)
    case = read_table(cohort / "cases.csv")[0]
    with pytest.raises(IntegrityError, match="E-BUNDLE-CHANGED.*dm.safetensors"):
        dmdbt.load_model(damaged).predict(cohort / case.dm)
