"""The table that compares experts, mixture and oracle."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, log_loss

from sklearn_genremoe import MixtureOfExpertsClassifier
from sklearn_genremoe.mixture._answers import score_table
from tests.mixture._clips import quick_experts, two_cues


@pytest.mark.parametrize("weighted", [False, True])
def test_table_agrees_with_scikit_learn(weighted):
    batch, y, _ = two_cues()
    test, y_test, _ = two_cues(seed=1)
    weight = np.arange(48) % 3 if weighted else None
    clf = MixtureOfExpertsClassifier(quick_experts(), "stacking", cv=3).fit(batch, y)
    frame = clf.score_experts(test, y_test, sample_weight=weight)
    assert frame.index.tolist() == ["original", "harmonic", "mixture", "oracle"]
    probas = clf.expert_predict_proba(test)
    answers = clf.classes_[probas.argmax(axis=2)]
    for number, name in enumerate(["original", "harmonic"]):
        assert frame.loc[name, "accuracy"] == pytest.approx(
            accuracy_score(y_test, answers[:, number], sample_weight=weight)
        )
        assert frame.loc[name, "log_loss"] == pytest.approx(
            log_loss(y_test, probas[:, number], sample_weight=weight)
        )
        assert frame.loc[name, "disagreement"] == pytest.approx(
            np.average(answers[:, number] != clf.predict(test), weights=weight)
        )
    assert frame.loc["mixture", "accuracy"] == pytest.approx(clf.score(test, y_test, weight))
    assert frame.loc["mixture", "log_loss"] == pytest.approx(
        log_loss(y_test, clf.predict_proba(test), sample_weight=weight)
    )
    assert frame.loc["oracle", "accuracy"] == pytest.approx(
        np.average((answers == y_test[:, None]).any(axis=1), weights=weight)
    )
    assert frame.attrs["mean_disagreement"] == pytest.approx(
        np.average(answers[:, 0] != answers[:, 1], weights=weight)
    )
    of_rock = clf.mixture_weights(test)[y_test == "rock"]
    rock_weight = None if weight is None else weight[y_test == "rock"]
    np.testing.assert_allclose(
        frame["weight[rock]"][:2], np.average(of_rock, axis=0, weights=rock_weight)
    )
    assert frame.loc[["original", "harmonic"], "weight"].sum() == pytest.approx(1)


def test_genres_without_clips_and_single_experts():
    probas = np.array([[[0.9, 0.1]], [[0.2, 0.8]]])
    everyone = np.concatenate([probas, probas], axis=1)
    genres, names = np.array(["a", "b"]), ["only"]
    table = score_table(everyone, np.ones((2, 1)), np.array([0, 0]), genres, names, None)
    assert table["accuracy"].tolist() == [0.5, 0.5, 0.5]
    assert np.isnan(table["weight[b]"]).all()
    assert table.attrs["mean_disagreement"] == 0


def test_genres_that_nobody_knows():
    batch, y, _ = two_cues()
    clf = MixtureOfExpertsClassifier(quick_experts(), "balanced").fit(batch, y)
    with pytest.raises(ValueError, match=r"\['jazz'\], which were not seen"):
        clf.score_experts(batch, np.where(y == "rock", "jazz", y))
