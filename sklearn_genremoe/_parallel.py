"""Work on clips in parallel, and when Ctrl-C has to wait."""

import signal
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from itertools import islice
from queue import SimpleQueue
from typing import Any

from joblib import Parallel, delayed
from joblib.parallel import get_active_backend
from threadpoolctl import ThreadpoolController

# Tasks per worker that other backends than threads get at a time.
_BLOCK = 32


def map_clips(function: Callable, clips: Iterable, n_jobs: int | None) -> Generator:
    """Apply a function to each clip and yield the results in order as they are ready.

    Threads unless a joblib context says otherwise: decoding, transforms and filters release the
    interpreter lock, and threads need neither start-up nor copies. No more than two clips per
    worker are ahead of the caller. The function and the clips have to be picklable for the
    backends that use processes or a cluster.

    Close the iterator however its use ends (``contextlib.closing``): it waits for the clips under
    way and starts no more.
    """
    backend, default = get_active_backend(prefer="threads")
    n_workers = backend.effective_n_jobs(default if n_jobs is None else n_jobs)
    if n_workers == 1:
        yield from map(function, clips)
    elif getattr(backend, "supports_sharedmem", False):
        yield from _map_in_threads(function, clips, n_workers)
    else:
        # In blocks, as some backends can't stream results and others run ahead without end.
        clips = iter(clips)
        while block := list(islice(clips, _BLOCK * n_workers)):
            yield from Parallel(n_jobs=n_jobs)(delayed(function)(clip) for clip in block)


def _map_in_threads(function: Callable, clips: Iterable, n_threads: int) -> Iterator:
    # Results come through a queue that is written in C: an interrupt in the middle of a future's
    # condition could leave its lock taken, and a thread waiting for good.
    results: SimpleQueue[tuple[int, Any, BaseException | None]] = SimpleQueue()

    def call(number: int, clip: Any) -> None:
        try:
            results.put((number, function(clip), None))
        except BaseException as error:
            results.put((number, None, error))

    numbered = enumerate(clips)
    ready: dict[int, tuple[Any, BaseException | None]] = {}
    n_started = n_yielded = 0
    pool = ThreadPoolExecutor(n_threads)
    try:
        while True:
            for number, clip in islice(numbered, 2 * n_threads - (n_started - n_yielded)):
                with interrupts_wait():
                    pool.submit(call, number, clip)
                n_started = number + 1
            if n_yielded == n_started:
                return
            while n_yielded not in ready:
                number, *outcome = results.get()
                ready[number] = tuple(outcome)
            result, error = ready.pop(n_yielded)
            n_yielded += 1
            if error is not None:
                raise error
            yield result
    finally:
        # The interpreter must not end while a thread is in native code: the process would abort.
        with interrupts_wait():
            pool.shutdown(cancel_futures=True)


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
