"""What scikit-learn does not promise to keep, and how inner loops are compiled."""

# ruff: noqa: F401 - other modules import these from here

import importlib
import sys

from numba import njit
from sklearn.model_selection._search import BaseSearchCV
from sklearn.model_selection._split import GroupsConsumerMixin
from sklearn.utils import _safe_indexing
from sklearn.utils._array_api import get_namespace
from sklearn.utils._param_validation import Interval, Options, StrOptions, validate_params
from sklearn.utils.metadata_routing import _routing_enabled
from sklearn.utils.metaestimators import _BaseComposition
from sklearn.utils.multiclass import _check_partial_fit_first_call
from sklearn.utils.validation import (
    _check_feature_names_in,
    _check_method_params,
    _check_sample_weight,
)
from tqdm.auto import tqdm

try:
    from sklearn.utils._repr_html.estimator import _VisualBlock
except ImportError:  # scikit-learn < 1.7
    from sklearn.utils._estimator_html_repr import _VisualBlock


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


def progress_bar(*args, disable=False, **options):
    """Return tqdm's bar, disabled too where there is no console, as in a window without one."""
    return tqdm(*args, disable=True if sys.stderr is None else disable, **options)


def import_optional(name, caller, install):
    """Return a module that is no dependency; raise if what needs it is called without."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        package = name.partition(".")[0]
        raise ImportError(f"{caller} needs {package}: pip install {install}.") from error
