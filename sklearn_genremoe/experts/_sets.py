"""Ready-made sets of experts: those of the paper, and those that a mixture has by default."""

from collections.abc import Mapping
from typing import Any

from sklearn.base import BaseEstimator, clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from .._compat import _routing_enabled
from ..domains import (
    MFCC,
    AudioSetEmbedding,
    BaseDomain,
    HarmonicSpectrogram,
    LogMelSpectrogram,
    ModulationSpectrogram,
    MusicTagEmbedding,
    PercussiveSpectrogram,
    SpectralStatistics,
    TimeFrequencyScattering,
    time_statistics,
)
from ._cnn import CNNClassifier


def default_experts(
    duration: float = 30.0,
    *,
    networks: bool = True,
    class_weight: Mapping[Any, float] | str | None = None,
    random_state: Any = None,
    **params: Any,
) -> list[tuple[str, Pipeline]]:
    """Return experts that are made to learn from a few hundred clips.

    Three small networks, on the log-mel spectrogram, on the MFCC and on the
    :class:`~sklearn_genremoe.TimeFrequencyScattering` of the clip and its harmonic and percussive
    part. They are kept from overfitting: trained on random crops of 5 s (15 s of the scattering)
    with label smoothing, dropout and weight decay, over one cycle of the learning rate. In
    prediction the probabilities of overlapping crops are averaged.

    Four logistic regressions, which take seconds: on
    :func:`~sklearn_genremoe.domains.time_statistics`, with percentiles, of the harmonic
    spectrogram and of the MFCC, on :func:`~sklearn_genremoe.domains.modulation_statistics` of the
    log-mel spectrogram, and on :func:`~sklearn_genremoe.domains.covariance_statistics`. All domains
    have 128 mel bands and frames of 77 ms.

    Parameters
    ----------
    duration : float, default=30.0
        Seconds of each file that all experts get.
    networks : bool, default=True
        Whether the networks are among them. Without them a fit takes seconds.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes, for the networks and the linear experts alike.
    random_state : int, RandomState instance or None, default=None
        Determines the training of all experts. A mixture with a `random_state` sets it.
    **params : dict
        What to change in all domains: sample_rate, offset, fill (shorter files are repeated: zeros
        would make crops of nothing but zeros), on_error or n_jobs; and in all
        :class:`~sklearn_genremoe.CNNClassifier`, for example ``max_epochs=10``.

    Returns
    -------
    experts : list of (str, Pipeline)
        The `experts` of a :class:`~sklearn_genremoe.MixtureOfExpertsClassifier`, untrained, the
        networks first.

    See Also
    --------
    pretrained_experts : On what networks learned from other clips before.
    paper_experts : The experts of the paper.

    Notes
    -----
    What each expert is worth on real clips is in the reproduction report.

    Examples
    --------
    >>> from sklearn_genremoe import default_experts
    >>> experts = dict(default_experts(10.0, max_epochs=10))
    >>> for name in experts:
    ...     print(name)
    original
    mfcc
    scattering
    harmonic_statistics
    mfcc_statistics
    modulation_statistics
    covariance_statistics
    >>> experts["mfcc"]["cnnclassifier"].max_epochs
    10
    >>> len(default_experts(networks=False))
    4
    """
    signal = _signal(duration, params, fill="repeat", n_fft=2048, hop_length=1707, n_mels=128)
    # 0.7 s along time, 680 Hz along frequency: what the paper's 31 x 31 cells are in its frames.
    kernel: dict[str, Any] = {"kernel_size": (9, 63)}
    recipe: dict[str, Any] = {
        "max_epochs": 30,
        "batch_size": 16,
        "lr": 3e-3,
        "schedule": "one_cycle",
        "weight_decay": 0.05,
        "label_smoothing": 0.1,
    }
    on_frames: dict[str, Any] = {
        "channels": (16, 32, 48, 64, 96),
        "architecture": "statistics_pooling",
        "crop_frames": 64,
        "dropout": 0.4,
    }
    # The mean over a crop is the colour of a recording, which tells it from others.
    of_original = {"pool_sizes": ((4, 2), (2, 2), (2, 2), (2, 2), (4, 2)), "center_bins": True}
    of_mfcc = {"pool_sizes": ((2, 2), (2, 2), (2, 2), (2, 2), (4, 2))}
    of_scattering: dict[str, Any] = {
        "channels": (32, 32, 64),
        "architecture": "channel_mixing",
        "crop_frames": 24,
        "dropout": 0.5,
        "max_epochs": 20,
    }
    given = {"class_weight": class_weight, "random_state": random_state, **params}
    mfcc = MFCC(**signal, normalize=None)
    scattering = TimeFrequencyScattering(part="all", **signal, **kernel)
    with_network = [
        _expert("original", LogMelSpectrogram(**signal), recipe | on_frames | of_original | given),
        _expert("mfcc", mfcc, recipe | on_frames | of_mfcc | given),
        _expert("scattering", scattering, recipe | of_scattering | given),
    ]
    of_time = {"percentiles": [5, 25, 50, 75, 95]}
    statistics = FunctionTransformer(time_statistics, kw_args=of_time)
    harmonic = HarmonicSpectrogram(**signal, **kernel)
    modulation = SpectralStatistics(kind="modulation", **signal, **kernel)
    covariance = SpectralStatistics(kind="covariance", **signal, **kernel)
    of_linear = {"class_weight": class_weight, "random_state": random_state}
    linear = [
        _linear_expert("harmonic_statistics", harmonic, statistics, C=0.1, **of_linear),
        _linear_expert("mfcc_statistics", clone(mfcc), clone(statistics), C=0.1, **of_linear),
        _linear_expert("modulation_statistics", modulation, C=0.01, **of_linear),
        _linear_expert("covariance_statistics", covariance, C=0.01, **of_linear),
    ]
    return [*(with_network if networks else []), *linear]


def pretrained_experts(
    duration: float = 30.0,
    *,
    weights: Any = "mn04",
    music_weights: Any = "msd",
    from_scratch: bool = False,
    **params: Any,
) -> list[tuple[str, Pipeline]]:
    """Return experts on the embeddings of networks that were trained on other clips before.

    They are logistic regressions, on :class:`~sklearn_genremoe.MusicTagEmbedding` and on
    :class:`~sklearn_genremoe.AudioSetEmbedding`, mean and deviation over windows of 3 s of several
    of their layers. The two err on other clips, and are fitted in seconds. With a few hundred
    clips, the experts of :func:`default_experts` take as much away from them as they add, most
    on music from other sources.

    Parameters
    ----------
    duration : float, default=30.0
        Seconds read from each file, by all experts.
    weights : str or Path, default="mn04"
        The weights of the network from AudioSet: its name, by which it is downloaded when it is
        first needed (4 MB), or the path of a file.
    music_weights : str or Path, default="msd"
        The weights of the network for music in the same way (9 MB).
    from_scratch : bool, default=False
        Whether to put those of :func:`default_experts` before them.
    **params : dict
        What else :func:`default_experts` takes; what concerns all experts there reaches the
        embeddings too, but for `fill`: they take shorter clips as they are.

    Returns
    -------
    experts : list of (str, Pipeline)
        The `experts` of a :class:`~sklearn_genremoe.MixtureOfExpertsClassifier`, untrained:
        music_tags and embedding.

    See Also
    --------
    default_experts : All from scratch.

    Notes
    -----
    The networks may have heard the songs that such a mixture is tested on: report its figures
    apart from those of methods that were trained from scratch.

    Examples
    --------
    >>> from sklearn_genremoe import MixtureOfExpertsClassifier, pretrained_experts
    >>> clf = MixtureOfExpertsClassifier(pretrained_experts())
    >>> [name for name, _ in clf.experts]
    ['music_tags', 'embedding']
    >>> len(pretrained_experts(from_scratch=True, max_epochs=10))
    9
    """
    others = default_experts(duration, **params)
    known = set(AudioSetEmbedding().get_params())
    of_domain = {name: params[name] for name in params if name in known - {"fill", "verbose"}}
    of_domain |= {"window": 3.0, "layers": "stages", "duration": duration}
    of_linear = {"C": 0.01, **{n: params.get(n) for n in ("class_weight", "random_state")}}
    return [
        *(others if from_scratch else []),
        _linear_expert("music_tags", MusicTagEmbedding(music_weights, **of_domain), **of_linear),
        _linear_expert("embedding", AudioSetEmbedding(weights, **of_domain), **of_linear),
    ]


def paper_experts(duration: float = 30.0, **params: Any) -> list[tuple[str, Pipeline]]:
    """Return the paper's four experts: original, harmonic, percussive and modulation.

    Each is a Pipeline of a feature domain and a k2c2 network, untrained.

    Parameters
    ----------
    duration : float, default=30.0
        Seconds of each file that all experts get.
    **params : dict
        What to change in all domains: sample_rate, offset, fill, on_error or n_jobs; and in all
        four :class:`~sklearn_genremoe.CNNClassifier`, whose defaults are the paper's, for example
        ``max_epochs=10`` or ``class_weight="balanced"``.

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
    signal = _signal(duration, params)
    kinds = {
        "original": LogMelSpectrogram,
        "harmonic": HarmonicSpectrogram,
        "percussive": PercussiveSpectrogram,
        "modulation": ModulationSpectrogram,
    }
    return [_expert(name, kind(**signal), params) for name, kind in kinds.items()]


def _signal(duration: float, params: dict[str, Any], **defaults: Any) -> dict[str, Any]:
    """Take what concerns all domains out of the parameters of a set."""
    names = ("sample_rate", "offset", "fill", "on_error", "n_jobs")
    given = {name: params.pop(name) for name in names if name in params}
    return {"duration": duration, **defaults, **given}


def _expert(name: str, domain: BaseDomain, cnn_params: dict[str, Any]) -> tuple[str, Pipeline]:
    cnn = CNNClassifier(**cnn_params)
    if _routing_enabled():
        cnn.set_fit_request(sample_weight=True)
    return name, make_pipeline(domain, cnn)


def _linear_expert(name: str, *first: BaseEstimator, **linear_params: Any) -> tuple[str, Pipeline]:
    scaler, linear = StandardScaler(), LogisticRegression(max_iter=1000, **linear_params)
    if _routing_enabled():
        scaler.set_fit_request(sample_weight=False)  # as without routing: only the last step asks
        linear.set_fit_request(sample_weight=True)
    return name, make_pipeline(*first, scaler, linear)
