"""Sample weights, groups and other metadata, with and without metadata routing."""

import numpy as np
import pytest
import sklearn
from sklearn.base import BaseEstimator
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    LeaveOneGroupOut,
    StratifiedGroupKFold,
    cross_validate,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from skorch.callbacks import Callback

from sklearn_genremoe import (
    CNNClassifier,
    MixtureOfExpertsClassifier,
    StackingMixer,
    WindowedClassifier,
    paper_experts,
)
from tests.mixture._clips import CNN, flatten, quick_experts, two_cues


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


def table(n_clips=40, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n_clips) % 2
    return rng.normal(size=(n_clips, 3)) + y[:, None], y, rng.integers(0, 3, size=n_clips)


class SpyMixer(StackingMixer):
    """Remembers the weights that it was fitted with."""

    def _fit(self, probas, y, clips, sample_weight):
        self.weight_ = sample_weight
        super()._fit(probas, y, clips, sample_weight)


class SpyBayes(GaussianNB):
    """Remembers, beyond its clones, the sample weights and the rows of all fits."""

    seen: list = []

    def fit(self, X, y, sample_weight=None):
        self.seen.append((X, sample_weight))
        return super().fit(X, y, sample_weight)


@pytest.fixture(autouse=True)
def forget():
    SpyBayes.seen = []


def test_weights_reach_experts_and_mixer():
    X, y, weight = table()
    pipe = make_pipeline(make_pipeline(StandardScaler(), SpyBayes()))
    experts = [("bayes", SpyBayes()), ("nested", pipe)]
    clf = MixtureOfExpertsClassifier(experts, SpyMixer(), cv=2).fit(X, y, sample_weight=weight)
    assert len(SpyBayes.seen) == 6
    present = weight[weight > 0]
    for rows, given in SpyBayes.seen:
        assert len(rows) == len(given) < 40
        assert (given > 0).all()
    np.testing.assert_array_equal(SpyBayes.seen[2][1], present)
    np.testing.assert_array_equal(clf.mixer_.weight_, present)


@pytest.mark.parametrize("cv", [3, LeaveOneGroupOut(), "iterable"])
def test_weight_zero_is_absence(cv):
    X, y, weight = table()
    groups = np.arange(40) // 2 % 4
    present = weight > 0
    weight = present.astype(float)
    if cv == "iterable":
        folds = [(np.arange(0, 40, 2), np.arange(1, 40, 2)), (np.arange(20), np.arange(20, 40))]
        number = np.cumsum(present) - 1
        of_present = [tuple(number[side[present[side]]] for side in fold) for fold in folds]
        masks = [tuple(np.isin(np.arange(40), side) for side in fold) for fold in folds]
        X, y = X + np.arange(40)[:, None] / 40, np.arange(40) // 2 % 2
        cvs = [folds, of_present, masks]
    else:
        cvs = [cv, cv]
    experts = [("bayes", GaussianNB())]
    weighted, removed = (
        MixtureOfExpertsClassifier(experts, "stacking", cv=cvs[0]).fit(
            X, y, sample_weight=weight, groups=groups
        ),
        MixtureOfExpertsClassifier(experts, "stacking", cv=cvs[1]).fit(
            X[present], y[present], groups=groups[present]
        ),
    )
    np.testing.assert_allclose(weighted.predict_proba(X), removed.predict_proba(X))
    if cv == "iterable":
        by_mask = MixtureOfExpertsClassifier(experts, "stacking", cv=cvs[2])
        by_mask.fit(X, y, sample_weight=weight)
        np.testing.assert_allclose(by_mask.predict_proba(X), removed.predict_proba(X))


def test_experts_that_take_no_weights_are_named():
    X, y, weight = table()
    experts = [("bayes", GaussianNB()), ("near", KNeighborsClassifier())]
    clf = MixtureOfExpertsClassifier(experts, "balanced").fit(X, y)
    with pytest.raises(ValueError, match=r"'near' can't take it: KNeighborsClassifier\.fit"):
        clf.fit(X, y, sample_weight=weight)


def test_weights_that_mean_nothing():
    X, y, weight = table()
    clf = MixtureOfExpertsClassifier([("bayes", GaussianNB())], "balanced")
    with pytest.raises(ValueError, match="zero"):
        clf.fit(X, y, sample_weight=0 * weight)
    with pytest.raises(ValueError, match="egative"):
        clf.fit(X, y, sample_weight=weight - 1)
    with pytest.raises(ValueError, match="groups has 2 entries for 40 clips"):
        clf.fit(X, y, groups=[1, 2])


class GroupedBayes(GaussianNB):
    """Remembers, beyond its clones, the groups and the rows of all fits."""

    seen: list = []
    __metadata_request__fit = {"groups": True}

    def fit(self, X, y, groups=None):
        self.seen.append((X, groups))
        return super().fit(X, y)


@pytest.mark.parametrize("enabled", [False, True])
def test_groups_reach_the_experts(enabled):
    # An expert that holds clips out of its own training needs them as much as the mixer.
    X, y, _ = table()
    X[:, 0] = np.arange(40)
    groups = np.array(["a", "b", "c", "d"])[np.arange(40) // 2 % 4]
    GroupedBayes.seen = []
    nested = make_pipeline(make_pipeline(StandardScaler(with_mean=False), GroupedBayes()))
    clf = MixtureOfExpertsClassifier([("a", GroupedBayes()), ("b", nested)], "stacking", cv=2)
    with sklearn.config_context(enable_metadata_routing=enabled):
        clf.fit(X, y, groups=groups)
    assert len(GroupedBayes.seen) == 6
    for rows, given in GroupedBayes.seen[:3]:
        np.testing.assert_array_equal(given, groups[rows[:, 0].astype(int)])
    for rows, given in GroupedBayes.seen[3:]:
        assert len(rows) == len(given)
    clf.fit(X, y)
    assert all(given is None for _, given in GroupedBayes.seen[6:])


def test_experts_hold_out_whole_groups():
    batch, y, _ = two_cues()
    held_out = {}

    class Watch(Callback):
        def on_batch_end(self, net, batch, training, **kwargs):
            rows = held_out.setdefault(training, [])
            rows += [int(clip[0, 0]) for clip in batch[0]["X"]]

    X = np.array(batch["original"])
    X[:, 0, 0] = np.arange(48)
    groups = np.arange(48) // 4
    cnn = CNNClassifier(**CNN, validation_fraction=0.25, callbacks=[Watch()])
    MixtureOfExpertsClassifier([("cnn", cnn)], "balanced", random_state=0).fit(X, y, groups=groups)
    assert sorted(held_out[True] + held_out[False]) == list(range(48))
    assert not set(groups[held_out[True]]) & set(groups[held_out[False]])


class SpySplitter(StratifiedGroupKFold):
    """Remembers the groups and checks that none stands on both sides."""

    seen: list = []

    def split(self, X, y=None, groups=None):
        self.seen.append(groups)
        for train, test in super().split(X, y, groups):
            assert not set(groups[train]) & set(groups[test])
            yield train, test


@pytest.mark.parametrize("enabled", [False, True])
def test_groups_reach_the_inner_splitter(enabled):
    batch, y, _ = two_cues()
    groups = np.repeat(np.arange(12), 4)
    SpySplitter.seen = []
    clf = MixtureOfExpertsClassifier(quick_experts(), "stacking", cv=SpySplitter(3))
    with sklearn.config_context(enable_metadata_routing=enabled):
        clf.fit(batch, y, groups=groups)
        np.testing.assert_array_equal(SpySplitter.seen[0], groups)
    # Plain numbers of folds keep groups together as well: see test_no_group_on_both_sides.


@pytest.mark.usefixtures("routing")
def test_groups_reach_both_splitters_of_nested_cross_validation():
    batch, y, _ = two_cues()
    groups = np.repeat(np.arange(12), 4)
    SpySplitter.seen = []
    clf = MixtureOfExpertsClassifier(quick_experts(), "stacking", cv=SpySplitter(2))
    search = GridSearchCV(clf, {"mixer__C": [0.1]}, cv=GroupKFold(2), error_score="raise")
    search.set_params(estimator__mixer=StackingMixer())
    cross_validate(
        search, batch, y, params={"groups": groups}, cv=GroupKFold(2), error_score="raise"
    )
    assert len(SpySplitter.seen) == 6
    assert all(len(set(seen)) in (3, 6) for seen in SpySplitter.seen)


@pytest.mark.usefixtures("routing")
def test_weights_by_routing():
    X, y, weight = table()
    asked = SpyBayes().set_fit_request(sample_weight=True)
    not_asked = SpyBayes().set_fit_request(sample_weight=False)
    clf = MixtureOfExpertsClassifier([("a", asked), ("b", not_asked)], SpyMixer(), cv=2)
    clf.fit(X, y, sample_weight=weight)
    present = weight[weight > 0]
    np.testing.assert_array_equal(SpyBayes.seen[2][1], present)
    assert SpyBayes.seen[5][1] is None
    assert len(SpyBayes.seen[5][0]) == len(present)
    np.testing.assert_array_equal(clf.mixer_.weight_, present)
    with pytest.raises(UnsetMetadataPassedError, match="sample_weight"):
        MixtureOfExpertsClassifier([("c", SpyBayes())], "balanced").fit(X, y, sample_weight=weight)
    # The mixture asks for weights only if it is told to, as every estimator that takes them.
    search = GridSearchCV(clf, {"cv": [2]}, cv=2, error_score="raise")
    with pytest.raises(UnsetMetadataPassedError, match="sample_weight"):
        search.fit(X, y, sample_weight=weight)
    clf.set_fit_request(sample_weight=True).set_score_request(sample_weight=False)
    search.fit(X, y, sample_weight=weight)


@pytest.mark.usefixtures("routing")
def test_default_experts_ask_for_weights():
    requests = MixtureOfExpertsClassifier().get_metadata_routing()._serialize()
    original = requests["original"]["router"]["cnnclassifier"]["router"]
    assert original["fit"]["sample_weight"] is True
    named = paper_experts(**CNN)
    assert named[0][1][-1].get_metadata_routing().fit.requests["sample_weight"] is True


@pytest.mark.usefixtures("routing")
def test_other_metadata_reaches_who_asked_for_it():
    X, y, _ = table()

    class Colored(GaussianNB):
        def fit(self, X, y, color=None):
            assert len(color) == len(X)
            self.color_ = color
            return super().fit(X, y)

    asked = Colored().set_fit_request(color=True)
    clf = MixtureOfExpertsClassifier([("a", asked)], "stacking", cv=2).fit(
        X, y, color=np.arange(40)
    )
    np.testing.assert_array_equal(clf.experts_[0].color_, np.arange(40))
    with pytest.raises(TypeError, match="shade"):
        clf.fit(X, y, shade=1)


def test_notebook_display():
    clf = MixtureOfExpertsClassifier(paper_experts(), "rnn")
    block = clf._sk_visual_block_()
    assert block.kind == "serial"
    side_by_side, below = block.estimators
    assert side_by_side.kind == "parallel"
    assert side_by_side.names == ("original", "harmonic", "percussive", "modulation")
    assert below.names == ["mixer"]
    html = clf._repr_html_()
    for label in ("original", "percussive", "CNNClassifier", "HarmonicSpectrogram", "mixer", "rnn"):
        assert label in html
    batch, y, _ = two_cues()
    fitted = MixtureOfExpertsClassifier(
        [
            ("original", CNNClassifier(**CNN)),
            ("harmonic", "drop"),
            ("bayes", make_pipeline(FunctionTransformer(flatten), GaussianNB())),
        ],
        StackingMixer(C=0.5),
        cv=2,
    )
    fitted.fit(batch["original"], y)
    html = fitted._repr_html_()
    for label in ("CNNClassifier", "drop", "GaussianNB", "StackingMixer"):
        assert label in html
    assert "StackingMixer(C=0.5)" in repr(fitted)
    assert "original" in MixtureOfExpertsClassifier()._repr_html_()
    if hasattr(BaseEstimator, "_html_repr"):  # scikit-learn >= 1.7
        for wide in (clf, WindowedClassifier(clf)):
            assert "flex-wrap: wrap" in wide._repr_html_()
            assert "flex-wrap: wrap" in wide._repr_mimebundle_()["text/html"]
