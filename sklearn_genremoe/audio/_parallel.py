"""Work on clips in parallel."""

import warnings
from collections.abc import Callable, Iterable, Iterator

from sklearn.utils.parallel import Parallel, delayed


def map_clips(function: Callable, clips: Iterable, n_jobs: int | None) -> Iterator:
    """Apply a function to each clip and yield the results in order as they are ready.

    Threads unless a joblib context says otherwise: decoding, transforms and filters release the
    interpreter lock, and threads need neither start-up nor copies. The function and the clips
    have to be picklable for the backends that use processes or a cluster.
    """
    try:
        parallel = Parallel(n_jobs=n_jobs, prefer="threads", return_as="generator")
    except ValueError:  # the backends "multiprocessing" and "ray" cannot stream results
        parallel = Parallel(n_jobs=n_jobs, prefer="threads")
    results = iter(parallel(delayed(function)(clip) for clip in clips))
    try:
        # "yield from" would close the results by itself, before they can be closed in silence.
        for result in results:  # noqa: UP028
            yield result
    except GeneratorExit:
        # The caller stops at a bad clip; joblib would warn of the results that are now in vain.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            if hasattr(results, "close"):
                results.close()
        raise
