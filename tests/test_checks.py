"""Labels and groups of any kind, and one sentence about those that are none."""

import unicodedata

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB

from sklearn_genremoe import MixtureOfExpertsClassifier
from sklearn_genremoe._checks import check_groups, check_targets

FORMS = [unicodedata.normalize(form, "Électro") for form in ("NFC", "NFD")]
X = np.zeros((4, 3))
StringDType = np.dtypes.StringDType


@pytest.mark.parametrize("check", [lambda v: check_targets(X, v), lambda v: check_groups(v, 4)])
@pytest.mark.parametrize(
    "values",
    [
        np.array(["a", "b"] * 2, dtype=StringDType()),
        pd.Series(["a", "b"] * 2, dtype="string"),
        pd.Series(["a", "b"] * 2, dtype="category"),
        pd.Series(["a", "b"] * 2),
        ["a", "b"] * 2,
    ],
    ids=lambda values: str(getattr(values, "dtype", "list")),
)
def test_text(check, values):
    found = check(values)
    assert found.dtype.kind in "UO"
    assert found.tolist() == ["a", "b"] * 2
    np.unique(found)


@pytest.mark.parametrize("check", [lambda v: check_targets(X, v), lambda v: check_groups(v, 4)])
@pytest.mark.parametrize(
    ("values", "said"),
    [
        (
            [["rock", "pop"], ["folk"], ["rock"], ["pop"]],
            r"such as \('rock', 'pop'\); expected one",
        ),
        ([("rock", "pop"), ("folk",)] * 2, r"such as \('rock', 'pop'\); expected one"),
        (pd.Series([["rock"], ["folk"]] * 2), r"such as \['rock'\]; expected one"),
        ([{"rock"}] * 4, r"such as {'rock'}; expected one"),
        ([{"tag": "rock"}] * 4, "such as {'tag': 'rock'}; expected one"),
        (
            [["rock", "pop"]] * 4,
            r"^(y|groups) should be a 1d array, got an array of shape \(4, 2\)",
        ),
        (np.array(["a", None, "a", "b"], dtype=StringDType(na_object=None)), "None or NaN for 1"),
        (pd.Series(["a", None, "a", "b"], dtype="string"), "None or NaN for 1 of 4"),
        (["a", np.nan, "a", "b"], "None or NaN for 1 of 4"),  # of which numpy makes "nan"
    ],
)
def test_refused(check, values, said):
    with pytest.raises(ValueError, match=said):
        check(values)


@pytest.mark.parametrize("dtype", [str, object, StringDType()])
def test_unicode_forms(dtype):
    mixed = np.array([*FORMS, "rock", "rock"], dtype=dtype)
    assert check_targets(X, mixed).tolist() == [FORMS[0], FORMS[0], "rock", "rock"]
    assert check_groups(mixed, 4).tolist() == [FORMS[0], FORMS[0], "rock", "rock"]
    one_form = np.array([FORMS[1], FORMS[1], "rock", "rock"], dtype=dtype)
    assert check_targets(X, one_form).tolist() == one_form.tolist()  # as scikit-learn sees it


def test_labels_of_another_type_than_those_of_the_fit():
    with pytest.raises(ValueError, match="those of the fit are 0, 1; expected labels of the same"):
        check_targets(X, ["a", "b"] * 2, np.array([0, 1]))


@pytest.mark.parametrize("fitted", FORMS)
@pytest.mark.parametrize("dtype", [str, object, StringDType()])
def test_labels_are_written_as_those_of_the_fit(fitted, dtype):
    clips = np.random.default_rng(0).normal(size=(20, 3)) + [[0.0, 0, 0], [9, 9, 9]] * 10
    experts = [("a", LogisticRegression()), ("b", GaussianNB())]
    model = MixtureOfExpertsClassifier(experts, "balanced").fit(clips, [fitted, "rock"] * 10)
    assert fitted in model.classes_
    for given in FORMS:
        y = np.array([given, "rock"] * 10, dtype=dtype)
        assert model.score(clips, y) == 1.0
        assert model.score_experts(clips, y)["accuracy"].tolist() == [1.0] * 4
    numbers = model.fit(clips, [3, 7] * 10)
    assert numbers.score(clips, np.array([3, 7] * 10, dtype=np.int8)) == 1.0
