"""Convolution of one input channel and max-pooling in one step, for float32 on the CPU.

The first block of the network has one input channel, for which oneDNN has no good code, and the
convolution at full size, 31 MB per clip of 96 x 1292, is what most of the time goes for. Here it
never exists: a compiled loop convolves and keeps the maxima.

Where the normalisation comes before the maximum, it can be taken of the maxima as well, since it
is monotone, and its statistics follow from those of the 3 x 3 patches of the input: with mean
patch ``m`` and covariance ``C``, a kernel ``w`` has the mean ``w . m`` and the variance
``w' C w``, exactly.

Channels come last, side by side in memory, for vector instructions. The loops release the
interpreter lock; each uses one thread, and trainings and predictions share the processors.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.nn import functional as F

from .._compat import compiled


class Pooling(NamedTuple):
    """Pooling of a block: window and stride, cells before the edge, size of the output."""

    size: tuple[int, int]
    padding: tuple[int, int]
    output_shape: tuple[int, int]


class ConvMax(torch.autograd.Function):
    """Convolution of one input channel, which needs no gradient, and max-pooling.

    ``apply(x, weight, pooling)`` takes ``x`` (n, height, width), padded where the convolution
    needs it, and ``weight`` (channels, 1, 3, 3); it returns the largest convolution of each
    window, (n, channels, rows, columns), channels last in memory.
    """

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor, pooling: Pooling) -> torch.Tensor:
        taps = weight.flatten(1).t().contiguous()
        best = torch.empty(len(x), *pooling.output_shape, len(weight))
        place = torch.empty(best.shape, dtype=torch.int32)
        window = *pooling.size, *pooling.padding
        _conv_max(x.numpy(), taps.detach().numpy(), *window, best.numpy(), place.numpy())
        ctx.save_for_backward(x, place)
        return best.permute(0, 3, 1, 2)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grad_outputs: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, place = ctx.saved_tensors
        grad = grad_outputs[0].permute(0, 2, 3, 1).contiguous()
        total = torch.empty(grad.shape[0] * grad.shape[1], 9, grad.shape[3])
        _weight_grad(x.numpy(), grad.numpy(), place.numpy(), total.numpy())
        return None, total.sum(0).t().reshape(-1, 1, 3, 3), None


def patch_moments(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return mean (9,) and covariance (9, 9) of all 3 x 3 patches of images (n, height, width)."""
    total = torch.zeros(9, dtype=torch.float64)
    square = torch.zeros(9, 9, dtype=torch.float64)
    for image in x.double():
        patches = F.unfold(image[None, None], 3)[0]
        total += patches.sum(1)
        square += patches @ patches.t()
    n_patches = len(x) * patches.shape[1]
    mean = total / n_patches
    return mean, square / n_patches - torch.outer(mean, mean)


@partial(compiled, fastmath={"contract"})
def _conv_max(x, weight, pool_h, pool_w, pad_h, pad_w, best, place):
    """Convolve one input channel by 3 x 3 kernels and keep the maximum of each window.

    ``x`` (n, height, width); ``weight`` (9, channels); out: ``best`` and ``place`` (n, rows,
    columns, channels), the maximum and where in the clip the patch of it begins.
    """
    height, width = x.shape[1] - 2, x.shape[2] - 2
    n_rows, n_columns, n_channels = best.shape[1:]
    w0, w1, w2 = weight[0], weight[1], weight[2]
    w3, w4, w5 = weight[3], weight[4], weight[5]
    w6, w7, w8 = weight[6], weight[7], weight[8]
    for row in range(len(x) * n_rows):
        i, p = row // n_rows, row % n_rows
        top, bottom = max(p * pool_h - pad_h, 0), min((p + 1) * pool_h - pad_h, height)
        for q in range(n_columns):
            left, right = max(q * pool_w - pad_w, 0), min((q + 1) * pool_w - pad_w, width)
            best_here, place_here = best[i, p, q], place[i, p, q]
            best_here[:] = -np.inf
            place_here[:] = top * x.shape[2] + left  # remains where all are NaN
            for r in range(top, bottom):
                for s in range(left, right):
                    here = np.int32(r * x.shape[2] + s)
                    x0, x1, x2 = x[i, r, s], x[i, r, s + 1], x[i, r, s + 2]
                    x3, x4, x5 = x[i, r + 1, s], x[i, r + 1, s + 1], x[i, r + 1, s + 2]
                    x6, x7, x8 = x[i, r + 2, s], x[i, r + 2, s + 1], x[i, r + 2, s + 2]
                    for c in range(n_channels):
                        value = (
                            w0[c] * x0 + w1[c] * x1 + w2[c] * x2
                            + w3[c] * x3 + w4[c] * x4 + w5[c] * x5
                            + w6[c] * x6 + w7[c] * x7 + w8[c] * x8
                        )  # fmt: skip
                        larger = value > best_here[c]
                        best_here[c] = value if larger else best_here[c]
                        place_here[c] = here if larger else place_here[c]


@partial(compiled, fastmath={"contract"})
def _weight_grad(x, grad, place, total):
    """Send the gradient of :func:`_conv_max` back to its kernels.

    ``grad`` and ``place`` (n, rows, columns, channels); out: ``total`` (n * rows, 9, channels).
    """
    width = x.shape[2]
    n_rows, n_columns, n_channels = grad.shape[1:]
    for row in range(len(x) * n_rows):
        i, p = row // n_rows, row % n_rows
        clip = x[i].ravel()
        # One channel at a time: nine sums stay in registers.
        for c in range(n_channels):
            taps = np.zeros((3, 3), dtype=np.float32)
            for q in range(n_columns):
                here = place[i, p, q, c]
                for j in range(3):
                    for k in range(3):
                        taps[j, k] += grad[i, p, q, c] * clip[here + j * width + k]
            total[row, :, c] = taps.ravel()
