from dataclasses import replace

import numpy as np
import pytest
import torch

from dmdbt.errors import IntegrityError
from dmdbt.features import write_features
from dmdbt.heads import open_features, predict, train_heads
from dmdbt.heads.dataset import feature_bytes
from dmdbt.terms import Head, Modality
from tests.support.feature_sets import CPU, HEADS, ORIGIN, STORED, TRAIN, feature_set, without


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
