"""Convolution of one input channel and max-pooling in one step, for float32 on the CPU.

The first block of the network has one input channel, for which oneDNN has no good code, and the
convolution at full size, 31 MB per clip of 96 x 1292, is what most of the time goes for. Here it
never exists: a compiled loop convolves and keeps the maxima.

Where the normalisation comes before the maximum, it can be taken of the maxima as well, since it
is monotone, and its statistics follow from those of the 3 x 3 patches of the input: with mean
patch ``m`` and covariance ``C``, a kernel ``w`` has the mean ``w . m`` and the variance
``w' C w``, exactly.

All arrays have their channels last, so that the innermost loops run over channels side by side in
memory and the compiler turns them into vector instructions. Each loop works on the rows ``start``
to ``stop`` of what it is asked for and releases the interpreter lock. Sums are kept per row and
added up by the caller, so that a result doesn't depend on the number of threads.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch

from .._compat import compiled

# Below this number of floating-point cells, waking a thread costs more than it brings.
_CELLS_WORTH_A_THREAD = 1 << 16


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
        # Where in its window a maximum lies.
        few = pooling.size[0] * pooling.size[1] <= 256
        cell = torch.empty(best.shape, dtype=torch.uint8 if few else torch.int32)
        n_rows, n_cells = len(x) * pooling.output_shape[0], x.numel() * len(weight)
        _run(_conv_max, n_rows, n_cells, x, taps, *pooling.size, *pooling.padding, best, cell)
        ctx.save_for_backward(x, cell)
        ctx.pooling = pooling
        return best.permute(0, 3, 1, 2)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grad_outputs: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, cell = ctx.saved_tensors
        grad = grad_outputs[0].permute(0, 2, 3, 1).contiguous()
        n, rows, _, channels = grad.shape
        total = torch.empty(n * rows, 9, channels)
        window = *ctx.pooling.size, *ctx.pooling.padding
        _run(_weight_grad, n * rows, x.numel() * channels, x, grad, cell, *window, total)
        return None, total.sum(0).t().reshape(-1, 1, 3, 3), None


def patch_moments(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return mean (9,) and covariance (9, 9) of all 3 x 3 patches of images (n, height, width)."""
    height, width = x.shape[1] - 2, x.shape[2] - 2
    total = torch.zeros(9, dtype=torch.float64)
    square = torch.zeros(9, 9, dtype=torch.float64)
    for image in x.double():
        shifted = [image[j : j + height, k : k + width] for j in range(3) for k in range(3)]
        patches = torch.stack(shifted).view(9, -1)
        total += patches.sum(1)
        square += patches @ patches.t()
    n_patches = len(x) * height * width
    mean = total / n_patches
    return mean, square / n_patches - torch.outer(mean, mean)


def _run(kernel: Callable[..., None], n_rows: int, n_cells: int, *args: Any) -> None:
    """Call ``kernel(*args, start, stop)`` for all rows, on as many threads as torch may use."""
    arrays = [arg.detach().numpy() if isinstance(arg, torch.Tensor) else arg for arg in args]
    n_threads = max(1, min(torch.get_num_threads(), n_rows, n_cells // _CELLS_WORTH_A_THREAD))
    edges = [n_rows * part // n_threads for part in range(n_threads + 1)]
    others = [
        _threads(os.getpid()).submit(kernel, *arrays, start, stop)
        for start, stop in pairwise(edges[1:])
    ]
    kernel(*arrays, edges[0], edges[1])
    for other in others:
        other.result()


@lru_cache(maxsize=1)
def _threads(pid: int) -> ThreadPoolExecutor:
    """Return this process's threads; a forked child has none of its parent's."""
    return ThreadPoolExecutor(thread_name_prefix=f"genremoe-{pid}")


@partial(compiled, fastmath={"contract"})
def _conv_max(x, weight, pool_h, pool_w, pad_h, pad_w, best, cell, start, stop):
    """Convolve one input channel by 3 x 3 kernels and keep the maximum of each window.

    ``x`` (n, height, width); ``weight`` (9, channels); out: ``best`` and ``cell`` (n, rows,
    columns, channels), the maximum and where in its window it lies. What lies between, the
    convolution at full size, is never written to memory.
    """
    height, width = x.shape[1] - 2, x.shape[2] - 2
    n_rows, n_columns, n_channels = best.shape[1:]
    w0, w1, w2 = weight[0], weight[1], weight[2]
    w3, w4, w5 = weight[3], weight[4], weight[5]
    w6, w7, w8 = weight[6], weight[7], weight[8]
    for row in range(start, stop):
        i, p = row // n_rows, row % n_rows
        top = p * pool_h - pad_h
        first_r, last_r = max(top, 0), min(top + pool_h, height) - 1
        for q in range(n_columns):
            left = q * pool_w - pad_w
            first_s, last_s = max(left, 0), min(left + pool_w, width) - 1
            best_here, cell_here = best[i, p, q], cell[i, p, q]
            best_here[:] = -np.inf
            cell_here[:] = (first_r - top) * pool_w + first_s - left  # remains where all are NaN
            for r in range(first_r, last_r + 1):
                above, here, below = x[i, r], x[i, r + 1], x[i, r + 2]
                # Two cells at a time: the loop over few channels is short for all it has to load.
                for s in range(first_s, last_s + 1, 2):
                    index = cell.dtype.type((r - top) * pool_w + s - left)
                    next_index = cell.dtype.type(index + 1)
                    # An odd width leaves one cell over; what is beside it then must not win.
                    alone = np.float32(-np.inf if s == last_s else 0)
                    beyond = min(s + 3, width + 1)
                    x0, x1, x2, x3 = above[s], above[s + 1], above[s + 2], above[beyond]
                    x4, x5, x6, x7 = here[s], here[s + 1], here[s + 2], here[beyond]
                    x8, x9, xa, xb = below[s], below[s + 1], below[s + 2], below[beyond]
                    for c in range(n_channels):
                        value = (
                            w0[c] * x0 + w1[c] * x1 + w2[c] * x2
                            + w3[c] * x4 + w4[c] * x5 + w5[c] * x6
                            + w6[c] * x8 + w7[c] * x9 + w8[c] * xa
                        )  # fmt: skip
                        next_value = alone + (
                            w0[c] * x1 + w1[c] * x2 + w2[c] * x3
                            + w3[c] * x5 + w4[c] * x6 + w5[c] * x7
                            + w6[c] * x9 + w7[c] * xa + w8[c] * xb
                        )  # fmt: skip
                        second = next_value > value
                        value = next_value if second else value
                        larger = value > best_here[c]
                        best_here[c] = value if larger else best_here[c]
                        cell_here[c] = (next_index if second else index) if larger else cell_here[c]


@partial(compiled, fastmath={"contract", "reassoc", "nsz"})
def _weight_grad(x, grad, cell, pool_h, pool_w, pad_h, pad_w, total, start, stop):
    """Send the gradient of :func:`_conv_max` back to its kernels.

    ``grad`` and ``cell`` (n, rows, columns, channels); out: ``total`` (n * rows, 9, channels).
    """
    height, width = x.shape[1] - 2, x.shape[2]
    n_rows, n_columns, n_channels = grad.shape[1:]
    # One channel at a time: its gradients go to where the maxima were, in an image of the rows
    # of a window, whose products with the shifted clip are then sums along memory. These nine
    # sums stay in registers; side by side in memory they took eight times as long for 16 channels.
    image = np.empty(pool_h * width, dtype=np.float32)
    place = np.empty(pool_h * pool_w, dtype=np.int64)
    for index in range(place.size):
        place[index] = index // pool_w * width + index % pool_w - pad_w
    for row in range(start, stop):
        i, p = row // n_rows, row % n_rows
        top, bottom = max(p * pool_h - pad_h, 0), min((p + 1) * pool_h - pad_h, height)
        g = image[(top - p * pool_h + pad_h) * width :]
        # From a cell to the next row in the clip it is as far as in the image.
        x0 = x[i].ravel()[top * width :]
        x1, x2 = x0[width:], x0[2 * width :]
        for c in range(n_channels):
            image[:] = 0
            for q in range(n_columns):
                image[place[cell[i, p, q, c]] + q * pool_w] = grad[i, p, q, c]
            t0 = t1 = t2 = t3 = t4 = t5 = t6 = t7 = t8 = np.float32(0)
            for s in range((bottom - top) * width - 2):
                t0 += g[s] * x0[s]
                t1 += g[s] * x0[s + 1]
                t2 += g[s] * x0[s + 2]
                t3 += g[s] * x1[s]
                t4 += g[s] * x1[s + 1]
                t5 += g[s] * x1[s + 2]
                t6 += g[s] * x2[s]
                t7 += g[s] * x2[s + 1]
                t8 += g[s] * x2[s + 2]
            total[row, 0, c], total[row, 1, c], total[row, 2, c] = t0, t1, t2
            total[row, 3, c], total[row, 4, c], total[row, 5, c] = t3, t4, t5
            total[row, 6, c], total[row, 7, c], total[row, 8, c] = t6, t7, t8
