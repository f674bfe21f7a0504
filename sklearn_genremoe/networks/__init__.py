"""What experts and gates train with: networks, their training and their inference."""

from ._data import ClipDataset, merge_duplicates, split_groups, split_validation
from ._gate import RecurrentGate
from ._network import K2C2, check_channels, resolve_pool_sizes
from ._training import (
    ADAM_EPS,
    GenreNet,
    InverseTimeDecay,
    OneCycle,
    ProgressBar,
    ValidationStopping,
    net_state,
    predict_logits,
    resolve_device,
    restore_net,
)

__all__ = [
    "ADAM_EPS",
    "K2C2",
    "ClipDataset",
    "GenreNet",
    "InverseTimeDecay",
    "OneCycle",
    "ProgressBar",
    "RecurrentGate",
    "ValidationStopping",
    "check_channels",
    "merge_duplicates",
    "net_state",
    "predict_logits",
    "resolve_device",
    "resolve_pool_sizes",
    "restore_net",
    "split_groups",
    "split_validation",
]
