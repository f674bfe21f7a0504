"""Which clips the experts learn from, and which they predict for the mixer."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import (
    PredefinedSplit,
    StratifiedGroupKFold,
    StratifiedKFold,
    StratifiedShuffleSplit,
)
from sklearn.utils import check_random_state

from .._clips import Clips
from ..networks import split_groups
from ._training_clips import TrainingClips

_ACCEPTED = (
    "an integer of at least 2 (folds), a share between 0 and 1 (hold-out), 'train', 'prefit', "
    "a splitter, or an iterable of (train, test) row numbers"
)

Split = tuple[NDArray[np.intp], NDArray[np.intp]]


def check_cv_value(cv: Any) -> None:
    """Raise if a value of `cv` means nothing.

    Parameters
    ----------
    cv : object
        The value.

    Raises
    ------
    ValueError
        If it is none of those that the mixture accepts.

    Examples
    --------
    >>> check_cv_value(5)
    >>> check_cv_value(0.2)
    >>> check_cv_value(1)
    Traceback (most recent call last):
    ...
    ValueError: cv=1 is not accepted; expected an integer of at least 2 (folds), ...
    """
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
    """Split clips into those that experts learn from and those that they predict.

    Parameters
    ----------
    cv : int, float, splitter or iterable
        Folds, hold-out share, or what yields the splits.
    clips : TrainingClips
        The clips.
    random_state : int, RandomState instance or None, default=None
        Draws the hold-out clips; all else is deterministic.

    Returns
    -------
    splits : list of (train, test)
        Row numbers.

    Raises
    ------
    ValueError
        If a genre has too few clips or groups to be split, or a split has an empty side.
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
