import numpy as np
import pytest
import torch
from torch import nn

from dmdbt.backbones.architectures import create_classifier, feature_extractor, normalize
from dmdbt.features import COPIES, batch_images, extract


def backbone():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3, stride=2), nn.ReLU()).eval().requires_grad_(False)


def build(name):
    return feature_extractor(create_classifier(name, 18)).eval().requires_grad_(False)


def test_features_of_a_copy_are_those_of_the_turned_image():
    image = np.random.default_rng(0).random((32, 32))
    turned = extract(backbone(), [np.rot90(image)], ["original"])[0]
    np.testing.assert_allclose(extract(backbone(), [image], ["original", "rot90"])[0][1], turned[0], rtol=2e-3)


def test_features_are_those_of_the_normalized_gray_image():
    image = np.random.default_rng(0).random((32, 32)).astype(np.float32)
    expected = backbone()(normalize(torch.from_numpy(image)[None, None]))[0]
    np.testing.assert_array_equal(extract(backbone(), [image], ["original"])[0][0], expected.half().numpy())


def test_images_in_one_batch_have_the_features_that_each_has_alone():
    network, copies = build("squeezenet"), list(COPIES)
    images = list(np.random.default_rng(0).random((3, 64, 64)))
    together = extract(network, images, copies)
    for image, maps in zip(images, together, strict=True):
        alone = extract(network, [image], copies)[0]
        assert maps.shape == (5, 512, 3, 3)
        # float32 sums in another order, rounded to float16: at most one step of it.
        np.testing.assert_allclose(maps, alone, rtol=2**-10, atol=1e-5)


@pytest.mark.parametrize(("name", "size"), [("alexnet", 160), ("resnet", 96), ("squeezenet", 128)])
def test_one_copy_at_a_time_no_bit_depends_on_the_other_copies(name, size):
    network, image = build(name), np.random.default_rng(0).random((size, size))
    together = extract(network, [image], list(COPIES), at_once=1)[0]
    for maps, copy in zip(together, COPIES, strict=True):
        np.testing.assert_array_equal(maps, extract(network, [image], [copy])[0][0])


def test_a_batch_of_images_has_about_as_many_pixels_whatever_their_size():
    assert [batch_images(size, 5) for size in (160, 832, 4096)] == [131, 4, 1]


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_one_value_that_is_not_finite_is_enough(value):
    network = backbone()
    network[0].bias[1] = value
    network[1] = nn.Identity()
    with pytest.raises(ValueError, match="finite features below 65504"):
        extract(network, [np.ones((32, 32))] * 2, ["original"])


def test_features_that_float16_cannot_hold_are_refused():
    network = backbone()
    network[0].weight *= 1e6
    with pytest.raises(ValueError, match="finite features below 65504"):
        extract(network, [np.ones((32, 32))], ["original"])
