"""The paper's experts."""

from typing import Any

from sklearn.pipeline import Pipeline, make_pipeline

from .._sklearn_compat import _routing_enabled
from ..domains import (
    HarmonicSpectrogram,
    LogMelSpectrogram,
    ModulationSpectrogram,
    PercussiveSpectrogram,
)
from ..experts import CNNClassifier


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
    MixtureOfExpertsClassifier : The mixture; these experts are its default.

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
    domains = {
        "original": LogMelSpectrogram(),
        "harmonic": HarmonicSpectrogram(),
        "percussive": PercussiveSpectrogram(),
        "modulation": ModulationSpectrogram(),
    }
    experts = []
    for name, domain in domains.items():
        cnn = CNNClassifier(**cnn_params)
        if _routing_enabled():
            cnn.set_fit_request(sample_weight=True)
        experts.append((name, make_pipeline(domain, cnn)))
    return experts
