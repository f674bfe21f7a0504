"""What a network that was trained on millions of other clips hears in a clip."""

import hashlib
import os
from functools import lru_cache
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import soxr
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin

from .._compat import Interval, StrOptions
from .._parallel import one_torch_thread
from ._base import BaseDomain

if TYPE_CHECKING:
    from ._mobilenet import Embedder

_SAMPLE_RATE = 32000  # Hz, what the networks listen to
_ONE_FRAME = 1024  # samples of it


class _Published(NamedTuple):
    url: str
    sha256: str


_WEIGHTS = {
    "mn04": _Published(
        "https://github.com/fschmid56/EfficientAT/releases/download/v0.0.1/mn04_as_mAP_432.pt",
        "899a8c6217063f6941793102a2780b3dd788ab11fce468d9cf5f0577c453321c",
    ),
}


class AudioSetEmbedding(ClassNamePrefixFeaturesOutMixin, BaseDomain):
    r"""The mean embedding of a network that was trained on AudioSet.

    A view that brings knowledge from elsewhere: EfficientAT's small MobileNets [1]_ learned to
    tell 527 kinds of sounds, genres of music among them, from two million clips. A linear model
    on their last layer is hard to beat with a few hundred clips of one's own. For a clip with
    the windows :math:`w` of `window` seconds, scaled to the level of `level`, the features are

    .. math:: \mu = \sum_w p_w e_w, \qquad \sigma = \sqrt{\sum_w p_w (e_w - \mu)^2}

    where :math:`e_w` is the mean over time and frequency of the network's last feature map,
    perhaps of earlier ones as well, and :math:`p_w` the share of the window in the clip.

    Parameters
    ----------
    weights : str or Path, default="mn04"
        The name of a published network, "mn04" (1 million parameters, 384 means, 4 MB), which
        is downloaded when it is first needed and checked by its hash; or the path of a file that
        EfficientAT published for a network of any width.
    window : float, default=10.0
        Length of the windows in seconds, at least 1; the network was trained on 10. The last
        window may be shorter; a rest of less than a second after it is left out.
    level : float or None, default=-20.0
        Root mean square to which each clip is scaled, in dB of full scale, since the network
        hears a quiet clip as another one than a loud one. None leaves clips as they are.
    pool : {"mean", "mean_std"}, default="mean_std"
        Mean over the windows, or mean and standard deviation, which doubles the features.
    layers : {"last", "stages"}, default="last"
        The feature maps that are averaged: the last one (384 means of "mn04"), or behind it
        also those at the end of the four stages before, where they are widest, after any
        squeeze-and-excitation (1,160 in all). What comes before the last layer is less bound to
        the 527 kinds of sounds, which helps to tell kinds of music apart, see [2]_.
    sample_rate : int, default=22050
        Sample rate of waveforms in Hz; they are resampled to 32,000 Hz. Files are read at
        32,000 Hz, whatever the `sample_rate`.
    duration : float, default=30.0
        Seconds read from each file at most. Waveforms keep their length.
    offset : float, default=0.0
        Where in each file to begin, in seconds.
    fill : {"zeros", "repeat"} or None, default=None
        What files that are shorter than `duration` are filled up with: zeros, the clip again and
        again, or nothing, since there are features of clips of any length.
    on_error : {"raise", "warn"}, default="raise"
        What to do about files that cannot be used: raise a
        :class:`~sklearn_genremoe.audio.BadClipError` at the first one, or go on, fill its
        row with NaN, and list all of them in one warning at the end.
    n_jobs : int, default=None
        Clips embedded in parallel; joblib's meaning. The features don't depend on it, nor on
        which clips come together.
    verbose : int, default=0
        Whether to show a progress bar.

    Attributes
    ----------
    n_features_in_ : int
        Samples per clip; absent after fitting on a :class:`~sklearn_genremoe.domains.DomainBatch`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, where waveforms came as a data frame.

    See Also
    --------
    sklearn_genremoe.pretrained_experts : The default experts and this view.
    DomainUnion : This and other domains for the price of one decode.

    Notes
    -----
    The network is part of neither the parameters nor the state: pickles stay small, and each
    process loads it once. It may have heard the very songs that it is tested on, since AudioSet
    is drawn from YouTube: see :ref:`pretrained`.

    References
    ----------
    .. [1] Schmid, Koutini, Widmer, "Efficient Large-Scale Audio Tagging Via Transformer-To-CNN
       Knowledge Distillation", ICASSP 2023.
    .. [2] Schmid, Koutini, Widmer, "Low-Complexity Audio Embedding Extractors", EUSIPCO 2023.

    Examples
    --------
    The baseline that every mixture should be compared with:

    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklearn_genremoe import AudioSetEmbedding
    >>> from sklearn_genremoe.datasets import load_mini_genres
    >>> X, y = load_mini_genres(return_X_y=True)
    >>> clf = make_pipeline(AudioSetEmbedding(), StandardScaler(), LogisticRegression(C=0.01))
    >>> clf.fit(X, y).score(X, y)  # doctest: +SKIP
    1.0
    """

    normalize = None
    output_ndim = 1
    set_output = TransformerMixin.set_output  # for once there are tables

    _parameter_constraints: dict = {
        **BaseDomain._parameter_constraints,
        "fill": [*BaseDomain._parameter_constraints["fill"], None],
        "weights": [str, os.PathLike],
        "window": [Interval(Real, 1, None, closed="left")],
        "level": [Interval(Real, None, 0, closed="right"), None],
        "pool": [StrOptions({"mean", "mean_std"})],
        "layers": [StrOptions({"last", "stages"})],
    }

    def __init__(
        self,
        weights="mn04",
        window=10.0,
        level=-20.0,
        pool="mean_std",
        *,
        layers="last",
        sample_rate=22050,
        duration=30.0,
        offset=0.0,
        fill=None,
        on_error="raise",
        n_jobs=None,
        verbose=0,
    ):
        self.weights = weights
        self.window = window
        self.level = level
        self.pool = pool
        self.layers = layers
        self.sample_rate = sample_rate
        self.duration = duration
        self.offset = offset
        self.fill = fill
        self.on_error = on_error
        self.n_jobs = n_jobs
        self.verbose = verbose

    def features(self, analysis):
        """Embed one clip.

        Parameters
        ----------
        analysis : ClipAnalysis
            The clip.

        Returns
        -------
        embedding : ndarray of shape (n_features,), dtype float64
            Means, and deviations behind them with ``pool="mean_std"``.
        """
        x = analysis.waveform
        if analysis.sample_rate != _SAMPLE_RATE:
            x = soxr.resample(x, analysis.sample_rate, _SAMPLE_RATE, quality="HQ")
        if self.level is not None:
            x = _at_level(x, self.level)
        x = np.pad(x, (0, max(0, _ONE_FRAME - len(x))))
        n_window = min(round(self.window * _SAMPLE_RATE), len(x))  # a clip may be shorter
        with one_torch_thread():
            embeddings = _embedder(self.weights).embed(x, n_window, self.layers)
        embeddings = embeddings.astype(np.float64)
        starts = n_window * np.arange(len(embeddings))
        share = np.minimum(n_window, len(x) - starts)
        mean = np.average(embeddings, axis=0, weights=share)
        if self.pool == "mean":
            return mean
        variance = np.average((embeddings - mean) ** 2, axis=0, weights=share)
        return np.concatenate([mean, np.sqrt(variance)])

    @property
    def signature(self) -> tuple:
        """What is computed: the class and its parameters, with the weights by their hash."""
        name, *params = super().signature
        weights = ("weights", _hash_of(self.weights))
        return (name, *(weights if param[0] == "weights" else param for param in params))

    @property
    def _is_complete(self) -> bool:
        return ("weights", os.fspath(self.weights)) not in self.signature

    @property
    def file_rate(self) -> int:
        """Sample rate in Hz at which files are read."""
        return _SAMPLE_RATE

    @property
    def _n_features_out(self) -> int:
        n_per_window = _embedder(self.weights).n_features[self.layers]
        return n_per_window * (2 if self.pool == "mean_std" else 1)

    def _prepare(self):
        _embedder(self.weights)


def _at_level(x, level):
    """Scale a waveform to a root mean square in dB of full scale; silence stays silence."""
    rms = np.sqrt(np.mean(np.square(x, dtype=np.float64)))
    return x * np.float32(10 ** (level / 20) / rms) if rms > 1e-30 else x


def _embedder(weights) -> "Embedder":
    """Return the network, which a process loads once."""
    name = os.fspath(weights)
    if name in _WEIGHTS:
        return _published_embedder(name)
    path = os.path.expanduser(name)
    if not os.path.isfile(path):
        raise ValueError(
            f"weights={name!r} is neither the name of a published network "
            f"({', '.join(map(repr, _WEIGHTS))}) nor a file; give one of these names or the path "
            "of a file with weights (for a model that was saved: load_model(file, "
            "weights='/path/to/file.pt'); for a pickled one, put the file back to that place)"
        )
    return _embedder_of_file(*_identity(path))


def _hash_of(weights) -> str:
    """Return what tells weights from others: their hash, or the path of a file that is gone."""
    name = os.fspath(weights)
    if name in _WEIGHTS:
        return _WEIGHTS[name].sha256
    path = os.path.expanduser(name)
    return _hash_of_file(*_identity(path)) if os.path.isfile(path) else name


def _identity(path) -> tuple[str, int, int]:
    """Return the path, size and time of change of a file."""
    stat = os.stat(path)
    return os.path.realpath(path), stat.st_size, stat.st_mtime_ns


@lru_cache(maxsize=2)
def _published_embedder(name) -> "Embedder":
    from .._files import fetch_file  # slow to import, like torch, so not before it is needed
    from ._mobilenet import read_embedder

    published = _WEIGHTS[name]
    filename = published.url.rpartition("/")[2]
    try:
        path = fetch_file(published.url, filename, published.sha256)
    except OSError as error:
        raise type(error)(f"{error} Or give its path, weights='/path/to/{filename}'.") from error
    return read_embedder(path.read_bytes(), path)


@lru_cache(maxsize=8)
def _embedder_of_file(path, size, changed) -> "Embedder":
    from ._mobilenet import read_embedder

    return read_embedder(_read(path), path)


@lru_cache(maxsize=32)
def _hash_of_file(path, size, changed) -> str:
    return hashlib.sha256(_read(path)).hexdigest()


def _read(path) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ValueError(
            f"weights: {path} can't be read ({error.strerror}); give a file that you may read"
        ) from None
