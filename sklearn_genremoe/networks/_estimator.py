"""What estimators with a network have in common: how it trains, its answers and its state."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from skorch.history import History

from .._compat import Interval
from ._training import (
    GenreNet,
    net_state,
    predict_logits,
    resolve_device,
    restore_net,
)


class NetEstimator(BaseEstimator):
    """An estimator that keeps a net as ``net_`` and stores it as parameters and arrays.

    Subclasses implement ``_net(module, seed)``, which returns the net for these arguments of its
    network, not initialized.
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "lr_decay": [Interval(Real, 0, None, closed="left")],
        "device": [str],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }
    max_epochs: int
    batch_size: int
    lr: float
    lr_decay: float
    device: str
    random_state: Any
    verbose: int
    net_: GenreNet
    history_: History

    def _net(self, module: dict[str, Any], seed: int = 0) -> GenreNet:
        raise NotImplementedError

    def _make_net(
        self,
        network: type[torch.nn.Module],
        module: dict[str, Any],
        seed: int,
        callbacks: list[Any],
        **settings: Any,
    ) -> GenreNet:
        """Return a net that trains as the parameters say, for these arguments of its network."""
        return GenreNet(
            network,
            **{f"module__{name}": value for name, value in module.items()},
            # Without weight decay this is Adam; epsilon is that of Keras.
            optimizer=torch.optim.AdamW,
            optimizer__eps=1e-7,
            optimizer__weight_decay=0.0,
            lr=self.lr,
            batch_size=self.batch_size,
            train_split=None,
            callbacks=callbacks,
            device=self.device,
            seed=seed,
            verbose=0,
            **settings,
        )

    def _new_net(self, module: dict[str, Any]) -> GenreNet:
        seed = check_random_state(self.random_state).randint(np.iinfo(np.int32).max)
        return self._net(module, int(seed)).initialize()

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
