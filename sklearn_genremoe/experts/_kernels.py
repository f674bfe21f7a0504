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

from ..domains._compiled import compiled

# Below this number of floating-point cells, waking a thread costs more than it brings.
_CELLS_WORTH_A_THREAD = 1 << 16

# A multiplication and an addition may become one instruction.
_compile = partial(compiled, fastmath={"contract"})
# Sums along an axis in memory may be taken in parts as well; used for sums in float64 only.
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
        for q in range(n_columns):
            left = q * pool_w - pad_w
            best_here, cell_here = best[i, p, q], cell[i, p, q]
            best_here[:] = -np.inf
            for r in range(max(top, 0), min(top + pool_h, height)):
                for s in range(max(left, 0), min(left + pool_w, width)):
                    index = cell.dtype.type((r - top) * pool_w + s - left)
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
                        cell_here[c] = index if larger else cell_here[c]


@_compile
def conv_max_weight_grad(x, grad, cell, pool_h, pool_w, pad_h, pad_w, total, start, stop):
    """Send the gradient of :func:`conv_max` back to its kernels.

    ``grad`` and ``cell`` (n, rows, columns, channels); out: ``total`` (n * rows, 9, channels).
    """
    height, width = x.shape[1] - 2, x.shape[2] - 2
    n_rows, n_columns, n_channels = grad.shape[1:]
    for row in range(start, stop):
        i, p = row // n_rows, row % n_rows
        top = p * pool_h - pad_h
        t = total[row]
        t[:] = 0
        t0, t1, t2, t3, t4, t5, t6, t7, t8 = t[0], t[1], t[2], t[3], t[4], t[5], t[6], t[7], t[8]
        for q in range(n_columns):
            left = q * pool_w - pad_w
            grad_here, cell_here = grad[i, p, q], cell[i, p, q]
            for r in range(max(top, 0), min(top + pool_h, height)):
                for s in range(max(left, 0), min(left + pool_w, width)):
                    index = cell.dtype.type((r - top) * pool_w + s - left)
                    x0, x1, x2 = x[i, r, s], x[i, r, s + 1], x[i, r, s + 2]
                    x3, x4, x5 = x[i, r + 1, s], x[i, r + 1, s + 1], x[i, r + 1, s + 2]
                    x6, x7, x8 = x[i, r + 2, s], x[i, r + 2, s + 1], x[i, r + 2, s + 2]
                    for c in range(n_channels):
                        g = grad_here[c] if cell_here[c] == index else np.float32(0)
                        t0[c] += g * x0
                        t1[c] += g * x1
                        t2[c] += g * x2
                        t3[c] += g * x3
                        t4[c] += g * x4
                        t5[c] += g * x5
                        t6[c] += g * x6
                        t7[c] += g * x7
                        t8[c] += g * x8


@_compile_sums
def row_products(x, products, start, stop):
    """Multiply each row of a clip with itself and the next two, shifted by 0, 1 or 2 cells.

    ``x`` (n, height, width); out: ``products`` (n, height, 3, 3, 3) float64, whose entry
    ``[i, r, d, j, k]`` is the sum over s of ``x[i, r, s + j] * x[i, r + d, s + k]``.
    """
    height, n_columns = x.shape[1], x.shape[2] - 2
    for row in range(start, stop):
        i, r = row // height, row % height
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
def elu_grad(grad_y, y, best, grad_u, sums, products, start, stop):
    """Take a gradient back through ``y = elu(u)`` and sum what the normalisation needs.

    ``grad_y``, ``y`` and ``best`` (rows, columns, channels); out: ``grad_u`` of that shape,
    ``sums`` and ``products`` (rows, channels) float64, the sums over a row of ``grad_u`` and of
    ``grad_u * best``.
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
                grad_u[row, q, c] = g
                row_sum[c] += g
                row_product[c] += np.float64(g) * best[row, q, c]
