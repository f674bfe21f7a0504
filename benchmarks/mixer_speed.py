"""Training steps and prediction of the gates that look at a clip, against plain PyTorch.

The recurrent gate (the paper's MoER) reads the 1292 frames of a clip twice in both directions:
thousands of tiny steps that wait for each other. The plain network is the same one from
``torch.nn.GRU``, ``Dropout``, ``Linear`` and ``BatchNorm1d``, with the same weights. Both run by
turns, on the same clips, in this process; a step is forward, backward and Adam on a batch of 16
clips of 96 x 1292. Ours predicts through ``RNNMixer.weights``, the plain network by one batch. The
table gives medians over the rounds, the ratio of these medians, and the processor time of all
threads, which other work on the machine disturbs less. The gate by a convolutional network (MoEC)
is the network of the experts, for which ``expert_speed.py`` has the figures.

    python benchmarks/mixer_speed.py [--rounds 7] [--threads N]
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from sklearn_genremoe import RNNMixer
from sklearn_genremoe.mixture._gates import MixtureLoss
from sklearn_genremoe.networks._gate import RecurrentGate
from sklearn_genremoe.networks._training import ADAM_EPS

N_EXPERTS, N_BINS, N_FRAMES, BATCH_SIZE = 4, 96, 1292, 16


class PlainGate(nn.Module):
    """The recurrent gate from torch's own layers."""

    def __init__(self, ours: RecurrentGate) -> None:
        super().__init__()
        self.input_dropout, self.between_dropout = nn.Dropout(0.25), nn.Dropout(0.25)
        self.last_dropout = nn.Dropout(0.5)
        self.first = nn.GRU(N_BINS, 64, bidirectional=True, batch_first=True)
        self.second = nn.GRU(128, 64, bidirectional=True, batch_first=True)
        self.dense = nn.Linear(128, 32)
        self.norm = nn.BatchNorm1d(32, eps=1e-3, momentum=0.01)
        self.head = nn.Linear(32, N_EXPERTS)
        self.load_state_dict(ours.state_dict(), strict=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits of the experts."""
        x, _ = self.first(self.input_dropout(x.transpose(1, 2)))
        _, last = self.second(self.between_dropout(x))
        x = self.last_dropout(torch.cat([last[0], last[1]], dim=1))
        return self.head(F.elu(self.norm(self.dense(x))))


def training_step(network: nn.Module, clips: torch.Tensor, given: torch.Tensor) -> Callable:
    """Return a function that makes one update."""
    optimizer = torch.optim.Adam(network.parameters(), lr=5e-4, eps=ADAM_EPS)

    def step() -> None:
        network.train()
        optimizer.zero_grad()
        MixtureLoss()(network(clips), given).mean().backward()
        optimizer.step()

    return step


def plain_weights(network: nn.Module, clips: torch.Tensor) -> np.ndarray:
    """Return the weights that a plain network gives, by one batch."""
    network.eval()
    with torch.inference_mode():
        return torch.softmax(network(clips), dim=1).numpy()


def medians(functions: dict[str, Callable], rounds: int) -> dict[str, tuple[float, float]]:
    """Call the functions by turns; return their median times, elapsed and of the processor."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in functions}
    for number in range(rounds + 1):  # the first round warms up
        for name, function in functions.items():
            start, cpu_start = time.perf_counter(), time.process_time()
            function()
            if number:
                times[name].append((time.perf_counter() - start, time.process_time() - cpu_start))
    return {name: tuple(np.median(values, axis=0)) for name, values in times.items()}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, help="as many as torch takes, if not given")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    torch.manual_seed(0)

    clips = torch.randn(BATCH_SIZE, N_BINS, N_FRAMES)
    given = torch.rand(BATCH_SIZE, N_EXPERTS)
    probas = np.stack([given.numpy(), 1 - given.numpy()], axis=2)
    mixer = RNNMixer(max_epochs=1, device="cpu", random_state=0)
    mixer.fit(probas, np.zeros(BATCH_SIZE, dtype=int), clips.numpy())
    ours = mixer.net_.module_
    plain = PlainGate(ours)
    difference = np.abs(mixer.weights(probas, clips.numpy()) - plain_weights(plain, clips)).max()
    print(
        f"recurrent gate, {BATCH_SIZE} clips of {N_BINS} x {N_FRAMES}, {torch.get_num_threads()} "
        "thread(s)"
    )
    print(f"largest difference of the weights in evaluation: {difference:.1e}")

    work = {
        "training step": [training_step(net, clips, given) for net in (plain, ours)],
        "prediction": [
            lambda: plain_weights(plain, clips),
            lambda: mixer.weights(probas, clips.numpy()),
        ],
    }
    print(f"\nms per batch, medians of {options.rounds}")
    print(
        f"{'':16}{'plain':>8}{'ours':>8}{'ratio':>7}{'plain CPU':>12}{'ours CPU':>10}{'ratio':>7}"
    )
    for name, (by_plain, by_ours) in work.items():
        measured = medians({"plain": by_plain, "ours": by_ours}, options.rounds)
        (plain_s, plain_cpu), (ours_s, ours_cpu) = measured["plain"], measured["ours"]
        print(
            f"{name:16}{1e3 * plain_s:8.0f}{1e3 * ours_s:8.0f}{plain_s / ours_s:7.1f}"
            f"{1e3 * plain_cpu:12.0f}{1e3 * ours_cpu:10.0f}{plain_cpu / ours_cpu:7.1f}"
        )


if __name__ == "__main__":
    main()
