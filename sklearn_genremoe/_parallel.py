"""Work on clips in parallel."""

import contextlib
from collections.abc import Callable, Iterable, Iterator

from joblib import Parallel, delayed


def map_clips(function: Callable, clips: Iterable, n_jobs: int | None) -> Iterator:
    """Apply a function to each clip and yield the results in order as they are ready.

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
    except GeneratorExit:
        # The caller stops at a bad clip. Start no more, and let those under way come to their
        # end; should another fail too, the caller's error is the first one.
        stopped = True
        with contextlib.suppress(Exception):
            for _ in results:
                pass
        raise
