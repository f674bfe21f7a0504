"""What estimators with a network have in common: how it trains, its answers and its state."""

from __future__ import annotations

from dataclasses import KW_ONLY
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state

from .._fields import Count, NonNegative, Positive, Verbosity, with_init
from ._training import GenreNet, net_state, predict_logits, resolve_device, restore_net


@with_init
class NetEstimator(BaseEstimator):
    """An estimator that keeps a net as ``net_`` and stores it as parameters and arrays.

    Subclasses have ``_network``, its class, and ``_net_settings(module)``, what the net with these
    arguments of its network trains by, beside the parameters here.

    Parameters
    ----------
    max_epochs : int, default=50
        Passes over the clips.
    batch_size : int, default=16
        Clips per update.
    lr : float, default=5e-4
        Learning rate of Adam at the first update.
    lr_decay : float, default=1e-4
        Decay per update: the rate of update t is ``lr / (1 + lr_decay * t)``.
    device : str, default="auto"
        Where to train: "auto" takes CUDA, then MPS, then the CPU; or a torch device. On a GPU of
        the Ampere generation or later networks train in mixed precision, and clips stay there if
        they take less than half of its free memory. A model that was saved on a GPU loads on the
        CPU where there is none.
    random_state : int, RandomState instance or None, default=None
        Determines the initial network, the order of the clips, dropout and held-out clips. The
        same value gives the same network, in other processes too.
    verbose : int, default=0
        Above zero, show a progress bar.

    Attributes
    ----------
    net_ : skorch.NeuralNetClassifier
        The fitted net; ``net_.module_`` is the torch module, which returns logits.
    history_ : skorch.history.History
        For each epoch its losses and time.
    """

    _: KW_ONLY
    max_epochs: Count = 50
    batch_size: Count = 16
    lr: Positive = 5e-4
    lr_decay: NonNegative = 1e-4
    device: str = "auto"
    random_state: Annotated[Any, "random_state"] = None
    verbose: Verbosity = 0

    _network: ClassVar[type[torch.nn.Module]]

    def _net_settings(self, module: dict[str, Any]) -> dict[str, Any]:
        raise NotImplementedError

    def _net(self, module: dict[str, Any], seed: int = 0) -> GenreNet:
        """Return a net, not initialized, that trains as the parameters say."""
        return GenreNet(
            self._network,
            **{f"module__{name}": value for name, value in module.items()},
            # Without weight decay this is Adam; epsilon is that of Keras.
            optimizer=torch.optim.AdamW,
            optimizer__eps=1e-7,
            optimizer__weight_decay=0.0,
            lr=self.lr,
            batch_size=self.batch_size,
            train_split=None,
            device=self.device,
            seed=seed,
            verbose=0,
            **self._net_settings(module),
        )

    def _new_net(self, module: dict[str, Any]) -> GenreNet:
        seed = check_random_state(self.random_state).randint(np.iinfo(np.int32).max)
        net = self._net(module, int(seed)).initialize()
        if self.verbose:
            net.set_params(callbacks__epoch_watch__desc=type(self).__name__)
        return net

    def _continued(self, module: dict[str, Any]) -> GenreNet:
        """Return the net of before, which trains as the parameters say now."""
        return restore_net(self._net(module), {**net_state(self.net_), "module": module})

    def _validate_params(self) -> None:
        super()._validate_params()
        resolve_device(self.device)

    def _logits(self, clips: NDArray[Any]) -> NDArray[np.float64]:
        device = torch.device(self.net_.device)
        return predict_logits(self.net_.module_, clips, device).astype(np.float64)

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        if "net_" in state:
            state["net_"] = net_state(self.net_)
            del state["history_"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        net = state.get("net_")
        super().__setstate__({name: value for name, value in state.items() if name != "net_"})
        if net is not None:
            self.net_ = restore_net(self._net(net["module"]), net)
            self.history_ = self.net_.history
