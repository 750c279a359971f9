import pytest

from dmdbt.errors import ParameterError
from dmdbt.running import checkpoint_folder, checkpoint_minutes, compute_device, feature_memory, free_memory


@pytest.mark.parametrize(
    ("variable", "value", "function"),
    [
        ("DMDBT_DEVICE", "tpu", compute_device),
        ("DMDBT_MEMORY_GIB", "much", feature_memory),
        ("DMDBT_MEMORY_GIB", "-1", feature_memory),
        ("DMDBT_MEMORY_GIB", "inf", feature_memory),
        ("DMDBT_CHECKPOINT_MINUTES", "nan", checkpoint_minutes),
    ],
)
def test_a_variable_that_makes_no_sense_is_refused_by_its_name(monkeypatch, variable, value, function):
    monkeypatch.setenv(variable, value)
    with pytest.raises(ParameterError, match=f"{variable}: expected .*, got '{value}'"):
        function()


def test_features_may_take_half_of_what_is_free_or_what_is_said(monkeypatch):
    assert 0 < feature_memory() < free_memory()
    monkeypatch.setenv("DMDBT_MEMORY_GIB", "1.5")
    assert feature_memory() == 1.5 * 2**30


def test_states_of_trainings_are_kept_where_it_is_said(monkeypatch, tmp_path):
    monkeypatch.setenv("DMDBT_CHECKPOINTS", str(tmp_path))
    assert checkpoint_folder() == tmp_path
    monkeypatch.setenv("DMDBT_CHECKPOINT_MINUTES", "0")
    assert checkpoint_minutes() == 0
