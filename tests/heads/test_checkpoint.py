import numpy as np
import pytest

from dmdbt.heads import (
    Checkpoint,
    train_heads,
)
from dmdbt.terms import Head, Modality
from tests.support.feature_sets import HEADS, TRAIN, equal_weights, feature_set, without


class KilledError(Exception):
    pass


def train_and_die(features, checkpoint, *, after):
    epochs = []

    def on_epochs(number):
        epochs.append(number)
        if len(epochs) > after:
            raise KilledError

    with pytest.raises(KilledError):
        train_heads(features, np.arange(40), HEADS, TRAIN, checkpoint=checkpoint, on_epochs=on_epochs)


def test_a_training_that_was_killed_twice_ends_as_one_that_was_not(tmp_path):
    features, checkpoint = feature_set(), Checkpoint(tmp_path / "state.pt", "key", minutes=0)
    expected, expected_history = train_heads(features, np.arange(40), HEADS, TRAIN)
    train_and_die(features, checkpoint, after=2)
    train_and_die(features, checkpoint, after=3)
    epochs = []
    heads, history = train_heads(features, np.arange(40), HEADS, TRAIN, checkpoint=checkpoint, on_epochs=epochs.append)
    assert epochs[0] >= 4
    assert sum(epochs) == TRAIN.epochs
    assert history == expected_history
    assert all(equal_weights(heads[head], expected[head]) for head in Head)
    checkpoint.remove()
    assert not list(tmp_path.iterdir())


def test_a_killed_training_with_pairs_that_lack_a_modality_ends_as_one_that_was_not(tmp_path):
    checkpoint = Checkpoint(tmp_path / "state.pt", "key", minutes=0)
    for features in (
        without(feature_set(), Modality.DM, np.arange(7)),
        without(feature_set(), Modality.DM, np.arange(40)),
    ):
        expected, expected_history = train_heads(features, np.arange(40), HEADS, TRAIN)
        train_and_die(features, checkpoint, after=3)
        heads, history = train_heads(features, np.arange(40), HEADS, TRAIN, checkpoint=checkpoint)
        assert history == expected_history
        assert heads.keys() == expected.keys()
        assert all(equal_weights(heads[head], expected[head]) for head in heads)
        checkpoint.remove()


def test_the_state_of_another_training_is_not_taken(tmp_path):
    features = feature_set()
    train_and_die(features, Checkpoint(tmp_path / "state.pt", "key", minutes=0), after=2)
    assert Checkpoint(tmp_path / "state.pt", "other key", minutes=0).load() is None


@pytest.mark.parametrize("damage", [lambda whole: whole[:-300], lambda _: b"no state", lambda _: b""])
def test_of_a_damaged_state_it_is_said_that_the_training_begins_anew(tmp_path, capsys, damage):
    checkpoint = Checkpoint(tmp_path / "state.pt", "key", minutes=0)
    train_and_die(feature_set(), checkpoint, after=2)
    checkpoint.path.write_bytes(damage(checkpoint.path.read_bytes()))
    assert checkpoint.load() is None
    assert "state.pt: expected a checkpoint of version 1, got" in capsys.readouterr().err


def test_a_short_training_writes_no_state(tmp_path):
    train_heads(feature_set(), np.arange(40), HEADS, TRAIN, checkpoint=Checkpoint(tmp_path / "a.pt", "key", minutes=5))
    assert not list(tmp_path.iterdir())
