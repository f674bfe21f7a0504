"""What experts and gates train with: networks, their training and their inference."""

from ._data import ClipDataset, merge_duplicates, split_groups, split_validation
from ._estimator import NetEstimator
from ._network import K2C2, RecurrentGate, resolve_pool_sizes
from ._training import (
    GenreNet,
    LearningRate,
    ValidationStopping,
    resolve_device,
)

__all__ = [
    "K2C2",
    "ClipDataset",
    "GenreNet",
    "LearningRate",
    "NetEstimator",
    "RecurrentGate",
    "ValidationStopping",
    "merge_duplicates",
    "resolve_device",
    "resolve_pool_sizes",
    "split_groups",
    "split_validation",
]
