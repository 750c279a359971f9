import pytest
import torch

from dmdbt.baselines.networks import FullyConnected, SliceConvolution, VideoResnet


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
