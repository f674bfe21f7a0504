"""What a fit of the default mixture costs, from files to a model.

    python benchmarks/default_fit.py [--data FOLDER] [--clips 442 1000] [--cv 5]

The files of a labelled folder, by default the bundled clips, are taken genre by genre in turn,
again and again, until there are as many as asked for, each time shifted in time, since clips that
are the same are trained on once. Printed are seconds of processor time and of the clock, in one
process of one thread, for the features of the files and for the fit on the clips: each expert once
per fold and once on all clips, and the mixer.
"""

import argparse
import os
import time
from pathlib import Path

import numpy as np
import torch

from sklearn_genremoe import MixtureOfExpertsClassifier, default_experts
from sklearn_genremoe.datasets import load_audio_folder, load_mini_genres
from sklearn_genremoe.domains import DomainBatch


def seconds() -> np.ndarray:
    """Return the processor time of this process, and the clock."""
    return np.array([time.process_time(), time.perf_counter()])


def shifted(batch: DomainBatch, rows: np.ndarray) -> DomainBatch:
    """Return clips of a batch; one that comes again is moved by a frame or scaled."""
    times = np.array([np.count_nonzero(rows[:place] == row) for place, row in enumerate(rows)])
    made: dict[int, np.ndarray] = {}
    arrays = {}
    originals = {name: batch[name] for name in batch.names}  # all at once: an id may come again
    for name, original in originals.items():
        if id(original) not in made:  # experts with the same domain share its array
            moved = [
                np.roll(original[row], by, axis=-1)
                if original.ndim > 2
                else original[row] * (1 + by / 1000)  # a table has no frames
                for row, by in zip(rows, times)
            ]
            made[id(original)] = np.stack(moved)
        arrays[name] = made[id(original)]
    return DomainBatch(arrays, batch.domains)


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
    start = seconds()
    extracted = clf.extract(paths)
    processor, clock = seconds() - start
    print(f"features of {len(paths)} files: {processor:.0f} s of processor time, {clock:.0f} s\n")
    print(f"{'clips':>5} {'fit: processor':>15} {'clock':>7}")
    for n_clips in options.clips:
        rows = np.resize(order, n_clips)
        clips = shifted(extracted, rows)
        start = seconds()
        clf.fit(clips, genres[rows])
        of_fit = seconds() - start
        print(f"{n_clips:5} {of_fit[0]:15.0f} {of_fit[1]:7.0f}", flush=True)


if __name__ == "__main__":
    main()
