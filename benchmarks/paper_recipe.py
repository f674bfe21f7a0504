"""What the end of the training is worth to the paper's networks, on GTZAN's fault-filtered split.

    python benchmarks/paper_recipe.py --data mel.npz [--seeds 0 1 2] [--experts original ...]

The paper doesn't say which epoch its networks are taken from, and their batch normalisation
follows the clips slowly (momentum 0.01). So the networks of ``paper_experts()``, and their like on
MFCC, are judged on the valid clips after every epoch:

- last: after the last epoch, as ``fit`` leaves them;
- last ten: mean over the last ten epochs, which says how much of a figure is the luck of one epoch;
- last, all clips: the last epoch with the statistics of batch normalisation taken over all train
  clips, instead of the running ones;
- best: the epoch that is best on the valid clips themselves. This peeks: no checkpoint rule that
  is judged on clips of its own can be expected to do better.

The rows below the networks average the probabilities of the paper's four (MoEB). ``--data`` is
what ``gtzan_fault_filtered.py`` takes; each network is kept under ``--out`` and not trained again.
"""

import argparse
import os
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gtzan_fault_filtered import MEL_DOMAINS, load, log_loss
from joblib import Parallel, delayed
from skorch.callbacks import Callback

from sklearn_genremoe import CNNClassifier

PAPER = ("original", "harmonic", "percussive", "modulation")
RULES = ("last", "last ten", "last, all clips", "best")


class ProbaByEpoch(Callback):
    """Keep the probabilities of some clips after each epoch."""

    def __init__(self, X: np.ndarray) -> None:
        self.X = X
        self.probas: list[np.ndarray] = []

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        self.probas.append(net.predict_proba(self.X))


def take_statistics_of_all(clf: CNNClassifier, X: np.ndarray) -> None:
    """Set what the layers of batch normalisation know to the mean over batches of all clips."""
    norms = [m for m in clf.net_.module_.modules() if hasattr(m, "running_mean")]
    batches = np.array_split(X, max(1, len(X) // clf.batch_size))
    clf.net_.module_.train()
    with torch.no_grad():
        for seen, batch in enumerate(batches, start=1):
            for layer in norms:
                layer.momentum = 1 / seen  # a running mean of all batches alike
            clf.net_.module_(torch.tensor(batch))
    clf.net_.module_.eval()


def train(args: argparse.Namespace, name: str, seed: int, clips: Any) -> np.ndarray:
    """Return the probabilities by epoch, and last those with the statistics of all clips."""
    file = args.out / f"{name}-epochs={args.epochs}-seed{seed}.npy"
    if file.exists():
        return np.load(file)
    torch.set_num_threads(1)
    X, y, X_valid = clips
    epochs = ProbaByEpoch(X_valid)
    clf = CNNClassifier(max_epochs=args.epochs, random_state=seed, callbacks=[epochs]).fit(X, y)
    take_statistics_of_all(clf, X)
    kept = np.stack([*epochs.probas, clf.net_.predict_proba(X_valid)])
    args.out.mkdir(parents=True, exist_ok=True)
    np.save(file, kept)
    print(f"{name}, seed {seed}: trained", flush=True)
    return kept


def chosen(probas: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
    """Return the probabilities of the epochs that each rule takes."""
    *epochs, all_clips = probas
    best = max(epochs, key=lambda proba: (proba.argmax(axis=1) == y).mean())
    return dict(zip(RULES, map(np.stack, ([epochs[-1]], epochs[-10:], [all_clips], [best]))))


def judged(probas: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Return accuracy and log-loss, the mean over the epochs."""
    accuracy = (probas.argmax(axis=2) == y).mean()
    return float(accuracy), float(np.mean([log_loss(proba, y) for proba in probas]))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, type=Path, help="mel .npz")
    parser.add_argument("--experts", nargs="+", default=[*PAPER, "mfcc"], choices=[*PAPER, "mfcc"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="trainings at a time")
    parser.add_argument("--out", type=Path, default=Path("gtzan_runs/paper"))
    args = parser.parse_args()
    print(
        f"epochs {args.epochs}, seeds {args.seeds}, torch {version('torch')}, "
        f"{os.cpu_count()} cores, one thread per training",
        flush=True,
    )
    batch, genres, split = load(args, {name: MEL_DOMAINS[name] for name in args.experts})
    fit, valid = split == "train", split == "valid"
    tasks = [(name, seed) for seed in args.seeds for name in args.experts]
    found = Parallel(args.jobs)(
        delayed(train)(args, name, seed, (batch[fit][name], genres[fit], batch[valid][name]))
        for name, seed in tasks
    )
    y = np.searchsorted(np.unique(genres), genres)[valid]
    rows: dict[str, list[dict]] = {name: [] for name in args.experts}
    for (name, _), probas in zip(tasks, found):
        rows[name].append(chosen(probas, y))
    if set(PAPER) <= set(rows):
        rows["MoEB of four"] = [
            {rule: np.mean([expert[rule] for expert in experts], axis=0) for rule in RULES}
            for experts in zip(*(rows[name] for name in PAPER))
        ]
    print(
        f"\n{valid.sum()} clips of valid, trained on {fit.sum()} of train; accuracy %, log-loss\n"
    )
    print(f"{'network':14}{'taken from':18}{'accuracy':>8}{'log-loss':>10}   seeds")
    for name, seeds in rows.items():
        for rule in RULES:
            accuracy, loss = np.transpose([judged(seed[rule], y) for seed in seeds])
            each = " ".join(f"{100 * value:.1f}" for value in accuracy)
            print(f"{name:14}{rule:18}{100 * accuracy.mean():8.1f}{loss.mean():10.2f}   {each}")


if __name__ == "__main__":
    main()
