"""Which clips sound alike."""

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors

# Cosines of standardised features from which clips are taken for the same recording: of tables such
# as embeddings, and of mean and deviation of spectrograms. Measured, see the user guide.
TABLES_ALIKE, SPECTROGRAMS_ALIKE = 0.8, 0.95


def unit_vectors(features: NDArray, usable: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return features standardised over the usable clips and scaled to length 1; others are 0."""
    known = np.asarray(features, dtype=np.float32)[usable]
    deviation = known.std(axis=0)
    known = (known - known.mean(axis=0)) / np.where(deviation > 0, deviation, 1)
    known /= np.maximum(np.linalg.norm(known, axis=1, keepdims=True), 1e-12)
    vectors = np.zeros((len(features), known.shape[1]), dtype=np.float32)
    vectors[usable] = known
    return vectors


def distance(usual: NDArray, features: NDArray) -> NDArray[np.float64]:
    """Return the mean square of features that are standardised by what is usual."""
    deviation = usual.std(axis=0)
    return (((features - usual.mean(axis=0)) / np.where(deviation > 0, deviation, 1)) ** 2).mean(
        axis=1
    )


def most_similar(
    vectors: NDArray[np.float32], rows: NDArray[np.intp], n: int
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return for each of some clips the others that are most similar, and their cosines."""
    n = min(n, len(rows) - 1)
    finder = NearestNeighbors(n_neighbors=n, algorithm="brute")
    distances, places = finder.fit(vectors[rows]).kneighbors()  # without the clip itself
    return rows[places], 1 - distances**2 / 2


def most_informative(
    uncertainty: NDArray, vectors: NDArray | None, labelled: NDArray | None, n: int
) -> NDArray[np.intp]:
    """Choose clips one by one: uncertain, and unlike those that are labelled or were chosen."""
    distance = np.ones(len(uncertainty))
    if vectors is not None and labelled is not None and len(labelled):
        step = 1024
        for start in range(0, len(vectors), step):
            block = vectors[start : start + step] @ labelled.T
            distance[start : start + step] = 1 - block.max(axis=1)
    score = uncertainty.copy()
    chosen: list[int] = []
    for _ in range(min(n, len(score))):
        best = int(
            np.argmax(np.where(np.isin(np.arange(len(score)), chosen), -1, score * distance))
        )
        chosen.append(best)
        if vectors is not None:
            distance = np.minimum(distance, 1 - vectors @ vectors[best])
    return np.array(chosen, dtype=np.intp)
