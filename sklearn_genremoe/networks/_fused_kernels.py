"""The inner loops of the fused blocks, compiled by numba.

All arrays have their channels last, so that the innermost loops run over channels side by side
in memory and the compiler turns them into vector instructions. Each kernel works on the rows
``start`` to ``stop`` of what it is asked for and releases the interpreter lock; :func:`run` calls
it from as many threads as torch may use. Sums are kept per row and added up by the caller, so
that a result doesn't depend on the number of threads.

A *window* is what one output cell of a max-pooling looks at; cells of windows are counted row by
row, also those outside the edge.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from itertools import pairwise
from typing import Any

import numpy as np
import torch

from .._compiled import compiled

# Below this number of floating-point cells, waking a thread costs more than it brings.
_CELLS_WORTH_A_THREAD = 1 << 16

# A multiplication and an addition may become one instruction.
_compile = partial(compiled, fastmath={"contract"})
# Sums along an axis in memory may be taken in parts as well.
_compile_sums = partial(compiled, fastmath={"contract", "reassoc", "nsz"})


def run(kernel: Callable[..., None], n_rows: int, n_cells: int, *args: Any) -> None:
    """Call ``kernel(*args, start, stop)`` for all rows, on as many threads as torch may use.

    Parameters
    ----------
    kernel : callable
        A kernel of this module.
    n_rows : int
        Rows to work on, shared out among the threads.
    n_cells : int
        Size of the work, which decides whether further threads are worth it.
    *args : tensors, arrays or scalars
        Leading arguments; tensors are passed as arrays without copying.
    """
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


@_compile
def conv_max(x, weight, pool_h, pool_w, pad_h, pad_w, best, cell, start, stop):
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


@_compile_sums
def conv_max_weight_grad(x, grad, cell, pool_h, pool_w, pad_h, pad_w, total, start, stop):
    """Send the gradient of :func:`conv_max` back to its kernels.

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


@_compile_sums
def row_moments(x, sums, products, start, stop):
    """Sum each row of a clip, and its products with itself and the next two, shifted by 0 to 2.

    ``x`` (n, height, width); out: ``sums`` (n, height, 3) and ``products`` (n, height, 3, 3, 3)
    float64, whose entries ``[i, r, j]`` and ``[i, r, d, j, k]`` are the sums over s of
    ``x[i, r, s + j]`` and of ``x[i, r, s + j] * x[i, r + d, s + k]``.
    """
    height, n_columns = x.shape[1], x.shape[2] - 2
    for row in range(start, stop):
        i, r = row // height, row % height
        for j in range(3):
            total = 0.0
            for s in range(n_columns):
                total += np.float64(x[i, r, s + j])
            sums[i, r, j] = total
        for d in range(min(3, height - r)):
            for j in range(3):
                for k in range(3):
                    total = 0.0
                    for s in range(n_columns):
                        total += np.float64(x[i, r, s + j]) * np.float64(x[i, r + d, s + k])
                    products[i, r, d, j, k] = total


@_compile
def max_and_sums(
    z, sign, pivot, pool_h, pool_w, pad_h, pad_w, best, cell, sums, squares, start, stop
):
    """Find the maximum of ``sign * z`` in each window and sum what a variance needs, in one pass.

    ``z`` (n, height, width, channels), ``sign`` and ``pivot`` (channels,); out: ``best`` and
    ``cell`` (n, rows, columns, channels), ``sums`` and ``squares`` (n * rows, channels) float64:
    the sums of ``z - pivot`` and of its square over the windows of a row.
    """
    height, width, n_channels = z.shape[1:]
    n_rows, n_columns = best.shape[1:3]
    for row in range(start, stop):
        i, p = row // n_rows, row % n_rows
        top = p * pool_h - pad_h
        best[i, p] = -np.inf
        row_sum, row_square = sums[row], squares[row]
        row_sum[:] = 0
        row_square[:] = 0
        for r in range(max(top, 0), min(top + pool_h, height)):
            for q in range(n_columns):
                left = q * pool_w - pad_w
                best_here, cell_here = best[i, p, q], cell[i, p, q]
                for s in range(max(left, 0), min(left + pool_w, width)):
                    index = cell.dtype.type((r - top) * pool_w + s - left)
                    z_here = z[i, r, s]
                    for c in range(n_channels):
                        deviation = np.float64(z_here[c] - pivot[c])
                        row_sum[c] += deviation
                        row_square[c] += deviation * deviation
                        value = sign[c] * z_here[c]
                        larger = value > best_here[c]
                        best_here[c] = value if larger else best_here[c]
                        cell_here[c] = index if larger else cell_here[c]


@_compile
def norm_max_grad(z, grad, cell, a, b, d, pool_h, pool_w, pad_h, pad_w, start, stop):
    """Replace ``z`` by its gradient ``a * g + b + d * z``.

    ``z`` (n, height, width, channels); ``grad`` and ``cell`` (n, rows, columns, channels), where
    g is ``grad`` in the cell that was the maximum of its window and 0 elsewhere; ``a``, ``b`` and
    ``d`` (channels,).
    """
    height, width, n_channels = z.shape[1:]
    n_rows, n_columns = grad.shape[1:3]
    for row in range(start, stop):
        i, p = row // n_rows, row % n_rows
        top = p * pool_h - pad_h
        for r in range(max(top, 0), min(top + pool_h, height)):
            for q in range(n_columns):
                left = q * pool_w - pad_w
                grad_here, cell_here = grad[i, p, q], cell[i, p, q]
                for s in range(max(left, 0), min(left + pool_w, width)):
                    index = cell.dtype.type((r - top) * pool_w + s - left)
                    z_here = z[i, r, s]
                    for c in range(n_channels):
                        g = grad_here[c] if cell_here[c] == index else np.float32(0)
                        z_here[c] = a[c] * g + b[c] + d[c] * z_here[c]


@_compile
def elu_grad(grad_y, y, best, sums, products, start, stop):
    """Take a gradient back through ``y = elu(u)`` and sum what the normalisation needs.

    ``grad_y``, ``y`` and ``best`` (rows, columns, channels), of which ``best`` is replaced by the
    gradient; out: ``sums`` and ``products`` (rows, channels) float64, the sums over a row of the
    gradient and of its product with ``best``.
    """
    n_columns, n_channels = y.shape[1:]
    for row in range(start, stop):
        row_sum, row_product = sums[row], products[row]
        row_sum[:] = 0
        row_product[:] = 0
        for q in range(n_columns):
            for c in range(n_channels):
                slope = np.float32(1) if y[row, q, c] > 0 else y[row, q, c] + np.float32(1)
                g = grad_y[row, q, c] * slope
                row_sum[c] += g
                row_product[c] += np.float64(g) * best[row, q, c]
                best[row, q, c] = g
