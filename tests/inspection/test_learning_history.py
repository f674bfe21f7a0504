"""The curves are the histories of the fitted networks."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklearn_genremoe import CNNClassifier, MixtureOfExpertsClassifier, RNNMixer
from sklearn_genremoe.inspection import LearningHistoryDisplay

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(20, 6, 8)), np.repeat(["pop", "rock"], 10)
SMALL = {"channels": (4,), "max_epochs": 3, "random_state": 0, "device": "cpu"}


def test_one_network():
    cnn = CNNClassifier(**SMALL).fit(X, Y)
    display = LearningHistoryDisplay.from_estimator(cnn)
    frame = display.frame()
    assert frame.columns.tolist() == ["network", "epoch", "train_loss", "valid_loss"]
    assert frame["network"].unique().tolist() == ["CNNClassifier"]
    assert frame["epoch"].tolist() == [1, 2, 3]
    losses = [epoch["train_loss"] for epoch in cnn.history_]
    np.testing.assert_allclose(frame["train_loss"], losses)
    assert frame["valid_loss"].isna().all()
    (line,) = display.lines_
    np.testing.assert_allclose(line.get_ydata(), losses)


def test_held_out_clips():
    cnn = CNNClassifier(**SMALL, validation_fraction=0.2).fit(X, Y)
    display = LearningHistoryDisplay.from_estimator(cnn)
    assert [line.get_label() for line in display.lines_] == [
        "CNNClassifier",
        "CNNClassifier, held out",
    ]
    assert display.frame()["valid_loss"].notna().all()


def test_pipeline_and_own_axes():
    figure, ax = plt.subplots()
    pipeline = make_pipeline(FunctionTransformer(), CNNClassifier(**SMALL)).fit(X, Y)
    display = LearningHistoryDisplay.from_estimator(pipeline, ax=ax)
    assert display.ax_ is ax
    assert display.figure_ is figure


def test_mixture_with_and_without_networks():
    flat = make_pipeline(FunctionTransformer(lambda x: x.reshape(len(x), -1)), GaussianNB())
    experts = [("cnn", CNNClassifier(**SMALL)), ("gone", "drop"), ("bayes", flat)]
    mixer = RNNMixer(max_epochs=2, random_state=0, device="cpu")
    moe = MixtureOfExpertsClassifier(experts, mixer, cv=2).fit(X, Y)
    frame = LearningHistoryDisplay.from_estimator(moe).frame()
    assert frame["network"].tolist() == ["cnn"] * 3 + ["mixer"] * 2


def test_networks_of_folds():
    cnn = CNNClassifier(**{**SMALL, "max_epochs": 2}, validation_fraction=0.2)
    experts = [("cnn", make_pipeline(FunctionTransformer(), cnn)), ("other", clone(cnn))]
    moe = MixtureOfExpertsClassifier(experts, cv=2, refit=False).fit(X, Y)
    display = LearningHistoryDisplay.from_estimator(moe)
    frame = display.frame()
    names = ["cnn, fold 1", "cnn, fold 2", "other, fold 1", "other, fold 2"]
    assert frame["network"].tolist() == np.repeat(names, 2).tolist()
    for row, model in enumerate(moe.experts_[0].models):
        losses = [epoch["train_loss"] for epoch in model[-1].history_]
        np.testing.assert_allclose(frame["train_loss"][2 * row : 2 * row + 2], losses)
    assert len(display.lines_) == 8
    assert len({line.get_color() for line in display.lines_}) == 2
    assert [text.get_text() for text in display.ax_.get_legend().get_texts()] == [
        "cnn", "cnn, held out", "other", "other, held out",
    ]  # fmt: skip


def test_networks_that_were_not_trained_here():
    cnn = CNNClassifier(**SMALL).fit(X, Y)
    cnn.history_ = type(cnn.history_)()  # as of loaded weights
    with pytest.raises(ValueError, match="have an empty history_: their weights were loaded"):
        LearningHistoryDisplay.from_estimator(cnn)
    assert LearningHistoryDisplay({}).plot().lines_ == []  # without a warning about the legend


def test_no_network():
    with pytest.raises(TypeError, match="GaussianNB holds no network with a history_"):
        LearningHistoryDisplay.from_estimator(GaussianNB().fit(X[:, 0], Y))


def test_unfitted():
    with pytest.raises(NotFittedError):
        LearningHistoryDisplay.from_estimator(CNNClassifier())
