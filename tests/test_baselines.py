"""The parts of the baselines: which slices, what shapes, what an SVM may look at."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from dmdbt import params
from dmdbt.backbones import kinetics_weights
from dmdbt.backbones.architectures import create_classifier, feature_extractor
from dmdbt.baselines import (
    BlockMeans,
    FullyConnected,
    SliceConvolution,
    SvmSettings,
    VideoResnet,
    choose_slices,
    extract_stack,
    fit_svm,
    framed,
    inner_folds,
    normalized,
    pooled_alexnet,
)
from dmdbt.errors import IntegrityError, ParameterError
from dmdbt.features import extract
from dmdbt.imaging import breast_box

SLICES = st.integers(1, 120)
SETTINGS = SvmSettings(folds=3, c=(0.1, 1.0, 10.0), gamma=(0.1, 1.0), seed=1)


@given(SLICES, SLICES, st.sampled_from(["even", "central"]))
def test_chosen_slices_are_in_order_in_the_volume_and_as_often_as_each_other(n_slices, number, choice):
    chosen = choose_slices(n_slices, number, choice)
    assert len(chosen) == number
    assert (np.diff(chosen) >= 0).all()
    assert set(chosen) <= set(range(n_slices))
    counts = np.bincount(chosen, minlength=n_slices)
    if number >= n_slices:
        assert counts.max() - counts.min() <= 1  # every slice is there
    else:
        assert counts.max() == 1


@given(SLICES, SLICES)
def test_evenly_spaced_slices_are_the_middles_of_equal_parts(n_slices, number):
    for part, chosen in enumerate(choose_slices(n_slices, number, "even")):
        middle = (part + 0.5) * n_slices / number  # slice t reaches from t to t + 1
        assert chosen <= middle < chosen + 1


@given(SLICES, SLICES)
def test_central_slices_are_neighbors_in_the_middle(n_slices, number):
    chosen = choose_slices(n_slices, number, "central")
    if number <= n_slices:
        assert (np.diff(chosen) == 1).all()
        assert abs(chosen[0] - (n_slices - 1 - chosen[-1])) <= 1


def test_one_evenly_spaced_slice_is_the_middle_one():
    assert choose_slices(31, 1, "even").tolist() == [15]


@pytest.mark.parametrize(("n_slices", "number", "choice"), [(0, 3, "even"), (3, 0, "central"), (3, 3, "last")])
def test_a_choice_that_does_not_exist_is_refused(n_slices, number, choice):
    with pytest.raises(ValueError, match="choose_slices: expected 1 or more slices, even or central, got"):
        choose_slices(n_slices, number, choice)


def test_all_slices_are_cropped_by_one_box_that_holds_the_breast_of_each():
    images = np.zeros((2, 40, 40), np.uint8)
    images[0, 5:20, :10], images[1, 10:35, :20] = 200, 100
    box = breast_box(images.max(axis=0))
    for image in images:
        rows, columns = breast_box(image)
        assert box[0].start <= rows.start < rows.stop <= box[0].stop
        assert columns.stop <= box[1].stop
    same_size = framed(images, rows=box[0].stop - box[0].start, columns=box[1].stop - box[1].start, crop=True)
    np.testing.assert_allclose(same_size, images[:, *box] / 255, atol=1e-6)
    assert framed(images, rows=40, columns=40, crop=False).max() == pytest.approx(200 / 255)


@pytest.fixture(scope="module")
def alexnet():
    return feature_extractor(create_classifier("alexnet", seed=3)).requires_grad_(False).eval()


def test_the_maps_of_slices_lie_below_each_other_however_many_share_a_pass(alexnet):
    images = np.random.default_rng(0).random((5, 64, 64), dtype=np.float32)
    network = pooled_alexnet(alexnet, 2)
    together = extract_stack(network, images, ("original", "flip"), at_once=5)
    assert together.shape == (2, 256, 5 * 2, 2)
    for k, image in enumerate(images):
        (alone,) = extract(network, [image], ("original", "flip"))
        np.testing.assert_allclose(together[:, :, 2 * k : 2 * k + 2], alone, rtol=2**-9, atol=1e-4)
    np.testing.assert_array_equal(extract_stack(network, images, ("original",), at_once=2).shape, (1, 256, 10, 2))


def test_pooled_alexnet_with_a_grid_of_6_is_what_the_classifier_of_torchvision_sees():
    classifier = create_classifier("alexnet", seed=3).eval()
    images = torch.rand(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = classifier.avgpool(classifier.features(images))
        torch.testing.assert_close(pooled_alexnet(feature_extractor(classifier), 6)(images), expected)


def test_vgg19_gives_1472_means_those_of_its_max_pools():
    classifier = create_classifier("vgg19", seed=3).eval()
    images = torch.rand(1, 3, 48, 48, generator=torch.Generator().manual_seed(0))
    expected, maps = [], images
    with torch.inference_mode():
        for layer in classifier.features:
            maps = layer(maps)
            if isinstance(layer, torch.nn.MaxPool2d):
                expected.append(maps.flatten(2).mean(-1))
        found = BlockMeans(feature_extractor(classifier)).eval()(images)
    assert found.shape == (1, 1472, 1, 1)
    torch.testing.assert_close(found.flatten(1), torch.cat(expected, dim=1))


@pytest.mark.parametrize(("slices", "grid"), [(1, 1), (2, 1), (7, 3), (30, 6)])
def test_the_network_of_slices_takes_any_number_of_them_and_any_grid(slices, grid):
    network = SliceConvolution((4, slices * grid, grid), filters=3, hidden=[5], dropout=0.5)
    assert network(torch.zeros(2, 4, slices * grid, grid)).shape == (2, 2)


def test_the_convolution_of_slices_sees_neighboring_slices_and_no_others():
    network = SliceConvolution((2, 9 * 2, 2), filters=3, hidden=[], dropout=0).convolution[0]
    maps = torch.zeros(1, 2, 9, 2, 2)
    changed = maps.clone()
    changed[:, :, 4] = 1
    differs = (network(changed) != network(maps)).flatten(3).any(3)[0].any(0)
    assert differs.nonzero().flatten().tolist() == [3, 4, 5]


def test_the_fully_connected_baseline_ends_in_two_classes():
    assert FullyConnected(256 * 16, hidden=[8, 4], dropout=0.5)(torch.zeros(3, 256, 4, 4)).shape == (3, 2)


def test_the_3d_resnet_sees_slices_one_behind_the_other():
    network = VideoResnet(16).eval()
    volume = torch.rand(1, 3, 16, 24, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        logits = network(volume.reshape(1, 1, 48, 24))
        expected = network.network((volume[:, None] - network.mean) / network.std)
    torch.testing.assert_close(logits, expected)


def test_a_damaged_checkpoint_of_kinetics_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    (tmp_path / "hub/checkpoints").mkdir(parents=True)
    (tmp_path / "hub/checkpoints/r3d_18-b3b3357e.pth").write_bytes(b"damaged")
    with pytest.raises(IntegrityError, match="E-WEIGHTS-HASH .*expected a SHA-256 that starts with b3b3357e"):
        kinetics_weights()


def test_every_block_of_normalized_features_has_the_same_length_and_zeros_stay():
    features = np.random.default_rng(0).normal(size=(4, 7)) * 100
    features[1, :3] = 0
    found = normalized(features, (3, 4))
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1)
    np.testing.assert_allclose(np.linalg.norm(found[0, :3]), np.sqrt(0.5))
    assert (found[1, :3] == 0).all()
    np.testing.assert_allclose(normalized(features * 3, (3, 4)), found)


def separable(n_patients=16, shift=1.0, seed=0):
    """Features of two pairs per patient, and their classes and patients."""
    rng = np.random.default_rng(seed)
    targets = np.repeat(np.arange(n_patients) % 2, 2)
    features = rng.normal(size=(len(targets), 6))
    features[:, 0] += shift * (2 * targets - 1)
    return features, targets, [f"P{n // 2}" for n in range(len(targets))]


def test_an_svm_learns_what_can_be_learned():
    svm = fit_svm(*separable(shift=3), SETTINGS)
    features, targets, _ = separable(shift=3, seed=1)
    probs = svm.probabilities(features)
    assert roc_auc_score(targets, probs) > 0.95
    assert ((probs > 0.5) == targets).mean() > 0.85


def test_the_choice_of_an_svm_is_the_best_of_an_independent_cross_validation_by_patients():
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    from dmdbt.cohort import assign_folds

    features, targets, patients = separable()
    fold_of = assign_folds(patients, targets, folds=3, seed=SETTINGS.seed)
    for patient in set(patients):  # no patient on both sides of an inner fold
        assert len({fold for fold, other in zip(fold_of, patients, strict=True) if other == patient}) == 1
    aucs = {}
    for c in SETTINGS.c:
        for gamma in SETTINGS.gamma:
            values = np.zeros(len(targets))
            for fold in range(3):
                machine = make_pipeline(StandardScaler(), SVC(C=c, gamma=gamma / 6, class_weight="balanced"))
                machine.fit(features[fold_of != fold], targets[fold_of != fold])
                values[fold_of == fold] = machine.decision_function(features[fold_of == fold])
            aucs[c, gamma] = roc_auc_score(targets, values)
    svm = fit_svm(features, targets, patients, SETTINGS)
    assert svm.inner_auc == pytest.approx(max(aucs.values()))
    assert aucs[svm.c, svm.gamma] == max(aucs.values())


def test_without_anything_to_learn_an_svm_keeps_its_order_and_says_about_one_half():
    features, targets, patients = separable(shift=0)
    svm = fit_svm(features, targets, patients, SETTINGS)
    probs = svm.probabilities(features)
    order = np.argsort(svm.pipeline.decision_function(features))
    assert (np.diff(probs[order]) >= 0).all()


def test_no_inner_fold_can_lack_a_class():
    _, targets, patients = separable(6)
    assert inner_folds(targets, patients, 5) == 3
    assert inner_folds(targets, patients, 2) == 2
    assert inner_folds(np.ones(4), ["a", "b", "c", "d"], 5) == 0


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
    from tests.test_params import DEMO, yaml

    content = yaml.load(DEMO)
    content["baselines"] |= change
    yaml.dump(content, tmp_path / "params.yaml")
    with pytest.raises(ParameterError, match=message):
        params.read(params.Baselines, tmp_path / "params.yaml")
