"""From spectrograms to probabilities: the k2c2 network as a scikit-learn classifier."""

from ._augment import FrequencyMask, Mixup, TimeMask
from ._classifier import CNNClassifier

__all__ = ["CNNClassifier", "FrequencyMask", "Mixup", "TimeMask"]
