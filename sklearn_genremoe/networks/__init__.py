"""What experts and gates train with: networks, their training and their inference."""

from ._data import ClipDataset, merge_duplicates, split_groups, split_validation
from ._estimator import NetEstimator
from ._network import K2C2, RecurrentGate, check_channels, resolve_pool_sizes
from ._training import (
    GenreNet,
    LearningRate,
    ProgressBar,
    ValidationStopping,
    net_state,
    resolve_device,
    restore_net,
)

__all__ = [
    "K2C2",
    "ClipDataset",
    "GenreNet",
    "LearningRate",
    "NetEstimator",
    "ProgressBar",
    "RecurrentGate",
    "ValidationStopping",
    "check_channels",
    "merge_duplicates",
    "net_state",
    "resolve_device",
    "resolve_pool_sizes",
    "restore_net",
    "split_groups",
    "split_validation",
]
