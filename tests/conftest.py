"""Settings common to all tests."""

import torch


def pytest_configure() -> None:
    """Keep every worker on one thread, so that two workers share two cores fairly."""
    torch.set_num_threads(1)
