"""Training and prediction of one expert on the CPU, against a plain PyTorch loop.

The plain loop is the paper's network layer by layer, in the paper's order (convolution, batch
normalisation, ELU, pooling), eager, contiguous, with Adam: what one would write by hand. Ours is
``CNNClassifier.partial_fit`` and ``predict_proba``, with all checks and skorch's own work;
"layers" is the same without the compiled first block. They run by turns, on the same clips, in this
process; the table gives medians over the rounds and the ratios of these medians. The arithmetic
that is counted is that of the convolutions: once forward in prediction; forward, towards the
weights and (but for the first) towards the input in training. What other processors would show,
``ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2`` and ``NUMBA_CPU_NAME=znver2`` show in part.

The "matrix rate" is that of ``torch.mm`` on 2048 x 2048 float32, measured in the same rounds; a
convolution can exceed it where its library has better code than the matrix product.

    python benchmarks/expert_speed.py [--clips 32] [--rounds 5] [--threads N] [--cpu]
"""

import argparse
import os
import time
from collections.abc import Callable
from datetime import date
from importlib.metadata import version
from unittest.mock import patch

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from sklearn_genremoe import CNNClassifier
from sklearn_genremoe.networks._network import K2C2, ConvBlock, _Conv

SHAPES = ((96, 1292), (96, 646), (60, 1292))
N_CLASSES = 10
BATCH_SIZE = 16


class PlainK2C2(nn.Sequential):
    """The network layer by layer, with the weights of ours."""

    def __init__(self, ours: K2C2) -> None:
        layers: list[nn.Module] = []
        for block in ours.blocks:
            conv = nn.Conv2d(block.conv.in_channels, block.conv.out_channels, 3)
            norm = nn.BatchNorm2d(block.conv.out_channels, eps=1e-3, momentum=0.01)
            conv.load_state_dict(block.conv.state_dict())
            norm.load_state_dict(block.norm.state_dict(), strict=False)
            size, padding, _ = block.pooling
            layers += [conv, norm, nn.ELU(), nn.MaxPool2d(size, padding=padding, ceil_mode=True)]
        head = nn.Linear(ours.head.in_features, ours.head.out_features)
        head.load_state_dict(ours.head.state_dict())
        super().__init__(*layers, nn.Flatten(), head)

    def fit(self, X: torch.Tensor, y: torch.Tensor) -> None:
        """Train for one epoch."""
        self.train()
        optimizer = torch.optim.Adam(self.parameters(), lr=5e-3, eps=1e-7)
        for start in range(0, len(X), BATCH_SIZE):
            batch = slice(start, start + BATCH_SIZE)
            optimizer.zero_grad()
            F.cross_entropy(self(X[batch, None]), y[batch]).backward()
            optimizer.step()

    @torch.inference_mode()
    def predict_logits(self, X: torch.Tensor) -> torch.Tensor:
        """Return the logits of all clips."""
        self.eval()
        return torch.cat([self(batch[:, None]) for batch in X.split(BATCH_SIZE)])


def operations(network: K2C2) -> tuple[float, float]:
    """Return the floating-point operations of the convolutions per clip: predict, train."""
    forward = backward = 0.0
    bins, frames = network.input_shape
    for block in network.blocks:
        conv, (bins_out, frames_out) = block.conv, block.pooling.output_shape
        cells = (bins - 2) * (frames - 2)
        once = 2.0 * cells * conv.weight.numel()
        forward += once
        backward += once if conv.in_channels == 1 else 2 * once
        bins, frames = bins_out, frames_out
    return forward, forward + backward


def by_layers(work: Callable[[], object]) -> None:
    """Do some work without the compiled first block."""
    with patch.object(ConvBlock, "forward", unfused):
        work()


def unfused(block: ConvBlock, x: torch.Tensor) -> torch.Tensor:
    """Do what a block does where convolution and pooling are two steps."""
    norm, weight = block.norm, block.conv.weight
    if block.training or torch.is_grad_enabled():
        return F.elu(block._pool(norm(_Conv.apply(x, weight, block.bias, 1, block.zeros))))
    scale, shift = norm.affine()
    weight, bias = weight * scale.view(-1, 1, 1, 1), block.bias * scale + shift
    return F.elu_(block._pool(F.conv2d(x, weight, bias, padding=block.zeros)))


def seconds(work: Callable[[], object], clock: Callable[[], float]) -> float:
    """Return how long it takes to do some work."""
    start = clock()
    work()
    return clock() - start


def differences(ours: K2C2, X: torch.Tensor, y: torch.Tensor) -> str:
    """Return how far ours and the plain network are apart, in prediction and in gradients."""
    plain = PlainK2C2(ours)
    with torch.inference_mode():
        logits = ours.eval()(X)
    apart = (logits - plain.predict_logits(X)).abs().max().item()
    exact = PlainK2C2(ours).double().train()
    gradients = []
    for network, clips in ((ours.train(), X), (plain.train(), X[:, None]), (exact, X[:, None])):
        network.zero_grad()
        F.cross_entropy(network(clips.to(network_dtype(network))), y).backward()
        weights = [p.grad.double() for p in network.parameters() if p.dim() > 1]
        gradients.append(weights)
    errors = [
        max(((a - b).norm() / b.norm()).item() for a, b in zip(candidate, gradients[2]))
        for candidate in gradients[:2]
    ]
    return (
        f"outputs differ by {apart:.0e}; relative error of the weights' gradients against "
        f"float64: ours {errors[0]:.0e}, plain {errors[1]:.0e}"
    )


def network_dtype(network: nn.Module) -> torch.dtype:
    """Return the type of a network's numbers."""
    return next(network.parameters()).dtype


def measure(
    shape: tuple[int, int], n_clips: int, n_rounds: int, clock: Callable[[], float]
) -> None:
    """Print the table of one shape."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_clips, *shape)).astype(np.float32)
    y = np.arange(n_clips) % N_CLASSES
    clips, labels = torch.from_numpy(X), torch.from_numpy(y)
    clf = CNNClassifier(max_epochs=1, batch_size=BATCH_SIZE, device="cpu", random_state=0).fit(X, y)
    network = clf.net_.module_
    print(f"\n{shape[0]} x {shape[1]}, {n_clips} clips, batches of {BATCH_SIZE}")
    print(f"  {differences(network, clips[:4], labels[:4])}")
    plain = PlainK2C2(network)
    matrix = torch.randn(2048, 2048)
    work = {
        "matrix": lambda: matrix @ matrix,
        "plain train": lambda: plain.fit(clips, labels),
        "layers train": lambda: by_layers(lambda: clf.partial_fit(X, y)),
        "ours train": lambda: clf.partial_fit(X, y),
        "plain predict": lambda: plain.predict_logits(clips),
        "layers predict": lambda: by_layers(lambda: clf.predict_proba(X)),
        "ours predict": lambda: clf.predict_proba(X),
    }
    for do in work.values():
        do()  # first calls allocate, compile and choose algorithms
    times = {
        name: float(np.median(column))
        for name, column in zip(
            work, zip(*([seconds(do, clock) for do in work.values()] for _ in range(n_rounds)))
        )
    }
    matrix_rate = 2 * 2048**3 / times["matrix"] / 1e9
    print(f"  matrix rate {matrix_rate:.0f} GFLOP/s")
    print(
        "           plain ms/clip   layers ms/clip   ours ms/clip   plain/ours   layers/ours"
        "   ours GFLOP/s   of the matrix rate"
    )
    for job, count in zip(("predict", "train"), operations(network)):
        plain_s, layers_s, ours_s = (
            times[f"{who} {job}"] / n_clips for who in ("plain", "layers", "ours")
        )
        rate = count / ours_s / 1e9
        print(
            f"  {job:8}{1e3 * plain_s:12.1f}{1e3 * layers_s:17.1f}{1e3 * ours_s:15.1f}"
            f"{plain_s / ours_s:13.2f}{layers_s / ours_s:14.2f}{rate:15.0f}"
            f"{rate / matrix_rate:18.0%}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--clips", type=int, default=2 * BATCH_SIZE)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cpu", action="store_true", help="processor time of all threads")
    parser.add_argument("--threads", type=int, help="as many as torch takes, if not given")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "numba", "skorch"))
    print(
        f"{date.today()}, {torch.get_num_threads()} threads, {packages}; medians of "
        f"{arguments.rounds} rounds, load average at the start {os.getloadavg()[0]:.1f}"
    )
    for shape in SHAPES:
        clock = time.process_time if arguments.cpu else time.perf_counter
        measure(shape, arguments.clips, arguments.rounds, clock)


if __name__ == "__main__":
    main()
