"""How many planted label faults ``CollectionReport`` finds, beside cleanlab.

    python benchmarks/label_issues.py --data FOLDER [--groups artist] [--mn04 FILE --msd FILE]

The folder needs a ``manifest.csv`` with the columns path and genre, and the one that ``--groups``
names. Of the labels 5, 10 and 20 % are changed, at random or each to the genre that its own is
most confused with (by the support vector machine, on the right labels), with three seeds each. A
classifier predicts every clip out of fold, whole groups held out, learning from the faulty labels;
its clips are ranked by suspicion. Printed is the area under the ROC curve of the ranking, and which
share of the first n clips is faulty, where n labels were changed: mean over the seeds.

The classifiers: the quick experts of ``default_experts()``, which are linear; those of
``pretrained_experts()``; and a support vector machine on mean and deviation of MFCC, with
probabilities by a sigmoid. Features are extracted once. With cleanlab installed (it is AGPL, and no
dependency) the same probabilities go through its ranking by self-confidence and by normalised
margin; and what it takes for wrong stands beside the labels that the report doubts.
"""

import argparse
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from sklearn_genremoe import (
    MFCC,
    MixtureOfExpertsClassifier,
    default_experts,
    pretrained_experts,
)
from sklearn_genremoe.datasets import load_audio_folder
from sklearn_genremoe.domains import DomainBatch, DomainUnion
from sklearn_genremoe.inspection import CollectionReport

SHARES, SEEDS = (0.05, 0.1, 0.2), (0, 1, 2)


def tables(paths: Any, options: argparse.Namespace) -> tuple[DomainBatch, dict[str, Any]]:
    """Extract features once, as tables; return them and the classifiers that take them."""
    quick = default_experts(networks=False)
    pretrained = pretrained_experts(weights=options.mn04, music_weights=options.msd)
    domains = [(name, expert[0]) for name, expert in [*quick, *pretrained]]
    domains.append(("mfcc", MFCC()))
    batch = DomainUnion(domains, memory=options.memory, verbose=1).transform(paths)
    arrays = {}
    for name, expert in [*quick, *pretrained]:
        steps = expert[1:-2]  # what is between the domain and the classifier learns nothing
        arrays[name] = steps.fit_transform(batch[name]) if len(steps) else batch[name]
    arrays["mfcc"] = np.hstack([batch["mfcc"].mean(axis=2), batch["mfcc"].std(axis=2)])
    classifiers = {
        "quick experts": MixtureOfExpertsClassifier(
            [(name, expert[-2:]) for name, expert in quick]
        ),
        "pretrained": MixtureOfExpertsClassifier(
            [(name, expert[-2:]) for name, expert in pretrained]
        ),
        "SVC on MFCC": MixtureOfExpertsClassifier(
            [
                (
                    "mfcc",
                    make_pipeline(
                        StandardScaler(), CalibratedClassifierCV(SVC(C=10), ensemble=False)
                    ),
                )
            ],
            "balanced",
        ),
    }
    return DomainBatch(arrays), classifiers


def change(y: np.ndarray, share: float, kind: str, seed: int, confused: Any) -> np.ndarray:
    """Return labels of which some are wrong."""
    rng = np.random.default_rng(seed)
    rows = rng.choice(len(y), round(share * len(y)), replace=False)
    genres = np.unique(y)
    changed = y.copy()
    for row in rows:
        others = genres[genres != y[row]]
        changed[row] = confused[y[row]] if kind == "confused" else rng.choice(others)
    return changed


def measure(report: CollectionReport, faulty: np.ndarray, cleanlab: Any) -> dict[str, list[float]]:
    """Return area and precision of each ranking, and precision and recall of each selection."""
    frame = report.frame()
    n = int(faulty.sum())

    def ranking(suspicion: np.ndarray) -> list[float]:
        first = np.argsort(-suspicion, kind="stable")[:n]
        return [roc_auc_score(faulty, suspicion), faulty[first].mean()]

    def selection(doubted: np.ndarray) -> list[float]:
        return [faulty[doubted].mean() if doubted.any() else 0.0, doubted[faulty].mean()]

    found = {
        "rank": ranking(-frame["suspicion"].to_numpy(float)),
        "rank by margin": ranking(-frame["margin"].to_numpy()),
        "doubted": selection(frame["issue"].to_numpy(bool)),
    }
    if cleanlab is not None:
        codes = np.searchsorted(report.classes, report.y)
        for method in ("self_confidence", "normalized_margin"):
            score = cleanlab.rank.get_label_quality_scores(codes, report.proba, method=method)
            found[f"cleanlab, {method}"] = ranking(-score)
        found["cleanlab, doubted"] = selection(
            cleanlab.filter.find_label_issues(codes, report.proba, n_jobs=1)
        )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--groups", default="artist")
    parser.add_argument("--mn04", default="mn04", help="the weights of AudioSetEmbedding")
    parser.add_argument("--msd", default="msd", help="the weights of MusicTagEmbedding")
    parser.add_argument("--memory", default=None, help="where to keep features")
    parser.add_argument("--only", nargs="+", default=None, help="names of classifiers")
    options = parser.parse_args()
    try:
        import cleanlab.filter
        import cleanlab.rank
    except ImportError:
        cleanlab = None
    warnings.filterwarnings("ignore", category=FutureWarning)
    clips = load_audio_folder(options.data, group_by=options.groups)
    batch, classifiers = tables(clips.data, options)
    y, groups = clips.target, clips.groups

    def report_on(name: str, labels: np.ndarray) -> CollectionReport:
        return CollectionReport.from_cross_validation(classifiers[name], batch, labels, groups)

    counts = report_on("SVC on MFCC", y).confusion()
    wrong = counts * (1 - np.eye(len(counts)))
    confused = {genre: wrong.columns[wrong.loc[genre].argmax()] for genre in wrong.index}
    classifiers = {name: classifiers[name] for name in options.only or classifiers}
    print(f"{len(y)} clips of {len(counts)} genres, {len(set(groups))} groups ({options.groups})")
    for name in classifiers:
        started = time.process_time()
        right = np.mean(report_on(name, y).frame()["predicted"].to_numpy() == y)
        seconds = time.process_time() - started
        print(f"{name}: right on {right:.3f} of the right labels, {seconds:.1f} CPU s a report")
    header = "area / share of the first n; of doubted labels: share that is wrong / share found"
    print(f"\n{header}")
    for kind in ("random", "confused"):
        for share in SHARES:
            print(f"\n{100 * share:.0f} % {kind}")
            for name in classifiers:
                found: dict[str, list[list[float]]] = {}
                for seed in SEEDS:
                    labels = change(y, share, kind, seed, confused)
                    for what, values in measure(
                        report_on(name, labels), labels != y, cleanlab
                    ).items():
                        found.setdefault(what, []).append(values)
                for what, rows in found.items():
                    first, second = np.mean(rows, axis=0)
                    print(f"  {name:14} {what:28} {first:.3f} / {second:.3f}", flush=True)


if __name__ == "__main__":
    main()
