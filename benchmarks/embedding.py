"""Time and memory of the pretrained embeddings per clip of 30 s, alone and inside a union.

Each embedding, both, the five domains of spectrograms, and all seven together are computed of the
same files, with one worker and with two. They take turns within one run, and medians are compared,
so that a busy machine disturbs all alike. Before that one process embeds many clips, and its
largest resident memory is noted on the way.

    python benchmarks/embedding.py [--weights mn04] [--music-weights msd] [--clips 12] ...

The clips are the bundled ones of 10 s, each three times in a row, as FLAC at 44.1 kHz.
"""

import argparse
import os
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile
import soxr
import torch

from sklearn_genremoe import (
    MFCC,
    AudioSetEmbedding,
    DomainUnion,
    HarmonicSpectrogram,
    LogMelSpectrogram,
    ModulationSpectrogram,
    MusicTagEmbedding,
    PercussiveSpectrogram,
)
from sklearn_genremoe.audio import decode_audio
from sklearn_genremoe.datasets import load_mini_genres

RATE = 44100
WORKERS = (1, 2)


def write_clips(folder: Path, n_clips: int) -> list[str]:
    """Write clips of 30 s."""
    paths = []
    for i, source in enumerate(load_mini_genres().data[:n_clips]):
        clip = soxr.resample(np.tile(decode_audio(source), 3), 22050, RATE)
        paths.append(str(folder / f"{i}.flac"))
        soundfile.write(paths[-1], clip, RATE)
    return paths


def unions(weights: str, music_weights: str) -> dict[str, DomainUnion]:
    """What is compared."""
    sounds = [("sounds", AudioSetEmbedding(weights))]
    tags = [("tags", MusicTagEmbedding(music_weights))]
    spectrograms = [
        ("original", LogMelSpectrogram()),
        ("harmonic", HarmonicSpectrogram()),
        ("percussive", PercussiveSpectrogram()),
        ("modulation", ModulationSpectrogram()),
        ("mfcc", MFCC()),
    ]
    return {
        "AudioSetEmbedding": DomainUnion(sounds),
        "MusicTagEmbedding": DomainUnion(tags),
        "both embeddings": DomainUnion(sounds + tags),
        "five spectrograms": DomainUnion(spectrograms),
        "all seven": DomainUnion(spectrograms + sounds + tags),
    }


def measure(
    weights: tuple[str, str], paths: list[str], repeats: int
) -> dict[tuple[str, int], list]:
    """Return pairs of CPU and wall seconds per clip of every union and number of workers."""
    seconds: dict[tuple[str, int], list] = {}
    for turn in range(repeats + 1):
        for name, union in unions(*weights).items():
            for workers in WORKERS:
                cpu, wall = time.process_time(), time.perf_counter()
                union.set_params(n_jobs=workers).transform(paths)
                pair = time.process_time() - cpu, time.perf_counter() - wall
                if turn:  # the first turn compiles, loads and fills caches
                    seconds.setdefault((name, workers), []).append(np.array(pair) / len(paths))
    return seconds


def peak() -> float:
    """Largest resident memory of this process so far, in MiB (on Linux)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--weights", default="mn04", help="name or path")
    parser.add_argument("--music-weights", default="msd", help="name or path")
    parser.add_argument("--clips", type=int, default=12)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--many", type=int, default=500)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        paths = write_clips(Path(folder), args.clips)
        weights = args.weights, args.music_weights
        embeddings = unions(*weights)["both embeddings"]
        embeddings.transform(paths[:1])
        print(f"peak resident memory of both, one process, n_jobs=1, {os.cpu_count()} cores")
        done = 1
        print(f"  after {done:4d} clip   {peak():7.1f} MiB")
        for stop in (args.many // 5, args.many):
            many = [paths[i % len(paths)] for i in range(done, stop)]
            embeddings.transform(many)
            done = stop
            print(f"  after {done:4d} clips  {peak():7.1f} MiB", flush=True)
        print(f"\nseconds per clip, median of {args.repeats} turns over {len(paths)} clips of 30 s")
        print(f"torch {torch.get_num_threads()} thread(s) outside; an embedding takes one per clip")
        print(f"{'':20s} workers      CPU     wall")
        for (name, workers), pairs in measure(weights, paths, args.repeats).items():
            cpu, wall = np.median(pairs, axis=0)
            print(f"{name:20s} {workers:7d} {cpu:8.4f} {wall:8.4f}")


if __name__ == "__main__":
    main()
