"""
What each feature domain shows of a clip
========================================

A feature domain is a way of turning sound into a picture that a network can learn from. Here are
five, on one clip of rock: the whole sound, its sustained tones, its drums and other hits, the
rhythm of each frequency band, and the timbre. Listen to the parts, and look at them.
"""

# %%
# The sound
# ---------
# Harmonic and percussive domains begin with the separation that is heard here: medians along time
# keep what is sustained, medians along frequency what is sudden.

import base64
import io

import librosa
import matplotlib.pyplot as plt
import soundfile

from sklearn_genremoe import (
    MFCC,
    DomainUnion,
    HarmonicSpectrogram,
    LogMelSpectrogram,
    ModulationSpectrogram,
    PercussiveSpectrogram,
)
from sklearn_genremoe.audio import decode_audio
from sklearn_genremoe.datasets import load_mini_genres
from sklearn_genremoe.inspection import DomainDisplay


class Player:
    """Waveforms that a notebook, or a page of the gallery, shows with a button to play them."""

    def __init__(self, sample_rate, **waveforms):
        self.sample_rate = sample_rate
        self.waveforms = waveforms

    def __repr__(self):
        return "\n".join(
            f"{name}: {len(waveform) / self.sample_rate:.1f} s at {self.sample_rate:,} Hz"
            for name, waveform in self.waveforms.items()
        )

    def _repr_html_(self):
        rows = []
        for name, waveform in self.waveforms.items():
            file = io.BytesIO()
            soundfile.write(file, waveform, self.sample_rate, format="OGG", subtype="VORBIS")
            sound = base64.b64encode(file.getvalue()).decode()
            rows.append(
                f'<p>{name}<br><audio controls src="data:audio/ogg;base64,{sound}"></audio></p>'
            )
        return "".join(rows)


clips = load_mini_genres()
path = clips.data[clips.target == "rock"][0]
sample_rate = 22050
original = decode_audio(path, sample_rate=sample_rate)
harmonic, percussive = librosa.effects.hpss(original, n_fft=1024)
Player(sample_rate, original=original, harmonic=harmonic, percussive=percussive)

# %%
# The pictures
# ------------
# One call extracts all of them, with one decode and one Fourier transform. Horizontal lines are
# tones, which the harmonic part keeps; vertical ones are hits, which the percussive part keeps. The
# modulation spectrum shows how often per second each band swells. Its column at 0 Hz, the mean of
# each band, would outshine all others and is left out. The rows of the last picture are 20 cepstral
# coefficients, how they change, and how that changes.

union = DomainUnion(
    [
        ("original", LogMelSpectrogram(duration=10.0)),
        ("harmonic", HarmonicSpectrogram(duration=10.0)),
        ("percussive", PercussiveSpectrogram(duration=10.0)),
        ("modulation", ModulationSpectrogram(duration=10.0, drop_dc=True)),
        ("mfcc", MFCC(duration=10.0)),
    ]
)
print(union.transform([path]))

figure, axes = plt.subplots(5, figsize=(8, 13), layout="constrained")
DomainDisplay.from_estimator(union, path, ax=axes)
figure.suptitle(f"{clips.target[clips.data == path][0]}: {path.split('/')[-1]}")
plt.show()
