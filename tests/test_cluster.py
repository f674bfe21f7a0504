"""The same results on a cluster: extraction, cross-validation and grid search under dask."""

import os
import signal
import threading
import time
from pathlib import Path

import joblib
import numpy as np
import pytest
import soundfile
from dask.base import tokenize
from dask.distributed import Client, LocalCluster
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold, cross_validate
from sklearn.pipeline import make_pipeline

from sklearn_genremoe import (
    MFCC,
    CNNClassifier,
    DomainUnion,
    HarmonicSpectrogram,
    LogMelSpectrogram,
    MixtureOfExpertsClassifier,
)
from sklearn_genremoe.domains import BaseDomain

RATE = 22050


@pytest.fixture(scope="module")
def cluster():
    """A cluster of two worker processes on this machine."""
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0"
        ) as cluster,
        Client(cluster),
    ):
        yield cluster


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    rng = np.random.default_rng(0)
    for i in range(24):
        soundfile.write(folder / f"{i}.wav", rng.uniform(-1, 1, RATE), RATE)
    return [str(folder / f"{i}.wav") for i in range(24)]


def union(**params):
    domains = [
        ("mel", LogMelSpectrogram(duration=1.0)),
        ("harmonic", HarmonicSpectrogram(duration=1.0)),
        ("mfcc", MFCC(duration=1.0)),
    ]
    return DomainUnion(domains, **params)


def mixture(**params):
    cnn = {"channels": (4, 4), "max_epochs": 1, "batch_size": 8}
    experts = [
        (name, make_pipeline(cls(duration=1.0), CNNClassifier(**cnn)))
        for name, cls in (("mel", LogMelSpectrogram), ("mfcc", MFCC))
    ]
    return MixtureOfExpertsClassifier(experts, "stacking", cv=2, random_state=0, **params)


def assert_equal(batch, expected):
    assert batch.names == expected.names
    for name in batch.names:
        np.testing.assert_array_equal(batch[name], expected[name])


class SlowLoudness(BaseDomain):
    """Takes its time, and leaves a note of who computed it."""

    duration = 1.0

    def __init__(self, folder=None):
        self.folder = folder

    def features(self, analysis):
        time.sleep(0.1)
        note = Path(self.folder) / f"{os.getpid()}-{time.monotonic_ns()}"
        note.touch()
        return analysis.amplitude(1024, 512)[:2]


def test_dask_tells_estimators_apart_by_what_they_have_learned():
    """Else it answers with the result that it has kept of another model."""
    X, y = np.random.default_rng(0).normal(size=(8, 3)), np.arange(8) % 2
    cnn = CNNClassifier((2,), max_epochs=1, random_state=0)
    mixture = MixtureOfExpertsClassifier([("linear", LogisticRegression())], "balanced")
    for model in (cnn, mixture):
        fits = [clone(model).fit(X, labels) for labels in (y, 1 - y)]
        assert tokenize(fits[0].predict) != tokenize(fits[1].predict)
        assert tokenize(fits[0].predict) == tokenize(fits[0].predict)
    assert tokenize(MFCC()) == tokenize(MFCC()) != tokenize(MFCC(n_mfcc=5))


@pytest.mark.parametrize("backend", ["threading", "loky", "multiprocessing"])
def test_extraction_by_local_backends(paths, backend):
    with joblib.parallel_config(backend=backend, n_jobs=2):
        assert_equal(union().transform(paths), union().transform(paths))


class TestDask:
    def test_domain_of_a_factory(self, cluster):
        """Workers get such a class by its code, under its short name."""

        class First(BaseDomain):
            normalize, output_ndim = None, 1

            def features(self, analysis):
                return analysis.waveform[:2]

        experts = [("first", make_pipeline(First(), LogisticRegression()))]
        batch = DomainUnion([("first", First())]).transform(np.eye(8, 4410) + 0.1)
        with joblib.parallel_config(backend="dask"):
            clf = MixtureOfExpertsClassifier(experts, "balanced")
            cross_validate(clf, batch, ["a", "b"] * 4, cv=2, error_score="raise")

    def test_extract(self, cluster, paths, tmp_path):
        expected = union().transform(paths)
        with joblib.parallel_config(backend="dask"):
            assert_equal(union().transform(paths), expected)
            assert_equal(union(memory=tmp_path).transform(paths), expected)
        assert_equal(union(memory=tmp_path).transform(paths), expected)

    def test_both_workers_take_part(self, cluster, paths, tmp_path):
        with joblib.parallel_config(backend="dask"):
            SlowLoudness(tmp_path).transform(paths)
        workers = {note.name.partition("-")[0] for note in tmp_path.iterdir()}
        assert len(workers) == 2
        assert str(os.getpid()) not in workers

    def test_bad_clips_are_reported(self, cluster, paths):
        with (
            joblib.parallel_config(backend="dask"),
            pytest.raises(ValueError, match="no such file"),
        ):
            union().transform([*paths[:3], "missing.wav"])

    def test_cross_validation(self, cluster, paths, tmp_path):
        paths = paths[:12]
        y, groups = np.resize(["folk", "rock"], len(paths)), np.arange(len(paths)) // 4
        settings = {"cv": StratifiedGroupKFold(2), "groups": groups, "scoring": "neg_log_loss"}
        expected = cross_validate(mixture(), paths, y, **settings)
        with joblib.parallel_config(backend="dask"):
            found = cross_validate(mixture(memory=tmp_path), paths, y, **settings)
        np.testing.assert_array_equal(found["test_score"], expected["test_score"])

    def test_grid_search(self, cluster, paths, tmp_path):
        paths = paths[:12]
        y = np.resize(["folk", "rock"], len(paths))
        grid = [{"mixer": ["log_pool"]}, {"mel__cnnclassifier__lr": [1e-3, 5e-3]}]
        settings = {"cv": 2, "scoring": "neg_log_loss"}
        expected = GridSearchCV(mixture(), grid, **settings).fit(paths, y)
        with joblib.parallel_config(backend="dask"):
            found = GridSearchCV(mixture(memory=tmp_path), grid, **settings).fit(paths, y)
        for name in ("split0_test_score", "split1_test_score"):
            np.testing.assert_array_equal(found.cv_results_[name], expected.cv_results_[name])
        np.testing.assert_array_equal(found.predict_proba(paths), expected.predict_proba(paths))

    def test_a_killed_worker_costs_time_not_results(self, cluster, paths, tmp_path):
        killed = []
        done = threading.Event()

        def kill_a_worker():
            while not killed and not done.wait(0.01):
                notes = sorted(tmp_path.iterdir())
                if len(notes) >= 4:
                    killed.append(int(notes[0].name.partition("-")[0]))
                    os.kill(killed[0], signal.SIGKILL)

        killer = threading.Thread(target=kill_a_worker, daemon=True)
        killer.start()
        with joblib.parallel_config(backend="dask"):
            features = SlowLoudness(tmp_path).transform(paths)
        done.set()
        killer.join()
        assert killed
        assert killed[0] != os.getpid()
        expected = LogMelSpectrogram(duration=1.0)  # same frames
        assert features.shape == (len(paths), 2, expected.transform(paths[:1]).shape[2])
        np.testing.assert_array_equal(features, SlowLoudness(tmp_path).transform(paths))
