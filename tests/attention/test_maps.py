import numpy as np
import pytest
import torch
from captum.attr import Occlusion

from dmdbt.attention import maps as attention
from dmdbt.attention.maps import grad_cam, occlusion
from dmdbt.heads import HeadSettings, build_head, malignant_probability
from dmdbt.terms import Head

C, ROWS, COLUMNS = 4, 5, 6
HEADS = pytest.mark.parametrize("head", list(Head))


def network_of(head, rows=ROWS, columns=COLUMNS, activation="relu"):
    """A head whose batch norm has seen something, in float64."""
    torch.manual_seed(1)
    network = build_head(head, (C, rows, columns), HeadSettings(3, (8,), 0.5, activation)).double().eval()
    norm = network.convolution[1]
    norm.running_mean.normal_()
    norm.running_var.uniform_(0.5, 2)
    return network


def maps_of(head, rows=ROWS, columns=COLUMNS):
    torch.manual_seed(2)
    return torch.rand(C, rows, columns, len(head.modalities), dtype=torch.float64)


def logits(head, network, maps):
    with torch.no_grad():
        return network(maps.unsqueeze(0) if len(head.modalities) > 1 else maps[None, ..., 0])


def score(head, network, maps):
    benign, malignant = logits(head, network, maps)[0].tolist()
    return malignant - benign


def probability(head, network, maps):
    return malignant_probability(logits(head, network, maps)).item()


@HEADS
def test_grad_cam_weights_channels_by_how_the_score_rises_with_them(head):
    """The mean of a gradient over the cells, by a finite difference in all cells at once."""
    network, maps, step = network_of(head), maps_of(head), 1e-6
    found = grad_cam(head, network, maps)
    assert list(found) == list(head.modalities)
    for m, values in enumerate(found.values()):
        assert values.dtype == np.float32
        expected = torch.zeros(ROWS, COLUMNS, dtype=torch.float64)
        for c in range(C):
            moved = torch.zeros_like(maps)
            moved[c, ..., m] = step
            rise = score(head, network, maps + moved) - score(head, network, maps - moved)
            expected += rise / (2 * step * ROWS * COLUMNS) * maps[c, ..., m]
        np.testing.assert_allclose(values, expected.clamp(min=0), rtol=1e-5, atol=1e-6 * expected.abs().max())


def test_what_speaks_for_benign_is_not_in_the_map():
    network, maps = network_of(Head.DM_DBT), maps_of(Head.DM_DBT)
    first = grad_cam(Head.DM_DBT, network, maps)
    with torch.no_grad():  # the classes change places
        for parameter in network.classifier[-1].parameters():
            parameter.copy_(parameter.flip(0))
    second = grad_cam(Head.DM_DBT, network, maps)
    for modality, values in first.items():
        assert (np.minimum(values, second[modality]) == 0).all()
        assert (np.maximum(values, second[modality]) > 0).all()


@HEADS
@pytest.mark.parametrize("window", [1, 3, 11])
def test_occlusion_is_the_fall_when_a_window_takes_the_mean(head, window):
    network, maps = network_of(head), maps_of(head)
    whole = probability(head, network, maps)
    found = occlusion(head, network, maps, window)
    assert list(found) == list(head.modalities)
    for m, values in enumerate(found.values()):
        assert values.dtype == np.float32
        for r, c in np.ndindex(ROWS, COLUMNS):
            hidden = maps.clone()
            around = np.s_[
                :, max(0, r - window // 2) : r + window // 2 + 1, max(0, c - window // 2) : c + window // 2 + 1
            ]
            hidden[..., m][around] = maps[..., m].mean(dim=(1, 2))[:, None, None]
            assert values[r, c] == pytest.approx(whole - probability(head, network, hidden), abs=1e-6)


def test_occlusion_of_single_cells_is_captums():
    network, maps = network_of(Head.DM), maps_of(Head.DM)
    mean = maps[..., 0].mean(dim=(1, 2), keepdim=True).expand(C, ROWS, COLUMNS)

    def malignant(batch):
        return malignant_probability(network(batch))

    expected = Occlusion(malignant).attribute(maps[None, ..., 0], (C, 1, 1), baselines=mean[None])
    (values,) = occlusion(Head.DM, network, maps, 1).values()
    np.testing.assert_allclose(values, expected[0, 0].detach(), atol=1e-6)


def test_cells_of_a_block_take_the_value_of_the_window_around_its_middle():
    """25 rows are seven blocks of 3 or 4 cells, 4 columns are four blocks."""
    network, maps = network_of(Head.DM, 25, 4), maps_of(Head.DM, 25, 4)
    (values,) = occlusion(Head.DM, network, maps, 5).values()
    (middle,) = np.flatnonzero(np.abs(np.diff(values[:, 0])) > 0)[[0]]  # the last row of the first block
    assert middle in (2, 3)
    assert len(np.unique(values[:, 0])) == 7
    hidden = maps.clone()
    hidden[:, : middle // 2 + 3, :3] = maps.mean(dim=(1, 2), keepdim=True)
    fall = probability(Head.DM, network, maps) - probability(Head.DM, network, hidden)
    np.testing.assert_allclose(values[: middle + 1, 0], fall, atol=1e-6)


def test_the_default_window_is_a_fifth_of_the_side():
    for side, window in ((4, 1), (5, 1), (10, 3), (15, 3), (51, 11)):
        network, maps = network_of(Head.DBT, side, side), maps_of(Head.DBT, side, side)
        (default,) = occlusion(Head.DBT, network, maps).values()
        (given,) = occlusion(Head.DBT, network, maps, window).values()
        np.testing.assert_array_equal(default, given)


def test_the_size_of_a_batch_does_not_matter(monkeypatch):
    network, maps = network_of(Head.DM_DBT), maps_of(Head.DM_DBT)
    in_one = occlusion(Head.DM_DBT, network, maps)
    monkeypatch.setattr(attention, "_BATCH", 7)
    for modality, values in occlusion(Head.DM_DBT, network, maps).items():
        np.testing.assert_allclose(values, in_one[modality], atol=1e-6)


@HEADS
def test_hiding_what_is_everywhere_the_same_changes_nothing(head):
    even = torch.rand(C, 1, 1, len(head.modalities), dtype=torch.float64).expand(C, ROWS, COLUMNS, -1)
    for values in occlusion(head, network_of(head), even).values():
        np.testing.assert_allclose(values, 0, atol=1e-6)


@pytest.mark.parametrize("method", [grad_cam, occlusion])
@pytest.mark.parametrize("trainable", [False, True])
def test_the_network_stays_as_it_was(method, trainable):
    network, maps = (
        network_of(Head.DM_DBT, activation="batch_norm_relu").requires_grad_(trainable),
        maps_of(Head.DM_DBT),
    )
    before = {name: value.clone() for name, value in network.state_dict().items()}
    kept = maps.clone()
    expected = method(Head.DM_DBT, network, maps)
    with torch.inference_mode():  # as a caller may be
        inside = method(Head.DM_DBT, network, maps.clone())
    for modality, values in expected.items():
        np.testing.assert_array_equal(values, inside[modality])
    assert not any(module.training or module._forward_hooks or module._backward_hooks for module in network.modules())
    for parameter in network.parameters():
        assert parameter.requires_grad == trainable
        assert parameter.grad is None
    torch.testing.assert_close(dict(network.state_dict()), before, rtol=0, atol=0)
    assert torch.equal(maps, kept)
    assert not maps.requires_grad


@pytest.mark.parametrize("method", [grad_cam, occlusion])
def test_maps_of_another_head_and_a_network_in_training_are_refused(method):
    network = network_of(Head.DM)
    with pytest.raises(ValueError, match=r"maps \(C, h, w, 1\) for the head dm, got \(4, 5, 6, 2\)"):
        method(Head.DM, network, maps_of(Head.DM_DBT))
    with pytest.raises(ValueError, match="expected a network in eval mode, got one in training mode"):
        method(Head.DM, network.train(), maps_of(Head.DM))


@pytest.mark.parametrize("window", [0, -1, 2])
def test_a_window_without_a_middle_is_refused(window):
    with pytest.raises(ValueError, match=f"expected an odd window of at least 1 cell, got {window}"):
        occlusion(Head.DM, network_of(Head.DM), maps_of(Head.DM), window)
