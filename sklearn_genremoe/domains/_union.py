"""Several domains, extracted together."""

import os
from collections.abc import Iterable, Mapping
from itertools import islice
from numbers import Integral

import joblib

from .._clips import Clips, check_clips, kind_of_clips, without_torch
from .._compat import StrOptions, _BaseComposition
from ._base_domain import BaseDomain, SpectrogramMixin, report
from ._batch import DomainBatch
from ._extract import extract
from ._mel import LogMelSpectrogram
from ._modulation import ModulationSpectrogram
from ._plan import Plan
from ._separated import HarmonicSpectrogram, PercussiveSpectrogram


class DomainUnion(SpectrogramMixin, _BaseComposition):
    """Several domains of each clip, extracted together.

    Each clip is decoded once, transformed once and separated once, whatever the number of domains.
    The result can be indexed by clips, so that everything in scikit-learn that splits data takes
    it, and each expert of a :class:`~sklearn_genremoe.MixtureOfExpertsClassifier` finds its own
    domain in it: extract once, then cross-validate anything in seconds.

    Parameters
    ----------
    domains : list of tuple (str, BaseDomain), default=None
        Names and domains. None means the paper's four: original, harmonic, percussive,
        modulation.
    n_jobs : int, default=None
        Clips extracted in parallel; joblib's meaning. Threads by default; within
        ``joblib.parallel_config(backend=...)`` processes or a cluster.
    memory : str, Path or joblib.Memory, default=None
        Folder that keeps the features. What is in it is not computed again: clips are known by
        path, size and time of change (waveforms by their samples), features by the parameters
        of their domain. The batch is then memory-mapped instead of held in memory. Several
        processes may share the folder, and an interrupted extraction goes on where it was.
    verbose : int, default=0
        Whether to show a progress bar.
    on_error : {"raise", "warn"}, default="raise"
        What to do about files that cannot be used: raise a
        :class:`~sklearn_genremoe.audio.BadClipError` at the first one, or go on, fill its rows
        with NaN, and list all of them in one warning at the end and in ``batch.bad_clips``.
    dtype : {"float32", "float16"}, default="float32"
        Type of the features. float16 takes half the space and keeps 3 decimals.

    Attributes
    ----------
    n_features_in_ : int
        Samples per clip; absent after fitting on a :class:`~sklearn_genremoe.domains.DomainBatch`.
    bad_clips_ : dict of int to str
        Row numbers of the bad clips of the last call, and what is wrong with each.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, where waveforms came as a data frame.

    See Also
    --------
    sklearn_genremoe.domains.DomainBatch : What the result can do.

    Examples
    --------
    >>> from sklearn_genremoe import MFCC, DomainUnion, LogMelSpectrogram
    >>> from sklearn_genremoe.datasets import load_mini_genres
    >>> paths = load_mini_genres().data[:3]
    >>> domains = [("mel", LogMelSpectrogram(duration=5.0)), ("mfcc", MFCC(duration=5.0))]
    >>> batch = DomainUnion(domains).fit_transform(paths)
    >>> batch
    DomainBatch(3 clips; mel: 96 x 216, mfcc: 60 x 216)
    >>> batch[:2]["mfcc"].shape
    (2, 60, 216)
    """

    _parameter_constraints: dict = {
        "domains": [list, tuple, None],
        "n_jobs": [Integral, None],
        "memory": [str, os.PathLike, joblib.Memory, None],
        "verbose": ["verbose"],
        "on_error": [StrOptions({"raise", "warn"})],
        "dtype": [StrOptions({"float32", "float16"})],
    }

    def __init__(
        self,
        domains=None,
        *,
        n_jobs=None,
        memory=None,
        verbose=0,
        on_error="raise",
        dtype="float32",
    ):
        self.domains = domains
        self.n_jobs = n_jobs
        self.memory = memory
        self.verbose = verbose
        self.on_error = on_error
        self.dtype = dtype

    def get_params(self, deep=True):
        """Get the parameters, and those of the domains as ``<name>__<parameter>``.

        Parameters
        ----------
        deep : bool, default=True
            Whether to include the domains and their parameters.

        Returns
        -------
        params : dict
            Names and values.
        """
        return self._get_params("domains", deep=deep)

    def set_params(self, **params):
        """Set parameters, and those of the domains as ``<name>__<parameter>``.

        Parameters
        ----------
        **params : dict
            Names and values.

        Returns
        -------
        self : DomainUnion
            The union.
        """
        if isinstance(params.get("domains", self.domains), tuple):
            params["domains"] = list(params.get("domains", self.domains))  # scikit-learn's replaces
        self._set_params("domains", **params)
        return self

    def fit(self, X, y=None):
        """Note the number of samples per clip; nothing is learned and no file is read.

        Parameters
        ----------
        X : sequence of str or Path, array-like of shape (n_clips, n_samples) or DomainBatch
            Paths, waveforms, or domains extracted before.
        y : None
            Ignored.

        Returns
        -------
        self : DomainUnion
            The union.
        """
        self._check(X, self._plan(), reset=True)
        return self

    def fit_transform(self, X, y=None):
        """Fit to the clips and extract the domains of each.

        Parameters
        ----------
        X : sequence of str or Path, array-like of shape (n_clips, n_samples) or DomainBatch
            As in :meth:`transform`.
        y : None
            Ignored.

        Returns
        -------
        batch : DomainBatch
            As from :meth:`transform`.
        """
        return self._extract(X, reset=True)

    def transform(self, X):
        """Extract the domains of each clip.

        Parameters
        ----------
        X : sequence of str or Path, array-like of shape (n_clips, n_samples) or DomainBatch
            Paths, which are decoded one by one; waveforms, filled up with zeros to one frame;
            or domains extracted before, of which these are picked.

        Returns
        -------
        batch : DomainBatch
            An array of shape (n_clips, n_bins, n_frames) per domain, or (n_clips, n_features) of
            one that sums up the clip; domains that compute the same share one.

        Raises
        ------
        BadClipError
            A file cannot be used, and `on_error` is "raise".
        """
        return self._extract(X, reset=False)

    def iter_transform(self, X, batch_size=32):
        """Extract the domains batch by batch, for collections that fit nowhere.

        Parameters
        ----------
        X : iterable of str or Path, or array-like of shape (n_clips, n_samples)
            Paths, which may come from a generator without an end, or waveforms.
        batch_size : int, default=32
            Clips per batch.

        Yields
        ------
        batch : DomainBatch
            The next clips. With ``on_error="warn"`` bad clips are numbered by their place in X, in
            ``batch.bad_clips`` and in the one warning at the end. :func:`numpy.concatenate` joins
            batches.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn_genremoe import DomainUnion
        >>> waveforms = np.random.default_rng(0).standard_normal((5, 22050))
        >>> [len(batch) for batch in DomainUnion().iter_transform(waveforms, batch_size=2)]
        [2, 2, 1]
        """
        if not isinstance(batch_size, Integral) or batch_size < 1:
            raise ValueError(f"batch_size={batch_size!r}; expected an integer of at least 1")
        # Those would give letters, names of columns or keys, one by one.
        if not isinstance(X, Iterable) or isinstance(X, (str, bytes, os.PathLike, Mapping)):
            kind_of_clips(X)
        clips = iter(X.to_numpy() if hasattr(X, "to_numpy") else X)
        plan = self._plan()
        bad: dict[int, str] = {}
        seconds: dict[str, float] = {}
        first = 0
        try:
            while part := list(islice(clips, int(batch_size))):
                batch, lengths = self._compute(self._check(part, plan, reset=False), plan)
                bad |= {first + row: reason for row, reason in batch.bad_clips.items()}
                first += len(part)
                seconds |= lengths
                yield batch
        finally:
            if first:
                report(self, bad, seconds, plan.domains.values())

    def _check(self, X, plan, reset):
        """Return clips, or the domains that are picked from a batch."""
        if reset:
            self.bad_clips_ = {}
        if isinstance(X, DomainBatch):
            if reset:
                self.__dict__.pop("n_features_in_", None)  # any width will do
            return X.pick_domains(plan)
        if not isinstance(X, Clips):
            X = without_torch(X)
            kind = kind_of_clips(X)
            if kind == "waveforms":
                plan.check_rates()
            n_samples = next(iter(plan.domains.values())).n_samples
            return check_clips(self, X, kind=kind, path_samples=n_samples, reset=reset)
        if X.paths is None:
            plan.check_rates()
        return X

    def _extract(self, X, reset):
        plan = self._plan()
        clips = self._check(X, plan, reset)
        if isinstance(clips, DomainBatch):
            return clips
        batch, seconds = self._compute(clips, plan)
        report(self, batch.bad_clips, seconds, plan.domains.values())
        return batch

    def _compute(self, clips, plan):
        return extract(
            clips,
            plan,
            on_error=self.on_error,
            n_jobs=self.n_jobs,
            verbose=self.verbose,
            memory=self.memory,
            dtype=self.dtype,
        )

    def _plan(self) -> Plan:
        self._validate_params()
        if self.domains is None:
            return Plan(
                {
                    "original": LogMelSpectrogram(),
                    "harmonic": HarmonicSpectrogram(),
                    "percussive": PercussiveSpectrogram(),
                    "modulation": ModulationSpectrogram(),
                }
            )
        if not self.domains:
            raise ValueError("domains is empty; give at least one (name, domain), or None")
        for item in self.domains:
            if not (isinstance(item, tuple) and len(item) == 2 and isinstance(item[1], BaseDomain)):
                raise ValueError(
                    f"domains holds {item!r}; expected tuples (name, domain) with a feature domain "
                    "such as LogMelSpectrogram() or another BaseDomain"
                )
        self._validate_names([name for name, _ in self.domains])
        return Plan(dict(self.domains))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags
