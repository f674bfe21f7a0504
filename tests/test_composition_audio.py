"""The estimators at work with scikit-learn's tools, from real files to predictions."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import RandomForestClassifier, StackingClassifier, VotingClassifier
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    LeaveOneGroupOut,
    RandomizedSearchCV,
    StratifiedGroupKFold,
    cross_val_predict,
    cross_val_score,
    cross_validate,
    learning_curve,
    permutation_test_score,
)
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC

from sklearn_genremoe import (
    MFCC,
    AudioLoader,
    CNNClassifier,
    DomainUnion,
    HarmonicSpectrogram,
    LogMelSpectrogram,
    MixtureOfExpertsClassifier,
    PercussiveSpectrogram,
    RNNMixer,
)
from sklearn_genremoe.datasets import load_mini_genres

SECONDS = 1.0
CNN: dict[str, Any] = {"channels": (4, 4), "max_epochs": 1, "random_state": 0}


class Clips:
    """Eight real clips of two genres, from four tracks each, as paths and as waveforms."""

    def __init__(self) -> None:
        bunch = load_mini_genres()
        rows: list[int] = []
        for genre in ("folk", "rock"):
            of_genre = np.flatnonzero(bunch.target == genre)
            _, first = np.unique(bunch.groups[of_genre], return_index=True)
            rows += sorted(of_genre[first])[:4]
        self.paths = np.asarray(bunch.data)[rows]
        self.y = bunch.target[rows]
        # Two "albums", each with both genres.
        self.groups = np.tile(["a", "a", "b", "b"], 2)
        self.waveforms = AudioLoader(duration=SECONDS).transform(self.paths)
        self.batch = DomainUnion(domains()).transform(self.paths)


def domains() -> list[tuple[str, Any]]:
    return [
        ("original", LogMelSpectrogram(duration=SECONDS)),
        ("harmonic", HarmonicSpectrogram(duration=SECONDS)),
    ]


def mixture(mixer: Any = "balanced", **params: Any) -> MixtureOfExpertsClassifier:
    experts = [(name, make_pipeline(domain, CNNClassifier(**CNN))) for name, domain in domains()]
    return MixtureOfExpertsClassifier(experts, mixer, **{"cv": 2, "random_state": 0, **params})


def summary(spectrograms: np.ndarray) -> np.ndarray:
    """Mean and deviation of each bin over time."""
    return np.hstack([spectrograms.mean(axis=2), spectrograms.std(axis=2)])


def theirs() -> Pipeline:
    return make_pipeline(
        MFCC(duration=SECONDS), FunctionTransformer(summary), StandardScaler(), SVC(C=10.0)
    )


@pytest.fixture(scope="module")
def clips() -> Clips:
    return Clips()


# Pipelines


def test_loader_then_mixture_equals_the_mixture_on_paths(clips: Clips) -> None:
    pipe = make_pipeline(AudioLoader(duration=SECONDS), mixture()).fit(clips.paths, clips.y)
    direct = mixture().fit(clips.paths, clips.y)
    np.testing.assert_allclose(
        pipe.predict_proba(clips.paths), direct.predict_proba(clips.paths), atol=1e-6
    )
    assert pipe[-1].mixture_weights(clips.waveforms).shape == (8, 2)


def test_domain_then_expert(clips: Clips) -> None:
    pipe = make_pipeline(HarmonicSpectrogram(duration=SECONDS), CNNClassifier(**CNN))
    pipe.fit(clips.paths, clips.y)
    assert set(pipe.predict(clips.paths)) <= {"folk", "rock"}
    np.testing.assert_allclose(
        pipe.predict_proba(clips.paths), pipe.predict_proba(clips.waveforms), atol=1e-6
    )


@pytest.mark.parametrize(
    "reduce", [summary, lambda X: X.reshape(len(X), -1)], ids=["summary", "flatten"]
)
def test_domain_then_any_classifier_of_scikit_learn(clips: Clips, reduce: Any) -> None:
    pipe = make_pipeline(
        MFCC(duration=SECONDS), FunctionTransformer(reduce), LogisticRegression(max_iter=2000)
    )
    assert pipe.fit(clips.paths, clips.y).score(clips.paths, clips.y) == 1.0


@pytest.mark.parametrize(
    "wrap",
    [
        list,
        tuple,
        np.asarray,
        lambda paths: np.asarray(paths, dtype=object),
        pd.Series,
        lambda paths: pd.Series(paths, index=range(100, 108)),
        lambda paths: [Path(path) for path in paths],
    ],
    ids=["list", "tuple", "array", "object array", "series", "series with labels", "Path"],
)
def test_paths_in_any_container(clips: Clips, wrap: Any) -> None:
    expected = mixture().fit(clips.paths, clips.y).predict_proba(clips.paths)
    clf = mixture().fit(wrap(list(clips.paths)), pd.Series(clips.y, index=range(8, 16)))
    np.testing.assert_array_equal(clf.predict_proba(wrap(list(clips.paths))), expected)


# Cross-validation and search


@pytest.mark.parametrize("kind", ["paths", "waveforms", "batch"])
def test_cross_val_score_with_groups(clips: Clips, kind: str) -> None:
    scores = cross_val_score(
        mixture(),
        getattr(clips, kind),
        clips.y,
        groups=clips.groups,
        cv=LeaveOneGroupOut(),
        error_score="raise",
    )
    assert scores.shape == (2,)


def test_paths_and_batch_cross_validate_alike(clips: Clips) -> None:
    from_paths, from_batch = (
        cross_val_predict(mixture(), X, clips.y, cv=2, method="predict_proba")
        for X in (clips.paths, clips.batch)
    )
    np.testing.assert_allclose(from_paths, from_batch, atol=1e-6)


def test_cross_validate_returns_models_that_predict_on_files(clips: Clips) -> None:
    result = cross_validate(
        mixture("stacking"), pd.Series(clips.paths), clips.y, cv=2, return_estimator=True
    )
    for clf in result["estimator"]:
        assert clf.predict(clips.paths[:1]).shape == (1,)


def test_groups_reach_the_inner_splitter(clips: Clips) -> None:
    class Recording(StratifiedGroupKFold):
        seen: list[Any] = []

        def split(self, X: Any, y: Any = None, groups: Any = None) -> Any:
            self.seen.append(groups)
            return super().split(X, y, groups)

    groups = np.array(["a", "b", "c", "d"] * 2)
    clf = mixture("stacking", cv=Recording(2))
    with sklearn.config_context(enable_metadata_routing=True):
        cross_val_score(
            clf,
            clips.batch,
            clips.y,
            params={"groups": groups},
            cv=StratifiedGroupKFold(2),
            error_score="raise",
        )
    assert len(Recording.seen) == 2
    # The training part of an outer fold holds two of the four groups, whole.
    assert all(len(seen) == 4 and len(set(seen)) == 2 for seen in Recording.seen)


def test_grid_search_reaches_every_part(clips: Clips) -> None:
    search = GridSearchCV(
        mixture(),
        [
            {"mixer": ["balanced", "log_pool"], "harmonic__cnnclassifier__lr": [1e-3, 1e-2]},
            {"mixer": [RNNMixer(hidden_size=2)], "mixer__max_epochs": [1, 2]},
            {"original": ["drop"]},
        ],
        cv=2,
        error_score="raise",
    ).fit(clips.batch, clips.y)
    assert len(search.cv_results_["params"]) == 7
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_estimator_.predict(clips.paths).shape == (8,)


def test_randomized_search(clips: Clips) -> None:
    search = RandomizedSearchCV(
        mixture(),
        {"original__cnnclassifier__dropout": [0.0, 0.2], "harmonic": ["drop"]},
        n_iter=2,
        cv=2,
        random_state=0,
        error_score="raise",
    ).fit(clips.batch, clips.y)
    assert search.best_estimator_.named_experts_["harmonic"] == "drop"


def test_halving_search(clips: Clips) -> None:
    search = HalvingGridSearchCV(
        mixture(),
        {"original__cnnclassifier__lr": [1e-3, 1e-2]},
        cv=2,
        factor=2,
        resource="original__cnnclassifier__max_epochs",
        min_resources=1,
        max_resources=2,
        random_state=0,
        error_score="raise",
    ).fit(clips.batch, clips.y)
    assert search.best_score_ >= 0


# Ours in theirs and theirs in ours


def test_their_classifiers_as_experts(clips: Clips) -> None:
    forest = make_pipeline(
        LogMelSpectrogram(duration=SECONDS),
        FunctionTransformer(summary),
        RandomForestClassifier(10, random_state=0),
    )
    svc = make_pipeline(
        MFCC(duration=SECONDS),
        FunctionTransformer(summary),
        StandardScaler(),
        CalibratedClassifierCV(SVC(), cv=2, ensemble=False),
    )
    clf = MixtureOfExpertsClassifier(
        [("forest", forest), ("svc", svc), mixture().experts[1]], "stacking", cv=2, random_state=0
    ).fit(clips.paths, clips.y)
    assert clf.expert_predict_proba(clips.paths).shape == (8, 3, 2)
    np.testing.assert_allclose(clf.mixture_weights(clips.paths).sum(axis=1), 1.0)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda clf: CalibratedClassifierCV(clf, cv=2),
        lambda clf: VotingClassifier([("ours", clf), ("theirs", theirs())]),
        lambda clf: StackingClassifier([("ours", clf), ("theirs", theirs())], cv=2),
        lambda clf: make_pipeline(clf, LogisticRegression()),
    ],
    ids=["calibrated", "voting", "stacking", "probas as features"],
)
def test_ours_inside_theirs(clips: Clips, wrap: Any) -> None:
    clf = wrap(mixture()).fit(clips.waveforms, clips.y)
    assert set(clf.predict(clips.waveforms)) <= {"folk", "rock"}


def test_frozen_mixture_is_calibrated_without_training_it(clips: Clips) -> None:
    clf = mixture().fit(clips.batch, clips.y)
    before = clf.predict_proba(clips.batch)
    calibrated = CalibratedClassifierCV(FrozenEstimator(clf), cv=2).fit(clips.waveforms, clips.y)
    assert calibrated.predict_proba(clips.waveforms).shape == (8, 2)
    np.testing.assert_array_equal(clf.predict_proba(clips.batch), before)


def test_frozen_experts_are_mixed_as_they_are(clips: Clips) -> None:
    fitted = mixture().fit(clips.paths, clips.y)
    frozen = [
        (name, FrozenEstimator(expert)) for (name, _), expert in zip(domains(), fitted.experts_)
    ]
    clf = MixtureOfExpertsClassifier(frozen, "stacking", cv="prefit").fit(clips.paths, clips.y)
    np.testing.assert_array_equal(
        clf.expert_predict_proba(clips.paths), fitted.expert_predict_proba(clips.paths)
    )


def test_learning_curve_and_permutation_test(clips: Clips) -> None:
    sizes, _, scores = learning_curve(
        mixture(), clips.batch, clips.y, train_sizes=[3, 4], cv=2, shuffle=True, random_state=0
    )
    assert sizes.tolist() == [3, 4]
    assert np.isfinite(scores).all()
    score, permuted, p_value = permutation_test_score(
        mixture(), clips.batch, clips.y, cv=2, n_permutations=2, random_state=0
    )
    assert permuted.shape == (2,)
    assert 0 <= score <= 1
    assert 0 < p_value <= 1


def test_parts_survive_cloning_and_changes(clips: Clips) -> None:
    clf = clone(mixture()).set_params(harmonic="drop", mixer="log_pool")
    assert clf.fit(clips.paths, clips.y).mixer_ is not None
    clf.set_params(
        harmonic=make_pipeline(PercussiveSpectrogram(duration=SECONDS), CNNClassifier(**CNN))
    )
    assert clf.fit(clips.paths, clips.y).mixture_weights(clips.paths).shape == (8, 2)
