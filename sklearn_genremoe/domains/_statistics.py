"""What classical methods see of a spectrogram."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def time_statistics(X: Any) -> NDArray[np.float64]:
    """Sum up each bin of spectrograms by three numbers.

    With a ``FunctionTransformer``, any classifier for tables becomes an expert.

    Parameters
    ----------
    X : array-like of shape (n_clips, n_bins, n_frames)
        The spectrograms; may be mapped from a file.

    Returns
    -------
    statistics : ndarray of shape (n_clips, 3 * n_bins)
        Mean over time, standard deviation over time, and standard deviation of the differences
        between successive frames (zero for a single frame).

    Raises
    ------
    ValueError
        If `X` doesn't have three dimensions, or no frames.

    See Also
    --------
    sklearn_genremoe.default_experts : Two of these learn from such statistics.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import FunctionTransformer, StandardScaler
    >>> from sklearn_genremoe import MFCC
    >>> from sklearn_genremoe.datasets import make_genre_clips
    >>> from sklearn_genremoe.domains import time_statistics
    >>> X, y = make_genre_clips(12, random_state=0)
    >>> clf = make_pipeline(
    ...     MFCC(duration=2.0),
    ...     FunctionTransformer(time_statistics),
    ...     StandardScaler(),
    ...     LogisticRegression(C=0.1),
    ... )
    >>> clf.fit(X, y).score(X, y)
    1.0
    """
    if np.ndim(X) != 3 or np.shape(X)[2] == 0:
        raise ValueError(
            f"X has the shape {np.shape(X)}; time_statistics expects spectrograms of shape "
            "(n_clips, n_bins, n_frames) with at least one frame, as the feature domains give them."
        )
    _, n_bins, n_frames = np.shape(X)
    statistics = np.zeros((len(X), 3, n_bins))
    for clip, (mean, deviation, change) in zip(X, statistics):  # a clip at a time: X may be large
        frames = np.asarray(clip, dtype=np.float64)
        mean[:] = frames.mean(axis=1)
        deviation[:] = frames.std(axis=1)
        if n_frames > 1:
            change[:] = np.diff(frames, axis=1).std(axis=1)
    return statistics.reshape(len(X), -1)
