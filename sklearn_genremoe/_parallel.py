"""Work on clips in parallel."""

import contextlib
from collections.abc import Callable, Generator, Iterable, Iterator
from functools import lru_cache

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
    stopped = False

    def tasks() -> Iterator:
        for clip in clips:
            if stopped:
                return
            yield delayed(function)(clip)

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
        stopped = True
        with contextlib.suppress(Exception):
            for _ in results:
                pass


def one_torch_thread():
    """Keep torch from using other threads within this one; the others keep their settings.

    Returns a context manager, which may be left unused to keep to one thread for good.
    """
    import torch  # slow, and not every worker needs it

    torch.get_num_threads()  # from now on torch takes its number of threads from OpenMP
    return _thread_pools().limit(limits=1, user_api="openmp")


@lru_cache(maxsize=1)
def _thread_pools() -> ThreadpoolController:
    return ThreadpoolController()
