"""From the opinions of the experts to one opinion."""

from ._base import BaseMixer
from ._classifier import MixtureOfExpertsClassifier
from ._gates import CNNMixer, RNNMixer
from ._mixers import BalancedMixer, LogPoolMixer, StackingMixer

__all__ = [
    "BalancedMixer",
    "BaseMixer",
    "CNNMixer",
    "LogPoolMixer",
    "MixtureOfExpertsClassifier",
    "RNNMixer",
    "StackingMixer",
]
