"""Experts and mixtures on a folder of real music, against a support vector machine on MFCC.

    python benchmarks/real_music.py --data FOLDER [--groups artist] [--recipe paper] ...

The folder needs a ``manifest.csv`` with the columns path and genre, and the one that ``--groups``
names: clips of one group are never in training and in test data at once. The folds are those of
``StratifiedGroupKFold(n_splits)``, the same for every model; ``--shuffle`` draws them by the seed.

The baseline is a support vector machine (C=10, RBF kernel) on mean and deviation over time of 20
MFCC and their deltas, of as much of each clip as the experts get and of 30 s; ``--weights`` adds
another one, logistic regression on ``AudioSetEmbedding(weights)``. The experts are those of
``default_experts()``, with ``--recipe paper`` the paper's four, with ``--recipe pretrained`` those
of ``pretrained_experts()``; ``--recipe none`` stops at the baselines. The mixers learn from
the experts' predictions on inner folds, which respect the groups too; all of them learn from one
and the same training of the experts, which ``EveryMixer`` arranges.

The paper's setting is ``--recipe paper --gate-epochs 50 --inner 5``: days on two cores;
``--width``, ``--epochs`` and ``--duration`` cut it down. The setting is printed above every table.
"""

import argparse
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import librosa
import numpy as np
import torch
from every_mixer import EveryMixer
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from sklearn_genremoe import (
    AudioSetEmbedding,
    BalancedMixer,
    CNNClassifier,
    CNNMixer,
    DomainUnion,
    LogPoolMixer,
    MixtureOfExpertsClassifier,
    RNNMixer,
    StackingMixer,
    default_experts,
    paper_experts,
    pretrained_experts,
)
from sklearn_genremoe.audio import decode_audio
from sklearn_genremoe.datasets import load_audio_folder

# The clips of a set are at most so long, in s.
WHOLE = 30.0
ORACLE = "any expert right"
RECIPES: dict[str, Callable[[str], list]] = {
    "ours": lambda weights: default_experts(),
    "paper": lambda weights: paper_experts(),
    "pretrained": lambda weights: pretrained_experts(weights=weights or "mn04"),
    "none": lambda weights: [],
}


class Stopwatch(dict[str, float]):
    """Seconds by stage."""

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Add the time that a block takes."""
        start = time.perf_counter()
        yield
        self[stage] = self.get(stage, 0.0) + time.perf_counter() - start


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, type=Path, help="folder with manifest.csv")
    parser.add_argument("--groups", default="auto", help="column of the manifest, e.g. artist")
    parser.add_argument("--clips", type=int, help="at most so many clips (default: all)")
    parser.add_argument("--recipe", choices=tuple(RECIPES), default="ours")
    parser.add_argument("--weights", help="of the embedding: a name or a path")
    parser.add_argument("--shuffle", action="store_true", help="draw the folds by the seed")
    parser.add_argument("--duration", type=float, default=30.0, help="seconds of each clip")
    parser.add_argument("--width", type=float, default=1.0, help="share of the recipe's filters")
    parser.add_argument("--epochs", type=int, help="of the experts, if not the recipe's")
    parser.add_argument("--gate-epochs", type=int, default=0, help="of the gates; 0 for none")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--inner", type=int, default=3, help="folds for the mixers' training")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="trainings at a time")
    return parser.parse_args()


def mfcc_statistics(path: str, duration: float) -> np.ndarray:
    """Mean and deviation over time of 20 MFCC and their deltas."""
    y = decode_audio(path, duration=duration)
    mfcc = librosa.feature.mfcc(y=y, sr=22050, n_mfcc=20)
    rows = np.concatenate([mfcc, librosa.feature.delta(mfcc)])
    return np.concatenate([rows.mean(axis=1), rows.std(axis=1)])


def choose(n_clips: int | None, genres: np.ndarray, seed: int) -> np.ndarray:
    """Rows of at most so many clips, evenly from the genres."""
    shuffled = np.random.default_rng(seed).permutation(len(genres))
    rank = np.empty(len(genres), dtype=int)
    for genre in np.unique(genres):
        of_genre = shuffled[genres[shuffled] == genre]
        rank[of_genre] = np.arange(len(of_genre))
    return np.sort(np.argsort(rank, kind="stable")[:n_clips])


def table(right: dict[str, np.ndarray], fold_of: np.ndarray) -> str:
    """Accuracy over all test clips with its interval, and over the folds."""
    lines = [f"{'':<20}accuracy  95 %    mean of folds  dev."]
    for name, row in right.items():
        accuracy = row.mean()
        half_width = 1.96 * np.sqrt(accuracy * (1 - accuracy) / len(row))
        folds = [row[fold_of == fold].mean() for fold in np.unique(fold_of)]
        lines.append(
            f"{name:<20}{accuracy:8.3f} ±{half_width:.3f}{np.mean(folds):13.3f}{np.std(folds):9.3f}"
        )
    return "\n".join(lines)


def main() -> None:
    args = arguments()
    torch.set_num_threads(1)
    clips = load_audio_folder(args.data, manifest="manifest.csv", group_by=args.groups)
    if clips.groups is None:
        raise SystemExit(f"{args.data}: no column of tracks or artists; name one by --groups")
    rows = choose(args.clips, clips.target, args.seed)
    paths, y, groups = clips.data[rows], clips.target[rows], clips.groups[rows]
    sizes = ", ".join(f"{name} {n}" for name, n in zip(*np.unique(y, return_counts=True)))
    print(f"{len(paths)} clips of {len(set(groups))} groups: {sizes}")
    print(", ".join(f"{name} {value}" for name, value in vars(args).items() if name != "data"))
    print(
        f"torch {version('torch')}, {os.cpu_count()} cores, one thread per training\n", flush=True
    )

    watch = Stopwatch()
    baselines = {}  # a classifier and its features
    for length in sorted({args.duration, WHOLE}):
        with watch(f"MFCC of {length:g} s"):
            features = np.stack([mfcc_statistics(path, length) for path in paths])
        baselines[f"MFCC + SVC, {length:g} s"] = SVC(C=10), features
    if args.weights:
        with watch("embedding"):
            features = AudioSetEmbedding(args.weights, duration=args.duration).transform(paths)
        baselines["embedding alone"] = LogisticRegression(C=0.01, max_iter=1000), features
    experts = RECIPES[args.recipe](args.weights)
    for _, expert in experts:
        expert[0].set_params(duration=args.duration)
        cnn = expert[-1]
        if isinstance(cnn, CNNClassifier):
            channels = tuple(max(4, round(args.width * n)) for n in cnn.channels)
            cnn.set_params(channels=channels, max_epochs=args.epochs or cnn.max_epochs)
    domains = {name: expert[0] for name, expert in experts}
    gate = {"max_epochs": args.gate_epochs, "random_state": args.seed}
    mixers = {}
    if experts:
        with watch("domains"):
            batch = DomainUnion(list(domains.items())).transform(paths)
        mixers |= {
            "MoEB, balanced": BalancedMixer(),
            "log pool": LogPoolMixer(),
            "stacking": StackingMixer(),
        }
    if experts and args.gate_epochs:
        mixers |= {"MoEC, CNN gate": CNNMixer(**gate), "MoER, RNN gate": RNNMixer(**gate)}
    moe = MixtureOfExpertsClassifier(
        experts,
        mixer=EveryMixer(mixers, args.jobs),
        cv=StratifiedGroupKFold(args.inner),
        n_jobs=args.jobs,
        random_state=args.seed,
    )

    right = {
        name: np.zeros(len(y), dtype=bool)
        for name in [*baselines, *domains, *mixers, *([ORACLE] if experts else [])]
    }
    fold_of = np.zeros(len(y), dtype=int)
    folds = StratifiedGroupKFold(
        args.folds, shuffle=args.shuffle, random_state=args.seed if args.shuffle else None
    )
    for fold, (train, test) in enumerate(folds.split(paths, y, groups)):
        fold_of[test] = fold
        for name, (classifier, features) in baselines.items():
            with watch(name):
                baseline = make_pipeline(StandardScaler(), classifier)
                baseline.fit(features[train], y[train])
                right[name][test] = baseline.predict(features[test]) == y[test]
        if experts:
            with watch("training"):
                fitted = clone(moe).fit(batch[train], y[train], groups=groups[train])
            with watch("prediction of experts"):
                probas = fitted.expert_predict_proba(batch[test])
            column = np.searchsorted(fitted.classes_, y[test])
            of_experts_right = probas.argmax(axis=2) == column[:, np.newaxis]
            for name, answers in zip(domains, of_experts_right.T):
                right[name][test] = answers
            right[ORACLE][test] = of_experts_right.any(axis=1)
            for name, mixer in fitted.mixer_.fitted_.items():
                with watch(name):
                    proba = mixer.predict_proba(probas, batch["original"][test])
                right[name][test] = proba.argmax(axis=1) == column
        scores = ", ".join(f"{name} {row[test].mean():.2f}" for name, row in right.items())
        print(f"fold {fold + 1} of {args.folds}, {len(test)} clips: {scores}", flush=True)

    print(f"\n{table(right, fold_of)}")
    print(f"{'chance':<20}{np.unique(y, return_counts=True)[1].max() / len(y):8.3f}")
    print("\nseconds per stage, all folds")
    for name, spent in watch.items():
        print(f"{name:<24}{spent:9.1f}")
    print(f"{'in all':<24}{sum(watch.values()):9.1f}")


if __name__ == "__main__":
    main()
