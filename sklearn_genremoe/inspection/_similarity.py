"""Which clips sound alike."""

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler, normalize

# Cosines of standardised features from which clips are taken for the same recording: of tables such
# as embeddings, and of mean and deviation of spectrograms. Measured, see the user guide.
TABLES_ALIKE, SPECTROGRAMS_ALIKE = 0.8, 0.95


def unit_vectors(features: NDArray) -> NDArray[np.float32]:
    """Return features standardised over the clips and scaled to length 1."""
    return normalize(StandardScaler().fit_transform(np.asarray(features, dtype=np.float32)))


def most_similar(
    vectors: NDArray, n: int, of: NDArray | None = None
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return which vectors are most similar to each, or to each of others, and their cosines."""
    finder = NearestNeighbors(n_neighbors=n, algorithm="brute").fit(vectors)
    distances, rows = finder.kneighbors(of)
    return rows, 1 - distances**2 / 2


def most_informative(
    uncertainty: NDArray, vectors: NDArray, labelled: NDArray, n: int
) -> list[int]:
    """Choose clips one by one: uncertain, and unlike those that are labelled or were chosen."""
    distance = 1 - most_similar(labelled, 1, vectors)[1][:, 0]
    chosen: list[int] = []
    for _ in range(min(n, len(vectors))):
        score = uncertainty * distance
        score[chosen] = -np.inf
        chosen.append(int(score.argmax()))
        distance = np.minimum(distance, 1 - vectors @ vectors[chosen[-1]])
    return chosen
