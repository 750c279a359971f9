import hashlib
import json
import re
import shutil
import subprocess
from dataclasses import replace

import pytest

from dmdbt.bundle import check_all, json_schema, read_model
from dmdbt.bundle.card import model_card
from dmdbt.bundle.export import Trained, export_bundle
from dmdbt.errors import IntegrityError, ParameterError
from dmdbt.terms import Head
from tests.support import ROOT


def test_a_bundle_has_the_heads_of_every_fold_and_the_weights_and_no_pickle(exported):
    heads = {
        f"heads/squeezenet/fold{k}/{head}.{kind}" for k in range(3) for head in Head for kind in ("safetensors", "json")
    }
    others = {"model.json", "README.md", "training.csv", "SHA256SUMS", "weights/squeezenet.safetensors"}
    assert {path.relative_to(exported).as_posix() for path in exported.rglob("*") if path.is_file()} == heads | others


def test_the_checksums_are_those_of_sha256sum(exported):
    done = subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=exported, check=False)
    assert done.returncode == 0


def test_equal_outputs_give_an_equal_bundle(trained, exported, tmp_path):
    export_bundle(trained, tmp_path / "again", ["squeezenet"], licence="CC0-1.0")
    assert (tmp_path / "again" / "SHA256SUMS").read_bytes() == (exported / "SHA256SUMS").read_bytes()


def test_the_model_says_what_it_was_made_with_and_on(exported):
    model = read_model(exported)
    assert (model.mammogram.size, model.features.size, model.rankpool.pooler) == (64, {"squeezenet": 64}, "ranksvm")
    assert (model.training.pairs, model.training.patients, model.training.malignant_pairs) == (9, 9, 4)
    assert model.training.ranges == {
        "dm": {"rows": (64, 64), "columns": (48, 48)},
        "dbt": {"slices": (9, 9), "rows": (64, 64), "columns": (48, 48)},
    }
    assert sum(model.training.kinds["dm"].values()) == 8  # one pair has no mammogram
    assert model.training.simulated is None


def test_the_model_counts_the_volumes_that_tell_at_which_end_they_begin(trained, exported, tmp_path):
    assert read_model(exported).training.slice_ends == {}
    root = shutil.copytree(trained.root, tmp_path / "root")
    for n, end in enumerate(["paddle", "detector", "paddle"]):
        path = root / "data" / "examined" / f"C{n:02}.json"
        path.write_text(path.read_text().replace('"first_slice": ""', f'"first_slice": "{end}"'))
    model = export_bundle(Trained(root), tmp_path / "bundle", ["squeezenet"], licence="CC0-1.0")
    assert model.training.slice_ends == {"detector": 1, "paddle": 2}
    assert read_model(tmp_path / "bundle") == model


def test_a_bundle_without_the_ends_of_the_slices_is_read(bundle):
    content = json.loads((bundle / "model.json").read_text())
    del content["training"]["slice_ends"]
    _write_with_checksum(bundle, json.dumps(content))
    assert read_model(bundle).training.slice_ends == {}


def test_the_card_says_what_the_model_is_for_what_it_takes_and_what_was_measured(exported):
    model, card = read_model(exported), (exported / "README.md").read_text()
    titles = re.findall("^## (.*)", card, re.MULTILINE)
    assert titles == [
        "Use",
        "Input",
        "Training cohort",
        "Measured on patients that the model had not seen",
        "Thresholds and calibration",
        "Limits",
        "Origin",
    ]
    for text in ("Nobody has stated", "Out of scope: diagnosis", "no external validation", "arXiv 2002.12392"):
        assert text in card
    for text in ("no volume tells at which end it begins", "9 pairs", "taken as they are stored", "Licence: CC0-1.0"):
        assert text in card
    auc = model.backbones["squeezenet"].metrics["dm_dbt"]["auc"]
    assert f"| squeezenet | DM-DBT | 8 (4) | {auc:.3f} (" in card  # the pairs behind the number
    threshold = model.operating_points["dm"].thresholds["youden"]
    assert f"| DM | Youden | {threshold:.3f} |" in card
    assert len(card.splitlines()) < 80
    assert card == model_card(model)


def test_the_card_tells_of_the_cohort_what_it_states(exported):
    model = read_model(exported)
    training = replace(model.training, simulated=True, slice_ends={"paddle": 3, "detector": 2})
    card = model_card(replace(model, training=training))
    assert "First slice: 3 begin at the paddle, 2 begin at the detector" in card
    assert "say nothing about patients" in card
    assert "Simulated images lack" in card


def test_the_schema_is_published_and_holds_for_what_is_written(exported):
    assert json.loads((ROOT / "docs" / "model.schema.json").read_text()) == json_schema()
    content = json.loads((exported / "model.json").read_text())
    assert set(json_schema()["required"]) == set(json_schema()["properties"]) == set(content)


def test_no_file_of_a_bundle_names_a_patient_a_case_or_a_path(exported, trained):
    content = b"".join(path.read_bytes() for path in exported.rglob("*") if path.is_file())
    for name in (b"P00", b"C00", b"0.dcm", str(trained.root).encode()):
        assert name not in content


@pytest.mark.parametrize("file", ["model.json", "SHA256SUMS", "training.csv", "weights/squeezenet.safetensors"])
def test_one_bit_is_noticed_in_every_file(bundle, file):
    content = bytearray((bundle / file).read_bytes())
    content[len(content) // 2] ^= 1
    (bundle / file).write_bytes(content)
    with pytest.raises(IntegrityError, match="E-BUNDLE"):
        read_model(bundle)
        check_all(bundle)


@pytest.mark.parametrize("file", ["model.json", "SHA256SUMS", "heads/squeezenet/fold1/dm.json"])
def test_a_missing_file_is_named(bundle, file):
    (bundle / file).unlink()
    with pytest.raises(
        IntegrityError, match=f"E-BUNDLE-.*file={file.rpartition('/')[2] if file == 'SHA256SUMS' else ''}"
    ):
        read_model(bundle)
        check_all(bundle)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"version": 0}, "BUNDLE-VERSION.*found dmdbt bundle 0.*install the version that exported it"),
        ({"version": 3, "dmdbt": "9.0"}, "BUNDLE-VERSION.*9.0"),
        ({"format": "something"}, "BUNDLE-VERSION"),
        ({"surprise": 1}, "BUNDLE-CHANGED"),
    ],
)
def test_another_version_and_a_changed_model_are_refused_with_what_to_do(bundle, change, code):
    content = json.loads((bundle / "model.json").read_text())
    (bundle / "model.json").write_text(json.dumps(content | change))
    with pytest.raises(IntegrityError, match=code):
        read_model(bundle)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        "[" * 100_000,
        '{"format": "dmdbt bundle", "version": 2}',
        '{"format": "dmdbt bundle", "version": 1}',
    ],
)
def test_what_is_no_model_is_refused(bundle, text):
    (bundle / "model.json").write_text(text)
    with pytest.raises(IntegrityError, match="E-BUNDLE"):
        read_model(bundle)


def _write_with_checksum(bundle, text):
    old = hashlib.sha256((bundle / "model.json").read_bytes()).hexdigest()
    (bundle / "model.json").write_text(text)
    sums = bundle / "SHA256SUMS"
    sums.write_text(sums.read_text().replace(old, hashlib.sha256(text.encode()).hexdigest()))


def test_a_bundle_of_the_first_version_is_read_as_it_was_meant(bundle):
    content = json.loads((bundle / "model.json").read_text())
    assert content["features"].pop("precision") == "float32"
    assert content.pop("labels") == {"benign": [], "malignant": []}  # which the first exports did not write
    expected = read_model(bundle)
    _write_with_checksum(bundle, json.dumps(content | {"version": 1}))
    assert read_model(bundle) == expected


def test_a_key_too_many_is_refused_even_with_its_checksum(bundle):
    content = json.loads((bundle / "model.json").read_text())
    _write_with_checksum(bundle, json.dumps(content | {"surprise": 1}))
    with pytest.raises(IntegrityError, match="E-BUNDLE-DAMAGED.*surprise"):
        read_model(bundle)


def test_a_folder_of_something_else_is_not_written_over(trained, tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ParameterError, match="FOLDER"):
        export_bundle(trained, tmp_path, ["squeezenet"], licence="")
    assert (tmp_path / "thesis.txt").read_text() == "mine"


def test_a_backbone_that_was_not_trained_is_refused(trained, tmp_path):
    with pytest.raises(ParameterError, match="--backbones: expected some of squeezenet"):
        export_bundle(trained, tmp_path / "b", ["alexnet"], licence="")


def test_a_repository_in_which_nothing_ran_is_refused(tmp_path, trained):
    (tmp_path / "params.yaml").write_bytes(trained.params.read_bytes())
    with pytest.raises(Exception, match="cases.csv"):
        export_bundle(Trained(tmp_path), tmp_path / "b", ["squeezenet"], licence="")
    assert not (tmp_path / "b").exists()
