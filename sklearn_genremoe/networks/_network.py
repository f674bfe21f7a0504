"""Networks that tell genres apart: the paper's k2c2, and small ones for few clips."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.grad import conv2d_input, conv2d_weight

from ._conv_max import ConvMax, Pooling, patch_moments

KERNEL_SIZE = 3

# Frames that pools leave for statistics over time, where there are as many.
_FRAMES_LEFT = 2

# What the paper's authors use, for blocks 1 to 5: (pool over bins, pool over frames).
_PAPER_POOL_SIZES = {
    (96, 1292): ((2, 4), (2, 4), (2, 4), (3, 5), (4, 4)),
    (96, 646): ((2, 2), (2, 4), (2, 5), (2, 4), (4, 4)),
    (60, 1292): ((2, 4), (2, 4), (2, 5), (1, 4), (2, 4)),
}


def _positive(numbers: Sequence[Any]) -> bool:
    return all(isinstance(n, Integral) and int(n) >= 1 for n in numbers)


def resolve_pool_sizes(
    input_shape: tuple[int, ...],
    channels: Sequence[int],
    pool_sizes: str | Sequence[tuple[int, int]] = "auto",
    architecture: str = "k2c2",
) -> tuple[tuple[int, int], ...]:
    """Choose how far each block pools.

    "auto" spreads the reduction of an axis to a single value evenly over the blocks. For statistics
    over time, these pools, and given ones, end where they would leave a single frame.
    """
    if not len(channels) or not _positive(channels):
        raise ValueError(f"channels={channels!r} has to be one or more positive integers.")
    pools: tuple[Any, ...]
    n_blocks = len(channels)
    bins, frames = input_shape[-2:]
    if isinstance(pool_sizes, str) and pool_sizes == "auto":
        if architecture == "channel_mixing":
            pools = ((1, 1), (2, 2), *[(4, 1)] * n_blocks)[:n_blocks]
        elif architecture == "statistics_pooling":
            pools = tuple(zip(_spread(bins, n_blocks, True), [2] * n_blocks))
        elif n_blocks == 5 and (bins, frames) in _PAPER_POOL_SIZES:
            pools = _PAPER_POOL_SIZES[bins, frames]
        else:
            pools = tuple(zip(_spread(bins, n_blocks, False), _spread(frames, n_blocks, False)))
    else:
        pools = tuple(tuple(pair) if np.iterable(pair) else () for pair in pool_sizes)
        if len(pools) != n_blocks or not all(len(pair) == 2 and _positive(pair) for pair in pools):
            raise ValueError(
                f"pool_sizes={pool_sizes!r}: give 'auto' or {n_blocks} pairs (bins, frames) >= 1."
            )
    return pools if architecture == "k2c2" else _leave_frames(pools, frames)


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


class BatchNorm(nn.Module):
    """Batch normalisation of each channel, in the constants of Keras.

    Like :class:`torch.nn.BatchNorm2d`, but a batch that holds a single value per channel gives
    ``bias`` and leaves the running statistics as they are, and there is no batch counter.
    """

    def __init__(self, n_channels: int, eps: float = 1e-3, momentum: float = 0.01) -> None:
        super().__init__()
        self.eps = eps
        self.momentum = momentum
        self.weight = nn.Parameter(torch.ones(n_channels))
        self.bias = nn.Parameter(torch.zeros(n_channels))
        self.running_mean = nn.Buffer(torch.zeros(n_channels))
        self.running_var = nn.Buffer(torch.ones(n_channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise ``x`` of shape (n, n_channels, ...) by its own or the running statistics."""
        single = self.training and x.numel() == x.shape[1]
        mean, variance = (None, None) if single else (self.running_mean, self.running_var)
        settings = self.training, self.momentum, self.eps, torch.backends.cudnn.enabled
        return torch.batch_norm(x, self.weight, self.bias, mean, variance, *settings)

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
    """Scale each bin of each channel to mean 0 and deviation 1 over the training clips."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.mean = nn.Buffer(torch.zeros(shape))
        self.deviation = nn.Buffer(torch.ones(shape))
        self.weight = nn.Buffer(torch.zeros(()))

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
        if not self.training or self.p == 0:
            return x
        if self._generator is None or self._generator.device != x.device:
            self._generator = torch.Generator(x.device).manual_seed(self._seed)
        kept = torch.empty_like(x).bernoulli_(1 - self.p, generator=self._generator)
        return x * kept.div_(1 - self.p)

    def __getstate__(self) -> dict:
        return {**self.__dict__, "_generator": None}  # a generator can't be copied


class _Conv(torch.autograd.Function):
    """Convolution, its bias a constant, that computes the gradient of kernels channels first.

    With the channels last, oneDNN's code for AVX2 takes four times as long for them.
    """

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor, *settings: Any) -> torch.Tensor:
        _, *ctx.settings = settings
        ctx.save_for_backward(x, weight)
        return F.conv2d(x, weight, *settings)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grad_outputs: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (x, weight), (grad,), (needs_x, *_) = ctx.saved_tensors, grad_outputs, ctx.needs_input_grad
        of_x = conv2d_input(x.shape, weight, grad, *ctx.settings) if needs_x else None
        x, grad = x.contiguous(), grad.contiguous()
        of_weight = conv2d_weight(x, weight.shape, grad, *ctx.settings)
        return of_x, of_weight, None, None, None


class ConvBlock(nn.Module):
    """Convolution 3 x 3, batch normalisation, ELU and max-pooling, as in the paper.

    Pooling comes before ELU: both are monotone, so they commute, and ELU then costs a fraction.
    In float32 on the CPU, the first block convolves and pools in one step.
    """

    pool_first = False

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        input_shape: tuple[int, int],
        pool_size: tuple[int, int],
        kernel_size: int = KERNEL_SIZE,
    ) -> None:
        super().__init__()
        bins, frames = (size_after_conv(size, self.pool_first) for size in input_shape)
        pooled = size_after_pool(bins, pool_size[0]), size_after_pool(frames, pool_size[1])
        self.pooling = Pooling(pool_size, pool_padding((bins, frames), pool_size), pooled)
        bins, frames = (conv_padding(size, self.pool_first) for size in input_shape)
        self.zeros = (bins, frames) if kernel_size == KERNEL_SIZE else (0, 0)
        self.conv = nn.Conv2d(
            in_channels, out_channels, kernel_size, padding=self.zeros, bias=not self.pool_first
        )
        self.norm = BatchNorm(out_channels, momentum=0.1 if self.pool_first else 0.01)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (n, in_channels, bins, frames) to (n, out_channels, fewer bins, fewer frames)."""
        norm, weight = self.norm, self.conv.weight
        is_plain = x.device.type == "cpu" and x.dtype == weight.dtype == torch.float32
        is_plain = is_plain and not torch.is_autocast_enabled("cpu")
        # One input channel comes as data, which need no gradient.
        fused = is_plain and self.conv.in_channels == 1 and not x.requires_grad
        if self.training and fused:
            return self._train_fused(x)
        if self.training or torch.is_grad_enabled():
            convolution = _Conv.apply if is_plain else F.conv2d
            return F.elu(self._pool(norm(convolution(x, weight, self.bias, 1, self.zeros))))
        scale, shift = norm.affine()
        weight, bias = weight * scale.view(-1, 1, 1, 1), self.bias * scale + shift
        if fused:
            best = ConvMax.apply(self._padded(x), weight, self.pooling)
            return F.elu_(best + bias.view(-1, 1, 1))
        return F.elu_(self._pool(F.conv2d(x, weight, bias, padding=self.zeros)))

    @property
    def bias(self) -> torch.Tensor:
        """Bias of the convolution, as a constant: the normalisation takes it out again."""
        assert self.conv.bias is not None
        return self.conv.bias.detach()

    def _pool(self, x: torch.Tensor) -> torch.Tensor:
        size, padding, _ = self.pooling
        return F.max_pool2d(x, size, padding=padding, ceil_mode=True)

    def _train_fused(self, x: torch.Tensor) -> torch.Tensor:
        norm, weight = self.norm, self.conv.weight
        # The maximum of what is normalised lies where gamma * z is largest.
        sign = torch.where(norm.weight.detach() < 0, -1.0, 1.0).view(-1, 1, 1, 1)
        padded = self._padded(x)
        best = ConvMax.apply(padded, sign * weight, self.pooling)
        mean_patch, covariance = patch_moments(padded)
        kernels = weight.flatten(1).double()
        mean = kernels @ mean_patch
        variance = (kernels @ covariance * kernels).sum(1).clamp(min=0)
        n_values = len(padded) * (padded.shape[1] - 2) * (padded.shape[2] - 2)
        norm.observe(mean.detach() + self.bias, variance.detach(), n_values)
        scale = norm.weight / (variance + norm.eps).sqrt()
        shift = (norm.bias - scale * mean).float().view(-1, 1, 1)
        return F.elu(torch.addcmul(shift, best, scale.float().view(-1, 1, 1) * sign[:, 0]))

    def _padded(self, x: torch.Tensor) -> torch.Tensor:
        bins, frames = self.zeros
        return F.pad(x, (frames, frames, bins, bins)).squeeze(1).contiguous()


class PooledBlock(ConvBlock):
    """A block for few clips: the maxima are normalised, in place of what they are taken of.

    The convolution is padded and has no bias, and the weight of the newest batch in the running
    statistics is 0.1 in place of 0.01.
    """

    pool_first = True

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (n, in_channels, bins, frames) to (n, out_channels, fewer bins, fewer frames)."""
        return F.elu(self.norm(self._pool(self.conv(x))))


class K2C2(nn.Module):
    """The paper's expert network: convolutional blocks, then one dense layer.

    Parameters are those of :class:`~sklearn_genremoe.CNNClassifier`, and `n_classes` outputs for
    clips of `input_shape`, ([channels,] bins, frames). Kernels start Glorot-uniform.
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
        pools = resolve_pool_sizes(self.input_shape, channels, pool_sizes, architecture)
        in_channels = self.input_shape[0] if len(self.input_shape) == 3 else 1
        shape = self.input_shape[-2], self.input_shape[-1]
        self.blocks = nn.ModuleList()
        for out_channels, pool_size in zip(channels, pools):
            kernel_size = 1 if architecture == "channel_mixing" and not self.blocks else KERNEL_SIZE
            kind = PooledBlock if small else ConvBlock
            block = kind(in_channels, out_channels, shape, pool_size, kernel_size)
            self.blocks.append(block)
            in_channels, shape = out_channels, block.pooling.output_shape
        self.dropout = Dropout(dropout)
        of_filter = {"k2c2": shape[0] * shape[1], "statistics_pooling": 3}
        n_values = of_filter.get(architecture, 2 * shape[0])
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
        last = X.shape[-1] - length
        starts = [*range(0, last, max(1, length // 2)), last]
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


class RecurrentGate(nn.Module):
    """Two bidirectional GRU layers over the frames of a clip, then two dense layers.

    Dropout .25, bidirectional GRU over all frames, dropout .25, bidirectional GRU whose last
    states are kept, dropout .5, dense 32, batch normalisation, ELU, dense with one output per
    expert. Kernels start Glorot-uniform, recurrent ones orthogonal, biases at zero.
    """

    def __init__(self, n_outputs: int, n_bins: int, hidden_size: int = 64) -> None:
        super().__init__()
        self.input_dropout = Dropout(0.25)
        self.first = nn.GRU(n_bins, hidden_size, bidirectional=True)
        self.between_dropout = Dropout(0.25)
        self.second = nn.GRU(2 * hidden_size, hidden_size, bidirectional=True)
        self.last_dropout = Dropout(0.5)
        self.dense = nn.Linear(2 * hidden_size, 32)
        self.norm = BatchNorm(32)
        self.head = nn.Linear(32, n_outputs)
        for name, parameter in self.named_parameters():
            if "weight_hh" in name:
                nn.init.orthogonal_(parameter)
            elif "weight" in name and parameter.ndim == 2:
                nn.init.xavier_uniform_(parameter)  # over the three gates at once, as in Keras
            elif "bias" in name:
                nn.init.zeros_(parameter)

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        """Return logits (n, n_outputs) for spectrograms (n, bins, frames)."""
        # In half precision, gradients that fade over the frames would turn zero.
        with torch.autocast(X.device.type, enabled=False):
            x, _ = self.first(self.input_dropout(X.permute(2, 0, 1)))
            _, last = self.second(self.between_dropout(x))
            x = self.last_dropout(last.transpose(0, 1).flatten(1))
            return self.head(F.elu(self.norm(self.dense(x))))
