"""What networks that were trained on other clips hear in a clip."""

import csv
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


_CLASS_NAMES = Published(
    "https://raw.githubusercontent.com/fschmid56/EfficientAT/"
    "03cff212f7cd6e726a33c7d320ad84aeca568e60/metadata/class_labels_indices.csv",
    "audioset_class_labels_indices.csv",
    "cdd1049833c4b86127c2773ac0d14a2754b6a6d0d1798002ed5c66e699708429",
)

_TAGS = (
    "rock,pop,alternative,indie,electronic,female vocalists,dance,00s,alternative rock,jazz,"
    "beautiful,metal,chillout,male vocalists,classic rock,soul,indie rock,Mellow,electronica,80s,"
    "folk,90s,chill,instrumental,punk,oldies,blues,hard rock,ambient,acoustic,experimental,"
    "female vocalist,guitar,Hip-Hop,70s,party,country,easy listening,sexy,catchy,funk,electro,"
    "heavy metal,Progressive rock,60s,rnb,indie pop,sad,House,happy"
)


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
        if name != "weights":
            return super()._fingerprint(name, value)
        return self._file.sha256 if self._file else os.fspath(value)  # a file that is gone

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

    def _prepare(self):
        """Return the network, which a process loads once."""
        if self._file is None:
            names = ", ".join(map(repr, self._published))
            found = f"weights={os.fspath(self.weights)!r} is neither a file nor a published network"
            advice = "for a model that was saved, load_model(file, weights='/path/to/file.pt')"
            raise ValueError(f"{found} ({names}); give one of them: {advice}")
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


@with_init
class AudioSetEmbedding(BaseEmbedding):
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
    layers : {"last", "stages", "tags"}, default="last"
        The feature maps that are averaged: the last one (384 means of "mn04"), or behind it
        also those at the end of the four stages before, where they are widest, after any
        squeeze-and-excitation (1,160 in all). What comes before the last layer is less bound to
        the 527 kinds of sounds, which helps to tell kinds of music apart, see [2]_. "tags" are
        the probabilities of these kinds instead.
    <inherited>

    See Also
    --------
    MusicTagEmbedding : By a network that was trained on other clips and errs on other ones.
    sklearn_genremoe.pretrained_experts : Experts on both.
    DomainUnion : This and other domains for the price of one decode.

    Notes
    -----
    The network is part of neither the parameters nor the state. It may have heard the very songs
    that it is tested on, since AudioSet is drawn from YouTube: see :ref:`pretrained`.

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

    weights: str | os.PathLike = "mn04"
    window: WindowLength = 10.0

    _network_rate = 32000
    _published = {
        "mn04": Published(
            "https://github.com/fschmid56/EfficientAT/releases/download/v0.0.1/mn04_as_mAP_432.pt",
            "mn04_as_mAP_432.pt",
            "899a8c6217063f6941793102a2780b3dd788ab11fce468d9cf5f0577c453321c",
        )
    }

    @classmethod
    def _read(cls, content, path):
        from ._mobilenet import read_embedder  # imports torch, so not before it is needed

        return read_embedder(content, path)

    @classmethod
    def _tags(cls):
        with open(fetch_file(*_CLASS_NAMES), encoding="utf-8", newline="") as file:
            return [row["display_name"] for row in csv.DictReader(file)]


@with_init
class MusicTagEmbedding(BaseEmbedding):
    """The embedding of a network that was trained to tag songs.

    musicnn [1]_ learned from a million songs which of 50 tags their listeners had given them, such
    as rock, female vocalists or 80s. It knows nothing but music, where the networks of
    :class:`AudioSetEmbedding` know all sounds, and errs on other clips: a mixture of both is better
    than either. As there, the features are the means and the standard deviations of what the
    network makes of the windows.

    Parameters
    ----------
    weights : str or Path, default="msd"
        The name of the published network, "msd" (0.8 million parameters, 9 MB), which is downloaded
        when it is first needed and checked by its hash; or the path of this file.
    window : float, default=3.0
        Length of the windows in seconds, at least 1; the network was trained on 3. What is left
        behind the last whole window is left out, and a clip of less than 3 s is repeated.
    layers : {"last", "stages", "tags"}, default="last"
        What is taken from the network: the 200 outputs of its last layer before the tags; behind
        them also the means over time of the four stages before it, of those of their 753 channels
        that training left alive (413 in all); or the probabilities of the 50 tags.
    <inherited>

    See Also
    --------
    AudioSetEmbedding : By a network that was trained on all kinds of sounds.
    sklearn_genremoe.pretrained_experts : Experts on both.

    Notes
    -----
    Nothing in the file of weights is executed. The network may have heard the very songs that it is
    tested on: see :ref:`pretrained`.

    References
    ----------
    .. [1] Pons, Serra, "musicnn: Pre-trained convolutional neural networks for music audio
       tagging", ISMIR late-breaking session, 2019, arXiv:1909.06654.

    Examples
    --------
    What the network thinks of a song, for example ``["rock", "Progressive rock", "80s"]``:

    >>> from sklearn_genremoe import MusicTagEmbedding
    >>> tags = MusicTagEmbedding().predict_tags(["song.mp3"])  # doctest: +SKIP
    >>> strongest = tags.loc[0].nlargest(3).index.tolist()  # doctest: +SKIP
    """

    weights: str | os.PathLike = "msd"
    window: WindowLength = 3.0

    _network_rate = 16000
    _published = {
        "msd": Published(
            "https://raw.githubusercontent.com/jordipons/musicnn/"
            "516acb2a0ff5ef73f64547898e018e793152c506/musicnn/MSD_musicnn/.data-00000-of-00001",
            "msd_musicnn.data",
            "8579734ee6388f799ed0def4bbd0d1fdcbeaf213ef2a9dc860917bd76a303de6",
        )
    }

    @classmethod
    def _read(cls, content, path):
        # Where the tensors lie is known for this one file.
        known = {published.sha256 for published in cls._published.values()}
        if hashlib.sha256(content).hexdigest() not in known:
            expected = f"{cls._published['msd'].url}, 9,465,596 bytes"
            raise ValueError(
                f"{path} is not the file of weights that the authors of musicnn published, by its "
                f"SHA-256. Expected is {expected}: fetch it again, or leave weights out."
            )
        from ._musicnn import Tagger  # imports torch, so not before it is needed

        return Tagger(content)

    @classmethod
    def _tags(cls):
        return _TAGS.split(",")
