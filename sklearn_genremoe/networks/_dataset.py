"""Training clips: which ones there are, how much each counts, and their way into a network."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold, StratifiedShuffleSplit
from sklearn.utils import check_random_state

from .._rows import release_pages

# Clips go to another device in pieces of about this many bytes.
_CHUNK_BYTES = 1 << 24


def merge_duplicates(
    arrays: Sequence[NDArray[Any]],
    y: NDArray[np.intp],
    sample_weight: NDArray[Any] | None = None,
) -> tuple[NDArray[np.intp], NDArray[np.float64], NDArray[np.intp]]:
    """Reduce training clips to the distinct ones, weighted, in an order of their own.

    Training here is defined on the *multiset* of clips: a weight of zero means that the clip is
    absent, a weight of two that it is there twice, and the order in which the clips came does
    not matter. So clips of equal content and label become one whose weight is the sum, and the
    order is that of a hash of their content.

    Parameters
    ----------
    arrays : sequence of ndarray, each of shape (n_clips, ...)
        What makes up the content of a clip; compared as float32.
    y : ndarray of int, shape (n_clips,)
        Labels.
    sample_weight : ndarray of shape (n_clips,) or None, default=None
        Weights, not negative. None gives each clip the weight 1.

    Returns
    -------
    rows : ndarray of int, shape (n_distinct,)
        One row for each distinct clip, in canonical order.
    weights : ndarray of float, shape (n_distinct,)
        Their weights.
    position : ndarray of int, shape (n_clips,)
        For each clip its place in ``rows``, -1 for those of weight zero.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[1.0, 2.0], [3.0, 4.0], [1.0, 2.0], [5.0, 6.0]])
    >>> rows, weights, _ = merge_duplicates([X], np.zeros(4, int), np.array([1.0, 1.0, 2.0, 0.0]))
    >>> sorted(zip(rows.tolist(), weights.tolist()))
    [(0, 3.0), (1, 1.0)]
    """
    weight = np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight, dtype=float)
    kept = np.flatnonzero(weight)
    keys = np.array([_content_key(arrays, row) + int(y[row]).to_bytes(8, "big") for row in kept])
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    position = np.full(len(y), -1, dtype=np.intp)
    position[kept] = inverse
    weights: NDArray[np.float64] = np.bincount(inverse, weight[kept]).astype(np.float64)
    return kept[first], weights, position


def _content_key(arrays: Sequence[NDArray[Any]], row: np.intp) -> bytes:
    digest = hashlib.sha256()
    for array in arrays:
        # Adding zero turns -0.0 into 0.0: what compares equal has to hash equal.
        content = np.ascontiguousarray(array[row], dtype=np.float32) + np.float32(0)
        digest.update(content.tobytes())
        release_pages(array)
    return digest.digest()


def split_validation(
    y: NDArray[np.intp],
    fraction: float,
    groups: NDArray[np.intp] | None,
    seed: int,
    classes: NDArray[Any],
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Split clips into those to learn from and those to watch the loss on.

    Parameters
    ----------
    y : ndarray of int, shape (n_clips,)
        Labels; each has the same share in both parts, as nearly as possible.
    fraction : float
        Share to hold out, between 0 and 1.
    groups : ndarray of int, shape (n_clips,), or None
        Clips of the same group stay together.
    seed : int
        Determines the choice.
    classes : ndarray of shape (n_classes,)
        What the labels stand for, to be named in messages.

    Returns
    -------
    training, validation : ndarray of int
        Positions.

    Raises
    ------
    ValueError
        If the clips can't be divided like this.
    """
    units = np.column_stack([y, np.arange(len(y)) if groups is None else groups])
    counts = np.bincount(np.unique(units, axis=0)[:, 0])
    rare = ", ".join(str(label) for label in classes[: len(counts)][counts == 1])
    what, instead = f"validation_fraction={fraction}", "use another fraction, or None"
    if rare:
        raise ValueError(
            f"{what} needs two {'distinct clips' if groups is None else 'groups'} or more of each "
            f"class, one to hold out and one to learn from, but there is one only of {rare}. Add "
            f"clips, leave the class out, or set validation_fraction=None."
        )
    try:
        if groups is None:
            splitter = StratifiedShuffleSplit(1, test_size=fraction, random_state=seed)
            training, validation = next(splitter.split(np.zeros(len(y)), y))
        else:
            n_parts = max(2, round(1 / fraction))
            training, validation = split_groups(n_parts, y, groups, seed)
    except ValueError as error:
        raise ValueError(
            f"{what} of {len(y)} distinct clips doesn't give one of each class to both parts: add "
            f"clips, {instead}."
        ) from error
    lost = np.setdiff1d(y, y[training])
    if len(lost):
        raise ValueError(
            f"{what} by groups would leave {', '.join(str(label) for label in classes[lost])} "
            f"without training clips: add groups, {instead}."
        )
    return training, validation


def split_groups(
    n_parts: int, y: NDArray[Any], groups: NDArray[Any], random_state: Any
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Hold out about one in `n_parts` clips: stratified, whole groups, drawn at random.

    Equal to the first split of a ``StratifiedGroupKFold`` that shuffles; before scikit-learn
    1.8 that one stratified by the labels of other groups.

    Parameters
    ----------
    n_parts : int
        How many parts of the clips there are, of which one is held out.
    y : ndarray of shape (n_clips,)
        Labels.
    groups : ndarray of shape (n_clips,)
        What must stay together.
    random_state : int, RandomState instance or None
        Determines the choice.

    Returns
    -------
    training, held_out : ndarray of int
        Positions.
    """
    _, codes = np.unique(groups, return_inverse=True)
    order = np.arange(codes.max() + 1)
    check_random_state(random_state).shuffle(order)
    folds = StratifiedGroupKFold(n_parts).split(np.zeros(len(y)), y, np.argsort(order)[codes])
    return next(folds)


class ClipDataset(torch.utils.data.Dataset):
    """Weighted training clips that are read from their array only when a batch asks for them.

    Parameters
    ----------
    X : ndarray or tensor of shape (n_clips, [n_channels,] n_bins, n_frames)
        Spectrograms: an array, possibly memory-mapped, or a tensor on the network's device.
    y : ndarray of int, shape (n_distinct,)
        Labels of the clips in ``rows``.
    rows : ndarray of int, shape (n_distinct,)
        Which clips of ``X`` are used.
    weights : ndarray of shape (n_distinct,)
        Their weights.
    """

    def __init__(
        self,
        X: NDArray[Any] | torch.Tensor,
        y: NDArray[np.intp],
        rows: NDArray[np.intp],
        weights: NDArray[Any],
    ) -> None:
        self.X = X
        self.y = np.asarray(y, dtype=np.int64)
        self.rows = rows
        self.weights = np.asarray(weights, dtype=np.float32)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, batch: NDArray[np.intp]) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        clips = self.X[self.rows[batch]]
        release_pages(self.X)
        if isinstance(clips, np.ndarray):
            clips = torch.from_numpy(np.ascontiguousarray(clips, dtype=np.float32))
        weights = torch.from_numpy(self.weights[batch])
        return {"X": clips, "sample_weight": weights}, torch.from_numpy(self.y[batch])

    def bin_statistics(self) -> tuple[torch.Tensor, torch.Tensor, float]:
        """Return mean and deviation of each bin (and channel) over all clips, and their weight.

        The deviation of a bin is zero where it is within rounding of that.
        """
        *shape, n_frames = self.X.shape[1:]
        total, square = np.zeros(shape), np.zeros(shape)
        for batch in self._pieces():
            clips = self[batch][0]["X"].numpy().astype(np.float64)
            total += np.einsum("n,n...t->...", self.weights[batch], clips)
            square += np.einsum("n,n...t,n...t->...", self.weights[batch], clips, clips)
        n_cells = self.weights.sum(dtype=np.float64) * n_frames
        mean, power = total / n_cells, square / n_cells
        variance = power - mean**2
        variance[variance < 1e-12 * power] = 0
        return torch.from_numpy(mean), torch.from_numpy(np.sqrt(variance)), float(n_cells)

    def _pieces(self) -> list[NDArray[np.intp]]:
        """Return the positions of all clips, in pieces that are small in memory."""
        step = max(1, _CHUNK_BYTES // (4 * int(np.prod(self.X.shape[1:]))))
        return np.split(np.arange(len(self)), range(step, len(self), step))

    def take(self, which: NDArray[np.intp]) -> ClipDataset:
        """Return the dataset of some of the clips; their spectrograms are not copied."""
        return ClipDataset(self.X, self.y[which], self.rows[which], self.weights[which])

    def on(self, device: str) -> ClipDataset:
        """Return the dataset with its clips on the GPU, where they fit in half its free memory.

        On other devices it is the dataset itself: the CPU reads from the array, and what MPS has
        is the memory of the machine.

        Parameters
        ----------
        device : str
            The device of the network.
        """
        if torch.device(device).type != "cuda":
            return self
        n_bytes = 4 * len(self) * int(np.prod(self.X.shape[1:]))
        free, _ = torch.cuda.mem_get_info(device)
        return self.copy_to(device) if n_bytes <= free // 2 else self

    def copy_to(self, device: str) -> ClipDataset:
        """Return the dataset with its clips copied to a device, piece by piece.

        Parameters
        ----------
        device : str
            Where to put them.
        """
        clips = torch.empty(len(self), *self.X.shape[1:], device=device)
        for batch in self._pieces():
            clips[batch[0] : batch[-1] + 1] = self[batch][0]["X"]
        return ClipDataset(clips, self.y, np.arange(len(self)), self.weights)
