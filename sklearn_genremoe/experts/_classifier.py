"""The CNN expert as a scikit-learn classifier."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    _check_sample_weight,
    check_consistent_length,
    check_is_fitted,
    column_or_1d,
    validate_data,
)

from ._network import K2C2
from ._training import (
    ADAM_EPS,
    ClipDataset,
    GenreNet,
    InverseTimeDecay,
    ProgressBar,
    merge_duplicates,
    predict_logits,
    resolve_device,
)


class CNNClassifier(ClassifierMixin, BaseEstimator):
    """A convolutional network that tells genres apart in one kind of spectrogram."""

    def __init__(
        self,
        channels=(64, 128, 128, 192, 256),
        pool_sizes="auto",
        dropout=0.0,
        max_epochs=50,
        batch_size=16,
        lr=5e-3,
        lr_decay=1e-2,
        augment=None,
        validation_fraction=None,
        early_stopping=False,
        class_weight=None,
        device="auto",
        callbacks=None,
        warm_start=False,
        random_state=None,
        verbose=0,
    ):
        self.channels = channels
        self.pool_sizes = pool_sizes
        self.dropout = dropout
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.lr_decay = lr_decay
        self.augment = augment
        self.validation_fraction = validation_fraction
        self.early_stopping = early_stopping
        self.class_weight = class_weight
        self.device = device
        self.callbacks = callbacks
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.classifier_tags.poor_score = True  # a few clips don't train a network
        return tags

    def fit(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> CNNClassifier:
        """Train a new network."""
        X = self._check_clips(X, reset=True)
        if y is None:
            raise ValueError("requires y to be passed, but the target y is None")
        y = column_or_1d(y, warn=True)
        check_consistent_length(X, y)
        check_classification_targets(y)
        weight = None
        if sample_weight is not None:
            weight = _check_sample_weight(sample_weight, X, ensure_non_negative=True)
            if not weight.any():
                raise ValueError("All entries of sample_weight are zero: no clip is left to fit.")
        kept = slice(None) if weight is None else weight > 0
        if len(np.unique(y[kept])) < 2:
            raise ValueError(
                "Only one class is present in y; a classifier needs clips of at least two classes."
            )
        self.classes_, encoded = np.unique(y, return_inverse=True)
        rows, weights, _ = merge_duplicates([X], encoded, weight)
        seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        callbacks = [InverseTimeDecay(self.lr, self.lr_decay)]
        if self.verbose:
            callbacks.append(ProgressBar())
        net = GenreNet(
            K2C2,
            module__n_classes=len(self.classes_),
            module__input_shape=X.shape[1:],
            module__channels=tuple(self.channels),
            module__pool_sizes=self.pool_sizes,
            module__dropout=self.dropout,
            criterion=torch.nn.CrossEntropyLoss,
            criterion__reduction="none",
            optimizer=torch.optim.Adam,
            optimizer__eps=ADAM_EPS,
            lr=self.lr,
            batch_size=self.batch_size,
            train_split=None,
            callbacks=callbacks + list(self.callbacks or []),
            device=str(resolve_device(self.device)),
            seed=seed,
            verbose=0,
        ).initialize()
        net.train(ClipDataset(X, encoded[rows], rows, weights), self.max_epochs)
        self.input_shape_ = X.shape[1:]
        self.net_ = net
        self.history_ = net.history
        self.n_iter_ = len(net.history)
        return self

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return the probability of each class for each clip."""
        check_is_fitted(self, "net_")
        X = self._check_clips(X, reset=False)
        logits = predict_logits(self.net_.module_, X, torch.device(self.net_.device))
        odds = np.exp(logits - logits.max(axis=1, keepdims=True), dtype=np.float64)
        return odds / odds.sum(axis=1, keepdims=True)

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Return the most probable class of each clip."""
        probabilities = self.predict_proba(X)
        return self.classes_[probabilities.argmax(axis=1)]

    def _check_clips(self, X: ArrayLike, reset: bool) -> NDArray[Any]:
        X = validate_data(self, X, reset=reset, allow_nd=True)
        if X.ndim == 2:
            X = X[:, :, np.newaxis]
        if X.ndim != 3:
            raise ValueError(
                f"Expected spectrograms of shape (n_clips, n_bins, n_frames), found {X.ndim} "
                f"dimensions: {X.shape}."
            )
        if not reset and X.shape[1:] != self.input_shape_:
            raise ValueError(
                f"X has clips of shape {X.shape[1:]}, but {type(self).__name__} is expecting "
                f"{self.input_shape_} (bins, frames) as in fit."
            )
        return X
