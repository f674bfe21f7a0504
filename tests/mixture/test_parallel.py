"""Experts and folds in processes beside each other: threads, and features that are shared."""

import json
import os
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import torch
from skorch.callbacks import Callback

from sklearn_genremoe import CNNClassifier, MixtureOfExpertsClassifier
from sklearn_genremoe.domains import DomainBatch

SHAPE = (16, 300)
N_CLIPS = 400


def mapped_file(array: Any) -> str | None:
    """Return the file that an array is a view of."""
    while array is not None and not isinstance(array, np.memmap):
        array = getattr(array, "base", None)
    return None if array is None else str(array.filename)


class Probe(Callback):
    """Writes down where a training runs and on what."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_train_end(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        """Add a line to the file of this process."""
        found = {
            "pid": os.getpid(),
            "threads": torch.get_num_threads(),
            "clips": len(X.X),
            "file": mapped_file(X.X),
        }
        with open(self.folder / f"{os.getpid()}.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps(found) + "\n")


@pytest.fixture
def batch(tmp_path: Path) -> DomainBatch:
    """Two domains of eight megabytes each, memory-mapped."""
    rng = np.random.default_rng(0)
    arrays = {}
    for name in ("original", "harmonic"):
        X = rng.normal(size=(N_CLIPS, *SHAPE)).astype(np.float32)
        np.save(tmp_path / f"{name}.npy", X)
        arrays[name] = np.load(tmp_path / f"{name}.npy", mmap_mode="r")
    return DomainBatch(arrays)


def mixture(folder: Path, **params: Any) -> MixtureOfExpertsClassifier:
    cnn = {
        "channels": (2,),
        "max_epochs": 1,
        "batch_size": 100,
        "device": "cpu",
        "callbacks": [Probe(folder)],
    }
    experts = [(name, CNNClassifier(**cnn)) for name in ("original", "harmonic")]
    return MixtureOfExpertsClassifier(experts, "stacking", cv=2, random_state=0, **params)


def fit_and_read(batch: DomainBatch, folder: Path, **params: Any) -> list[dict[str, Any]]:
    """Fit a mixture and return what the probes wrote."""
    folder.mkdir()
    mixture(folder, **params).fit(batch, np.arange(N_CLIPS) % 2)
    lines = [line for file in folder.iterdir() for line in file.read_text().splitlines()]
    return [json.loads(line) for line in lines]


def written() -> int | None:
    """Return how many bytes this process has written, where the system counts them."""
    if not Path("/proc/self/io").exists():
        return None
    counts = Path("/proc/self/io").read_text().split()
    return int(counts[counts.index("wchar:") + 1])


def test_workers_share_the_cores_and_the_mapped_features(
    batch: DomainBatch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in list(os.environ):
        if name.endswith("_NUM_THREADS"):
            monkeypatch.delenv(name)  # whoever sets it decides for the workers as well
    before = written()
    probes = fit_and_read(batch, tmp_path / "probes", n_jobs=2)
    if before is not None:  # tasks carry no features: eight megabytes per domain, six tasks
        assert batch["original"].nbytes > 7_000_000
        assert written() - before < 1_000_000
    # Two experts, each on two folds and on all clips.
    assert sorted(probe["clips"] for probe in probes) == [N_CLIPS // 2] * 4 + [N_CLIPS] * 2
    assert os.getpid() not in {probe["pid"] for probe in probes}
    assert {probe["threads"] for probe in probes} == {max(1, (os.cpu_count() or 1) // 2)}
    # What trains on all clips reads the caller's own file.
    files = {probe["file"] for probe in probes if probe["clips"] == N_CLIPS}
    assert files == {str(tmp_path / f"{name}.npy") for name in ("original", "harmonic")}


def test_inner_threads_are_those_asked_for(batch: DomainBatch, tmp_path: Path) -> None:
    with joblib.parallel_config("loky", inner_max_num_threads=2):
        probes = fit_and_read(batch, tmp_path / "probes", n_jobs=2)
    assert {probe["threads"] for probe in probes} == {2}
