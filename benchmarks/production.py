"""A collection from end to end: trained on, saved, loaded in a new process and classified.

    python benchmarks/production.py --data FOLDER [--files 2000] [--jobs 2]

Real clips (``--data``: a folder of labelled audio, by default the bundled clips) are copied, each
copy beginning somewhat later, until there are ``--files`` of them; one in a hundred is broken:
emptied, cut in the middle of its header, replaced by text, or silent. The default experts learn for
one epoch with ``on_error="warn"``, the model is saved, and another process loads it and classifies
all files. Printed are times, the largest memory of all processes together, workers included
(proportional set size, Linux only), and counts, which have to add up: nothing may get lost.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path

import numpy as np
import soundfile

from sklearn_genremoe import MixtureOfExpertsClassifier, default_experts, save_model
from sklearn_genremoe.audio import BadClipWarning, decode_audio
from sklearn_genremoe.datasets import load_audio_folder, load_mini_genres

RATE = 22050
SECONDS = 10.0
BREAK = (
    lambda path: path.write_bytes(b""),
    lambda path: path.write_bytes(path.read_bytes()[:20]),
    lambda path: path.write_text("404 not found"),
    lambda path: soundfile.write(path, np.zeros(RATE), RATE),
)
CLASSIFY = """
import sys, time, warnings
import numpy as np
from sklearn_genremoe import load_model
from sklearn_genremoe.datasets import load_audio_folder
start = time.perf_counter()
clf = load_model(sys.argv[1]).set_params(n_jobs=int(sys.argv[3]))
loaded = time.perf_counter() - start
X = load_audio_folder(sys.argv[2], duplicates="ignore").data
warnings.simplefilter("ignore")
proba = clf.predict_proba(X)
bad = np.isnan(proba).any(axis=1)
print(f"loaded in {loaded:.1f} s, classified in {time.perf_counter() - start - loaded:.1f} s")
print(f"files {len(X)}: {np.sum(~bad)} with a genre, {len(clf.bad_clips_)} reported as bad")
assert bad.sum() == len(clf.bad_clips_)
"""


class PeakMemory:
    """Watch this process and all that descend from it, in the body of a ``with``."""

    def __enter__(self) -> "PeakMemory":
        self.mebibytes = 0.0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(0.5):
            self.mebibytes = max(self.mebibytes, sum(map(_pss, _family(os.getpid()))))


def _family(pid: int) -> list[int]:
    """Return a process and its descendants, as far as they still are there."""
    family = [pid]
    for member in family:
        for children in Path(f"/proc/{member}/task").glob("*/children"):
            try:
                family += map(int, children.read_text().split())
            except OSError:
                continue
    return family


def _pss(pid: int) -> float:
    """Return the memory of a process in MiB, shared pages divided among those who share them."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:")), 0.0)


def make_collection(folder: Path, data: Path | None, n_files: int) -> int:
    """Fill a folder with genres of clips and return how many of them are broken."""
    clips = load_mini_genres() if data is None else load_audio_folder(data, duplicates="ignore")
    n_broken = 0
    for number in range(n_files):
        source, genre = number % len(clips.data), clips.target[number % len(clips.data)]
        path = folder / genre / f"{number}.wav"
        path.parent.mkdir(exist_ok=True)
        waveform = decode_audio(clips.data[source], sample_rate=RATE, duration=SECONDS)
        soundfile.write(path, waveform[number // len(clips.data) * 100 :], RATE)
        if number % 100 == 99:
            BREAK[number // 100 % len(BREAK)](path)
            n_broken += 1
    return n_broken


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="folder of labelled audio")
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary, "clips")
        folder.mkdir()
        n_broken = make_collection(folder, args.data, args.files)
        clips = load_audio_folder(folder, duplicates="ignore")
        assert len(clips.data) == args.files
        clf = MixtureOfExpertsClassifier(
            default_experts(SECONDS, max_epochs=1),
            on_error="warn",
            cv=3,
            n_jobs=args.jobs,
            memory=Path(temporary, "features"),
            random_state=0,
        )
        start = time.perf_counter()
        with warnings.catch_warnings(record=True) as caught, PeakMemory() as training:
            warnings.simplefilter("always")
            clf.fit(clips.data, clips.target)
        reports = [w for w in caught if issubclass(w.category, BadClipWarning)]
        print(f"{args.files} files of {SECONDS:g} s, {n_broken} broken, {args.jobs} jobs")
        print(f"trained in {time.perf_counter() - start:.0f} s, {len(clf.bad_clips_)} left out")
        print(f"peak memory of all processes {training.mebibytes:.0f} MiB")
        assert len(reports) == 1
        assert len(clf.bad_clips_) == n_broken
        model = Path(temporary, "model.skops")
        save_model(clf.set_params(memory=None), model)
        print(f"model {model.stat().st_size / 2**20:.1f} MiB")
        command = [sys.executable, "-c", CLASSIFY, str(model), str(folder), str(args.jobs)]
        with PeakMemory() as classifying:
            subprocess.run(command, check=True)
        print(f"peak memory of all processes {classifying.mebibytes:.0f} MiB")


if __name__ == "__main__":
    main()
