"""What embeddings by networks that were trained on other clips have in common."""

import hashlib
import os
from dataclasses import KW_ONLY
from functools import lru_cache
from numbers import Real
from pathlib import Path
from typing import Annotated, ClassVar, Literal, NamedTuple

import numpy as np
import soxr
from sklearn.base import ClassNamePrefixFeaturesOutMixin, clone

from .._compat import Interval
from .._fields import Count, NonNegative, Positive, with_init
from .._files import fetch_file, user_path
from .._parallel import torch_threads
from ._base_domain import BaseDomain

WindowLength = Annotated[float, Interval(Real, 1, None, closed="left")]


class Published(NamedTuple):
    """A file that others published, or one on disk, without a url."""

    url: str
    filename: str
    sha256: str


@with_init
class BaseEmbedding(ClassNamePrefixFeaturesOutMixin, BaseDomain):
    """Base class of the embeddings.

    A subclass says where its networks are published (``_published``), which sample rate they want
    (``_network_rate``), how their files are read (``_read``, which returns a network with
    ``n_features`` by layers and ``embed``), and the names of the tags (``_tags``).

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

    _published: ClassVar[dict[str, Published]]
    _network_rate: ClassVar[int]

    def features(self, analysis):
        x = analysis.waveform
        if analysis.sample_rate != self._network_rate:
            x = soxr.resample(x, analysis.sample_rate, self._network_rate, quality="HQ")
        rms = np.sqrt(np.mean(np.square(x, dtype=np.float64)))
        if self.level is not None and rms > 1e-30:  # silence stays silence
            x = x * np.float32(10 ** (self.level / 20) / rms)
        with torch_threads(1):
            embeddings, share = self._prepare().embed(x, self.window, self.layers)
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
        return self._file is not None

    @property
    def file_rate(self) -> int:
        """Sample rate in Hz at which files are read."""
        return self._network_rate

    @property
    def _n_features_out(self) -> int:
        return self._prepare().n_features[self.layers] * (2 if self.pool == "mean_std" else 1)

    @property
    def _file(self) -> Published | None:
        """The file of weights; None if there is none of this name."""
        name = os.fspath(self.weights)
        path = user_path(name)
        if name in self._published or not path.is_file():
            return self._published.get(name)
        stat = path.stat()
        return _on_disk(os.path.realpath(path), stat.st_size, stat.st_mtime_ns)

    @property
    def _weights_hash(self) -> str:
        """What tells the weights from others: their hash, or the path of a file that is gone."""
        return self._file.sha256 if self._file else os.fspath(self.weights)

    def _prepare(self):
        """Return the network, which a process loads once."""
        if self._file is None:
            names = ", ".join(map(repr, self._published))
            found = (
                f"weights={os.fspath(self.weights)!r} is neither the name of a published network"
            )
            advice = "for a model that was saved, load_model(file, weights='/path/to/file.pt')"
            raise ValueError(f"{found} ({names}) nor a file; give one of them: {advice}")
        return _load(self._read, self._file)


@lru_cache(maxsize=8)
def _load(read, file):
    """Return the network in a file, which is fetched if need be."""
    path = file.filename
    if file.url:
        try:
            path = fetch_file(*file)
        except OSError as error:
            hint = f"{error} Or give its path, weights='/path/to/{file.filename}'."
            raise type(error)(hint) from error
    return read(_content(path), path)


@lru_cache(maxsize=32)
def _on_disk(path, size, changed) -> Published:
    """Return a file that somebody has, as it is now."""
    return Published("", path, hashlib.sha256(_content(path)).hexdigest())


def _content(path) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ValueError(f"weights: {path} can't be read ({error.strerror})") from None
