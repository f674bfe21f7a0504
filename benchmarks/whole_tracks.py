"""Time and memory of classifying an hour of music by windows with the default mixture.

Clips are joined to an hour of stereo at 44,100 Hz, as mp3, flac and mono wav of 22,050 Hz. For each
file, a fresh process loads the fitted mixture and answers for the whole track by windows of 30 s
every 15 s. Resident memory is sampled all the while; the idle process is the one that has
imported the package and loaded the model. The bars are 100 times real time and 300 MB above idle.

    python benchmarks/whole_tracks.py [--data FOLDER] [--minutes 60]

The clips come from a folder of audio files, or else are the bundled ones. How long the mixture was
trained changes nothing here, so it is trained for one epoch. The last line is the lowest speed
and the largest memory.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import joblib
import numpy as np
import soundfile
import soxr

from sklearn_genremoe.audio import decode_audio
from sklearn_genremoe.datasets import load_mini_genres

MEGABYTE = 1e6
FILES = {"mp3": (44100, 2), "flac": (44100, 2), "wav": (22050, 1)}


def write_hour(path: Path, clips: list[str], minutes: float) -> None:
    """Join clips, again and again, to a file of that length."""
    rate, n_channels = FILES[path.suffix[1:]]
    left = round(60 * minutes * rate)
    with soundfile.SoundFile(path, "w", rate, n_channels) as file:
        while left > 0:
            for clip in clips:
                mono = soxr.resample(decode_audio(clip), 22050, rate)[:left]
                channels = np.column_stack([mono, 0.8 * np.roll(mono, 20)])[:, :n_channels]
                for start in range(0, len(channels), 2**16):
                    file.write(channels[start : start + 2**16])
                left -= len(mono)


class MemoryWatch(threading.Thread):
    """Samples the resident memory of this process."""

    def __init__(self):
        super().__init__(daemon=True)
        self.peak = 0

    def now(self) -> int:
        pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def run(self):
        while True:
            self.peak = max(self.peak, self.now())
            time.sleep(0.01)


def measure(model: Path, track: Path, n_jobs: int) -> None:
    """Classify a track twice, and print times and memory as JSON."""
    from sklearn.frozen import FrozenEstimator

    from sklearn_genremoe import WindowedClassifier

    windowed = WindowedClassifier(FrozenEstimator(joblib.load(model)), n_jobs=n_jobs)
    watch = MemoryWatch()
    idle = watch.now()
    watch.start()
    times = []
    for _ in range(2):
        start = time.perf_counter()
        windowed.predict_proba([track])
        times.append(time.perf_counter() - start)
    print(json.dumps({"times": times, "idle": idle, "above": watch.peak - idle}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, help="folder of audio files")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        model, track, n_jobs = options.measure
        measure(Path(model), Path(track), int(n_jobs))
        return
    from sklearn_genremoe import MixtureOfExpertsClassifier, default_experts

    data = load_mini_genres()
    clips = list(data.data)
    source = "the bundled clips"
    if options.data:
        clips = sorted(str(p) for p in options.data.rglob("*") if p.suffix in (".ogg", ".wav"))
        source = f"{len(clips)} clips of a folder of real music"
    mixture = MixtureOfExpertsClassifier(default_experts(max_epochs=1), cv=2, random_state=0)
    mixture.fit(data.data, data.target, groups=data.groups)
    print(f"{options.minutes:g} minutes joined of {source}; default mixture, 7 experts")
    print(f"{'file':22}{'jobs':>5}{'first s':>9}{'again s':>9}{'x real time':>13}", end="")
    print(f"{'idle MB':>9}{'above MB':>10}")
    speeds, peaks = [], []
    with tempfile.TemporaryDirectory() as name:
        model = Path(name) / "model.joblib"
        joblib.dump(mixture, model)
        for kind, (rate, n_channels) in FILES.items():
            track = Path(name) / f"track.{kind}"
            write_hour(track, clips, options.minutes)
            for n_jobs in (1, 2):
                process = subprocess.run(
                    [sys.executable, __file__, "--measure", model, track, str(n_jobs)],
                    check=True,
                    capture_output=True,
                    text=True,
                )
                found = json.loads(process.stdout)
                first, again = found["times"]
                speeds.append(60 * options.minutes / max(first, again))
                peaks.append(found["above"] / MEGABYTE)
                what = f"{kind}, {rate} Hz, {'stereo' if n_channels == 2 else 'mono'}"
                print(
                    f"{what:22}{n_jobs:5}{first:9.1f}{again:9.1f}{speeds[-1]:13.0f}"
                    f"{found['idle'] / MEGABYTE:9.0f}{peaks[-1]:10.0f}",
                    flush=True,
                )
            track.unlink()
    print(f"at least {min(speeds):.0f} times real time, at most {max(peaks):.0f} MB above idle")


if __name__ == "__main__":
    main()
