"""Pictures of fitted models, of what they see, and reports on collections."""

from ._collection import CollectionReport
from ._compare import ComparisonDisplay, compare
from ._corrections import apply_corrections
from ._domain import DomainDisplay
from ._expert_agreement import ExpertAgreementDisplay
from ._exports import save_audacity_labels, save_beets_changes, save_playlists
from ._learning_history import LearningHistoryDisplay
from ._mixture_weights import MixtureWeightsDisplay
from ._timeline import TimelineDisplay

__all__ = [
    "CollectionReport",
    "ComparisonDisplay",
    "DomainDisplay",
    "ExpertAgreementDisplay",
    "LearningHistoryDisplay",
    "MixtureWeightsDisplay",
    "TimelineDisplay",
    "apply_corrections",
    "compare",
    "save_audacity_labels",
    "save_beets_changes",
    "save_playlists",
]
