"""What is known of the baselines agrees with the parameters and with data/baselines/dvc.yaml."""

from typing import get_args, get_type_hints

from dmdbt import params
from dmdbt.baselines.registry import BASELINES
from tests.support import ROOT, yaml


def test_every_baseline_can_be_named_in_params():
    (names,) = get_args(get_type_hints(params.Baselines)["names"])
    assert set(get_args(names)) == set(BASELINES)


def test_the_stages_read_the_images_and_weights_of_the_registry():
    stages = yaml.load(ROOT / "data/baselines/dvc.yaml")["stages"]
    of_stage: dict[str, list[str]] = {}
    for item in stages["baseline_maps"]["foreach"].values():
        assert item["weights"] == BASELINES[item["baseline"]].weights
        of_stage.setdefault(item["baseline"], []).append(item["modality"])
    assert of_stage == {name: [*BASELINES[name].modalities] for name in of_stage}
