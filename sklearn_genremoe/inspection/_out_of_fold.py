"""What estimators say about clips that they were not trained on."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import StratifiedGroupKFold, check_cv
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.utils.parallel import Parallel, delayed

from .. import domains
from .._checks import check_classes, check_groups, check_targets
from .._clips import entries_of, kind_of_clips
from .._compat import _safe_indexing, import_pandas
from ..experts import default_experts
from ..mixture import MixtureOfExpertsClassifier

# Clips whose spectrograms are summed up at a time: they may be mapped from a file.
_CHUNK = 64

_FREQUENT = "most frequent genre"

# Parts of the clips from which the learning curve's classifier learns.
_SHARES = (0.25, 0.5, 1.0)


@dataclass
class Labels:
    """Genres, groups and folds of all clips, and which clips can't be used, and why."""

    y: NDArray
    groups: NDArray | None
    classes: NDArray
    splits: list[tuple[NDArray, NDArray]]
    errors: dict[int, str] = field(default_factory=dict)

    def used_splits(self) -> list[tuple[NDArray, NDArray]]:
        """Return the folds without the clips that can't be used."""
        bad = list(self.errors)
        return [(np.setdiff1d(train, bad), np.setdiff1d(test, bad)) for train, test in self.splits]


def check_labels(X: Any, y: Any, groups: Any, cv: Any) -> Labels:
    """Return genres and groups checked, and the folds, in which each clip is tested once."""
    y = check_targets(X, y)
    groups = None if groups is None else check_groups(groups, len(y))
    by_group = groups is not None and isinstance(cv, int)
    splitter = StratifiedGroupKFold(cv) if by_group else check_cv(cv, y, classifier=True)
    splits = [
        (np.arange(len(y))[train], np.arange(len(y))[test])
        for train, test in splitter.split(np.zeros(len(y)), y, groups)
    ]
    tested = np.bincount(np.concatenate([test for _, test in splits]), minlength=len(y))
    if (tested != 1).any():
        raise ValueError(
            f"cv={cv!r} tests {np.sum(tested == 0)} of {len(y)} clips never and "
            f"{np.sum(tested > 1)} more than once; a report needs each clip once, as KFold has it."
        )
    return Labels(y, groups, check_classes(y), splits)


def extract_once(estimators: dict[str, Any], X: Any) -> tuple[dict[str, Any], Any, dict[int, str]]:
    """Decode and analyse the clips once for all estimators.

    Returns the estimators, which take what was extracted; that, or `X` where they begin with no
    domain; and the rows that can't be used.
    """
    estimators = {name: _as_mixture(estimator) for name, estimator in estimators.items()}
    if isinstance(X, domains.DomainBatch):
        return estimators, X, dict(X.bad_clips)
    firsts: list[Any] = []
    for mixture in estimators.values():
        if not isinstance(mixture, MixtureOfExpertsClassifier):
            return estimators, X, {}
        experts = mixture.experts or default_experts()
        firsts += [_first_step(expert) for _, expert in experts if not isinstance(expert, str)]
        sees_clips = mixture.mixer in ("cnn", "rnn") or getattr(mixture.mixer, "needs_clips", False)
        if sees_clips and not isinstance(mixture.mixer_domain, str):
            firsts.append(mixture.mixer_domain or domains.LogMelSpectrogram())
    if not all(isinstance(domain, domains.BaseDomain) for domain in firsts):
        return estimators, X, {}
    if len(estimators) == 1:
        batch = mixture.extract(X)
    else:
        how = {key: getattr(mixture, key) for key in ("on_error", "memory", "n_jobs", "verbose")}
        named = [(f"domain {index}", domain) for index, domain in enumerate(firsts)]
        batch = domains.DomainUnion(named, **how).transform(X)
    return estimators, batch, dict(batch.bad_clips)


def cross_fit(estimator: Any, X: Any, labels: Labels, n_jobs: int | None = None) -> dict[str, Any]:
    """Fit an estimator on all folds but one, and let it judge that one.

    Returns, by the names that a report has for them, out-of-fold probabilities, NaN for clips that
    can't be used, and the models of the folds.
    """
    splits = labels.used_splits()
    fits = Parallel(n_jobs=n_jobs)(
        delayed(_fit_and_predict)(estimator, X, labels, train, test) for train, test in splits
    )
    n_clips, n_classes = len(labels.y), len(labels.classes)
    models = [fit[0] for fit in fits]
    names = expert_names(models[0])
    proba = np.full((n_clips, n_classes), np.nan)
    expert_proba = np.full((n_clips, len(names), n_classes), np.nan)
    weights = np.full((n_clips, len(names)), np.nan)
    for (_, test), (model, own, of_experts, trust) in zip(splits, fits):
        known = np.searchsorted(labels.classes, model.classes_)
        proba[test], expert_proba[test] = 0.0, 0.0  # also of genres that the model has never seen
        proba[np.ix_(test, known)] = own
        expert_proba[np.ix_(test, np.arange(len(names)), known)] = of_experts
        weights[test] = trust
    found = {"proba": proba, "models": models}
    of_mixture = {"expert_proba": expert_proba, "expert_names": names, "weights": weights}
    return found | of_mixture if names else found


def _fit_and_predict(estimator: Any, X: Any, labels: Labels, train: NDArray, test: NDArray) -> Any:
    """Return a model of some clips, and what it and its experts say about others."""
    model = clone(estimator)
    is_mixture = isinstance(model, MixtureOfExpertsClassifier)
    by_group = {"groups": labels.groups[train]} if is_mixture and labels.groups is not None else {}
    model.fit(_safe_indexing(X, train), labels.y[train], **by_group)
    tested = _safe_indexing(X, test)
    proba = model.predict_proba(tested)
    if not expert_names(model):
        return model, proba, np.empty((len(test), 0, proba.shape[1])), np.empty((len(test), 0))
    return model, proba, model.expert_predict_proba(tested), model.mixture_weights(tested)


def expert_names(model: Any) -> list[str]:
    """Return the names of the experts of a fitted mixture; none of another estimator, or of one."""
    named = getattr(model, "named_experts_", {})
    names = [name for name, expert in named.items() if not isinstance(expert, str)]
    return names if len(names) > 1 else []


def baselines(X: Any, labels: Labels) -> dict[str, NDArray[np.float64]]:
    """Return out-of-fold answers by the most frequent genre and by a plain classifier.

    They are answers without probabilities: one for the genre, zero for the others.
    """
    nothing = np.zeros((len(labels.y), 1))
    found = {_FREQUENT: _answers(DummyClassifier(), nothing, labels, labels.used_splits())}
    if isinstance(X, domains.DomainBatch):
        mfcc = [name for name, domain in X.domains.items() if isinstance(domain, domains.MFCC)]
        entry = (mfcc or X.names)[0]
        name = f"{'MFCC' if mfcc else entry}, mean and deviation, SVC"
        found[name] = _answers(_plain(), clip_vectors(X, [entry]), labels, labels.used_splits())
    return found


def learning_curve(table: NDArray, labels: Labels) -> list[tuple[int, float]]:
    """Return how good a plain classifier is that learns from a part of the groups, or of the clips.

    It learns from the table, on the same folds: what more clips would give.
    """
    rng = np.random.default_rng(0)
    units = np.arange(len(labels.y)) if labels.groups is None else labels.groups
    curve = []
    for share in _SHARES:
        splits = []
        for train, test in labels.used_splits():
            known = rng.permutation(np.unique(units[train]))
            kept = known[: max(2, round(share * len(known)))]
            splits.append((train[np.isin(units[train], kept)], test))
        if any(len(np.unique(labels.y[train])) < 2 for train, _ in splits):
            return []
        answers = _answers(_plain(), table, labels, splits)
        tested = np.concatenate([test for _, test in splits])
        right = labels.classes[answers[tested].argmax(axis=1)] == labels.y[tested]
        curve.append((round(np.mean([len(train) for train, _ in splits])), float(right.mean())))
    return curve


def _plain() -> Pipeline:
    return make_pipeline(StandardScaler(), SVC(C=10))


def _answers(model: Any, table: NDArray, labels: Labels, splits: Any) -> NDArray[np.float64]:
    """Return one for the genre that a model answers, zero for the others, NaN of unusable clips."""
    answers = np.full((len(labels.y), len(labels.classes)), np.nan)
    for train, test in splits:
        model.fit(table[train], labels.y[train])
        answers[test] = labels.classes == model.predict(table[test])[:, np.newaxis]
    return answers


def sound_entries(X: Any, found: dict[str, Any], labels: Labels) -> list[str]:
    """Return which entries of a batch tell what sounds alike.

    Embeddings, else what else are tables, else the spectrograms of the best expert.
    """
    if not isinstance(X, domains.DomainBatch):
        return []
    kinds = domains.AudioSetEmbedding, domains.MusicTagEmbedding
    embeddings = [name for name, domain in X.domains.items() if isinstance(domain, kinds)]
    tables = embeddings or [name for name in X.names if X[name].ndim == 2]
    if tables or "weights" not in found:
        return tables or X.names[:1]
    right = labels.classes[found["expert_proba"].argmax(axis=2)] == labels.y[:, np.newaxis]
    best = found["expert_names"][int(right.mean(axis=0).argmax())]
    return [best] if best in X else X.names[:1]


def clip_vectors(batch: domains.DomainBatch, names: Sequence[str]) -> NDArray[np.float32]:
    """Return entries of a batch as one table: spectrograms by mean and deviation over time."""
    columns = []
    for array in (batch[name] for name in names):
        if array.ndim > 2:
            parts = (array[start : start + _CHUNK] for start in range(0, len(array), _CHUNK))
            array = np.concatenate([_mean_and_deviation(part) for part in parts])
        columns.append(np.reshape(array, (len(array), -1)))
    return np.hstack(columns, dtype=np.float32)


def _mean_and_deviation(spectrograms: NDArray) -> NDArray:
    part = np.asarray(spectrograms, dtype=np.float32)
    return np.stack([part.mean(axis=-1), part.std(axis=-1)], axis=1)


def ask(
    models: Sequence[Any], classes: NDArray, X: Any, entries: Sequence[str]
) -> tuple[Any, NDArray]:
    """Return a data frame of what models say of other clips on average, and their features.

    Features are those entries of what is extracted; without entries there are none.
    """
    if not models:
        raise ValueError("the report has no models to ask: make it by from_cross_validation.")
    _, seen, errors = extract_once({"model": models[0]}, X)
    names = np.array(paths_of(X) or [f"clip {row}" for row in range(len(seen))], dtype=object)
    good = np.setdiff1d(np.arange(len(names)), list(errors))
    if not len(good):
        raise ValueError(f"none of the {len(names)} clips can be used: {errors}")
    seen = _safe_indexing(seen, good)
    proba = np.zeros((len(good), len(classes)))
    for model in models:
        columns = np.searchsorted(classes, model.classes_)
        proba[:, columns] += model.predict_proba(seen) / len(models)
    top = np.sort(proba, axis=1)
    answers = {"clip": names[good], "predicted": classes[proba.argmax(axis=1)]}
    answers |= {"probability": top[:, -1], "margin": top[:, -1] - top[:, -2]}
    frame = import_pandas("CollectionReport").DataFrame(answers, index=good)
    return frame, clip_vectors(seen, entries) if entries else np.empty((len(good), 0))


def _as_mixture(estimator: Any) -> Any:
    """Return a mixture that reports bad clips; what else begins with a domain is one of itself."""
    if isinstance(estimator, MixtureOfExpertsClassifier):
        return clone(estimator).set_params(on_error="warn")
    if isinstance(_first_step(estimator), domains.BaseDomain):
        return MixtureOfExpertsClassifier(
            [("classifier", clone(estimator))], "balanced", on_error="warn"
        )
    return clone(estimator)


def _first_step(estimator: Any) -> Any:
    while isinstance(estimator, Pipeline):
        estimator = estimator[0]
    return estimator


def check_paths(paths: Sequence[Any], n_clips: int) -> list[str]:
    """Return paths as str, one for each clip."""
    if len(paths) != n_clips:
        raise ValueError(f"{len(paths)} paths for {n_clips} clips; pass one for each.")
    return [os.fspath(path) for path in paths]


def paths_of(X: Any) -> list[str] | None:
    """Return the paths that clips were given by, if they were."""
    if isinstance(X, domains.DomainBatch) or kind_of_clips(X) != "paths":
        return None
    return [os.fspath(path) for path in entries_of(X)]
