"""Whole blocks as one step each: the same function as layer by layer, in a fraction of the time.

A block is ``y = elu(max(gamma * (z - mean) / std + beta))`` with ``z = conv(x)`` and the maximum
over pooling windows. Both the normalisation (per channel) and ELU are monotone, so the maximum
can come first: over ``z`` where gamma >= 0, over ``-z`` where gamma < 0. The rest then works on
a fraction of the cells:

- the first block never writes ``z`` at all. Its mean and variance follow from the moments of the
  3 x 3 patches of ``x``: with mean patch ``m`` and covariance ``C``, a kernel ``w`` has the mean
  ``w . m`` and the variance ``w' C w``, exactly;
- the other blocks sum up mean and variance while they look for the maxima, in one pass over
  ``z``, and their backward pass turns ``z`` into its own gradient in place.

The bias of a convolution that is followed by batch normalisation drops out of the output in
training; it only shifts the running mean.

These functions serve float32 on the CPU. On other devices the blocks run layer by layer.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch.nn import functional as F

from . import _fused_kernels as kernels

_Tensors = tuple[torch.Tensor, ...]


class Pooling(NamedTuple):
    """Pooling of a block: window and stride, cells before the edge, size of the output."""

    size: tuple[int, int]
    padding: tuple[int, int]
    output_shape: tuple[int, int]


def conv_pool_elu(
    x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, pooling: Pooling
) -> torch.Tensor:
    """Convolve one input channel, pool and apply ELU, without derivatives.

    Parameters
    ----------
    x : tensor of shape (n, height, width)
        Input, padded where the convolution needs it.
    weight : tensor of shape (channels, 1, 3, 3)
        Kernels.
    bias : tensor of shape (channels,)
        Biases.
    pooling : Pooling
        Pooling of the block.

    Returns
    -------
    y : tensor of shape (n, channels, rows, columns), channels last in memory
        Output of the block.
    """
    best, _ = _conv_max(x, weight.flatten(1).t().contiguous(), pooling)
    return F.elu_(best.add_(bias)).permute(0, 3, 1, 2)


def _conv_max(x: torch.Tensor, taps: torch.Tensor, pooling: Pooling) -> _Tensors:
    """Return the largest convolution of each window and its place, (n, rows, columns, channels)."""
    n, channels = len(x), taps.shape[1]
    best = torch.empty(n, *pooling.output_shape, channels)
    cell = torch.empty(best.shape, dtype=_cell_dtype(pooling))
    rows, work = n * pooling.output_shape[0], x.numel() * channels
    kernels.run(kernels.conv_max, rows, work, x, taps, *pooling.size, *pooling.padding, best, cell)
    return best, cell


def _cell_dtype(pooling: Pooling) -> torch.dtype:
    return torch.uint8 if pooling.size[0] * pooling.size[1] <= 256 else torch.int32


class ConvMax(torch.autograd.Function):
    """Convolution of one input channel, which needs no gradient, and pooling.

    ``apply(x, weight, pooling)`` returns the largest convolution of each window, (n, channels,
    rows, columns), channels last in memory. Shapes as in :func:`conv_pool_elu`.
    """

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor, pooling: Pooling) -> torch.Tensor:
        best, cell = _conv_max(x, weight.flatten(1).t().contiguous(), pooling)
        ctx.save_for_backward(x, cell)
        ctx.pooling = pooling
        return best.permute(0, 3, 1, 2)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grad_outputs: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, cell = ctx.saved_tensors
        grad = grad_outputs[0].permute(0, 2, 3, 1).contiguous()
        total = _taps_grad(x, grad, cell, ctx.pooling)
        return None, total.sum(0).t().reshape(-1, 1, 3, 3), None


def _taps_grad(
    x: torch.Tensor, grad: torch.Tensor, cell: torch.Tensor, pooling: Pooling
) -> torch.Tensor:
    """Return what each row of windows adds to the gradient of the kernels, (rows, 9, channels)."""
    n, rows, _, channels = grad.shape
    total = torch.empty(n * rows, 9, channels)
    kernels.run(
        kernels.conv_max_weight_grad, n * rows, x.numel() * channels,
        x, grad, cell, *pooling.size, *pooling.padding, total,
    )  # fmt: skip
    return total


class FirstBlock(torch.autograd.Function):
    """The first block in training: one input channel, which needs no gradient.

    ``apply(x, weight, gamma, beta, eps, pooling)`` returns the output of the block, and the mean
    and variance of the convolution (without its bias), which carry no gradient. Shapes as in
    :func:`conv_pool_elu`. The backward pass runs only once: it uses up what forward kept.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        weight: torch.Tensor,
        gamma: torch.Tensor,
        beta: torch.Tensor,
        eps: float,
        pooling: Pooling,
    ) -> _Tensors:
        sign = torch.where(gamma < 0, -1.0, 1.0)
        taps = weight.flatten(1).t().contiguous()
        best, cell = _conv_max(x, taps * sign, pooling)
        mean_patch, second_moment = patch_moments(x)
        exact = taps.double()
        mean = mean_patch @ exact
        covariance = second_moment - torch.outer(mean_patch, mean_patch)
        variance = (exact * (covariance @ exact)).sum(0).clamp_(min=0)
        std = (variance + eps).sqrt()
        y = _normalise(best, gamma, beta, mean, std)
        ctx.save_for_backward(x, taps, gamma, sign, cell, y, mean, std, mean_patch, second_moment)
        ctx.used_up = best
        ctx.pooling = pooling
        ctx.mark_non_differentiable(mean, variance)
        return y.permute(0, 3, 1, 2), mean, variance

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grad_outputs: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, taps, gamma, sign, cell, y, mean, std, mean_patch, moment = ctx.saved_tensors
        best = _take(ctx)
        grad_u, grad_beta, grad_gamma = _elu_norm_grad(grad_outputs[0], y, best, sign, mean, std)
        total = _taps_grad(x, grad_u, cell, ctx.pooling)
        # d z = gamma / std * (g - mean(g) - z_hat * mean(g * z_hat)); its product with the
        # patches needs, besides the maxima, only the moments of the patches again.
        patch = mean_patch[:, None]
        z_hat_patch = (moment @ taps.double() - mean * patch) / std
        grad_taps = total.sum(0, dtype=torch.float64) - grad_beta * patch - grad_gamma * z_hat_patch
        grad_taps *= gamma / std
        grad_weight = grad_taps.t().reshape(-1, 1, 3, 3).float()
        return None, grad_weight, grad_gamma.float(), grad_beta.float(), None, None


def patch_moments(x: torch.Tensor) -> _Tensors:
    """Return the mean and the second moment of all 3 x 3 patches.

    Parameters
    ----------
    x : tensor of shape (n, height, width)
        Images.

    Returns
    -------
    mean : tensor of shape (9,), float64
        Mean patch, row by row.
    second_moment : tensor of shape (9, 9), float64
        Mean of the outer product of a patch with itself.
    """
    n, height, width = x.shape
    rows, columns = height - 2, width - 2
    n_patches = n * rows * columns
    sums, products = np.empty((n, height, 3)), np.zeros((n, height, 3, 3, 3))
    kernels.run(kernels.row_moments, n * height, 24 * x.numel(), x, sums, products)
    row_sums = sums.sum(axis=0)
    mean = np.stack([row_sums[j : j + rows].sum(axis=0) for j in range(3)])
    per_row = products.sum(axis=0)
    moment = np.empty((3, 3, 3, 3))
    for j in range(3):
        for d in range(3 - j):
            moment[j, :, j + d, :] = per_row[j : j + rows, d].sum(axis=0)
            moment[j + d, :, j, :] = moment[j, :, j + d, :].T
    mean, moment = mean.reshape(9) / n_patches, moment.reshape(9, 9) / n_patches
    return torch.from_numpy(mean), torch.from_numpy(moment)


class NormPoolELU(torch.autograd.Function):
    """Batch normalisation, pooling and ELU in training.

    ``apply(z, gamma, beta, eps, pooling)`` with ``z`` (n, channels, height, width), channels last
    in memory, returns the output (n, channels, rows, columns) likewise, and the mean and variance
    of ``z``, which carry no gradient. The backward pass uses up ``z`` as well, so it runs once.
    """

    @staticmethod
    def forward(
        ctx: Any,
        z: torch.Tensor,
        gamma: torch.Tensor,
        beta: torch.Tensor,
        eps: float,
        pooling: Pooling,
    ) -> _Tensors:
        z = z.permute(0, 2, 3, 1).contiguous()
        n, height, width, channels = z.shape
        sign = torch.where(gamma < 0, -1.0, 1.0)
        best = torch.empty(n, *pooling.output_shape, channels)
        cell = torch.empty(best.shape, dtype=_cell_dtype(pooling))
        rows = n * pooling.output_shape[0]
        sums = torch.empty(2, rows, channels, dtype=torch.float64)
        # Deviations from any typical value keep the variance exact where |mean| >> std.
        pivot = z[0, 0, 0].clone()
        kernels.run(
            kernels.max_and_sums, rows, z.numel(),
            z, sign, pivot, *pooling.size, *pooling.padding, best, cell, sums[0], sums[1],
        )  # fmt: skip
        offset, square = sums.sum(1) / (n * height * width)
        mean = pivot + offset
        variance = (square - offset**2).clamp_(min=0)
        std = (variance + eps).sqrt()
        y = _normalise(best, gamma, beta, mean, std)
        ctx.save_for_backward(gamma, sign, cell, y, mean, std)
        ctx.used_up = z, best
        ctx.pooling = pooling
        ctx.mark_non_differentiable(mean, variance)
        return y.permute(0, 3, 1, 2), mean, variance

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grad_outputs: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        gamma, sign, cell, y, mean, std = ctx.saved_tensors
        z, best = _take(ctx)
        grad_u, grad_beta, grad_gamma = _elu_norm_grad(grad_outputs[0], y, best, sign, mean, std)
        n_values = z.numel() // z.shape[-1]
        a = gamma / std
        d = -a * grad_gamma / (std * n_values)
        b = -a * grad_beta / n_values - d * mean
        kernels.run(
            kernels.norm_max_grad, cell.shape[0] * cell.shape[1], z.numel(),
            z, grad_u, cell, a.float(), b.float(), d.float(),
            *ctx.pooling.size, *ctx.pooling.padding,
        )  # fmt: skip
        return z.permute(0, 3, 1, 2), grad_gamma.float(), grad_beta.float(), None, None


def _take(ctx: Any) -> Any:
    """Return what a backward pass overwrites, which is there only once."""
    used_up, ctx.used_up = ctx.used_up, None
    if used_up is None:
        raise RuntimeError("The backward pass of this block has run before; call forward again.")
    return used_up


def _normalise(
    best: torch.Tensor,
    gamma: torch.Tensor,
    beta: torch.Tensor,
    mean: torch.Tensor,
    std: torch.Tensor,
) -> torch.Tensor:
    """Return ELU of the normalised maxima; ``best`` holds them times the sign of gamma."""
    scale = gamma.abs() / std
    shift = beta - gamma * mean / std
    return F.elu_(torch.addcmul(shift.float(), best, scale.float()))


def _elu_norm_grad(
    grad_y: torch.Tensor,
    y: torch.Tensor,
    best: torch.Tensor,
    sign: torch.Tensor,
    mean: torch.Tensor,
    std: torch.Tensor,
) -> _Tensors:
    """Return the gradients of what :func:`_normalise` does: before ELU, of beta and of gamma.

    The first of them takes the memory of ``best``: fresh memory costs as much as the sums.
    """
    n, rows, columns, channels = y.shape
    sums = torch.empty(2, n * rows, channels, dtype=torch.float64)
    shape = (n * rows, columns, channels)
    kernels.run(
        kernels.elu_grad, n * rows, y.numel(),
        grad_y.permute(0, 2, 3, 1).contiguous().view(shape), y.view(shape), best.view(shape),
        sums[0], sums[1],
    )  # fmt: skip
    grad_beta, product = sums.sum(1)
    return best, grad_beta, (sign * product - mean * grad_beta) / std
