from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from dmdbt.errors import DmdbtError, IntegrityError
from dmdbt.features import Origin, write_features
from dmdbt.heads import (
    FeatureSet,
    HeadSettings,
    JointHead,
    SingleModalityHead,
    TrainSettings,
    load_features,
    predict,
    train_heads,
)
from dmdbt.heads.training import balanced_batches
from dmdbt.terms import Head, Modality

HEADS = HeadSettings(filters=None, hidden=(16, 8), dropout=0.5)
TRAIN = TrainSettings(epochs=8, batch_size=8, learning_rate=3e-3, seed=5)
ORIGIN = Origin("alexnet", "features.11", "a" * 64, "b" * 64, 64, "breast", ("flip", "original"))


def feature_set(n_pairs=40, signal=(2.0, 2.0), seed=0):
    """Feature maps in which one channel tells the class, by as much as `signal` in DM and DBT."""
    rng = np.random.default_rng(seed)
    targets = np.arange(n_pairs) % 3 // 2
    maps = {}
    for modality, strength in zip(Modality, signal, strict=True):
        array = rng.normal(size=(n_pairs, 2, 4, 3, 3))
        array[:, :, 0] += strength * (2 * targets[:, None, None, None] - 1)
        maps[modality] = torch.from_numpy(array.astype(np.float16))
    return FeatureSet(maps, targets, original=0)


# Networks


def test_the_joint_head_equals_a_3d_convolution_over_the_modality_axis():
    torch.manual_seed(0)
    head = JointHead(5, 6, 7, filters=3).eval()
    convolution = nn.Conv3d(5, 3, kernel_size=(1, 1, 2))
    with torch.no_grad():
        # (F, M * C, 1, 1) -> (F, C, 1, 1, M)
        convolution.weight.copy_(head.convolution[0].weight.unflatten(1, (2, 5)).movedim(1, -1))
        convolution.bias.copy_(head.convolution[0].bias)
        maps = torch.randn(4, 5, 6, 7, 2)
        rows = nn.functional.leaky_relu(head.convolution[1](convolution(maps).squeeze(-1)), 0.01)
        pooled = nn.functional.max_pool3d(rows.unsqueeze(-1), (2, 2, 1), stride=1)
        torch.testing.assert_close(head(maps), head.classifier(pooled.flatten(1)))


def test_the_heads_have_the_layers_of_table_1():
    with torch.device("meta"):  # the first layer alone has 164 million parameters
        head = SingleModalityHead(256, 51, 51)
    shapes = [tuple(p.shape) for name, p in head.named_parameters() if name.endswith("weight") and p.ndim > 1]
    assert shapes == [(256, 256, 1, 1), (256, 256 * 50 * 50), (128, 256), (2, 128)]
    assert [module.p for module in head.modules() if isinstance(module, nn.Dropout)] == [0.5, 0.5]


def test_the_filters_can_be_fewer_than_the_channels():
    assert SingleModalityHead(8, 5, 5, filters=3)(torch.zeros(2, 8, 5, 5)).shape == (2, 2)
    assert JointHead(8, 5, 5, filters=3)(torch.zeros(2, 8, 5, 5, 2)).shape == (2, 2)


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
    correct = {head: (predict(head, heads[head], features, test) > 0.5) == features.targets[test] for head in Head}
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
        probs = predict(Head.DM_DBT, heads[Head.DM_DBT], features, np.arange(20, 40))
        if other is features:
            expected = probs
    np.testing.assert_array_equal(probs, expected)


def test_training_twice_gives_the_same_weights_and_leaves_the_global_generator_alone():
    state = torch.get_rng_state()
    first, second = (train_heads(feature_set(), np.arange(40), HEADS, TRAIN)[0] for _ in range(2))
    for head in Head:
        for a, b in zip(first[head].state_dict().values(), second[head].state_dict().values(), strict=True):
            assert torch.equal(a, b)
    assert torch.equal(state, torch.get_rng_state())


def test_another_seed_gives_other_weights():
    first, _ = train_heads(feature_set(), np.arange(40), HEADS, TRAIN)
    second, _ = train_heads(feature_set(), np.arange(40), HEADS, replace(TRAIN, seed=6))
    probs = [predict(Head.DM, heads[Head.DM], feature_set(), np.arange(40)) for heads in (first, second)]
    assert not np.array_equal(*probs)


def test_a_prediction_does_not_depend_on_its_neighbors():
    features = feature_set(n_pairs=70)
    heads, _ = train_heads(features, np.arange(40), HEADS, replace(TRAIN, epochs=1))
    together = predict(Head.DM_DBT, heads[Head.DM_DBT], features, np.arange(70))
    alone = [predict(Head.DM_DBT, heads[Head.DM_DBT], features, np.array([pair]))[0] for pair in range(70)]
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_a_loss_that_is_not_finite_is_named():
    features = feature_set()
    features.maps[Modality.DM][3] = float("inf")
    with pytest.raises(DmdbtError, match=r"expected a finite loss, got nan in head dm, epoch 1, batch \d+"):
        train_heads(features, np.arange(40), HEADS, TRAIN)


# Stored features


def store(folder, *, backbone="alexnet"):
    for modality in Modality:
        for case in ("a", "b"):
            maps = np.full((2, 3, 4, 4), ord(case), np.float16)
            write_features(folder / modality / f"{case}.h5", maps, replace(ORIGIN, backbone=backbone))


def test_stored_features_are_loaded_in_the_order_of_the_cases(tmp_path):
    store(tmp_path)
    features, origin = load_features(tmp_path, ["b", "a"], np.array([0, 1]))
    assert features.maps[Modality.DBT][:, 0, 0, 0, 0].tolist() == [ord("b"), ord("a")]
    assert (features.original, features.n_copies, features.shape) == (1, 2, (3, 4, 4))
    assert origin.backbone == "alexnet"


def test_features_of_another_backbone_are_not_mixed_in(tmp_path):
    store(tmp_path)
    other = replace(ORIGIN, backbone="resnet18")
    write_features(tmp_path / "dbt" / "b.h5", np.zeros((2, 3, 4, 4), np.float16), other)
    with pytest.raises(IntegrityError, match=r"E-FEATURES-MIXED case=b .*alexnet.*found .*resnet18"):
        load_features(tmp_path, ["a", "b"], np.array([0, 1]))


def test_a_case_without_features_is_named(tmp_path):
    store(tmp_path)
    with pytest.raises(IntegrityError, match=r"E-FEATURES .*file=dm/c.h5"):
        load_features(tmp_path, ["a", "c"], np.array([0, 1]))
