"""What every network here trains with: a skorch net, its seeds, devices and batches."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback, EarlyStopping, EpochTimer, PassthroughScoring

from .._parallel import interrupts_wait
from ._callbacks import DivergenceGuard
from ._layers import Dropout

ADAM_EPS = 1e-7  # Keras' default; torch's is 1e-8

_seeding = threading.Lock()


@contextmanager
def local_seed(seed: int) -> Iterator[None]:
    """Seed torch's CPU generator in a ``with``, one thread at a time, then put it back."""
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

    Returns
    -------
    device : torch.device
        A device that this machine has.

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
        raise ValueError(
            f"device={device!r} is not known. Use 'auto', 'cpu', 'cuda', 'cuda:1' or 'mps'."
        ) from error
    available = {"cuda": torch.cuda.is_available(), "mps": has_mps}.get(resolved.type, True)
    if not available:
        raise ValueError(
            f"device={device!r} is not available here. Use device='auto' to take the best that is."
        )
    return resolved


class Batches:
    """A dataset in batches, drawn anew at each pass by `rng` if there is one, then augmented."""

    def __init__(
        self,
        dataset: Any,
        batch_size: int,
        rng: np.random.Generator | None = None,
        augment: Sequence[Any] = (),
    ) -> None:
        self.dataset = dataset
        self.batch_size = batch_size
        self.rng = rng
        self.augment = augment

    def __len__(self) -> int:
        return -(-len(self.dataset) // self.batch_size)

    def __iter__(self) -> Iterator[Any]:
        n_clips = len(self.dataset)
        order = np.arange(n_clips) if self.rng is None else self.rng.permutation(n_clips)
        for start in range(0, n_clips, self.batch_size):
            inputs, y = self.dataset[order[start : start + self.batch_size]]
            if self.augment and not isinstance(inputs, dict):
                inputs = {"X": torch.as_tensor(inputs), "sample_weight": torch.ones(len(inputs))}
            for augmentation in self.augment:
                if hasattr(augmentation, "blend"):
                    inputs = self._blend(inputs, y, augmentation)
                else:
                    inputs = {**inputs, "X": self._augmented(inputs["X"], augmentation)}
            yield inputs, y

    def _augmented(self, clips: torch.Tensor, augmentation: Any) -> torch.Tensor:
        """Return the clips as an augmentation gives them back: as many, and as large."""
        changed = augmentation(clips, self.rng)
        n_frames = getattr(augmentation, "_cropped_frames", clips.shape[-1])
        shape, dtype = getattr(changed, "shape", ()), getattr(changed, "dtype", type(changed))
        if tuple(shape) != (*clips.shape[:-1], n_frames) or dtype != clips.dtype:
            raise ValueError(
                f"The augmentation {augmentation!r} got a batch of shape {tuple(clips.shape)} and "
                f"type {clips.dtype} and returned {tuple(shape)}, {dtype}. It has to return a "
                "tensor of the shape and type that it got."
            )
        return changed

    def _blend(self, inputs: dict[str, Any], y: torch.Tensor, augmentation: Any) -> dict[str, Any]:
        """Blend clips with partners, of whom the loss has to know label, weight and share."""
        X, weight = inputs["X"], inputs["sample_weight"]
        partner, share = augmentation.blend(len(X), self.rng)
        partner = torch.from_numpy(partner)
        return {
            "X": torch.lerp(X[partner.to(X.device)], X, share),
            "sample_weight": share * weight,
            "partner": y[partner],
            "partner_weight": (1 - share) * weight[partner],
        }


class _EnoughEpochs(Exception):
    """An early-stopping callback asked for the end of the training."""


class GenreNet(NeuralNetClassifier):
    """A skorch net that weights its loss, never swallows an interrupt, and is silent.

    Batches are ``({"X": clips, "sample_weight": weights}, y)`` as :class:`ClipDataset` gives
    them; the loss of a batch is ``sum(w * l) / sum(w)``, so the criterion returns one loss per
    clip. Everything else is skorch's: its callbacks, history, ``save_params`` and so on work as
    documented there.

    Parameters
    ----------
    module : type
        Class of the network.
    seed : int, default=0
        Determines the initial network and the order of the clips.
    augment : sequence of callable, default=()
        What changes the training batches, one after the other: called with the clips, a tensor,
        and a :class:`numpy.random.Generator`, returns a tensor. Those with a method ``blend``,
        such as :class:`~sklearn_genremoe.experts.Mixup`, blend clips and labels instead.
    **kwargs
        Everything else that :class:`skorch.NeuralNetClassifier` takes.
    """

    module_: torch.nn.Module
    device: str

    def __init__(
        self, module: Any, seed: int = 0, augment: Sequence[Any] = (), **kwargs: Any
    ) -> None:
        super().__init__(module, **kwargs)
        self.seed = seed
        self.augment = augment

    @property
    def _default_callbacks(self) -> list[tuple[str, Callback]]:
        return [
            ("epoch_timer", EpochTimer()),
            ("train_loss", PassthroughScoring(name="train_loss", on_train=True)),
            ("valid_loss", PassthroughScoring(name="valid_loss")),
            ("divergence_guard", DivergenceGuard()),
        ]

    def initialize(self) -> GenreNet:
        """Create the network and all that goes with it, from this net's own seed."""
        self.device = str(resolve_device(self.device))
        with interrupts_wait():  # what optimisers load when the first one is made, in seconds
            importlib.import_module("torch._dynamo")
        with local_seed(self.seed):
            return super().initialize()

    def initialize_module(self) -> GenreNet:
        """Create the network, in the memory layout for which convolutions are fastest."""
        super().initialize_module()
        if torch.device(self.device).type in ("cpu", "cuda"):
            self.module_ = self.module_.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return self

    def train(self, training: Any, epochs: int, validation: Any = None) -> GenreNet:
        """Run some more epochs.

        Parameters
        ----------
        training : dataset
            Clips to learn from, for example a :class:`ClipDataset`.
        epochs : int
            How many times.
        validation : dataset or None, default=None
            Clips to watch the loss on.

        Returns
        -------
        self : GenreNet
            The net.

        Raises
        ------
        KeyboardInterrupt
            If the user interrupts; skorch's own ``fit`` would return as if nothing had happened.
        """
        self.datasets_ = training, validation
        self.max_epochs = epochs
        dropouts = [layer for layer in self.module_.modules() if isinstance(layer, Dropout)]
        for number, layer in enumerate(dropouts):
            sequence = np.random.SeedSequence([self.seed, len(self.history), number])
            layer.restart(int(sequence.generate_state(1)[0]))
        self.notify("on_train_begin", X=training, y=None)
        try:
            self.fit_loop(training)
        except _EnoughEpochs:
            pass
        finally:
            del self.datasets_
        self.notify("on_train_end", X=training, y=None)
        self.module_.eval()
        for epoch in self.history:  # what is kept: Python's numbers, and no single batches
            epoch["batches"] = []
            scalars = {key: value for key, value in epoch.items() if isinstance(value, np.generic)}
            epoch.update((key, value.item()) for key, value in scalars.items())
        return self

    def notify(self, method_name: str, **cb_kwargs: Any) -> None:
        """Tell the callbacks what happens; know an early stop from a user's interrupt."""
        try:
            super().notify(method_name, **cb_kwargs)
        except KeyboardInterrupt:
            # EarlyStopping asks for the end in the way in which a user interrupts.
            stops = (cb for _, cb in self.callbacks_ if isinstance(cb, EarlyStopping))
            enough = any(cb.misses_ == cb.patience for cb in stops)
            if method_name == "on_epoch_end" and enough and hasattr(self, "datasets_"):
                raise _EnoughEpochs from None
            raise

    def get_split_datasets(self, X: Any, y: Any = None, **fit_params: Any) -> tuple[Any, Any]:
        """Return what :meth:`train` was given: nothing is held out silently."""
        if hasattr(self, "datasets_"):
            return self.datasets_
        return super().get_split_datasets(X, y, **fit_params)

    def get_iterator(self, dataset: Any, training: bool = False) -> Batches:
        """Return batches: shuffled anew in each epoch for training, in order otherwise."""
        if not training:
            return Batches(dataset, self.batch_size)
        # A continued training draws other numbers than the first.
        rng = np.random.default_rng([self.seed, len(self.history)])
        return Batches(dataset, self.batch_size, rng, self.augment)

    def infer(self, x: Any, **fit_params: Any) -> torch.Tensor:
        """Return the outputs for a batch, with or without weights; in mixed precision on CUDA."""
        clips = x["X"] if isinstance(x, dict) else x
        with mixed_precision(torch.device(self.device)):
            return super().infer(clips, **fit_params).float()

    def get_loss(self, y_pred: Any, y_true: Any, X: Any = None, training: bool = False) -> Any:
        """Return the mean loss of a batch, weighted if it comes with weights."""
        losses = super().get_loss(y_pred, y_true, X=X, training=training)
        if not isinstance(X, dict):
            return losses.mean()
        weight = X["sample_weight"].to(losses.device)
        total, weights = (weight * losses).sum(), weight.sum()
        if "partner" in X:
            of_partners = super().get_loss(y_pred, X["partner"], X=X, training=training)
            weight = X["partner_weight"].to(losses.device)
            total, weights = total + (weight * of_partners).sum(), weights + weight.sum()
        return total / weights


def mixed_precision(device: torch.device) -> AbstractContextManager[Any]:
    """Return the context to train in: bfloat16 on a GPU that computes it natively."""
    if device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0):
        return torch.autocast("cuda", dtype=torch.bfloat16)
    return nullcontext()
