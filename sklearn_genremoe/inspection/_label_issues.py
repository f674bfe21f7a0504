"""Which labels are probably wrong."""

import numpy as np
from numpy.typing import NDArray


def confident_learning(
    codes: NDArray, proba: NDArray
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Find suspicious labels from out-of-fold probabilities.

    Parameters
    ----------
    codes : ndarray of shape (n_clips,)
        The column of each clip's label.
    proba : ndarray of shape (n_clips, n_classes)
        Out-of-fold probabilities, without NaN.

    Returns
    -------
    is_issue : ndarray of bool of shape (n_clips,)
        Whether the clip is counted off the diagonal of the confident joint: among the classes whose
        probability reaches the mean that clips with that label have, another one than its label is
        the most probable.
    margin : ndarray of shape (n_clips,)
        The normalised margin: the label's probability minus the largest of the others, -1 to 1. The
        lower, the more suspicious.

    References
    ----------
    Northcutt, Jiang, Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels",
    Journal of Artificial Intelligence Research 70, 2021.
    """
    n_clips, n_classes = proba.shape
    rows = np.arange(n_clips)
    labelled = np.eye(n_classes)[codes]
    counts = np.maximum(labelled.sum(axis=0), 1)
    thresholds = (labelled * proba).sum(axis=0) / counts
    confident = np.where(proba >= thresholds, proba, -1.0)
    is_issue = (confident.max(axis=1) >= 0) & (confident.argmax(axis=1) != codes)
    others = np.where(labelled == 1, -1.0, proba)
    return is_issue, proba[rows, codes] - others.max(axis=1)
