"""The parts of the baselines: which slices, what shapes, what an SVM may look at."""

import numpy as np
import pytest
import torch

from dmdbt.backbones.architectures import create_classifier, feature_extractor
from dmdbt.baselines.extractors import BlockMeans, extract_stack, pooled_alexnet
from dmdbt.features import extract


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
