"""Running medians, exact for every window size."""

import os
import subprocess
import sys

import numpy as np
import pytest
from numba import njit
from scipy.ndimage import median_filter

from sklearn_genremoe import _compat
from sklearn_genremoe.domains._median import median_program, running_median


def check(x, size):
    assert len(x) > size // 2, "scipy reads beyond its memory there; use check_definition"
    expected = median_filter(x, size=(size, 1), mode="reflect")
    np.testing.assert_array_equal(running_median(x, size), expected)


def check_definition(x, size):
    padded = np.pad(x, ((size // 2, size - 1 - size // 2), (0, 0)), mode="symmetric")
    windows = np.lib.stride_tricks.sliding_window_view(padded, size, axis=0)
    expected = np.sort(windows, axis=-1)[..., size // 2]
    np.testing.assert_array_equal(running_median(x, size), expected)


@pytest.mark.parametrize("size", [*range(1, 34), 63, 64, 101])
def test_equal_to_scipy(size):
    rng = np.random.default_rng(size)
    x = rng.standard_normal((61, 133), dtype=np.float32)
    x[rng.random(x.shape) < 0.3] = 0  # ties
    check(x, size)


@pytest.mark.parametrize("shape", [(1, 1), (1, 200), (2, 3), (5, 128), (17, 129), (300, 2)])
@pytest.mark.parametrize("size", [1, 2, 5, 30, 31, 61])
def test_shapes_smaller_than_the_window_too(shape, size):
    check_definition(np.random.default_rng(0).random(shape, dtype=np.float32), size)


def test_not_contiguous_and_read_only():
    x = np.random.default_rng(0).random((60, 80), dtype=np.float32)
    x.flags.writeable = False
    check(x.T, 31)
    check(x[::2, ::3], 31)


def test_programs_are_small():
    # The point of solving windows in groups; sorting each window would take more than 300.
    assert median_program(31).cost < 40


PROGRAM = """
import numpy as np
from numba.core import event
compilations = []
class Count(event.Listener):
    def on_start(self, event): compilations.append(event)
    def on_end(self, event): pass
event.register("numba:compile", Count())
from sklearn_genremoe import HarmonicSpectrogram
HarmonicSpectrogram().transform(np.ones((1, 5000)))
print(len(compilations))
"""


def test_compiled_once_per_machine(tmp_path):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-c", PROGRAM]
    compilations = [
        int(subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE).stdout)
        for _ in range(2)
    ]
    assert compilations[0] > 0
    assert compilations[1] == 0


def test_compiled_anew_where_nothing_can_be_kept(monkeypatch):
    def njit_without_folder(function, cache=False, **options):
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return njit(function, **options)

    monkeypatch.setattr(_compat, "njit", njit_without_folder)
    assert _compat.compiled(lambda x: x + 1)(2) == 3
