"""What a network that was trained on AudioSet hears in a clip."""

import csv

from .._compat import StrOptions
from ._base_embedding import BaseEmbedding, Published, fetch

_CLASS_NAMES = Published(
    "https://raw.githubusercontent.com/fschmid56/EfficientAT/"
    "03cff212f7cd6e726a33c7d320ad84aeca568e60/metadata/class_labels_indices.csv",
    "audioset_class_labels_indices.csv",
    "cdd1049833c4b86127c2773ac0d14a2754b6a6d0d1798002ed5c66e699708429",
)


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
    level : float or None, default=-20.0
        Root mean square to which each clip is scaled, in dB of full scale, since the network
        hears a quiet clip as another one than a loud one. None leaves clips as they are.
    pool : {"mean", "mean_std"}, default="mean_std"
        Mean over the windows, or mean and standard deviation, which doubles the features.
    layers : {"last", "stages", "tags"}, default="last"
        The feature maps that are averaged: the last one (384 means of "mn04"), or behind it
        also those at the end of the four stages before, where they are widest, after any
        squeeze-and-excitation (1,160 in all). What comes before the last layer is less bound to
        the 527 kinds of sounds, which helps to tell kinds of music apart, see [2]_. "tags" are
        the probabilities of these kinds instead.
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
    MusicTagEmbedding : By a network that was trained on other clips and errs on other ones.
    sklearn_genremoe.pretrained_experts : Experts on both.
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

    _network_rate = 32000
    _published = {
        "mn04": Published(
            "https://github.com/fschmid56/EfficientAT/releases/download/v0.0.1/mn04_as_mAP_432.pt",
            "mn04_as_mAP_432.pt",
            "899a8c6217063f6941793102a2780b3dd788ab11fce468d9cf5f0577c453321c",
        )
    }
    _parameter_constraints = {
        **BaseEmbedding._parameter_constraints,
        "layers": [StrOptions({"last", "stages", "tags"})],
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

    @classmethod
    def _read(cls, content, path):
        from ._mobilenet import read_embedder  # imports torch, so not before it is needed

        return read_embedder(content, path)

    @classmethod
    def _tags(cls):
        with open(fetch(_CLASS_NAMES), encoding="utf-8", newline="") as file:
            return [row["display_name"] for row in csv.DictReader(file)]
