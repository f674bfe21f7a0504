"""When Ctrl-C has to wait."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def interrupts_wait() -> Iterator[None]:
    """Let Ctrl-C wait for the end of a block; a second one doesn't."""
    # In the middle of what a lock keeps in order about itself, it would leave other threads waiting
    # for good, and the process with them; in the middle of an import, half a module.
    previous = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(previous):
        yield
        return
    received = []

    def keep(*event):
        received.append(event)
        if len(received) > 1:
            previous(*event)

    signal.signal(signal.SIGINT, keep)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
        if len(received) == 1:
            previous(*received[0])
