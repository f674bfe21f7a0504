"""Tiny synthetic clips and experts for the tests of the mixture."""

from typing import Any

import numpy as np
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklearn_genremoe import CNNClassifier
from sklearn_genremoe.domains import DomainBatch

CNN: dict[str, Any] = {"channels": (2, 2), "max_epochs": 1, "batch_size": 8}


def flatten(X: Any) -> np.ndarray:
    """Lay the bins and frames of each clip side by side."""
    return np.asarray(X).reshape(len(X), -1)


def quick_expert() -> Any:
    """A classifier of 3-D spectrograms that is trained at once."""
    return make_pipeline(FunctionTransformer(flatten), GaussianNB())


def quick_experts() -> list[tuple[str, Any]]:
    return [("original", quick_expert()), ("harmonic", quick_expert())]


def cnn_experts(**params: Any) -> list[tuple[str, Any]]:
    return [(name, CNNClassifier(**CNN, **params)) for name in ("original", "harmonic")]


def two_cues(n_clips: int = 48, seed: int = 0) -> tuple[DomainBatch, np.ndarray, np.ndarray]:
    """Clips whose genre shows in one of two domains only, and which one shows in the clip.

    Returns the clips, their genres, and for each the number of the informative domain: 0 for
    the original, 1 for the harmonic one. The first frame of the original domain is loud where
    the harmonic domain is the informative one.
    """
    rng = np.random.default_rng(seed)
    informative = np.arange(n_clips) % 2
    genre = np.arange(n_clips) // 2 % 2
    original = rng.normal(size=(n_clips, 6, 8))
    harmonic = rng.normal(size=(n_clips, 6, 8))
    cue = 4.0 * (2 * genre - 1)
    original[:, 3, 4:] += np.where(informative == 0, cue, 0)[:, None]
    harmonic[:, 3, 4:] += np.where(informative == 1, cue, 0)[:, None]
    original[:, :, 0] += 6.0 * (2 * informative - 1)[:, None]
    batch = DomainBatch({"original": original, "harmonic": harmonic})
    return batch, np.array(["folk", "rock"])[genre], informative
