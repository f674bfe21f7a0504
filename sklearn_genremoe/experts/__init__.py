"""From spectrograms to probabilities: the k2c2 network as a scikit-learn classifier."""

from ._classifier import CNNClassifier

__all__ = ["CNNClassifier"]
