"""Work on clips in parallel, and when Ctrl-C has to wait."""

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any
from uuid import uuid4
from weakref import WeakValueDictionary

from joblib import Parallel, delayed
from threadpoolctl import ThreadpoolController


def map_clips(function: Callable, clips: Iterable, n_jobs: int | None) -> Generator:
    """Apply a function to each clip and yield the results in order as they are ready.

    Close the iterator however its use ends (``contextlib.closing``): it waits for the clips under
    way and starts no more. Left to be closed by the end of the interpreter, where the traceback of
    an error keeps it until then, it would wait for threads that are no more.

    Threads unless a joblib context says otherwise: decoding, transforms and filters release the
    interpreter lock, and threads need neither start-up nor copies. The function and the clips
    have to be picklable for the backends that use processes or a cluster.
    """
    # Not scikit-learn's Parallel: its workers exchange the warnings filters, which all threads
    # share.
    call = _Call(function)

    def tasks() -> Iterator:
        for clip in clips:
            if call.stopped:
                return
            yield delayed(call.task)(clip)

    try:
        parallel = Parallel(n_jobs=n_jobs, prefer="threads", return_as="generator")
    except ValueError:  # the backends "multiprocessing" and "ray" cannot stream results
        parallel = Parallel(n_jobs=n_jobs, prefer="threads")
    results = iter(parallel(tasks()))
    try:
        # "yield from" would close the results, and joblib would warn of those that are in vain.
        for result in results:  # noqa: UP028
            yield result
    finally:
        # The caller stops early, at a bad clip or interrupted. Let those under way come to their
        # end; should another fail too, the caller's error is the first one.
        call.stopped = True
        with contextlib.suppress(Exception):
            for _ in results:
                pass
        call.wait()  # joblib doesn't, if it was interrupted itself


class _Call:
    """One call of :func:`map_clips`: what its threads in this process are at.

    The interpreter must not end while one of them is in native code: the process would abort.
    """

    def __init__(self, function: Callable) -> None:
        self.stopped = False
        self.task = _Task(function, id(self))
        self._n_running = 0
        self._changed = threading.Condition()
        _calls[id(self)] = self

    def run(self, function: Callable, clip: Any) -> Any:
        with self._changed:
            if self.stopped:
                return None  # nobody waits for it
            self._n_running += 1
        try:
            return function(clip)
        finally:
            with self._changed:
                self._n_running -= 1
                self._changed.notify_all()

    def wait(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._n_running == 0)


class _Task:
    """The function, which finds its call again where that is in the same process."""

    def __init__(self, function: Callable, call: int) -> None:
        self.function = function
        self.call = call
        self.process = os.getpid(), _MACHINE

    def __call__(self, clip: Any) -> Any:
        if self.process != (os.getpid(), _MACHINE):
            return self.function(clip)
        call = _calls.get(self.call)
        return None if call is None else call.run(self.function, clip)


_calls: WeakValueDictionary[int, _Call] = WeakValueDictionary()

# Processes of other machines may have the same number.
_MACHINE = uuid4().hex


def torch_threads(number: int):
    """Set how many threads torch uses from within this one; the others keep their settings.

    Returns a context manager, which may be left unused to keep to that number for good.
    """
    import torch  # slow, and not every worker needs it

    torch.get_num_threads()  # from now on torch takes its number of threads from OpenMP
    return _thread_pools().limit(limits=number, user_api="openmp")


@lru_cache(maxsize=1)
def _thread_pools() -> ThreadpoolController:
    return ThreadpoolController()


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
