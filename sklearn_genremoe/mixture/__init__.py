"""From the predicted probabilities of the experts to one answer."""

from ._base import BaseMixer
from ._gates import CNNMixer, RNNMixer
from ._mixture import MixtureOfExpertsClassifier
from ._pools import BalancedMixer, LogPoolMixer
from ._stacking import StackingMixer
from ._windowed import WindowedClassifier

__all__ = [
    "BalancedMixer",
    "BaseMixer",
    "CNNMixer",
    "LogPoolMixer",
    "MixtureOfExpertsClassifier",
    "RNNMixer",
    "StackingMixer",
    "WindowedClassifier",
]
