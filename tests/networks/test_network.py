"""Shapes, sizes, pooling and initial values of the k2c2 network."""

import copy
from math import prod, sqrt

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from sklearn_genremoe.networks._network import (
    K2C2,
    BatchNorm,
    Dropout,
    pool_padding,
    resolve_pool_sizes,
    size_after_conv,
    size_after_pool,
)

PAPER_SHAPES = {
    (96, 1292): {
        "pools": ((2, 4), (2, 4), (2, 4), (3, 5), (4, 4)),
        "convolved": ((64, 94, 1290), (128, 45, 321), (128, 21, 79), (192, 9, 18), (256, 1, 2)),
        "pooled": ((64, 47, 323), (128, 23, 81), (128, 11, 20), (192, 3, 4), (256, 1, 1)),
    },
    (96, 646): {
        "pools": ((2, 2), (2, 4), (2, 5), (2, 4), (4, 4)),
        "convolved": ((64, 94, 644), (128, 45, 320), (128, 21, 78), (192, 9, 14), (256, 3, 2)),
        "pooled": ((64, 47, 322), (128, 23, 80), (128, 11, 16), (192, 5, 4), (256, 1, 1)),
    },
    (60, 1292): {
        "pools": ((2, 4), (2, 4), (2, 5), (1, 4), (2, 4)),
        "convolved": ((64, 58, 1290), (128, 27, 321), (128, 12, 79), (192, 4, 14), (256, 2, 2)),
        "pooled": ((64, 29, 323), (128, 14, 81), (128, 6, 16), (192, 4, 4), (256, 1, 1)),
    },
}
FIFTEEN_POOLINGS = [
    (convolved[1:], pool)
    for shape in PAPER_SHAPES.values()
    for convolved, pool in zip(shape["convolved"], shape["pools"])
]


def n_values(network: K2C2) -> int:
    """Count what Keras counts: parameters and batch-norm statistics."""
    return sum(tensor.numel() for tensor in network.state_dict().values())


@pytest.mark.parametrize("shape", PAPER_SHAPES)
def test_layer_shapes_are_the_paper_s(shape: tuple[int, int]) -> None:
    expected = PAPER_SHAPES[shape]
    network = K2C2(8, shape).eval()
    x = torch.zeros(2, 1, *shape)
    for block, convolved, pooled in zip(network.blocks, expected["convolved"], expected["pooled"]):
        assert block.conv(x).shape[1:] == convolved
        x = block(x)
        assert x.shape[1:] == pooled
    assert network(torch.zeros(2, *shape)).shape == (2, 8)
    assert resolve_pool_sizes(shape, [8] * 5) == expected["pools"]


@pytest.mark.parametrize("shape", PAPER_SHAPES)
@pytest.mark.parametrize(("n_outputs", "expected"), [(8, 891_208), (10, 891_722), (4, 890_180)])
def test_number_of_parameters(shape: tuple[int, int], n_outputs: int, expected: int) -> None:
    assert n_values(K2C2(n_outputs, shape)) == expected


def tensorflow_same_max_pool(x: np.ndarray, pool: tuple[int, int]) -> np.ndarray:
    """Max-pooling with stride = pool and TensorFlow's 'same' padding, window by window."""
    out_shape = [-(-size // p) for size, p in zip(x.shape, pool)]
    before = [max((n - 1) * p + p - size, 0) // 2 for n, p, size in zip(out_shape, pool, x.shape)]
    out = np.empty(out_shape)
    for i in range(out_shape[0]):
        for j in range(out_shape[1]):
            top, left = i * pool[0] - before[0], j * pool[1] - before[1]
            window = x[max(top, 0) : top + pool[0], max(left, 0) : left + pool[1]]
            out[i, j] = window.max()
    return out


@pytest.mark.parametrize(("shape", "pool"), FIFTEEN_POOLINGS)
def test_pooling_is_tensorflow_s(shape: tuple[int, int], pool: tuple[int, int]) -> None:
    x = np.random.default_rng(0).normal(size=shape)
    padding = pool_padding(shape, pool)
    ours = F.max_pool2d(torch.from_numpy(x)[None], pool, padding=padding, ceil_mode=True)
    np.testing.assert_array_equal(ours[0].numpy(), tensorflow_same_max_pool(x, pool))


def test_plain_ceil_mode_would_shift_windows_in_eight_cases() -> None:
    shifted = 0
    for shape, pool in FIFTEEN_POOLINGS:
        x = np.arange(prod(shape), dtype=float).reshape(shape)  # a window's maximum is its end
        plain = F.max_pool2d(torch.from_numpy(x)[None], pool, ceil_mode=True)[0].numpy()
        shifted += not np.array_equal(plain, tensorflow_same_max_pool(x, pool))
    assert shifted == 8


def test_kernels_are_glorot_uniform_and_biases_zero() -> None:
    torch.manual_seed(0)
    network = K2C2(8, (96, 1292))
    for layer in [*(block.conv for block in network.blocks), network.head]:
        receptive = prod(layer.weight.shape[2:])
        fan_in, fan_out = (count * receptive for count in layer.weight.shape[1::-1])
        limit = sqrt(6 / (fan_in + fan_out))
        assert layer.weight.abs().max() <= limit
        assert layer.weight.std().item() == pytest.approx(limit / sqrt(3), rel=0.05)
        assert not layer.bias.any()


@pytest.mark.parametrize("n_blocks", [1, 2, 3, 5, 6])
@pytest.mark.parametrize(
    "shape", [(1, 1), (1, 7), (2, 1), (2, 2), (3, 3), (5, 200), (40, 100), (128, 387), (300, 9000)]
)
def test_auto_pools_leave_one_value_per_filter(shape: tuple[int, int], n_blocks: int) -> None:
    sizes = list(shape)
    for pool in resolve_pool_sizes(shape, [8] * n_blocks):
        sizes = [size_after_pool(size_after_conv(n), p) for n, p in zip(sizes, pool)]
    assert sizes == [1, 1]


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (2, 1), (3, 3), (4, 30), (17, 5)])
def test_any_shape_trains_and_predicts(shape: tuple[int, int]) -> None:
    network = K2C2(3, shape, channels=(4, 5, 6))
    network(torch.randn(2, *shape)).sum().backward()
    assert all(block.conv.weight.grad is not None for block in network.blocks)
    with torch.no_grad():
        assert network.eval()(torch.randn(2, *shape)).isfinite().all()


def test_other_devices_go_layer_by_layer() -> None:
    network = K2C2(8, (96, 1292)).to("meta")
    assert network(torch.zeros(2, 96, 1292, device="meta")).shape == (2, 8)


def test_mixed_precision_goes_layer_by_layer() -> None:
    torch.manual_seed(0)
    network, X = K2C2(8, (30, 40), channels=(4, 8)), torch.randn(6, 30, 40)
    exact = network(X)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = network(X)
        assert mixed.dtype == torch.bfloat16
    mixed.float().sum().backward()
    torch.testing.assert_close(mixed.float(), exact, rtol=0.1, atol=0.1)


def test_given_pool_sizes_may_leave_more_than_one_value() -> None:
    network = K2C2(3, (20, 30), channels=(4, 8), pool_sizes=[(2, 2), (2, 3)])
    assert network.head.in_features == 8 * 4 * 4
    assert network(torch.zeros(2, 20, 30)).shape == (2, 3)


@pytest.mark.parametrize(
    "pools",
    ["paper", "22", [(2, 2)], [(2, 2), (2,)], [(2, 2), (0, 1)], [2, 2], [(2, 2), (2, None)]],
)
def test_bad_pool_sizes_say_what_is_accepted(pools: object) -> None:
    with pytest.raises(ValueError, match=r"pool_sizes=.* pair"):
        resolve_pool_sizes((20, 30), [8, 8], pools)  # type: ignore[arg-type]


def test_state_dict_has_plain_names() -> None:
    assert list(K2C2(2, (9, 9), channels=(4,)).state_dict()) == [
        "blocks.0.conv.weight",
        "blocks.0.conv.bias",
        "blocks.0.norm.weight",
        "blocks.0.norm.bias",
        "blocks.0.norm.running_mean",
        "blocks.0.norm.running_var",
        "head.weight",
        "head.bias",
    ]


def test_batch_norm_has_the_constants_of_keras() -> None:
    ours, torchs = BatchNorm(3), torch.nn.BatchNorm1d(3, eps=1e-3, momentum=0.01)
    x = torch.randn(50, 3) * 4 + 2
    assert torch.equal(ours(x), torchs(x))
    assert torch.equal(ours.running_mean, torchs.running_mean)
    assert torch.equal(ours.running_var, torchs.running_var)
    assert torch.equal(ours.eval()(x), torchs.eval()(x))


def test_batch_norm_of_a_single_value_gives_its_bias() -> None:
    norm = BatchNorm(3)
    torch.testing.assert_close(norm(torch.randn(1, 3, 1, 1)), torch.zeros(1, 3, 1, 1))
    assert torch.equal(norm.running_mean, torch.zeros(3))
    assert torch.equal(norm.running_var, torch.ones(3))


def test_dropout_draws_from_a_generator_of_its_own() -> None:
    dropout, x = Dropout(0.25), torch.ones(100, 101)
    state = torch.get_rng_state()
    dropped = dropout(x)
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.equal(dropped, dropout(x))
    assert dropped.unique().tolist() == pytest.approx([0, 4 / 3])
    assert (dropped == 0).float().mean().item() == pytest.approx(0.25, abs=0.02)
    assert torch.equal(copy.deepcopy(dropout)(x), dropped)
    dropout.restart(1)
    assert not torch.equal(dropped, dropout(x))
    dropout.restart(0)
    assert torch.equal(dropped, dropout(x))
    assert dropout.eval()(x) is x
