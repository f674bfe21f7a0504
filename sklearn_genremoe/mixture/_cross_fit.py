"""Out-of-fold predictions: which clips experts learn from, their fits, and what they predict."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from numbers import Integral, Real
from typing import Any

import numpy as np
from joblib import effective_n_jobs
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import (
    PredefinedSplit,
    StratifiedGroupKFold,
    StratifiedKFold,
    StratifiedShuffleSplit,
)
from sklearn.pipeline import Pipeline
from sklearn.utils import check_random_state
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted, has_fit_parameter

from .._clips import Clips
from .._compat import BaseSearchCV, _check_method_params, progress_bar
from .._rows import Rows
from ..experts import CNNClassifier
from ..networks import resolve_device, split_groups
from ._base import aligned_proba
from ._fold_average import FoldAverage
from ._views import TrainingClips, View

# Clips whose features are gathered at a time for prediction.
_CLIPS_AT_A_TIME = 64

_ACCEPTED = (
    "an integer of at least 2 (folds), a share between 0 and 1 (hold-out), 'train', 'prefit', "
    "a splitter, or an iterable of (train, test) row numbers"
)

Split = tuple[NDArray[np.intp], NDArray[np.intp]]


# Fits and predictions.


def expert_proba_of(
    experts: Sequence[tuple[str, Any]],
    views: Sequence[View],
    classes: NDArray,
) -> NDArray[np.float64]:
    """Return what fitted experts think of clips, (n_clips, n_experts, n_classes)."""
    probas = []
    for (name, expert), view in zip(experts, views):
        with _explained(name, expert, view):
            probas.append(_predict(expert, view, None, classes))
    return np.stack(probas, axis=1)


def fit_experts(
    experts: Sequence[tuple[str, Any]],
    views: Sequence[View],
    clips: TrainingClips,
    classes: NDArray,
    splits: Sequence[Split],
    refit: bool = True,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> tuple[list[Any], NDArray[np.float64], NDArray[np.intp]]:
    """Fit every expert on all clips and on each split, in one pool of jobs.

    Parameters
    ----------
    experts : sequence of (str, estimator)
        The experts; cloned.
    views : sequence of View
        What each expert sees of the clips.
    clips : TrainingClips
        The clips, for their genres and metadata.
    classes : ndarray of shape (n_classes,)
        All genres, sorted.
    splits : sequence of (train, test)
        Row numbers to learn from and to predict; may be empty.
    refit : bool, default=True
        Whether to fit on all clips. If not, the models of the splits are kept and averaged.
    n_jobs : int, default=None
        Jobs at a time.
    verbose : int, default=0
        Above zero, show progress.

    Returns
    -------
    fitted : list of estimators
        One per expert.
    expert_proba : ndarray of shape (n_held_out, n_experts, n_classes)
        What the models think of the clips that they weren't trained on.
    held_out : ndarray of int of shape (n_held_out,)
        The rows of those clips, ascending. Clips of a genre that the models of the split didn't
        learn from are left out: nobody could have known it.
    """
    y = clips.y
    refit = refit or not splits
    tasks: list[tuple[int, Split | None]] = [
        (m, split) for m in range(len(experts)) for split in [*splits, *([None] if refit else [])]
    ]
    jobs = [
        delayed(_fit_and_predict)(
            *experts[m], views[m], y, classes, clips.params[experts[m][0]], split, keep=not refit
        )
        for m, split in tasks
    ]
    n_jobs = _n_jobs([expert for _, expert in experts], n_jobs)
    try:
        finished = Parallel(n_jobs=n_jobs, return_as="generator")(jobs)
    except ValueError:  # the backends "multiprocessing" and "ray" cannot stream results
        finished = Parallel(n_jobs=n_jobs)(jobs)
    bar = progress_bar(finished, desc="experts", unit="fit", total=len(jobs), disable=not verbose)
    results = list(bar)
    fitted, expert_proba = [], []
    for m in range(len(experts)):
        mine = [result for (other, _), result in zip(tasks, results) if other == m]
        if refit:
            fitted.append(mine[-1][0])
        else:
            models = [model for model, _ in mine]
            fitted.append(models[0] if len(models) == 1 else FoldAverage(models))
        expert_proba.append([proba for _, proba in mine[: len(splits)]])
    if not splits:
        return fitted, np.zeros((0, len(experts), len(classes))), np.zeros(0, dtype=np.intp)
    held_out = np.concatenate([test for _, test in splits])
    in_order = held_out.argsort(kind="stable")
    stacked = np.stack([np.concatenate(probas) for probas in expert_proba], axis=1)
    return fitted, stacked[in_order], held_out[in_order]


def _fit_and_predict(
    name: str,
    expert: Any,
    view: Any,
    y: NDArray,
    classes: NDArray,
    params: dict[str, Any],
    split: Split | None,
    keep: bool,
) -> tuple[Any, NDArray | None]:
    """Fit an expert, on all clips or on one side of a split, and predict the other."""
    with _explained(name, expert, view):
        train, test = (None, None) if split is None else split
        if train is not None:
            y, params = y[train], _check_method_params(y, params, train)
        model = clone(expert)
        inner, X = view.take(train).for_expert(model)
        inner.fit(X, y, **params)
        if inner is not model:  # the steps behind the domain, which go back into their place
            model.steps = [model.steps[0], *inner.steps]
        if test is None:
            return model, None
        return model if keep else None, _predict(model, view, test, classes)


@contextmanager
def _explained(name: str, expert: Any, view: View) -> Iterator[None]:
    """Say which expert failed, and why one that can't make anything of paths was given some."""
    try:
        yield
    except Exception as error:
        is_paths = isinstance(view.data, np.ndarray) and view.data.dtype == object
        if is_paths and isinstance(error, ValueError):
            raise ValueError(
                f"X holds paths, and the expert {name!r}, {expert!r}, begins with no feature "
                f"domain, so it was given the paths themselves, which it can't use ({error}). If "
                "it is made for a table, pass a DomainBatch with that table as the entry of the "
                "expert's name, beside what clf.extract(X) gives for the others."
            ) from error
        error.add_note(f"This comes from the expert {name!r}.")
        raise


def _predict(
    expert: Any, view: View, rows: NDArray[np.intp] | None, classes: NDArray
) -> NDArray[np.float64]:
    """Return an expert's aligned probabilities, of all clips or of some."""
    view = view.take(rows)
    may_be_mapped = isinstance(view.data, Rows) or np.ndim(view.data) >= 3
    step = _CLIPS_AT_A_TIME if may_be_mapped else max(1, len(view))
    probas = [np.zeros((0, len(classes)))]
    for start in range(0, len(view), step):
        some = np.arange(start, min(start + step, len(view)))
        inner, X = view.take(None if len(some) == len(view) else some).for_expert(expert)
        probas.append(aligned_proba(inner, X, classes, some if rows is None else rows[some]))
    return np.concatenate(probas)


def weight_params(name: str, expert: Any, sample_weight: NDArray | None) -> dict[str, Any]:
    """Return the arguments that hand sample weights to an expert's ``fit``.

    None without weights, or for a frozen expert; raise if the expert can't take them.
    """
    prefix, last = last_step(expert)
    if sample_weight is None or isinstance(last, FrozenEstimator):
        return {}
    if not has_fit_parameter(last, "sample_weight"):
        raise ValueError(
            f"sample_weight was given, but the expert {name!r} can't take it: "
            f"{type(last).__name__}.fit has no parameter of that name. Leave the weights out, or "
            "give an expert that takes them."
        )
    return {f"{prefix}sample_weight": sample_weight}


def group_params(expert: Any, groups: NDArray | None) -> dict[str, Any]:
    """Return the arguments that hand groups to an expert's ``fit``, none if it takes none."""
    prefix, last = last_step(expert, through_searches=False)
    # A search hands what its fit gets to its splitter.
    takes_groups = has_fit_parameter(last, "groups") or isinstance(last, BaseSearchCV)
    if groups is None or not takes_groups:
        return {}
    return {f"{prefix}groups": groups}


def last_step(expert: Any, *, through_searches: bool = True) -> tuple[str, Any]:
    """Return what decides at the end of an expert, and the prefix of its fit parameters."""
    prefix, last = "", expert
    while True:
        if isinstance(last, Pipeline):
            step, last = last.steps[-1]
            prefix += f"{step}__"
        elif through_searches and isinstance(last, BaseSearchCV):
            last = last.estimator  # which gets what the search gets
        else:
            return prefix, last


def seed_missing(component: Any, seed: int) -> None:
    """Set every ``random_state`` of a component that is None, deterministically."""
    rng = check_random_state(seed)
    params = component.get_params(deep=True)
    names = sorted(n for n in params if n == "random_state" or n.endswith("__random_state"))
    # One draw per name, used or not: a seed doesn't depend on which others are set.
    seeds = {name: int(rng.randint(np.iinfo(np.int32).max)) for name in names}
    component.set_params(**{name: seeds[name] for name in names if params[name] is None})


def classes_of_prefit(experts: Sequence[tuple[str, Any]], y: NDArray) -> NDArray:
    """Return the genres that fitted experts know; raise if one isn't fitted or `y` has others."""
    for name, expert in experts:
        try:
            check_is_fitted(expert)
        except NotFittedError as error:
            raise NotFittedError(
                f"cv='prefit' takes fitted experts, but {name!r} isn't fitted: fit it, or give "
                "another cv."
            ) from error
    known = [np.asarray(expert.classes_) for _, expert in experts]
    if len({labels.dtype.kind in "biuf" for labels in known}) > 1:
        raise ValueError(
            "The fitted experts know numbers and text as genres: "
            + "; ".join(f"{name!r} {labels[:3]}" for (name, _), labels in zip(experts, known))
            + ". Fit all on labels of one type, for example y.astype(str)."
        )
    classes = np.unique(np.concatenate(known))
    unknown = np.setdiff1d(y, classes)
    if len(unknown):
        raise ValueError(
            f"y has the genres {unknown.tolist()}, which no expert knows; the fitted experts "
            f"know {classes.tolist()}."
        )
    return classes


def check_devices(experts: Sequence[tuple[str, Any]]) -> None:
    """Raise if an expert of this package is to be trained on a device that isn't there."""
    for _, expert in experts:
        for cnn in _cnns_in(expert):
            resolve_device(cnn.device)


def _cnns_in(expert: Any) -> list[CNNClassifier]:
    """Return the networks in an expert; devices of other libraries are their own affair."""
    parts = [expert, *expert.get_params(deep=True).values()]
    return [part for part in parts if isinstance(part, CNNClassifier)]


def _n_jobs(experts: Sequence[Any], n_jobs: int | None) -> int | None:
    """Return how many experts to fit at a time: those on one accelerator take turns."""
    devices = {resolve_device(cnn.device).type for expert in experts for cnn in _cnns_in(expert)}
    return n_jobs if devices <= {"cpu"} or effective_n_jobs(n_jobs) == 1 else 1


# Splits.


def check_cv_value(cv: Any) -> None:
    """Raise if a value of `cv` means nothing."""
    if isinstance(cv, (bool, np.bool_)):
        accepted = False
    elif isinstance(cv, Integral):
        accepted = int(cv) >= 2
    elif isinstance(cv, Real):
        accepted = 0 < float(cv) < 1
    elif isinstance(cv, str):
        accepted = cv in ("train", "prefit")
    else:
        accepted = hasattr(cv, "split") or isinstance(cv, Iterable)
    if not accepted:
        raise ValueError(f"cv={cv!r} is not accepted; expected {_ACCEPTED}.")


def make_splits(cv: Any, clips: TrainingClips, random_state: Any = None) -> list[Split]:
    """Return (train, test) rows: which clips experts learn from, and which they predict.

    `random_state` draws the hold-out clips; all else is deterministic. Raise if a genre has too few
    clips or groups to be split, or rows are none of the clips'.
    """
    y, groups = clips.y, clips.groups
    if isinstance(cv, Integral):
        _check_enough(y, groups, int(cv))
        splits = _folds(int(cv), y, groups)
    elif isinstance(cv, Real):
        _check_enough(y, groups, 2)
        splits = [_hold_out(float(cv), y, groups, random_state)]
    elif hasattr(cv, "split"):
        params = {key: value for key, value in clips.params["cv"].items() if key != "groups"}
        X = clips.X.given if isinstance(clips.X, Clips) else clips.X
        if isinstance(cv, PredefinedSplit) and len(cv.test_fold) == clips.n_given:
            cv = PredefinedSplit(cv.test_fold[clips.origin])  # it doesn't look at X
        splits = list(cv.split(X, y, groups=groups, **params))
        last = max((rows.max() for pair in splits for rows in pair if len(rows)), default=0)
        if last >= len(y):
            raise ValueError(
                f"cv={cv!r} yields row {last}, but there are {len(y)} clips of the "
                f"{clips.n_given} given: bad ones and those with a weight of zero are left out. "
                "Give the rows of all as a list, list(splitter.split(...))."
            )
    else:
        pairs = list(cv)
        for pair in pairs:
            if not isinstance(pair, (list, tuple)) or len(pair) != 2:
                raise ValueError(f"cv yields {pair!r}; expected {_ACCEPTED}.")
        splits = [
            (_rows(train, clips.origin, clips.n_given), _rows(test, clips.origin, clips.n_given))
            for train, test in pairs
        ]
    if not splits:
        raise ValueError(
            f"cv={cv!r} yields no split; expected {_ACCEPTED}. A generator can be used once: give "
            "a list, list(splitter.split(X, y))."
        )
    return splits


def check_splits(splits: list[Split], y: NDArray, cv: Any) -> list[Split]:
    """Return splits without held-out clips of genres that nobody could have learned in them.

    Raise, before anything is trained, if experts or mixer would have nothing to learn from.
    """
    kept = []
    for number, (train, test) in enumerate(splits):
        if not len(train) or not len(test):
            side = "learn from" if not len(train) else "hold out"
            raise ValueError(
                f"Split {number} of cv={cv!r} leaves no clip to {side}; use fewer folds or "
                "larger sides."
            )
        if len(np.unique(y[train])) < 2:
            raise ValueError(
                f"In split {number} of cv={cv!r} the experts would learn from clips of one genre "
                f"only, {y[train][0]!s}; use fewer folds, or groups that aren't genres."
            )
        kept.append((train, test[np.isin(y[test], y[train])]))
    if splits and not any(len(test) for _, test in kept):
        raise ValueError(
            f"No split of cv={cv!r} holds out a clip of a genre that the experts have learned "
            "there, so the mixer would learn from nothing; groups must not be the genres "
            "themselves."
        )
    return kept


def _folds(n_folds: int, y: NDArray, groups: NDArray | None) -> list[Split]:
    # No shuffling: clips of one album tend to stand beside each other, and then stay together.
    if groups is None:
        return list(StratifiedKFold(n_folds).split(y, y))
    return list(StratifiedGroupKFold(n_folds).split(y, y, groups))


def _hold_out(share: float, y: NDArray, groups: NDArray | None, random_state: Any) -> Split:
    """Draw a stratified hold-out of about that share of the clips, groups kept whole."""
    if groups is None:
        n_genres = len(np.unique(y))
        n_test = min(max(round(share * len(y)), n_genres), len(y) - n_genres)
        splitter = StratifiedShuffleSplit(1, test_size=n_test, random_state=random_state)
        return next(splitter.split(y, y))
    rng = check_random_state(random_state)
    smaller = min(share, 1 - share)
    n_folds = min(max(2, round(1 / smaller)), _fewest_groups(y, groups)[1])
    train, test = split_groups(n_folds, y, groups, rng)
    return (train, test) if share <= 0.5 else (test, train)


def _rows(rows: Any, origin: NDArray[np.intp], n_clips: int) -> NDArray[np.intp]:
    rows = np.asarray(rows)
    if rows.dtype == bool and len(rows) != n_clips:
        raise ValueError(f"cv yields a mask of {len(rows)} entries, but there are {n_clips} clips.")
    if len(rows) and rows.dtype.kind not in "biu":
        raise ValueError(f"cv yields rows of type {rows.dtype}; expected {_ACCEPTED}.")
    rows = np.flatnonzero(rows) if rows.dtype == bool else rows.astype(np.intp)
    if len(rows) and not -n_clips <= rows.min() <= rows.max() < n_clips:
        raise ValueError(
            f"cv yields rows {rows.min()} to {rows.max()}, but there are {n_clips} clips."
        )
    rows = np.where(rows < 0, rows + n_clips, rows)  # from the end, as numpy has it
    # Rows that were taken out, for a weight of zero or a bad clip, fall out of the split as well.
    position = np.searchsorted(origin, rows)
    present = (position < len(origin)) & (origin[np.minimum(position, len(origin) - 1)] == rows)
    return position[present]


def _fewest_groups(y: NDArray, groups: NDArray) -> tuple[Any, int]:
    """Return the genre with the fewest groups, and how many it has."""
    counts = {genre: len(np.unique(groups[y == genre])) for genre in np.unique(y)}
    genre = min(counts, key=lambda genre: counts[genre])
    return genre, counts[genre]


def _check_enough(y: NDArray, groups: NDArray | None, n_folds: int) -> None:
    genres, counts = np.unique(y, return_counts=True)
    fewest = counts.argmin()
    if counts[fewest] < n_folds:
        raise ValueError(
            f"The genre {genres[fewest]!s} has {counts[fewest]} clip(s), fewer than the {n_folds} "
            "folds in which the mixer needs it: use a smaller cv, add clips, or take a mixer "
            "that learns nothing (mixer='balanced' or 'log_pool')."
        )
    if groups is None:
        return
    n_groups = len(np.unique(groups))
    if n_groups < n_folds:
        raise ValueError(
            f"There are {n_groups} group(s), fewer than the {n_folds} folds: use a smaller cv or "
            "finer groups."
        )
    genre, n_groups = _fewest_groups(y, groups)
    if n_groups < 2:
        raise ValueError(
            f"All clips of the genre {genre!s} belong to one group, so no expert could know the "
            "genre while they are held out: use finer groups, or take a mixer that learns "
            "nothing (mixer='balanced' or 'log_pool')."
        )
