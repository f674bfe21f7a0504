"""From waveforms to spectrograms: the feature domains."""

from ._analysis import ClipAnalysis
from ._base_domain import BaseDomain
from ._batch import DomainBatch
from ._batch import DomainView as DomainView
from ._embeddings import AudioSetEmbedding, MusicTagEmbedding
from ._extract import extract as extract
from ._mel import (
    MFCC,
    HarmonicSpectrogram,
    LogMelSpectrogram,
    ModulationSpectrogram,
    PercussiveSpectrogram,
)
from ._plan import Plan as Plan
from ._scattering import TimeFrequencyScattering, time_frequency_scattering
from ._summaries import (
    SpectralStatistics,
    covariance_statistics,
    modulation_statistics,
    time_statistics,
)
from ._union import DomainUnion

__all__ = [
    "MFCC",
    "AudioSetEmbedding",
    "BaseDomain",
    "ClipAnalysis",
    "DomainBatch",
    "DomainUnion",
    "HarmonicSpectrogram",
    "LogMelSpectrogram",
    "ModulationSpectrogram",
    "MusicTagEmbedding",
    "PercussiveSpectrogram",
    "SpectralStatistics",
    "TimeFrequencyScattering",
    "covariance_statistics",
    "modulation_statistics",
    "time_frequency_scattering",
    "time_statistics",
]
