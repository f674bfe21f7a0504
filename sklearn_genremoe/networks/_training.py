"""How every network here is trained, applied and stored: a skorch net, its schedules, its state."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback, EarlyStopping, EpochTimer, PassthroughScoring
from skorch.helper import predefined_split
from torch.optim.lr_scheduler import MultiplicativeLR, OneCycleLR

from .._compat import progress_bar
from .._parallel import interrupts_wait, torch_threads
from .._rows import release_pages
from ._data import Batches
from ._network import Dropout

# Prediction takes this many clips at a time: in one batch on a GPU, by as many threads on the CPU,
# unless clips are so small that waking threads would cost more than it brings.
_GPU_BATCH = 64
_MAX_CLIPS_AT_A_TIME = 16
_CELLS_WORTH_A_THREAD = 1 << 13

_seeding = threading.Lock()


@contextmanager
def local_seed(seed: int) -> Iterator[None]:
    """Seed torch's CPU generator in a ``with``, one thread at a time, then put it back."""
    with _seeding, torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


def resolve_device(device: str) -> torch.device:
    """Return a device that this machine has, or raise a ValueError; "auto" takes the best."""
    available = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if device == "auto":
        return torch.device(next(kind for kind in available if available[kind]))
    with suppress(RuntimeError):  # it means nothing to torch
        resolved = torch.device(device)
        if available.get(resolved.type, True):
            return resolved
    raise ValueError(
        f"device={device!r} is not available here. Use 'auto', which takes the best that is, or "
        "'cpu', 'cuda', 'cuda:1' or 'mps'."
    )


class LearningRate(Callback):
    """Change the learning rate after each update.

    With a `decay`, the rate of update t is ``lr / (1 + decay * t)``, Keras' decay; t counts over
    all epochs and continued fits, and where another callback changes the rate, that one decays.
    Without, it rises from lr/25 to lr in 30 % of the updates and falls to nothing in the others,
    once per training, as in :class:`torch.optim.lr_scheduler.OneCycleLR`.
    """

    def __init__(self, lr: float, decay: float | None) -> None:
        self.lr = lr
        self.decay = decay

    def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        """Go on counting where the training before ended, or lay out a new cycle."""
        self.before_ = before = net.history[-1].get("n_updates", 0) if net.history else 0
        decay = self.decay
        if decay is None:
            n_updates = net.max_epochs * len(net.get_iterator(X, training=True))
            self.schedule_: Any = OneCycleLR(net.optimizer_, self.lr, total_steps=n_updates + 1)
            return
        for group in net.optimizer_.param_groups:
            group["lr"] = self.lr / (1 + decay * before)
        self.schedule_ = MultiplicativeLR(
            net.optimizer_, lambda t: (1 + decay * (before + t - 1)) / (1 + decay * (before + t))
        )

    def on_batch_end(self, net: Any, batch: Any, training: bool = False, **kwargs: Any) -> None:
        """Go on to the rate of the next update."""
        if training:
            self.schedule_.step()

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Note the number of updates so far."""
        net.history.record("n_updates", self.before_ + self.schedule_.last_epoch)


class ValidationStopping(EarlyStopping):
    """Early stopping that sleeps in a training without validation, such as a continued one."""

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Compare the epoch with the best so far."""
        if self.monitor in net.history[-1]:
            super().on_epoch_end(net, **kwargs)


class Watch(Callback):
    """Stop a training whose loss is no longer a number; show its epochs, as a bar of this name.

    One epoch alone, as of a continued training, shows none.
    """

    def __init__(self, desc: str | None = None) -> None:
        self.desc = desc

    def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        """Open the bar."""
        is_silent = self.desc is None or net.max_epochs == 1
        options = {"unit": "epoch", "total": net.max_epochs, "disable": is_silent}
        self.bar_ = progress_bar(desc=self.desc, **options)

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Look at the losses of the epoch, and show them."""
        epoch = net.history[-1]
        losses = {name: epoch[name] for name in ("train_loss", "valid_loss") if name in epoch}
        if not np.isfinite(losses["train_loss"]):
            raise ValueError(
                f"The training diverged: the loss of epoch {epoch['epoch']} is "
                f"{epoch['train_loss']}. Lower lr, or scale X to about mean 0 and deviation 1."
            )
        self.bar_.set_postfix(losses, refresh=False)
        self.bar_.update()

    def on_train_end(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        """Close the bar."""
        self.bar_.close()
        del self.bar_


class GenreNet(NeuralNetClassifier):
    """A skorch net that weights its loss, never swallows an interrupt, and is silent.

    Batches are ``({"X": clips, "sample_weight": weights}, y)``, as :class:`ClipDataset` gives
    them, cropped to `crop_frames` for training; the criterion returns one loss per clip. `seed`
    determines the initial network and the order of the clips. All else is skorch's.
    """

    module_: torch.nn.Module
    device: str

    def __init__(self, module: Any, seed: int = 0, crop_frames: Any = None, **kwargs: Any) -> None:
        super().__init__(module, **kwargs)
        self.seed = seed
        self.crop_frames = crop_frames

    @property
    def _default_callbacks(self) -> list[tuple[str, Callback]]:
        return [
            ("epoch_timer", EpochTimer()),
            ("train_loss", PassthroughScoring(name="train_loss", on_train=True)),
            ("valid_loss", PassthroughScoring(name="valid_loss")),
            ("epoch_watch", Watch()),
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
        """Run some more epochs on a dataset, and watch the loss on another, if given."""
        self.max_epochs = epochs
        self.train_split = None if validation is None else predefined_split(validation)
        dropouts = [layer for layer in self.module_.modules() if isinstance(layer, Dropout)]
        for number, layer in enumerate(dropouts):
            sequence = np.random.SeedSequence([self.seed, len(self.history), number])
            layer.restart(int(sequence.generate_state(1)[0]))
        self.notify("on_train_begin", X=training, y=None)
        try:
            # The same number wherever it runs, since sums depend on it in their last bits. Two
            # would cost more processor time than they save: experts and folds run side by side.
            with torch_threads(1):
                self.fit_loop(training)
        except KeyboardInterrupt:
            # EarlyStopping asks for the end in the way in which a user interrupts.
            stops = (cb for _, cb in self.callbacks_ if isinstance(cb, EarlyStopping))
            if not any(stop.misses_ == stop.patience for stop in stops):
                raise
        finally:
            self.train_split = None
        self.notify("on_train_end", X=training, y=None)
        self.module_.eval()
        for epoch in self.history:  # what is kept: Python's numbers, and no single batches
            epoch["batches"] = []
            scalars = {key: value for key, value in epoch.items() if isinstance(value, np.generic)}
            epoch.update((key, value.item()) for key, value in scalars.items())
        return self

    def get_iterator(self, dataset: Any, training: bool = False) -> Batches:
        """Return batches: shuffled anew in each epoch for training, in order otherwise."""
        if not training:
            return Batches(dataset, self.batch_size)
        # A continued training draws other numbers than the first.
        rng = np.random.default_rng([self.seed, len(self.history)])
        return Batches(dataset, self.batch_size, rng, self.crop_frames)

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
        return (weight * losses).sum() / weight.sum()


def mixed_precision(device: torch.device) -> AbstractContextManager[Any]:
    """Return the context to train in: bfloat16 on a GPU that computes it natively."""
    is_native = device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0)
    return torch.autocast("cuda", dtype=torch.bfloat16, enabled=is_native)


def predict_logits(
    module: torch.nn.Module, X: NDArray[Any], device: torch.device
) -> NDArray[np.float32]:
    """Return a module's outputs for clips (n_clips, ...), read from their array bit by bit.

    On the CPU one thread computes a clip, and several work at the same time: the answer for a clip
    can depend neither on its neighbours nor on the number of threads.
    """
    module.eval()
    on_cpu = device.type == "cpu"
    batch_size = 1 if on_cpu else _GPU_BATCH

    @torch.inference_mode()
    def outputs(start: int) -> NDArray[np.float32]:
        clips = np.array(X[start : start + batch_size], dtype=np.float32)
        release_pages(X)
        return module(torch.from_numpy(clips).to(device)).float().cpu().numpy()

    starts = range(0, len(X), batch_size)
    n_threads = 1
    if on_cpu and X[:1].size >= _CELLS_WORTH_A_THREAD:
        n_threads = min(torch.get_num_threads(), len(starts), _MAX_CLIPS_AT_A_TIME)
    with ThreadPoolExecutor(n_threads, initializer=torch_threads, initargs=(1,)) as threads:
        return np.concatenate(list(threads.map(outputs, starts)))


def net_state(net: GenreNet) -> dict[str, Any]:
    """Return what a fitted net consists of as lists, dicts, numbers and copied arrays."""
    remembered = net.optimizer_.state_dict()["state"]
    return {
        "module": net.get_params_for("module"),
        "parameters": {name: _array(value) for name, value in net.module_.state_dict().items()},
        "optimizer": {str(i): {k: _array(v) for k, v in x.items()} for i, x in remembered.items()},
        "history": [dict(epoch) for epoch in net.history],
        "seed": net.seed,
    }


def restore_net(net: GenreNet, state: dict[str, Any]) -> GenreNet:
    """Initialize a net from the :func:`net_state` of another, on the CPU if its device isn't here.

    What it trains by stays as it is. Only "module" and "parameters" have to be in the state.
    """
    try:
        device = resolve_device(net.device)
    except ValueError:
        device = torch.device("cpu")
    # A copy: torch would write into the array, which may be read-only.
    tensors = {name: torch.tensor(value) for name, value in state["parameters"].items()}
    with torch.device("meta"):  # shapes alone: a damaged file may ask for a huge network
        shapes = net.module(**state["module"])
    try:
        shapes.load_state_dict(tensors, assign=True)
    except RuntimeError as error:
        raise ValueError(f"The parameters don't fit the network: {error}") from error
    arguments = {f"module__{name}": value for name, value in state["module"].items()}
    net.set_params(device=str(device), seed=state.get("seed", net.seed), **arguments)
    net.initialize()
    net.module_.load_state_dict(tensors)
    remembered = state.get("optimizer", {})
    moments = {int(i): {k: torch.tensor(v) for k, v in x.items()} for i, x in remembered.items()}
    net.optimizer_.load_state_dict(net.optimizer_.state_dict() | {"state": moments})
    net.history.extend(dict(epoch) for epoch in state.get("history", []))
    net.module_.eval()
    return net


def _array(tensor: torch.Tensor) -> np.ndarray:
    return np.array(tensor.detach().cpu().numpy(), order="C")
