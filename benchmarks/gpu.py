"""One expert on a GPU against plain PyTorch loops, and a fit of the size of GTZAN.

The plain loops are the paper's network layer by layer in the paper's order, eager, with Adam, on
clips that are on the device from the start: once in float32 and once under autocast to bfloat16.
Ours is ``CNNClassifier.fit`` and ``predict_proba`` from an array in memory. All run by turns, on
the same clips, in this process; the table gives clips per second by the medians over the rounds.
An epoch of ours is timed by its own history; a fit of one epoch with all that comes before it
(checks, hashes, the copy to the device) stands beside it. The matrix rate is that of
``torch.mm`` in bfloat16 on a GPU and in float32 elsewhere.

``--full`` fits a whole mixture instead: 1,000 clips of 96 x 1292, four experts and the recurrent
mixer, 50 epochs each, on synthetic features in memory-mapped files (2 GB, removed afterwards).

    python benchmarks/gpu.py [--clips 512] [--rounds 5]
    python benchmarks/gpu.py --full [--epochs 50] [--cv 5]

Without a GPU it says so and exits with status 2. ``--device cpu --clips 16`` is a dry run of the
program itself.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch
from expert_speed import N_CLASSES, PlainK2C2, operations

from sklearn_genremoe import CNNClassifier, MixtureOfExpertsClassifier, RNNMixer
from sklearn_genremoe.domains import DomainBatch

SHAPE = (96, 1292)
DOMAINS = {"original": SHAPE, "harmonic": SHAPE, "percussive": SHAPE, "modulation": (96, 646)}


def seconds(work: Callable[[], object], device: torch.device) -> float:
    """Return how long some work takes, to the last operation that it puts on the device."""
    start = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def measure(device: torch.device, n_clips: int, n_rounds: int) -> None:
    """Print the table of clips per second."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n_clips, *SHAPE), dtype=np.float32)
    y = np.arange(n_clips) % N_CLASSES
    clips, labels = torch.from_numpy(X).to(device), torch.from_numpy(y).to(device)
    clf = CNNClassifier(max_epochs=1, device=str(device), random_state=0).fit(X, y)
    plain = PlainK2C2(clf.net_.module_).to(device)
    on_gpu = device.type == "cuda"
    dtype = torch.bfloat16 if on_gpu else torch.float32
    size = 8192 if on_gpu else 1024
    matrix = torch.randn(size, size, device=device, dtype=dtype)
    epochs: list[float] = []

    def in_bfloat16(work: Callable[[], object]) -> None:
        with torch.autocast(device.type, torch.bfloat16) if on_gpu else nullcontext():
            work()

    def fit_ours() -> None:
        clf.partial_fit(X, y)
        epochs.append(clf.history_[-1, "dur"])

    work = {
        "matrix": lambda: matrix @ matrix,
        "train, plain": lambda: plain.fit(clips, labels),
        "train, plain, bfloat16": lambda: in_bfloat16(lambda: plain.fit(clips, labels)),
        "train, ours": fit_ours,
        "predict, plain": lambda: plain.predict_logits(clips),
        "predict, plain, bfloat16": lambda: in_bfloat16(lambda: plain.predict_logits(clips)),
        "predict, ours": lambda: clf.predict_proba(X),
    }
    for do in work.values():
        seconds(do, device)  # first calls allocate, compile and choose algorithms
    epochs.clear()
    rounds = [[seconds(do, device) for do in work.values()] for _ in range(n_rounds)]
    times = dict(zip(work, (float(np.median(column)) for column in zip(*rounds))))
    times["train, ours, with checks and copy"] = times["train, ours"]
    times["train, ours"] = float(np.median(epochs))
    matrix_rate = 2 * size**3 / times.pop("matrix") / 1e9
    print(f"{n_clips} clips of {SHAPE[0]} x {SHAPE[1]}, medians of {n_rounds} rounds")
    print(f"matrix rate {matrix_rate:.0f} GFLOP/s in {dtype}")
    print(f"{'':36}{'clips/s':>10}{'of plain':>10}{'GFLOP/s':>10}{'of the matrix rate':>20}")
    predict, train = operations(clf.net_.module_)
    for name in sorted(times):
        job = name.partition(",")[0]
        rate = (train if job == "train" else predict) * n_clips / times[name] / 1e9
        print(
            f"{name:36}{n_clips / times[name]:10.0f}"
            f"{times[f'{job}, plain'] / times[name]:10.2f}{rate:10.0f}{rate / matrix_rate:20.1%}"
        )


def fit_in_full(device: torch.device, n_clips: int, n_epochs: int, cv: int | str) -> None:
    """Fit a mixture on synthetic features and print how long it took."""
    rng = np.random.default_rng(0)
    y = np.arange(n_clips) % N_CLASSES
    with tempfile.TemporaryDirectory() as name:
        arrays = {}
        for domain, shape in DOMAINS.items():
            path = Path(name) / f"{domain}.npy"
            X = np.lib.format.open_memmap(path, "w+", np.float32, (n_clips, *shape))
            for row in range(n_clips):
                X[row] = rng.standard_normal(shape, dtype=np.float32)
            X.flush()
            del X
            arrays[domain] = np.load(path, mmap_mode="r")
        common = {"max_epochs": n_epochs, "device": str(device), "random_state": 0}
        clf = MixtureOfExpertsClassifier(
            [(domain, CNNClassifier(**common)) for domain in DOMAINS], RNNMixer(**common), cv=cv
        )
        batch = DomainBatch(arrays)
        fit = seconds(lambda: clf.fit(batch, y), device)
        predict = seconds(lambda: clf.predict_proba(batch), device)
    print(f"{n_clips} clips, {len(DOMAINS)} experts and the recurrent mixer, {n_epochs} epochs")
    print(f"cv={cv}: fit {fit / 60:.1f} minutes, prediction {predict:.1f} s")
    for domain, expert in clf.named_experts_.items():
        print(f"  {domain:12}{sum(expert.history_[:, 'dur']):8.1f} s for the fit on all clips")
    print(f"  {'mixer':12}{sum(clf.mixer_.history_[:, 'dur']):8.1f} s")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--device", default="cuda", help="'cpu' is a dry run of the program")
    parser.add_argument("--clips", type=int, help="512, or 1,000 for --full")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--full", action="store_true", help="fit a mixture of the size of GTZAN")
    parser.add_argument("--epochs", type=int, default=50, help="of --full")
    parser.add_argument("--cv", default="5", help="of --full: folds, or 'train' as in the paper")
    options = parser.parse_args()
    device = torch.device(options.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        print("No CUDA GPU is available here: nothing was measured.", file=sys.stderr)
        return 2
    if device.type == "cuda":
        print(f"{torch.cuda.get_device_name(device)}, torch {torch.__version__}")
    else:
        print(f"DRY RUN on {device}: these are no figures of a GPU. torch {torch.__version__}")
    if options.full:
        cv = int(options.cv) if options.cv.isdigit() else options.cv
        fit_in_full(device, options.clips or 1000, options.epochs, cv)
    else:
        measure(device, options.clips or 512, options.rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
