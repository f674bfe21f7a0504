"""From waveforms to spectrograms: the feature domains."""

from ._analysis import ClipAnalysis
from ._base import BaseDomain
from ._batch import DomainBatch
from ._domains import (
    MFCC,
    HarmonicSpectrogram,
    LogMelSpectrogram,
    ModulationSpectrogram,
    PercussiveSpectrogram,
)
from ._union import DomainUnion

__all__ = [
    "MFCC",
    "BaseDomain",
    "ClipAnalysis",
    "DomainBatch",
    "DomainUnion",
    "HarmonicSpectrogram",
    "LogMelSpectrogram",
    "ModulationSpectrogram",
    "PercussiveSpectrogram",
]
