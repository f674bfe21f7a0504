"""What an expert accepts: parameters and spectrograms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import check_scalar
from sklearn.utils.validation import validate_data

from .._memmap import release_pages
from .._validation import check_finite, kind_of_clips, without_torch
from ..domains import DomainBatch
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
