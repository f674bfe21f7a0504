"""What every network here trains with: seeds, devices, batches, learning rate, the fit loop."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback, EarlyStopping, EpochTimer, PassthroughScoring
from tqdm.auto import tqdm

ADAM_EPS = 1e-7  # Keras' default; torch's is 1e-8

_seeding = threading.Lock()


@contextmanager
def local_seed(seed: int) -> Iterator[None]:
    """Seed torch for the body of a ``with`` and put its global state back afterwards.

    Only the CPU generator is concerned: networks are created there. One thread at a time, since
    the global generator is shared by all of them.
    """
    with _seeding, torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


def resolve_device(device: str) -> torch.device:
    """Return the torch device that is meant by ``device``.

    Parameters
    ----------
    device : str
        "auto" takes CUDA where there is one, then MPS, then the CPU; everything else is torch's
        own notation, for example "cpu" or "cuda:1".

    Raises
    ------
    ValueError
        If torch doesn't know the device or this machine doesn't have it.

    Examples
    --------
    >>> resolve_device("cpu")
    device(type='cpu')
    """
    has_mps = torch.backends.mps.is_available()
    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if has_mps else "cpu")
    try:
        resolved = torch.device(device)
    except RuntimeError as error:
        raise ValueError(f"device={device!r} is not known: {error}") from None
    available = {"cuda": torch.cuda.is_available(), "mps": has_mps}.get(resolved.type, True)
    if not available:
        raise ValueError(
            f"device={device!r} is not available here. Use device='auto' to take the best that is."
        )
    return resolved


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
    weight = np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight, float)
    kept = np.flatnonzero(weight)
    keys = np.array([_content_hash(arrays, row) + int(y[row]).to_bytes(8, "big") for row in kept])
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    position = np.full(len(y), -1, dtype=np.intp)
    position[kept] = inverse
    return kept[first], np.bincount(inverse, weight[kept]), position


def _content_hash(arrays: Sequence[NDArray[Any]], row: int) -> bytes:
    digest = hashlib.sha256()
    for array in arrays:
        # Adding zero turns -0.0 into 0.0, which compare equal and so must hash equal.
        digest.update(np.ascontiguousarray(array[row], dtype=np.float32) + np.float32(0))
    return digest.digest()


class ClipDataset(torch.utils.data.Dataset):
    """Weighted training clips that are read from their array only when a batch asks for them.

    Parameters
    ----------
    X : ndarray of shape (n_clips, ...)
        Spectrograms, possibly memory-mapped.
    y : ndarray of int, shape (n_distinct,)
        Labels of the clips in ``rows``.
    rows : ndarray of int, shape (n_distinct,)
        Which clips of ``X`` are used.
    weights : ndarray of shape (n_distinct,)
        Their weights.
    """

    def __init__(
        self,
        X: NDArray[Any],
        y: NDArray[np.intp],
        rows: NDArray[np.intp],
        weights: NDArray[np.float64],
    ) -> None:
        self.X = X
        self.y = torch.from_numpy(np.asarray(y, dtype=np.int64))
        self.rows = rows
        self.weights = torch.from_numpy(np.asarray(weights, dtype=np.float32))

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, batch: NDArray[np.intp]) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        clips = np.asarray(self.X[self.rows[batch]], dtype=np.float32)
        index = torch.from_numpy(batch)
        inputs = {"X": torch.from_numpy(clips), "sample_weight": self.weights[index]}
        return inputs, self.y[index]

    def take(self, which: NDArray[np.intp]) -> ClipDataset:
        """Return the dataset of some of the clips; their spectrograms are not copied."""
        return ClipDataset(
            self.X, self.y[which].numpy(), self.rows[which], self.weights[which].numpy()
        )


class Batches:
    """Iterate over a dataset in batches that it is indexed by.

    Parameters
    ----------
    dataset : dataset
        Anything with a length that takes an integer array as index.
    batch_size : int
        Clips per batch; the last one may have fewer.
    rng : numpy.random.Generator or None, default=None
        Draws a new order at each pass; None keeps the order.
    """

    def __init__(
        self, dataset: Any, batch_size: int, rng: np.random.Generator | None = None
    ) -> None:
        self.dataset = dataset
        self.batch_size = batch_size
        self.rng = rng

    def __len__(self) -> int:
        return -(-len(self.dataset) // self.batch_size)

    def __iter__(self) -> Iterator[Any]:
        n_clips = len(self.dataset)
        order = np.arange(n_clips) if self.rng is None else self.rng.permutation(n_clips)
        for start in range(0, n_clips, self.batch_size):
            yield self.dataset[order[start : start + self.batch_size]]


class InverseTimeDecay(Callback):
    """Lower the learning rate after each update: ``lr_t = lr / (1 + decay * t)``.

    This is the ``decay`` of Keras' optimizers; t counts updates from zero, over all epochs and
    over continued fits.

    Parameters
    ----------
    lr : float
        Learning rate of the first update.
    decay : float
        Decay per update.
    """

    def __init__(self, lr: float, decay: float) -> None:
        self.lr = lr
        self.decay = decay

    def initialize(self) -> InverseTimeDecay:
        """Start to count again."""
        self.n_updates_ = 0
        return self

    def on_batch_begin(
        self, net: Any, batch: Any = None, training: bool = False, **kw: Any
    ) -> None:
        """Set the rate of the coming update."""
        if training:
            for group in net.optimizer_.param_groups:
                group["lr"] = self.lr / (1 + self.decay * self.n_updates_)
            self.n_updates_ += 1


class ProgressBar(Callback):
    """Show the epochs and their losses as a tqdm bar on standard error."""

    def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **kw: Any) -> None:
        """Open the bar."""
        self.bar_ = tqdm(desc="training", unit="epoch")

    def on_epoch_end(self, net: Any, **kw: Any) -> None:
        """Show the losses of the epoch."""
        shown = {
            name: net.history[-1][name]
            for name in ("train_loss", "valid_loss")
            if name in net.history[-1]
        }
        self.bar_.set_postfix(shown)
        self.bar_.update()

    def on_train_end(self, net: Any, X: Any = None, y: Any = None, **kw: Any) -> None:
        """Close the bar."""
        self.bar_.close()
        del self.bar_


class _EnoughEpochsError(Exception):
    """An early-stopping callback asked for the end of the training."""


class GenreNet(NeuralNetClassifier):
    """A skorch net that weights its loss, never swallows an interrupt, and is silent.

    Batches are ``({"X": clips, "sample_weight": weights}, y)`` as :class:`ClipDataset` gives
    them; the loss of a batch is ``sum(w * l) / sum(w)``. Everything else is skorch's: its
    callbacks, history, ``save_params`` and so on work as documented there.
    """

    def __init__(self, module: Any, *args: Any, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(module, *args, **kwargs)
        self.seed = seed

    @property
    def _default_callbacks(self) -> list[tuple[str, Callback]]:
        return [
            ("epoch_timer", EpochTimer()),
            ("train_loss", PassthroughScoring(name="train_loss", on_train=True)),
            ("valid_loss", PassthroughScoring(name="valid_loss")),
        ]

    def initialize(self) -> GenreNet:
        """Create the network and all that goes with it, from this net's own seed."""
        with local_seed(self.seed):
            return super().initialize()

    def get_iterator(self, dataset: Any, training: bool = False) -> Batches:
        """Return batches: shuffled anew in each epoch for training, in order otherwise."""
        rng = np.random.default_rng([self.seed, len(self.history)]) if training else None
        return Batches(dataset, self.batch_size, rng)

    def infer(self, x: Any, **fit_params: Any) -> torch.Tensor:
        """Return the logits of a batch, with or without weights."""
        return super().infer(x["X"] if isinstance(x, dict) else x, **fit_params)

    def get_loss(self, y_pred: Any, y_true: Any, X: Any = None, training: bool = False) -> Any:
        """Return the weighted mean loss of a batch."""
        losses = super().get_loss(y_pred, y_true, X=X, training=training)
        weight = X["sample_weight"].to(losses.device)
        return (weight * losses).sum() / weight.sum()

    def notify(self, method_name: str, **cb_kwargs: Any) -> None:
        """Tell the callbacks what happens; know an early stop from a user's interrupt."""
        try:
            super().notify(method_name, **cb_kwargs)
        except KeyboardInterrupt:
            # EarlyStopping asks for the end in the way in which the user interrupts.
            stops = (cb for _, cb in self.callbacks_ if isinstance(cb, EarlyStopping))
            if method_name == "on_epoch_end" and any(cb.misses_ == cb.patience for cb in stops):
                raise _EnoughEpochsError from None
            raise

    def train(self, dataset: ClipDataset, epochs: int) -> GenreNet:
        """Run some epochs; an interrupt goes up to the caller instead of ending them silently."""
        self.notify("on_train_begin", X=dataset, y=None)
        try:
            self.fit_loop(dataset, None, epochs=epochs)
        except _EnoughEpochsError:
            pass
        finally:
            self.notify("on_train_end", X=dataset, y=None)
        return self


@torch.inference_mode()
def predict_logits(
    module: torch.nn.Module, X: NDArray[Any], device: torch.device, batch_size: int = 1
) -> NDArray[np.float32]:
    """Return a module's outputs for many clips, read from their array batch by batch.

    On the CPU one clip at a time is the default: its activations stay in the cache, and the
    answer for a clip can't depend on its neighbours.

    Parameters
    ----------
    module : torch.nn.Module
        Maps (n, bins, frames) to (n, n_outputs).
    X : ndarray of shape (n_clips, n_bins, n_frames)
        Spectrograms.
    device : torch.device
        Where the module is.
    batch_size : int, default=1
        Clips per call.

    Returns
    -------
    logits : ndarray of shape (n_clips, n_outputs)
        Outputs, float32.
    """
    module.eval()
    outputs = []
    for start in range(0, len(X), batch_size):
        clips = np.asarray(X[start : start + batch_size], dtype=np.float32)
        outputs.append(module(torch.from_numpy(clips).to(device)).float().cpu().numpy())
    return np.concatenate(outputs)
