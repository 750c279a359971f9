import pytest

from dmdbt import params
from dmdbt.errors import ParameterError
from tests.support import ROOT, yaml


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"names": ["resnet4d"]}, r"baselines.names\[0\]: expected one of 2d_t3_alex, 3d_t2_alex, svm_gap, resnet3d"),
        ({"names": ["resnet3d", "resnet3d"]}, "baselines.names: expected each name once"),
        ({"resnet3d": 3}, "baselines.resnet3d: expected the keys maps, train, got 3"),
        (
            {"svm_gap": {"maps": {"size": 8}, "train": {}}},
            "baselines.svm_gap.maps.size: expected a whole number from 32",
        ),
        (
            {"svm_gap": {"maps": {"size": 64}, "train": {"folds": 2, "c": [], "gamma": [1], "seed": 0}}},
            "baselines.svm_gap.train.c: expected at least one number",
        ),
    ],
)
def test_a_wrong_setting_of_a_baseline_is_named_with_its_key(tmp_path, change, message):
    content = yaml.load(ROOT / "params.yaml")
    content["baselines"] |= change
    yaml.dump(content, (tmp_path / "params.yaml"))
    with pytest.raises(ParameterError, match=message):
        params.read(params.Baselines, tmp_path / "params.yaml")
