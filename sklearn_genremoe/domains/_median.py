"""Exact running medians by networks of minima and maxima.

Neighbouring windows share most of their elements. A group of windows is therefore solved
together: the elements that all of them share are sorted once, by Batcher's odd-even merge sort,
and only those ranks are kept that can still hold the median of some window; the group is then
halved, each half merges in the elements that its windows share, and so on down to single windows.
What nobody asks for is never computed. For 31 neighbours that leaves 34 minima or maxima per
median.

The result is a straight-line program without branches, the same for every window, so it runs on
hundreds of columns at a time in vector registers and the nearest caches. Its instructions are
data: one compiled function runs the programs of all window sizes.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from .._compat import compiled

# Columns per pass. More of them spread the cost of reading an instruction over more work; 60 lines
# of so many still fit into the second-level cache.
_MAX_LANES = 704
_NOT_NEEDED = -1


class MedianProgram(NamedTuple):
    """A program that finds the medians of a group of windows.

    Lines ``0 .. size + n_windows - 2`` are loaded with consecutive rows before it runs. Each
    instruction ``(a, b, low, high)`` stores the minimum of lines a and b in line ``low`` and their
    maximum in line ``high``; -1 where nobody needs it. ``medians`` are the lines that hold the
    medians at the end, ``cost`` the minima and maxima per window.
    """

    instructions: np.ndarray
    medians: np.ndarray
    n_lines: int
    cost: float


def running_median(x: np.ndarray, size: int) -> np.ndarray:
    """Compute the median of `size` neighbours along the first axis.

    Equal to ``scipy.ndimage.median_filter(x, size=(size, 1), mode="reflect")``, which
    :func:`librosa.decompose.hpss` uses; also right where the window is longer than the axis, where
    scipy 1.17 reads beyond its memory. Of an even number of neighbours, the upper median counts
    and the window reaches one element further back.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([[1], [9], [2], [3]], dtype=np.float32)
    >>> running_median(x, 3).ravel()
    array([1., 2., 3., 3.], dtype=float32)
    """
    program = median_program(size)
    medians = np.empty(x.shape, dtype=np.float32)
    # The rows that the windows pass over, reflected at both ends: d c b a | a b c d.
    before = size // 2
    rows = np.pad(np.arange(len(x)), (before, size - 1 - before), mode="symmetric")
    # The columns in equal passes, rounded up to whole vector registers.
    n_passes = -(-x.shape[1] // _MAX_LANES)
    n_lanes = -(-x.shape[1] // (16 * n_passes)) * 16
    lines = np.zeros((program.n_lines, n_lanes), dtype=np.float32)
    _run(x, rows, size, program.instructions, program.medians, lines, medians)
    return medians


@compiled
def _run(x, rows, size, instructions, medians, lines, out):
    n_windows = len(medians)
    n_rows, n_columns = out.shape
    n_lanes = lines.shape[1]
    for column in range(0, n_columns, n_lanes):
        width = min(n_lanes, n_columns - column)
        for row in range(0, n_rows, n_windows):
            for i in range(size + n_windows - 1):
                source = rows[min(row + i, len(rows) - 1)]
                lines[i, :width] = x[source, column : column + width]
            for k in range(len(instructions)):
                a, b, low, high = instructions[k]
                # No instruction writes to a line that it reads, so these loops vectorise.
                if low >= 0:
                    for lane in range(n_lanes):
                        p, q = lines[a, lane], lines[b, lane]
                        lines[low, lane] = p if p < q else q
                if high >= 0:
                    for lane in range(n_lanes):
                        p, q = lines[a, lane], lines[b, lane]
                        lines[high, lane] = q if p < q else p
            for i in range(min(n_windows, n_rows - row)):
                out[row + i, column : column + width] = lines[medians[i], :width]


@lru_cache(maxsize=32)
def median_program(size: int) -> MedianProgram:
    """Find the cheapest program for a window size among several group sizes."""
    groups = [n for n in (1, 2, 4, 8, 16) if n <= size]
    return min((_program(size, n) for n in groups), key=lambda program: program.cost)


def _program(size: int, n_windows: int) -> MedianProgram:
    values = list(range(size + n_windows - 1))
    exchanges: list[tuple[int, int, int, int]] = []
    medians = [0] * n_windows

    def exchange(a, b):
        low = len(values) + 2 * len(exchanges)
        exchanges.append((a, b, low, low + 1))
        return [low, low + 1]

    def solve(first, last, candidates, rank, begin, end):
        """Solve windows first..last - 1, given the sorted `candidates` of rows begin..end - 1."""
        # The rows still to come can only move the median by as many ranks.
        to_come = last - first - 1
        lowest = max(0, rank - to_come)
        candidates, rank = candidates[lowest : rank + 1], rank - lowest
        if not to_come:
            medians[first] = candidates[rank]
            return
        middle = (first + last) // 2
        for i, j in ((first, middle), (middle, last)):
            shared = values[j - 1 : begin] + values[end : i + size]
            merged = _merge(candidates, _sort(shared, exchange), exchange)
            solve(i, j, merged, rank, j - 1, i + size)

    begin, end = n_windows - 1, size
    solve(0, n_windows, _sort(values[begin:end], exchange), size // 2, begin, end)
    return _allocate(len(values), _prune(exchanges, medians), medians)


def _sort(values, exchange):
    """Sort by Batcher's odd-even merge sort."""
    if len(values) < 2:
        return values
    middle = len(values) // 2
    return _merge(_sort(values[:middle], exchange), _sort(values[middle:], exchange), exchange)


def _merge(a, b, exchange):
    """Merge two sorted lists of any lengths."""
    if not a or not b:
        return a + b
    if len(a) == len(b) == 1:
        return exchange(a[0], b[0])
    even = _merge(a[::2], b[::2], exchange)
    odd = _merge(a[1::2], b[1::2], exchange)
    merged = even[:1]
    for x, y in zip(odd, even[1:], strict=False):
        merged += exchange(x, y)
    n_paired = min(len(odd), len(even) - 1)
    return merged + even[1 + n_paired :] + odd[n_paired:]


def _prune(exchanges, wanted):
    """Drop what does not contribute to the wanted values."""
    needed = set(wanted)
    kept = []
    for a, b, low, high in reversed(exchanges):
        results = tuple(value if value in needed else _NOT_NEEDED for value in (low, high))
        if results != (_NOT_NEEDED, _NOT_NEEDED):
            needed |= {a, b}
            kept.append((a, b, *results))
    return kept[::-1]


def _allocate(n_inputs, exchanges, medians) -> MedianProgram:
    """Give each value a line, and lines whose value nobody needs any more to later values."""
    last_use = dict.fromkeys(range(n_inputs), -1)
    for step, (a, b, _, _) in enumerate(exchanges):
        last_use[a] = last_use[b] = step
    last_use |= dict.fromkeys(medians, len(exchanges))
    line = {value: value for value in (_NOT_NEEDED, *range(n_inputs))}
    n_lines = n_inputs
    free: list[int] = []
    for step, (a, b, *results) in enumerate(exchanges):
        for value in results:
            if value != _NOT_NEEDED:
                if not free:
                    free.append(n_lines)
                    n_lines += 1
                line[value] = free.pop()
        free += [line[value] for value in (a, b) if last_use[value] == step]
    instructions = [[line[value] for value in exchange] for exchange in exchanges]
    of_medians = np.array([line[value] for value in medians], dtype=np.int32)
    cost = (len(line) - 1 - n_inputs) / len(medians)
    program = np.array(instructions, dtype=np.int32).reshape(-1, 4)
    return MedianProgram(program, of_medians, n_lines, cost)
