"""What embeddings by networks that were trained on other clips have in common."""

import hashlib
import os
from abc import abstractmethod
from dataclasses import KW_ONLY
from functools import lru_cache
from numbers import Real
from pathlib import Path
from typing import Annotated, ClassVar, Literal, NamedTuple

import numpy as np
import soxr
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin, clone

from .._compat import Interval
from .._fields import Count, NonNegative, Positive, with_init
from .._files import fetch_file, user_path
from .._parallel import torch_threads
from ._base_domain import BaseDomain

WindowLength = Annotated[float, Interval(Real, 1, None, closed="left")]


class Published(NamedTuple):
    """A file that others published."""

    url: str
    filename: str
    sha256: str


@with_init
class BaseEmbedding(ClassNamePrefixFeaturesOutMixin, BaseDomain):
    """Base class of the embeddings.

    A subclass says where its networks are published (``_published``), which sample rate they want
    (``_network_rate``), and how their files are read (``_read``).

    Parameters
    ----------
    level : float or None, default=-20.0
        Root mean square to which each clip is scaled, in dB of full scale, since a network hears a
        quiet clip as another one than a loud one. None leaves clips as they are.
    pool : {"mean", "mean_std"}, default="mean_std"
        Mean over the windows, or mean and standard deviation, which doubles the features.
    sample_rate : int, default=22050
        Sample rate of waveforms in Hz. They are resampled to that of the network, at which files
        are read.
    duration : float, default=30.0
        Seconds read from each file at most. Waveforms keep their length.
    offset : float, default=0.0
        Where in each file to begin, in seconds.
    fill : {"zeros", "repeat"} or None, default=None
        What files that are shorter than `duration` are filled up with: zeros, the clip again and
        again, or nothing, since there are features of clips of any length.
    """

    weights: str | os.PathLike
    window: WindowLength
    level: Annotated[float, Interval(Real, None, 0, closed="right")] | None = -20.0
    pool: Literal["mean", "mean_std"] = "mean_std"
    _: KW_ONLY
    layers: Literal["last", "stages", "tags"] = "last"
    sample_rate: Count = 22050
    duration: Positive = 30.0
    offset: NonNegative = 0.0
    fill: Literal["zeros", "repeat"] | None = None

    normalize = None
    output_ndim = 1
    set_output = TransformerMixin.set_output  # for once there are tables

    _published: ClassVar[dict[str, Published]]
    _network_rate: ClassVar[int]

    @classmethod
    @abstractmethod
    def _read(cls, content, path):
        """Return the network in a file, with ``n_features`` by layers, and ``embed``."""

    @classmethod
    @abstractmethod
    def _tags(cls):
        """Return the names of the tags."""

    def features(self, analysis):
        x = analysis.waveform
        if analysis.sample_rate != self._network_rate:
            x = soxr.resample(x, analysis.sample_rate, self._network_rate, quality="HQ")
        if self.level is not None:
            x = _at_level(x, self.level)
        with torch_threads(1):
            embeddings, share = self._network().embed(x, self.window, self.layers)
        embeddings = embeddings.astype(np.float64)
        mean = np.average(embeddings, axis=0, weights=share)
        if self.pool == "mean":
            return mean
        variance = np.average((embeddings - mean) ** 2, axis=0, weights=share)
        return np.concatenate([mean, np.sqrt(variance)])

    def predict_tags(self, X):
        """Return how probable the network finds each of the tags that it was trained on.

        A by-product: the tags are those of other clips, and nobody has measured how often they
        are right on yours.

        Parameters
        ----------
        X : sequence of str or Path, or array-like of shape (n_clips, n_samples)
            As in :meth:`transform`.

        Returns
        -------
        tags : pandas.DataFrame of shape (n_clips, n_tags)
            Probabilities, the mean over the windows of each clip; the columns are the tags. They
            don't exclude each other, so rows don't sum to one.
        """
        import pandas as pd  # slow, and whoever extracts features doesn't need it

        tagger = clone(self).set_params(layers="tags", pool="mean").set_output(transform="default")
        return pd.DataFrame(tagger.transform(X), columns=self._tags())

    def _fingerprint(self, name, value):
        return self._weights_hash if name == "weights" else super()._fingerprint(name, value)

    @property
    def _is_complete(self) -> bool:
        return self._weights_hash != os.fspath(self.weights)

    @property
    def file_rate(self) -> int:
        """Sample rate in Hz at which files are read."""
        return self._network_rate

    @property
    def _n_features_out(self) -> int:
        return self._network().n_features[self.layers] * (2 if self.pool == "mean_std" else 1)

    def _prepare(self):
        self._network()

    @property
    def _weights_hash(self) -> str:
        """What tells the weights from others: their hash, or the path of a file that is gone."""
        name = os.fspath(self.weights)
        if name in self._published:
            return self._published[name].sha256
        path = user_path(name)
        return _hash_of(_identity(path)) if path.is_file() else name

    def _network(self):
        """Return the network, which a process loads once."""
        name = os.fspath(self.weights)
        if name in self._published:
            return _load(self._read, self._published[name])
        path = user_path(name)
        if not path.is_file():
            raise ValueError(
                f"weights={name!r} is neither the name of a published network "
                f"({', '.join(map(repr, self._published))}) nor a file; give one of these names or "
                "the path of a file with weights (for a model that was saved: load_model(file, "
                "weights='/path/to/file.pt'))"
            )
        return _load(self._read, _identity(path))


def _at_level(x, level):
    """Scale a waveform to a root mean square in dB of full scale; silence stays silence."""
    rms = np.sqrt(np.mean(np.square(x, dtype=np.float64)))
    return x * np.float32(10 ** (level / 20) / rms) if rms > 1e-30 else x


def _identity(path) -> tuple[str, int, int]:
    """Return the path, size and time of change of a file."""
    stat = os.stat(path)
    return os.path.realpath(path), stat.st_size, stat.st_mtime_ns


@lru_cache(maxsize=8)
def _load(read, source):
    """Return the network of a published file, or of one on disk as it is now."""
    path = source[0]
    if isinstance(source, Published):
        try:
            path = fetch_file(*source)
        except OSError as error:
            alternative = f"Or give its path, weights='/path/to/{source.filename}'."
            raise type(error)(f"{error} {alternative}") from error
    return read(_content(path), path)


@lru_cache(maxsize=32)
def _hash_of(identity) -> str:
    return hashlib.sha256(_content(identity[0])).hexdigest()


def _content(path) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ValueError(f"weights: {path} can't be read ({error.strerror})") from None
