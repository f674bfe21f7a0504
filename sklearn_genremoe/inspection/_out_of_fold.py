"""What estimators say about clips that they were not trained on."""

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.model_selection import StratifiedGroupKFold, check_cv, cross_val_predict
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.utils.parallel import Parallel, delayed

from .. import domains
from .._checks import check_classes
from .._clips import entries_of, kind_of_clips
from .._compat import _safe_indexing
from ..audio import BadClipWarning
from ..experts import default_experts
from ..mixture import MixtureOfExpertsClassifier
from ._plotting import names_of_experts, step_of

# Cosines of standardised features from which clips are taken for the same recording: of tables such
# as embeddings, and of mean and deviation of spectrograms. Measured, see the user guide.
TABLES_ALIKE, SPECTROGRAMS_ALIKE = 0.8, 0.95


@dataclass
class Task:
    """The clips that can be used, with genres, groups and folds; and all the clips given."""

    X: Any
    y: NDArray
    groups: NDArray | None
    splits: list[tuple[NDArray, NDArray]]
    # Of all clips: the genres, the places of those that can be used, and why others can't.
    classes: NDArray
    rows: NDArray[np.intp]
    errors: dict[int, str]

    def of_all(self, values: NDArray) -> NDArray:
        """Return values of the usable clips as values of all clips, NaN for the others."""
        shape = len(self.rows) + len(self.errors), *values.shape[1:]
        found = np.full(shape, np.nan, dtype=np.result_type(values, np.float32))
        found[self.rows] = values
        return found


def check_folds(y: NDArray, groups: NDArray | None, cv: Any) -> list[tuple[NDArray, NDArray]]:
    """Return the folds, in which each clip is tested once."""
    by_group = groups is not None and isinstance(cv, int)
    splitter = StratifiedGroupKFold(cv) if by_group else check_cv(cv, y, classifier=True)
    rows = np.arange(len(y))
    splits = [(rows[train], rows[test]) for train, test in splitter.split(rows, y, groups)]
    tested = np.bincount(np.concatenate([test for _, test in splits]), minlength=len(y))
    if (tested != 1).any():
        found = f"cv={cv!r} tests {sum(tested == 0)} of {len(y)} clips never and {sum(tested > 1)}"
        raise ValueError(f"{found} more than once; give folds that test each once, as of KFold.")
    return splits


def prepare(estimators: Sequence[Any], X: Any, y: Any, groups: Any, cv: Any) -> tuple[list, Task]:
    """Extract checked clips once for all estimators, and choose folds of those that can be used."""
    classes, splits = check_classes(y), check_folds(y, groups, cv)
    prepared, seen, errors = extract_once(estimators, X)
    rows = usable_rows(len(y), errors)
    kept = ([np.intersect1d(part, rows) for part in split] for split in splits)
    splits = [(np.searchsorted(rows, train), np.searchsorted(rows, test)) for train, test in kept]
    seen = _safe_indexing(seen, rows) if errors else seen
    groups = None if groups is None else groups[rows]
    return prepared, Task(seen, y[rows], groups, splits, classes, rows, errors)


def extract_once(estimators: Sequence[Any], X: Any) -> tuple[list[Any], Any, dict[int, str]]:
    """Decode and analyse the clips once for all estimators.

    Returns the estimators, which take what was extracted; that, or `X` where they begin with no
    domain; and the rows that can't be used.
    """
    prepared = [_as_mixture(estimator) for estimator in estimators]
    if isinstance(X, domains.DomainBatch):
        return prepared, X, dict(X.bad_clips) | _not_finite(X)
    firsts: list[Any] = []
    for mixture in prepared:
        if not isinstance(mixture, MixtureOfExpertsClassifier):
            return prepared, X, {}
        experts = mixture.experts or default_experts()
        firsts += [step_of(expert, 0) for _, expert in experts if not isinstance(expert, str)]
        sees_clips = mixture.mixer in ("cnn", "rnn") or getattr(mixture.mixer, "needs_clips", False)
        if sees_clips and not isinstance(mixture.mixer_domain, str):
            firsts.append(mixture.mixer_domain or domains.LogMelSpectrogram())
    if not all(isinstance(domain, domains.BaseDomain) for domain in firsts):
        return prepared, X, {}
    if len(prepared) == 1:
        batch = mixture.extract(X)
    else:
        how = {key: getattr(mixture, key) for key in ("on_error", "memory", "n_jobs", "verbose")}
        named = [(f"domain {index}", domain) for index, domain in enumerate(firsts)]
        batch = domains.DomainUnion(named, **how).transform(X)
    return prepared, batch, dict(batch.bad_clips)


def _not_finite(batch: domains.DomainBatch) -> dict[int, str]:
    """Return the rows that tables from elsewhere lack, and warn of them once."""
    bad: dict[int, str] = {}
    for name, entry in batch.entries.items():
        for row in [] if entry.is_extracted else entry.rows.scan()[1]:
            if row not in batch.bad_clips:
                bad.setdefault(row, f"its row {row} in the entry {name!r} holds NaN or infinity")
    if bad:
        warnings.warn(BadClipWarning(bad, "which are not judged"), stacklevel=5)
    return bad


def usable_rows(n_clips: int, errors: dict[int, str]) -> NDArray[np.intp]:
    """Return the rows that can be used; raise if there are none."""
    rows = np.setdiff1d(np.arange(n_clips), list(errors))
    if not len(rows):
        raise ValueError(f"none of the {n_clips} clips can be used: {errors}")
    return rows


def _as_mixture(estimator: Any) -> Any:
    """Return a mixture that reports bad clips; what else begins with a domain is one of itself."""
    if isinstance(estimator, MixtureOfExpertsClassifier):
        return clone(estimator).set_params(on_error="warn")
    if isinstance(step_of(estimator, 0), domains.BaseDomain):
        expert = "classifier", clone(estimator)
        return MixtureOfExpertsClassifier([expert], "balanced", on_error="warn")
    return clone(estimator)


def cross_fit(estimator: Any, task: Task, n_jobs: int | None = None) -> dict[str, Any]:
    """Fit an estimator on all folds but one, and let it judge that one.

    Returns the models of the folds, the names of experts, and what they say of all clips, by the
    names that a report has for them.
    """
    fits = Parallel(n_jobs=n_jobs)(
        delayed(_fit_and_judge)(estimator, task, train, test) for train, test in task.splits
    )
    models, parts = zip(*fits)
    order = np.argsort(np.concatenate([test for _, test in task.splits]))
    found = {key: np.concatenate([part[key] for part in parts])[order] for key in parts[0]}
    names = names_of_experts(models[0]) if "weights" in found else []
    found = {key: task.of_all(values) for key, values in found.items()}
    return found | {"models": models, "expert_names": names}


def _fit_and_judge(estimator: Any, task: Task, train: NDArray, test: NDArray) -> Any:
    model = clone(estimator)
    is_mixture = isinstance(model, MixtureOfExpertsClassifier)
    by_group = {"groups": task.groups[train]} if is_mixture and task.groups is not None else {}
    try:
        model.fit(_safe_indexing(task.X, train), task.y[train], **by_group)
    except ValueError as error:
        error.add_note(
            f"It learned from {len(train)} of {len(task.y)} clips: one fold is held out."
        )
        raise
    tested = _safe_indexing(task.X, test)
    found = {"proba": _of_genres(model.predict_proba(tested), model, task.classes)}
    if is_mixture and len(model.experts_) > 1:
        of_experts = model.expert_predict_proba(tested)
        found["expert_proba"] = _of_genres(of_experts, model, task.classes)
        found["weights"] = model.mixture_weights(tested)
    return model, found


def _of_genres(proba: NDArray, model: Any, classes: NDArray) -> NDArray[np.float64]:
    """Return probabilities of all genres: zero of those that the model has never seen."""
    found = np.zeros((*proba.shape[:-1], len(classes)))
    found[..., np.searchsorted(classes, model.classes_)] = proba
    return found


def baselines(task: Task) -> dict[str, NDArray[np.float64]]:
    """Return answers by the most frequent genre, and out-of-fold ones by a plain classifier.

    The former is that of all clips: where groups are held out, that of the others is often rare
    among them, and its accuracy falls below chance. They are answers without probabilities: one for
    the genre, zero for the others.
    """
    genres, counts = np.unique(task.y, return_counts=True)
    answers = {"most frequent genre": np.repeat(genres[counts.argmax()], len(task.y))}
    if isinstance(task.X, domains.DomainBatch):
        of = task.X.domains
        mfcc = [name for name, domain in of.items() if isinstance(domain, domains.MFCC)]
        entry = (mfcc or task.X.names)[0]
        table, what = clip_vectors(task.X, [entry]), "MFCC" if mfcc else entry
        found = cross_val_predict(_plain(), table, task.y, cv=task.splits)
        answers[f"{what}, mean and deviation, SVC"] = found
    return {n: task.of_all(a[:, np.newaxis] == task.classes) for n, a in answers.items()}


def sound_features(task: Task, found: dict[str, Any]) -> dict[str, Any]:
    """Return what tells which clips sound alike, and how a plain classifier learns from it.

    Embeddings, else what else are tables, else the spectrograms of the best expert.
    """
    batch = task.X
    if not isinstance(batch, domains.DomainBatch):
        return {}
    kinds = domains.AudioSetEmbedding, domains.MusicTagEmbedding
    embeddings = [name for name, domain in batch.domains.items() if isinstance(domain, kinds)]
    entries = embeddings or [name for name in batch.names if batch[name].ndim == 2]
    alike = TABLES_ALIKE if entries else SPECTROGRAMS_ALIKE
    if not entries:
        best = ""
        if "expert_proba" in found:
            answers = task.classes[found["expert_proba"][task.rows].argmax(axis=2)]
            right = (answers == task.y[:, np.newaxis]).mean(axis=0)
            best = found["expert_names"][int(right.argmax())]
        entries = [best] if best in batch else batch.names[:1]
    table = clip_vectors(batch, entries)
    features = {"features": task.of_all(table), "feature_entries": entries}
    return features | {"same_recording": alike, "curve": _learning_curve(table, task)}


def _learning_curve(table: NDArray, task: Task) -> list[tuple[int, float]]:
    """Return how good a plain classifier is that learns from a part of the groups, or of the clips.

    It learns from the table, on the same folds: what more clips would give.
    """
    units = np.arange(len(task.y)) if task.groups is None else task.groups
    units = np.unique(units, return_inverse=True)[1]
    n, rng, curve = units.max() + 1, np.random.default_rng(0), []
    for share in (0.25, 0.5, 1.0):
        drawn = [(rng.permutation(n) < share * n)[units] for _ in task.splits]
        splits = [(train[kept[train]], test) for kept, (train, test) in zip(drawn, task.splits)]
        if any(len(np.unique(task.y[train])) < 2 for train, _ in splits):
            return []
        right = cross_val_predict(_plain(), table, task.y, cv=splits) == task.y
        curve.append((round(np.mean([len(train) for train, _ in splits])), float(right.mean())))
    return curve


def _plain() -> Pipeline:
    return make_pipeline(StandardScaler(), SVC(C=10))


def clip_vectors(batch: domains.DomainBatch, names: Sequence[str]) -> NDArray[np.float32]:
    """Return entries of a batch as one table: spectrograms by mean and deviation over time."""
    columns = []
    for array in (batch[name] for name in names):
        if array.ndim > 2:
            rows = np.reshape(array, (len(array), -1, array.shape[-1]))
            array = domains.time_statistics(rows)[:, : 2 * rows.shape[1]]  # without the changes
        columns.append(np.reshape(array, (len(array), -1)))
    return np.hstack(columns, dtype=np.float32)


def ask(models: Sequence[Any], classes: NDArray, X: Any) -> tuple[NDArray, NDArray, Any]:
    """Return which of other clips can be used, what models say of these on average, and of what."""
    if not models:
        raise ValueError("the report has no models to ask: make it by from_cross_validation.")
    _, seen, errors = extract_once(models[:1], X)
    good = usable_rows(len(seen), errors)
    seen = _safe_indexing(seen, good)
    answers = [_of_genres(model.predict_proba(seen), model, classes) for model in models]
    return good, np.mean(answers, axis=0), seen


def paths_of(X: Any, paths: Any = None) -> list[str] | None:
    """Return the paths of clips, given beside them or as clips; None if there are none."""
    if paths is None:
        paths = X.paths if isinstance(X, domains.DomainBatch) else None
        if not isinstance(X, domains.DomainBatch) and kind_of_clips(X) == "paths":
            paths = entries_of(X)
    if paths is None:
        return None
    if len(paths) != len(X):
        raise ValueError(f"{len(paths)} paths for {len(X)} clips; pass one for each.")
    return [os.fspath(path) for path in paths]
