"""What an expert accepts: spectrograms, labels, weights and groups."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import assert_all_finite, check_consistent_length, check_scalar, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data

from .._sklearn_compat import _check_sample_weight
from ..audio._clips import check_finite, kind_of_clips, some_rows, without_torch
from ..domains import DomainBatch
from ..domains._rows import release_pages
from ._augment import as_sequence

_CHOICES = {
    "padding": ("valid", "same"),
    "pooling": ("flatten", "statistics"),
    "schedule": ("inverse_time", "one_cycle"),
}


def check_training(estimator: Any) -> None:
    """Raise a ValueError or TypeError if what all networks are trained by is out of range."""
    check_scalar(estimator.max_epochs, "max_epochs", Integral, min_val=1)
    check_scalar(estimator.batch_size, "batch_size", Integral, min_val=1)
    check_scalar(estimator.lr, "lr", Real, min_val=0, include_boundaries="neither")
    check_scalar(estimator.lr_decay, "lr_decay", Real, min_val=0)
    if hasattr(estimator, "channels"):
        channels = estimator.channels
        counts = list(channels) if isinstance(channels, Iterable) else []
        if not counts or not all(
            isinstance(count, Integral) and int(count) >= 1 for count in counts
        ):
            raise ValueError(f"channels={channels!r} has to be one or more positive integers.")


def check_parameters(estimator: Any) -> None:
    """Raise a ValueError or TypeError if a parameter of a CNNClassifier is out of range."""
    check_training(estimator)
    check_scalar(
        estimator.dropout, "dropout", Real, min_val=0, max_val=1, include_boundaries="left"
    )
    _check_callbacks(estimator.callbacks)
    if isinstance(estimator.class_weight, Mapping):
        for label, weight in estimator.class_weight.items():
            check_scalar(weight, f"class_weight[{label!r}]", Real, min_val=0)
    check_scalar(estimator.early_stopping, "early_stopping", Integral, min_val=0)
    check_scalar(
        estimator.norm_momentum,
        "norm_momentum",
        Real,
        min_val=0,
        max_val=1,
        include_boundaries="right",
    )
    check_scalar(estimator.weight_decay, "weight_decay", Real, min_val=0)
    check_scalar(
        estimator.label_smoothing,
        "label_smoothing",
        Real,
        min_val=0,
        max_val=1,
        include_boundaries="left",
    )
    if estimator.crop_frames is not None:
        check_scalar(estimator.crop_frames, "crop_frames", Integral, min_val=1)
    for name, accepted in _CHOICES.items():
        if getattr(estimator, name) not in accepted:
            raise ValueError(
                f"{name}={getattr(estimator, name)!r} is not known; use one of "
                f"{', '.join(map(repr, accepted))}."
            )
    for augmentation in as_sequence(estimator.augment):
        if not callable(augmentation) and not hasattr(augmentation, "blend"):
            raise TypeError(
                f"augment holds {augmentation!r}, which is neither a function of clips and a "
                "random generator nor a Mixup."
            )
    if estimator.validation_fraction is not None:
        check_scalar(
            estimator.validation_fraction,
            "validation_fraction",
            Real,
            min_val=0,
            max_val=1,
            include_boundaries="neither",
        )
    elif estimator.early_stopping:
        raise ValueError(
            "early_stopping watches the loss on held-out clips: set validation_fraction, for "
            "example to 0.1."
        )


def _check_callbacks(callbacks: Any) -> None:
    if callbacks is None:
        return
    given = callbacks if isinstance(callbacks, (list, tuple)) else [callbacks]
    bare = [entry[1] if isinstance(entry, tuple) and len(entry) == 2 else entry for entry in given]
    if given is not callbacks or not all(hasattr(entry, "on_train_begin") for entry in bare):
        raise ValueError(
            f"callbacks={callbacks!r} is not accepted; expected a list of skorch callbacks or of "
            "pairs (name, callback)."
        )


def check_spectrograms(
    estimator: BaseEstimator, X: Any, input_shape: tuple[int, int] | None
) -> NDArray[Any]:
    """Return spectrograms as a 3-D array, without copying an array that is one already.

    Parameters
    ----------
    estimator : BaseEstimator
        For whom; its ``n_features_in_`` becomes the number of bins, or is compared with it.
    X : array-like, tensor or DomainBatch of one domain
        Shape (n_clips, n_bins, n_frames), or (n_clips, n_features) for a single frame.
    input_shape : tuple of (int, int) or None
        Bins and frames that are expected; None in ``fit``.

    Returns
    -------
    X : ndarray of shape (n_clips, n_bins, n_frames)
        Finite numbers of any kind, perhaps memory-mapped.
    """
    name = type(estimator).__name__
    if isinstance(X, DomainBatch):
        if len(X.names) != 1:
            raise ValueError(
                f"The DomainBatch holds {len(X.names)} domains ({', '.join(X.names)}), but {name} "
                f"looks at one: pass batch.select([name]) or batch[name]."
            )
        X = X[X.names[0]]
    X = without_torch(X)
    if kind_of_clips(X) == "paths":
        raise ValueError(
            f"X holds paths, but {name} starts from spectrograms: put a domain before it, for "
            f"example make_pipeline(LogMelSpectrogram(), {name}())."
        )
    if input_shape is not None and input_shape[1] > 1 and np.shape(X) == input_shape:
        raise ValueError(
            f"X has the shape {input_shape} of a single clip, but {name} is expecting several: "
            "give X[np.newaxis]."
        )
    reset = input_shape is None
    X = validate_data(estimator, X, reset=reset, allow_nd=True, ensure_all_finite=False)
    if X.ndim == 2:
        X = X[:, :, np.newaxis]
    if X.ndim != 3:
        raise ValueError(
            f"X has {X.ndim} dimensions, {X.shape}, but {name} is expecting spectrograms of shape "
            f"(n_clips, n_bins, n_frames), or (n_clips, n_features)."
        )
    if 0 in X.shape:
        raise ValueError(f"X has the shape {X.shape}, but {name} needs at least one bin and frame.")
    if input_shape is not None and X.shape[2] != input_shape[1]:
        raise ValueError(
            f"X has {X.shape[2]} frames, but {name} is expecting {input_shape[1]} frames as input."
        )
    check_finite(X, release_pages)
    return X


def check_targets(X: Any, y: Any) -> NDArray[Any]:
    """Return labels, one for each clip, as a 1-D array; raise if some are missing or no labels."""
    if y is None:
        raise ValueError("fit requires y to be passed, but the target y is None.")
    y = column_or_1d(y, warn=True)
    check_consistent_length(X, y)
    if y.dtype == object:
        missing = [row for row, label in enumerate(y) if _is_missing(label)]
        if missing:
            raise ValueError(
                f"Input y contains None or NaN for {len(missing)} of {len(y)} clips (rows "
                f"{some_rows(missing)}). Leave these clips out, or find out their genres."
            )
        kinds = sorted({type(label).__name__ for label in y if not isinstance(label, str)})
        if kinds:
            raise ValueError(
                f"Unknown label type: y is an array of objects of the types {', '.join(kinds)}"
                f"{' beside str' if any(isinstance(label, str) for label in y) else ''}; expected "
                "labels of one type: for example y.astype(str), or y.astype(int)."
            )
    assert_all_finite(y, input_name="y")
    check_classification_targets(y)
    return y


def check_classes(y: NDArray[Any]) -> NDArray[Any]:
    """Return the distinct labels, sorted; raise if there is only one."""
    classes = np.unique(y)
    if len(classes) < 2:
        raise ValueError(
            f"All clips are of one class, {classes[0]!s}; a classifier needs clips of at least two "
            "classes."
        )
    return classes


def _is_missing(label: Any) -> bool:
    try:
        return label is None or bool(label != label)
    except TypeError:  # pandas.NA
        return True


def check_labels(
    X: NDArray[Any], y: Any, sample_weight: Any
) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Return labels and weights, one for each clip.

    Parameters
    ----------
    X : ndarray of shape (n_clips, ...)
        The clips.
    y : array-like of shape (n_clips,)
        Their labels.
    sample_weight : array-like of shape (n_clips,) or None
        Their weights; None stands for ones.

    Returns
    -------
    y : ndarray of shape (n_clips,)
        Labels.
    weight : ndarray of shape (n_clips,)
        Weights, not negative and not all zero.
    """
    y = check_targets(X, y)
    weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
    if not weight.any():
        raise ValueError("All entries of sample_weight are zero: no clip is left to fit.")
    return y, weight


def check_group_count(groups: Any, n_clips: int) -> NDArray[Any]:
    """Return groups as a 1-D array; raise unless there is one for each clip."""
    groups = column_or_1d(groups)
    if len(groups) != n_clips:
        raise ValueError(
            f"groups has {len(groups)} entries for {n_clips} clips; expected one for each clip, "
            "for example its track, album or artist."
        )
    return groups


def check_groups(groups: Any, position: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return a number for the group of each distinct clip.

    Parameters
    ----------
    groups : array-like of shape (n_clips,)
        Groups of the clips as they came.
    position : ndarray of int, shape (n_clips,)
        For each of them its place among the distinct clips, or -1.

    Returns
    -------
    codes : ndarray of int, shape (n_distinct,)
        Groups; a clip that came in several of them belongs to the first in sorting order.
    """
    groups = check_group_count(groups, len(position))
    _, codes = np.unique(groups, return_inverse=True)
    kept = position >= 0
    first = np.full(position.max() + 1, len(groups), dtype=np.intp)
    np.minimum.at(first, position[kept], codes[kept])
    return first
