"""Time of feature extraction per clip of 30 s, against plain librosa and against its floor.

Both ways compute the five domains (original, harmonic, percussive, modulation, mfcc) of the same
waveforms. They take turns within one run, and medians are compared, so that a busy machine
disturbs both alike. The floor is what no implementation can leave out: decoding the file and one
short-time Fourier transform.

    python benchmarks/extraction.py [--clips 6] [--repeats 5] [--data FOLDER]

Clips are read from a folder of audio files, or else are the bundled clips of 10 s, each three
times in a row. The last line is the ratio of the medians.
"""

import argparse
import os
import platform
import tempfile
import time
from collections import defaultdict
from importlib.metadata import version
from pathlib import Path
from statistics import median

import joblib
import librosa
import numpy as np
import soundfile
import soxr

from sklearn_genremoe import (
    MFCC,
    DomainUnion,
    HarmonicSpectrogram,
    LogMelSpectrogram,
    ModulationSpectrogram,
    PercussiveSpectrogram,
)
from sklearn_genremoe.audio import decode_audio, fix_length
from sklearn_genremoe.datasets import load_mini_genres
from sklearn_genremoe.domains import ClipAnalysis

RATE, SECONDS = 22050, 30.0
STFT = {"n_fft": 1024, "hop_length": 512}
SEPARATION_KERNEL = 31
DOMAINS = [
    ("original", LogMelSpectrogram()),
    ("harmonic", HarmonicSpectrogram()),
    ("percussive", PercussiveSpectrogram()),
    ("modulation", ModulationSpectrogram()),
    ("mfcc", MFCC()),
]
STAGES = ("spectrogram", "running medians", "masks, mel, dB, z-score", "modulation", "mfcc")


class Stopwatch:
    """Collects how long stages take."""

    def __init__(self):
        self.seconds = defaultdict(list)

    def __call__(self, stage, work, *args):
        start = time.perf_counter()
        result = work(*args)
        self.seconds[stage].append(time.perf_counter() - start)
        return result

    def milliseconds(self, stage):
        return 1e3 * median(self.seconds[stage])


def plain_librosa(waveform, watch):
    """The five domains the way the specification is usually written down."""

    def zscore(x):
        return (x - x.mean()) / x.std()

    def log_mel(spectrum):
        mel = librosa.feature.melspectrogram(S=np.abs(spectrum) ** 2, sr=RATE, n_mels=96)
        return librosa.power_to_db(mel)

    def separate(spectrum):
        # librosa.decompose.hpss in two steps, to time its medians by themselves.
        amplitude, phase = librosa.magphase(spectrum)
        harmonic = librosa.decompose.median_filter(
            amplitude, size=(1, SEPARATION_KERNEL), mode="reflect"
        )
        percussive = librosa.decompose.median_filter(
            amplitude, size=(SEPARATION_KERNEL, 1), mode="reflect"
        )
        return amplitude, phase, harmonic, percussive

    def parts(spectrum, amplitude, phase, harmonic, percussive):
        mask = librosa.util.softmask
        kept = mask(harmonic, percussive, power=2.0, split_zeros=True)
        other = mask(percussive, harmonic, power=2.0, split_zeros=True)
        spectra = (spectrum, amplitude * kept * phase, amplitude * other * phase)
        decibels = [log_mel(s) for s in spectra]
        return decibels[0], [zscore(x) for x in decibels]

    def modulation(original):
        return zscore(np.abs(np.fft.fft(original, axis=1))[:, : original.shape[1] // 2])

    def mfcc(decibels):
        x = librosa.feature.mfcc(S=decibels, n_mfcc=20)
        return zscore(np.concatenate([x, *(librosa.feature.delta(x, order=k) for k in (1, 2))]))

    spectrum = watch("spectrogram", lambda: librosa.stft(waveform, pad_mode="reflect", **STFT))
    separated = watch("running medians", separate, spectrum)
    decibels, mel = watch("masks, mel, dB, z-score", parts, spectrum, *separated)
    return (*mel, watch("modulation", modulation, mel[0]), watch("mfcc", mfcc, decibels))


def ours(waveform, watch):
    """The same through the analysis that all domains share."""
    clip = ClipAnalysis(waveform, RATE)
    domains = dict(DOMAINS)
    mel = ("original", "harmonic", "percussive")
    watch("spectrogram", clip.amplitude, *STFT.values())
    watch("running medians", clip.medians, *STFT.values(), (SEPARATION_KERNEL,) * 2)
    features = watch(
        "masks, mel, dB, z-score", lambda: [domains[name].spectrogram(clip) for name in mel]
    )
    return (*features, *(watch(n, domains[n].spectrogram, clip) for n in ("modulation", "mfcc")))


def load_clips(folder, n_clips):
    """Waveforms of 30 s."""
    if folder is None:
        paths = load_mini_genres().data[:n_clips]
        clips = [np.tile(decode_audio(path, duration=10.0), 3) for path in paths]
    else:
        endings = {".wav", ".flac", ".ogg", ".opus", ".mp3"}
        paths = sorted(path for path in Path(folder).rglob("*") if path.suffix in endings)
        paths = paths[:: max(1, len(paths) // n_clips)][:n_clips]
        clips = [decode_audio(path, duration=SECONDS) for path in paths]
    return np.stack([fix_length(clip, round(SECONDS * RATE)) for clip in clips])


def compare(waveforms, repeats):
    """Print the table per stage and return the ratio of whole pipelines."""
    theirs_watch, ours_watch, whole = Stopwatch(), Stopwatch(), Stopwatch()
    union = DomainUnion(DOMAINS)
    union.transform(waveforms[:1])  # compiled functions are loaded, or compiled once per machine
    plain_librosa(waveforms[0], Stopwatch())
    largest = 0.0
    for _ in range(repeats):
        for waveform in waveforms:
            expected = whole("librosa", plain_librosa, waveform, theirs_watch)
            found = ours(waveform, ours_watch)
            whole("ours", union.transform, waveform[np.newaxis])
            largest = max(largest, *(np.abs(a - b).max() for a, b in zip(expected, found)))
    print(f"{'ms per clip':28}{'librosa':>10}{'ours':>10}{'ratio':>8}")
    for stage in STAGES:
        a, b = theirs_watch.milliseconds(stage), ours_watch.milliseconds(stage)
        print(f"{stage:28}{a:10.2f}{b:10.2f}{a / b:8.1f}")
    a, b = whole.milliseconds("librosa"), whole.milliseconds("ours")
    print(f"{'all, by DomainUnion':28}{a:10.2f}{b:10.2f}{a / b:8.1f}")
    print(f"largest difference after the z-score: {largest:.1e}\n")
    return a / b


def write_files(waveforms, folder):
    """The clips in several formats, and a long file."""
    stereo = [
        np.stack([librosa.resample(w, orig_sr=RATE, target_sr=44100)] * 2, axis=1)
        for w in waveforms
    ]
    kinds = {
        "ogg, 22,050 Hz mono": ("ogg", waveforms, RATE),
        "ogg, 44,100 Hz stereo": ("ogg", stereo, 44100),
        "mp3, 44,100 Hz stereo": ("mp3", stereo, 44100),
        "wav, 44,100 Hz stereo": ("wav", stereo, 44100),
        "wav, 22,050 Hz mono": ("wav", waveforms, RATE),
    }
    files = {}
    for kind, (ending, clips, rate) in kinds.items():
        files[kind] = [folder / f"{kind.replace(' ', '-')}-{i}.{ending}" for i in range(len(clips))]
        for path, clip in zip(files[kind], clips):
            soundfile.write(path, 0.9 * clip / np.abs(clip).max(), rate)
    long = folder / "long.mp3"
    soundfile.write(long, np.concatenate([stereo[0]] * 20), 44100)
    return files, long


def read_native(path):
    """Decode and mix down without resampling."""
    rate = soundfile.info(path).samplerate
    return decode_audio(path, sample_rate=rate, duration=SECONDS), rate


def from_files(waveforms, repeats, folder):
    """Print what decoding and resampling add, and the ratio to the floor."""
    files, long = write_files(waveforms, folder)
    union = DomainUnion(DOMAINS)
    header = ("read", "resample", "STFT", "floor", "all", "ratio")
    print(f"{'ms per clip, from files':28}" + "".join(f"{name:>10}" for name in header))
    for kind, paths in files.items():
        watch = Stopwatch()
        for _ in range(repeats):
            for path in paths:
                native, rate = watch("read", read_native, path)
                watch("resample", lambda y=native, r=rate: soxr.resample(y, r, RATE, quality="HQ"))
                waveform = watch("decode", lambda p=path: decode_audio(p, duration=SECONDS))
                watch("STFT", ClipAnalysis(waveform, RATE).amplitude, *STFT.values())
                watch("all", union.transform, [path])
        floor = watch.milliseconds("decode") + watch.milliseconds("STFT")
        values = [watch.milliseconds(stage) for stage in ("read", "resample", "STFT")]
        values += [floor, watch.milliseconds("all"), watch.milliseconds("all") / floor]
        print(f"{kind:28}" + "".join(f"{value:10.2f}" for value in values))
    watch = Stopwatch()
    middle = LogMelSpectrogram(offset=300.0)
    for _ in range(repeats):
        watch("part", middle.transform, [long])
    milliseconds = watch.milliseconds("part")
    print(f"original domain of 30 s in the middle of a 10-minute mp3: {milliseconds:.1f} ms\n")


def over_cores(waveforms, repeats, folder):
    """Print how extraction scales, and what the cache saves."""
    shifts = range(max(1, 24 // len(waveforms)))  # so that no two clips are equal
    many = np.concatenate([np.roll(waveforms, RATE * shift, axis=1) for shift in shifts])
    watch = Stopwatch()
    settings = [(1, "threading"), (2, "threading"), (2, "loky")]
    for n_jobs, backend in settings:  # start the workers
        with joblib.parallel_config(backend=backend):
            DomainUnion(DOMAINS, n_jobs=n_jobs).transform(many[:8])
    for _ in range(repeats):
        for n_jobs, backend in settings:
            with joblib.parallel_config(backend=backend):
                watch((n_jobs, backend), DomainUnion(DOMAINS, n_jobs=n_jobs).transform, many)
    print(f"{'n_jobs':28}{'ms per clip':>14}{'ratio':>8}")
    one = watch.milliseconds(settings[0])
    for setting in settings:
        this = watch.milliseconds(setting)
        print(f"{setting[0]} ({setting[1]}){'':14}{this / len(many):14.2f}{one / this:8.2f}")
    cached = DomainUnion(DOMAINS, memory=folder)
    watch("first time", cached.transform, many)
    for _ in range(repeats):
        watch("again", cached.transform, many)
    for stage in ("first time", "again"):
        print(f"cache, {stage:21}{watch.milliseconds(stage) / len(many):14.2f}")
    print()


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--clips", type=int, default=6, help="number of clips")
    parser.add_argument("--repeats", type=int, default=5, help="runs over each clip")
    parser.add_argument("--data", type=Path, default=None, help="folder with audio files")
    options = parser.parse_args()
    waveforms = load_clips(options.data, options.clips)
    packages = ("numpy", "scipy", "numba", "librosa", "soundfile", "soxr")
    print(
        f"{len(waveforms)} clips of {SECONDS:.0f} s, {options.repeats} repeats, "
        f"{os.cpu_count()} cores, OMP_NUM_THREADS={os.environ.get('OMP_NUM_THREADS', 'not set')}, "
        f"load {os.getloadavg()[0]:.1f}"
    )
    print(
        f"Python {platform.python_version()}, "
        + ", ".join(f"{package} {version(package)}" for package in packages)
        + "\n"
    )
    ratio = compare(waveforms, options.repeats)
    with tempfile.TemporaryDirectory() as folder:
        from_files(waveforms, options.repeats, Path(folder))
        over_cores(waveforms, options.repeats, Path(folder))
    print(f"five domains on waveforms, one core: {ratio:.1f}x plain librosa")


if __name__ == "__main__":
    main()
