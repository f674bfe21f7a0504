"""Several domains, extracted together."""

from numbers import Integral

from sklearn.base import TransformerMixin
from sklearn.utils.metaestimators import _BaseComposition

from .._sklearn_compat import StrOptions
from ..audio._clips import check_clips
from ._base import BaseDomain
from ._batch import DomainBatch
from ._domains import (
    HarmonicSpectrogram,
    LogMelSpectrogram,
    ModulationSpectrogram,
    PercussiveSpectrogram,
)
from ._extraction import extract


class DomainUnion(TransformerMixin, _BaseComposition):
    """Several domains of each clip, extracted together."""

    _parameter_constraints: dict = {
        "domains": [list, tuple, None],
        "n_jobs": [Integral, None],
        "memory": "no_validation",
        "verbose": ["verbose"],
        "on_error": [StrOptions({"raise", "warn"})],
    }

    def __init__(self, domains=None, *, n_jobs=None, memory=None, verbose=0, on_error="raise"):
        self.domains = domains
        self.n_jobs = n_jobs
        self.memory = memory
        self.verbose = verbose
        self.on_error = on_error

    def get_params(self, deep=True):
        """Get parameters, those of the domains as ``<name>__<parameter>``."""
        if self.domains is None:
            return super(_BaseComposition, self).get_params(deep=False)
        return self._get_params("domains", deep=deep)

    def set_params(self, **params):
        """Set parameters, those of the domains as ``<name>__<parameter>``."""
        self._set_params("domains", **params)
        return self

    def fit(self, X, y=None):
        """Note the number of samples per clip; nothing is learned and no file is read."""
        domains = self._check_domains()
        if isinstance(X, DomainBatch):
            for name, domain in domains.items():
                X.find(domain, name)
        else:
            self._check(X, domains, reset=True)
        return self

    def transform(self, X):
        """Extract the domains of each clip."""
        domains = self._check_domains()
        if isinstance(X, DomainBatch):
            arrays = {name: X.find(domain, name) for name, domain in domains.items()}
            return DomainBatch(arrays, domains, bad_clips=X.bad_clips)
        clips = self._check(X, domains, reset=False)
        return extract(
            clips, domains, on_error=self.on_error, n_jobs=self.n_jobs, verbose=self.verbose
        )

    def _check(self, X, domains, reset):
        path_samples = next(iter(domains.values())).n_samples
        return check_clips(self, X, path_samples=path_samples, reset=reset)

    def _check_domains(self) -> dict[str, BaseDomain]:
        self._validate_params()
        if self.domains is None:
            return {
                "original": LogMelSpectrogram(),
                "harmonic": HarmonicSpectrogram(),
                "percussive": PercussiveSpectrogram(),
                "modulation": ModulationSpectrogram(),
            }
        names = [name for name, _ in self.domains]
        self._validate_names(names)
        for _, domain in self.domains:
            domain._validate_params()
        return dict(self.domains)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.transformer_tags.preserves_dtype = []  # always float32
        return tags
