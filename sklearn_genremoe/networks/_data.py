"""Training clips: which ones there are, how much each counts, and their batches."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
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
    arrays: Sequence[NDArray[Any]], y: NDArray[np.intp], sample_weight: NDArray[Any]
) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Reduce training clips to distinct ones, weighted, in the order of a hash of their content.

    Returns the first row of each, none for those of weight zero, and their weights. Contents are
    compared as float32.
    """
    kept = np.flatnonzero(sample_weight)
    keys = np.array([_content_key(arrays, row) + int(y[row]).to_bytes(8, "big") for row in kept])
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    return kept[first], np.bincount(inverse, sample_weight[kept]).astype(np.float32)


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
    """Return clips to learn from and to watch the loss on: stratified, groups kept together."""
    units = np.column_stack([y, np.arange(len(y)) if groups is None else groups])
    lost = np.flatnonzero(np.bincount(np.unique(units, axis=0)[:, 0]) == 1)
    if not len(lost):
        try:
            if groups is None:
                splitter = StratifiedShuffleSplit(1, test_size=fraction, random_state=seed)
                training, validation = next(splitter.split(y, y))
            else:
                training, validation = split_groups(max(2, round(1 / fraction)), y, groups, seed)
            lost = np.setdiff1d(y, y[training])
        except ValueError:  # fewer clips in a part, or groups, than classes or folds
            lost = np.unique(y)
    if len(lost):
        raise ValueError(
            f"validation_fraction={fraction} of {len(y)} distinct clips leaves too few "
            f"{'clips' if groups is None else 'groups'} of {', '.join(map(str, classes[lost]))} to "
            "hold out and to learn from, which takes two or more. Add some, leave the class out, "
            "use another fraction, or set validation_fraction=None."
        )
    return training, validation


def split_groups(
    n_parts: int, y: NDArray[Any], groups: NDArray[Any], random_state: Any
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Hold out about one in `n_parts` clips: stratified, whole groups, drawn at random.

    Equal to the first split of a ``StratifiedGroupKFold`` that shuffles; before scikit-learn
    1.8 that one stratified by the labels of other groups.
    """
    _, codes = np.unique(groups, return_inverse=True)
    order = np.arange(codes.max() + 1)
    check_random_state(random_state).shuffle(order)
    return next(StratifiedGroupKFold(n_parts).split(y, y, np.argsort(order)[codes]))


@dataclass(eq=False)
class ClipDataset(torch.utils.data.Dataset):
    """Weighted training clips that are read from their array only when a batch asks for them.

    `X` (n_clips, [n_channels,] n_bins, n_frames) is an array, possibly memory-mapped, or a tensor
    on the network's device; `y` (n_rows, ...) and `weights` belong to its `rows`.
    """

    X: NDArray[Any] | torch.Tensor
    y: NDArray[Any]
    rows: NDArray[np.intp]
    weights: NDArray[Any]

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
        """Return the dataset of some of the clips, which are not copied."""
        return ClipDataset(self.X, self.y[which], self.rows[which], self.weights[which])

    def on(self, device: str) -> ClipDataset:
        """Return the dataset with its clips on the GPU, where they fit in half its free memory."""
        n_bytes = 4 * len(self) * int(np.prod(self.X.shape[1:]))
        is_gpu = torch.device(device).type == "cuda"
        fits = is_gpu and n_bytes <= torch.cuda.mem_get_info(device)[0] // 2
        return self.copy_to(device) if fits else self

    def copy_to(self, device: str) -> ClipDataset:
        """Return the dataset with its clips copied to a device, piece by piece."""
        clips = torch.empty(len(self), *self.X.shape[1:], device=device)
        for batch in self._pieces():
            clips[batch[0] : batch[-1] + 1] = self[batch][0]["X"]
        return ClipDataset(clips, self.y, np.arange(len(self)), self.weights)


@dataclass
class Batches:
    """A dataset in batches: in order, or with `rng` drawn anew and cropped to `n_frames`."""

    dataset: Any
    batch_size: int
    rng: np.random.Generator | None = None
    n_frames: int | None = None

    def __len__(self) -> int:
        return -(-len(self.dataset) // self.batch_size)

    def __iter__(self) -> Iterator[Any]:
        n_clips = len(self.dataset)
        order = np.arange(n_clips) if self.rng is None else self.rng.permutation(n_clips)
        for start in range(0, n_clips, self.batch_size):
            inputs, y = self.dataset[order[start : start + self.batch_size]]
            if self.rng is not None and self.n_frames and isinstance(inputs, dict):
                n_places = inputs["X"].shape[-1] - self.n_frames + 1
                if n_places > 1:
                    starts = self.rng.integers(0, n_places, len(inputs["X"]))
                    inputs["X"] = torch.stack(
                        [x[..., s : s + self.n_frames] for x, s in zip(inputs["X"], starts)]
                    )
            yield inputs, y
