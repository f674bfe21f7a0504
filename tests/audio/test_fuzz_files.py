"""Damaged files of many formats are decoded or refused in words, and nothing else happens."""

import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from sklearn_genremoe.datasets import load_mini_genres

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="the time limit needs signals")
def test_500_damaged_files():
    run = subprocess.run(
        [sys.executable, "benchmarks/fuzz_files.py", "--cases", "500", "--seed", "1"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    decoded, refused, other = map(int, run.stdout.split("\nall ")[1].split("\n")[0].split())
    assert decoded + refused == 500
    assert other == 0
    assert min(decoded, refused) > 100
    assert int(run.stdout.split("peak memory grew by ")[1].split()[0]) < 100


@pytest.mark.skipif(os.name == "nt", reason="no such measure of memory")
def test_headers_that_promise_much_allocate_little(tmp_path):
    """A header is 44 bytes: what it says of the rest need not be true."""
    arguments = [str(load_mini_genres().data[0])]
    for name, channels, rate, size in (
        ("hours", 2, 44100, 2**32 - 1),
        ("channels", 65535, 44100, 2**31),
        ("rate", 1024, 1_000_000, 2**31),
        ("rf64", 1000, 192_000, 2**32 - 1),
    ):
        header = struct.pack(
            "<4sI4s4sIHHIIHH4sI", b"RIFF", size, b"WAVE", b"fmt ", 16, 1, channels, rate,
            min(2**32 - 1, 2 * channels * rate), 2 * channels % 2**16, 16, b"data", size,
        )  # fmt: skip
        path = tmp_path / f"{name}.wav"
        path.write_bytes(header + os.urandom(50_000))
        arguments.append(str(path))
    code = (
        "import resource, sys\n"
        "from sklearn_genremoe.audio import BadClipError, decode_audio\n"
        "decode_audio(sys.argv[1])\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "for path in sys.argv[2:]:\n"
        "    for duration in (None, 30.0, 1e6):\n"
        "        for offset in (0.0, 1e5):\n"
        "            try:\n"
        "                decode_audio(path, offset=offset, duration=duration)\n"
        "            except BadClipError:\n"
        "                pass\n"
        "    print(path, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    grown = [int(line.split()[-1]) for line in run.stdout.splitlines()]
    assert len(grown) == 4
    assert max(grown) < 60_000, f"kilobytes: {run.stdout}"
