"""X, y, weights and groups are validated where a call comes in, and nowhere below."""

import pickle
import sys
from typing import Any

import numpy as np
import pytest
import soundfile
from sklearn.base import clone, is_classifier
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils.validation import check_is_fitted

from sklearn_genremoe import (
    CNNClassifier,
    CNNMixer,
    DomainUnion,
    HarmonicSpectrogram,
    LogMelSpectrogram,
    MixtureOfExpertsClassifier,
    StackingMixer,
    _clips,
)
from sklearn_genremoe.domains import BaseDomain
from tests.mixture._clips import CNN, quick_expert

RATE = 8000
SIGNAL = {"sample_rate": RATE, "duration": 0.3, "n_fft": 256, "hop_length": 128, "n_mels": 16}


@pytest.fixture(scope="module")
def clips(tmp_path_factory: Any) -> tuple[list[str], np.ndarray, np.ndarray]:
    folder = tmp_path_factory.mktemp("clips")
    rng = np.random.default_rng(0)
    waveforms = (0.1 * rng.normal(size=(12, 2400))).astype(np.float32)
    paths = []
    for row, waveform in enumerate(waveforms):
        paths.append(str(folder / f"{row}.wav"))
        soundfile.write(paths[-1], waveform, RATE, subtype="FLOAT")
    return paths, waveforms, np.arange(12) % 2


def mixture(**params: Any) -> MixtureOfExpertsClassifier:
    experts = [
        ("original", make_pipeline(LogMelSpectrogram(**SIGNAL), CNNClassifier(**CNN))),
        ("harmonic", make_pipeline(HarmonicSpectrogram(**SIGNAL), CNNClassifier(**CNN))),
    ]
    return MixtureOfExpertsClassifier(experts, cv=2, random_state=0, **params)


@pytest.fixture
def questions(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Any]]:
    """What is asked about X, and which arrays are searched for NaN, through every name."""
    asked: dict[str, list[Any]] = {"kind_of_clips": [], "check_finite": []}
    for name, calls in asked.items():
        original = getattr(_clips, name)

        def counting(X: Any, *args: Any, original=original, calls=calls, **kwargs: Any) -> Any:
            calls.append(X)
            return original(X, *args, **kwargs)

        for module in list(sys.modules.values()):
            if getattr(module, "__name__", "").startswith("sklearn_genremoe") and (
                getattr(module, name, None) is original
            ):
                monkeypatch.setattr(module, name, counting)
    return asked


@pytest.mark.parametrize("kind", ["paths", "waveforms"])
@pytest.mark.parametrize("method", ["fit", "predict", "predict_proba", "score_experts"])
def test_one_question_and_one_search_per_call(
    clips: Any, questions: dict[str, list[Any]], kind: str, method: str
) -> None:
    paths, waveforms, y = clips
    X = paths if kind == "paths" else waveforms
    clf = mixture()
    if method != "fit":
        clf.fit(X, y)
    for calls in questions.values():
        calls.clear()
    getattr(clf, method)(*((X, y) if method in ("fit", "score_experts") else (X,)))
    assert len(questions["kind_of_clips"]) == 1
    searched = [X for X in questions["check_finite"] if X.ndim == 2]
    assert len(searched) == (kind == "waveforms")


class Peak(BaseDomain):
    """A domain of one's own: no mel bands, no n_fft among its parameters."""

    def __init__(self, sample_rate: int = RATE, duration: float = 0.3) -> None:
        self.sample_rate = sample_rate
        self.duration = duration

    def features(self, analysis: Any) -> np.ndarray:
        return np.abs(analysis.waveform).reshape(4, -1)


@pytest.mark.parametrize("mixer", ["balanced", "log_pool", "stacking", "cnn", "rnn"])
def test_nothing_is_asked_of_a_domain_but_what_its_base_promises(clips: Any, mixer: str) -> None:
    paths, waveforms, y = clips
    clf = MixtureOfExpertsClassifier(
        [("peak", make_pipeline(Peak(), quick_expert()))], mixer, cv=2, random_state=0
    )
    if mixer in ("cnn", "rnn"):
        clf.set_params(mixer__max_epochs=1, mixer__device="cpu")
    assert clf.fit(paths, y).predict(paths).shape == (12,)
    np.testing.assert_allclose(clf.predict_proba(waveforms), clf.predict_proba(paths), atol=1e-6)


def test_other_domains_than_the_experts_name_the_way_out(clips: Any) -> None:
    _, waveforms, y = clips
    batch = DomainUnion().transform(waveforms)
    with pytest.raises(ValueError, match=r"clf\.extract\(X\)"):
        MixtureOfExpertsClassifier().fit(batch, y)


@pytest.mark.parametrize("mixer", ["stacking", "cnn"])
def test_extract_gives_what_fit_and_predict_take(clips: Any, mixer: str) -> None:
    paths, _, y = clips
    clf = mixture(mixer=mixer, mixer_domain=Peak())
    if mixer == "cnn":
        clf.set_params(mixer__max_epochs=1, mixer__device="cpu", mixer__channels=(2,))
    batch = clf.extract(paths)
    assert batch.names == ["original", "harmonic"] + ["mixer"] * (mixer == "cnn")
    by_batch = clf.fit(batch, y).predict_proba(batch)
    np.testing.assert_array_equal(clf.fit(paths, y).predict_proba(paths), by_batch)
    with pytest.raises(ValueError, match="no expert begins with a feature domain"):
        MixtureOfExpertsClassifier([("cnn", CNNClassifier(**CNN))]).extract(paths)


def test_a_grid_search_as_an_expert_shows_its_domain(
    clips: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths, _, y = clips
    analysed = []
    original = LogMelSpectrogram.features

    def counting(self: Any, analysis: Any) -> Any:
        analysed.append(1)
        return original(self, analysis)

    monkeypatch.setattr(LogMelSpectrogram, "features", counting)
    pipeline = make_pipeline(LogMelSpectrogram(**SIGNAL), CNNClassifier(**CNN))
    search = GridSearchCV(pipeline, {"cnnclassifier__lr": [1e-3, 1e-2]}, cv=2)
    clf = MixtureOfExpertsClassifier([("searched", search)], "stacking", cv=2).fit(paths, y)
    assert len(analysed) == 12
    batch = clf.extract(paths)
    np.testing.assert_array_equal(clf.predict_proba(batch), clf.predict_proba(paths))


class Foreign(type(quick_expert()[-1])):  # type: ignore[misc]
    """A classifier of another library, with a device of its own."""

    def __init__(self, device: str = "gpu") -> None:
        super().__init__()
        self.device = device


def test_devices_of_other_libraries_are_their_own_affair() -> None:
    X = np.random.default_rng(0).normal(size=(20, 3))
    clf = MixtureOfExpertsClassifier([("foreign", Foreign())], "balanced", n_jobs=2)
    assert clf.fit(X, np.arange(20) % 2).predict(X).shape == (20,)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mixer": StackingMixer(C=-1)}, "'C' parameter"),
        ({"mixer": StackingMixer(max_iter=0)}, "'max_iter' parameter"),
        ({"mixer": "rnn", "mixer__lr": -1.0}, "'lr' parameter"),
        ({"mixer": "rnn", "mixer__shrinkage": -5}, "'shrinkage' parameter"),
        ({"mixer": "cnn", "mixer__channels": (4, 0)}, "positive integers"),
        ({"mixer": "cnn", "mixer__pool_sizes": ((2, 2),)}, "pool_sizes="),
        ({"mixer": "cnn", "mixer__device": "abacus"}, "device='abacus'"),
        ({"original__cnnclassifier__device": "abacus"}, "device='abacus'"),
        ({"on_error": "ignore"}, "'on_error' parameter"),
        ({"cv": 1}, "'cv' parameter"),
        ({"refit": "yes"}, "'refit' parameter"),
    ],
    ids=str,
)
def test_refused_before_anything_trains_and_the_model_stays(
    clips: Any, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], message: str
) -> None:
    _, waveforms, y = clips
    clf = mixture(mixer="balanced").fit(waveforms, y)
    before = clf.predict_proba(waveforms)
    monkeypatch.setattr(CNNClassifier, "fit", lambda *args, **kwargs: pytest.fail("trained"))
    old = clf.get_params(deep=False)
    with pytest.raises(ValueError, match=message):
        clf.set_params(**change).fit(waveforms, y)
    clf.set_params(**{**old, "experts": mixture().experts})
    np.testing.assert_array_equal(clf.predict_proba(waveforms), before)


@pytest.mark.parametrize(
    ("X", "y", "groups", "message"),
    [
        (np.zeros((12, 5, 5)), None, None, "3 dimensions"),
        (None, np.zeros(12), None, "one class"),
        (None, None, np.array([None] * 12), "groups contains None"),
        (None, None, np.r_[np.nan, np.arange(11.0)], "groups contains None"),
        (None, None, np.arange(12) % 2, "1 group"),  # the genres themselves
    ],
    ids=["spectrograms", "one genre", "no groups", "NaN group", "genres as groups"],
)
def test_data_that_are_refused_leave_the_model(
    clips: Any, monkeypatch: pytest.MonkeyPatch, X: Any, y: Any, groups: Any, message: str
) -> None:
    _, waveforms, genres = clips
    clf = mixture(mixer="stacking").fit(waveforms, genres)
    before = clf.predict_proba(waveforms)
    monkeypatch.setattr(CNNClassifier, "fit", lambda *args, **kwargs: pytest.fail("trained"))
    with pytest.raises(ValueError, match=message):
        clf.fit(waveforms if X is None else X, genres if y is None else y, groups=groups)
    np.testing.assert_array_equal(clf.predict_proba(waveforms), before)


def test_models_of_the_folds_are_estimators(clips: Any) -> None:
    _, waveforms, y = clips
    clf = mixture(refit=False).fit(waveforms, y)
    expected = clf.predict_proba(waveforms)
    for expert in clf.experts_:
        check_is_fitted(expert)
        assert is_classifier(expert)
    prefit = MixtureOfExpertsClassifier(list(clf.named_experts_.items()), "stacking", cv="prefit")
    assert prefit.fit(waveforms, y).predict(waveforms).shape == (12,)
    retrained = clone(clf.experts_[0]).fit(waveforms, y)
    assert retrained.predict_proba(waveforms).shape == (12, 2)
    np.testing.assert_array_equal(clf.predict_proba(waveforms), expected)


def test_one_bar_per_phase_of_fit_and_none_in_short_predictions(
    clips: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    paths, _, y = clips
    gate = CNNMixer(channels=(2,), max_epochs=2, device="cpu")
    mixture(mixer=gate).fit(paths, y).predict(paths)
    assert capsys.readouterr().err == ""
    clf = mixture(mixer=gate, verbose=1).fit(paths, y)
    shown = capsys.readouterr().err
    assert "12/12" in shown  # clips extracted
    assert "experts: 100%" in shown  # trainings that are finished
    assert "6/6" in shown
    assert "CNNMixer: 100%" in shown
    assert "training" not in shown
    for fitted in (clf, pickle.loads(pickle.dumps(clf))):
        fitted.predict(paths)
        assert capsys.readouterr().err == ""


def test_rows_from_the_end(clips: Any) -> None:
    _, _, y = clips
    X = np.random.default_rng(0).normal(size=(12, 5, 6))
    last = [(np.arange(6), np.arange(-6, 0)), (np.arange(-6, 0), np.arange(6))]
    same = [(np.arange(6), np.arange(6, 12)), (np.arange(6, 12), np.arange(6))]
    experts = [("one", quick_expert())]
    proba = [
        MixtureOfExpertsClassifier(experts, cv=cv).fit(X, y).predict_proba(X) for cv in (last, same)
    ]
    np.testing.assert_array_equal(*proba)
    with pytest.raises(ValueError, match="but there are 12 clips"):
        MixtureOfExpertsClassifier(experts, cv=[(np.arange(6), [12])]).fit(X, y)
