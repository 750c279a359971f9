import pytest
import torch
from torch import nn

from dmdbt.heads.networks import ACTIVATIONS, HeadSettings, JointHead, SingleModalityHead


def test_the_joint_head_equals_a_3d_convolution_over_the_modality_axis():
    torch.manual_seed(0)
    head = JointHead(5, 6, 7, HeadSettings(filters=3)).eval()
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
        head = SingleModalityHead(256, 51, 51, HeadSettings())
    shapes = [tuple(p.shape) for name, p in head.named_parameters() if name.endswith("weight") and p.ndim > 1]
    assert shapes == [(256, 256, 1, 1), (256, 256 * 50 * 50), (128, 256), (2, 128)]
    assert [module.p for module in head.modules() if isinstance(module, nn.Dropout)] == [0.5, 0.5]


def test_the_filters_can_be_fewer_than_the_channels():
    assert SingleModalityHead(8, 5, 5, HeadSettings(filters=3))(torch.zeros(2, 8, 5, 5)).shape == (2, 2)
    assert JointHead(8, 5, 5, HeadSettings(filters=3))(torch.zeros(2, 8, 5, 5, 2)).shape == (2, 2)


def test_without_an_activation_the_hidden_layers_are_one_affine_map():
    torch.manual_seed(0)
    x, y = torch.randn(2, 5, 12, dtype=torch.float64)
    for activation in ACTIVATIONS:
        settings = HeadSettings(hidden=(16, 8), activation=activation)
        classifier = SingleModalityHead(3, 3, 3, settings).double().eval().classifier
        affine = torch.allclose(classifier(x) + classifier(y), classifier(x + y) + classifier(torch.zeros_like(x)))
        assert affine == (activation == "none")


def test_batch_norm_and_relu_stand_behind_every_hidden_layer_as_by_hand():
    torch.manual_seed(0)
    head = SingleModalityHead(3, 3, 3, HeadSettings(None, (16, 8), 0.0, "batch_norm_relu")).train()
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
        SingleModalityHead(3, 3, 3, HeadSettings(activation="tanh"))
