import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dmdbt.errors import DmdbtError
from dmdbt.heads import (
    FeatureSet,
    HeadSettings,
    predict,
    train_heads,
    training_bytes,
)
from dmdbt.heads.networks import ACTIVATIONS
from dmdbt.heads.training import balanced_batches, learning_rate
from dmdbt.running.workers import _KEEP_MEMORY
from dmdbt.terms import Head, Modality
from tests.support import ROOT
from tests.support.feature_sets import HEADS, TRAIN, equal_weights, feature_set, without

# Batches


@given(st.lists(st.integers(0, 1), min_size=2, max_size=60), st.integers(1, 5), st.integers(1, 9), st.integers(0, 99))
def test_every_batch_is_balanced_and_an_epoch_is_one_pass_over_the_larger_class(targets, n_copies, half, seed):
    targets = np.array([*targets, 0, 1])
    batches = list(balanced_batches(targets, n_copies, 2 * half, np.random.default_rng(seed)))
    for pairs, copies in batches:
        assert targets[pairs].sum() * 2 == len(pairs) == len(copies) <= 2 * half
    seen = Counter((int(p), int(c)) for pairs, copies in batches for p, c in zip(pairs, copies, strict=True))
    larger = int(targets.sum() * 2 >= len(targets))
    of_larger = {sample: n for sample, n in seen.items() if targets[sample[0]] == larger}
    assert of_larger == {(int(p), c): 1 for p in np.flatnonzero(targets == larger) for c in range(n_copies)}
    of_smaller = [n for sample, n in seen.items() if targets[sample[0]] != larger]
    assert max(of_smaller) - min(of_smaller) <= 1


# Training


def test_heads_learn_what_their_modality_shows_and_nothing_else():
    features = feature_set(n_pairs=90, signal=(2.0, 0.0))
    train, test = np.arange(60), np.arange(60, 90)
    heads, history = train_heads(features, train, HEADS, TRAIN)
    probs = predict(heads, features, test)
    correct = {head: (probs[head] > 0.5) == features.targets[test] for head in Head}
    assert correct[Head.DM].mean() > 0.9
    assert correct[Head.DM_DBT].mean() > 0.9
    assert correct[Head.DBT].mean() < 0.8
    losses = [row["loss"] for row in history if row["head"] == "dm"]
    assert len(losses) == TRAIN.epochs
    assert losses[-1] < losses[0]


def test_training_never_looks_at_the_pairs_it_is_not_given():
    features, train = feature_set(), np.arange(20)
    hidden = {modality: maps.clone() for modality, maps in features.maps.items()}
    for maps in hidden.values():
        maps[20:] = float("nan")
    for other in (features, replace(features, maps=hidden)):
        heads, _ = train_heads(other, train, HEADS, TRAIN)
        probs = predict(heads, features, np.arange(20, 40))[Head.DM_DBT]
        if other is features:
            expected = probs
    np.testing.assert_array_equal(probs, expected)


def test_training_twice_gives_the_same_weights_and_leaves_the_global_generator_alone():
    state = torch.get_rng_state()
    first, second = (train_heads(feature_set(), np.arange(40), HEADS, TRAIN)[0] for _ in range(2))
    assert all(equal_weights(first[head], second[head]) for head in Head)
    assert torch.equal(state, torch.get_rng_state())


def test_another_seed_gives_other_weights():
    first, _ = train_heads(feature_set(), np.arange(40), HEADS, TRAIN)
    second, _ = train_heads(feature_set(), np.arange(40), HEADS, replace(TRAIN, seed=6))
    probs = [predict(heads, feature_set(), np.arange(40))[Head.DM] for heads in (first, second)]
    assert not np.array_equal(*probs)


def test_a_prediction_does_not_depend_on_its_neighbors():
    features = feature_set(n_pairs=70)
    heads, _ = train_heads(features, np.arange(40), HEADS, replace(TRAIN, epochs=1))
    together = predict(heads, features, np.arange(70))[Head.DM_DBT]
    alone = [predict(heads, features, np.array([pair]))[Head.DM_DBT][0] for pair in range(70)]
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_the_learning_rate_is_constant_or_falls_as_half_a_cosine():
    rates = {
        schedule: [learning_rate(replace(TRAIN, epochs=4, schedule=schedule), epoch) for epoch in (1, 2, 3, 4)]
        for schedule in ("constant", "cosine")
    }
    assert rates["constant"] == [3e-3] * 4
    np.testing.assert_allclose(rates["cosine"], 1.5e-3 * (1 + np.array([1, 0.5**0.5, 0, -(0.5**0.5)])))


@pytest.mark.slow
def test_activation_and_schedule_change_what_is_learned():
    features, pairs = feature_set(), np.arange(40)
    first, _ = train_heads(features, pairs, HEADS, TRAIN)
    constant, _ = train_heads(features, pairs, HEADS, replace(TRAIN, schedule="constant"))
    assert not equal_weights(first[Head.DM], constant[Head.DM])
    for activation in ACTIVATIONS:
        settings = replace(HEADS, activation=activation)
        _, history = train_heads(feature_set(n_pairs=90), np.arange(90), settings, TRAIN)
        losses = [row["loss"] for row in history if row["head"] == "dm_dbt"]
        assert losses[-1] < losses[0] / 2


def test_a_loss_that_is_not_finite_is_named():
    features = feature_set()
    features.maps[Modality.DM][3] = float("inf")
    with pytest.raises(DmdbtError, match=r"expected a finite loss, got nan in head dm, epoch 1, batch \d+"):
        train_heads(features, np.arange(40), HEADS, TRAIN)


def test_in_bfloat16_heads_learn_as_well():
    features = feature_set(n_pairs=90)
    heads, _ = train_heads(features, np.arange(60), HEADS, replace(TRAIN, mixed=True))
    test = np.arange(60, 90)
    assert ((predict(heads, features, test)[Head.DM_DBT] > 0.5) == features.targets[test]).mean() > 0.9


@pytest.mark.skipif(sys.platform != "linux", reason="/proc has the peak")
@pytest.mark.parametrize("mixed", [False, True])
def test_the_memory_of_training_is_known_before(mixed):
    """The largest resident set of a process that trains, less that of one that has only imported, is as planned."""
    command = [sys.executable, "-c", _TRAINS, str(mixed)]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | _KEEP_MEMORY, capture_output=True, text=True, check=True)
    measured = int(done.stdout)
    assert training_bytes((512, 13, 13), HeadSettings(), 32, mixed=mixed) == pytest.approx(measured, rel=0.15)


_TRAINS = """
import sys
from pathlib import Path
import numpy as np
import torch
from dmdbt.heads import HeadSettings, TrainSettings, train_heads
from tests.support.feature_sets import feature_set

def own_peak():  # not getrusage, which begins with what the process had that started this one
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))

torch.set_num_threads(1)
features = feature_set(16, shape=(512, 13, 13))
before = own_peak()
train_heads(features, np.arange(16), HeadSettings(), TrainSettings(2, 32, 1e-4, sys.argv[1] == "True", 0))
print(own_peak() - before)
"""


# Pairs that lack a modality


def test_heads_that_see_the_same_pairs_share_their_batches(monkeypatch):
    read = Counter()
    batches = FeatureSet.batches

    def counted(self, samples, device, modalities):
        read[modalities] += len(samples)
        return batches(self, samples, device, modalities)

    monkeypatch.setattr(FeatureSet, "batches", counted)
    complete, dm, both = feature_set(), (Modality.DM,), tuple(Modality)
    # Of 27 benign pairs, six lack a volume in the second set; each has two copies, and a batch takes four of them.
    for features, expected in (
        (complete, {both: 14}),
        (without(complete, Modality.DBT, np.arange(9)), {dm: 14, both: 11}),
        (without(complete, Modality.DBT, np.arange(40)), {dm: 14}),
    ):
        read.clear()
        train_heads(features, np.arange(40), HEADS, replace(TRAIN, epochs=1))
        assert read == expected


def test_a_head_learns_from_all_pairs_that_have_its_images_and_predicts_no_other():
    features = feature_set(n_pairs=120)
    features = without(without(features, Modality.DBT, np.arange(0, 120, 4)), Modality.DM, np.arange(1, 120, 4))
    heads, history = train_heads(features, np.arange(80), HEADS, TRAIN)
    assert [row["head"] for row in history[:3]] == ["dm", "dbt", "dm_dbt"]
    test = np.arange(80, 120)
    probs = predict(heads, features, test)
    for head in Head:
        having = features.having(head.modalities)[test]
        np.testing.assert_array_equal(np.isnan(probs[head]), ~having)
        assert ((probs[head] > 0.5) == features.targets[test])[having].mean() > 0.9


def test_what_a_head_learns_is_not_changed_by_pairs_that_lack_its_images():
    features = feature_set(n_pairs=60)
    lacking = without(features, Modality.DBT, np.arange(40, 60))
    heads, history = train_heads(lacking, np.arange(40), HEADS, TRAIN)
    expected, expected_history = train_heads(features, np.arange(40), HEADS, TRAIN)
    assert history == expected_history
    assert all(equal_weights(heads[head], expected[head]) for head in Head)
    probs, complete = predict(heads, lacking, np.arange(60)), predict(heads, features, np.arange(60))
    np.testing.assert_allclose(probs[Head.DM_DBT][:40], complete[Head.DM_DBT][:40], atol=1e-6)
    np.testing.assert_array_equal(probs[Head.DM], complete[Head.DM])


def test_a_cohort_of_mammograms_alone_has_the_dm_head_alone():
    features = without(feature_set(n_pairs=90), Modality.DBT, np.arange(90))
    heads, history = train_heads(features, np.arange(60), HEADS, TRAIN)
    assert {row["head"] for row in history} == set(heads) == {Head.DM}
    probs = predict(heads, features, np.arange(60, 90))
    assert ((probs[Head.DM] > 0.5) == features.targets[60:]).mean() > 0.9


def test_a_head_whose_pairs_are_of_one_class_is_not_trained():
    features = feature_set()
    features = without(features, Modality.DBT, np.flatnonzero(features.targets == 1))
    heads, _ = train_heads(features, np.arange(40), HEADS, replace(TRAIN, epochs=1))
    assert set(heads) == {Head.DM}


def test_without_a_head_that_can_be_trained_it_is_said_why():
    features = feature_set()
    features = without(features, Modality.DBT, np.flatnonzero(features.targets == 1)[1:])
    benign = np.flatnonzero(features.targets == 0)
    with pytest.raises(DmdbtError, match=r"expected benign and malignant .* got dm, dbt, dm_dbt: 27 and 0\. Add pairs"):
        train_heads(features, benign, HEADS, TRAIN)
    with pytest.raises(DmdbtError, match=r"expected benign and malignant .* got none\."):
        train_heads(without(features, Modality.DM, benign), benign[:0], HEADS, TRAIN)


# Stored features
