"""How accuracy grows with the number of training clips, on a folder of real music.

    python benchmarks/learning_curve.py --data FOLDER --weights mn04 [--groups artist] [--seeds 10]

The folder is that of ``real_music.py``. Of each training fold, clips are drawn evenly from the
genres, and a model learns from those alone; the test folds stay the same. No group is in training
and test data at once. Four models: a support vector machine on statistics of MFCC, the default
mixture without networks and with them (in the first ``--network-seeds`` draws alone, since they
take minutes), and that of ``pretrained_experts()``. Mixers learn from up to five inner folds.
Accuracy is the mean over seeds and test clips, "±" the half-width of a 95 % interval over the test
clips.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from real_music import WHOLE, choose, mfcc_statistics
from sklearn.base import clone
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from sklearn_genremoe import MixtureOfExpertsClassifier, default_experts, pretrained_experts
from sklearn_genremoe.datasets import load_audio_folder

NETWORKS = "default"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, type=Path, help="folder with manifest.csv")
    parser.add_argument("--weights", default="mn04", help="of the embedding: a name or a path")
    parser.add_argument("--music-weights", default="msd", help="of the tags: a name or a path")
    parser.add_argument("--groups", default="artist", help="column of the manifest")
    parser.add_argument("--sizes", type=int, nargs="+", default=[24, 48, 96, 168])
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=10, help="number of draws")
    parser.add_argument("--network-seeds", type=int, default=1, help="of those, with networks")
    args = parser.parse_args()
    torch.set_num_threads(1)
    clips = load_audio_folder(args.data, manifest="manifest.csv", group_by=args.groups)
    paths, y, groups = clips.data, clips.target, clips.groups
    pretrained = pretrained_experts(weights=args.weights, music_weights=args.music_weights)
    batch = MixtureOfExpertsClassifier([*default_experts(), *pretrained]).extract(paths)
    mfcc = np.stack([mfcc_statistics(path, WHOLE) for path in paths])
    models = {
        "MFCC, SVC": make_pipeline(StandardScaler(), SVC(C=10)),
        "default without networks": MixtureOfExpertsClassifier(default_experts(networks=False)),
        NETWORKS: MixtureOfExpertsClassifier(default_experts()),
        "pretrained": MixtureOfExpertsClassifier(pretrained),
    }
    print(
        f"{len(paths)} clips of {len(set(groups))} groups, {len(set(y))} genres, {args.folds} "
        f"folds by {args.groups}, {args.seeds} draws, {args.network_seeds} with networks\n"
    )
    print(f"{'':6}" + "".join(f"{name:>27}" for name in models))
    for size in args.sizes:
        right = {name: np.zeros((args.seeds, len(y)), dtype=bool) for name in models}
        right[NETWORKS] = right[NETWORKS][: args.network_seeds]
        for seed in range(args.seeds):
            folds = StratifiedGroupKFold(args.folds, shuffle=True, random_state=seed)
            for train, test in folds.split(paths, y, groups):
                if len(train) < size:
                    raise SystemExit(f"a training fold has {len(train)} clips, fewer than {size}")
                part = train[choose(size, y[train], seed)]
                _, n_clips = np.unique(y[part], return_counts=True)
                for name, model in models.items():
                    if seed >= len(right[name]):
                        continue
                    fitted, X = clone(model), mfcc
                    if isinstance(model, MixtureOfExpertsClassifier):
                        fitted.set_params(cv=min(5, n_clips.min()), random_state=seed)
                        X = batch
                    fitted.fit(X[part], y[part])
                    right[name][seed, test] = fitted.predict(X[test]) == y[test]
        line = f"{size:6}"
        for of_model in right.values():
            accuracy = of_model.mean()
            half_width = 1.96 * of_model.mean(axis=0).std(ddof=1) / np.sqrt(len(y))
            line += f"{accuracy:19.3f} ±{half_width:.3f}"
        print(line, flush=True)


if __name__ == "__main__":
    main()
