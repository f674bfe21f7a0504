"""Fitting the experts, and hearing what they think of clips that they weren't trained on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from joblib import effective_n_jobs
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import Pipeline
from sklearn.utils import check_random_state
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted, has_fit_parameter
from tqdm.auto import tqdm

from .._compat import BaseSearchCV, _check_method_params
from ..domains import DomainBatch
from ..experts import CNNClassifier
from ..networks import resolve_device
from ._fold_average import FoldAverage, aligned_proba
from ._splits import Split
from ._training_clips import TrainingClips, take_clips

# Clips whose features are gathered at a time for prediction.
_CHUNK = 64


def expert_proba_of(
    experts: Sequence[tuple[str, Any]],
    views: Sequence[Any],
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
    views: Sequence[Any],
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
    views : sequence of array-like
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
    results = list(tqdm(finished, desc="experts", unit="fit", total=len(jobs), disable=not verbose))
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
        if split is None:
            return clone(expert).fit(view, y, **params), None
        train, test = split
        params = _check_method_params(y, params, train)
        model = clone(expert).fit(take_clips(view, train), y[train], **params)
        return model if keep else None, _predict(model, view, test, classes)


@contextmanager
def _explained(name: str, expert: Any, view: Any) -> Iterator[None]:
    """Say which expert failed, and why one that can't make anything of paths was given some."""
    try:
        yield
    except Exception as error:
        is_paths = isinstance(view, np.ndarray) and view.dtype == object and view.ndim == 1
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
    expert: Any, view: Any, rows: NDArray[np.intp] | None, classes: NDArray
) -> NDArray[np.float64]:
    """Return an expert's aligned probabilities, of all clips or of some."""
    if rows is not None and not len(rows):
        return np.zeros((0, len(classes)))
    if not isinstance(view, DomainBatch) and np.ndim(view) < 3:
        part = view if rows is None else take_clips(view, rows)
        return aligned_proba(expert, part, classes, rows)
    # Features may be mapped from a file that is larger than the memory.
    rows = np.arange(len(view)) if rows is None else rows
    chunks = [rows[start : start + _CHUNK] for start in range(0, len(rows), _CHUNK)]
    probas = [aligned_proba(expert, take_clips(view, part), classes, part) for part in chunks]
    return np.concatenate([np.zeros((0, len(classes))), *probas])


def weight_params(name: str, expert: Any, sample_weight: NDArray | None) -> dict[str, Any]:
    """Return the arguments that hand sample weights to an expert's ``fit``.

    Parameters
    ----------
    name : str
        The expert's name, for the message.
    expert : estimator
        The expert. In a Pipeline the last step gets the weights.
    sample_weight : ndarray of shape (n_clips,) or None
        The weights.

    Returns
    -------
    params : dict
        Empty without weights.

    Raises
    ------
    ValueError
        If the expert can't take weights.
    """
    if sample_weight is None:
        return {}
    prefix, last = _last_step(expert)
    if not has_fit_parameter(last, "sample_weight"):
        raise ValueError(
            f"sample_weight was given, but the expert {name!r} can't take it: "
            f"{type(last).__name__}.fit has no parameter of that name. Leave the weights out, or "
            "give an expert that takes them."
        )
    return {f"{prefix}sample_weight": sample_weight}


def group_params(expert: Any, groups: NDArray | None) -> dict[str, Any]:
    """Return the arguments that hand groups to an expert's ``fit``, none if it takes none."""
    prefix, last = _last_step(expert)
    # A search hands what its fit gets to its splitter.
    takes_groups = has_fit_parameter(last, "groups") or isinstance(last, BaseSearchCV)
    if groups is None or not takes_groups:
        return {}
    return {f"{prefix}groups": groups}


def _last_step(expert: Any) -> tuple[str, Any]:
    """Return what decides at the end of an expert, and the prefix of its parameters."""
    prefix, last = "", expert
    while isinstance(last, Pipeline):
        step, last = last.steps[-1]
        prefix += f"{step}__"
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
    classes = np.unique(np.concatenate([np.asarray(expert.classes_) for _, expert in experts]))
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
