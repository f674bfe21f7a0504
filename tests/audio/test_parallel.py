"""Work on clips in parallel, to the end or not."""

import time
import warnings

import pytest

from sklearn_genremoe.audio._parallel import map_clips


def double(number):
    time.sleep(0.01)
    return 2 * number


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_results_come_in_order(n_jobs):
    assert list(map_clips(double, range(6), n_jobs)) == [0, 2, 4, 6, 8, 10]


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_stopping_early_is_silent(n_jobs):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        results = map_clips(double, range(20), n_jobs)
        assert next(results) == 0
        time.sleep(0.05)  # more results are ready by now, and others are being computed
        results.close()
    assert not caught
