"""Which labels of GTZAN ``CollectionReport`` doubts most, by the names of the clips.

    python benchmarks/gtzan_label_issues.py --data gtzan_fault_filtered_trainvalid.npz

The clips are mel spectrograms, as ``gtzan_fault_filtered.py`` describes them, which computes the
domains of the quick, linear experts of ``default_experts(networks=False)`` from them. Each clip is
judged by a mixture that learned from the other folds.
"""

import argparse
from pathlib import Path

import numpy as np
from gtzan_fault_filtered import load

from sklearn_genremoe import MixtureOfExpertsClassifier, default_experts
from sklearn_genremoe.inspection import CollectionReport


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cv", type=int, default=5)
    options = parser.parse_args()
    experts = default_experts(networks=False)
    batch, y, _ = load(options, {name: expert[0] for name, expert in experts})
    with np.load(options.data, allow_pickle=False) as data:
        names = np.sort(data["names"].astype(str))
    clf = MixtureOfExpertsClassifier(experts, random_state=0)
    report = CollectionReport.from_cross_validation(clf, batch, y, cv=options.cv, paths=names)
    print(*report.summary(), sep="\n")
    columns = ["clip", "genre", "predicted", "proba_genre", "proba_predicted", "votes_for_genre"]
    print(report.label_issues(10)[columns].round(3).to_string(index=False))


if __name__ == "__main__":
    main()
