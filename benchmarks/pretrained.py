"""What pretrained experts reach on a folder of real music, by artist, by track and by source.

    python benchmarks/pretrained.py --data FOLDER [--groups artist track_id package] [--seeds 0 1 2]

The folder needs a ``manifest.csv`` with the columns path and genre and those that ``--groups``
names: clips of one group are never in training and in test data at once. Compared are the
two-line baseline (one embedding as it is by default), each of ``pretrained_experts()``, one linear
model on the joined tables of both, and mixtures, on five folds, drawn once per seed, and on those
that aren't shuffled. Stacking learns from predictions on five inner folds, which respect the groups
too, or those of ``--inner`` where a genre has only one left.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_genremoe import (
    AudioSetEmbedding,
    LogPoolMixer,
    MixtureOfExpertsClassifier,
    pretrained_experts,
)
from sklearn_genremoe.datasets import load_audio_folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", required=True, type=Path, help="folder with manifest.csv")
    parser.add_argument("--groups", nargs="+", default=["artist", "track_id", "package"])
    parser.add_argument("--inner", default="track_id", help="column of the finest groups")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--weights", default="mn04", help="name or path")
    parser.add_argument("--music-weights", default="msd", help="name or path")
    args = parser.parse_args()

    experts = pretrained_experts(weights=args.weights, music_weights=args.music_weights)
    linear = LogisticRegression(C=0.01, max_iter=1000)
    baseline = make_pipeline(AudioSetEmbedding(args.weights), StandardScaler(), linear)
    both = FeatureUnion([(name, clone(expert[0])) for name, expert in experts])
    joined = make_pipeline(both, StandardScaler(), linear)
    moe = MixtureOfExpertsClassifier([*experts, ("two lines", baseline)])
    paths = load_audio_folder(args.data, manifest="manifest.csv").data
    start = time.process_time()
    batch = moe.extract(paths)
    seconds = time.process_time() - start
    print(f"{len(paths)} clips embedded, {seconds / len(paths):.3f} CPU s each\n")
    finest = load_audio_folder(args.data, manifest="manifest.csv", group_by=args.inner).groups
    for column in args.groups:
        clips = load_audio_folder(args.data, manifest="manifest.csv", group_by=column)
        y, groups = clips.target, clips.groups
        for seeds in (args.seeds, [None]):
            results: dict[str, list] = {}
            seconds, n_fits = 0.0, 0
            for seed in seeds:
                folds = StratifiedGroupKFold(5, shuffle=seed is not None, random_state=seed)
                for train, test in folds.split(paths, y, groups):
                    start = time.process_time()
                    mixture = clone(moe).set_params(**{"two lines": "drop"})
                    _, n_groups = np.unique(
                        np.unique(np.stack([y[train], groups[train]]), axis=1)[0],
                        return_counts=True,
                    )
                    inner = groups if n_groups.min() > 1 else finest
                    mixture.fit(batch[train], y[train], groups=inner[train])
                    seconds, n_fits = seconds + time.process_time() - start, n_fits + 1
                    alone, together = (
                        clone(model).fit(batch[train], y[train]) for model in (baseline, joined)
                    )
                    of_experts = mixture.expert_predict_proba(batch[test])
                    answers = {
                        "two lines": alone.predict_proba(batch[test]),
                        **dict(zip(mixture.named_experts_, of_experts.swapaxes(0, 1))),
                        "joined": together.predict_proba(batch[test]),
                        "average": of_experts.mean(axis=1),
                        "log pool": LogPoolMixer().predict_proba(of_experts),
                        "stacking": mixture.predict_proba(batch[test]),
                    }
                    truth = np.searchsorted(mixture.classes_, y[test])
                    for name, answer in answers.items():
                        loss = -np.log(np.maximum(answer[np.arange(len(test)), truth], 1e-15))
                        right = answer.argmax(axis=1) == truth
                        results.setdefault(name, []).append(np.stack([right, loss]))
            drawn = f"seeds {seeds}" if seeds[0] is not None else "not shuffled"
            print(f"by {column}, {drawn}; {seconds / n_fits:.2f} CPU s a fit")
            for name, of_folds in results.items():
                accuracy, log_loss = np.concatenate(of_folds, axis=1).mean(axis=1)
                print(f"  {name:<12}{accuracy:6.3f}{log_loss:8.3f}", flush=True)


if __name__ == "__main__":
    main()
