"""Several domains, extracted together."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY
from itertools import islice
from typing import Literal

import joblib

from .._clips import kind_of_clips
from .._compat import _BaseComposition
from .._fields import Count, checked, with_init
from ._base_domain import BaseDomain, FeatureTransformer
from ._mel import paper_domains
from ._plan import Plan


@with_init
class DomainUnion(FeatureTransformer, _BaseComposition):
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
    dtype : {"float32", "float16"}, default="float32"
        Type of the features. float16 takes half the space and keeps 3 decimals.

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

    domains: list | tuple | None = None
    _: KW_ONLY
    memory: str | os.PathLike | joblib.Memory | None = None
    dtype: Literal["float32", "float16"] = "float32"

    def get_params(self, deep=True):
        return self._get_params("domains", deep=deep)

    def set_params(self, **params):
        domains = params.get("domains", self.domains)
        if isinstance(domains, tuple):  # scikit-learn replaces in lists
            params["domains"] = list(domains)
        self._set_params("domains", **params)
        return self

    @checked
    def iter_transform(self, X, batch_size: Count = 32):
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
        if not isinstance(X, Iterable) or isinstance(X, (str, bytes, os.PathLike, Mapping)):
            kind_of_clips(X)  # refuses what would give letters or keys, one by one
        clips = iter(X.to_numpy() if hasattr(X, "to_numpy") else X)
        plan = self._plan()
        bad: dict[int, str] = {}
        seconds: dict[str, float] = {}
        first = 0
        try:
            while part := list(islice(clips, int(batch_size))):
                batch, lengths = self._extract(self._check(part, plan, reset=False), plan)
                bad |= {first + row: reason for row, reason in batch.bad_clips.items()}
                first += len(part)
                seconds |= lengths
                yield batch
        finally:
            if first:
                self._report(bad, seconds, plan)

    def _plan(self) -> Plan:
        self._validate_params()
        if self.domains is None:
            return Plan(paper_domains())
        for item in self.domains or [None]:
            if not (isinstance(item, tuple) and len(item) == 2 and isinstance(item[1], BaseDomain)):
                expected = (
                    "tuples (name, domain), with a feature domain such as LogMelSpectrogram()"
                )
                raise ValueError(f"domains holds {item!r}; expected {expected}, at least one")
        self._validate_names([name for name, _ in self.domains])
        return Plan(dict(self.domains))
