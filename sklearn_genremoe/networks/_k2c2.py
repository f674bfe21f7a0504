"""The k2c2 network: five convolutional blocks and one dense layer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from ._conv_max import ConvMax, Pooling, patch_moments
from ._layers import BatchNorm, BinScaling, Dropout

KERNEL_SIZE = 3

# Frames that pools leave for statistics over time, where there are as many.
_FRAMES_LEFT = 2

# What the paper's authors use, for blocks 1 to 5: (pool over bins, pool over frames).
_PAPER_POOL_SIZES = {
    (96, 1292): ((2, 4), (2, 4), (2, 4), (3, 5), (4, 4)),
    (96, 646): ((2, 2), (2, 4), (2, 5), (2, 4), (4, 4)),
    (60, 1292): ((2, 4), (2, 4), (2, 5), (1, 4), (2, 4)),
}


def check_channels(channels: Sequence[int]) -> None:
    """Raise a ValueError unless there are one or more blocks with filters."""
    counts = list(channels)
    if not counts or not all(isinstance(n, Integral) and int(n) >= 1 for n in counts):
        raise ValueError(f"channels={channels!r} has to be one or more positive integers.")


def resolve_pool_sizes(
    input_shape: tuple[int, ...],
    n_blocks: int = 5,
    pool_sizes: str | Sequence[tuple[int, int]] = "auto",
    architecture: str = "k2c2",
) -> tuple[tuple[int, int], ...]:
    """Choose how far each block pools.

    Parameters
    ----------
    input_shape : tuple of int
        Bins and frames of the spectrograms, maybe after channels.
    n_blocks : int, default=5
        Number of convolutional blocks.
    pool_sizes : "auto" or sequence of (int, int), default="auto"
        "auto" gives the paper's pools for the paper's three shapes, and spreads the reduction of
        any other axis to a single value evenly over the blocks: with ``k`` blocks left to go, a
        block divides the size ``s`` by the ``k``-th root of ``s``. For statistics over time,
        each block halves the frames. These pools, and given ones, then end where they would
        leave a single frame. For mixed channels, the second block halves bins and frames, and
        later ones take a quarter of the bins.
    architecture : {"k2c2", "statistics_pooling", "channel_mixing"}, default="k2c2"
        The network.

    Returns
    -------
    pool_sizes : tuple of (int, int)
        One pair (bins, frames) for each block.

    Raises
    ------
    ValueError
        If the given sizes are not one pair of positive integers per block.

    Examples
    --------
    >>> resolve_pool_sizes((96, 1292))
    ((2, 4), (2, 4), (2, 4), (3, 5), (4, 4))
    >>> resolve_pool_sizes((40, 100), n_blocks=3)
    ((3, 5), (3, 4), (2, 3))
    >>> resolve_pool_sizes((40, 100), n_blocks=3, architecture="statistics_pooling")
    ((3, 2), (4, 2), (4, 2))
    """
    pools: tuple[tuple[int, int], ...]
    statistics = architecture == "statistics_pooling"
    bins, frames = input_shape[-2:]
    if isinstance(pool_sizes, str) and pool_sizes == "auto":
        if architecture == "channel_mixing":
            pools = ((1, 1), (2, 2), *[(4, 1)] * n_blocks)[:n_blocks]
        elif statistics:
            pools = tuple(zip(_spread(bins, n_blocks, True), [2] * n_blocks))
        elif n_blocks == 5 and (bins, frames) in _PAPER_POOL_SIZES:
            pools = _PAPER_POOL_SIZES[bins, frames]
        else:
            pools = tuple(zip(_spread(bins, n_blocks, False), _spread(frames, n_blocks, False)))
    else:
        pools = tuple(pair for item in pool_sizes if (pair := _pair(item)))
        if len(pools) != n_blocks or len(pool_sizes) != n_blocks:
            raise ValueError(
                f"pool_sizes={pool_sizes!r} does not fit: give 'auto' or {n_blocks} pairs of "
                f"positive integers (bins, frames), one for each entry of channels."
            )
    return pools if architecture == "k2c2" else _leave_frames(pools, frames)


def _pair(item: Any) -> tuple[int, int] | None:
    """Return a pair of positive integers, or None if it is none."""
    pair = list(item) if np.iterable(item) else []
    if len(pair) == 2 and all(isinstance(n, Integral) and int(n) >= 1 for n in pair):
        return int(pair[0]), int(pair[1])
    return None


def _spread(size: int, n_blocks: int, padded: bool) -> list[int]:
    """Return pools along one axis that leave a single value after the last block."""
    pools = []
    for blocks_left in range(n_blocks, 0, -1):
        size = size_after_conv(size, padded)
        pools.append(size if blocks_left == 1 else max(1, round(size ** (1 / blocks_left))))
        size = size_after_pool(size, pools[-1])
    return pools


def _leave_frames(pools: tuple[tuple[int, int], ...], n_frames: int) -> tuple[tuple[int, int], ...]:
    """Return pools without those that would leave too few frames for statistics."""
    kept = []
    for bins, frames in pools:
        frames = frames if size_after_pool(n_frames, frames) >= _FRAMES_LEFT else 1
        n_frames = size_after_pool(n_frames, frames)
        kept.append((bins, frames))
    return tuple(kept)


def size_after_conv(size: int, padded: bool = False) -> int:
    """Return the length of an axis after the convolution 3 x 3."""
    return size - KERNEL_SIZE + 1 + 2 * conv_padding(size, padded)


def size_after_pool(size: int, pool: int) -> int:
    """Return the length of an axis after pooling with stride ``pool``, rounded up."""
    return -(-size // pool)


def conv_padding(size: int, padded: bool) -> int:
    """Return the zeros on each side of an axis; without any it has to be as long as the kernel."""
    return KERNEL_SIZE // 2 if padded or size < KERNEL_SIZE else 0


def pool_padding(shape: tuple[int, int], pool: tuple[int, int]) -> tuple[int, int]:
    """Return the cells before the edge in TensorFlow's 'same' pooling: half the excess, down."""
    bins, frames = ((size_after_pool(n, p) * p - n) // 2 for n, p in zip(shape, pool))
    return bins, frames


class ConvBlock(nn.Module):
    """Convolution 3 x 3, batch normalisation, ELU and max-pooling.

    Pooling comes before ELU: both are monotone, so they commute, and ELU then costs a fraction.
    In float32 on the CPU, the first block convolves and pools in one step.

    Parameters
    ----------
    in_channels, out_channels : int
        Channels before and after.
    input_shape : tuple of (int, int)
        Bins and frames before.
    pool_size : tuple of (int, int)
        Pooling window and stride over bins and frames.
    pool_first : bool, default=False
        Whether the maxima are normalised, in place of what they are taken of, after a padded
        convolution without bias; the weight of the newest batch in the running statistics is
        then 0.1 in place of 0.01.
    pointwise : bool, default=False
        Whether the convolution is 1 x 1 (with `pool_first`).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        input_shape: tuple[int, int],
        pool_size: tuple[int, int],
        pool_first: bool = False,
        pointwise: bool = False,
    ) -> None:
        super().__init__()
        self.pool_first = pool_first
        bins, frames = (size_after_conv(size, pool_first) for size in input_shape)
        self.pooling = Pooling(
            pool_size,
            pool_padding((bins, frames), pool_size),
            (size_after_pool(bins, pool_size[0]), size_after_pool(frames, pool_size[1])),
        )
        bins, frames = input_shape
        self.zeros = (conv_padding(bins, pool_first), conv_padding(frames, pool_first))
        kernel, zeros = (1, 0) if pointwise else (KERNEL_SIZE, self.zeros)
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, padding=zeros, bias=not pool_first)
        self.norm = BatchNorm(out_channels, momentum=0.1 if pool_first else 0.01)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (n, in_channels, bins, frames) to (n, out_channels, fewer bins, fewer frames)."""
        conv, norm = self.conv, self.norm
        fused = self._can_fuse(x)
        if self.pool_first:
            return F.elu(norm(self._conv_max(x, conv.weight) if fused else self._pool(conv(x))))
        if self.training:
            if fused:
                return self._train_fused(x)
            # The normalisation takes the bias out of the function: it has no gradient.
            z = F.conv2d(x, conv.weight, self.bias, padding=conv.padding)
            return F.elu(self._pool(norm(z)))
        if torch.is_grad_enabled():
            return F.elu(self._pool(norm(conv(x))))
        scale, shift = norm.affine()
        weight, bias = conv.weight * scale.view(-1, 1, 1, 1), self.bias * scale + shift
        if fused:
            return F.elu_(self._conv_max(x, weight) + bias.view(-1, 1, 1))
        return F.elu_(self._pool(F.conv2d(x, weight, bias, padding=conv.padding)))

    def _can_fuse(self, x: torch.Tensor) -> bool:
        """Return whether one input channel comes as data, which need no gradient."""
        return (
            self.conv.in_channels == 1
            and self.conv.kernel_size == (KERNEL_SIZE, KERNEL_SIZE)
            and x.device.type == "cpu"
            and x.dtype == self.conv.weight.dtype == torch.float32
            and not torch.is_autocast_enabled("cpu")
            and not x.requires_grad
        )

    @property
    def bias(self) -> torch.Tensor:
        """Bias of the convolution, as a constant."""
        assert self.conv.bias is not None
        return self.conv.bias.detach()

    def _pool(self, x: torch.Tensor) -> torch.Tensor:
        size, padding, _ = self.pooling
        return F.max_pool2d(x, size, padding=padding, ceil_mode=True)

    def _conv_max(self, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        return ConvMax.apply(self._padded(x), weight, self.pooling)

    def _train_fused(self, x: torch.Tensor) -> torch.Tensor:
        norm, weight = self.norm, self.conv.weight
        # The maximum of what is normalised lies where gamma * z is largest.
        sign = torch.where(norm.weight.detach() < 0, -1.0, 1.0).view(-1, 1, 1, 1)
        best = self._conv_max(x, sign * weight)
        padded = self._padded(x)
        mean_patch, covariance = patch_moments(padded)
        kernels = weight.flatten(1).double()
        mean = kernels @ mean_patch
        variance = (kernels @ covariance * kernels).sum(1).clamp(min=0)
        n_values = len(padded) * (padded.shape[1] - 2) * (padded.shape[2] - 2)
        norm.observe(mean.detach() + self.bias, variance.detach(), n_values)
        scale = norm.weight / (variance + norm.eps).sqrt()
        shift = norm.bias - scale * mean
        return F.elu(
            torch.addcmul(
                shift.float().view(-1, 1, 1), best, scale.float().view(-1, 1, 1) * sign[:, 0]
            )
        )

    def _padded(self, x: torch.Tensor) -> torch.Tensor:
        bins, frames = self.zeros
        return F.pad(x, (frames, frames, bins, bins)).squeeze(1).contiguous()


class K2C2(nn.Module):
    """The paper's expert network: convolutional blocks, then one dense layer.

    Each block is a 3 x 3 convolution, batch normalisation, ELU and max-pooling with TensorFlow's
    'same' padding. Kernels start Glorot-uniform, biases at zero. The defaults are the paper's.

    Parameters
    ----------
    n_classes : int
        Number of outputs.
    input_shape : tuple of int
        Bins and frames of the spectrograms, or channels, bins and frames. Any size works: an
        axis that is shorter than the kernel is padded by one zero on each side. Longer
        spectrograms are looked at in windows of that many frames, see :meth:`forward`.
    channels : sequence of int, default=(64, 128, 128, 192, 256)
        Filters of each block.
    pool_sizes : "auto" or sequence of (int, int), default="auto"
        Pooling over bins and frames in each block. "auto": see :func:`resolve_pool_sizes`.
    dropout : float, default=0.0
        Share of the features that is set to zero before the dense layer in training.
    architecture : {"k2c2", "statistics_pooling", "channel_mixing"}, default="k2c2"
        The paper's, or padded convolutions in blocks that pool before they normalise, on scaled
        bins (:class:`BinScaling`). The dense layer then sees mean, maximum and deviation over
        time of each filter, after the mean over bins; or, where a first convolution 1 x 1 mixes
        the channels, mean and deviation over time of each filter in each bin that pools leave.
    center_bins : bool, default=False
        Whether the mean over its frames is taken off each bin of each window. A window of one
        frame stays as it is.

    References
    ----------
    Yi, Chen, Gu, "Mixture of CNN Experts from Multiple Acoustic Feature Domain for Music Genre
    Classification", APSIPA 2019. The name k2c2 is from Choi et al., "Convolutional Recurrent
    Neural Networks for Music Classification", ICASSP 2017.

    Examples
    --------
    >>> import torch
    >>> network = K2C2(n_classes=8, input_shape=(96, 1292))
    >>> sum(tensor.numel() for tensor in network.state_dict().values())
    891208
    >>> network(torch.zeros(2, 96, 1292)).shape
    torch.Size([2, 8])
    """

    def __init__(
        self,
        n_classes: int,
        input_shape: tuple[int, ...],
        channels: Sequence[int] = (64, 128, 128, 192, 256),
        pool_sizes: str | Sequence[tuple[int, int]] = "auto",
        dropout: float = 0.0,
        architecture: str = "k2c2",
        center_bins: bool = False,
    ) -> None:
        super().__init__()
        self.input_shape = tuple(int(size) for size in input_shape)
        self.architecture = architecture
        self.center_bins = center_bins
        small = architecture != "k2c2"
        self.scaling = BinScaling(self.input_shape[:-1]) if small else None
        pools = resolve_pool_sizes(self.input_shape, len(channels), pool_sizes, architecture)
        in_channels = self.input_shape[0] if len(self.input_shape) == 3 else 1
        shape = self.input_shape[-2], self.input_shape[-1]
        self.blocks = nn.ModuleList()
        for out_channels, pool_size in zip(channels, pools):
            pointwise = architecture == "channel_mixing" and not self.blocks
            block = ConvBlock(in_channels, out_channels, shape, pool_size, small, pointwise)
            self.blocks.append(block)
            in_channels, shape = out_channels, block.pooling.output_shape
        self.dropout = Dropout(dropout)
        n_values = {
            "k2c2": shape[0] * shape[1],
            "statistics_pooling": 3,
            "channel_mixing": 2 * shape[0],
        }[architecture]
        self.head = nn.Linear(in_channels * n_values, n_classes)
        for layer in self.modules():
            if isinstance(layer, (nn.Conv2d, nn.Linear)):
                nn.init.xavier_uniform_(layer.weight)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        """Return logits (n, n_classes) for spectrograms (n, [channels,] bins, frames).

        A spectrogram with more frames than `input_shape` says is looked at in windows that
        overlap by half; its logits are then the logarithms of the mean of their probabilities.
        """
        length = self.input_shape[-1]
        if X.shape[-1] <= length:
            return self._logits(X)
        starts = window_starts(X.shape[-1], length)
        windows = torch.stack([X[..., start : start + length] for start in starts], dim=1)
        log_proba = self._logits(windows.flatten(0, 1)).float().log_softmax(dim=1)
        return log_proba.unflatten(0, windows.shape[:2]).logsumexp(dim=1) - math.log(len(starts))

    def _logits(self, x: torch.Tensor) -> torch.Tensor:
        if self.scaling is not None:
            x = self.scaling(x)
        if self.center_bins and x.shape[-1] > 1:
            x = x - x.mean(dim=-1, keepdim=True)
        x = x if x.ndim == 4 else x.unsqueeze(1)
        for block in self.blocks:
            x = block(x)
        return self.head(self.dropout(self._features(x)))

    def _features(self, x: torch.Tensor) -> torch.Tensor:
        if self.architecture == "k2c2":
            return x.flatten(1)
        by_bin = self.architecture == "channel_mixing"
        x = x.flatten(1, 2) if by_bin else x.mean(dim=2)
        mean = x.mean(dim=2)
        # The constant keeps the slope of the root finite where nothing varies.
        deviation = ((x - mean.unsqueeze(2)).square().mean(dim=2) + 1e-5).sqrt()
        return torch.cat([mean, deviation] if by_bin else [mean, x.amax(dim=2), deviation], dim=1)


def window_starts(n_frames: int, length: int) -> list[int]:
    """Return where windows begin that overlap by half and together cover all frames."""
    last = n_frames - length
    return [*range(0, last, max(1, length // 2)), last]
