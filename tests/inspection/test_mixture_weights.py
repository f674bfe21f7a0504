"""The display shows the numbers that the mixture gives, and says what it can't show."""

import sys

import matplotlib.pyplot as plt
import numpy as np
import pytest
import soundfile
from sklearn.exceptions import NotFittedError
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from sklearn_genremoe import LogMelSpectrogram, MixtureOfExpertsClassifier
from sklearn_genremoe.audio import BadClipWarning
from sklearn_genremoe.domains import time_statistics
from sklearn_genremoe.inspection import ExpertAgreementDisplay, MixtureWeightsDisplay
from sklearn_genremoe.mixture import BaseMixer

WEIGHTS = np.array([[0.2, 0.8], [0.4, 0.6], [0.9, 0.1], [0.5, 0.5]])
GENRES = np.array(["folk", "folk", "rock", "folk"])


class FirstFeatureMixer(BaseMixer):
    """Trusts the first expert as much as its first probability."""

    def _weights(self, probas, clips):
        first = probas[:, :1, 0]
        return np.hstack([first, 1 - first])


@pytest.fixture
def fitted():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(30, 3)), np.repeat(["jazz", "pop", "rock"], 10)
    experts = [("bayes", GaussianNB()), ("gone", "drop"), ("tree", DecisionTreeClassifier())]
    return MixtureOfExpertsClassifier(experts, FirstFeatureMixer()).fit(X, y), X, y


def test_frame_holds_the_means():
    display = MixtureWeightsDisplay.from_predictions(WEIGHTS, GENRES, expert_names=["a", "b"])
    frame = display.frame()
    assert frame.index.tolist() == ["folk", "rock", "all clips"]
    assert frame.columns.tolist() == ["a", "b"]
    expected = [WEIGHTS[[0, 1, 3]].mean(axis=0), WEIGHTS[2], WEIGHTS.mean(axis=0)]
    np.testing.assert_allclose(frame.to_numpy(), expected)


def test_bars_are_the_frame():
    display = MixtureWeightsDisplay.from_predictions(WEIGHTS, GENRES, expert_names=["a", "b"])
    widths = np.array([[bar.get_width() for bar in bars] for bars in display.bars_]).T
    np.testing.assert_allclose(widths, display.frame().to_numpy())
    starts = np.array([[bar.get_x() for bar in bars] for bars in display.bars_]).T
    np.testing.assert_allclose(starts[:, 1], widths[:, 0])


def test_labels():
    display = MixtureWeightsDisplay.from_predictions(WEIGHTS, GENRES, expert_names=["a", "b"])
    ax = display.ax_
    assert [tick.get_text() for tick in ax.get_yticklabels()] == [
        "folk (3)",
        "rock (1)",
        "all clips (4)",
    ]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a", "b"]
    assert {text.get_text() for text in ax.texts} == {"37", "63", "90", "10", "50"}
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # the first genre on top
    bars = [bar for bars in display.bars_ for bar in bars]
    assert ax.lines[0].get_zorder() < min(bar.get_zorder() for bar in bars)  # through no number


def test_parts_without_room_have_no_number():
    weights = [[0.044, 0.046, 0.91]]
    display = MixtureWeightsDisplay.from_predictions(weights, ["folk"])
    assert {text.get_text() for text in display.ax_.texts} == {"", "5", "91"}
    assert display.frame().loc["folk"].tolist() == pytest.approx(weights[0])


def test_own_axes():
    figure, ax = plt.subplots()
    display = MixtureWeightsDisplay.from_predictions(WEIGHTS, GENRES, ax=ax)
    assert display.ax_ is ax
    assert display.figure_ is figure
    assert plt.get_fignums() == [figure.number]
    assert display.frame().columns.tolist() == ["expert 0", "expert 1"]


def test_plot_again_returns_itself():
    display = MixtureWeightsDisplay.from_predictions(WEIGHTS, GENRES)
    first = display.ax_
    assert display.plot() is display
    assert display.ax_ is not first


def test_more_experts_than_colours_can_be_saved(tmp_path):
    weights = np.full((6, 11), 1 / 11)
    display = MixtureWeightsDisplay.from_predictions(weights, [3, 1, 2, 1, 2, 3])
    display.figure_.savefig(tmp_path / "weights.png")
    assert (tmp_path / "weights.png").stat().st_size > 0
    assert display.genres == [1, 2, 3]


def test_from_estimator(fitted):
    moe, X, y = fitted
    display = MixtureWeightsDisplay.from_estimator(moe, X, y)
    assert display.expert_names == ["bayes", "tree"]
    weights = moe.mixture_weights(X)
    for genre in np.unique(y):
        np.testing.assert_allclose(display.frame().loc[genre], weights[y == genre].mean(axis=0))


def test_from_pipeline(fitted):
    moe, X, y = fitted
    pipeline = make_pipeline(StandardScaler(), moe).fit(X, y)
    display = MixtureWeightsDisplay.from_estimator(pipeline, X, y)
    scaled = pipeline[0].transform(X)
    np.testing.assert_allclose(
        display.frame().loc["all clips"], moe.mixture_weights(scaled).mean(axis=0)
    )


def test_bad_clips_are_left_out(tmp_path):
    paths, y = some_files(tmp_path)
    domain = LogMelSpectrogram(duration=0.5, n_mels=8)
    expert = make_pipeline(domain, FunctionTransformer(time_statistics), GaussianNB())
    moe = MixtureOfExpertsClassifier([("bayes", expert)], "balanced", on_error="warn").fit(paths, y)
    with pytest.warns(BadClipWarning, match=r"row 1: nowhere\.wav"):
        display = MixtureWeightsDisplay.from_estimator(
            moe, [paths[0], "nowhere.wav", *paths[1:]], [y[0], "rock", *y[1:]]
        )
    assert display.n_clips == [2, 2]
    with pytest.warns(BadClipWarning):
        agreement = ExpertAgreementDisplay.from_estimator(moe, [*paths, "nowhere.wav"])
    assert agreement.agreement.tolist() == [[1]]
    for display_class in (MixtureWeightsDisplay, ExpertAgreementDisplay):
        with (
            pytest.warns(BadClipWarning),
            pytest.raises(ValueError, match="none of the 1 clips of X can be used"),
        ):
            display_class.from_estimator(moe, ["nowhere.wav"], ["folk"])


def some_files(folder):
    """Four files of noise in two genres."""
    rng = np.random.default_rng(0)
    paths = [str(folder / f"{row}.wav") for row in range(4)]
    for path in paths:
        soundfile.write(path, 0.1 * rng.normal(size=11025), 22050)
    return paths, ["folk", "rock"] * 2


def test_estimator_without_weights(fitted):
    moe, X, y = fitted
    with pytest.raises(TypeError, match="GaussianNB has no mixture_weights; pass a fitted Mixture"):
        MixtureWeightsDisplay.from_estimator(moe.named_experts_["bayes"], X, y)


def test_unfitted_estimator(fitted):
    _, X, y = fitted
    with pytest.raises(NotFittedError):
        MixtureWeightsDisplay.from_estimator(MixtureOfExpertsClassifier(), X, y)


@pytest.mark.parametrize(
    ("weights", "y", "names", "message"),
    [
        (WEIGHTS * 2, GENRES, None, "rows that sum to one"),
        (WEIGHTS * [2, -1], GENRES, None, "weights must be zero or above"),
        (WEIGHTS, GENRES[:3], None, "inconsistent numbers of samples"),
        (WEIGHTS, GENRES, ["a"], r"1 expert_names for 2 experts"),
        (WEIGHTS[0], GENRES, None, "2D array"),
    ],
)
def test_unusable_weights(weights, y, names, message):
    with pytest.raises(ValueError, match=message):
        MixtureWeightsDisplay.from_predictions(weights, y, expert_names=names)


def test_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"Display needs matplotlib: pip install 'sklearn-genre"):
        MixtureWeightsDisplay.from_predictions(WEIGHTS, GENRES)
