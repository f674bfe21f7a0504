"""Work on clips in parallel, to the end or not."""

import signal
import threading
import time
import warnings

import pytest

from sklearn_genremoe._parallel import map_clips


def double(number):
    time.sleep(0.01)
    return 2 * number


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_results_come_in_order(n_jobs):
    assert list(map_clips(double, range(6), n_jobs)) == [0, 2, 4, 6, 8, 10]


@pytest.mark.parametrize("n_jobs", [1, 2, 3])
def test_no_more_than_two_clips_per_worker_are_ahead(n_jobs):
    taken = []

    def clips():
        for number in range(40):
            taken.append(number)
            yield number

    for n_used, _ in enumerate(map_clips(double, clips(), n_jobs), 1):
        time.sleep(0.005)
        assert len(taken) - n_used <= 2 * n_jobs


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_stopping_early_is_silent_and_soon(n_jobs):
    started = []

    def count(number):
        started.append(number)
        return double(number)

    filters = list(warnings.filters)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        results = map_clips(count, range(100), n_jobs)
        assert next(results) == 0
        time.sleep(0.05)  # more results are ready by now, and others are being computed
        results.close()
        n_started = len(started)
        time.sleep(0.05)
        assert len(started) == n_started < 50  # nothing goes on behind the caller's back
    assert not caught
    assert warnings.filters == filters


def test_a_later_failure_does_not_hide_why_the_caller_stopped():
    def fail_later(number):
        if number > 0:
            time.sleep(0.1)
            raise OSError(f"clip {number}")
        return number

    def caller():
        for result in map_clips(fail_later, range(20), 2):
            raise ValueError(f"clip {result}")

    with pytest.raises(ValueError, match="clip 0"):
        caller()


def test_an_interrupt_waits_for_the_clips_under_way():
    # joblib doesn't, and the interpreter must not end while they are in native code.
    running = []

    def slow(number):
        running.append(number)
        time.sleep(0.5)
        running.remove(number)

    threading.Timer(0.2, lambda: signal.raise_signal(signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        list(map_clips(slow, range(20), 2))
    assert not running
    time.sleep(0.1)
    assert not running
