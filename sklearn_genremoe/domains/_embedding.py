"""What a network that was trained on AudioSet hears in a clip."""

import csv
import os

from .._fields import with_init
from .._files import fetch_file
from ._base_embedding import BaseEmbedding, Published, WindowLength

_CLASS_NAMES = Published(
    "https://raw.githubusercontent.com/fschmid56/EfficientAT/"
    "03cff212f7cd6e726a33c7d320ad84aeca568e60/metadata/class_labels_indices.csv",
    "audioset_class_labels_indices.csv",
    "cdd1049833c4b86127c2773ac0d14a2754b6a6d0d1798002ed5c66e699708429",
)


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
