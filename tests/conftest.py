"""Settings common to all tests."""

import os

# Every worker keeps to one thread, so that the workers share the cores fairly. The variable must
# stand before numpy loads its libraries; it also reaches the processes that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Without it scikit-learn skips its checks of array API inputs. scipy reads it when it is loaded.
os.environ.setdefault("SCIPY_ARRAY_API", "1")

import signal
import time
from collections import Counter
from importlib.metadata import version

import pytest
import torch

STARTED = time.perf_counter()


def pytest_configure() -> None:
    """Keep torch to one thread even where OMP_NUM_THREADS says otherwise, and let Ctrl-C work."""
    torch.set_num_threads(1)
    # A shell that starts the tests in the background makes them, and what they start, ignore it.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the slow ones, so that no worker is left alone with one in the end."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which of scikit-learn's checks each estimator passed, the versions, and the time.

    ``tests/test_common.py`` records the estimator of each check; the record travels with the
    report, so the count is complete under pytest-xdist too.
    """
    outcomes = ("passed", "failed", "skipped", "xfailed")
    counts = {outcome: Counter[str]() for outcome in outcomes}
    seconds = Counter[str]()
    for outcome in outcomes:
        for report in terminalreporter.getreports(outcome):
            if report.when == "call" or outcome == "skipped":
                for key, name in getattr(report, "user_properties", ()):
                    if key == "checked_estimator":
                        counts[outcome][name] += 1
                        seconds[name] += report.duration
    if not seconds:
        return
    terminalreporter.section("scikit-learn's estimator checks")
    for name in sorted(seconds):
        row = "  ".join(f"{counts[outcome][name]:3d} {outcome}" for outcome in outcomes)
        terminalreporter.write_line(f"{name:50s} {row}  {seconds[name]:6.1f} s")
    packages = ("scikit-learn", "skorch", "torch", "numpy", "scipy", "librosa", "numba")
    terminalreporter.write_line(", ".join(f"{name} {version(name)}" for name in packages))
    workers = len(getattr(terminalreporter.config.option, "tx", None) or [None])
    terminalreporter.write_line(
        f"The whole run took {time.perf_counter() - STARTED:.0f} s with {workers} worker(s); these "
        f"checks took {sum(seconds.values()):.0f} s of the workers' time."
    )
