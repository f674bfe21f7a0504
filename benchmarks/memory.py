"""Memory of extracting and training on growing collections of 30 s clips.

For each size, a fresh process extracts the paper's four domains of files on disk into a feature
cache, and trains a small CNNClassifier on one of them for one epoch, then predicts. Resident
memory is sampled all the while: in all, and without the pages of the mapped feature files, which
the system takes back whenever it needs memory. The bar is 1.5 GB in all for 2,000 clips.

    python benchmarks/memory.py [--sizes 500 1000 2000] [--dtype float32] [--folder FOLDER]

The files (1.3 MB per clip) and the features (1.7 MB per clip) are removed afterwards. The last
line is the largest peak.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import soundfile

RATE, SECONDS = 22050, 30
GENRES = ("low", "high")
MEBIBYTE = 2**20


def write_clips(folder: Path, n_clips: int) -> None:
    """Write tones of two registers in noise, no two clips alike."""
    rng = np.random.default_rng(0)
    times = np.arange(SECONDS * RATE, dtype=np.float32) / RATE
    noise = rng.standard_normal(SECONDS * RATE, dtype=np.float32)
    for i in range(n_clips):
        frequency = rng.uniform(100, 300) * (1 + 9 * (i % len(GENRES)))
        tone = np.sin(2 * np.pi * frequency * times)
        clip = 0.3 * tone + 0.1 * np.roll(noise, rng.integers(len(noise)))
        soundfile.write(folder / f"{i:04d}.wav", clip, RATE, subtype="PCM_16")


class MemoryWatch(threading.Thread):
    """Samples the resident memory of this process."""

    def __init__(self):
        super().__init__(daemon=True)
        self.peaks: dict[str, int] = {}
        self._stopped = threading.Event()

    def run(self):
        while not self._stopped.wait(0.02):
            status = dict(
                line.split(":", 1)
                for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
            )
            for name in ("VmRSS", "RssAnon"):
                kibibytes = int(status[name].split()[0])
                self.peaks[name] = max(self.peaks.get(name, 0), kibibytes * 1024)

    def restart(self) -> dict[str, int]:
        """Return the peaks since the last call."""
        time.sleep(0.05)
        peaks, self.peaks = self.peaks, {}
        return peaks


def measure(clips: Path, memory: Path, n_clips: int, dtype: str) -> None:
    """Extract, train and predict, and print times and peaks as JSON."""
    watch = MemoryWatch()
    watch.start()
    from sklearn_genremoe import CNNClassifier, DomainUnion

    paths = sorted(clips.glob("*.wav"))[:n_clips]
    y = np.resize(GENRES, n_clips)
    watch.restart()
    results = {}
    start = time.perf_counter()
    batch = DomainUnion(memory=memory, dtype=dtype).fit_transform(paths)
    results["extract"] = {"seconds": time.perf_counter() - start, **watch.restart()}
    start = time.perf_counter()
    expert = CNNClassifier(channels=(4, 8, 8), max_epochs=1, random_state=0)
    expert.fit(batch["original"], y)
    results["train"] = {"seconds": time.perf_counter() - start, **watch.restart()}
    start = time.perf_counter()
    expert.predict(batch["original"])
    results["predict"] = {"seconds": time.perf_counter() - start, **watch.restart()}
    print(json.dumps(results))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[500, 1000, 2000])
    parser.add_argument("--dtype", choices=["float32", "float16"], default="float32")
    parser.add_argument("--folder", type=Path, default=None, help="where there is room")
    parser.add_argument("--measure", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure(options.folder / "clips", options.folder / "memory", options.measure, options.dtype)
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        (folder / "clips").mkdir()
        write_clips(folder / "clips", max(options.sizes))
        print(f"{options.dtype} features of four domains; peaks of resident memory in MiB")
        print(f"{'clips':>6} {'stage':10}{'seconds':>9}{'ms/clip':>9}{'in all':>9}{'unmapped':>10}")
        largest = 0
        for size in options.sizes:
            arguments = ["--folder", name, "--measure", str(size), "--dtype", options.dtype]
            process = subprocess.run(
                [sys.executable, __file__, *arguments], check=True, capture_output=True, text=True
            )
            for stage, found in json.loads(process.stdout).items():
                largest = max(largest, found["VmRSS"])
                print(
                    f"{size:6} {stage:10}{found['seconds']:9.1f}"
                    f"{1e3 * found['seconds'] / size:9.1f}"
                    f"{found['VmRSS'] / MEBIBYTE:9.0f}{found['RssAnon'] / MEBIBYTE:10.0f}",
                    flush=True,
                )
            features = sum(file.stat().st_size for file in (folder / "memory").rglob("*.bin"))
            print(f"{size:6} features on disk: {features / MEBIBYTE:.0f} MiB")
            for file in (folder / "memory").rglob("*.*"):
                file.unlink()
        print(f"largest peak of resident memory: {largest / 1e9:.2f} GB")


if __name__ == "__main__":
    main()
