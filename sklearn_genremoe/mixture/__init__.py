"""From the predicted probabilities of the experts to one answer."""

from ._gates import CNNMixer, RNNMixer
from ._mixers import BalancedMixer, BaseMixer, LogPoolMixer, StackingMixer
from ._mixture import MixtureOfExpertsClassifier
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
