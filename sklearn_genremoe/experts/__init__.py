"""From spectrograms to probabilities: the k2c2 network as a scikit-learn classifier."""

from ._augment import FrequencyMask, Mixup, TimeMask
from ._cnn import CNNClassifier
from ._sets import default_experts, paper_experts, pretrained_experts

__all__ = [
    "CNNClassifier",
    "FrequencyMask",
    "Mixup",
    "TimeMask",
    "default_experts",
    "paper_experts",
    "pretrained_experts",
]
