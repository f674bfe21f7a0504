"""From spectrograms to probabilities: the k2c2 network as a scikit-learn classifier."""

from ._cnn import CNNClassifier
from ._sets import default_experts, paper_experts, pretrained_experts

__all__ = [
    "CNNClassifier",
    "default_experts",
    "paper_experts",
    "pretrained_experts",
]
