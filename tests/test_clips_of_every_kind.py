"""What scikit-learn's checks do on tables, on clips: spectrograms in 3-D, waveforms and paths.

Every public estimator is here with each kind of clips that it takes; what holds for one holds
for all of them.
"""

import inspect
import pickle
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from sklearn.base import BaseEstimator, clone, is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline

import sklearn_genremoe
from sklearn_genremoe import (
    MFCC,
    AudioLoader,
    AudioSetEmbedding,
    CNNClassifier,
    CNNMixer,
    DomainUnion,
    HarmonicSpectrogram,
    LogMelSpectrogram,
    MixtureOfExpertsClassifier,
    ModulationSpectrogram,
    MusicTagEmbedding,
    PercussiveSpectrogram,
    RNNMixer,
    SpectralStatistics,
    TimeFrequencyScattering,
    WindowedClassifier,
)
from sklearn_genremoe.domains import DomainBatch
from sklearn_genremoe.mixture import BaseMixer
from tests._weights import write_music_weights, write_small_weights

# Lives as long as the tests run.
FOLDER = tempfile.TemporaryDirectory()
WEIGHTS = write_small_weights(Path(FOLDER.name) / "mn01.pt")
MUSIC_WEIGHTS = write_music_weights(Path(FOLDER.name) / "msd.data")

N_CLIPS = 12
Y = np.arange(N_CLIPS) % 2
RATE = 8000
N_SAMPLES = 2000
CNN: dict[str, Any] = {"channels": (2, 2), "max_epochs": 1, "device": "cpu"}
LOADED: dict[str, Any] = {"sample_rate": RATE, "duration": N_SAMPLES / RATE}
SIGNAL: dict[str, Any] = {**LOADED, "n_fft": 256, "hop_length": 128, "n_mels": 12}
DOMAINS = [
    LogMelSpectrogram,
    HarmonicSpectrogram,
    PercussiveSpectrogram,
    ModulationSpectrogram,
    MFCC,
    SpectralStatistics,
    TimeFrequencyScattering,
]


def cnn() -> CNNClassifier:
    return CNNClassifier(**CNN, random_state=0)


def mixture(mixer: Any, *domains: Any) -> MixtureOfExpertsClassifier:
    """Two experts, each with a domain unless there are none."""
    bare = [("a", CNNClassifier(**CNN)), ("b", CNNClassifier(**CNN, dropout=0.3))]
    experts = [(n, make_pipeline(d, e)) for (n, e), d in zip(bare, domains)] if domains else bare
    return MixtureOfExpertsClassifier(experts, mixer, cv=2, random_state=0)


def union() -> DomainUnion:
    return DomainUnion([("mel", LogMelSpectrogram(**SIGNAL)), ("mfcc", MFCC(**SIGNAL))])


def audio_mixture() -> MixtureOfExpertsClassifier:
    domains = LogMelSpectrogram(**SIGNAL), HarmonicSpectrogram(**SIGNAL)
    return mixture(RNNMixer(hidden_size=2, max_epochs=1, device="cpu"), *domains)


ON_AUDIO: dict[str, Callable[[], Any]] = {
    "AudioLoader": lambda: AudioLoader(**LOADED),
    **{cls.__name__: lambda cls=cls: cls(**SIGNAL) for cls in DOMAINS},  # type: ignore[misc]
    "AudioSetEmbedding": lambda: AudioSetEmbedding(WEIGHTS, **LOADED),
    "MusicTagEmbedding": lambda: MusicTagEmbedding(MUSIC_WEIGHTS, **LOADED),
    "DomainUnion": union,
    "CNNClassifier": lambda: make_pipeline(LogMelSpectrogram(**SIGNAL), cnn()),
    "MixtureOfExpertsClassifier": audio_mixture,
}
ON_SPECTROGRAMS: dict[str, Callable[[], Any]] = {
    "CNNClassifier": cnn,
    "MixtureOfExpertsClassifier": lambda: mixture(CNNMixer(**CNN)),
}
CASES = [
    *((name, make, kind) for name, make in ON_AUDIO.items() for kind in ("paths", "waveforms")),
    *((name, make, "spectrograms") for name, make in ON_SPECTROGRAMS.items()),
]


@dataclass
class Case:
    """An estimator and clips for it."""

    make: Callable[[], Any]
    kind: str
    X: Any

    @property
    def classifies(self) -> bool:
        return is_classifier(self.make())

    def fit(self, X: Any = None, y: Any = Y) -> Any:
        return self.make().fit(self.X if X is None else X, y)

    def results(self, fitted: Any, X: Any = None) -> np.ndarray:
        X = self.X if X is None else X
        found = fitted.predict_proba(X) if self.classifies else fitted.transform(X)
        if isinstance(found, DomainBatch):
            return np.hstack([found[name].reshape(len(found), -1) for name in found.names])
        return np.asarray(found)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("clips")
    rng = np.random.default_rng(0)
    time = np.arange(N_SAMPLES) / RATE
    waveforms = np.sin(2 * np.pi * (500 + 1500 * Y)[:, None] * time)
    waveforms = (0.3 * waveforms + 0.05 * rng.normal(size=waveforms.shape)).astype(np.float32)
    for row, waveform in enumerate(waveforms):
        soundfile.write(folder / f"{row}.wav", waveform, RATE, subtype="FLOAT")
    spectrograms = rng.normal(size=(N_CLIPS, 6, 10)).astype(np.float32) + Y[:, None, None]
    for array in (waveforms, spectrograms):
        array.flags.writeable = False
    return {
        "paths": [str(folder / f"{row}.wav") for row in range(N_CLIPS)],
        "waveforms": waveforms,
        "spectrograms": spectrograms.astype(np.float32),
    }


@pytest.fixture
def case(request: pytest.FixtureRequest, clips: dict[str, Any]) -> Case:
    _, make, kind = request.param
    return Case(make, kind, clips[kind])


def on(*kinds: str, classifiers: bool = False) -> pytest.MarkDecorator:
    """Run a test on all estimators, or on the classifiers, that take such clips."""
    chosen = [c for c in CASES if c[2] in kinds and (not classifiers or "Classifier" in c[0])]
    ids = [f"{name}-{kind}" for name, _, kind in chosen]
    return pytest.mark.parametrize("case", chosen, ids=ids, indirect=True)


every_case = on("paths", "waveforms", "spectrograms")


def test_every_public_estimator_is_here() -> None:
    public = {name: getattr(sklearn_genremoe, name) for name in sklearn_genremoe.__all__}
    estimators = {
        name
        for name, item in public.items()
        if inspect.isclass(item)
        and issubclass(item, BaseEstimator)
        and not issubclass(item, BaseMixer)  # learns from predictions, not from clips
        and item is not WindowedClassifier  # of tracks: tests/mixture/test_windowed.py
    }
    assert {name for name, _, _ in CASES} == estimators


@every_case
def test_clone_and_second_fit_are_equal(case: Case) -> None:
    fitted = case.fit()
    expected = case.results(fitted)
    again = clone(fitted)
    assert repr(again.get_params()) == repr(case.make().get_params())
    np.testing.assert_array_equal(case.results(again.fit(case.X, Y)), expected)
    np.testing.assert_array_equal(case.results(fitted.fit(case.X, Y)), expected)


@every_case
@pytest.mark.parametrize("pickler", [pickle, cloudpickle], ids=lambda pickler: pickler.__name__)
def test_copies_are_equal(case: Case, pickler: Any) -> None:
    fitted = case.fit()
    copy = pickle.loads(pickler.dumps(fitted))
    np.testing.assert_array_equal(case.results(copy), case.results(fitted))


@every_case
def test_unfitted(case: Case) -> None:
    if case.classifies:
        for method in ("predict", "predict_proba", "predict_log_proba"):
            with pytest.raises(NotFittedError):
                getattr(case.make(), method)(case.X)
    else:  # nothing is learned, so nothing has to be fitted
        np.testing.assert_array_equal(case.results(case.make()), case.results(case.fit()))


@on("paths", "waveforms", "spectrograms", classifiers=True)
@pytest.mark.parametrize(
    "labels",
    [
        np.array(["folk", "rock"]),
        np.array(["folk", "rock"], dtype=object),
        np.array([0, 1]),
        np.array([False, True]),
        np.array([-7, 1000]),
    ],
    ids=["str", "object", "int", "bool", "far apart"],
)
def test_labels_of_any_type(case: Case, labels: np.ndarray) -> None:
    fitted = case.fit(y=labels[Y])
    np.testing.assert_array_equal(fitted.classes_, labels)
    assert fitted.classes_.dtype == labels.dtype
    predicted = fitted.predict(case.X)
    assert predicted.dtype == labels.dtype
    assert set(predicted) <= set(labels)
    # The labels are names: nothing else depends on them.
    np.testing.assert_array_equal(case.results(fitted), case.results(case.fit()))


def mapped(array: np.ndarray, folder: Path) -> np.ndarray:
    np.save(folder / "array.npy", array)
    return np.load(folder / "array.npy", mmap_mode="r")


ARRAYS: dict[str, Callable[[np.ndarray, Path], Any]] = {
    "float64": lambda X, _: X.astype(np.float64),
    "column order": lambda X, _: np.asfortranarray(X),
    "strided": lambda X, _: np.repeat(X, 2, axis=-1)[..., ::2],
    "memory-mapped": mapped,
    "list": lambda X, _: X.tolist(),
    "object": lambda X, _: X.astype(object),
    "torch": lambda X, _: torch.from_numpy(X.copy()),
    "torch with gradient": lambda X, _: torch.from_numpy(X.copy()).double().requires_grad_(),
}
CONTAINERS: dict[str, dict[str, Callable[[Any, Path], Any]]] = {
    "paths": {
        "tuple": lambda X, _: tuple(X),
        "array": lambda X, _: np.array(X),
        "object array": lambda X, _: np.array(X, dtype=object),
        "series": lambda X, _: pd.Series(X, index=range(5, 5 + N_CLIPS)),
        "Path": lambda X, _: [Path(path) for path in X],
        "series of Path": lambda X, _: pd.Series([Path(path) for path in X]),
    },
    "waveforms": {**ARRAYS, "data frame": lambda X, _: pd.DataFrame(X)},
    "spectrograms": {**ARRAYS, "batch": lambda X, _: DomainBatch({"a": X})},
}


@every_case
def test_clips_in_any_container(case: Case, tmp_path: Path) -> None:
    expected = case.results(case.fit())
    for name, wrap in CONTAINERS[case.kind].items():
        X = wrap(case.X, tmp_path)
        results = case.results(case.fit(X), X)
        np.testing.assert_array_equal(results.astype(expected.dtype), expected, err_msg=name)


@on("waveforms", "spectrograms")
def test_narrow_numbers(case: Case) -> None:
    small = torch.from_numpy(case.X.copy()).bfloat16()
    expected = case.results(case.fit(small.float()), small.float())
    np.testing.assert_array_equal(case.results(case.fit(small), small), expected)


@every_case
def test_other_clips_than_in_fit(case: Case, clips: dict[str, Any]) -> None:
    fitted = case.fit()
    wrong: dict[str, Any] = {"": clips["waveforms"][:, :-5]}
    if case.kind == "spectrograms":
        X = case.X
        wrong = {
            "features": X[:, :-1],
            r"clips of shape \(6, 9\)": X[:, :, :-1],
            "expecting clips of shape": X[..., None],
            "minimum of 1": X[:0],
            "expecting": X[0],
        }
    for message, X in wrong.items():
        with pytest.raises(ValueError, match=message or "X has 1995 features"):
            case.results(fitted, X)


@on("waveforms", "spectrograms")
def test_bad_numbers_name_the_clips(case: Case) -> None:
    bad = case.X.copy()
    bad[3, 1] = np.nan
    bad[5, 1] = np.inf
    message = r"NaN or infinity in 2 of 12 clips \(rows 3, 5\)\. Leave these clips out"
    for act in (case.fit, lambda X: case.results(case.fit(), X)):
        with pytest.raises(ValueError, match=message):
            act(bad)


@on("paths")
@pytest.mark.parametrize(
    ("wrap", "message"),
    [
        (set, "X is of the type set; expected a sequence"),
        (iter, "X is of the type list_iterator; expected a sequence"),
        (lambda X: dict(enumerate(X)), "X is of the type dict; expected a sequence"),
        (lambda X: X[0], r"put it into a list"),
    ],
)
def test_no_sequence_of_paths(case: Case, wrap: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        case.fit(wrap(case.X))


@on("paths")
@pytest.mark.parametrize("row", [0, 4])
def test_paths_with_gaps(case: Case, row: int) -> None:
    X = pd.Series(case.X, dtype=object)
    X[row] = None
    with pytest.raises(ValueError, match=rf"X\[{row}\] is None; .*drop the rows"):
        case.fit(X)


@every_case
def test_the_world_stays_as_it_was(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    def world() -> list[Any]:
        return [
            np.random.get_state()[1].tolist(),  # type: ignore[index]  # noqa: NPY002
            torch.get_rng_state().tolist(),
            torch.get_num_threads(),
            torch.is_grad_enabled(),
            list(warnings.filters),
        ]

    case.fit()  # the first training of a process loads sympy by way of torch: it adds a filter
    before = world()
    case.results(case.fit())  # the arrays are read-only: they can't change
    assert world() == before
    assert capsys.readouterr() == ("", "")
