"""From clips to arrays: what the loader, the feature domains and their union have in common."""

import warnings
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import KW_ONLY
from functools import partial
from typing import Any

from sklearn.base import TransformerMixin

from .._clips import check_clips
from .._compat import progress_bar
from .._fields import OnError, Verbosity, with_init
from .._parallel import map_clips
from ._errors import BadClipError, BadClipWarning, warn_of_long_files


@with_init
class ClipTransformer(TransformerMixin):
    """From clips to arrays, stateless.

    Parameters
    ----------
    on_error : {"raise", "warn"}, default="raise"
        What to do about files that cannot be used: raise a
        :class:`~sklearn_genremoe.audio.BadClipError` at the first one, or go on, fill its
        row with NaN, and list all of them in one warning at the end.
    n_jobs : int, default=None
        Clips worked on in parallel; joblib's meaning.
    verbose : int, default=0
        Whether to show a progress bar.

    Attributes
    ----------
    n_features_in_ : int
        Samples per clip; absent after fitting on a :class:`~sklearn_genremoe.domains.DomainBatch`.
    bad_clips_ : dict of int to str
        Row numbers of the bad clips of the last call, and what is wrong with each.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, where waveforms came as a data frame.
    """

    _: KW_ONLY
    on_error: OnError = "raise"
    n_jobs: int | None = None
    verbose: Verbosity = 0

    def fit(self, X, y=None):
        """Note the number of samples per clip; nothing is learned and no file is read.

        Parameters
        ----------
        X : sequence of str or Path, or array-like
            As in :meth:`transform`.
        y : None
            Ignored.

        Returns
        -------
        self : object
            The transformer.
        """
        self._check(X, self._plan(), reset=True)
        return self

    def fit_transform(self, X, y=None):
        """Fit to the clips and return what :meth:`transform` gives.

        Parameters
        ----------
        X : sequence of str or Path, or array-like
            As in :meth:`transform`.
        y : None
            Ignored.

        Returns
        -------
        Xt : ndarray or DomainBatch
            As from :meth:`transform`.
        """
        return self._transform(X, reset=True)

    def _check(self, X, plan, reset):
        """Return clips, checked; of the plan, the number of samples that it reads of a file."""
        if reset:
            self.bad_clips_: dict[int, str] = {}
        return check_clips(self, X, path_samples=plan.n_samples, reset=reset)

    def _report(self, bad_clips, seconds, plan) -> None:
        """Keep which clips are bad, and warn of these and of long files, once each."""
        if bad_clips or hasattr(self, "bad_clips_"):
            self.bad_clips_ = bad_clips
        if bad_clips:
            warnings.warn(BadClipWarning(bad_clips), stacklevel=5)
        warn_of_long_files(seconds, plan.end)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags


def process_clips(
    function: Callable, tasks: Mapping, take: Callable, on_error: str, n_jobs: Any, verbose: Any
) -> tuple[dict[Any, str], dict[str, float]]:
    """Apply a function to tasks in parallel; hand each key and what comes of it on, in order.

    The function returns its result and the lengths of files that go on behind what was read, by
    path. Return why clips are bad, by key, and all lengths.
    """
    bad: dict[Any, str] = {}
    seconds: dict[str, float] = {}
    attempts = map_clips(partial(_attempt, function), tasks.values(), n_jobs)
    with closing(attempts) as results:
        progress = progress_bar(results, total=len(tasks), unit="clip", disable=not verbose)
        for key, result in zip(tasks, progress, strict=True):
            if not isinstance(result, BadClipError):
                take(key, result[0])
                seconds |= result[1]
            elif on_error == "raise":
                raise result
            else:
                bad[key] = str(result)
    return bad, seconds


def _attempt(function: Callable, task: Any) -> Any:
    """Return the error of a bad clip, so that the first in order is raised, not that in time."""
    try:
        return function(task)
    except BadClipError as error:
        return error
