"""Pictures of fitted models."""

from ._mixture_weights import MixtureWeightsDisplay

__all__ = ["MixtureWeightsDisplay"]
