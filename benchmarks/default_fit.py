"""What a fit of the default mixture costs, from files to a model.

    python benchmarks/default_fit.py [--data FOLDER] [--clips 442 1000] [--cv 5]

The files of a labelled folder, by default the bundled clips, are taken genre by genre in turn,
again and again, until there are as many as asked for; a training takes as long on clips it has met
before. Printed are seconds of processor time and of the clock, in one process of one thread, for
the features of all clips and for the fit on them: each expert once per fold and once on all clips,
and the mixer.
"""

import argparse
import os
import time
from pathlib import Path

import numpy as np
import torch

from sklearn_genremoe import MixtureOfExpertsClassifier, default_experts
from sklearn_genremoe.datasets import load_audio_folder, load_mini_genres


def seconds() -> np.ndarray:
    """Return the processor time of this process, and the clock."""
    return np.array([time.process_time(), time.perf_counter()])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="folder with a folder per genre")
    parser.add_argument("--clips", type=int, nargs="+", default=[442, 1000])
    parser.add_argument("--cv", type=int, default=5)
    parser.add_argument("--epochs", type=int, help="of the networks, if not the recipe's")
    options = parser.parse_args()
    torch.set_num_threads(1)
    given = {} if options.epochs is None else {"max_epochs": options.epochs}
    experts = default_experts(random_state=0, **given)
    clf = MixtureOfExpertsClassifier(experts, cv=options.cv, random_state=0)
    folder = load_audio_folder(options.data) if options.data else load_mini_genres()
    paths, genres = np.asarray(folder.data), np.asarray(folder.target)
    number_in_genre = [np.count_nonzero(genres[:row] == genres[row]) for row in range(len(genres))]
    order = np.argsort(number_in_genre, kind="stable")
    print(
        f"{len(experts)} experts, cv={options.cv}, one thread, "
        f"torch {torch.__version__}, {os.cpu_count()} cores, load average at the start "
        f"{os.getloadavg()[0]:.1f}\n"
    )
    print(
        f"{'clips':>5} {'features: processor':>20} {'clock':>7} {'fit: processor':>15} {'clock':>7}"
    )
    for n_clips in options.clips:
        rows = np.resize(order, n_clips)
        start = seconds()
        batch = clf.extract(paths[rows])
        extracted = seconds()
        clf.fit(batch, genres[rows])
        of_features, of_fit = extracted - start, seconds() - extracted
        print(
            f"{n_clips:5} {of_features[0]:20.0f} {of_features[1]:7.0f} {of_fit[0]:15.0f} "
            f"{of_fit[1]:7.0f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
