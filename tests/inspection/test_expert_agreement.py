"""Agreement is counted from the genres that the experts name."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from sklearn_genremoe import MixtureOfExpertsClassifier
from sklearn_genremoe.inspection import ExpertAgreementDisplay

# What three experts name for four clips.
ANSWERS = np.array([[0, 0, 1], [1, 1, 1], [2, 0, 2], [0, 0, 2]])
PROBAS = np.eye(3)[ANSWERS] * 0.7 + 0.1


@pytest.fixture
def fitted():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(30, 3)), np.repeat(["jazz", "pop", "rock"], 10)
    experts = [("bayes", GaussianNB()), ("gone", "drop"), ("tree", DecisionTreeClassifier())]
    return MixtureOfExpertsClassifier(experts, "balanced").fit(X, y), X


def test_frame():
    display = ExpertAgreementDisplay.from_predictions(PROBAS, expert_names=["a", "b", "c"])
    expected = [[1, 0.75, 0.5], [0.75, 1, 0.25], [0.5, 0.25, 1]]
    frame = display.frame()
    np.testing.assert_allclose(frame.to_numpy(), expected)
    assert frame.index.tolist() == frame.columns.tolist() == ["a", "b", "c"]


def test_image_is_the_frame():
    figure, ax = plt.subplots()
    display = ExpertAgreementDisplay.from_predictions(PROBAS, ax=ax)
    assert display.ax_ is ax
    assert display.figure_ is figure
    np.testing.assert_allclose(display.image_.get_array(), display.frame().to_numpy())
    texts = [text.get_text() for text in ax.texts]
    assert texts == [f"{n}%" for n in (100, 75, 50, 75, 100, 25, 50, 25, 100)]
    assert [tick.get_text() for tick in ax.get_yticklabels()] == [
        "expert 0",
        "expert 1",
        "expert 2",
    ]


@pytest.mark.parametrize("names", ["abc", ["original", "harmonic", "a long name"], "abcdefgh"])
def test_the_picture_is_filled(names):
    proba = np.random.default_rng(0).dirichlet([1, 1], (20, len(names)))
    figure = ExpertAgreementDisplay.from_predictions(proba, expert_names=names).figure_
    figure.draw_without_rendering()
    drawn = figure.get_tightbbox()
    assert drawn.width == pytest.approx(figure.get_figwidth(), abs=0.15)
    assert drawn.height == pytest.approx(figure.get_figheight(), abs=0.15)
    assert figure.axes[0].get_title().startswith("clips for which two experts")


def test_from_estimator(fitted):
    moe, X = fitted
    display = ExpertAgreementDisplay.from_estimator(moe, X)
    named = [expert.predict(X) for expert in moe.experts_]
    assert display.expert_names == ["bayes", "tree"]
    assert display.agreement[0, 1] == np.mean(named[0] == named[1])
    y = np.repeat(["jazz", "pop", "rock"], 10)  # as for the other displays of a mixture
    again = ExpertAgreementDisplay.from_estimator(moe, X, y)
    np.testing.assert_array_equal(again.agreement, display.agreement)


def test_from_pipeline(fitted):
    moe, X = fitted
    y = np.repeat(["jazz", "pop", "rock"], 10)
    display = ExpertAgreementDisplay.from_estimator(
        make_pipeline(StandardScaler(), moe).fit(X, y), X
    )
    assert display.agreement.shape == (2, 2)
    alone = ExpertAgreementDisplay.from_estimator(make_pipeline(moe), X)
    assert alone.agreement[0, 1] == ExpertAgreementDisplay.from_estimator(moe, X).agreement[0, 1]


def test_unusable(fitted):
    moe, X = fitted
    with pytest.raises(NotFittedError):
        ExpertAgreementDisplay.from_estimator(MixtureOfExpertsClassifier(), X)
    with pytest.raises(TypeError, match="GaussianNB has no expert_predict_proba; pass a fitted"):
        ExpertAgreementDisplay.from_estimator(moe.experts_[0], X)
    with pytest.raises(
        ValueError, match=r"expert_proba has the shape \(4, 3\); expected \(n_clips"
    ):
        ExpertAgreementDisplay.from_predictions(PROBAS[:, 0])
    with pytest.raises(ValueError, match="2 expert_names for 3 experts"):
        ExpertAgreementDisplay.from_predictions(PROBAS, expert_names=["a", "b"])
