"""Pictures of fitted models and of what they see."""

from ._domain import DomainDisplay
from ._expert_agreement import ExpertAgreementDisplay
from ._learning_history import LearningHistoryDisplay
from ._mixture_weights import MixtureWeightsDisplay
from ._timeline import TimelineDisplay

__all__ = [
    "DomainDisplay",
    "ExpertAgreementDisplay",
    "LearningHistoryDisplay",
    "MixtureWeightsDisplay",
    "TimelineDisplay",
]
