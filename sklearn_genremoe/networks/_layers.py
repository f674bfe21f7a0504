"""Layers that differ from torch's in a detail that matters here."""

from __future__ import annotations

import torch
from torch import nn


class BatchNorm(nn.Module):
    """Batch normalisation of each channel, in the constants of Keras.

    Like :class:`torch.nn.BatchNorm2d`, but for two things. A batch that holds a single value per
    channel has no variance: it gives ``bias`` and leaves the running statistics as they are,
    where torch raises. And there is no batch counter, so that a state dict holds exactly the
    four vectors that Keras counts.

    Parameters
    ----------
    n_channels : int
        Number of channels.
    eps : float, default=1e-3
        Added to the variance.
    momentum : float, default=0.01
        Weight of the newest batch in the running statistics (0.99 in the terms of Keras).
    """

    running_mean: torch.Tensor
    running_var: torch.Tensor

    def __init__(self, n_channels: int, eps: float = 1e-3, momentum: float = 0.01) -> None:
        super().__init__()
        self.eps = eps
        self.momentum = momentum
        self.weight = nn.Parameter(torch.ones(n_channels))
        self.bias = nn.Parameter(torch.zeros(n_channels))
        self.register_buffer("running_mean", torch.zeros(n_channels))
        self.register_buffer("running_var", torch.ones(n_channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise ``x`` of shape (n, n_channels, ...) by its own or the running statistics."""
        single = self.training and x.numel() == x.shape[1]
        return torch.batch_norm(
            x,
            self.weight,
            self.bias,
            None if single else self.running_mean,
            None if single else self.running_var,
            self.training,
            self.momentum,
            self.eps,
            torch.backends.cudnn.enabled,
        )

    def affine(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return scale and shift by which the running statistics normalise."""
        scale = self.weight * (self.running_var + self.eps).rsqrt()
        return scale, self.bias - self.running_mean * scale

    def observe(self, mean: torch.Tensor, variance: torch.Tensor, n_values: int) -> None:
        """Move the running statistics towards those of a batch of ``n_values`` per channel."""
        if n_values > 1:
            self.running_mean.lerp_(mean.float(), self.momentum)
            self.running_var.lerp_((variance * n_values / (n_values - 1)).float(), self.momentum)


class BinScaling(nn.Module):
    """Shift and scale each bin of each channel, so that those of different loudness count alike.

    Parameters
    ----------
    shape : tuple of int
        Bins, or channels and bins.
    """

    mean: torch.Tensor
    deviation: torch.Tensor
    weight: torch.Tensor

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("deviation", torch.ones(shape))
        self.register_buffer("weight", torch.zeros(()))

    def observe(self, mean: torch.Tensor, deviation: torch.Tensor, weight: float) -> None:
        """Merge mean and deviation of each bin in some clips with those of all clips before."""
        total = self.weight + weight
        share = weight / total
        shift = mean.to(self.mean) - self.mean
        variance = torch.lerp(self.deviation.square(), deviation.to(self.mean).square(), share)
        self.deviation.copy_((variance + share * (1 - share) * shift.square()).sqrt())
        self.mean.add_(share * shift)
        self.weight.copy_(total)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``x`` (n, ..., n_frames), scaled; a bin that never varied is only shifted."""
        deviation = torch.where(self.deviation > 0, self.deviation, 1)
        return (x - self.mean[..., None]) / deviation[..., None]


class Dropout(nn.Module):
    """Dropout that draws from a generator of its own.

    torch's dropout draws from the global generator: two networks that train in two threads
    would take each other's numbers, and training would change the numbers that a caller draws.

    Parameters
    ----------
    p : float
        Share of the values that is set to zero in training, to the next 1/256; the others are
        scaled up.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p
        self.restart(0)

    def restart(self, seed: int) -> None:
        """Draw anew, from this seed."""
        self._seed = seed
        self._generator: torch.Generator | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``x`` with a new random share of its values set to zero, in training."""
        n_dropped = round(256 * self.p)
        if not self.training or n_dropped == 0:
            return x
        if self._generator is None or self._generator.device != x.device:
            self._generator = torch.Generator(x.device).manual_seed(self._seed)
        # One random byte per value, drawn by eights: a third of the time of uniform floats.
        words = torch.empty(-(-x.numel() // 8), dtype=torch.int64, device=x.device)
        words.random_(-(2**63), None, generator=self._generator)
        kept = words.view(torch.uint8)[: x.numel()].view(x.shape) >= n_dropped
        return x * (kept * (256 / (256 - n_dropped)))

    def __getstate__(self) -> dict:
        return {**self.__dict__, "_generator": None}  # a generator can't be copied
