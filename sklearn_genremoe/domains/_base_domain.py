"""What all feature domains have in common."""

from abc import ABCMeta, abstractmethod
from numbers import Integral
from typing import Annotated, Any, Literal

import numpy as np
from sklearn.base import BaseEstimator

from .._checks import unchanged_on_error
from .._clips import raise_bad_rows
from .._compat import Interval
from .._fields import Count, NonNegative, Positive, with_checks
from ..audio import ClipTransformer
from ._analysis import zscore
from ._batch import DomainBatch, DomainView
from ._extract import extract
from ._plan import Plan, fingerprint

FrameLength = Annotated[int, Interval(Integral, 2, None, closed="left")]

#: Parameters that say how to compute, not what.
_EXECUTION_PARAMS = frozenset({"on_error", "n_jobs", "verbose"})


class FeatureTransformer(ClipTransformer):
    """From clips to features: a domain, which is a plan of one, or a union of several."""

    memory: Any = None
    dtype = "float32"

    def transform(self, X):
        """Compute the features of each clip.

        Parameters
        ----------
        X : sequence of str or Path, array-like of shape (n_clips, n_samples) or DomainBatch
            Paths, which are decoded one by one; waveforms, filled up with zeros to one frame;
            or domains extracted before, of which those that are asked for are picked.

        Returns
        -------
        features : ndarray of shape (n_clips, n_bins, n_frames), dtype float32, or DomainBatch
            The spectrograms, or the channels or numbers that a domain makes of a clip; a
            :class:`~sklearn_genremoe.DomainUnion` gives a batch of such arrays.

        Raises
        ------
        BadClipError
            A file cannot be used, and `on_error` is "raise".
        """
        return self._transform(X, reset=False)

    def _check(self, X, plan, reset):
        """Return clips, or a batch of the domains of the plan."""
        if isinstance(X, DomainBatch):
            if reset:
                self.bad_clips_ = {}
                self.__dict__.pop("n_features_in_", None)  # any width will do
            if X.bad_clips and self.on_error == "raise":
                raise_bad_rows(X.bad_clips)
            self._report(X.bad_clips, {}, plan)
            return X.pick_domains(plan)
        with unchanged_on_error(self):
            clips = super()._check(X, plan, reset)
            if clips.paths is None:
                plan.check_rates()
        return clips

    def _transform(self, X, reset):
        if isinstance(X, DomainView):
            return X["domain"]
        plan = self._plan()
        clips = self._check(X, plan, reset)
        if isinstance(clips, DomainBatch):
            return self._output(clips, is_new=False)
        batch, seconds = self._extract(clips, plan)
        self._report(batch.bad_clips, seconds, plan)
        return self._output(batch, is_new=True)

    def _extract(self, clips, plan):
        how = {name: getattr(self, name) for name in (*_EXECUTION_PARAMS, "memory", "dtype")}
        return extract(clips, plan, **how)

    def _output(self, batch, is_new):
        return batch


@with_checks
class BaseDomain(FeatureTransformer, BaseEstimator, metaclass=ABCMeta):
    """A view of a clip as a spectrogram; the base class of all feature domains.

    A new domain implements :meth:`features` and spells out its parameters in ``__init__``, as
    scikit-learn demands. All the rest is done here: reading files, validation, normalisation,
    parallel work, caching, and sharing spectra with other domains in a
    :class:`~sklearn_genremoe.DomainUnion`. Of the parameters that all domains know
    (``sample_rate``, ``duration``, ``offset``, ``fill``, ``n_fft``, ``normalize``, ``on_error``,
    ``n_jobs``, ``verbose``) a domain lists those that its users may change; the others keep the
    values that they have as class attributes. A class whose features are a row of numbers instead
    of a spectrogram has ``output_ndim = 1``, one with several channels ``output_ndim = 3``.
    Features that are kept in a folder (``memory``) are known by the parameters, by the code of the
    class and of those that it inherits from, and by the class attribute ``version``: raise it when
    the features change for another reason, such as a function that the class calls, a variable of
    a module, or a file.

    Parameters
    ----------
    on_error : {"raise", "warn"}, default="raise"
        What to do about files that cannot be used: raise a
        :class:`~sklearn_genremoe.audio.BadClipError` at the first one, or go on, fill its
        row with NaN, and list all of them in one warning at the end.
    n_jobs : int, default=None
        Clips extracted in parallel; joblib's meaning.
    verbose : int, default=0
        Whether to show a progress bar.

    See Also
    --------
    LogMelSpectrogram : The domain that most others start from.
    DomainUnion : Several domains for the price of one.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_genremoe.domains import BaseDomain
    >>> class SpectralCentroid(BaseDomain):
    ...     def __init__(self, hop_length=512, n_jobs=None):
    ...         self.hop_length = hop_length
    ...         self.n_jobs = n_jobs
    ...
    ...     def features(self, analysis):
    ...         amplitude = analysis.amplitude(1024, self.hop_length)
    ...         bins = np.arange(len(amplitude))[:, None]
    ...         return (bins * amplitude).sum(0, keepdims=True) / (amplitude.sum(0) + 1e-9)
    >>> waveforms = np.random.default_rng(0).standard_normal((2, 22050))
    >>> SpectralCentroid().fit_transform(waveforms).shape
    (2, 1, 44)
    """

    sample_rate: Count = 22050
    duration: Positive = 30.0
    offset: NonNegative = 0.0
    fill: Literal["zeros", "repeat"] | None = "zeros"
    n_fft: FrameLength = 1024
    hop_length: Count
    normalize: Literal["clip", "bin"] | None = "clip"
    output_ndim = 2
    version = 0

    @abstractmethod
    def features(self, analysis):
        """Compute the domain of one clip, before normalisation.

        Parameters
        ----------
        analysis : ClipAnalysis
            The clip and its spectra.

        Returns
        -------
        spectrogram : ndarray of shape (n_bins, n_frames), (n_channels, n_bins, n_frames) or \
                (n_features,)
            The features. Their shape may depend on the parameters and the length of the clip
            only.
        """

    def spectrogram(self, analysis):
        """Compute the normalised domain of one clip.

        Parameters
        ----------
        analysis : ClipAnalysis
            The clip and its spectra.

        Returns
        -------
        spectrogram : ndarray, dtype float32
            The features.
        """
        x = np.asarray(self.features(analysis), dtype=np.float32)
        if x.ndim != self.output_ndim:
            shapes = ("(n_features,)", "(n_bins, n_frames)", "(n_channels, n_bins, n_frames)")
            found = f"{type(self).__name__}.features returned the shape {x.shape}; expected"
            raise ValueError(f"{found} {shapes[self.output_ndim - 1]}, or another output_ndim")
        if self.normalize is None:
            return x
        return zscore(x, axis=None if self.normalize == "clip" else -1)

    @property
    def signature(self) -> tuple:
        """What is computed: the class and its parameters, but not how it is computed."""
        params = self.get_params(deep=False)
        what = sorted(params.keys() - _EXECUTION_PARAMS)
        # Processes that get a class by its code may know it by its short name only.
        name = f"{type(self).__module__}.{type(self).__name__}"
        return (name, *((param, self._fingerprint(param, params[param])) for param in what))

    def _fingerprint(self, name, value) -> str:
        try:
            return fingerprint(value)
        except ValueError as error:
            raise ValueError(f"{type(self).__name__}: the parameter {name}={error}") from error

    @property
    def file_rate(self) -> int:
        """Sample rate in Hz at which files are read."""
        return self.sample_rate

    @property
    def n_samples(self) -> int:
        """Samples per clip that a file stands for."""
        return round(self.duration * self.sample_rate)

    @property
    def _is_complete(self) -> bool:
        """Whether all is there that it computes with."""
        return True

    def _prepare(self) -> None:
        """Make ready what all clips need; called once, before the first of them."""

    def _check_params(self) -> None:
        self._validate_params()

    def _plan(self) -> Plan:
        return Plan({"domain": self})

    def _output(self, batch, is_new):
        rows = batch.entries["domain"].rows
        return rows.base if is_new else rows.array()  # what is others' is read-only
