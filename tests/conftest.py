"""Settings common to all tests."""

import os

# Every worker keeps to one thread, so that the workers share the cores fairly. The variable must
# stand before numpy loads its libraries; it also reaches the processes that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from collections import Counter
from importlib.metadata import version

import pytest
import torch


def pytest_configure() -> None:
    """Keep torch to one thread even where OMP_NUM_THREADS says otherwise."""
    torch.set_num_threads(1)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many of scikit-learn's checks each estimator passed, and with which versions.

    ``tests/test_common.py`` records the estimator of each check; the record travels with the
    report, so the count is complete under pytest-xdist too.
    """
    counts = {
        outcome: Counter(
            name
            for report in terminalreporter.getreports(outcome)
            for key, name in getattr(report, "user_properties", ())
            if key == "checked_estimator" and (report.when == "call" or outcome == "skipped")
        )
        for outcome in ("passed", "failed", "skipped")
    }
    names = sorted(set().union(*counts.values()))
    if not names:
        return
    terminalreporter.section("scikit-learn's estimator checks")
    for name in names:
        row = "  ".join(f"{counts[outcome][name]:3d} {outcome}" for outcome in counts)
        terminalreporter.write_line(f"{name:55s} {row}")
    packages = ("scikit-learn", "skorch", "torch", "numpy", "scipy", "librosa", "numba")
    terminalreporter.write_line(", ".join(f"{name} {version(name)}" for name in packages))
