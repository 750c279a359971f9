import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmdbt import params
from dmdbt.errors import ParameterError
from dmdbt.params.checking import RENAMED, checked_section
from dmdbt.params.file import merged
from tests.support import ROOT, yaml

DEMO = ROOT / "params.yaml"


def changed(tmp_path, section, **values):
    content = yaml.load(DEMO)
    content[section] |= values
    path = tmp_path / "params.yaml"
    yaml.dump(content, path)
    return path


def test_every_section_of_the_demo_is_valid():
    for section in params.SECTIONS.values():
        params.read(section, DEMO)


def test_the_demo_has_no_section_without_a_type():
    assert set(yaml.load(DEMO)) == {"cohort", "missing_modality", *params.SECTIONS}


@pytest.mark.parametrize(
    ("section", "key", "value", "message"),
    [
        (params.Labels, "benign", ["0", "Malignant"], r"labels: expected each spelling once, .*, got .*'Malignant'"),
        (params.Labels, "malignant", [1, "1"], r"labels: expected each spelling once, .* Remove the spelling"),
        (params.Labels, "malignant", [True, "TRUE"], r"labels: expected each spelling once"),
        (params.Labels, "benign", [0.5], r"labels.benign\[0\]: expected text or .*, got 0.5"),
        (params.Labels, "benign", 0, r"labels.benign: expected a list, .*, got 0"),
        (params.Train, "epochs", 2.5, r"train.epochs: expected a whole number from 1 to 10000, got 2.5"),
        (params.Train, "epochs", True, r"train.epochs: expected a whole number"),
        (params.Train, "batch_size", 31, r"train.batch_size: expected an even number, got 31"),
        (params.Train, "epochs", None, r"train.epochs: expected a whole number from 1 to 10000, got None"),
        (params.Rankpool, "rho", float("nan"), r"rankpool.rho: expected a number above 0 up to 1e\+08, got nan"),
        (params.Rankpool, "rho", 0.0, r"rankpool.rho: expected a number above 0 up to 1e\+08, got 0.0"),
        (params.Rankpool, "rho", 2e8, r"rankpool.rho: expected a number above 0 up to 1e\+08, got 200000000.0"),
        (params.Rankpool, "pooler", "median", r"rankpool.pooler: expected one of ranksvm, approximate, mean, max, std"),
        (params.Rankpool, "mapping", "linear", r"rankpool.mapping: expected one of symmetric, minmax, got 'linear'"),
        (params.Split, "test_folds", [5], r"split.test_folds: expected at least one fold, each once, from 0 to 4"),
        (params.Split, "test_folds", [0, "1"], r"split.test_folds\[1\]: expected a whole number"),
        (params.Features, "augmentations", ["flip"], r"features.augmentations: .*the original among them"),
        (params.Features, "size", {"alexnet": 8}, r"features.size.alexnet: expected a whole number from 32 to 4096"),
        (params.Train, "schedule", "step", r"train.schedule: expected one of constant, cosine, got 'step'"),
        (params.Heads, "activation", "tanh", r"heads.activation: expected one of none, relu, batch_norm_relu, got"),
        (params.Heads, "filters", "many", r"heads.filters: expected one of backbone or a whole number"),
        (params.Ensemble, "weights", {"dm": 1}, r"ensemble.weights: expected one weight each"),
        (params.Backbones, "names", [], r"backbones.names: expected at least one name"),
        (params.Backbones, "names", "alexnet", r"backbones.names: expected a list, each text, got 'alexnet'"),
        (
            params.Backbones,
            "names",
            ["vgg"],
            r"backbones.names\[0\]: expected a known backbone, got 'vgg'. Choose one",
        ),
        (params.Backbones, "names", ["alexnet; x"], r"backbones.names\[0\]: expected a known backbone"),
        (params.Weights, "steps", {"x; touch pwned": 1}, r"weights.steps.x; touch pwned: expected a known backbone"),
        (params.Features, "size", {"$(x)": 64}, r"features.size.\$\(x\): expected a known backbone, got '\$\(x\)'"),
        (params.Ablation, "backbone", "x y", r"ablation.backbone: expected a known backbone, got 'x y'"),
        (params.Ablation, "variants", {"a;b": {"pooler": "mean", "rho": 1.0}}, r"ablation.variants: expected names of"),
        (params.Baselines, "names", ["svm_gap; x"], r"baselines.names\[0\]: expected one of 2d_t3_alex, "),
        (params.Backbones, "weights", {"alexnet": 1}, r"backbones.weights: expected text or a mapping to text, got"),
        (params.Backbones, "weights", ["imagenet"], r"backbones.weights: expected text or a mapping to text, got"),
        (params.Backbones, "weights", {"resnet": "imagenet"}, r"backbones.weights.mobilenet_v2: expected imagenet, .*"),
    ],
)
def test_a_wrong_value_is_named_with_its_key_expectation_and_value(tmp_path, section, key, value, message):
    path = changed(tmp_path, section.__name__.lower(), **{key: value})
    with pytest.raises(ParameterError, match=message):
        params.read(section, path)


def test_weights_have_one_source_for_all_backbones_or_one_for_each(tmp_path):
    for weights, of_resnet in (("imagenet", "imagenet"), ({"alexnet": "imagenet", "resnet": "a.pth"}, "a.pth")):
        path = changed(tmp_path, "backbones", names=["alexnet"], weights=weights)
        backbones = params.read(params.Backbones, path)
        assert (backbones.source("alexnet"), backbones.source("resnet")) == ("imagenet", of_resnet)
    with pytest.raises(ParameterError, match="backbones.weights.vgg19: expected .*Every backbone that is used needs"):
        backbones.source("vgg19")


def test_a_missing_and_an_unknown_key_are_named(tmp_path):
    path = changed(tmp_path, "train", epoch=3)
    with pytest.raises(ParameterError, match=r"train.epoch: expected one of epochs, .*got 'epoch'"):
        params.read(params.Train, path)
    path.write_text("train: {epochs: 3}")
    with pytest.raises(ParameterError, match=r"train.batch_size: expected a whole number .*Add the key"):
        params.read(params.Train, path)


def test_a_missing_file_section_or_mapping_is_named(tmp_path):
    path = tmp_path / "params.yaml"
    with pytest.raises(ParameterError, match="params.yaml: expected a file"):
        params.read(params.Train, path)
    path.write_text("a: [")
    with pytest.raises(ParameterError, match="expected YAML"):
        params.read(params.Train, path)
    path.write_text("3")
    with pytest.raises(ParameterError, match="a mapping of sections"):
        params.read(params.Train, path)
    path.write_text("split: 1")
    with pytest.raises(ParameterError, match="train: expected a section in params.yaml"):
        params.read(params.Train, path)
    with pytest.raises(ParameterError, match="split: expected the keys folds, test_folds, seed, got 1"):
        params.read(params.Split, path)


@pytest.mark.parametrize("text", ["1e-3", "1E-3", "0.1e-2", "1.0e-3", "0.001", "1e-03"])
def test_a_number_is_read_as_dvc_reads_it(tmp_path, text):
    # `dvc exp run -S train.learning_rate=5e-5` writes 5e-05, which YAML 1.1 takes for text.
    path = tmp_path / "params.yaml"
    path.write_text(
        f"train: {{epochs: 1, batch_size: 2, learning_rate: {text}, schedule: cosine, precision: float32, seed: 0}}"
    )
    assert params.read(params.Train, path).learning_rate == 0.001


@pytest.mark.parametrize("text", ["'1e-3'", '"0.001"'])
def test_a_number_in_quotes_is_named_as_text(tmp_path, text):
    path = tmp_path / "params.yaml"
    path.write_text(
        f"train: {{epochs: 1, batch_size: 2, learning_rate: {text}, schedule: cosine, precision: float32, seed: 0}}"
    )
    with pytest.raises(ParameterError, match=r"train.learning_rate: expected a number .*It is text .*without quotes"):
        params.read(params.Train, path)


@given(st.floats(1e-8, 1.0))
def test_a_number_in_range_is_read_as_it_stands(rate):
    section = {
        "epochs": 1,
        "batch_size": 2,
        "learning_rate": rate,
        "schedule": "cosine",
        "precision": "float32",
        "seed": 0,
    }
    assert checked_section(params.Train, section, "train").learning_rate == rate


@given(st.floats(0, 1e8, exclude_min=True))
def test_every_rho_above_0_is_read(rho):
    section = {"pooler": "ranksvm", "rho": rho, "mapping": "symmetric", "quantile": 0.995}
    assert checked_section(params.Rankpool, section, "rankpool").rho == rho


def test_a_backbone_without_a_number_is_named():
    with pytest.raises(ParameterError, match=r"features.size.vgg11: expected a number"):
        params.for_backbone({"alexnet": 160}, "vgg11", key="features.size")


def test_every_wrong_key_is_named(tmp_path):
    path = changed(tmp_path, "train", epochs="6", epoch=3, batch_size=3)
    with pytest.raises(
        ParameterError, match=r"^train.epochs: expected a whole number from 1 to 10000, got '6'"
    ) as found:
        params.read(params.Train, path)
    assert [note.partition(",")[0] for note in found.value.__notes__] == [
        "train.batch_size: expected an even number",
        "train.epoch: expected one of epochs",
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train": None}, r"baselines.alexnet_2d.train: expected the keys epochs, .*Restore the section"),
        ({"train": {}}, r"baselines.alexnet_2d.train.epochs: expected a whole number .*Add the key"),
        (
            {"maps": {"size": 64, "grid": 0, "augmentations": []}},
            r"baselines.alexnet_2d.maps.grid: expected a whole number",
        ),
        (
            {"maps": {"size": 64, "grid": 1, "augmentations": []}},
            r"baselines.alexnet_2d.maps.augmentations: expected each copy once",
        ),
        ({"map": 1}, r"baselines.alexnet_2d.map: expected one of maps, train, got 'map'"),
    ],
)
def test_a_wrong_key_in_a_section_of_a_section_is_named(tmp_path, changes, message):
    content = yaml.load(DEMO)["baselines"]
    path = changed(tmp_path, "baselines", alexnet_2d=content["alexnet_2d"] | changes)
    with pytest.raises(ParameterError, match=message):
        params.read(params.Baselines, path)


def test_an_unknown_key_of_a_mapping_is_named_with_the_known_ones(tmp_path):
    path = changed(tmp_path, "ensemble", weights={"dm": 1, "dbt": 1, "mri": 1})
    with pytest.raises(ParameterError, match=r"ensemble.weights.mri: expected one of dm, dbt, dm_dbt, got 'mri'"):
        params.read(params.Ensemble, path)


@pytest.mark.parametrize("text", ["split: {folds: 3}\nsplit: {folds: 4}", "split: {folds: 3, folds: 4}"])
def test_a_key_that_is_there_twice_is_refused_with_its_line(tmp_path, text):
    path = tmp_path / "params.yaml"
    path.write_text("# seed\n" + text)
    with pytest.raises(ParameterError, match=r"expected YAML .*, got 'line \d: found duplicate key \"(split|folds)\""):
        params.read(params.Split, path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"split: {seed: \xe9}", r"expected YAML in UTF-8, .*'utf-8' codec can't decode byte 0xe9"),
        (b"split: \x01", "got .unacceptable character #x0001"),
    ],
)
def test_a_file_that_is_no_text_is_refused(tmp_path, content, message):
    path = tmp_path / "params.yaml"
    path.write_bytes(content)
    with pytest.raises(ParameterError, match=message):
        params.read(params.Split, path)


@pytest.mark.parametrize("setting", [None, *sorted((DEMO.parent / "settings").glob("*.yaml"))])
def test_the_schema_has_the_keys_of_the_demo_and_of_every_setting_and_no_others(setting):
    def compare(content, node):
        node = schema["$defs"][node["$ref"].rpartition("/")[2]] if "$ref" in node else node
        if "properties" in node:
            assert set(content) == set(node["properties"]) == set(node["required"])
            assert node["additionalProperties"] is False
            for name, value in content.items():
                compare(value, node["properties"][name])

    schema = params.json_schema()
    compare(merged(yaml.load(DEMO), yaml.load(setting) if setting else {}), schema)


def test_the_schema_has_descriptions_and_ranges():
    train = params.json_schema()["$defs"]["Train"]
    assert train["description"] == "Optimization of the three heads."
    expected = {"minimum": 2, "maximum": 4096, "type": "integer", "title": "Batch Size"}
    assert train["properties"]["batch_size"] == expected


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
def test_an_old_name_of_a_parameter_gives_an_error_that_names_the_new_one(tmp_path, old, new):
    content = yaml.load(DEMO)
    *sections, name = old.split(".")
    node = content
    for section in sections:
        node = node[section]
    node[name] = node.pop(new.rpartition(".")[2], "require")
    yaml.dump(content, tmp_path / "params.yaml")
    section = params.SECTIONS[sections[0]] if sections else params.Split
    with pytest.raises(ParameterError, match=rf"{old}: expected .* It is called {re.escape(new)} now"):
        params.read(section, tmp_path / "params.yaml")


def test_aliases_that_grow_without_end_are_refused_at_once(tmp_path):
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    (tmp_path / "params.yaml").write_text("\n".join(lines))
    with pytest.raises(ParameterError, match=r"params.yaml: expected at most 100000 values, got '1e\+12 by aliases"):
        params.check(tmp_path / "params.yaml")


def test_parameters_that_are_no_text_are_refused(tmp_path):
    (tmp_path / "params.yaml").write_bytes(b"cohort: \xff\xfe")
    with pytest.raises(ParameterError, match=r"params.yaml: expected YAML in UTF-8"):
        params.check(tmp_path / "params.yaml")
