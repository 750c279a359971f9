"""A whole run of ``dmdbt predict``, in processes of its own."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from dataclasses import replace

import numpy as np
import openpyxl
import pandas as pd
import pytest

from dmdbt.__main__ import main
from dmdbt.bundle import read_model
from dmdbt.bundle.model import write_model
from dmdbt.bundle.training import patient_digest
from dmdbt.cohort import read_table, write_table
from dmdbt.errors import InputDataError, IntegrityError
from dmdbt.prediction import cases as cases_module
from dmdbt.prediction.cases import Shown, bundle_digest, file_states, predict_step
from dmdbt.prediction.predictor import spelled_out
from dmdbt.prediction.requests import read_requests
from dmdbt.running import folder_lock
from tests.support import ROOT
from tests.support.clinic import write_dicom
from tests.support.pipelines import BACKBONES
from tests.support.service import with_reading

HEADS = ("dm", "dbt", "dm_dbt")


def rows(output):
    with (output / "predictions.csv").open(newline="", encoding="utf-8") as file:
        return {row["case_id"]: row for row in csv.DictReader(file)}


def result(output, case_id):
    return json.loads((output / "cases" / f"{case_id}.json").read_text())


@pytest.fixture(scope="session")
def predicted(bundle, cohort, tmp_path_factory):
    """The training cohort through its own bundle, from a folder without ``data/``, in a new process."""
    folder = tmp_path_factory.mktemp("predicted")
    shutil.copytree(ROOT / "dmdbt", folder / "dmdbt")
    shutil.copytree(ROOT / "settings", folder / "settings")
    command = [sys.executable, "-m", "dmdbt", "predict", "--model", bundle, "--cohort", cohort]
    command += ["--output", "out", "--no-pages", "--jobs", "2"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "out", done.stdout


@pytest.mark.parametrize("backbone", BACKBONES)
def test_every_pair_has_the_probabilities_of_the_pipeline_from_the_fold_that_tested_it(predicted, trained, backbone):
    wanted = pd.read_csv(trained.data("predictions", f"{backbone}.csv"), dtype={"case_id": str})
    assert len(wanted) == 9
    for row in wanted.itertuples():
        found = result(predicted[0], row.case_id)
        assert found["folds"] == [row.fold]
        of_backbone = found["backbones"][backbone]
        for classifier in (*HEADS, "ensemble"):
            p = of_backbone["p"][classifier]
            assert np.isclose(getattr(row, f"p_{classifier}"), np.nan if p is None else p, atol=1e-6, equal_nan=True)
            decision = getattr(row, f"decision_{classifier}")
            assert of_backbone["decisions"][classifier] == ("" if isinstance(decision, float) else decision)
        assert of_backbone["vote_fraction"] == pytest.approx(row.vote_fraction)


def test_one_job_and_two_give_the_same_bytes(predicted, bundle, cohort, tmp_path, monkeypatch):
    monkeypatch.setenv("DMDBT_WORKERS", "")  # the option sets it
    options = ["--model", str(bundle), "--cohort", str(cohort), "--output", str(tmp_path / "o")]
    assert main(["predict", *options, "--no-pages", "--jobs", "1"]) == 0
    for name in ("predictions.csv", "predictions.json"):
        assert (tmp_path / "o" / name).read_bytes() == (predicted[0] / name).read_bytes()


def test_no_output_has_a_name_a_date_or_an_identifier_of_the_header(bundle, cohort, tmp_path):
    canaries = {"PatientName": "CANARY^NAME", "PatientID": "CANARY-ID", "StudyDate": "19770707"}
    canaries |= {"StudyInstanceUID": "1.2.3.777.1", "InstitutionName": "CANARY HOSPITAL"}
    image = np.zeros((64, 48), np.uint16)
    image[8:56, :30] = np.random.default_rng(5).integers(1000, 4096, (48, 30))
    path = write_dicom(tmp_path / "in" / "DOE_JANE.dcm", image, WindowCenter="2048", WindowWidth="4096", **canaries)
    output = tmp_path / "o"
    options = ["--model", str(bundle), "--dm", str(path), "--dbt", str(cohort / "0.avi"), "--output", str(output)]
    assert main(["predict", *options]) == 0
    written = [path for path in output.rglob("*") if path.is_file()]
    assert {path.suffix for path in written} >= {".html", ".png", ".jpg", ".json", ".csv", ".xlsx"}
    contents = b"".join(path.read_bytes() for path in written)
    for book in output.glob("*.xlsx"):
        with zipfile.ZipFile(book) as archive:
            contents += b"".join(archive.read(name) for name in archive.namelist())
    for canary in (*canaries.values(), str(tmp_path)):
        assert canary.encode() not in contents
    assert not [path for path in written if ".state" not in path.parts and b"DOE_JANE" in path.read_bytes()]


def test_the_result_is_the_mean_over_backbones_and_tables_have_it(predicted):
    output, printed = predicted
    table = rows(output)
    book = openpyxl.load_workbook(output / "predictions.xlsx", read_only=True)
    assert book.sheetnames == ["pairs", "breasts", "patients", "about"]
    header, *cells = book["pairs"].iter_rows(values_only=True)
    together = json.loads((output / "predictions.json").read_text())
    for number, case_id in enumerate(sorted(table)):
        found = result(output, case_id)
        means = [found["backbones"][name]["p"]["ensemble"] for name in BACKBONES]
        assert found["p"]["ensemble"] == pytest.approx(np.mean(means))
        assert float(table[case_id]["p_ensemble"]) == found["p"]["ensemble"]
        assert dict(zip(header, cells[number], strict=True))["p_ensemble"] == pytest.approx(found["p"]["ensemble"])
        assert together["cases"][number] == found
        assert f"{case_id}: {found['decisions']['half']['ensemble']}" in printed
    assert "not a medical device" in printed


def test_a_pair_without_an_image_says_so_and_has_the_other_head_alone(predicted):
    found = result(predicted[0], "C04")
    assert [found["p"][head] is None for head in HEADS] == [True, False, True]
    assert "There is no mammogram: only the head of the other image speaks." in found["warnings"]


@pytest.fixture
def run(bundle, cohort, tmp_path):
    """Predict a copy of the cohort into a folder, without pages; the calls share both."""
    folder = shutil.copytree(cohort, tmp_path / "cohort")

    def predict(*more, output=tmp_path / "out"):
        options = ["--model", str(bundle), "--cohort", str(folder), "--output", str(output), *more]
        return main(["predict", *options, *([] if "--dicom" in more else ["--no-pages"])])

    cases = read_table(folder / "cases.csv")
    write_table(folder / "cases.csv", cases[:3])
    predict.cohort, predict.output, predict.cases = folder, tmp_path / "out", cases
    return predict


def files(output):
    return {path: path.read_bytes() for path in (output / "cases").iterdir() if "manifest" not in path.name}


def test_what_is_done_is_kept_and_what_changed_is_done_again(run, capsys):
    run()
    before = (run.output / "predictions.csv").read_bytes()
    assert run() == 0
    assert "predict: 0 computed, 0 restored, 3 kept" in capsys.readouterr().out
    assert (run.output / "predictions.csv").read_bytes() == before

    write_table(run.cohort / "cases.csv", [replace(run.cases[0], patient_id="P99"), *run.cases[1:4]])
    assert run() == 0
    assert "predict: 2 computed, 0 restored, 2 kept" in capsys.readouterr().out
    assert rows(run.output)["C00"]["patient_id"] == "P99"


def test_a_result_that_was_edited_is_computed_again(run):
    run()
    path = run.output / "cases" / "C01.json"
    before = path.read_bytes()
    path.write_bytes(before.replace(b"benign", b"BENIGN"))
    run()
    assert path.read_bytes() == before


def test_results_of_pairs_that_nobody_asks_for_now_are_no_reason_to_remove_them(run, bundle, cohort, capsys):
    run()
    before = files(run.output)
    write_table(run.cohort / "cases.csv", run.cases[1:5])
    assert run() == 2
    assert "with 1 others, such as C00" in capsys.readouterr().err
    options = ["--model", str(bundle), "--output", str(run.output), "--no-pages"]
    assert main(["predict", *options, "--dm", str(cohort / "0.dcm")]) == 2
    assert "with 3 results of other files" in capsys.readouterr().err
    assert files(run.output) == before


def test_a_pair_whose_file_is_missing_for_a_while_keeps_its_result(run, capsys):
    run()
    before, file = files(run.output), run.cohort / run.cases[0].dm
    file.rename(file.with_suffix(".away"))
    assert run() == 3
    assert rows(run.output)["C00"]["error"] == "DM-MISSING"
    assert files(run.output) == before
    file.with_suffix(".away").rename(file)
    capsys.readouterr()
    assert run() == 0
    assert "predict: 0 computed, 0 restored, 3 kept" in capsys.readouterr().out


def test_nothing_is_removed_that_no_run_has_written_and_no_link_is_followed(run, tmp_path, capsys):
    run()
    mine = [run.output / "cases" / name for name in ("notes.txt", ".notes.tmp")]
    for path in mine:
        path.write_text("mine")
    assert run() == 0
    assert [path.read_text() for path in mine] == ["mine", "mine"]
    other = tmp_path / "other"
    other.mkdir()
    (other / "C00.json").write_text("mine")
    shutil.rmtree(run.output / "cases")
    (run.output / "cases").symlink_to(other)
    assert run() == 2
    assert "expected a new or empty folder" in capsys.readouterr().err
    assert (other / "C00.json").read_text() == "mine"


def test_a_folder_in_which_another_run_works_is_refused(run, capsys):
    run()
    with folder_lock(run.output, run.output / ".state" / "lock"):
        assert run() == 4
    assert f"found process {os.getpid()}. Wait until it has ended" in capsys.readouterr().err
    assert run() == 0


def test_no_link_below_the_state_is_followed_and_no_index_of_others_is_removed(run, tmp_path):
    run()
    (run.output / "index.html").write_text("mine")
    assert run() == 0
    assert (run.output / "index.html").read_text() == "mine"
    other = tmp_path / "other"
    (run.output / ".state" / "examined").rename(other)
    (run.output / ".state" / "examined").symlink_to(other)
    (other / "mine.txt").write_text("mine")
    assert run() == 2
    assert (other / "mine.txt").read_text() == "mine"


def test_a_folder_in_which_a_run_has_ended_at_once_is_as_good_as_new(run):
    (run.output / ".state").mkdir(parents=True)
    (run.output / ".state" / "lock").touch()
    assert run() == 0


@pytest.fixture
def step(run, bundle):
    """Call the function of the step on the first pair, in this process."""
    run()
    (request, *_), sums = read_requests(run.cohort, {}), bundle_digest(bundle)

    def compute(change=lambda: None, *, sums=sums):
        state = run.output / ".state"
        (state / "work").mkdir(exist_ok=True)
        work = predict_step(
            bundle, sums, [(request, file_states(request, run.cohort))], run.cohort, state, Shown(pages=False)
        )
        change()
        work.function(work.items[0].payload, run.output / "cases")

    return compute


def test_a_file_that_is_replaced_during_a_run_gives_no_result(run, step):
    step()
    before, file = files(run.output), run.cohort / run.cases[0].dm
    with pytest.raises(InputDataError, match="E-FILE-CHANGED case=C00"):
        step(lambda: shutil.copy(run.cohort / run.cases[1].dm, file))
    assert files(run.output) == before


def test_a_bundle_that_is_replaced_during_a_run_gives_no_result(run, step):
    before = files(run.output)
    with pytest.raises(IntegrityError, match="E-BUNDLE-DAMAGED .*stays as it is during a run"):
        step(sums="0" * 64)
    assert files(run.output) == before


def test_tables_of_an_earlier_run_never_stand_beside_new_results(run, monkeypatch):
    run()
    assert (run.output / "predictions.csv").exists()

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(cases_module, "make_items", interrupt)
    assert run() == 130
    assert not list(run.output.glob("predictions.*"))
    assert list((run.output / "cases").glob("*.json"))


def test_a_report_that_is_refused_costs_no_earlier_result(run):
    run()
    before = files(run.output)
    assert run("--dicom") == 3  # the pairs are of several studies
    assert files(run.output).items() >= before.items()


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_run_that_is_ended_by_a_signal_leaves_no_image(run, bundle, name):
    command = [
        sys.executable,
        "-m",
        "dmdbt",
        "predict",
        "--model",
        bundle,
        "--cohort",
        run.cohort,
        "--output",
        run.output,
    ]
    with subprocess.Popen([*map(str, command), "--jobs", "1"], cwd=ROOT, stderr=subprocess.DEVNULL) as process:
        until = time.monotonic() + 60
        while not list(run.output.glob(".state/work/*/slices")) and time.monotonic() < until:
            time.sleep(0.01)
        process.send_signal(getattr(signal, name))
    assert process.returncode == 130
    assert not (run.output / ".state" / "work").exists()


def test_numbers_alone_remove_the_pages_of_an_earlier_run(run):
    assert run("--dicom") == 3  # with pages; the pairs are of several studies
    assert (run.output / "index.html").exists()
    run()
    assert not (run.output / "index.html").exists()
    assert not list(run.output.rglob("*.html"))


def test_a_table_of_one_row_may_grow(run, capsys):
    write_table(run.cohort / "cases.csv", run.cases[:1])
    run()
    write_table(run.cohort / "cases.csv", run.cases[:2])
    assert run() == 0
    assert "predict: 1 computed, 0 restored, 1 kept" in capsys.readouterr().out


def test_a_remedy_does_not_send_who_has_a_bundle_alone_to_a_file_of_the_training(bundle, cohort, tmp_path):
    model = with_reading(bundle, tmp_path / "bundle", slices=2)
    options = ["--model", str(model), "--dbt", str(cohort / "0.avi"), "--output", str(tmp_path / "o"), "--no-pages"]
    assert main(["predict", *options]) == 3
    assert rows(tmp_path / "o")["case"]["remedy"].endswith(
        "raise reading.slices in params.yaml of the training and export again."
    )


def test_images_of_a_patient_are_nowhere_but_in_the_folder_and_are_gone_afterwards(run, monkeypatch, tmp_path):
    elsewhere = tmp_path / "temporary"
    elsewhere.mkdir()
    monkeypatch.setenv("TMPDIR", str(elsewhere))
    left = run.output / ".state" / "work" / "left"  # by a run that was killed
    run()
    left.mkdir(parents=True)
    run()
    assert not [path for path in elsewhere.rglob("*") if path.suffix in (".png", ".jpg", ".h5")]
    assert not left.parent.exists()


@pytest.mark.parametrize("kind", ["dangling link", "file", "below a file", "long name", "of the system"])
def test_an_output_that_cannot_be_written_is_named(bundle, cohort, tmp_path, capsys, kind):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to("nowhere")
    output = {
        "dangling link": tmp_path / "link",
        "file": tmp_path / "file",
        "below a file": tmp_path / "file" / "o",
        "long name": tmp_path / ("x" * 300),
        "of the system": "/proc/x",
    }[kind]
    assert main(["predict", "--model", str(bundle), "--dm", str(cohort / "0.dcm"), "--output", str(output)]) == 2
    assert "--output: expected a folder that can be written" in capsys.readouterr().err
    assert (tmp_path / "file").read_text() == "mine"


def test_a_side_that_images_contradict_is_flagged_and_no_report_states_it(bundle, tmp_path, capsys):
    def mammogram(name, *, laterality):
        pixels = np.zeros((64, 48), np.uint16)
        pixels[8:56, :30] = np.random.default_rng(5).integers(1000, 4096, (48, 30))  # the chest wall of a left breast
        more = {"ImageLaterality": laterality, "WindowCenter": "2048", "WindowWidth": "4096"}
        return write_dicom(tmp_path / "cohort" / name, pixels, **more)

    mammogram("a.dcm", laterality="R")
    mammogram("b.dcm", laterality="L")
    table = "patient_id,laterality,view,dm,dbt\np1,L,CC,a.dcm,\np2,R,CC,b.dcm,\np3,L,CC,b.dcm,\n"
    (tmp_path / "cohort" / "cases.csv").write_text(table)
    options = ["--model", str(bundle), "--cohort", str(tmp_path / "cohort"), "--output"]
    assert main(["predict", *options, str(tmp_path / "o"), "--no-pages"]) == 0
    flags = {name: set(row["flags"].split()) for name, row in rows(tmp_path / "o").items()}
    both = {"dm-laterality-of-header", "dm-laterality-of-pixels"}
    assert [flags[name] & both for name in ("p1-L-CC", "p2-R-CC", "p3-L-CC")] == [
        {"dm-laterality-of-header"},
        both,
        set(),
    ]
    warnings = {name: row["warnings"] for name, row in rows(tmp_path / "o").items()}
    assert "Side or view of the mammogram are in doubt: the header names the other side" in warnings["p1-L-CC"]
    assert "in doubt" not in warnings["p3-L-CC"]
    assert main(["predict", *options, str(tmp_path / "p"), "--dicom"]) == 3
    errors = {name: row["error"] for name, row in rows(tmp_path / "p").items()}
    assert (errors["p1-L-CC"], errors["p2-R-CC"]) == ("DICOM-SIDE", "DICOM-SIDE")
    assert errors["p3-L-CC"] != "DICOM-SIDE"
    capsys.readouterr()


def test_one_image_has_the_thresholds_and_the_calibration_of_its_own_head(predicted, bundle):
    points = read_model(bundle).operating_points
    found = result(predicted[0], "C04")  # without a mammogram, and of the training: those of its fold
    assert found["p"]["ensemble"] == pytest.approx(found["p"]["dbt"])
    assert found["calibrated"]["ensemble"] == pytest.approx(found["calibrated"]["dbt"])
    assert found["thresholds"]["youden"]["ensemble"] == points["dbt"].of_fold["youden"][found["folds"][0]]
    whole = result(predicted[0], "C00")
    assert whole["thresholds"]["youden"]["ensemble"] == points["ensemble"].of_fold["youden"][whole["folds"][0]]


def test_bad_files_have_an_error_row_and_the_others_a_prediction(bundle, cohort, tmp_path, capsys):
    folder = shutil.copytree(cohort, tmp_path / "cohort")
    (folder / "1.dcm").write_bytes(b"nothing")
    (folder / "2.avi").unlink()
    code = main(
        ["predict", "--model", str(bundle), "--cohort", str(folder), "--output", str(tmp_path / "o"), "--no-pages"]
    )
    printed = capsys.readouterr()
    assert code == 3
    table = rows(tmp_path / "o")
    assert len(table) == 9
    assert {case: row["error"] for case, row in table.items() if row["error"]} == {
        "C01": "DM-NOT-DICOM",
        "C02": "DBT-MISSING",
    }
    assert "E-DM-NOT-DICOM case=C01 file=1.dcm" in printed.err
    assert "7 of 9 predicted" in printed.out
    together = json.loads((tmp_path / "o" / "predictions.json").read_text())
    assert [(error["case_id"], error["patient_id"]) for error in together["errors"]] == [("C01", "P01"), ("C02", "P02")]
    assert list(table) == sorted(table)
    assert (table["C01"]["patient_id"], table["C01"]["laterality"], table["C01"]["label"]) != ("", "", "")
    units = {unit["patient_id"]: (unit["pairs"], unit["errors"]) for unit in together["patients"]}
    assert (units["P01"], units["P03"]) == ((0, 1), (1, 0))


def test_a_damaged_bundle_is_no_fault_of_the_cases(bundle, cohort, tmp_path, capsys):
    damaged = shutil.copytree(bundle, tmp_path / "bundle")
    head = damaged / "heads" / "squeezenet" / "fold0" / "dm.safetensors"
    content = bytearray(head.read_bytes())
    content[-1] ^= 1
    head.write_bytes(content)
    options = ["--model", str(damaged), "--cohort", str(cohort), "--output", str(tmp_path / "o"), "--no-pages"]
    assert main(["predict", *options]) == 5
    assert "E-BUNDLE-CHANGED" in capsys.readouterr().err


def test_a_table_without_labels_gives_the_same_numbers_and_labels_are_never_used(bundle, cohort, predicted, tmp_path):
    folder = shutil.copytree(cohort, tmp_path / "cohort")
    with (folder / "cases.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    columns = [name for name in table[0] if name != "label"]
    with (folder / "cases.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(table)
    assert (
        main(
            ["predict", "--model", str(bundle), "--cohort", str(folder), "--output", str(tmp_path / "o"), "--no-pages"]
        )
        == 0
    )
    without, with_labels = rows(tmp_path / "o"), rows(predicted[0])
    assert {row["label"] for row in without.values()} == {""}
    assert {row["label"] for row in with_labels.values()} == {"benign", "malignant"}
    assert [row | {"label": ""} for row in with_labels.values()] == list(without.values())


def test_one_new_pair_is_predicted_by_all_folds_and_is_told_to_be_unlike_the_training(bundle, tmp_path, capsys):
    pixels = np.zeros((96, 48), np.uint16)
    pixels[8:80, :30] = np.random.default_rng(9).integers(1000, 4096, (72, 30))
    image = write_dicom(tmp_path / "new.dcm", pixels, WindowCenter="2048", WindowWidth="4096", Manufacturer="ACME")
    out = tmp_path / "o"
    assert main(["predict", "--model", str(bundle), "--dm", str(image), "--output", str(out), "--no-pages"]) == 0
    found, printed = result(out, "case"), capsys.readouterr().out
    assert found["folds"] == [0, 1, 2]
    folds = [probs["dm"] for name in BACKBONES for probs in found["backbones"][name]["folds"].values()]
    assert len(folds) == 6
    assert found["p"]["dm"] == pytest.approx(np.mean(folds))
    assert (found["lowest"]["dm"], found["highest"]["dm"]) == (min(folds), max(folds))
    assert found["p"]["ensemble"] == pytest.approx(found["p"]["dm"])
    assert "The mammogram has 96 rows; the training had 64 to 64." in found["warnings"]
    kind = "dicom JPEG-LS Lossless Image Compression 16"
    assert spelled_out("dicom 1.2.840.10008.1.2.4.80 16") == kind
    assert "1 of 1 predicted" in printed
    assert "no volume" in printed


def test_a_patient_of_the_training_is_known_by_the_name_alone(bundle, tmp_path):
    pixels = np.zeros((64, 48), np.uint16)
    pixels[8:56, :30] = np.random.default_rng(77).integers(1000, 4096, (48, 30))
    image = write_dicom(tmp_path / "new.dcm", pixels, WindowCenter="2048", WindowWidth="4096")
    options = ["--model", str(bundle), "--dm", str(image), "--no-pages"]
    assert main(["predict", *options, "--output", str(tmp_path / "o"), "--patient", "P03"]) == 0
    found = result(tmp_path / "o", "case")
    assert len(found["folds"]) == 1
    assert found["warnings"][1].startswith("This patient is part of the training")
    assert main(["predict", *options, "--output", str(tmp_path / "p"), "--patient", "p003"]) == 0
    found = result(tmp_path / "p", "case")
    assert len(found["folds"]) == 3
    assert found["warnings"][1].startswith("A patient of the training has nearly this pseudonym")


def test_a_patient_that_every_fold_was_trained_on_has_no_prediction(bundle, cohort, tmp_path, capsys):
    model = shutil.copytree(bundle, tmp_path / "bundle")
    seen = read_model(model)
    alone = {name: replace(b, heads={0: b.heads[0]}) for name, b in seen.backbones.items()}
    write_model(model, replace(seen, backbones=alone))
    with (model / "training.csv").open(newline="") as file:
        tested = {row["patient"] for row in csv.DictReader(file) if row["fold"] == "0"}
    output = tmp_path / "o"
    code = main(["predict", "--model", str(model), "--cohort", str(cohort), "--output", str(output), "--no-pages"])
    assert code == 3
    found = {row["patient_id"] or name: row["error"] for name, row in rows(output).items()}
    assert {patient_digest(patient) for patient, error in found.items() if not error} == tested
    assert set(found.values()) == {"", "SEEN"}
    assert "found none (they were in fold" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "either --cohort or --dm and --dbt"),
        (["--dm", "a.dcm", "--cohort", "b"], "either --cohort or --dm and --dbt"),
        (["--dm", "a.dcm", "--name", "../x"], "--name: expected letters A to Z"),
        (["--dm", "a.dcm", "--name", ""], "--name: expected a pseudonym"),
        (["--cohort", "b", "--name", "x"], "--name: expected no such option beside --cohort"),
        (["--cohort", "b", "--patient", "x"], "--patient: expected no such option beside --cohort"),
        (["--dm", "a.dcm", "--jobs", "0"], "--jobs: expected a whole number from 1, got 0"),
    ],
)
def test_options_that_make_no_sense_are_refused_before_any_work(bundle, tmp_path, capsys, monkeypatch, options, words):
    monkeypatch.setenv("DMDBT_WORKERS", "")
    assert main(["predict", "--model", str(bundle), "--output", str(tmp_path / "o"), *options]) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "o").exists()


def test_a_file_that_is_not_there_is_named(bundle, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    options = ["--dm", str(tmp_path / "empty" / "a.dcm"), "--output", str(tmp_path / "o"), "--no-pages"]
    assert main(["predict", "--model", str(bundle), *options]) == 3
    assert "E-DM-MISSING case=case file=a.dcm" in capsys.readouterr().err


def test_a_folder_of_something_else_is_left_alone(bundle, cohort, tmp_path, capsys):
    (tmp_path / "cases").mkdir()
    (tmp_path / "cases" / "thesis.txt").write_text("mine")
    assert (
        main(["predict", "--model", str(bundle), "--cohort", str(cohort), "--output", str(tmp_path), "--no-pages"]) == 2
    )
    assert "expected a new or empty folder" in capsys.readouterr().err
    assert (tmp_path / "cases" / "thesis.txt").read_text() == "mine"


def test_the_tables_of_breasts_and_patients_are_means_over_pairs(bundle, cohort, tmp_path):
    folder = shutil.copytree(cohort, tmp_path / "cohort")
    text = (folder / "cases.csv").read_text().replace("C01,P01", "C01,P00")
    (folder / "cases.csv").write_text(text)
    cases = read_table(folder / "cases.csv")
    write_table(folder / "cases.csv", [case for case in cases if case.patient_id in ("P00", "P02")])
    output = tmp_path / "o"
    main(["predict", "--model", str(bundle), "--cohort", str(folder), "--output", str(output), "--no-pages"])
    units = {unit["patient_id"]: unit for unit in json.loads((output / "predictions.json").read_text())["patients"]}
    pairs = [
        result(output, name)["p"]["dbt"] for name in ("C00", "C01") if (output / "cases" / f"{name}.json").exists()
    ]
    assert units["P00"]["pairs"] == len(pairs)
    assert units["P00"]["p_dbt"] == pytest.approx(np.mean(pairs))
