"""The areas are the probabilities of the windows."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB

from sklearn_genremoe import MixtureOfExpertsClassifier, WindowedClassifier
from sklearn_genremoe.inspection import TimelineDisplay

START, END = np.arange(0, 75, 15.0), np.arange(30, 105, 15.0)
PROBA = np.array([[0.9, 0.1], [0.5, 0.5], [np.nan, np.nan], [0.2, 0.8], [0.1, 0.9]])
WEIGHTS = np.array([[0.2, 0.3, 0.5]] * 5)


def test_areas_marks_and_numbers():
    display = TimelineDisplay.from_predictions(
        START, END, PROBA, genres=["folk", "rock"], weights=WEIGHTS
    )
    genres, experts = display.ax_
    assert len(genres.collections) == 2
    assert len(experts.collections) == 3
    vertices = genres.collections[0].get_paths()[0].vertices
    assert vertices[:, 0].min() == 0
    assert vertices[:, 1].max() == 0.9
    before, behind = (path.vertices[:, 0] for path in genres.collections[0].get_paths())
    assert (before.max(), behind.min()) == (37.5, 52.5)  # the silent window is a gap, no more
    assert genres.get_xlim() == experts.get_xlim() == (0, 90)
    display.figure_.canvas.draw()
    assert "1:00" in [label.get_text() for label in experts.get_xticklabels()]
    frame = display.frame()
    assert frame.columns.tolist() == [
        "start", "end", "folk", "rock",
        "weight[expert 0]", "weight[expert 1]", "weight[expert 2]",
    ]  # fmt: skip
    np.testing.assert_array_equal(frame, np.column_stack([START, END, PROBA, WEIGHTS]))


def test_edges_lie_between_the_middles_of_windows():
    display = TimelineDisplay(START, END, PROBA, genres=["folk", "rock"]).plot()
    before, behind = (path.vertices[:, 0] for path in display.ax_[0].collections[0].get_paths())
    assert sorted(set(before.tolist())) == [0, 22.5, 37.5]
    assert sorted(set(behind.tolist())) == [52.5, 67.5, 90]


def test_what_no_window_heard_is_a_gap():
    start = np.array([0, 0.3, 0.6 + 1e-9, 2.0])
    display = TimelineDisplay.from_predictions(start, start + 0.3, [[0.4, 0.6]] * 4)
    heard = [path.vertices[:, 0] for path in display.ax_[0].collections[0].get_paths()]
    assert [(x.min(), x.max()) for x in heard] == [
        pytest.approx((0, 0.9)),
        pytest.approx((2.0, 2.3)),
    ]
    assert display.ax_[0].get_xlim() == pytest.approx((0, 2.3))


def test_given_axes_and_no_weights():
    figure, ax = plt.subplots()
    display = TimelineDisplay.from_predictions(START, END, PROBA, ax=ax)
    assert display.ax_.tolist() == [ax]
    assert display.figure_ is figure
    assert display.frame().columns.tolist() == ["start", "end", 0, 1]


def test_from_estimator():
    rng = np.random.default_rng(0)
    X, y = 0.1 * rng.normal(size=(8, 66150)), ["folk", "rock"] * 4
    X[::2] *= 5
    experts = [("bayes", GaussianNB()), ("linear", LogisticRegression())]
    mixture = MixtureOfExpertsClassifier(experts, "balanced")
    windowed = WindowedClassifier(mixture, window=1.0, hop=1.0).fit(X, y)
    display = TimelineDisplay.from_estimator(windowed, X[0])
    assert display.frame().equals(windowed.predict_windows(X[0]))
    assert [text.get_text() for text in display.ax_[1].get_legend().get_texts()] == [
        "linear",
        "bayes",
    ]
    alone = WindowedClassifier(DummyClassifier(), window=1.0).fit(X, y)
    assert len(TimelineDisplay.from_estimator(alone, X[0]).ax_) == 1


def test_refusals():
    with pytest.raises(TypeError, match="no predict_windows"):
        TimelineDisplay.from_estimator(DummyClassifier(), "song.mp3")
    with pytest.raises(NotFittedError):
        TimelineDisplay.from_estimator(WindowedClassifier(DummyClassifier()), "song.mp3")
    with pytest.raises(ValueError, match="end must lie behind start"):
        TimelineDisplay.from_predictions(END, START, PROBA)
    with pytest.raises(ValueError, match="3 genres for 2 columns"):
        TimelineDisplay.from_predictions(START, END, PROBA, genres=["a", "b", "c"])
    with pytest.raises(ValueError, match="inconsistent"):
        TimelineDisplay.from_predictions(START, END, PROBA[1:])
    with pytest.raises(ValueError, match="2D array"):
        TimelineDisplay.from_predictions(START, END, START)
