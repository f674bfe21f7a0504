# What `import sklearn_genremoe` offers: read by type checkers and, at run time, by lazy_loader.
from . import audio, datasets, domains, experts, inspection, mixture, persistence, pretrained
from ._versions import show_versions
from .audio import AudioLoader
from .domains import (
    MFCC,
    AudioSetEmbedding,
    DomainUnion,
    HarmonicSpectrogram,
    LogMelSpectrogram,
    ModulationSpectrogram,
    MusicTagEmbedding,
    PercussiveSpectrogram,
    SpectralStatistics,
    TimeFrequencyScattering,
)
from .experts import CNNClassifier, default_experts, paper_experts, pretrained_experts
from .mixture import (
    BalancedMixer,
    CNNMixer,
    LogPoolMixer,
    MixtureOfExpertsClassifier,
    RNNMixer,
    StackingMixer,
    WindowedClassifier,
)
from .persistence import load_model, save_model

__version__: str
__all__ = [
    "MFCC",
    "AudioLoader",
    "AudioSetEmbedding",
    "BalancedMixer",
    "CNNClassifier",
    "CNNMixer",
    "DomainUnion",
    "HarmonicSpectrogram",
    "LogMelSpectrogram",
    "LogPoolMixer",
    "MixtureOfExpertsClassifier",
    "ModulationSpectrogram",
    "MusicTagEmbedding",
    "PercussiveSpectrogram",
    "RNNMixer",
    "SpectralStatistics",
    "StackingMixer",
    "TimeFrequencyScattering",
    "WindowedClassifier",
    "audio",
    "datasets",
    "default_experts",
    "domains",
    "experts",
    "inspection",
    "load_model",
    "mixture",
    "paper_experts",
    "persistence",
    "pretrained",
    "pretrained_experts",
    "save_model",
    "show_versions",
]
