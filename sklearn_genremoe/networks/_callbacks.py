"""What happens between the batches and epochs of a training."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from skorch.callbacks import Callback, EarlyStopping

from .._compat import progress_bar


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

    def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        """Go on counting where the training before ended."""
        self.n_updates_ = net.history[-1].get("n_updates", 0) if net.history else 0

    def on_batch_begin(
        self, net: Any, batch: Any = None, training: bool = False, **kwargs: Any
    ) -> None:
        """Set the rate of the coming update."""
        if training:
            for group in net.optimizer_.param_groups:
                group["lr"] = self.lr / (1 + self.decay * self.n_updates_)
            self.n_updates_ += 1

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Note the number of updates so far."""
        net.history.record("n_updates", self.n_updates_)


class OneCycle(Callback):
    """Raise the learning rate to its peak, then let it fall to nothing, once per training.

    The schedule of :class:`torch.optim.lr_scheduler.OneCycleLR` with its defaults: from lr/25 up
    to lr during the first 30 % of the updates, then down along a cosine. What Adam remembers is
    shortest at the peak.

    Parameters
    ----------
    lr : float
        The peak.
    """

    def __init__(self, lr: float) -> None:
        self.lr = lr

    def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        """Lay out the cycle over all updates of this training."""
        n_updates = net.max_epochs * len(net.get_iterator(X, training=True))
        self.schedule_ = torch.optim.lr_scheduler.OneCycleLR(
            net.optimizer_, self.lr, total_steps=n_updates + 1
        )

    def on_batch_end(
        self, net: Any, batch: Any = None, training: bool = False, **kwargs: Any
    ) -> None:
        """Go on to the rate of the next update."""
        if training:
            self.schedule_.step()


class ValidationStopping(EarlyStopping):
    """Early stopping that sleeps in a training without validation, such as a continued one."""

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Compare the epoch with the best so far."""
        if self.monitor in net.history[-1]:
            super().on_epoch_end(net, **kwargs)


class DivergenceGuard(Callback):
    """Stop a training whose loss is no longer a number."""

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Look at the loss of the epoch."""
        epoch = net.history[-1]
        if not np.isfinite(epoch["train_loss"]):
            raise ValueError(
                f"The training diverged: the loss of epoch {epoch['epoch']} is "
                f"{epoch['train_loss']}. Lower lr, or scale X to about mean 0 and deviation 1."
            )


class ProgressBar(Callback):
    """Show the epochs and their losses as a tqdm bar on standard error, under a name."""

    def __init__(self, desc: str = "training") -> None:
        self.desc = desc

    def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        """Open the bar."""
        self.bar_ = progress_bar(desc=self.desc, unit="epoch", total=net.max_epochs)

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Show the losses of the epoch."""
        epoch = net.history[-1]
        losses = {name: epoch[name] for name in ("train_loss", "valid_loss") if name in epoch}
        self.bar_.set_postfix(losses, refresh=False)
        self.bar_.update()

    def on_train_end(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        """Close the bar."""
        self.bar_.close()
        del self.bar_
