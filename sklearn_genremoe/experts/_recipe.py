"""From the parameters of an expert to a net that is ready to train."""

from __future__ import annotations

from typing import Any

import torch

from ..networks import (
    ADAM_EPS,
    K2C2,
    GenreNet,
    InverseTimeDecay,
    OneCycle,
    ProgressBar,
    ValidationStopping,
)
from ._augment import RandomCrop, as_sequence

# Epochs without improvement that early_stopping=True waits for.
_PATIENCE = 10


def make_net(estimator: Any, n_classes: int, seed: int = 0) -> GenreNet:
    """Return a new net as the parameters of an expert say.

    Parameters
    ----------
    estimator : CNNClassifier
        The expert, its parameters checked and its `input_shape_` set.
    n_classes : int
        Number of classes.
    seed : int, default=0
        Determines what is drawn.

    Returns
    -------
    net : GenreNet
        Not initialized.
    """
    n_bins, n_frames = estimator.input_shape_
    augment = as_sequence(estimator.augment)
    length = min(n_frames, estimator.crop_frames or n_frames)
    if length < n_frames:
        augment = [RandomCrop(length), *augment]
    callbacks: list[Any] = [
        OneCycle(estimator.lr)
        if estimator.schedule == "one_cycle"
        else InverseTimeDecay(estimator.lr, estimator.lr_decay)
    ]
    if estimator.early_stopping:
        patience = _PATIENCE if estimator.early_stopping is True else int(estimator.early_stopping)
        callbacks.append(ValidationStopping(patience=patience, threshold=0, load_best=True))
    if estimator.verbose:
        callbacks.append(ProgressBar())
    return GenreNet(
        K2C2,
        module__n_classes=n_classes,
        module__input_shape=(n_bins, length),
        module__channels=tuple(estimator.channels),
        module__pool_sizes=estimator.pool_sizes,
        module__dropout=estimator.dropout,
        module__padding=estimator.padding,
        module__pooling=estimator.pooling,
        module__norm_momentum=estimator.norm_momentum,
        module__pool_before_norm=estimator.pool_before_norm,
        module__scale_bins=estimator.scale_bins,
        module__center_bins=estimator.center_bins,
        criterion=torch.nn.CrossEntropyLoss,
        criterion__reduction="none",
        criterion__label_smoothing=estimator.label_smoothing,
        # Without weight decay this is Adam.
        optimizer=torch.optim.AdamW,
        optimizer__eps=ADAM_EPS,
        optimizer__weight_decay=0.0,
        optimizer__param_groups=[
            (name, {"weight_decay": estimator.weight_decay})
            for name in ("blocks.*.conv.weight", "head.weight")
        ],
        lr=estimator.lr,
        batch_size=estimator.batch_size,
        train_split=None,
        callbacks=[*callbacks, *(estimator.callbacks or [])],
        classes=list(range(n_classes)),
        device=estimator.device,
        seed=seed,
        augment=augment,
        verbose=0,
    )
