"""A fit reads memory-mapped clips batch by batch and never copies them."""

import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from sklearn_genremoe import CNNClassifier

SHAPE = (96, 258)


def write_clips(path: Path, n_clips: int, dtype: type) -> np.ndarray:
    """Write clips to a file and map it; a few numbers make each clip its own."""
    X = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=(n_clips, *SHAPE))
    X[:, 0] = np.random.default_rng(0).normal(size=(n_clips, SHAPE[1]))
    X.flush()
    del X
    return np.load(path, mmap_mode="r")


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
def test_numpy_never_holds_more_than_some_batches(tmp_path: Path, dtype: type) -> None:
    X = write_clips(tmp_path / "X.npy", 200, dtype)
    y = np.arange(200) % 2
    clf = CNNClassifier(channels=(2,), max_epochs=1, random_state=0, device="cpu")
    clf.fit(X[:4], y[:4])  # imports and compiles
    tracemalloc.start()
    try:
        clf.set_params(validation_fraction=0.2).fit(X, y, sample_weight=np.ones(200))
        clf.predict_proba(X)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    batch = 16 * int(np.prod(SHAPE)) * max(4, X.itemsize)
    assert peak < 3 * batch + (1 << 20) < X.nbytes


# What a process holds beside its mapped files is RssAnon. It is sampled while a fit runs.
WATCH = """
import sys, threading, time
import numpy as np
import torch
from sklearn_genremoe import CNNClassifier, CNNMixer, MixtureOfExpertsClassifier, _rows
from sklearn_genremoe.domains import DomainBatch

def held():
    with open("/proc/self/status") as status:
        [line] = [line for line in status if line.startswith("RssAnon")]
    return int(line.split()[1]) << 10

torch.set_num_threads(1)
_rows.SPILL_BYTES = int(sys.argv[2])
X = np.load(sys.argv[1], mmap_mode="r")
y = np.arange(len(X)) % 2
expert = CNNClassifier(channels=(2,), max_epochs=1, random_state=0, device="cpu")
# Two experts and a mixer, which see the same mapped clips. A fold is larger than what may be
# copied into memory.
mixer = CNNMixer(channels=(2,), max_epochs=1, device="cpu", random_state=0)
clf = MixtureOfExpertsClassifier([("a", expert), ("b", expert)], mixer, cv=2, random_state=0)
X = DomainBatch({"a": X, "b": X})
clf.fit(X[:100], y[:100])  # imports, compiles, and has had all sizes of batches
clf.predict_proba(X[:100])
before, peak, done = held(), 0, False

def watch():
    global peak
    while not done:
        peak = max(peak, held())
        time.sleep(0.001)

watcher = threading.Thread(target=watch)
watcher.start()
clf.fit(X, y)
clf.predict_proba(X)
done = True
watcher.join()
print(peak - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="RssAnon is known on Linux only")
def test_peak_of_a_fit_does_not_grow_with_the_clips(tmp_path: Path) -> None:
    X = write_clips(tmp_path / "X.npy", 700, np.float32)
    spilled, largest = 32 << 20, 24 << 20  # so that fewer clips tell
    assert X.nbytes // 2 > spilled > largest
    run = subprocess.run(
        [sys.executable, "-c", WATCH, str(tmp_path / "X.npy"), str(spilled)],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    assert int(run.stdout) < largest
