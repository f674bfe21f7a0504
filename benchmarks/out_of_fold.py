"""Out-of-fold training of a mixture, in this process against two worker processes.

Four small experts are fitted on each of five folds and on all clips, 24 fits, once by
``n_jobs=1`` with all threads that torch takes, once by ``n_jobs=2`` with one thread in each of two
loky workers. Both run by turns in one run, on the same memory-mapped features; the table gives
the median times and their ratio. Every training writes down in which process, with how many
threads and on what it ran. Beside that stand the peak memory of the workers (in all, and without
the pages of mapped files, which the system takes back whenever it needs memory) and how much
this process wrote during a fit, the tasks that it sent to the workers included.

    python benchmarks/out_of_fold.py [--clips 48] [--epochs 2] [--rounds 3] [--folder FOLDER]
"""

import argparse
import json
import mmap
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import torch
from skorch.callbacks import Callback

from sklearn_genremoe import CNNClassifier, MixtureOfExpertsClassifier
from sklearn_genremoe.domains import DomainBatch

DOMAINS = ("original", "harmonic", "percussive", "modulation")
SHAPE = (96, 646)
CHANNELS = (32, 64, 64, 96, 128)  # half of the paper's
N_CLASSES, N_FOLDS = 4, 5
MEBIBYTE = 2**20


def is_mapped(array: Any) -> bool:
    """Tell whether an array is a view of a memory-mapped file."""
    while array is not None and not isinstance(array, mmap.mmap):
        array = getattr(array, "base", None)
    return array is not None


class Probe(Callback):
    """Writes down where a training ran, on what, and how much memory its process holds."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_train_end(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        """Add a line to the file of this process."""
        status = dict(
            line.split(":", 1)
            for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        )
        found = {
            "pid": os.getpid(),
            "threads": torch.get_num_threads(),
            "clips": len(X.X),
            "mapped": is_mapped(X.X),
            "peak": int(status["VmHWM"].split()[0]) * 1024,
            "unmapped": int(status["RssAnon"].split()[0]) * 1024,
        }
        with open(self.folder / f"{os.getpid()}.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps(found) + "\n")


def mapped_features(folder: Path, n_clips: int) -> DomainBatch:
    """Write noise as features of every domain and map the files."""
    rng = np.random.default_rng(0)
    arrays = {}
    for name in DOMAINS:
        np.save(folder / f"{name}.npy", rng.standard_normal((n_clips, *SHAPE), dtype=np.float32))
        arrays[name] = np.load(folder / f"{name}.npy", mmap_mode="r")
    return DomainBatch(arrays)


def written() -> int:
    """Return how many bytes this process has written, to files, pipes and sockets."""
    counts = Path("/proc/self/io").read_text(encoding="utf-8").split()
    return int(counts[counts.index("wchar:") + 1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--clips", type=int, default=48)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where there is room for the features")
    options = parser.parse_args()
    y = np.arange(options.clips) % N_CLASSES
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        batch = mapped_features(folder, options.clips)
        experts = [
            (
                domain,
                CNNClassifier(
                    channels=CHANNELS,
                    max_epochs=options.epochs,
                    device="cpu",
                    callbacks=[Probe(folder)],
                ),
            )
            for domain in DOMAINS
        ]
        clf = MixtureOfExpertsClassifier(experts, "stacking", cv=N_FOLDS, random_state=0)
        one, two = f"n_jobs=1, {torch.get_num_threads()} threads", "n_jobs=2, 1 thread each"
        times: dict[str, list[float]] = {one: [], two: []}
        sent: list[int] = []
        answers: dict[str, np.ndarray] = {}
        for number in range(options.rounds + 1):  # the first round starts workers and compiles
            for job in times:
                before, start = written(), time.perf_counter()
                with joblib.parallel_config("loky", inner_max_num_threads=1):
                    clf.set_params(n_jobs=1 if job == one else 2).fit(batch, y)
                if number:
                    times[job].append(time.perf_counter() - start)
                    sent += [written() - before] if job == two else []
                answers[job] = clf.predict_proba(batch)
        probes = [
            json.loads(line)
            for file in folder.glob("*.jsonl")
            for line in file.read_text(encoding="utf-8").splitlines()
        ]
        features = sum(batch[domain].nbytes for domain in DOMAINS)
    n_fits = len(DOMAINS) * (N_FOLDS + 1)
    print(
        f"{len(DOMAINS)} experts, {N_FOLDS} folds and all clips: {n_fits} fits of "
        f"{options.epochs} epochs; {options.clips} clips of {SHAPE[0]} x {SHAPE[1]}, channels "
        f"{CHANNELS}; load average at the end {os.getloadavg()[0]:.1f}\n"
    )
    print(f"{'seconds per fit of the mixture':32}median of {options.rounds}")
    seconds = {job: float(np.median(values)) for job, values in times.items()}
    for job, value in seconds.items():
        print(f"  {job:30}{value:9.1f}")
    print(f"  {'ratio':30}{seconds[one] / seconds[two]:9.2f}")
    apart = np.abs(answers[one] - answers[two]).max()
    print(f"largest difference of the probabilities: {apart:.0e}\n")
    for title, mine in (
        ("this process", [p for p in probes if p["pid"] == os.getpid()]),
        ("workers", [p for p in probes if p["pid"] != os.getpid()]),
    ):
        on_all = [p["mapped"] for p in mine if p["clips"] == options.clips]
        print(
            f"{title}: threads {sorted({p['threads'] for p in mine})}, "
            f"{len({p['pid'] for p in mine})} process(es), peak memory "
            f"{max(p['peak'] for p in mine) / MEBIBYTE:.0f} MiB, unmapped "
            f"{max(p['unmapped'] for p in mine) / MEBIBYTE:.0f} MiB, "
            f"{sum(on_all)} of {len(on_all)} fits on all clips read the mapped file"
        )
    print(
        f"features {features / MEBIBYTE:.0f} MiB; written by this process per fit by workers: "
        f"{max(sent) / MEBIBYTE:.2f} MiB"
    )


if __name__ == "__main__":
    main()
