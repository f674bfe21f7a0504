"""Work on clips in parallel, and when Ctrl-C has to wait."""

import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from itertools import islice

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
    clips, waiting = iter(clips), deque[Future]()
    pool = ThreadPoolExecutor(n_threads)
    try:
        while True:
            for clip in islice(clips, 2 * n_threads - len(waiting)):
                with interrupts_wait():
                    waiting.append(pool.submit(function, clip))
            if not waiting:
                return
            with interrupts_wait():
                result = waiting.popleft().result()
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
