"""Checks of y, weights and groups, and fits that succeed or leave no trace."""

import unicodedata
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import assert_all_finite, check_consistent_length, column_or_1d
from sklearn.utils.multiclass import check_classification_targets

from ._clips import some_rows
from ._compat import _check_sample_weight


@contextmanager
def unchanged_on_error(estimator: Any) -> Iterator[None]:
    """Put the attributes of an estimator back if a fit is refused: the model of before stays."""
    before = dict(vars(estimator))
    try:
        yield
    except BaseException:
        attributes = vars(estimator)
        attributes.update(before)  # first: other threads may read them
        for name in attributes.keys() - before.keys():
            del attributes[name]
        raise


@contextmanager
def unfitted_on_error(estimator: Any) -> Iterator[None]:
    """Take back all that fitting has set if it fails or is interrupted on its way."""
    forget_fit(estimator)
    with unchanged_on_error(estimator):
        yield


def forget_fit(estimator: Any) -> None:
    """Delete all that fitting sets, but for what validation has found out about `X`."""
    kept = ("n_features_in_", "feature_names_in_")
    for name in [name for name in vars(estimator) if name.endswith("_") and name not in kept]:
        delattr(estimator, name)


def check_targets(X: Any, y: Any, classes: NDArray[Any] | None = None) -> NDArray[Any]:
    """Return labels, one for each clip, as a 1-D array; raise if some are missing or no labels.

    Text that looks like one of the `classes` is returned as it is written there.
    """
    if y is None:
        raise ValueError("fit requires y to be passed, but the target y is None.")
    y = single_column(y, "y", "one genre for each clip")
    check_consistent_length(X, y)
    _require_no_missing(y, "y", "find out their genres")
    kinds = sorted({type(label).__name__ for label in y.tolist()} if y.dtype.kind in "OS" else ())
    if kinds not in ([], ["str"]):
        found = f"Unknown label type: y holds {' and '.join(kinds)}"
        raise ValueError(f"{found}; expected text or numbers of one type, as of y.astype(str).")
    assert_all_finite(y, input_name="y")
    check_classification_targets(y)
    composed = to_nfc(y)
    if classes is None:
        # As the labels came, for scikit-learn compares them with its own copy of y.
        return composed if len(np.unique(composed)) < len(np.unique(y)) else y
    if (y.dtype.kind in "biuf") != (classes.dtype.kind in "biuf"):
        known = some_rows(classes.tolist())
        found = f"y holds labels such as {y[0]!r}, those of the fit are {known}"
        raise ValueError(f"{found}; expected labels of the same type")
    written = dict(zip(to_nfc(classes).tolist(), classes.tolist()))
    same = [written.get(label, label) for label in composed.tolist()]
    return np.array(same, dtype=object if y.dtype == object else None)


def to_nfc(values: NDArray[Any]) -> NDArray[Any]:
    """Return text in Unicode's composed form, in which what looks the same is the same."""
    if values.dtype.kind not in "UO":
        return values
    composed = [unicodedata.normalize("NFC", v) if isinstance(v, str) else v for v in values]
    return np.array(composed, dtype=object if values.dtype == object else str)


def single_column(values: Any, name: str, expected: str) -> NDArray[Any]:
    """Return a 1-D array of single values, no numpy strings of variable width among them."""
    if isinstance(values, (list, tuple)) and len({isinstance(value, str) for value in values}) > 1:
        values = np.array([*values, None], dtype=object)[:-1]  # else numpy makes text of NaN
    try:
        column = column_or_1d(values, warn=True)
    except ValueError as error:
        if "inhomogeneous" not in str(error):
            raise ValueError(str(error).replace("y should", f"{name} should", 1)) from None
        column = np.array([*map(tuple, values), None], dtype=object)[:-1]
    for value in column if column.dtype == object else ():
        if isinstance(value, Collection) and not isinstance(value, (str, bytes)):
            found = f"{name} holds several values for one clip, such as {value!r}"
            raise ValueError(f"{found}; expected {expected}.")
    return np.array(column.tolist()) if column.dtype.kind == "T" else column


def check_classes(y: NDArray[Any]) -> NDArray[Any]:
    """Return the distinct labels, sorted; raise if there is only one."""
    classes = np.unique(y)
    if len(classes) < 2:
        found = f"All clips are of one class, {classes[0]}" if len(classes) else "X holds no clips"
        raise ValueError(f"{found}; a classifier needs clips of at least two classes.")
    return classes


def check_weight(X: Any, sample_weight: Any) -> NDArray[np.float64]:
    """Return one weight per clip, not negative and not all zero; None stands for ones."""
    weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
    if not weight.any():
        raise ValueError("All entries of sample_weight are zero: no clip is left to fit.")
    return weight


def check_labels(X: Any, y: Any, sample_weight: Any) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Return labels and weights, one for each clip."""
    y = check_targets(X, y)
    return y, check_weight(X, sample_weight)


def check_groups(groups: Any, n_clips: int) -> Any:
    """Return groups, if any, as a 1-D array; raise unless there is one for each clip."""
    if groups is None:
        return None
    groups = single_column(groups, "groups", "one group for each clip")
    if len(groups) != n_clips:
        found = f"groups has {len(groups)} entries for {n_clips} clips"
        raise ValueError(
            f"{found}; expected one for each clip, such as its track, album or artist."
        )
    _require_no_missing(groups, "groups", "give each a group of its own")
    if groups.dtype == object and len({type(group) for group in groups}) > 1:
        groups = groups.astype(str)  # numbers beside names have no order
    return to_nfc(groups)


def _require_no_missing(values: NDArray[Any], name: str, otherwise: str) -> None:
    from pandas import isna  # slow to import

    missing = np.flatnonzero(isna(values)).tolist()
    if missing:
        found = f"Input {name} contains None or NaN for {len(missing)} of {len(values)} clips"
        rows = some_rows(missing)
        raise ValueError(f"{found} (rows {rows}). Leave these clips out, or {otherwise}.")
