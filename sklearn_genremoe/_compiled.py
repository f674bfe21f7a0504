"""How inner loops are compiled."""

from numba import njit


def compiled(function, *, fastmath=False):
    """Compile a function, once per machine where there is a folder to keep the code in.

    numba keeps it beside the source, else in the user's cache folder. Processes that start at
    the same time may each compile; none waits for or disturbs another. The code releases the
    interpreter lock, so that threads run it in parallel, and divides like numpy does: checks
    for zero would keep loops from being vectorised. `fastmath` names the liberties that
    floating-point arithmetic may take, as numba does.
    """
    options = {"nogil": True, "error_model": "numpy", "fastmath": fastmath}
    try:
        return njit(function, cache=True, **options)
    except RuntimeError:  # neither folder can be written to: compile anew in each process
        return njit(function, **options)
