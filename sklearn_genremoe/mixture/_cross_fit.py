"""Out-of-fold predictions: which clips experts learn from, and their fits."""

from __future__ import annotations

import reprlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import (
    StratifiedGroupKFold,
    StratifiedKFold,
    StratifiedShuffleSplit,
)
from sklearn.pipeline import Pipeline
from sklearn.utils import check_random_state
from sklearn.utils.metadata_routing import process_routing
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted, has_fit_parameter

from .._checks import check_groups, check_targets, check_weight
from .._clips import Clips
from .._compat import BaseSearchCV, _check_method_params, _routing_enabled, progress_bar
from ..experts import CNNClassifier
from ..networks import resolve_device, split_groups
from ._experts import Experts, FoldAverage, explain, predict_expert, split_expert, take_clips

Split = tuple[NDArray[np.intp], NDArray[np.intp]]


@dataclass
class TrainingClips:
    """Clips, genres, weights, groups, and metadata for experts and splitter.

    ``params`` holds the arguments of each expert's ``fit``, by name, and of the splitter's
    ``split``, as "cv"; ``origin`` the row of each clip among those that came, ascending.
    """

    X: Any
    y: NDArray
    weight: NDArray | None
    groups: NDArray | None
    origin: NDArray[np.intp]
    params: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def check(
        cls, X: Any, y: Any, sample_weight: Any, groups: Any, classes: NDArray | None = None
    ) -> TrainingClips:
        """Return clips with genres, in the spelling of `classes`, weights and groups checked."""
        y = check_targets(X, y, classes)
        weight = None if sample_weight is None else check_weight(y, sample_weight)
        return cls(X, y, weight, check_groups(groups, len(y)), np.arange(len(y)))

    def take(self, rows: NDArray[np.intp]) -> TrainingClips:
        """Return some of the clips."""
        if len(rows) == len(self.y):
            return self
        weight = None if self.weight is None else self.weight[rows]
        groups = None if self.groups is None else self.groups[rows]
        params = {n: _check_method_params(self.y, p, rows) for n, p in self.params.items()}
        X = take_clips(self.X, rows)
        return TrainingClips(X, self.y[rows], weight, groups, self.origin[rows], params)

    def present(self) -> TrainingClips:
        """Return the clips with a weight above zero."""
        return self if self.weight is None else self.take(np.flatnonzero(self.weight))


# Fits.


def fit_experts(
    mixture: Any,
    experts: Experts,
    views: Sequence[Any],
    clips: TrainingClips,
    classes: NDArray,
    splits: Sequence[Split],
) -> tuple[list[tuple[str, Any]], NDArray[np.float64], NDArray[np.intp]]:
    """Fit every expert on all clips and on each split, in one pool of jobs.

    Without `refit` the models of the splits are kept and averaged. Also return what the models
    predict for the clips that they weren't trained on, (n_held_out, n_experts, n_classes), and the
    rows of those, ascending. Of the `mixture` only parameters are read.
    """
    refit, n_jobs = mixture.refit or not splits, mixture.n_jobs
    parts: list[Split | None] = [*splits, *([None] if refit else [])]
    jobs = [
        delayed(_fit_and_predict)(
            name, expert, view, clips.y, classes, clips.params[name], split, keep=not refit
        )
        for (name, expert), view in zip(experts, views)
        for split in parts
    ]
    if any(resolve_device(cnn.device).type != "cpu" for cnn in networks_in(experts)):
        n_jobs = 1  # those on one accelerator take turns
    try:
        finished = Parallel(n_jobs=n_jobs, return_as="generator")(jobs)
    except ValueError:  # the backends "multiprocessing" and "ray" cannot stream results
        finished = Parallel(n_jobs=n_jobs)(jobs)
    options = {"desc": "experts", "unit": "fit", "total": len(jobs)}
    results = list(progress_bar(finished, disable=not mixture.verbose, **options))
    fitted, probas = [], []
    for number, (name, _) in enumerate(experts):
        models, expert_proba = zip(*results[number * len(parts) : (number + 1) * len(parts)])
        is_one = refit or len(models) == 1
        fitted.append((name, models[-1] if is_one else FoldAverage(list(models))))
        probas.append([np.zeros((0, len(classes))), *expert_proba[: len(splits)]])
    held_out = np.concatenate([np.zeros(0, dtype=np.intp), *(test for _, test in splits)])
    in_order = held_out.argsort(kind="stable")
    stacked = np.stack([np.concatenate(of_expert) for of_expert in probas], axis=1)
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
    model = clone(expert)
    seen = view
    if split is not None:
        params = _check_method_params(y, params, split[0])
        seen, y = take_clips(view, split[0]), y[split[0]]
    try:
        inner, X = split_expert(model, seen)
        inner.fit(X, y, **params)
    except Exception as error:
        raise explain(error, name, expert, view)  # noqa: B904
    if inner is not model:  # the steps behind the domain, which go back into their place
        model.steps = [model.steps[0], *inner.steps]
    if split is None:
        return model, None
    proba = predict_expert(name, model, take_clips(view, split[1]), classes, split[1])
    return model if keep else None, proba


def networks_in(experts: Experts) -> list[CNNClassifier]:
    """Return the networks in experts; devices of other libraries are their own affair."""
    parts = [part for _, e in experts for part in (e, *e.get_params(deep=True).values())]
    return [part for part in parts if isinstance(part, CNNClassifier)]


# Metadata.


def route_fit(
    owner: Any, parts: Experts, weight: NDArray | None, groups: NDArray | None, params: Any
) -> dict[str, dict[str, Any]]:
    """Return the metadata of a fit for each part, by name, and for a splitter, as "cv"."""
    if _routing_enabled():
        routed = process_routing(owner, "fit", sample_weight=weight, groups=groups, **params)
        of_cv = routed["cv"]["split"] if "cv" in routed else {}
        return {**{name: routed[name]["fit"] for name, _ in parts}, "cv": of_cv}
    if params:
        raise TypeError(
            f"fit got the unexpected arguments {sorted(params)}; other metadata than "
            "sample_weight and groups needs sklearn.set_config(enable_metadata_routing=True)."
        )
    of_parts = {
        name: {**weight_params(name, part, weight), **group_params(part, groups)}
        for name, part in parts
    }
    return {**of_parts, "cv": {}}


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


def classes_of_prefit(experts: Experts, y: NDArray) -> NDArray:
    """Return the genres that fitted experts know; raise if one isn't fitted or `y` has others."""
    for name, expert in experts:
        check_is_fitted(expert, msg=f"cv='prefit' takes fitted experts, but {name!r} isn't fitted.")
    known = [np.asarray(expert.classes_) for _, expert in experts]
    if len({labels.dtype.kind in "biuf" for labels in known}) > 1:
        raise ValueError(
            "The fitted experts know numbers and text as genres: "
            + "; ".join(f"{name!r} {labels[:3]}" for (name, _), labels in zip(experts, known))
            + ". Fit all on labels of one type, for example y.astype(str)."
        )
    classes = np.unique(np.concatenate(known))
    require_known(y, classes)
    return classes


def require_known(y: NDArray, classes: NDArray) -> None:
    """Raise if there are genres that nobody has learned."""
    unknown = np.setdiff1d(y, classes)
    if len(unknown):
        raise ValueError(
            f"y has the genres {unknown.tolist()}, which were not seen in fit; known are "
            f"{classes.tolist()}."
        )


# Splits.


def rows_of_cv(cv: Any, clips: TrainingClips) -> Any:
    """Return the pairs of rows that a splitter or an iterable gives; a number as it is."""
    if isinstance(cv, Real):
        return cv
    pairs = cv
    if hasattr(cv, "split"):
        params = {key: value for key, value in clips.params["cv"].items() if key != "groups"}
        X = clips.X.given if isinstance(clips.X, Clips) else clips.X
        pairs = cv.split(X, clips.y, groups=clips.groups, **params)
    splits = [_rows(pair, len(clips.y)) for pair in pairs]
    if not splits:
        raise ValueError(
            f"cv={cv!r} yields no split; expected pairs of (train, test) rows. A generator can be "
            "used once: give a list, list(splitter.split(X, y))."
        )
    return splits


def _rows(pair: Any, n_clips: int) -> Split:
    """Return the rows on both sides of a split."""
    try:
        train, test = (np.atleast_1d(side) for side in pair)
        rows = np.arange(n_clips)
        return rows[train if len(train) else []], rows[test if len(test) else []]
    except (TypeError, ValueError, IndexError) as error:
        raise ValueError(
            f"cv yields {reprlib.repr(pair)}; expected a pair of row numbers or masks, (train, "
            f"test), but there are {n_clips} clips ({error})."
        ) from error


def make_splits(cv: Any, clips: TrainingClips, random_state: Any = None) -> list[Split]:
    """Return (train, test) rows: which clips experts learn from, and which they predict.

    `cv` is a number, or has rows of all clips that came. `random_state` draws the hold-out. Clips
    of genres that nobody could have learned are not held out; raise if nothing is left to learn.
    """
    y, groups = clips.y, clips.groups
    if isinstance(cv, Integral):
        _check_enough(y, groups, int(cv))
        # No shuffling: clips of one album tend to stand beside each other, and then stay together.
        kind = StratifiedKFold if groups is None else StratifiedGroupKFold
        splits = list(kind(int(cv)).split(y, y, groups))
    elif isinstance(cv, Real):
        _check_enough(y, groups, 2)
        splits = [_hold_out(float(cv), y, groups, random_state)]
    else:  # clips that were left out, as bad or without weight, fall out of splits as well
        left = clips.origin
        kept = [[rows[np.isin(rows, left)] for rows in pair] for pair in cv]
        splits = [
            (np.searchsorted(left, train), np.searchsorted(left, test)) for train, test in kept
        ]
    checked = []
    for number, (train, test) in enumerate(splits):
        genres = np.unique(y[train])
        if not len(test) or len(genres) < 2:
            raise ValueError(
                f"Split {number} of cv holds out {len(test)} clips and leaves those of "
                f"{len(genres)} genres to learn from; expected one or more, and two or more: use "
                "fewer folds, larger sides, or groups that aren't genres."
            )
        checked.append((train, test[np.isin(y[test], y[train])]))
    if not any(len(test) for _, test in checked):
        raise ValueError(
            "No split of cv holds out a clip of a genre that the experts have learned there, so "
            "the mixer would learn from nothing; groups must not be the genres themselves."
        )
    return checked


def _hold_out(share: float, y: NDArray, groups: NDArray | None, random_state: Any) -> Split:
    """Draw a stratified hold-out of about that share of the clips, groups kept whole."""
    if groups is None:
        n_genres = len(np.unique(y))
        n_test = min(max(round(share * len(y)), n_genres), len(y) - n_genres)
        splitter = StratifiedShuffleSplit(1, test_size=n_test, random_state=random_state)
        return next(splitter.split(y, y))
    rng = check_random_state(random_state)
    smaller = min(share, 1 - share)
    n_folds = min(max(2, round(1 / smaller)), _rarest(y, groups)[1])
    train, test = split_groups(n_folds, y, groups, rng)
    return (train, test) if share <= 0.5 else (test, train)


def _rarest(y: NDArray, units: NDArray) -> tuple[Any, int]:
    """Return the genre with the fewest units, clips or groups, and how many it has."""
    counts = {genre: len(np.unique(units[y == genre])) for genre in np.unique(y)}
    genre = min(counts, key=lambda genre: counts[genre])
    return genre, counts[genre]


def _check_enough(y: NDArray, groups: NDArray | None, n_folds: int) -> None:
    checks = [("clip", np.arange(len(y)), n_folds, "use a smaller cv, add clips")]
    if groups is not None:
        checks.append(("group", groups, 2, "use finer groups"))
    for unit, units, needed, advice in checks:
        genre, found = _rarest(y, units)
        if found < needed:
            raise ValueError(
                f"The genre {genre!s} has {found} {unit}(s), fewer than the {needed} folds in "
                f"which the mixer needs it: {advice}, or take a mixer that learns nothing "
                "(mixer='balanced' or 'log_pool')."
            )
