"""The blocks of the network against the same layers one by one, in float32 and in float64."""

import copy
from collections.abc import Iterator

import pytest
import torch
from torch.nn import functional as F

from sklearn_genremoe.networks._conv_max import Pooling, patch_moments
from sklearn_genremoe.networks._network import K2C2, ConvBlock

# (bins, frames), filters: the paper's networks, and small ones with padded axes, a single
# channel in the middle, and windows of more than 256 cells.
NETWORKS = [
    ((96, 1292), (64, 128, 128, 192, 256)),
    ((96, 646), (64, 128, 128, 192, 256)),
    ((60, 1292), (64, 128, 128, 192, 256)),
    ((40, 50), (5, 1, 7)),
    ((2, 1), (4, 8)),
    ((1, 9), (3, 3, 3)),
    ((40, 60), (4,)),
]


def layer_by_layer(network: K2C2, X: torch.Tensor) -> torch.Tensor:
    """The paper's order: convolution, batch normalisation, ELU, pooling."""
    x = X[:, None]
    for block in network.blocks:
        size, padding, _ = block.pooling
        x = F.elu(block.norm(block.conv(x)))
        x = F.max_pool2d(x, size, padding=padding, ceil_mode=True)
    return network.head(x.flatten(1))


def random_network(shape: tuple[int, int], channels: tuple[int, ...]) -> K2C2:
    """A network as it may be in the middle of a training: scales of both signs, shifts."""
    torch.manual_seed(0)
    network = K2C2(3, shape, channels)
    with torch.no_grad():
        for block in network.blocks:
            block.norm.weight.uniform_(-1.5, 1.5)
            block.norm.bias.normal_()
            block.norm.running_mean.normal_(std=0.5)
            block.norm.running_var.uniform_(0.5, 2)
            block.conv.bias.normal_()
    return network


def clips_and_labels(shape: tuple[int, int], n: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    return torch.randn(n, *shape) + torch.randn(n, 1, 1), torch.arange(n) % 3


@pytest.fixture(params=NETWORKS, ids=lambda case: f"{case[0]}-{len(case[1])}")
def case(request: pytest.FixtureRequest) -> tuple[K2C2, torch.Tensor, torch.Tensor]:
    shape, channels = request.param
    return random_network(shape, channels), *clips_and_labels(shape, 2)


def test_prediction_is_the_same_function(case: tuple[K2C2, torch.Tensor, torch.Tensor]) -> None:
    network, X, _ = case
    network.eval()
    with torch.inference_mode():
        expected = layer_by_layer(copy.deepcopy(network).double(), X.double())
        torch.testing.assert_close(network(X).double(), expected, rtol=0, atol=1e-5)


def test_training_output_and_statistics_are_the_same_function(
    case: tuple[K2C2, torch.Tensor, torch.Tensor],
) -> None:
    network, X, _ = case
    exact = copy.deepcopy(network).double()
    with torch.no_grad():
        expected = layer_by_layer(exact, X.double())
        torch.testing.assert_close(network(X).double(), expected, rtol=1e-4, atol=1e-4)
    for (name, ours), reference in zip(network.named_buffers(), exact.buffers()):
        torch.testing.assert_close(
            ours.double(), reference, rtol=2e-5, atol=2e-5, msg=lambda text, at=name: f"{at} {text}"
        )


def far_from_ties(z: torch.Tensor, pooling: Pooling) -> torch.Tensor:
    """Where the two largest values of a window differ by so much that rounding can't swap them."""
    (height, width), (top, left), (rows, columns) = pooling
    below, right = rows * height - top - z.shape[2], columns * width - left - z.shape[3]
    padded = F.pad(z, (left, right, top, below), value=-torch.inf)
    windows = padded.unfold(2, height, height).unfold(3, width, width).flatten(4)
    if windows.shape[4] == 1:
        return torch.ones(windows.shape[:4], dtype=torch.bool)
    largest = windows.topk(2).values
    return largest[..., 0] - largest[..., 1] > 1e-4


@pytest.mark.parametrize("shape", [shape for shape, channels in NETWORKS if len(channels) == 5])
@pytest.mark.parametrize("number", range(5))
def test_gradients_of_a_block_are_exact_up_to_rounding(shape: tuple[int, int], number: int) -> None:
    # Gradients come from windows alone where float32 and float64 agree on the maximum, whatever
    # the processor: what differs then is rounding.
    network = random_network(shape, (64, 128, 128, 192, 256))
    for earlier in network.blocks[:number]:
        shape = earlier.pooling.output_shape
    block = network.blocks[number]
    x = torch.randn(2, block.conv.in_channels, *shape)
    exact = copy.deepcopy(block).double()
    x32, x64 = (x.clone().requires_grad_(number > 0), x.double().requires_grad_())
    size, padding, _ = block.pooling
    z = exact.norm(exact.conv(x64))
    expected = F.max_pool2d(F.elu(z), size, padding=padding, ceil_mode=True)
    output = block(x32)
    torch.testing.assert_close(output.double(), expected, rtol=1e-5, atol=5e-5)
    clear = far_from_ties(z, block.pooling)
    assert clear.double().mean() > 0.9
    towards = torch.randn(output.shape) * clear
    output.backward(towards)
    expected.backward(towards.double())
    pairs = {
        name: (p.grad, q.grad) for (name, p), q in zip(block.named_parameters(), exact.parameters())
    }
    ours, reference = pairs.pop("conv.bias")
    assert ours is None  # no influence: the normalisation takes the mean away
    assert reference.abs().max() < 1e-9
    if number:
        pairs["x"] = x32.grad, x64.grad
    for name, (ours, reference) in pairs.items():
        assert (ours - reference).norm() < 1e-5 * reference.norm(), name


@pytest.mark.parametrize("in_channels", [1, 3])
@pytest.mark.parametrize("channels", [1, 3, 16, 17])
@pytest.mark.parametrize("pool", [(1, 1), (1, 2), (4, 2), (3, 5), (8, 1), (30, 40)], ids=str)
def test_few_channels(in_channels: int, channels: int, pool: tuple[int, int]) -> None:
    # Neither axis is a multiple of any pool but 1: windows are cut off on both sides.
    shape = (23, 31)
    torch.manual_seed(channels)
    block = ConvBlock(in_channels, channels, shape, pool)
    with torch.no_grad():
        block.norm.weight.uniform_(-1.5, 1.5)
        block.norm.bias.normal_()
    exact = copy.deepcopy(block).double()
    x = torch.randn(3, in_channels, *shape)
    size, before, _ = block.pooling
    z = exact.norm(exact.conv(x.double()))
    expected = F.max_pool2d(F.elu(z), size, padding=before, ceil_mode=True)
    output = block(x)
    torch.testing.assert_close(output.double(), expected, rtol=0, atol=1e-5)
    clear = far_from_ties(z, block.pooling)
    assert clear.double().mean() > 0.9
    towards = torch.randn(output.shape) * clear
    output.backward(towards)
    expected.backward(towards.double())
    for part in ("conv.weight", "norm.weight", "norm.bias"):
        ours, reference = block.get_parameter(part).grad, exact.get_parameter(part).grad
        assert ours is not None
        assert reference is not None
        assert (ours - reference).norm() < 1e-5 * reference.norm() + 1e-5, part
    for ours, reference in zip(block.buffers(), exact.buffers()):
        torch.testing.assert_close(ours.double(), reference, rtol=1e-5, atol=1e-5)
    with torch.inference_mode():
        expected = F.elu(exact.eval().norm(exact.conv(x.double())))
        expected = F.max_pool2d(expected, size, padding=before, ceil_mode=True)
        torch.testing.assert_close(block.eval()(x).double(), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("channels", [3, 16])
def test_first_block_does_not_depend_on_the_number_of_threads(
    channels: int, four_threads: None
) -> None:
    torch.manual_seed(0)
    block, x = ConvBlock(1, channels, (128, 96), (4, 2)), torch.randn(16, 1, 128, 96)
    alone = copy.deepcopy(block)
    outputs = [block(x)]
    outputs[0].backward(outputs[0].detach())
    torch.set_num_threads(1)
    outputs.append(alone(x))
    outputs[1].backward(outputs[1].detach())
    assert torch.equal(*outputs)
    for ours, reference in zip(block.buffers(), alone.buffers()):
        assert torch.equal(ours, reference)
    for ours, reference in zip(block.parameters(), alone.parameters()):
        if reference.grad is not None:
            assert torch.equal(ours.grad, reference.grad)


def test_clips_that_are_no_numbers_do_no_harm() -> None:
    block, x = ConvBlock(1, 16, (20, 30), (4, 2)), torch.full((2, 1, 20, 30), torch.nan)
    block(x).sum().backward()
    assert block.conv.weight.grad is not None
    assert block.conv.weight.grad.isnan().all()


@pytest.mark.parametrize(
    ("shape", "channels"), [case for case in NETWORKS if len(case[1]) < 5], ids=str
)
def test_gradients_of_a_small_network(shape: tuple[int, int], channels: tuple[int, ...]) -> None:
    network, (X, y) = random_network(shape, channels), clips_and_labels(shape)
    exact = copy.deepcopy(network).double()
    F.cross_entropy(network(X), y).backward()
    F.cross_entropy(layer_by_layer(exact, X.double()), y).backward()
    for (name, ours), reference in zip(network.named_parameters(), exact.parameters()):
        if not name.endswith("conv.bias"):
            assert (ours.grad - reference.grad).norm() < 1e-4 * reference.grad.norm() + 1e-7, name


def test_gradient_of_the_weights_is_the_slope_of_the_loss() -> None:
    network, (X, y) = random_network((12, 20), (3, 4)), clips_and_labels((12, 20), 6)
    exact = copy.deepcopy(network).double()
    F.cross_entropy(network(X), y).backward()
    direction = [torch.randn_like(p) for p in exact.parameters()]

    def loss(step: float) -> float:
        moved = copy.deepcopy(exact)
        with torch.no_grad():
            for parameter, towards in zip(moved.parameters(), direction):
                parameter += step * towards
            return F.cross_entropy(layer_by_layer(moved, X.double()), y).item()

    slope = (loss(1e-7) - loss(-1e-7)) / 2e-7
    ours = sum(
        (p.grad * d).sum().item()
        for p, d in zip(network.parameters(), direction)
        if p.grad is not None
    )
    assert ours == pytest.approx(slope, rel=1e-3)


def test_moments_of_patches() -> None:
    x = torch.randn(3, 9, 12) + 5
    patches = x.double().unfold(1, 3, 1).unfold(2, 3, 1).reshape(-1, 9)
    mean, covariance = patch_moments(x)
    torch.testing.assert_close(mean, patches.mean(0))
    torch.testing.assert_close(covariance, torch.cov(patches.T, correction=0))


def test_variance_survives_a_large_offset() -> None:
    network, (X, _) = random_network((20, 30), (4, 4)), clips_and_labels((20, 30))
    with torch.no_grad():
        network.blocks[0].norm.bias += 1000  # what the second block then has to take away
    exact = copy.deepcopy(network).double()
    network(X)
    layer_by_layer(exact, X.double())
    for ours, reference in zip(network.blocks, exact.blocks):
        torch.testing.assert_close(
            ours.norm.running_var.double(), reference.norm.running_var, rtol=1e-4, atol=0
        )


@pytest.fixture
def four_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


def test_threads_share_the_rows(four_threads: None) -> None:
    network, (X, y) = random_network((96, 200), (16, 16)), clips_and_labels((96, 200))
    alone = copy.deepcopy(network)
    loss = F.cross_entropy(network(X), y)
    loss.backward()
    torch.set_num_threads(1)
    expected = F.cross_entropy(alone(X), y)
    expected.backward()
    # Only the convolutions of torch add in another order then.
    torch.testing.assert_close(loss, expected)
    for ours, reference in zip(network.parameters(), alone.parameters()):
        torch.testing.assert_close(ours.grad, reference.grad, rtol=1e-4, atol=1e-5)
    torch.set_num_threads(4)
    with torch.inference_mode():
        torch.testing.assert_close(network.eval()(X), alone.eval()(X))


def test_gradient_with_respect_to_the_clip() -> None:
    network, (X, _) = random_network((20, 30), (4, 4)), clips_and_labels((20, 30))
    exact = copy.deepcopy(network).double()
    for mode in (True, False):
        X32, X64 = X.clone().requires_grad_(), X.double().requires_grad_()
        network.train(mode)(X32).sum().backward()
        layer_by_layer(exact.train(mode), X64).sum().backward()
        assert X32.grad is not None
        assert X64.grad is not None
        torch.testing.assert_close(X32.grad.double(), X64.grad, rtol=1e-3, atol=1e-4)


def test_answer_for_a_clip_does_not_depend_on_its_neighbours() -> None:
    network, (X, _) = random_network((60, 80), (16, 16)), clips_and_labels((60, 80), 5)
    with torch.inference_mode():
        torch.testing.assert_close(network.eval()(X)[3:4], network(X[3:4]), rtol=0, atol=1e-6)
