"""How accuracy grows with the number of training clips, on a folder of real music.

    python benchmarks/learning_curve.py --data FOLDER --weights mn04 [--groups artist] [--seeds 10]

The folder is that of ``real_music.py``. Of each training fold, clips are drawn evenly from the
genres, and a model learns from those alone; the test folds stay the same. No group is in training
and test data at once. Three models that take seconds: a support vector machine on statistics of
MFCC, and two linear experts of ``pretrained_experts()``, those on statistics of the harmonic part
and on the embedding. Accuracy is the mean over seeds and test clips,
"±" the half-width of a 95 % interval over the test clips.
"""

import argparse
from pathlib import Path

import numpy as np
from real_music import WHOLE, choose, mfcc_statistics
from sklearn.base import clone
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from sklearn_genremoe import DomainUnion, pretrained_experts
from sklearn_genremoe.datasets import load_audio_folder


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, type=Path, help="folder with manifest.csv")
    parser.add_argument("--weights", default="mn04", help="of the embedding: a name or a path")
    parser.add_argument("--groups", default="artist", help="column of the manifest")
    parser.add_argument("--sizes", type=int, nargs="+", default=[12, 24, 48, 96, 168])
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=10, help="number of draws")
    args = parser.parse_args()
    clips = load_audio_folder(args.data, manifest="manifest.csv", group_by=args.groups)
    paths, y, groups = clips.data, clips.target, clips.groups
    experts = dict(pretrained_experts(weights=args.weights, from_scratch=True))
    harmonic, embedding = experts["harmonic_statistics"], experts["embedding"]
    views = DomainUnion([("harmonic", harmonic[0]), ("embedding", embedding[0])]).transform(paths)
    models = {
        "MFCC, SVC": (
            make_pipeline(StandardScaler(), SVC(C=10)),
            np.stack([mfcc_statistics(path, WHOLE) for path in paths]),
        ),
        "harmonic statistics, linear": (harmonic[1:], views["harmonic"]),
        "embedding, linear": (embedding[1:], views["embedding"]),
    }
    print(
        f"{len(paths)} clips of {len(set(groups))} groups, {len(set(y))} genres, "
        f"{args.folds} folds by {args.groups}, {args.seeds} draws\n"
    )
    print(f"{'':6}" + "".join(f"{name:>30}" for name in models))
    for size in args.sizes:
        right = {name: np.zeros((args.seeds, len(y)), dtype=bool) for name in models}
        for seed in range(args.seeds):
            folds = StratifiedGroupKFold(args.folds, shuffle=True, random_state=seed)
            for train, test in folds.split(paths, y, groups):
                if len(train) < size:
                    raise SystemExit(f"a training fold has {len(train)} clips, fewer than {size}")
                part = train[choose(size, y[train], seed)]
                for name, (model, features) in models.items():
                    fitted = clone(model).fit(features[part], y[part])
                    right[name][seed, test] = fitted.predict(features[test]) == y[test]
        line = f"{size:6}"
        for of_model in right.values():
            accuracy = of_model.mean()
            half_width = 1.96 * of_model.mean(axis=0).std(ddof=1) / np.sqrt(len(y))
            line += f"{accuracy:22.3f} ±{half_width:.3f}"
        print(line, flush=True)


if __name__ == "__main__":
    main()
