"""Bundles that someone has edited, with checksums that fit the edit: each way gives one clear error."""

import json
import math
import shutil

import numpy as np
import pytest

import dmdbt
from dmdbt.__main__ import main
from dmdbt.errors import IntegrityError
from dmdbt.files import sha256
from tests.support.clinic import write_avi, write_dicom
from tests.support.volumes import smooth_volume


@pytest.fixture
def copy(bundle, tmp_path):
    return shutil.copytree(bundle, tmp_path / "bundle")


def sum_again(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "SHA256SUMS")
    lines = [f"{sha256(file)}  {file.relative_to(folder).as_posix()}\n" for file in files]
    (folder / "SHA256SUMS").write_text("".join(lines))


def changed(*keys, to):
    """A damage: another value in model.json."""

    def damage(folder):
        content = json.loads((folder / "model.json").read_text())
        place = content
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = to
        (folder / "model.json").write_text(json.dumps(content))

    return damage


def without(*keys):
    """A damage: a key of model.json that is missing."""

    def damage(folder):
        content = json.loads((folder / "model.json").read_text())
        place = content
        for key in keys[:-1]:
            place = place[key]
        del place[keys[-1]]
        (folder / "model.json").write_text(json.dumps(content))

    return damage


def exchanged(one, other):
    """A damage: two files or folders in the place of each other."""

    def damage(folder):
        (folder / one).rename(folder / "kept")
        (folder / other).rename(folder / one)
        (folder / "kept").rename(folder / other)

    return damage


def edited(name, edit):
    """A damage: another content of a file."""
    return lambda folder: (folder / name).write_bytes(edit((folder / name).read_bytes()))


def every_backbone_exchanged(folder):
    """Squeezenet is called alexnet in every place, and the other way round."""
    for kind, suffix in (("heads", ""), ("weights", ".safetensors")):
        exchanged(f"{kind}/squeezenet{suffix}", f"{kind}/alexnet{suffix}")(folder)
    content = json.loads((folder / "model.json").read_text())
    backbones = content["backbones"]
    content["backbones"] = {"squeezenet": backbones["alexnet"], "alexnet": backbones["squeezenet"]}
    (folder / "model.json").write_text(json.dumps(content))


POINTS = ("operating_points", "dm")
DAMAGES = {
    "no field": (without("labels"), "expected the field labels, found none.*Export the bundle again"),
    "no inner field": (without("training", "pairs"), "expected the field training.pairs, found none.*Export"),
    "no parameter": (without("mammogram", "size"), "expected the field mammogram.size, found none.*Export"),
    "parameter": (
        changed("mammogram", "resize", to="crop"),
        "mammogram.resize: expected 'stretch' or 'pad', found crop",
    ),
    "spelling twice": (changed("labels", to={"benign": ["0", "0"], "malignant": []}), "labels: expected each spelling"),
    "classes in another order": (changed("classes", to=["malignant", "benign"]), "classes: expected benign and mal"),
    "one class": (changed("classes", to=["malignant"]), "classes: expected benign and malignant"),
    "no backbones": (changed("backbones", to={}), "backbones: expected at least one"),
    "unknown backbone": (
        lambda folder: changed("backbones", to={"../x": backbone_of(folder)})(folder),
        "backbones.../x: expected a known backbone",
    ),
    "no folds": (changed("backbones", "alexnet", "heads", to={}), "backbones.alexnet: expected a fold with a head"),
    "folds without heads": (changed("backbones", "alexnet", "heads", to={"0": []}), "expected a fold with a head"),
    "negative fold": (changed("backbones", "alexnet", "heads", "-1", to=["dm"]), "backbones.alexnet.heads.-1"),
    "unknown head": (changed("backbones", "alexnet", "heads", "0", to=["ct"]), "alexnet.heads.0.0: expected 'dm'"),
    "head that is not there": (changed("backbones", "alexnet", "heads", "7", to=["dm"]), "SHA256SUMS, found no such"),
    "feature shape": (
        changed("backbones", "alexnet", "feature_shape", to=[512, 3, 3]),
        "feature maps of alexnet: expected feature_shape",
    ),
    "feature shape of two": (changed("backbones", "alexnet", "feature_shape", to=[512, 3]), "feature_shape"),
    "empty feature shape": (changed("backbones", "alexnet", "feature_shape", to=[0, 0, 0]), "feature_shape"),
    "architecture": (
        changed("backbones", "alexnet", "architecture", to="vgg11"),
        "feature maps of alexnet: expected backbone vgg11",
    ),
    "input size": (changed("features", "size", "alexnet", to=96), "feature maps of alexnet: expected feature_shape"),
    "no input size": (without("features", "size", "alexnet"), "features.size: expected a size for alexnet"),
    "no digest of the weights": (without("backbones", "alexnet", "weights", "sha256"), "weights/alexnet"),
    "threshold of 7": (changed(*POINTS, "thresholds", "youden", to=7.0), "youden: expected less than or .*found 7.0"),
    "threshold NaN": (changed(*POINTS, "thresholds", "youden", to=math.nan), "youden: expected a finite.*found nan"),
    "infinite slope": (changed(*POINTS, "slope", to=math.inf), "operating_points.dm.slope: expected a finite number"),
    "threshold of a fold": (changed(*POINTS, "of_fold", "youden", "0", to=-1.0), "of_fold.youden.0: expected"),
    "unknown rule": (changed(*POINTS, "thresholds", "f1", to=0.5), "thresholds.f1: expected one of youden"),
    "no rule": (without(*POINTS, "thresholds", "youden"), "expected youden and sensitivity_90 in thresholds, found"),
    "folds without rule": (without(*POINTS, "of_fold", "youden"), "in of_fold, found sensitivity_90"),
    "unknown classifier": (changed("operating_points", "ct", to={}), "operating_points.ct: expected one of"),
    "more malignant than pairs": (changed("training", "malignant_pairs", to=99), "training: expected no more"),
    "unknown axis": (changed("training", "ranges", "dm", "depth", to=[1, 2]), "training.ranges.dm.depth: expected one"),
    "no pair": (edited("training.csv", lambda text: text.splitlines(keepends=True)[0]), "expected 9 pairs.*found 0"),
    "no table": (edited("training.csv", lambda _: b""), "training.csv cause=expected 9 pairs"),
    "one pair less": (edited("training.csv", lambda text: text[: text[:-1].rindex(b"\n") + 1]), "found 8 of 8"),
    "another table": (edited("training.csv", lambda _: b"a,b\n1,2\n"), "training.csv cause=expected a table of fold"),
    "fold no number": (edited("training.csv", lambda text: text.replace(b"\n0,", b"\nx,")), "expected a table of fold"),
    "no text": (edited("training.csv", lambda text: text + b"\xff"), "training.csv cause=expected a table of fold"),
    "weights exchanged": (exchanged("weights/alexnet.safetensors", "weights/squeezenet.safetensors"), "file=weights/"),
    "weights empty": (edited("weights/alexnet.safetensors", lambda _: b""), "file=weights/alexnet.safetensors"),
    "heads of the other backbone": (
        exchanged("heads/alexnet", "heads/squeezenet"),
        "file=heads/.*trained on: expected feature_shape",
    ),
    "one head for the other": (
        exchanged("heads/alexnet/fold0/dm.json", "heads/alexnet/fold0/dbt.json"),
        "file=heads/alexnet/fold0/d.*expected the dm head|expected the dbt head",
    ),
    "head empty": (edited("heads/alexnet/fold0/dm.safetensors", lambda _: b""), "file=heads/alexnet/fold0/dm"),
    "head of other weights": (
        edited("heads/alexnet/fold0/dm.json", lambda text: text.replace(b'"input_size": 64', b'"input_size": 65')),
        "file=heads/alexnet/fold0/dm.json.*trained on: expected input_size 64, found 65",
    ),
    "every backbone exchanged": (every_backbone_exchanged, "expected the weights of"),
}


def backbone_of(folder):
    return json.loads((folder / "model.json").read_text())["backbones"]["alexnet"]


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """A mammogram and a volume that the training has not seen: every fold is used."""
    folder, image = tmp_path_factory.mktemp("new"), np.zeros((64, 48), np.uint16)
    image[8:56, :30] = np.random.default_rng(5).integers(1000, 4096, (48, 30))
    dm = write_dicom(folder / "dm.dcm", image, WindowCenter="2048", WindowWidth="4096")
    return dm, write_avi(folder / "dbt.avi", smooth_volume(9, 64, 48, 99))


@pytest.mark.parametrize("name", DAMAGES)
def test_an_edit_gives_one_clear_error(copy, pair, name):
    damage, words = DAMAGES[name]
    damage(copy)
    sum_again(copy)
    with pytest.raises(IntegrityError, match=f"(?s)^E-BUNDLE-.*(?:{words})") as caught:
        dmdbt.load_model(copy).predict(*pair)
    assert "\n" not in str(caught.value)
    assert "pydantic" not in str(caught.value)


def test_the_copy_is_a_bundle_before_the_edit(copy, pair):
    sum_again(copy)
    assert dmdbt.load_model(copy).predict(*pair).folds == [0, 1, 2]


@pytest.mark.parametrize("name", ["threshold NaN", "no pair", "heads of the other backbone"])
def test_the_command_ends_with_5_and_without_a_traceback(copy, pair, tmp_path, name, capfd):
    DAMAGES[name][0](copy)
    sum_again(copy)
    files = ["--dm", str(pair[0]), "--dbt", str(pair[1])]
    options = ["predict", "--model", str(copy), *files, "--output", str(tmp_path / "o"), "--no-pages", "--jobs", "1"]
    assert main(options) == 5
    printed = capfd.readouterr().err
    assert "E-BUNDLE-DAMAGED" in printed
    assert "Traceback" not in printed
