"""Damage files of many formats at random, and see that each is decoded or refused in words.

    python benchmarks/fuzz_files.py --cases 10000

Each case takes a small file, changes it (bytes of its header or anywhere, a cut, a piece of another
file, zeros, two pieces swapped) and decodes it. A case counts as decoded, as refused
(BadClipError), or as something else: another error, samples that are not finite, more than ten
seconds, a warning of anything but samples far beyond full scale. The last must be 0. Peak memory is
what the process grew by.
"""

import argparse
import os
import resource
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import soundfile

from sklearn_genremoe.audio import BadClipError, decode_audio

FORMATS = {
    "wav, 8 bits": ("wav", "WAV", "PCM_U8"),
    "wav, 16 bits": ("wav", "WAV", "PCM_16"),
    "wav, 24 bits": ("wav", "WAV", "PCM_24"),
    "wav, 32 bits": ("wav", "WAV", "PCM_32"),
    "wav, float": ("wav", "WAV", "FLOAT"),
    "wav, ADPCM": ("wav", "WAV", "IMA_ADPCM"),
    "wav, mu-law": ("wav", "WAVEX", "ULAW"),
    "rf64": ("wav", "RF64", "PCM_16"),
    "w64": ("w64", "W64", "PCM_16"),
    "aiff": ("aiff", "AIFF", "PCM_16"),
    "au": ("au", "AU", "PCM_16"),
    "caf": ("caf", "CAF", "PCM_16"),
    "caf, ALAC": ("caf", "CAF", "ALAC_16"),
    "voc": ("voc", "VOC", "PCM_16"),
    "flac": ("flac", "FLAC", "PCM_16"),
    "ogg": ("ogg", "OGG", "VORBIS"),
    "opus": ("opus", "OGG", "OPUS"),
    "mp3": ("mp3", "MP3", "MPEG_LAYER_III"),
}
FFMPEG_FORMATS = {"m4a": ("aac", "ipod"), "wma": ("wmav2", "asf"), "wv": ("wavpack", "wv")}
RATE = 24000
SECONDS = 1.5
LIMIT = 10  # seconds for a case


def write_files(folder):
    """Write a file of each format, and return their names, endings and contents."""
    time = np.arange(round(SECONDS * RATE)) / RATE
    noise = np.random.default_rng(0).uniform(-0.1, 0.1, (len(time), 2))
    sound = 0.4 * np.sin(2 * np.pi * (200 + 400 * time) * time)[:, None] + noise
    files = {}
    for name, (ending, container, subtype) in FORMATS.items():
        path = folder / f"original.{ending}"
        soundfile.write(path, sound, RATE, format=container, subtype=subtype)
        files[name] = (ending, path.read_bytes())
    try:
        import av
    except ImportError:
        return files
    for ending, (codec, container) in FFMPEG_FORMATS.items():
        path = folder / f"original.{ending}"
        with av.open(str(path), "w", format=container) as output:
            stream = output.add_stream(codec, rate=RATE, layout="stereo")
            stream.bit_rate = 64_000
            channels = np.ascontiguousarray(sound.T, dtype=np.float32)
            frame = av.AudioFrame.from_ndarray(channels, format="fltp", layout="stereo")
            frame.sample_rate, frame.pts = RATE, 0
            wanted = stream.codec_context.format.name
            resampler = av.AudioResampler(wanted, "stereo", RATE, frame_size=1024)
            for part in [*resampler.resample(frame), *resampler.resample(None)]:
                output.mux(stream.encode(part))
            output.mux(stream.encode(None))
        files[ending] = (ending, path.read_bytes())
    return files


def damage(data, other, rng):
    """Return a changed copy of a file."""
    data = bytearray(data)
    for _ in range(rng.integers(1, 4)):
        if len(data) < 2:
            break
        start, stop = np.sort(rng.integers(0, len(data), 2))
        match rng.integers(7):
            case 0:  # bytes of the header
                for place in rng.integers(0, min(len(data), 128), rng.integers(1, 9)):
                    data[place] = rng.choice([0, 1, 0x7F, 0x80, 0xFF, rng.integers(256)])
            case 1:  # bytes anywhere
                for place in rng.integers(0, len(data), rng.integers(1, 65)):
                    data[place] = rng.integers(256)
            case 2:
                del data[start:]
            case 3:
                data[start:stop] = other[start:stop]
            case 4:
                data[start:stop] = bytes(stop - start)
            case 5:  # swap what is before and behind a place
                data = data[start:] + data[:start]
            case 6:  # a number of four bytes in the header
                place = rng.integers(0, min(len(data), 96))
                number = rng.choice([0, 1, 2**16, 2**31 - 1, 2**31, 2**32 - 1])
                data[place : place + 4] = int(number).to_bytes(4, rng.choice(["little", "big"]))
    return bytes(data)


def too_long(*_):
    raise TimeoutError(f"more than {LIMIT} s")


def try_case(path):
    """Decode a file; return what came of it, and what that was where it is neither good nor bad."""
    signal.signal(signal.SIGALRM, too_long)
    signal.alarm(LIMIT)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.filterwarnings("ignore", ".* where full scale is 1")  # damage, and said so
            waveform = decode_audio(path, duration=30.0)
        if np.isfinite(waveform).all() and waveform.dtype == np.float32:
            return "decoded", ""
        return "else", "samples that are not finite"
    except BadClipError as error:
        good = error.path == str(path) and str(error).startswith(str(path))
        return ("refused", "") if good else ("else", f"message {error}")
    except Exception as error:
        return "else", repr(error)
    finally:
        signal.alarm(0)


def run(n_cases, seed=0, keep=None):
    """Try cases, and return counts by format and outcome, what was else, and seconds per case."""
    counts, others, seconds = Counter(), [], []
    with tempfile.TemporaryDirectory() as folder:
        files = write_files(Path(folder))
        contents = [data for _, data in files.values()]
        for name, (ending, data) in files.items():  # also loads all that is loaded when needed
            path = Path(folder) / f"good.{ending}"
            path.write_bytes(data)
            assert try_case(path)[0] == "decoded", name
        before = peak_memory()
        for case in range(n_cases):
            rng = np.random.default_rng([seed, case])
            name = list(files)[case % len(files)]
            ending, data = files[name]
            path = Path(folder) / f"case.{ending}"
            path.write_bytes(damage(data, contents[rng.integers(len(contents))], rng))
            start = time.perf_counter()
            outcome, what = try_case(path)
            seconds.append(time.perf_counter() - start)
            counts[name, outcome] += 1
            if outcome == "else":
                others.append(f"{name}, case {case}: {what}")
                if keep is not None:
                    (Path(keep) / f"{case}.{ending}").write_bytes(path.read_bytes())
        return counts, others, seconds, peak_memory() - before


def peak_memory():
    """Return the peak memory of this process in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", help="folder for files that gave something else")
    args = parser.parse_args()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # libmpg123 comments on what it meets
    counts, others, seconds, grown = run(args.cases, args.seed, args.keep)
    print(f"{'format':16s} {'decoded':>8s} {'refused':>8s} {'else':>8s}")
    for name in dict.fromkeys(name for name, _ in counts):
        row = [counts[name, outcome] for outcome in ("decoded", "refused", "else")]
        print(f"{name:16s} {row[0]:8d} {row[1]:8d} {row[2]:8d}")
    total = [
        sum(n for (_, outcome), n in counts.items() if outcome == wanted)
        for wanted in ("decoded", "refused", "else")
    ]
    print(f"{'all':16s} {total[0]:8d} {total[1]:8d} {total[2]:8d}")
    print(
        f"peak memory grew by {grown:.0f} MB; the longest case took {max(seconds):.2f} s, ", end=""
    )
    print(f"the median {1000 * np.median(seconds):.1f} ms")
    print(*others[:20], sep="\n")
    return len(others) > 0


if __name__ == "__main__":
    sys.exit(main())
