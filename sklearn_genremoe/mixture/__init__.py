"""From the opinions of the experts to one opinion."""

from ._base import BaseMixer
from ._classifier import MixtureOfExpertsClassifier
from ._gates import CNNMixer, RNNMixer
from ._mixers import BalancedMixer, LogPoolMixer, StackingMixer
from ._paper import paper_experts

__all__ = [
    "BalancedMixer",
    "BaseMixer",
    "CNNMixer",
    "LogPoolMixer",
    "MixtureOfExpertsClassifier",
    "RNNMixer",
    "StackingMixer",
    "paper_experts",
]
