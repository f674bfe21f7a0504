"""What experts and gates train with: networks, their training and their inference."""

from ._callbacks import InverseTimeDecay, OneCycle, ProgressBar, ValidationStopping
from ._dataset import ClipDataset, merge_duplicates, split_groups, split_validation
from ._inference import predict_logits
from ._k2c2 import K2C2, check_channels, resolve_pool_sizes
from ._net import ADAM_EPS, GenreNet, resolve_device
from ._recurrent_gate import RecurrentGate
from ._state import net_state, restore_net

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
