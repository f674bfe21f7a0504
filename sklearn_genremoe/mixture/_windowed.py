"""Whole tracks, classified by windows."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterator
from dataclasses import KW_ONLY, replace
from itertools import islice
from numbers import Real
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from joblib import effective_n_jobs
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.utils import get_tags
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping
from sklearn.utils.validation import check_is_fitted, has_fit_parameter

from .._checks import check_classes, forget_fit, unchanged_on_error, unfitted_on_error
from .._clips import Clips, check_clips, only_clip
from .._compat import (
    GroupsConsumerMixin,
    _check_method_params,
    _routing_enabled,
    progress_bar,
)
from .._diagram import DiagramMixin
from .._fields import OnError, Positive, Verbosity, with_init
from ..audio import (
    REST,
    SILENCE,
    BadClipError,
    Segment,
    SourceExcerpt,
    decode_parts,
    fix_length,
    read_excerpts,
)
from ..domains import BaseDomain, DomainBatch, Plan
from ._answers import ClipClassifierMixin
from ._cross_fit import TrainingClips, last_step, route_fit, rows_of_cv, weight_params
from ._experts import Experts, check_experts, extract_domains, first_part, plan_experts, take_clips
from ._mixture import MixtureOfExpertsClassifier, make_mixer

# Windows at a time, or more for more jobs: 5 MB each at 44,100 Hz.
_CHUNK = 4
# Numbers in waveforms at a time.
_CHUNK_SAMPLES = 2**22
# Chunks that are kept apart before they are joined, each with its files open.
_APART = 64
# Hz of the waveforms that an estimator without a feature domain gets.
_SAMPLE_RATE = 22050

# What windows add to the total of their track.
_IN_TOTAL: dict[str, Callable[[NDArray], NDArray]] = {
    "mean": np.asarray,
    "geometric_mean": lambda proba: np.log(np.maximum(proba, np.finfo(np.float64).tiny)),
    "vote": lambda proba: np.eye(proba.shape[1])[proba.argmax(axis=1)],
}

# A row, begin and end in seconds, and an excerpt or samples, None where they are silent.
Window = tuple[int, float, float, Any]


class Front(NamedTuple):
    """What of an estimator sees the windows first: a mixture, a domain or what takes waveforms.

    And a mixture's experts, what is extracted (None: waveforms), and Hz of the waveforms.
    """

    inner: Any
    experts: Experts
    plan: Plan | None
    domains: list[BaseDomain]
    rate: int

    @classmethod
    def of(cls, estimator: Any) -> Front:
        """Resolve an estimator, once per call."""
        inner = _first(estimator)
        is_mixture = isinstance(inner, MixtureOfExpertsClassifier)
        experts = check_experts(inner._experts()) if is_mixture else []
        parts = experts or check_experts([("estimator", estimator)])
        with_mixer = is_mixture and make_mixer(inner.mixer).needs_clips
        plan = plan_experts(parts, "paths", with_mixer, inner.mixer_domain if is_mixture else None)
        others = [_first(part) for name, part in parts if name not in plan.domains]
        domains = list(plan.domains.values())
        rates = [e.sample_rate for e in (*domains, *others) if hasattr(e, "sample_rate")]
        if others and len(set(rates)) > 1:
            raise ValueError(
                f"waveforms have one sample rate, but {type(estimator).__name__} expects "
                f"{sorted(set(rates))} Hz: give all domains one, or each expert a domain."
            )
        return cls(inner, experts, None if others else plan, domains, [*rates, _SAMPLE_RATE][0])


@with_init
class WindowedClassifier(DiagramMixin, ClipClassifierMixin, MetaEstimatorMixin, BaseEstimator):
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
        The rows of the last call that could not be used, and why.
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
    window counts alike. In the mixture, search or calibration that is the estimator itself, a `cv`
    divides tracks, and rows that it holds or yields are tracks.

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

    estimator: Any
    window: Positive = 30.0
    hop: Positive = 15.0
    aggregate: Literal["mean", "geometric_mean", "vote"] = "mean"
    _: KW_ONLY
    on_error: OnError = "raise"
    n_jobs: int | None = None
    verbose: Verbosity = 0

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
            front = Front.of(self.estimator)
            clips = self._check_X(X, front, reset=True)
            tracks = TrainingClips.check(clips, y, sample_weight, groups)
            if isinstance(self.estimator, FrozenEstimator):
                check_is_fitted(self.estimator)
                forget_fit(self)
                self.estimator_ = self.estimator
                return self
            estimator = clone(self.estimator)
            splits = _splits_of_tracks(estimator, tracks)
            tracks = tracks.present()
            check_classes(tracks.y)
            # Refuse what the estimator can't take before files are read.
            self._metadata(tracks, np.arange(len(tracks.y)), front, params)
            bad: dict[int, str] = {}
            views: list[Any] = []
            of_track = np.zeros(0, dtype=np.intp)
            memory = getattr(front.inner, "memory", None)
            for rows, _, used, view in self._iter_windows(
                tracks.X, front, bad, self.on_error, memory
            ):
                if len(used):
                    views = [*(views if len(views) < _APART else [np.concatenate(views)]), view]
                    of_track = np.append(of_track, rows[used])
            kept = np.flatnonzero(~np.isin(of_track, list(bad)))
            bad = self._leave_out(tracks, bad)
            view = views[0] if len(views) == 1 else np.concatenate(views)
            if len(kept) < len(of_track):
                view, of_track = take_clips(view, kept), of_track[kept]
            check_classes(tracks.y[of_track])
            metadata = self._metadata(tracks, of_track, front, params)
            if splits is not None:
                origin = tracks.origin[of_track]
                last_step(estimator, through_searches=False)[1].cv = [
                    tuple(np.flatnonzero(np.isin(origin, side)) for side in split)
                    for split in splits
                ]
        with unfitted_on_error(self):
            self.bad_clips_ = bad
            self.estimator_ = estimator.fit(view, tracks.y[of_track], **metadata)
        return self

    def predict_windows(self, track: Any) -> Any:
        """Return the genre probabilities of each window of a track.

        Parameters
        ----------
        track : str, Path or array-like of shape (n_samples,)
            The path of a file of any length, or a waveform.

        Returns
        -------
        windows : pandas.DataFrame
            A row per window. The columns: start and end in seconds; the probability of each
            genre; and, if the estimator is a mixture, ``weight[<expert>]``, how much it trusts each
            expert. Genres and weights of silent windows are NaN.

        Raises
        ------
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
        model, front, clips = self._ready(only_clip(track, "track"))
        is_mixture = hasattr(model, "mixture_weights")
        weighted = [f"weight[{name}]" for name, _ in front.experts] if is_mixture else []
        columns = ["start", "end", *model.classes_, *weighted]
        tables = []
        for rows, spans, used, view in self._iter_windows(clips, front, {}, "raise"):
            table = np.full((len(rows), len(columns)), np.nan)
            table[:, :2] = spans
            if len(used):
                weights = [model.mixture_weights(view)] if is_mixture else []
                table[used, 2:] = np.hstack([model.predict_proba(view), *weights])
            tables.append(table)
        return pd.DataFrame(np.concatenate(tables), columns=columns)

    @property
    def classes_(self) -> NDArray:
        """The genres, sorted."""
        check_is_fitted(self)
        return getattr(self, "estimator_", self.estimator).classes_

    # From tracks to windows.

    def _ready(self, X: Any) -> tuple[Any, Front, Clips]:
        """Return the fitted estimator, what of it sees the windows first, and validated tracks."""
        check_is_fitted(self)
        self._validate_params()
        model = getattr(self, "estimator_", self.estimator)  # which may have come frozen
        front = Front.of(model)
        clips = self._check_X(X, front, reset=False)
        n_samples = round(self.window * front.rate)
        is_cut = clips.width is None or clips.width >= n_samples
        if isinstance(self.estimator, FrozenEstimator) and front.domains and is_cut:
            seconds = sorted({domain.duration for domain in front.domains})
            # Absent after fitting on a DomainBatch, which doesn't say how long its clips were.
            fitted_on = getattr(front.inner, "n_features_in_", front.domains[0].n_samples)
            if fitted_on != n_samples or len(seconds) > 1:
                raise ValueError(
                    f"window={self.window} makes clips of {n_samples} samples, but the estimator "
                    f"was fitted on clips of {fitted_on}, and its domains read {seconds} s of each "
                    f"clip: fit experts of one duration, and set window={fitted_on / front.rate:g}."
                )
        return model, front, clips

    def _check_X(self, X: Any, front: Front, *, reset: bool) -> Clips:
        if isinstance(X, DomainBatch):
            found = f"X is a {X!r}, whose clips can't be divided into windows any more"
            raise ValueError(
                f"{found}: pass paths or waveforms, or give it to the estimator itself."
            )
        n_samples = round(self.window * front.rate)
        shape: tuple[int, ...] = getattr(X, "shape", ())
        if isinstance(X, (list, tuple)):
            shape = np.shape(X[:1])
        if len(shape) == 2 and shape[1] > n_samples:
            if reset:  # it is windows that must have the same number of samples, not tracks
                self.n_features_in_ = n_samples
                self.__dict__.pop("feature_names_in_", None)
            return check_clips(copy.copy(self), X, path_samples=n_samples, reset=True)
        return check_clips(self, X, path_samples=n_samples, reset=reset)

    def _windows_of_files(
        self, paths: list[str], bad: dict[int, str], on_error: str
    ) -> Iterator[Window]:
        for row, path in enumerate(paths):
            try:
                for excerpt in read_excerpts(path, self.window, self.hop):
                    yield row, excerpt.offset, excerpt.end, excerpt
            except BadClipError as error:
                if on_error == "raise":
                    raise
                bad[row] = str(error)

    def _windows_of_waveforms(self, waveforms: NDArray, rate: int) -> Iterator[Window]:
        """Yield the windows of waveforms; silent ones are heard where a track has no others."""
        length = waveforms.shape[1]
        width, hop = min(length, round(self.window * rate)), max(1, round(self.hop * rate))
        starts = list(range(0, length - width + 1, hop))
        if length - starts[-1] - width > REST * width:
            starts.append(length - width)
        for row, waveform in enumerate(waveforms):
            parts = [waveform[start : start + width] for start in starts]
            loud = [np.abs(part).max() >= SILENCE for part in parts]
            for start, part, is_loud in zip(starts, parts, loud):
                heard = part if is_loud or not any(loud) else None
                yield row, start / rate, (start + width) / rate, heard

    def _iter_windows(
        self, clips: Clips, front: Front, bad: dict[int, str], on_error: str, memory: Any = None
    ) -> Iterator[tuple[NDArray, NDArray, NDArray, Any]]:
        """Yield the windows of all tracks, a few at a time; bad tracks are put into `bad`.

        That is their rows, begin and end, which of them can be used, and what the estimator sees of
        those.
        """
        if clips.waveforms is not None:
            windows = self._windows_of_waveforms(clips.waveforms, front.rate)
            size = max(2, _CHUNK_SAMPLES // clips.waveforms.shape[1])
        else:
            windows = self._windows_of_files(clips.paths or [], bad, on_error)
            size = max(_CHUNK, effective_n_jobs(self.n_jobs))
        reasons: dict[int, str] = {}
        heard = np.zeros(len(clips), dtype=bool)
        chunks = iter(lambda: list(islice(windows, size)), [])
        for chunk in progress_bar(chunks, unit=" chunks of windows", disable=not self.verbose):
            rows = np.array([row for row, *_ in chunk])
            used = np.flatnonzero([clip is not None for *_, clip in chunk])
            view, unusable = self._view([chunk[i][3] for i in used], front, memory)
            if unusable:
                reasons = {rows[used[i]]: why for i, why in unusable.items()} | reasons
                good = np.setdiff1d(np.arange(len(used)), list(unusable))
                view, used = take_clips(view, good), used[good]
            heard[rows[used]] = True
            yield rows, np.array([(start, end) for _, start, end, _ in chunk]), used, view
        for row in np.setdiff1d(list(reasons), [*np.flatnonzero(heard), *bad]).tolist():
            bad[row] = reasons[row]
            if on_error == "raise":
                path = f"row {row}" if clips.paths is None else clips.paths[row]
                raise BadClipError(path, bad[row].removeprefix(f"{path}: "))

    def _view(self, heard: list[Any], front: Front, memory: Any) -> tuple[Any, dict[int, str]]:
        """Return what the estimator sees of excerpts or samples, and why some can't be used."""
        if not heard:
            return None, {}
        is_files = isinstance(heard[0], SourceExcerpt)
        if front.plan is not None:
            clips = Clips(heard, None, self.window) if is_files else Clips(None, np.stack(heard))
            batch = extract_domains(self, clips, front.plan, "warn", 0, memory)
            return batch, batch.bad_clips
        if not is_files:
            return np.stack(heard), {}
        n_samples = round(self.window * front.rate)
        waveforms = np.zeros((len(heard), n_samples), dtype=np.float32)
        bad = {}
        for row, excerpt in enumerate(heard):
            try:
                segment = Segment(front.rate, excerpt.offset, excerpt.duration)
                [waveform] = decode_parts(excerpt, [segment])
                waveforms[row] = fix_length(waveform, n_samples)
            except BadClipError as error:
                bad[row] = str(error)
        return waveforms, bad

    # What the estimator gets with the windows.

    def _metadata(
        self, tracks: TrainingClips, of_track: NDArray[np.intp], front: Front, params: Any
    ) -> dict[str, Any]:
        """Return weights, groups and other metadata of the windows, as the estimator takes them."""
        counts = np.bincount(of_track, minlength=len(tracks.y))
        windows = counts[counts > 0]
        groups = tracks.groups
        if groups is None and counts.max() > 1:
            groups = np.arange(len(tracks.y))
        groups = None if groups is None else groups[of_track]
        params = _check_method_params(tracks.y, params, of_track)

        def route(weight: NDArray | None) -> dict[str, Any]:
            if weight is not None:  # an equal share to each window; a mean track keeps its weight
                weight = weight[of_track] / counts[of_track] * windows.mean()
                if not (_routing_enabled() or getattr(front.inner, "_is_prefit", False)):
                    for name, expert in front.experts:
                        weight_params(name, expert, weight)
            parts = [("estimator", self.estimator)]
            return route_fit(self, parts, weight, groups, params)["estimator"]

        _, last = last_step(self.estimator)
        # A calibration hands weights on to what has this parameter only, and else warns.
        taker = last.estimator if isinstance(last, CalibratedClassifierCV) else last
        are_taken = _routing_enabled() or has_fit_parameter(taker, "sample_weight")
        if tracks.weight is None and len(np.unique(windows)) > 1 and are_taken:
            with contextlib.suppress(ValueError):  # it takes none: each window counts alike
                return route(np.ones(len(tracks.y)))
        return route(tracks.weight)

    # From windows to tracks.

    def _judge(
        self, X: Any, on_error: str, *questions: str
    ) -> tuple[list[NDArray[np.float64]], dict[int, str]]:
        """Return the probabilities of the tracks, NaN in the rows of bad ones, and these."""
        model, front, clips = self._ready(X)
        bad: dict[int, str] = {}
        totals = np.zeros((len(clips), len(model.classes_)))
        counts = np.zeros((len(clips), 1))
        for rows, _, used, view in self._iter_windows(clips, front, bad, on_error):
            if len(used):
                proba = np.asarray(model.predict_proba(view), dtype=np.float64)
                np.add.at(totals, rows[used], _IN_TOTAL[self.aggregate](proba))
                np.add.at(counts, rows[used], 1)
        bad = dict(sorted(bad.items()))  # those that can't be read were found first
        counts[list(bad)] = np.nan
        means = totals / counts
        if self.aggregate == "geometric_mean":
            means = np.exp(means)
            means /= means.sum(axis=1, keepdims=True)
        return [means], bad

    def __sklearn_is_fitted__(self) -> bool:
        if isinstance(self.estimator, FrozenEstimator):
            return self.estimator.__sklearn_is_fitted__()
        return hasattr(self, "estimator_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.classifier_tags = get_tags(self.estimator).classifier_tags or tags.classifier_tags
        return tags

    def get_metadata_routing(self) -> MetadataRouter:
        router = MetadataRouter(owner=type(self).__name__).add_self_request(self)
        to_fit = MethodMapping().add(caller="fit", callee="fit")
        return router.add(estimator=self.estimator, method_mapping=to_fit)


def _first(estimator: Any) -> Any:
    """Return the mixture or the domain that sees the windows first, else what has no other."""
    is_mixture = isinstance(estimator, MixtureOfExpertsClassifier)
    part = None if is_mixture else first_part(estimator)
    return estimator if part is None else _first(part)


def _splits_of_tracks(estimator: Any, tracks: TrainingClips) -> Any:
    """Return how the `cv` of a mixture, search or calibration divides tracks.

    None where it keeps those of a group together, which windows of a track are.
    """
    _, owner = last_step(estimator, through_searches=False)
    cv = getattr(owner, "cv", "train")
    is_number, by_group = cv is None or isinstance(cv, Real), isinstance(cv, GroupsConsumerMixin)
    gets_groups = not isinstance(owner, CalibratedClassifierCV)
    is_mixture = isinstance(owner, MixtureOfExpertsClassifier)
    if isinstance(cv, str) or (is_number and is_mixture) or (by_group and gets_groups):
        return None
    groups = tracks.groups
    if groups is None and (is_number or by_group):
        groups = np.arange(len(tracks.y))
    cv = StratifiedGroupKFold(cv or 5) if is_number else cv
    return rows_of_cv(cv, replace(tracks, groups=groups, params={"cv": {}}))
