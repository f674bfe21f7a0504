"""Experts and mixtures on a folder of real music, against a support vector machine on MFCC.

    python benchmarks/real_music.py --data FOLDER [--groups artist] [--recipe paper] ...

The folder needs a ``manifest.csv`` with the columns path and genre, and the one that ``--groups``
names: clips of one group are never in training and in test data at once. The folds are those of
``StratifiedGroupKFold(n_splits)``, the same for every model; ``--shuffle`` draws them by the seed.
With several seeds (``--seed 0 1 2``) the last table is over all of them, with differences clip by
clip to the embedding alone, or to the last baseline where it is no expert.

The baseline is a support vector machine (C=10, RBF kernel) on mean and deviation over time of 20
MFCC and their deltas, of as much of each clip as the experts get and of 30 s; ``--weights`` adds
others, logistic regressions on ``AudioSetEmbedding(weights)``, on windows of 3 s, and on the layers
that ``pretrained_experts()`` listen to. The experts are those of
``default_experts()``, with ``--recipe paper`` the paper's four, with ``--recipe pretrained`` those
of ``pretrained_experts(from_scratch=True)``, and the mixtures without the embeddings, which are
those of ``default_experts()``, come along; ``--recipe none`` stops at the baselines. The mixers
learn from the experts' predictions on inner folds, which respect the groups too, or with
``--inner 0`` on the clips that the experts have learned from; all of them learn from one and the
same training of the experts, which ``EveryMixer`` arranges.

The paper's setting is ``--recipe paper --gate-epochs 50 --inner 0``: a day on two cores;
``--width``, ``--epochs`` and ``--duration`` cut it down. The setting is printed above every table.
"""

import argparse
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import librosa
import numpy as np
import torch
from every_mixer import EveryMixer, FirstExperts
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
EMBEDDINGS: dict[str, dict[str, Any]] = {
    "embedding alone": {},
    "embedding, 3 s": {"window": 3.0},
    "embedding, 3 s, stages": {"window": 3.0, "layers": "stages"},
}
RECIPES: dict[str, Callable[..., list]] = {
    "ours": lambda weights, music_weights: default_experts(),
    "paper": lambda weights, music_weights: paper_experts(),
    "pretrained": lambda weights, music_weights: pretrained_experts(
        weights=weights or "mn04", music_weights=music_weights, from_scratch=True
    ),
    "none": lambda weights, music_weights: [],
}


class Score:
    """Which clips a model is right on, and its log-loss there, by seed and clip."""

    def __init__(self, n_seeds: int, n_clips: int) -> None:
        self.right = np.zeros((n_seeds, n_clips), dtype=bool)
        self.loss = np.full((n_seeds, n_clips), np.nan)  # where a model gives probabilities

    def add(self, seed: int, test: np.ndarray, proba: np.ndarray, column: np.ndarray) -> None:
        """Keep what probabilities of shape (n_test, n_classes) say of the test clips."""
        self.right[seed, test] = proba.argmax(axis=1) == column
        of_truth = proba[np.arange(len(column)), column]
        self.loss[seed, test] = -np.log(np.maximum(of_truth, 1e-15))


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
    parser.add_argument("--drop", nargs="+", default=[], help="experts of the recipe to leave out")
    parser.add_argument("--weights", help="of the embedding: a name or a path")
    parser.add_argument("--music-weights", default="msd", help="of the tags: a name or a path")
    parser.add_argument("--shuffle", action="store_true", help="draw the folds by the seed")
    parser.add_argument("--duration", type=float, default=30.0, help="seconds of each clip")
    parser.add_argument("--width", type=float, default=1.0, help="share of the recipe's filters")
    parser.add_argument("--epochs", type=int, help="of the experts, if not the recipe's")
    parser.add_argument("--gate-epochs", type=int, default=0, help="of the gates; 0 for none")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument(
        "--inner", type=int, default=3, help="folds for the mixers' training; 0: as in the paper"
    )
    parser.add_argument("--seed", type=int, nargs="+", default=[0])
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


def table(scores: dict[str, Score], reference: str, n_seeds: int) -> str:
    """Accuracy and log-loss over the first seeds, and the difference to a row, clip by clip."""
    width = max(map(len, scores)) + 2
    lines = [f"{'':<{width}}accuracy  95 %   log-loss   minus {reference}"]
    for name, score in scores.items():
        right = score.right[:n_seeds].mean(axis=0)
        half_width = 1.96 * np.sqrt(right.mean() * (1 - right.mean()) / len(right))
        line = f"{name:<{width}}{right.mean():8.3f} ±{half_width:.3f}"
        loss = score.loss[:n_seeds].mean()
        line += f"{'':10}" if np.isnan(loss) else f"{loss:10.3f}"
        if name == reference:
            line += f"{'':17}"
        else:
            difference = right - scores[reference].right[:n_seeds].mean(axis=0)
            half_width = 1.96 * difference.std(ddof=1) / np.sqrt(len(right))
            line += f"{difference.mean():+10.3f} ±{half_width:.3f}"
        lines.append(line + "   " + " ".join(f"{row.mean():.3f}" for row in score.right[:n_seeds]))
    return "\n".join(lines)


def main() -> None:
    args = arguments()
    torch.set_num_threads(1)
    clips = load_audio_folder(args.data, manifest="manifest.csv", group_by=args.groups)
    if clips.groups is None:
        raise SystemExit(f"{args.data}: no column of tracks or artists; name one by --groups")
    rows = choose(args.clips, clips.target, args.seed[0])
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
        linear = LogisticRegression(C=0.01, max_iter=1000)
        heard = {
            name: AudioSetEmbedding(args.weights, duration=args.duration, **params)
            for name, params in EMBEDDINGS.items()
        }
        with watch("embedding"):
            tables = DomainUnion(list(heard.items())).transform(paths)
        baselines |= {name: (linear, tables[name]) for name in heard}
    experts = RECIPES[args.recipe](args.weights, args.music_weights)
    experts = [named for named in experts if named[0] not in args.drop]
    for _, expert in experts:
        expert[0].set_params(duration=args.duration)
        cnn = expert[-1]
        if isinstance(cnn, CNNClassifier):
            channels = tuple(max(4, round(args.width * n)) for n in cnn.channels)
            cnn.set_params(channels=channels, max_epochs=args.epochs or cnn.max_epochs)
    domains = {name: expert[0] for name, expert in experts}
    mixers = {}
    if experts:
        with watch("domains"):
            batch = DomainUnion(list(domains.items())).transform(paths)
        mixers = {
            "MoEB, balanced": BalancedMixer(),
            "log pool": LogPoolMixer(),
            "stacking": StackingMixer(),
        }
        if args.recipe == "pretrained":
            # The embeddings come last; without them this is the default mixture.
            for name in list(mixers):
                mixers[f"{name}, no embedding"] = FirstExperts(mixers[name], len(experts) - 2)
        if args.gate_epochs:
            gate = {"max_epochs": args.gate_epochs, "random_state": args.seed[0]}
            mixers |= {"MoEC, CNN gate": CNNMixer(**gate), "MoER, RNN gate": RNNMixer(**gate)}

    names = [*baselines, *domains, *mixers, *([ORACLE] if experts else [])]
    scores = {name: Score(len(args.seed), len(y)) for name in names}
    for row, seed in enumerate(args.seed):
        moe = MixtureOfExpertsClassifier(
            experts,
            mixer=EveryMixer(mixers, args.jobs),
            cv=StratifiedGroupKFold(args.inner) if args.inner else "train",
            n_jobs=args.jobs,
            random_state=seed,
        )
        folds = StratifiedGroupKFold(
            args.folds, shuffle=args.shuffle, random_state=seed if args.shuffle else None
        )
        for fold, (train, test) in enumerate(folds.split(paths, y, groups)):
            for name, (classifier, features) in baselines.items():
                with watch(name):
                    baseline = make_pipeline(StandardScaler(), classifier)
                    baseline.fit(features[train], y[train])
                    if hasattr(baseline, "predict_proba"):
                        column = np.searchsorted(baseline.classes_, y[test])
                        proba = baseline.predict_proba(features[test])
                        scores[name].add(row, test, proba, column)
                    else:
                        right = baseline.predict(features[test]) == y[test]
                        scores[name].right[row, test] = right
            if experts:
                with watch("training"):
                    fitted = clone(moe).fit(batch[train], y[train], groups=groups[train])
                with watch("prediction of experts"):
                    probas = fitted.expert_predict_proba(batch[test])
                column = np.searchsorted(fitted.classes_, y[test])
                for i, name in enumerate(domains):
                    scores[name].add(row, test, probas[:, i], column)
                of_experts = np.stack([scores[name].right[row, test] for name in domains])
                scores[ORACLE].right[row, test] = of_experts.any(axis=0)
                for name, mixer in fitted.mixer_.fitted_.items():
                    with watch(name):
                        proba = mixer.predict_proba(probas, batch["original"][test])
                    scores[name].add(row, test, proba, column)
            in_fold = ", ".join(f"{n} {s.right[row, test].mean():.2f}" for n, s in scores.items())
            print(
                f"seed {seed}, fold {fold + 1} of {args.folds}, {len(test)} clips: {in_fold}",
                flush=True,
            )
        # After each seed, so that a run that is stopped has said what it knows.
        reference = "embedding" if "embedding" in domains else list(baselines)[-1]
        print(f"\n{table(scores, reference, row + 1)}\n", flush=True)

    print(f"{'chance':<20}{np.unique(y, return_counts=True)[1].max() / len(y):8.3f}")
    print("\nseconds per stage, all folds")
    for name, spent in watch.items():
        print(f"{name:<24}{spent:9.1f}")
    print(f"{'in all':<24}{sum(watch.values()):9.1f}")


if __name__ == "__main__":
    main()
