"""MixtureOfExpertsClassifier: what is fitted on what, and what comes out."""

import pickle

import cloudpickle
import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import SVC
from sklearn.utils.estimator_checks import (
    check_global_output_transform_pandas,
    check_set_output_transform,
    check_set_output_transform_pandas,
    check_transformer_get_feature_names_out,
    check_transformer_get_feature_names_out_pandas,
)

from sklearn_genremoe import (
    CNNClassifier,
    CNNMixer,
    MixtureOfExpertsClassifier,
    RNNMixer,
    StackingMixer,
    default_experts,
    paper_experts,
)
from sklearn_genremoe.domains import DomainBatch
from sklearn_genremoe.mixture import _cross_fit, _mixture
from sklearn_genremoe.mixture._experts import FoldAverage
from tests.mixture._clips import CNN, cnn_experts, flatten, quick_expert, quick_experts, two_cues

MIXERS = {
    "balanced": "balanced",
    "log_pool": "log_pool",
    "stacking": "stacking",
    "cnn": CNNMixer(channels=(4,), max_epochs=2, device="cpu"),
    "rnn": RNNMixer(hidden_size=4, max_epochs=2, device="cpu"),
}


def mixture(mixer="stacking", experts=None, **params):
    experts = quick_experts() if experts is None else experts
    return MixtureOfExpertsClassifier(experts, mixer, **{"cv": 3, "random_state": 0, **params})


class Recorder(ClassifierMixin, BaseEstimator):
    """A classifier that remembers, beyond its clones, what it was given."""

    log: list = []

    def __init__(self, name="", random_state=None):
        self.name = name
        self.random_state = random_state

    def fit(self, X, y, sample_weight=None):
        self.log.append((self.name, "fit", np.ravel(X)[:: X[0].size], sample_weight))
        self.classes_ = np.unique(y)
        self.seen_ = np.ravel(X)[:: X[0].size]
        return self

    def predict_proba(self, X):
        self.log.append((self.name, "judge", np.ravel(X)[:: X[0].size], None))
        return np.full((len(X), len(self.classes_)), 1 / len(self.classes_))


@pytest.fixture
def recorders():
    Recorder.log = []
    return [("a", Recorder("a")), ("b", Recorder("b"))]


@pytest.fixture
def numbered():
    """Clips whose first number is their row, 12 of each of two genres, in 8 groups."""
    X = np.arange(24.0)[:, None, None] * np.ones((1, 2, 3))
    return X, np.arange(24) % 2, np.arange(24) // 3


# What comes out


@pytest.mark.parametrize("mixer", MIXERS.values(), ids=MIXERS.keys())
def test_outputs(mixer):
    batch, y, _ = two_cues()
    clf = mixture(mixer).fit(batch, y)
    proba, probas = clf.predict_proba(batch), clf.expert_predict_proba(batch)
    weights = clf.mixture_weights(batch)
    assert clf.classes_.tolist() == ["folk", "rock"]
    assert proba.shape == (48, 2)
    assert probas.shape == (48, 2, 2)
    assert weights.shape == (48, 2)
    for simplex in (proba, probas, weights):
        assert (simplex >= 0).all()
        np.testing.assert_allclose(simplex.sum(axis=-1), 1)
    np.testing.assert_array_equal(clf.predict(batch), clf.classes_[proba.argmax(axis=1)])
    np.testing.assert_allclose(np.exp(clf.predict_log_proba(batch)), proba)
    np.testing.assert_array_equal(clf.transform(batch), probas.reshape(48, 4))
    names = ["original_folk", "original_rock", "harmonic_folk", "harmonic_rock"]
    assert clf.get_feature_names_out().tolist() == names
    assert list(clf.named_experts_) == ["original", "harmonic"]
    assert clf.named_experts_["harmonic"] is clf.experts_[1]
    np.testing.assert_allclose(clf.experts_[1].predict_proba(batch["harmonic"]), probas[:, 1])


@pytest.mark.parametrize("name", ["cnn", "rnn"])
def test_gates_weigh_by_the_clip_and_beat_the_average(name):
    batch, y, _ = two_cues(96)
    test, y_test, informative_test = two_cues(96, seed=1)
    size = {"channels": (8,)} if name == "cnn" else {"hidden_size": 8}
    gate = {"cnn": CNNMixer, "rnn": RNNMixer}[name](**size, max_epochs=15, lr=1e-2, device="cpu")
    clf = mixture(gate).fit(batch, y)
    right = clf.mixture_weights(test).argmax(axis=1) == informative_test
    assert right.mean() > 0.9
    assert clf.score(test, y_test) >= mixture("balanced").fit(batch, y).score(test, y_test)


def test_excluded_genres_have_minus_infinity():
    batch, y, _ = two_cues()
    rules = [("tree", make_pipeline(FunctionTransformer(flatten), RandomForestClassifier(1)))]
    clf = mixture("balanced", rules).fit(DomainBatch({"tree": batch["original"]}), y)
    assert np.isneginf(clf.predict_log_proba(batch["original"])).any()


@pytest.mark.parametrize(
    "labels",
    [["folk", "rock"], [3, 7], [False, True], np.array(["b", 1], dtype=object)[[0, 0]]],
    ids=["str", "int", "bool", "object"],
)
def test_labels_of_any_kind(labels):
    batch, y, _ = two_cues()
    labels = np.array(["folk", "rock"], dtype=object) if labels[0] == labels[1] else labels
    y = np.asarray(labels)[(y == "rock").astype(int)]
    clf = mixture().fit(batch, y)
    assert clf.classes_.dtype == y.dtype
    assert set(clf.predict(batch)) <= set(y)


# What is fitted on what


def test_experts_judge_clips_that_they_were_not_trained_on(recorders, numbered):
    X, y, _ = numbered
    MixtureOfExpertsClassifier(recorders, StackingMixer(), cv=3).fit(X, y)
    for name in "ab":
        log = [(what, set(rows)) for who, what, rows, _ in Recorder.log if who == name]
        fits = [rows for what, rows in log if what == "fit"]
        judged = [rows for what, rows in log if what == "judge"]
        assert len(fits) == 4
        assert fits[-1] == set(range(24))
        for fit, judge in zip(fits, judged):
            assert fit | judge == set(range(24))
            assert not fit & judge


@pytest.mark.parametrize("cv", [3, 0.25, 0.7])
def test_no_group_on_both_sides(recorders, numbered, cv):
    X, y, groups = numbered
    MixtureOfExpertsClassifier(recorders, StackingMixer(), cv=cv, random_state=0).fit(
        X, y, groups=groups
    )
    log = [(what, rows.astype(int)) for who, what, rows, _ in Recorder.log if who == "a"]
    splits = list(zip(log[:-1:2], log[1:-1:2]))
    assert len(splits) == (3 if cv == 3 else 1)
    for (_, fit), (_, judge) in splits:
        assert not set(groups[fit]) & set(groups[judge])
        assert set(y[fit]) == set(y[judge]) == {0, 1}
        if cv != 3:
            assert len(judge) == pytest.approx(24 * cv, abs=6)


def test_hold_out_without_groups(recorders, numbered):
    X, y, _ = numbered
    MixtureOfExpertsClassifier(recorders, StackingMixer(), cv=0.25).fit(X, y)
    judged = [rows for who, what, rows, _ in Recorder.log if (who, what) == ("a", "judge")]
    assert [len(rows) for rows in judged] == [6]
    assert (judged[0] % 2).sum() == 3


def test_train_protocol_judges_the_training_clips(recorders, numbered):
    X, y, _ = numbered
    MixtureOfExpertsClassifier(recorders, StackingMixer(), cv="train").fit(X, y)
    assert [(who, what, len(rows)) for who, what, rows, _ in Recorder.log] == [
        ("a", "fit", 24),
        ("b", "fit", 24),
        ("a", "judge", 24),
        ("b", "judge", 24),
    ]


@pytest.mark.parametrize("cv", [2, 0.3, "train"])
def test_mixers_that_learn_nothing_skip_cross_fit(recorders, numbered, cv):
    X, y, _ = numbered
    MixtureOfExpertsClassifier(recorders, "log_pool", cv=cv).fit(X, y)
    assert [(who, what) for who, what, _, _ in Recorder.log] == [("a", "fit"), ("b", "fit")]


def test_prefit_experts_stay_as_they_are(numbered):
    X, y, _ = numbered
    experts = [("a", quick_expert().fit(X, y)), ("b", quick_expert().fit(X, y))]
    clf = MixtureOfExpertsClassifier(experts, "stacking", cv="prefit").fit(X, y)
    assert clf.experts_[0] is experts[0][1]
    # Clips for the mixer alone may lack genres that the experts know.
    few = MixtureOfExpertsClassifier(experts, "balanced", cv="prefit").fit(X[::2], y[::2])
    assert few.classes_.tolist() == [0, 1]
    with pytest.raises(ValueError, match=r"genres \[5\], which were not seen in fit"):
        clone(clf).set_params(experts=experts).fit(X, y + 5 * (y == 1) - (y == 1))
    unfitted = [*experts, ("c", quick_expert())]
    with pytest.raises(NotFittedError, match="'c' isn't fitted"):
        MixtureOfExpertsClassifier(unfitted, "balanced", cv="prefit").fit(X, y)


def test_frozen_and_calibrated_experts_are_experts(numbered):
    X, y, _ = numbered
    frozen = FrozenEstimator(quick_expert().fit(X, y))
    calibrated = CalibratedClassifierCV(
        make_pipeline(FunctionTransformer(flatten), SVC()), cv=2, ensemble=False
    )
    clf = mixture("stacking", [("frozen", frozen), ("svc", calibrated)]).fit(X, y)
    assert clf.predict(X).shape == (24,)


def test_genres_missing_in_a_fold_get_zero():
    batch, y, _ = two_cues()
    y = np.where(np.arange(48) < 3, "jazz", y)
    folds = [(np.arange(3, 48), np.arange(3)), (np.arange(24), np.arange(24, 48))]
    seen = {}

    class Spy(StackingMixer):
        def _fit(self, probas, y, clips, sample_weight):
            seen["probas"], seen["y"] = probas, y
            super()._fit(probas, y, clips, sample_weight)

    clf = mixture(Spy(), cv=folds).fit(batch, y)
    # The first three clips are of a genre that their judges never saw: nobody could know it.
    assert len(seen["y"]) == 24
    assert clf.expert_predict_proba(batch).shape == (48, 2, 3)
    missing = [(np.arange(3, 40), np.arange(40, 48)), (np.arange(10, 48), np.arange(3, 10))]
    mixture(Spy(), cv=missing).fit(batch, y)
    np.testing.assert_array_equal(seen["probas"][:, :, 1], 0)


def test_clips_may_be_held_out_more_than_once(recorders, numbered):
    X, y, _ = numbered
    folds = [(np.arange(12), np.arange(12, 24)), (np.arange(12), np.arange(12, 24))]
    clf = MixtureOfExpertsClassifier(recorders, "stacking", cv=folds).fit(X, y)
    assert clf.predict(X).shape == (24,)


@pytest.mark.parametrize(("cv", "n_models"), [(3, 3), (0.3, 1)])
def test_models_of_the_folds_are_kept_without_refit(numbered, cv, n_models):
    X, y, _ = numbered
    rng = np.random.default_rng(0)
    X = X + rng.normal(size=X.shape) + 20 * y[:, None, None]
    clf = mixture("stacking", cv=cv, refit=False).fit(X, y)
    probas = clf.expert_predict_proba(X)
    if n_models == 1:
        assert not isinstance(clf.experts_[0], FoldAverage)
    else:
        models = clf.experts_[0].models
        assert len(models) == 3
        mean = np.mean([model.predict_proba(X) for model in models], axis=0)
        np.testing.assert_allclose(probas[:, 0], mean)
        np.testing.assert_array_equal(clf.experts_[0].predict(X), clf.classes_[mean.argmax(axis=1)])
    again = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(again.predict_proba(X), clf.predict_proba(X))
    # There are no folds to keep models of for a mixer that learns nothing.
    assert not isinstance(mixture("balanced", refit=False).fit(X, y).experts_[0], FoldAverage)


def test_models_of_folds_that_know_different_genres_are_averaged():
    class Knows(Recorder):
        pass

    left, right = (
        Knows().fit(np.zeros((2, 1)), ["a", "b"]),
        Knows().fit(np.zeros((2, 1)), ["b", "c"]),
    )
    average = FoldAverage([left, right])
    assert average.classes_.tolist() == ["a", "b", "c"]
    np.testing.assert_allclose(average.predict_proba(np.zeros((1, 1))), [[0.25, 0.5, 0.25]])


# Parameters


def test_nested_parameters():
    clf = MixtureOfExpertsClassifier(paper_experts(max_epochs=2), RNNMixer())
    params = clf.get_params()
    assert params["harmonic__cnnclassifier__max_epochs"] == 2
    assert params["mixer__max_epochs"] == 50
    clf.set_params(harmonic__cnnclassifier__lr=0.1, mixer__max_epochs=3, percussive="drop")
    assert dict(clf.experts)["harmonic"][-1].lr == 0.1
    assert clf.mixer.max_epochs == 3
    assert dict(clf.experts)["percussive"] == "drop"
    assert clone(clf).get_params()["harmonic__cnnclassifier__lr"] == 0.1
    with pytest.raises(ValueError, match=r"Invalid parameter 'percusive' for estimator Mix"):
        clf.set_params(percusive="drop")


def test_setting_something_inside_a_default_makes_it_explicit():
    clf = MixtureOfExpertsClassifier()
    clf.set_params(original__cnnclassifier__lr=0.1, mixer__C=3.0)
    assert [name for name, _ in clf.experts] == [name for name, _ in default_experts()]
    assert dict(clf.experts)["original"][-1].lr == 0.1
    assert isinstance(clf.mixer, StackingMixer)
    assert clf.mixer.C == 3.0
    untouched = MixtureOfExpertsClassifier().set_params(cv=3, mixer="cnn")
    assert untouched.experts is None
    assert untouched.mixer == "cnn"
    both = MixtureOfExpertsClassifier().set_params(mixer="cnn", mixer__max_epochs=3)
    assert isinstance(both.mixer, CNNMixer)


def test_fit_leaves_parameters_alone():
    batch, y, _ = two_cues()
    clf = mixture(MIXERS["rnn"], cnn_experts())
    before = repr(clf.get_params())
    clf.fit(batch, y)
    assert repr(clf.get_params()) == before
    assert clf.mixer_ is not clf.mixer
    assert not hasattr(clf.experts[0][1], "net_")


def test_dropped_experts():
    batch, y, _ = two_cues()
    full = mixture(experts=cnn_experts()).fit(batch, y)
    clf = clone(full).set_params(original="drop").fit(batch, y)
    assert clf.expert_predict_proba(batch).shape == (48, 1, 2)
    assert clf.named_experts_["original"] == "drop"
    assert len(clf.experts_) == 1
    # An expert's seed doesn't depend on who else takes part.
    np.testing.assert_array_equal(
        clf.expert_predict_proba(batch)[:, 0], full.expert_predict_proba(batch)[:, 1]
    )


# Determinism


def test_same_seed_same_result_whatever_the_jobs():
    batch, y, _ = two_cues()
    clf = mixture(MIXERS["rnn"], cnn_experts(), cv=2).fit(batch, y)
    first = clf.predict_proba(batch)
    np.testing.assert_array_equal(clf.fit(batch, y).predict_proba(batch), first)
    parallel = clone(clf).set_params(n_jobs=2).fit(batch, y)
    np.testing.assert_array_equal(parallel.predict_proba(batch), first)
    other = clone(clf).set_params(random_state=1).fit(batch, y)
    assert not np.array_equal(other.predict_proba(batch), first)


def test_experts_on_one_accelerator_take_turns(monkeypatch):
    network = make_pipeline(FunctionTransformer(flatten), CNNClassifier())
    experts = [("quick", quick_expert()), ("network", network)]
    on_cpu = [("network", CNNClassifier(device="cpu")), ("quick", quick_expert())]
    batch, y, _ = two_cues()
    used = []

    def fitted(n_jobs, **settings):
        used.append(n_jobs)
        return lambda jobs: [(expert, None) for _, (_, expert, *_), _ in jobs]

    monkeypatch.setattr(_cross_fit, "Parallel", fitted)
    monkeypatch.setattr(_mixture, "resolve_device", lambda device: None)
    for device, n_jobs in (("cuda", 1), ("mps", 1), ("cpu", 4)):
        monkeypatch.setattr(
            _cross_fit,
            "resolve_device",
            lambda asked, device=device: torch.device(device if asked == "auto" else asked),
        )
        for of_set, expected in ((experts, n_jobs), (on_cpu, 4)):
            MixtureOfExpertsClassifier(of_set, "balanced", n_jobs=4).fit(batch["original"], y)
            assert used.pop() == expected


def test_seeds_of_experts_that_have_one_are_kept(recorders):
    batch, y, _ = two_cues()
    experts = cnn_experts()
    experts[1][1].set_params(random_state=7)
    clf = mixture("balanced", experts).fit(batch, y)
    seeds = [expert.random_state for expert in clf.experts_]
    assert seeds[0] is not None
    assert seeds[1] == 7
    unseeded = mixture("balanced", cnn_experts(), random_state=None).fit(batch, y)
    assert [expert.random_state for expert in unseeded.experts_] == [None, None]


@pytest.mark.parametrize("pickler", [pickle, cloudpickle])
@pytest.mark.parametrize("mixer", MIXERS.values(), ids=MIXERS.keys())
def test_pickled_models_predict_alike(mixer, pickler):
    batch, y, _ = two_cues()
    clf = mixture(mixer, cnn_experts(), cv=2).fit(batch, y)
    again = pickle.loads(pickler.dumps(clf))
    np.testing.assert_array_equal(again.predict_proba(batch), clf.predict_proba(batch))


# Errors


def test_interrupt_leaves_it_unfitted(monkeypatch):
    batch, y, _ = two_cues()
    clf = mixture(MIXERS["cnn"]).fit(batch, y)

    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(CNNMixer, "_fit", interrupt)
    with pytest.raises(KeyboardInterrupt):
        clf.fit(batch, y)
    with pytest.raises(NotFittedError):
        clf.predict(batch)


@pytest.mark.parametrize(
    "method",
    [
        "predict",
        "predict_proba",
        "predict_log_proba",
        "expert_predict_proba",
        "mixture_weights",
        "transform",
    ],
)
def test_unfitted(method):
    with pytest.raises(NotFittedError):
        getattr(mixture(), method)(np.zeros((2, 3, 4)))
    with pytest.raises(NotFittedError):
        mixture().get_feature_names_out()


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"mixer": "mean"}, ValueError, r"mixer='mean' is not known.*'balanced'.*BaseMixer"),
        ({"mixer": GaussianNB()}, ValueError, r"mixer=GaussianNB\(\) is not known"),
        ({"mixer": RNNMixer}, ValueError, "instance of a mixer"),
        ({"experts": []}, ValueError, r"experts is \[\]; expected"),
        ({"experts": GaussianNB()}, ValueError, "expected a list"),
        ({"experts": [GaussianNB()]}, ValueError, r"holds GaussianNB\(\)"),
        (
            {"experts": [("a", GaussianNB()), ("a", GaussianNB())]},
            ValueError,
            "not unique",
        ),
        ({"experts": [("a__b", GaussianNB())]}, ValueError, "a__b"),
        ({"experts": [("cv", GaussianNB())]}, ValueError, r"constructor arguments: \['cv'\]"),
        ({"experts": [("a", "drop")]}, ValueError, r"All experts \(a\) are dropped"),
        ({"experts": [("a", "dorp")]}, TypeError, "expected a classifier"),
        ({"experts": [("a", GaussianNB)]}, TypeError, "expected a classifier \\(an instance"),
        ({"experts": [("a", FunctionTransformer())]}, TypeError, "expected a classifier"),
        ({"experts": [("a", RidgeClassifier())]}, TypeError, "with predict_proba"),
        ({"cv": 1}, ValueError, "'cv' parameter of Mixture"),
        ({"cv": True}, ValueError, "'cv' parameter of Mixture"),
        ({"cv": 1.5}, ValueError, "'cv' parameter of Mixture"),
        ({"cv": "folds"}, ValueError, "'cv' parameter of Mixture"),
        ({"cv": []}, ValueError, "yields no split"),
        ({"cv": [1, 2]}, ValueError, r"cv yields 1; expected .*\(train, test\)"),
        ({"mixer_domain": 3}, ValueError, "'mixer_domain' parameter of Mixture"),
        ({"refit": "no"}, ValueError, "'refit' parameter of Mixture"),
        ({"memory": 3}, ValueError, "'memory' parameter of Mixture"),
        ({"n_jobs": "two"}, ValueError, "'n_jobs' parameter of Mixture"),
        ({"random_state": "x"}, ValueError, "'random_state' parameter of Mixture"),
        ({"mixer": CNNMixer(max_epochs=0)}, ValueError, "'max_epochs' parameter of CNNMixer"),
        ({"mixer": RNNMixer(lr=-1.0)}, ValueError, "'lr' parameter of RNNMixer"),
        ({"mixer": CNNMixer(channels=4)}, ValueError, "'channels' parameter of CNNMixer"),
        ({"cv": [(np.arange(9), [])]}, ValueError, "holds out 0 clips"),
        ({"cv": 30}, ValueError, r"genre folk has 24 clip\(s\), fewer than the 30"),
    ],
)
def test_parameters_that_mean_nothing(params, error, message):
    batch, y, _ = two_cues()
    with pytest.raises(error, match=message):
        mixture(**params).fit(batch, y)


def test_too_few_clips_or_groups_of_a_genre():
    batch, y, _ = two_cues()
    few = np.where(np.arange(48) < 2, "jazz", y)
    with pytest.raises(ValueError, match=r"genre jazz has 2 clip\(s\), fewer than the 3"):
        mixture().fit(batch, few)
    groups = np.arange(48)
    groups[y == "folk"] = 0
    with pytest.raises(ValueError, match=r"genre folk has 1 group\(s\), fewer than the 2"):
        mixture().fit(batch, y, groups=groups)
    with pytest.raises(ValueError, match="greater than the number of groups: 2"):
        mixture().fit(batch, y, groups=np.arange(48) // 4 % 2)
    mixture("balanced").fit(batch, few)


def test_clips_that_do_not_fit():
    batch, y, _ = two_cues()
    with pytest.raises(ValueError, match="one class, folk"):
        mixture().fit(batch, np.full(48, "folk"))
    with pytest.raises(ValueError, match="inconsistent"):
        mixture().fit(batch, y[:5])
    with pytest.raises(ValueError, match=r"None or NaN for 1 of 48 clips \(rows 7\)"):
        mixture().fit(batch, [*y[:7], None, *y[8:]])
    with pytest.raises(ValueError, match="target y is None"):
        mixture().fit(batch, None)
    with pytest.raises(ValueError, match="no entry of that name"):
        mixture(experts=[("percussive", quick_expert())]).fit(batch, y)
    with pytest.raises(TypeError, match="unexpected arguments"):
        mixture().fit(batch, y, color="blue")
    bad = DomainBatch({"original": batch["original"]}, bad_clips={3: "empty"})
    with pytest.raises(ValueError, match="3: 'empty'"):
        mixture(experts=quick_experts()[:1]).fit(bad, y)


# Other kinds of clips, and scikit-learn's tools for tables


def test_three_dimensional_clips():
    batch, y, _ = two_cues()
    X = batch["original"]
    for dtype in (np.float32, np.float64):
        clf = mixture(MIXERS["rnn"], [("cnn", CNNClassifier(**CNN)), ("bayes", quick_expert())])
        clf.fit(X.astype(dtype), y)
        assert clf.n_features_in_ == 6
        assert clf.mixture_weights(X).shape == (48, 2)
    with pytest.raises(ValueError, match="features"):
        clf.predict(X[:, :5])
    with pytest.raises(ValueError, match=r"3 dimensions; .* expects paths"):
        MixtureOfExpertsClassifier(mixer="balanced").fit(X, y)
    with pytest.raises(ValueError, match="doesn't apply"):
        clone(clf).set_params(mixer_domain="cnn").fit(X, y)


def test_experts_on_a_table():
    X, y = load_wine(return_X_y=True)
    experts = [
        ("forest", RandomForestClassifier(10)),
        ("bayes", GaussianNB()),
        (
            "logistic",
            make_pipeline(FunctionTransformer(np.log1p), LogisticRegression(max_iter=500)),
        ),
    ]
    for mixer in ("stacking", MIXERS["rnn"]):
        clf = MixtureOfExpertsClassifier(experts, mixer, random_state=0).fit(X[::2], y[::2])
        assert clf.score(X[1::2], y[1::2]) > 0.85
        assert clf.n_features_in_ == 13


# The checks hand data frames to estimators fitted on arrays and the reverse.
@pytest.mark.filterwarnings("ignore:X .* feature names")
@pytest.mark.parametrize(
    "check",
    [
        check_transformer_get_feature_names_out,
        check_transformer_get_feature_names_out_pandas,
        check_set_output_transform,
        check_set_output_transform_pandas,
        check_global_output_transform_pandas,
    ],
)
def test_output_containers(check):
    estimator = MixtureOfExpertsClassifier([("bayes", GaussianNB())], "balanced")
    check("MixtureOfExpertsClassifier", estimator)


def test_data_frame():
    data = load_wine(as_frame=True)
    clf = MixtureOfExpertsClassifier([("bayes", GaussianNB())], "balanced")
    frame = clf.set_output(transform="pandas").fit_transform(data.data, data.target)
    assert list(frame.columns) == ["bayes_0", "bayes_1", "bayes_2"]
    assert clf.feature_names_in_.tolist() == list(data.data.columns)
