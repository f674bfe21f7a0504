"""A search over mixtures decodes each clip once, in whatever way its folds fall."""

import numpy as np
import pytest
import soundfile
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline

from sklearn_genremoe import (
    MFCC,
    CNNClassifier,
    CNNMixer,
    DomainUnion,
    HarmonicSpectrogram,
    LogMelSpectrogram,
    MixtureOfExpertsClassifier,
)
from sklearn_genremoe.audio import _decode, decode_parts
from sklearn_genremoe.datasets import load_mini_genres

RATE = 22050
N_CLIPS = 18


@pytest.fixture
def paths(tmp_path):
    rng = np.random.default_rng(0)
    for i in range(N_CLIPS):
        soundfile.write(tmp_path / f"{i}.wav", rng.uniform(-1, 1, RATE), RATE)
    return [str(tmp_path / f"{i}.wav") for i in range(N_CLIPS)]


@pytest.fixture
def decoded(monkeypatch):
    seen = []

    def counting(path, *args, **kwargs):
        seen.append(path)
        return decode_parts(path, *args, **kwargs)

    monkeypatch.setattr(_decode, "decode_parts", counting)
    return seen


def mixture(memory=None):
    cnn = CNNClassifier(channels=(4,), max_epochs=1)
    experts = [
        ("mel", make_pipeline(LogMelSpectrogram(duration=1.0), cnn)),
        ("harmonic", make_pipeline(HarmonicSpectrogram(duration=1.0), cnn)),
    ]
    return MixtureOfExpertsClassifier(experts, cv=2, memory=memory, random_state=0)


def test_grid_search_over_four_mixers_and_three_folds(paths, tmp_path, decoded):
    y = np.arange(N_CLIPS) % 2
    cnn = CNNMixer(channels=(4,), max_epochs=1)
    grid = {"mixer": ["balanced", "log_pool", "stacking", cnn]}
    search = GridSearchCV(
        mixture(tmp_path / "memory"), grid, cv=StratifiedKFold(3), error_score="raise"
    )
    search.fit(paths, y).predict(paths)
    assert sorted(decoded) == sorted(paths)


def test_cached_features_give_the_same_mixture(paths, tmp_path, decoded):
    y = np.arange(N_CLIPS) % 2
    expected = mixture().fit(paths, y).predict_proba(paths)
    for _ in range(2):
        model = mixture(tmp_path / "memory").fit(paths, y)
        np.testing.assert_array_equal(model.predict_proba(paths), expected)


def test_float16_features_hardly_change_predictions():
    clips = load_mini_genres()
    domains = [("mel", LogMelSpectrogram(duration=5.0)), ("mfcc", MFCC(duration=5.0))]
    paths, y = clips.data[:24], clips.target[:24]
    full = DomainUnion(domains).transform(paths)
    half = DomainUnion(domains, dtype="float16").transform(paths)
    for name in full.names:
        expert = CNNClassifier(channels=(8, 8, 8), max_epochs=4, random_state=0)
        expert.fit(full[name], y)
        expected, found = (expert.predict_proba(batch[name]) for batch in (full, half))
        np.testing.assert_allclose(found, expected, atol=2e-3)
        assert np.ptp(expected, axis=0).max() > 0.05, "the probabilities do depend on the clip"
