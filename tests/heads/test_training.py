from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from dmdbt.errors import DmdbtError, IntegrityError
from dmdbt.features import Origin, write_features
from dmdbt.heads import (
    Checkpoint,
    FeatureSet,
    HeadSettings,
    JointHead,
    SingleModalityHead,
    TrainSettings,
    build_head,
    feature_bytes,
    open_features,
    predict,
    train_heads,
    training_bytes,
)
from dmdbt.heads.networks import ACTIVATIONS
from dmdbt.heads.training import balanced_batches, learning_rate
from dmdbt.terms import Head, Modality

HEADS = HeadSettings(filters=None, hidden=(16, 8), dropout=0.5)
TRAIN = TrainSettings(epochs=8, batch_size=8, learning_rate=3e-3, mixed=False, seed=5)
ORIGIN = Origin("alexnet", "features.11", "a" * 64, "", 64, "breast", ("flip", "original"))
STORED = replace(ORIGIN, input_sha256="b" * 64)  # as in a file
CPU = torch.device("cpu")


def feature_set(n_pairs=40, signal=(2.0, 2.0), seed=0):
    """Feature maps in which one channel tells the class, by as much as `signal` in DM and DBT."""
    rng = np.random.default_rng(seed)
    targets = np.arange(n_pairs) % 3 // 2
    maps = {}
    for modality, strength in zip(Modality, signal, strict=True):
        array = rng.normal(size=(n_pairs, 2, 3, 3, 4))
        array[..., 0] += strength * (2 * targets[:, None, None, None] - 1)
        maps[modality] = torch.from_numpy(array.astype(np.float16))
    case_ids = tuple(f"case{number}" for number in range(n_pairs))
    return FeatureSet(Path("nowhere"), case_ids, targets, ORIGIN, (4, 3, 3), maps, np.ones((n_pairs, 2), bool))


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


def test_without_an_activation_the_hidden_layers_are_one_affine_map():
    torch.manual_seed(0)
    x, y = torch.randn(2, 5, 12, dtype=torch.float64)
    for activation in ACTIVATIONS:
        classifier = SingleModalityHead(3, 3, 3, hidden=(16, 8), activation=activation).double().eval().classifier
        affine = torch.allclose(classifier(x) + classifier(y), classifier(x + y) + classifier(torch.zeros_like(x)))
        assert affine == (activation == "none")


def test_batch_norm_and_relu_stand_behind_every_hidden_layer_as_by_hand():
    torch.manual_seed(0)
    head = SingleModalityHead(3, 3, 3, hidden=(16, 8), dropout=0.0, activation="batch_norm_relu").train()
    layers = [module for module in head.classifier if not isinstance(module, nn.Dropout)]
    assert [type(layer) for layer in layers] == [nn.Linear, nn.BatchNorm1d, nn.ReLU] * 2 + [nn.Linear]
    values = torch.randn(9, 12)
    expected = values
    for linear in (layers[0], layers[3]):
        summed = expected @ linear.weight.T + linear.bias
        centered = summed - summed.mean(dim=0)
        expected = (centered / (centered.square().mean(dim=0) + 1e-5).sqrt()).clamp(min=0)
    torch.testing.assert_close(head.classifier(values), expected @ layers[6].weight.T + layers[6].bias)


def test_an_unknown_activation_is_refused():
    with pytest.raises(ValueError, match="activation: expected one of none, relu, batch_norm_relu, got 'tanh'"):
        SingleModalityHead(3, 3, 3, activation="tanh")


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


@pytest.mark.parametrize("filters", [None, 3])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_memory_of_training_is_that_of_weights_moments_and_the_gradients_of_one_head(filters, activation):
    settings = HeadSettings(filters, (16, 8), 0.5, activation)
    numbers = [sum(p.numel() for p in build_head(head, (4, 5, 6), settings).parameters()) for head in Head]
    assert training_bytes((4, 5, 6), settings) == 4 * (3 * sum(numbers) + max(numbers))


# Pairs that lack a modality


def without(features, modality, pairs):
    """The same set, in which some pairs lack a modality."""
    axis = list(Modality).index(modality)
    kept = features.present[:, axis].copy()
    kept[pairs] = False
    present = features.present.copy()
    present[:, axis] = kept
    maps = {**features.maps, modality: features.maps[modality][torch.from_numpy(kept)]}
    return replace(features, maps=maps, present=present)


def equal_weights(first, second):
    pairs = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


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


# Checkpoints


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


# Stored features


def store(folder, features):
    for modality, present in zip(Modality, features.present.T, strict=True):
        case_ids = np.array(features.case_ids)[present]
        for case_id, maps in zip(case_ids, features.maps[modality], strict=True):
            write_features(folder / modality / f"{case_id}.h5", maps.movedim(-1, 1).contiguous().numpy(), STORED)


def stored(folder, features, *, memory=1e9):
    store(folder, features)
    options = {"memory": memory, "device": CPU, "present": features.present}
    return open_features(folder, features.case_ids, features.targets, **options)


def test_stored_features_are_loaded_in_the_order_of_the_cases(tmp_path):
    features = feature_set(n_pairs=3)
    store(tmp_path, features)
    turned = open_features(tmp_path, features.case_ids[::-1], features.targets[::-1], memory=1e9, device=CPU)
    for modality in Modality:
        assert torch.equal(turned.maps[modality], features.maps[modality].flip(0))
    assert (turned.original, turned.n_copies, turned.shape) == (1, 2, (4, 3, 3))
    assert turned.origin == ORIGIN


def test_batches_have_the_chosen_pairs_and_copies_on_their_axes():
    features = feature_set()
    pairs, copies = np.array([5, 0, 7]), np.array([1, 1, 0])
    (batch,) = features.batches([(pairs, copies)], CPU)
    assert batch.shape == (3, 4, 3, 3, 2)
    for position, (pair, copy) in enumerate(zip(pairs, copies, strict=True)):
        for m, modality in enumerate(Modality):
            expected = features.maps[modality][pair, copy].movedim(-1, 0).float()
            assert torch.equal(batch[position, ..., m], expected)
    assert all(maps.is_contiguous(memory_format=torch.channels_last) for maps in batch.unbind(-1))


def test_features_that_do_not_fit_into_memory_give_the_same_bits_from_the_store(tmp_path):
    features = feature_set()
    from_store = stored(tmp_path, features, memory=feature_bytes(80, 2, (4, 3, 3)) - 1)
    in_memory = open_features(tmp_path, features.case_ids, features.targets, memory=1e9, device=CPU)
    assert from_store.maps is None
    assert in_memory.maps is not None
    results = [train_heads(given, np.arange(30), HEADS, TRAIN) for given in (from_store, in_memory, features)]
    for heads, history in results:
        assert history == results[0][1]
        probs, expected = (predict(found, from_store, np.arange(40)) for found in (heads, results[0][0]))
        for head in Head:
            np.testing.assert_array_equal(probs[head], expected[head])


def test_features_that_a_pair_lacks_are_not_looked_for_and_take_no_memory(tmp_path):
    features = without(without(feature_set(), Modality.DBT, np.arange(5, 12)), Modality.DM, np.arange(20, 40))
    size = feature_bytes(80 - 7 - 20, 2, (4, 3, 3))
    in_memory, from_store = (stored(tmp_path, features, memory=memory) for memory in (size, size - 1))
    assert from_store.maps is None
    assert sum(maps.nbytes for maps in in_memory.maps.values()) == size
    results = [train_heads(given, np.arange(30), HEADS, TRAIN) for given in (from_store, in_memory, features)]
    for heads, history in results:
        assert history == results[0][1]
        probs, expected = (predict(found, from_store, np.arange(40)) for found in (heads, results[0][0]))
        for head in Head:
            np.testing.assert_array_equal(probs[head], expected[head])


def test_a_file_that_is_damaged_while_it_is_needed_is_named(tmp_path):
    features = stored(tmp_path, feature_set(), memory=0)
    path = tmp_path / "dbt" / "case3.h5"
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(IntegrityError, match=r"E-FEATURES .*file=dbt/case3.h5"):
        train_heads(features, np.arange(40), HEADS, TRAIN)


@pytest.mark.parametrize("memory", [0, 1e9])
@pytest.mark.parametrize(
    "other",
    [
        {"backbone": "resnet18"},
        {"layer": "features.12"},
        {"weights_sha256": "f" * 64},
        {"size": 96},
        {"crop": "none"},
        {"copies": ("original", "flip")},
    ],
)
def test_features_that_were_made_otherwise_are_not_mixed_in(tmp_path, other, memory):
    features = feature_set(n_pairs=2)
    store(tmp_path, features)
    write_features(tmp_path / "dbt" / "case1.h5", np.zeros((2, 4, 3, 3), np.float16), replace(STORED, **other))
    with pytest.raises(IntegrityError, match=r"E-FEATURES-MIXED case=case1 .*expected features made from .*, found"):
        open_features(tmp_path, features.case_ids, features.targets, memory=memory, device=CPU)


def test_a_case_without_features_is_named(tmp_path):
    store(tmp_path, feature_set(n_pairs=2))
    with pytest.raises(IntegrityError, match=r"E-FEATURES .*file=dm/c.h5"):
        open_features(tmp_path, ["case0", "c"], np.array([0, 1]), memory=1e9, device=CPU)
