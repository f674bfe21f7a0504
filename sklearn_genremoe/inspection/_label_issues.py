"""Which labels are probably wrong."""

import numpy as np
from numpy.typing import NDArray


def confident_learning(codes: NDArray, proba: NDArray) -> NDArray[np.bool_]:
    """Tell which labels are doubted by out-of-fold probabilities.

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

    References
    ----------
    Northcutt, Jiang, Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels",
    Journal of Artificial Intelligence Research 70, 2021.
    """
    labelled = np.eye(proba.shape[1])[codes]
    thresholds = (labelled * proba).sum(axis=0) / np.maximum(labelled.sum(axis=0), 1)
    confident = np.where(proba >= thresholds, proba, -1.0)
    return (confident.max(axis=1) >= 0) & (confident.argmax(axis=1) != codes)
