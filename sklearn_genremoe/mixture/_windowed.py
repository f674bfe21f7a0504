"""Whole tracks, classified by windows."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator
from itertools import islice
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags
from sklearn.utils.metadata_routing import (
    UNUSED,
    MetadataRouter,
    MethodMapping,
    get_routing_for_object,
    process_routing,
)
from sklearn.utils.validation import check_is_fitted, has_fit_parameter
from tqdm.auto import tqdm

from .._checks import check_classes, forget_fit, unchanged_on_error, unfitted_on_error
from .._clips import Clips, check_clips, kind_of_clips, only_clip, without_torch
from .._compat import Interval, StrOptions, _check_method_params, _routing_enabled
from .._diagram import DiagramMixin
from ..audio import (
    ONE_FRAME,
    REST,
    SILENCE,
    BadClipError,
    BadClipWarning,
    SourceExcerpt,
    fix_length,
    read_excerpts,
)
from ..domains import BaseDomain, DomainBatch, DomainUnion
from ._answers import accuracy, answer, none_usable
from ._cross_fitting import _last_step, group_params, weight_params
from ._mixture import MixtureOfExpertsClassifier
from ._parts import check_experts, make_mixer
from ._training_clips import TrainingClips, take_clips
from ._views import leading_domain, leading_domains, make_union

# Windows decoded, extracted and judged at a time: 5 MB each at 44,100 Hz.
_CHUNK = 4
# Numbers in waveforms at a time.
_CHUNK_SAMPLES = 2**22
# Chunks that are kept apart before they are joined, each with its files open.
_APART = 64
# Hz of the waveforms that an estimator without a feature domain gets.
_SAMPLE_RATE = 22050


class _Heard(NamedTuple):
    """Some windows: their tracks, begin and end in seconds, which can be used, and what the
    estimator sees of those."""

    rows: NDArray[np.intp]
    spans: NDArray[np.float64]
    usable: NDArray[np.bool_]
    view: Any


class WindowedClassifier(DiagramMixin, ClassifierMixin, MetaEstimatorMixin, BaseEstimator):
    """Classifies whole tracks by windows.

    A track of any length is read once from one end to the other, a few windows at a time, so that
    an hour takes no more memory than a minute. Each window is classified like a clip, and what is
    said of all windows becomes the answer for the track. :meth:`predict_windows` tells how the
    genre develops over time.

    Parameters
    ----------
    estimator : estimator
        The classifier of a window, with ``predict_proba``: a
        :class:`~sklearn_genremoe.MixtureOfExpertsClassifier`, a pipeline that begins with a feature
        domain, or any classifier of waveforms. One that is fitted already is wrapped in
        :class:`~sklearn.frozen.FrozenEstimator`, and needs no ``fit``.
    window : float, default=30.0
        Length of a window in seconds. It takes the place of the `duration` of feature domains; for
        a fitted estimator it has to be what that was.
    hop : float, default=15.0
        Seconds from the beginning of one window to the beginning of the next, whatever `window`
        is: what lies between windows that are shorter isn't heard. A last window ends where the
        track ends, unless less than a hundredth of a window is left.
    aggregate : {"mean", "geometric_mean", "vote"}, default="mean"
        How windows become a track: mean of the probabilities; geometric mean, scaled to sum one;
        or share of the windows in which a genre is the most probable one.
    on_error : {"raise", "warn"}, default="raise"
        What to do about tracks that cannot be used, as in
        :class:`~sklearn_genremoe.MixtureOfExpertsClassifier`.
    n_jobs : int, default=None
        Windows extracted in parallel. None is 1 unless in a :func:`joblib.parallel_config` context,
        -1 means all cores.
    verbose : int, default=0
        Above zero, show progress.

    Attributes
    ----------
    estimator_ : estimator
        The fitted classifier of a window.
    bad_clips_ : dict of int to str
        The rows of the last call that could not be used, and why; absent as long as there were
        none.
    n_features_in_ : int
        Samples per window, or per clip where waveforms were shorter.
    feature_names_in_ : ndarray of str of shape (`n_features_in_`,)
        Names of the columns, if `X` was a data frame whose columns have names.

    See Also
    --------
    MixtureOfExpertsClassifier : Classifies clips.
    sklearn_genremoe.inspection.TimelineDisplay : Draws the genre over time.

    Notes
    -----
    ``fit`` trains on the windows of all tracks. Each has the genre of its track, an equal share of
    its weight, so that tracks count alike whatever their lengths, and its track as its group, or
    the group that was given for the track: no window of a track is predicted by experts that were
    trained on another. Where tracks differ in length but the estimator takes no weights, each
    window counts alike.

    A window that is silent throughout is left out; so is what precedes and follows a track that is
    shorter than a window, which is filled up as the domains say (`fill`). The windows of a file
    are exactly what the domains read at their offsets.

    The features that ``fit`` needs take some 0.8 MB per window with the default experts. With
    ``memory`` in the mixture they stay on disk, and are computed once for many fits.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn_genremoe import LogMelSpectrogram, WindowedClassifier
    >>> from sklearn_genremoe.datasets import load_mini_genres
    >>> from sklearn_genremoe.domains import time_statistics
    >>> from sklearn.preprocessing import FunctionTransformer
    >>> clips = load_mini_genres()
    >>> classifier = make_pipeline(
    ...     LogMelSpectrogram(), FunctionTransformer(time_statistics), LogisticRegression(C=1e-3)
    ... )
    >>> windowed = WindowedClassifier(classifier, window=4.0, hop=3.0)
    >>> windowed.fit(clips.data[:24], clips.target[:24]).predict_proba(clips.data[:2]).shape
    (2, 2)
    >>> windowed.predict_windows(clips.data[0])[["start", "end"]]
       start   end
    0    0.0   4.0
    1    3.0   7.0
    2    6.0  10.0
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "window": [Interval(Real, 0, None, closed="neither")],
        "hop": [Interval(Real, 0, None, closed="neither")],
        "aggregate": [StrOptions({"mean", "geometric_mean", "vote"})],
        "on_error": [StrOptions({"raise", "warn"})],
        "n_jobs": [Integral, None],
        "verbose": ["verbose"],
    }

    # As in the mixture.
    __metadata_request__fit = {"groups": True}
    __metadata_request__predict = {"missing": UNUSED}

    def __init__(
        self,
        estimator: Any,
        window: float = 30.0,
        hop: float = 15.0,
        aggregate: str = "mean",
        *,
        on_error: str = "raise",
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> None:
        self.estimator = estimator
        self.window = window
        self.hop = hop
        self.aggregate = aggregate
        self.on_error = on_error
        self.n_jobs = n_jobs
        self.verbose = verbose

    def fit(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        **params: Any,
    ) -> WindowedClassifier:
        """Train the estimator on the windows of all tracks.

        Parameters
        ----------
        X : sequence of str or Path, or array-like of shape (n_tracks, n_samples)
            Paths of files of any length, or waveforms.
        y : array-like of shape (n_tracks,)
            The genres.
        sample_weight : array-like of shape (n_tracks,), default=None
            Weights of the tracks.
        groups : array-like of shape (n_tracks,), default=None
            What must stay together when windows are held out, for example artists or albums. None
            keeps the windows of each track together.
        **params : dict
            With metadata routing enabled, more metadata for the estimator.

        Returns
        -------
        self : WindowedClassifier
            The fitted classifier. A frozen estimator is left as it is, and no file is read.

        Raises
        ------
        ValueError
            If a parameter isn't accepted, all tracks are of one genre, a track can't be used, or
            the estimator refuses the windows.
        TypeError
            If the estimator has no ``predict_proba``.
        """
        with unchanged_on_error(self):
            self._validate_params()
            if not hasattr(self.estimator, "predict_proba"):
                raise TypeError(
                    f"{type(self.estimator).__name__} has no predict_proba; windows are judged by "
                    "probabilities: give a classifier that has them."
                )
            clips = self._check_X(X, reset=True)
            tracks = TrainingClips.check(clips, y, sample_weight, groups)
            if _is_frozen(self.estimator):
                check_is_fitted(self.estimator)
                forget_fit(self)
                self.estimator_ = self.estimator
                return self
            check_classes(tracks.y)
            tracks = tracks.present()
            # Refuse what the estimator can't take before files are read.
            self._metadata(tracks, np.arange(len(tracks.y)), params)
            bad: dict[int, str] = {}
            memory = getattr(_inner(self.estimator), "memory", None)
            view, of_track = self._all_windows(tracks.X, memory, bad)
            bad = dict(sorted(bad.items()))
            bad_clips = {int(tracks.origin[row]): why for row, why in bad.items()}
            self._report(bad_clips, f"left out of the fit on {len(tracks.y) - len(bad)} others")
            if not len(of_track):
                raise none_usable(bad, "tracks")
            check_classes(tracks.y[of_track])
            metadata = self._metadata(tracks, of_track, params)
        with unfitted_on_error(self):
            if bad_clips:
                self.bad_clips_ = bad_clips
            self.estimator_ = clone(self.estimator).fit(view, tracks.y[of_track], **metadata)
        return self

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the probability of each genre for each track.

        Parameters
        ----------
        X : sequence of str or Path, or array-like of shape (n_tracks, n_samples)
            Paths of files of any length, or waveforms.

        Returns
        -------
        proba : ndarray of shape (n_tracks, n_classes)
            Probabilities in the order of ``classes_``; rows sum to one. With
            ``on_error="warn"``, the rows of bad tracks are NaN.
        """
        proba, bad = self._track_proba(X)
        self._report(bad)
        return proba

    def predict_log_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the logarithm of the probability of each genre for each track.

        Parameters
        ----------
        X : sequence of str or Path, or array-like of shape (n_tracks, n_samples)
            Paths of files of any length, or waveforms.

        Returns
        -------
        log_proba : ndarray of shape (n_tracks, n_classes)
            Logarithms in the order of ``classes_``; minus infinity for excluded genres.
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def predict(self, X: Any, *, missing: Any = None) -> NDArray:
        """Return the most probable genre of each track.

        Parameters
        ----------
        X : sequence of str or Path, or array-like of shape (n_tracks, n_samples)
            Paths of files of any length, or waveforms.
        missing : object, default=None
            The answer for tracks that can't be used, with ``on_error="warn"``; for example
            ``"unknown"``. None refuses to answer if there are any.

        Returns
        -------
        y : ndarray of shape (n_tracks,)
            Genres; of objects where some are `missing` and that is of another type.

        Raises
        ------
        BadClipError
            Some tracks can't be used, and `on_error` is "raise" or `missing` is None.
        """
        proba, bad = self._track_proba(X)
        answers = answer(proba, bad, self.classes_, missing)
        self._report(bad, f"answered by {missing!r}")
        return answers

    def score(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Return the share of tracks whose genre is found.

        Parameters
        ----------
        X : sequence of str or Path, or array-like of shape (n_tracks, n_samples)
            Paths of files of any length, or waveforms. With ``on_error="warn"`` those that can't
            be used are left out of the score, with a warning.
        y : array-like of shape (n_tracks,)
            Their genres.
        sample_weight : array-like of shape (n_tracks,), default=None
            Weights of the tracks.

        Returns
        -------
        score : float
            Accuracy, from 0 to 1.

        Raises
        ------
        BadClipError
            A track can't be used, and `on_error` is "raise", or none can be used.
        """
        proba, bad = self._track_proba(X)
        true = TrainingClips.check(X, y, sample_weight, groups=None)
        score = accuracy(proba, bad, self.classes_, true)
        self._report(bad, "left out of the score")
        return score

    def predict_windows(self, track: Any) -> Any:
        """Return what is said of each window of a track.

        Parameters
        ----------
        track : str, Path or array-like of shape (n_samples,)
            The path of a file of any length, or a waveform.

        Returns
        -------
        windows : pandas.DataFrame
            A row per window. The columns: start and end in seconds; the probability of each
            genre; and, if the estimator is one mixture (not several, as after calibration by
            folds), ``weight[<expert>]``, how much it trusts each expert. Genres and weights of
            silent windows are NaN.

        Raises
        ------
        ImportError
            If pandas is not installed.
        ValueError
            If `track` isn't one track.
        BadClipError
            If the track can't be used, whatever `on_error` is.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn.dummy import DummyClassifier
        >>> from sklearn_genremoe import WindowedClassifier
        >>> minute = np.random.default_rng(0).normal(size=60 * 22050)
        >>> windowed = WindowedClassifier(DummyClassifier())
        >>> windowed.fit([minute, 0.5 * minute], ["folk", "rock"]).predict_windows(minute)
           start   end  folk  rock
        0    0.0  30.0   0.5   0.5
        1   15.0  45.0   0.5   0.5
        2   30.0  60.0   0.5   0.5
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise ImportError("predict_windows needs pandas: pip install pandas.") from error
        clips, model = self._ready(only_clip(track, "track"))
        mixture = _fitted_mixture(model)
        names = [] if mixture is None else [name for name, _ in mixture._fitted()]
        columns = ["start", "end", *self.classes_, *(f"weight[{name}]" for name in names)]
        tables = []
        for heard in self._listen(clips, model, {}, on_error="raise"):
            table = np.full((len(heard.rows), len(columns)), np.nan)
            table[:, :2] = heard.spans
            if heard.usable.any():
                said = [model.predict_proba(heard.view)]
                said += [] if mixture is None else [mixture.mixture_weights(heard.view)]
                table[heard.usable, 2:] = np.hstack(said)
            tables.append(table)
        return pd.DataFrame(np.concatenate(tables), columns=columns)

    @property
    def classes_(self) -> NDArray:
        """The genres, sorted."""
        check_is_fitted(self)
        return self._model().classes_

    # From tracks to windows.

    def _model(self) -> Any:
        """Return the fitted estimator, which may have come frozen."""
        return getattr(self, "estimator_", self.estimator)

    def _rate(self) -> int:
        return next(iter(_rates(self.estimator)), _SAMPLE_RATE)

    def _check_X(self, X: Any, *, reset: bool) -> Clips:
        if isinstance(X, DomainBatch):
            raise ValueError(
                f"X is a {X!r}, whose clips can't be divided into windows any more: pass paths or "
                "waveforms, or give the batch to the estimator itself."
            )
        X = without_torch(X)
        kind = kind_of_clips(X)
        rates = sorted(set(_rates(self.estimator)))
        all_domains = bool(_domains(_inner(self.estimator)))
        if len(rates) > 1 and (kind == "waveforms" or not all_domains):
            raise ValueError(
                f"waveforms have one sample rate, but {type(self.estimator).__name__} expects "
                f"{rates} Hz: give its domains one sample_rate"
                + (", or pass paths." if all_domains else ", or each expert a domain.")
            )
        n_samples = round(self.window * self._rate())
        judge = self
        is_long = kind == "waveforms" and _width(X) > n_samples
        if is_long:  # it is windows that must have the same number of samples, not tracks
            judge = copy.copy(self)
        clips = check_clips(judge, X, path_samples=n_samples, reset=reset or is_long)
        if is_long and reset:
            self.n_features_in_ = n_samples
            self.__dict__.pop("feature_names_in_", None)
        elif is_long and getattr(self, "n_features_in_", n_samples) != n_samples:
            raise ValueError(
                f"X has windows of {n_samples} samples, but {type(self).__name__} is expecting "
                f"{self.n_features_in_} features as input: it was fitted on shorter waveforms."
            )
        return clips

    def _windows(self, paths: list[str], bad: dict[int, str], on_error: str) -> Iterator[Any]:
        """Yield the row and the excerpt of each window, and None behind the last of a track."""
        for row, path in enumerate(paths):
            try:
                for excerpt in read_excerpts(path, self.window, self.hop):
                    yield row, excerpt
            except BadClipError as error:
                if on_error == "raise":
                    raise
                bad[row] = str(error)
            yield row, None

    def _listen(
        self,
        clips: Clips,
        estimator: Any,
        bad: dict[int, str],
        memory: Any = None,
        on_error: str | None = None,
    ) -> Iterator[_Heard]:
        """Yield the windows of all tracks, a few at a time; bad tracks are put into `bad`."""
        union = _union(
            _inner(estimator), memory=memory, n_jobs=self.n_jobs, on_error="warn", verbose=0
        )
        if clips.waveforms is not None:
            yield from self._slices(clips.waveforms, union)
            return
        on_error = on_error or self.on_error
        paths = clips.paths or []
        windows = self._windows(paths, bad, on_error)
        n_samples = round(self.window * self._rate())
        n_heard = np.zeros(len(clips), dtype=int)
        reasons: dict[int, str] = {}
        while chunk := list(islice(windows, _CHUNK)):
            rows, excerpts = [], []
            for row, excerpt in chunk:
                if excerpt is not None:
                    rows.append(row)
                    excerpts.append(excerpt)
            ends = [row for row, excerpt in chunk if excerpt is None]
            if excerpts:
                if union is None:
                    view, silent = _as_waveforms(excerpts, self._rate(), n_samples)
                else:
                    view = union.transform(Clips(excerpts, None, self.window))
                    silent = view.bad_clips
                usable = ~np.isin(np.arange(len(rows)), list(silent))
                if silent:
                    view = take_clips(view, np.flatnonzero(usable))
                for window, why in silent.items():
                    reasons.setdefault(rows[window], why)
                np.add.at(n_heard, np.array(rows)[usable], 1)
                spans = np.array([(e.offset, e.end) for e in excerpts])
                yield _Heard(np.array(rows), spans, usable, view)
            for row in ends:
                if not n_heard[row] and row not in bad:
                    bad[row] = reasons[row]
                    if on_error == "raise":
                        path = paths[row]
                        raise BadClipError(path, reasons[row].removeprefix(f"{path}: "))

    def _slices(self, waveforms: NDArray, union: DomainUnion | None) -> Iterator[_Heard]:
        """Yield the windows of waveforms; silent ones are used where a track has no others."""
        rate = self._rate()
        n_clips, length = waveforms.shape
        n_samples, hop = round(self.window * rate), max(1, round(self.hop * rate))
        starts = [0]
        if length > n_samples:
            starts = list(range(0, length - n_samples + 1, hop))
            if length - starts[-1] - n_samples > REST * n_samples:
                starts.append(length - n_samples)
        width = min(length, n_samples)
        places = [(row, start) for row in range(n_clips) for start in starts]
        size = max(1, _CHUNK_SAMPLES // width)
        loud = np.ones((n_clips, len(starts)), dtype=bool)
        if len(starts) > 1:
            for column, start in enumerate(starts):
                part = waveforms[:, start : start + width]
                loud[:, column] = np.abs(part).max(axis=1) >= SILENCE
            loud[~loud.any(axis=1)] = True
        for first in range(0, len(places), size):
            chunk = places[first : first + size]
            usable = loud.ravel()[first : first + size]
            rows = np.array([row for row, _ in chunk])
            begin = np.array([start for _, start in chunk])
            if len(starts) == 1:
                view = waveforms[rows[0] : rows[-1] + 1, :width]
            else:
                view = np.stack([waveforms[row, s : s + width] for row, s in chunk])[usable]
            if union is not None and len(view):
                view = union.transform(Clips(None, view))
            spans = np.column_stack([begin, begin + width]) / rate
            yield _Heard(rows, spans, usable, view)

    def _all_windows(
        self, clips: Clips, memory: Any, bad: dict[int, str]
    ) -> tuple[Any, NDArray[np.intp]]:
        """Return what the estimator sees of all usable windows, and of which track each is."""
        views: list[Any] = []
        rows: list[NDArray] = [np.zeros(0, dtype=np.intp)]
        heard = self._listen(clips, self.estimator, bad, memory)
        for windows in tqdm(heard, unit=f" x {_CHUNK} windows", disable=not self.verbose):
            if not windows.usable.any():
                continue
            views.append(windows.view)
            rows.append(windows.rows[windows.usable])
            if len(views) == _APART:
                views = [_joined(views)]
        of_track = np.concatenate(rows)
        good = np.flatnonzero(~np.isin(of_track, list(bad)))
        view = _joined(views) if views else None
        return (view if len(good) == len(of_track) else take_clips(view, good)), of_track[good]

    # What the estimator is told of the windows.

    def _metadata(
        self, tracks: TrainingClips, of_track: NDArray[np.intp], params: dict[str, Any]
    ) -> dict[str, Any]:
        """Return weights, groups and other metadata of the windows, as the estimator takes them."""
        counts = np.bincount(of_track, minlength=len(tracks.y))
        present = counts > 0
        weight, groups = tracks.weight, tracks.groups
        if counts.max() > 1 and groups is None:
            groups = np.arange(len(tracks.y))
        if weight is not None or len(np.unique(counts[present])) > 1:
            if weight is None and _takes_weight(self.estimator):
                weight = np.ones(len(tracks.y))
            if weight is not None:  # an equal share to each window; a mean track keeps its weight
                weight = weight[of_track] / counts[of_track] * counts[present].mean()
        groups = None if groups is None else groups[of_track]
        if _routing_enabled():
            params = _check_method_params(tracks.y, params, of_track)
            routed = process_routing(self, "fit", sample_weight=weight, groups=groups, **params)
            return routed["estimator"]["fit"]
        if params:
            raise TypeError(
                f"fit got the unexpected arguments {sorted(params)}; other metadata than "
                "sample_weight and groups needs sklearn.set_config(enable_metadata_routing=True)."
            )
        # All of them are asked; the estimator, which is the first, hands the weights on.
        own, *_ = [weight_params(name, part, weight) for name, part in _weighted(self.estimator)]
        return {**own, **group_params(self.estimator, groups)}

    # From windows to answers.

    def _ready(self, X: Any) -> tuple[Clips, Any]:
        """Return validated tracks and the fitted estimator that will judge them."""
        check_is_fitted(self)
        self._validate_params()
        model = self._model()
        clips = self._check_X(X, reset=False)
        if _is_frozen(self.estimator):
            self._check_window(clips, _inner(model))
        return clips, model

    def _check_window(self, clips: Clips, inner: Any) -> None:
        """Raise if a frozen estimator was fitted on clips of another length than the windows."""
        domains = _leading(inner)
        rate = self._rate()
        n_samples = round(self.window * rate)
        if not domains or (clips.width is not None and clips.width < n_samples):
            return
        seconds = sorted({domain.duration for domain in domains})
        of_files = domains[0].n_samples
        # Absent after fitting on a DomainBatch, which doesn't say how long its clips were.
        fitted_on = getattr(inner, "n_features_in_", of_files)
        if fitted_on == of_files and len(seconds) > 1:
            raise ValueError(
                f"the domains of the estimator read {seconds} s of each clip, and no window is "
                "both: fit experts whose domains have one duration."
            )
        if fitted_on != n_samples:
            raise ValueError(
                f"window={self.window} makes clips of {n_samples} samples, but the estimator was "
                f"fitted on clips of {fitted_on}: set window={fitted_on / rate:g}. If those came "
                "in a DomainBatch of shorter waveforms, set the duration of the estimator's "
                "domains to their length."
            )

    def _track_proba(self, X: Any) -> tuple[NDArray[np.float64], dict[int, str]]:
        """Return the probabilities of the tracks, NaN in the rows of bad ones, and these."""
        clips, model = self._ready(X)
        bad: dict[int, str] = {}
        totals = np.zeros((len(clips), len(self.classes_)))
        counts = np.zeros((len(clips), 1))
        heard = self._listen(clips, model, bad)
        for windows in tqdm(heard, unit=f" x {_CHUNK} windows", disable=not self.verbose):
            if not windows.usable.any():
                continue
            rows = windows.rows[windows.usable]
            proba = np.asarray(model.predict_proba(windows.view), dtype=np.float64)
            np.add.at(totals, rows, self._in_total(proba))
            np.add.at(counts, rows, 1)
        bad = dict(sorted(bad.items()))  # those that can't be read were found first
        counts[list(bad)] = np.nan
        means = totals / counts
        if self.aggregate == "geometric_mean":
            means = np.exp(means)
            means /= means.sum(axis=1, keepdims=True)
        return means, bad

    def _in_total(self, proba: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what windows add to the total of their track."""
        if self.aggregate == "geometric_mean":
            return np.log(np.maximum(proba, np.finfo(np.float64).tiny))
        if self.aggregate == "vote":
            return np.eye(proba.shape[1])[proba.argmax(axis=1)]
        return proba

    def _report(self, bad: dict[int, str], fate: str = "whose rows are NaN") -> None:
        """Say once which tracks were bad, and keep it."""
        if bad or getattr(self, "bad_clips_", None):
            self.bad_clips_ = bad
        if bad:
            warnings.warn(BadClipWarning(bad, fate), stacklevel=3)

    def __sklearn_is_fitted__(self) -> bool:
        if _is_frozen(self.estimator):
            return self.estimator.__sklearn_is_fitted__()
        return hasattr(self, "estimator_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        of_window = get_tags(self.estimator).classifier_tags
        if of_window is not None:
            tags.classifier_tags = copy.copy(of_window)
        return tags

    def get_metadata_routing(self) -> MetadataRouter:
        """Say which metadata goes where.

        Returns
        -------
        routing : MetadataRouter
            To the ``fit`` of the estimator, window by window. The classifier itself takes
            ``sample_weight`` and ``groups``.
        """
        return (
            MetadataRouter(owner=type(self).__name__)
            .add_self_request(self)
            .add(
                estimator=self.estimator,
                method_mapping=MethodMapping().add(caller="fit", callee="fit"),
            )
        )


def _fitted_mixture(estimator: Any) -> MixtureOfExpertsClassifier | None:
    """Return the mixture that judges the windows, if it is one and not a template of several."""
    while not isinstance(estimator, MixtureOfExpertsClassifier):
        if isinstance(estimator, Pipeline):
            estimator = estimator.steps[0][1]
        elif hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        elif _is_frozen(estimator) or _is_frozen(getattr(estimator, "estimator", None)):
            estimator = estimator.estimator
        else:
            return None
    return estimator


def _width(X: Any) -> int:
    """Return the number of samples of waveforms that aren't validated yet; 0 if that can't be."""
    shape = getattr(X, "shape", None)
    if shape is None and isinstance(X, (list, tuple)):
        shape = (len(X), *np.shape(X[0]))
    return shape[1] if shape is not None and len(shape) == 2 else 0


def _is_frozen(estimator: Any) -> bool:
    return isinstance(estimator, FrozenEstimator)


def _inner(estimator: Any) -> Any:
    """Return the mixture, or the domain, that sees the windows first; else what has no other."""
    while not isinstance(estimator, (MixtureOfExpertsClassifier, BaseDomain)):
        if isinstance(estimator, Pipeline):
            estimator = estimator.steps[0][1]
        elif hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        elif hasattr(estimator, "estimator"):
            estimator = estimator.estimator
        else:
            break
    return estimator


def _experts(mixture: MixtureOfExpertsClassifier) -> list[tuple[str, Any]]:
    """Return the experts that a mixture was given, but for those that are dropped."""
    return check_experts(mixture._experts(), reserved=mixture.get_params(deep=False))


def _rates(estimator: Any) -> list[int]:
    """Return the Hz of the waveforms that an estimator expects, where its parts say so."""
    inner = _inner(estimator)
    if not isinstance(inner, MixtureOfExpertsClassifier):
        first = leading_domain(inner) or inner  # which may be an AudioLoader
        return [first.sample_rate] if hasattr(first, "sample_rate") else []
    rates = [rate for _, expert in _experts(inner) for rate in _rates(expert)]
    if isinstance(inner.mixer_domain, BaseDomain) and make_mixer(inner.mixer).needs_clips:
        rates.append(inner.mixer_domain.sample_rate)
    return rates


def _leading(inner: Any) -> list[BaseDomain]:
    """Return the domains that see the windows first."""
    if isinstance(inner, BaseDomain):
        return [inner]
    if not isinstance(inner, MixtureOfExpertsClassifier):
        return []
    return list(leading_domains(_experts(inner)).values())


def _domains(inner: Any) -> list[BaseDomain]:
    """Return the domains that see the windows first, if nothing else does."""
    domains = _leading(inner)
    others = isinstance(inner, MixtureOfExpertsClassifier) and len(_experts(inner)) > len(domains)
    return [] if others else domains


def _union(inner: Any, **how: Any) -> DomainUnion | None:
    """Return what extracts these domains; None where the estimator takes waveforms."""
    if not _domains(inner):
        return None
    if isinstance(inner, BaseDomain):
        return DomainUnion([("domain", inner)], **how)
    with_mixer = make_mixer(inner.mixer).needs_clips
    return make_union(
        _experts(inner), with_mixer=with_mixer, mixer_domain=inner.mixer_domain, **how
    )


def _as_waveforms(
    excerpts: list[SourceExcerpt], rate: int, n_samples: int
) -> tuple[NDArray[np.float32], dict[int, str]]:
    """Return excerpts as an estimator without a domain takes them, and why some can't be used."""
    waveforms = np.zeros((len(excerpts), n_samples), dtype=np.float32)
    bad = {}
    for row, excerpt in enumerate(excerpts):
        try:
            [waveform] = excerpt.waveforms([rate], min_samples=ONE_FRAME)
            waveforms[row] = fix_length(waveform, n_samples)
        except BadClipError as error:
            bad[row] = str(error)
    return waveforms, bad


def _joined(views: list[Any]) -> Any:
    """Put what was seen of some windows behind what was seen of others."""
    return views[0] if len(views) == 1 else np.concatenate(views)


def _takes_weight(estimator: Any) -> bool:
    """Tell whether an estimator can be fitted with weights."""
    if _routing_enabled():
        return bool(get_routing_for_object(estimator).consumes("fit", ["sample_weight"]))
    try:
        for name, part in _weighted(estimator):
            weight_params(name, part, np.ones(1))
    except ValueError:
        return False
    while hasattr(estimator, "estimator"):  # a wrapper hands them on by this name only
        estimator = estimator.estimator
        if not has_fit_parameter(estimator, "sample_weight"):
            return False
    return True


def _weighted(estimator: Any) -> list[tuple[str, Any]]:
    """Return by name all that gets the weights of a fit, and so has to take them."""
    parts = [(type(estimator).__name__, estimator)]
    last = _inner(_last_step(estimator)[1])
    is_mixture = isinstance(last, MixtureOfExpertsClassifier)
    if is_mixture and not last._is_prefit:
        parts += _experts(last)
    return parts
