"""Ready-made sets of experts: those of the paper, and those that a mixture has by default."""

from typing import Any

from sklearn.base import BaseEstimator, clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from .._sklearn_compat import _routing_enabled
from ..domains import (
    MFCC,
    AudioSetEmbedding,
    BaseDomain,
    HarmonicSpectrogram,
    LogMelSpectrogram,
    ModulationSpectrogram,
    PercussiveSpectrogram,
    time_statistics,
)
from ._augment import FrequencyMask, Mixup, TimeMask
from ._cnn import CNNClassifier


def default_experts(**cnn_params: Any) -> list[tuple[str, Pipeline]]:
    """Return seven experts that are made to learn from a few hundred clips.

    The paper's four views and its baseline, MFCC, each with a narrow convolutional network that
    is kept from learning its clips by heart: trained on random crops of 10 s with masks and
    mixup, label smoothing, dropout and weight decay, over one cycle of the learning rate. From
    each mel band its mean over the crop is taken off, and with it much of what tells a recording
    from another. In prediction the probabilities of overlapping crops are averaged. The domains
    have 128 mel bands and frames of 77 ms.

    Two more are logistic regressions on :func:`~sklearn_genremoe.domains.time_statistics` of
    the harmonic spectrogram and of the MFCC. They take no time, err on other clips than the
    networks, and the fewer clips there are, the better they compare.

    Parameters
    ----------
    **cnn_params : dict
        Parameters of all :class:`~sklearn_genremoe.CNNClassifier` to change, for example
        ``max_epochs=10``.

    Returns
    -------
    experts : list of (str, Pipeline)
        The `experts` of a :class:`~sklearn_genremoe.MixtureOfExpertsClassifier`, untrained:
        original, harmonic, percussive, modulation and mfcc, harmonic_statistics and
        mfcc_statistics.

    See Also
    --------
    pretrained_experts : These and one that was trained on other clips before.
    paper_experts : The experts of the paper.

    Notes
    -----
    What each ingredient is worth on real clips is in the reproduction report.

    Examples
    --------
    >>> from sklearn_genremoe import default_experts
    >>> experts = dict(default_experts(max_epochs=10))
    >>> for name in experts:
    ...     print(name)
    original
    harmonic
    percussive
    modulation
    mfcc
    harmonic_statistics
    mfcc_statistics
    >>> experts["harmonic"]["cnnclassifier"].crop_frames
    128
    """
    signal: dict[str, Any] = {"n_fft": 2048, "hop_length": 1707, "n_mels": 128}
    # 0.7 s along time, 680 Hz along frequency: what the paper's 31 x 31 cells are in its frames.
    kernel = (9, 63)
    recipe = {
        "channels": (16, 32, 48, 64, 96),
        "pool_sizes": ((4, 2), (2, 2), (2, 2), (2, 2), (4, 2)),
        "padding": "same",
        "pooling": "statistics",
        "norm_momentum": 0.1,
        "pool_before_norm": True,
        "dropout": 0.4,
        "max_epochs": 80,
        "batch_size": 16,
        "lr": 3e-3,
        "schedule": "one_cycle",
        "weight_decay": 0.05,
        "label_smoothing": 0.1,
        "crop_frames": 128,
        "scale_bins": True,
        "center_bins": True,
        "augment": [TimeMask(16), FrequencyMask(16), Mixup(0.3)],
    }
    # The bins of these are no frequencies whose mean is the colour of a recording.
    of_modulation = {"crop_frames": 96, "center_bins": False}
    of_mfcc = {
        "pool_sizes": ((2, 2), (2, 2), (2, 2), (2, 2), (4, 2)),
        "center_bins": False,
    }
    harmonic = HarmonicSpectrogram(**signal, kernel_size=kernel)
    percussive = PercussiveSpectrogram(**signal, kernel_size=kernel)
    mfcc = MFCC(**signal, normalize=None)
    statistics = FunctionTransformer(time_statistics)
    return [
        _expert("original", LogMelSpectrogram(**signal), recipe | cnn_params),
        _expert("harmonic", harmonic, recipe | cnn_params),
        _expert("percussive", percussive, recipe | cnn_params),
        _expert("modulation", ModulationSpectrogram(**signal), recipe | of_modulation | cnn_params),
        _expert("mfcc", mfcc, recipe | of_mfcc | cnn_params),
        _linear_expert("harmonic_statistics", clone(harmonic), statistics, C=0.1),
        _linear_expert("mfcc_statistics", clone(mfcc), clone(statistics), C=0.1),
    ]


def pretrained_experts(weights: Any = "mn04", **params: Any) -> list[tuple[str, Pipeline]]:
    """Return the default experts, and one that was trained on other clips before.

    The eighth is a logistic regression on :class:`~sklearn_genremoe.AudioSetEmbedding`, mean and
    deviation over windows of 3 s. With a few hundred clips it is the strongest by far; the others
    err on other clips.

    Parameters
    ----------
    weights : str or Path, default="mn04"
        The weights of the embedding: the name of a published network, which is downloaded when it
        is first needed (4 MB), or the path of a file.
    **params : dict
        What :func:`default_experts` takes. ``sample_rate``, ``duration`` and ``offset`` reach the
        embedding too.

    Returns
    -------
    experts : list of (str, Pipeline)
        The `experts` of a :class:`~sklearn_genremoe.MixtureOfExpertsClassifier`, untrained:
        those of :func:`default_experts`, and embedding.

    See Also
    --------
    default_experts : All from scratch.

    Notes
    -----
    AudioSet may hold the songs that such a mixture is tested on: report its figures apart from
    those of methods that were trained from scratch.

    Examples
    --------
    >>> from sklearn_genremoe import MixtureOfExpertsClassifier, pretrained_experts
    >>> clf = MixtureOfExpertsClassifier(pretrained_experts())
    >>> clf.experts[-1][0]
    'embedding'
    """
    of_clip = {
        name: params[name] for name in ("sample_rate", "duration", "offset") if name in params
    }
    embedding = AudioSetEmbedding(weights, window=3.0, **of_clip)
    return [*default_experts(**params), _linear_expert("embedding", embedding, C=0.01)]


def paper_experts(**cnn_params: Any) -> list[tuple[str, Pipeline]]:
    """Return the paper's four experts: original, harmonic, percussive and modulation.

    Each is a Pipeline of a feature domain and a k2c2 network, untrained.

    Parameters
    ----------
    **cnn_params : dict
        Parameters of all four :class:`~sklearn_genremoe.CNNClassifier`, for example
        ``max_epochs=10``. Its defaults are the paper's.

    Returns
    -------
    experts : list of (str, Pipeline)
        The `experts` of a :class:`~sklearn_genremoe.MixtureOfExpertsClassifier`.

    See Also
    --------
    default_experts : What a mixture has by default.

    References
    ----------
    Yi, Chen, Gu, "Mixture of CNN Experts from Multiple Acoustic Feature Domain for Music Genre
    Classification", APSIPA 2019.

    Examples
    --------
    >>> from sklearn_genremoe import paper_experts
    >>> [name for name, _ in paper_experts(max_epochs=10)]
    ['original', 'harmonic', 'percussive', 'modulation']
    """
    return [
        _expert("original", LogMelSpectrogram(), cnn_params),
        _expert("harmonic", HarmonicSpectrogram(), cnn_params),
        _expert("percussive", PercussiveSpectrogram(), cnn_params),
        _expert("modulation", ModulationSpectrogram(), cnn_params),
    ]


def _expert(name: str, domain: BaseDomain, cnn_params: dict[str, Any]) -> tuple[str, Pipeline]:
    cnn = CNNClassifier(**cnn_params)
    if _routing_enabled():
        cnn.set_fit_request(sample_weight=True)
    return name, make_pipeline(domain, cnn)


def _linear_expert(name: str, *first: BaseEstimator, C: float) -> tuple[str, Pipeline]:
    scaler, linear = StandardScaler(), LogisticRegression(C=C, max_iter=1000)
    if _routing_enabled():
        scaler.set_fit_request(sample_weight=False)  # as without routing: only the last step asks
        linear.set_fit_request(sample_weight=True)
    return name, make_pipeline(*first, scaler, linear)
