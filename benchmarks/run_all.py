"""Run the benchmark programs and keep what they print for the performance page.

``python benchmarks/run_all.py`` runs all programs, ``python benchmarks/run_all.py extraction``
one of them. Each runs in a process of its own with a fixed number of threads. Its output goes to
``docs/performance/<program>.txt``, headed by the date, the machine and the versions.
"""

import argparse
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[1]
# Threads per program; None stands for every core. Programs that measure several numbers of
# processes or threads say so in their tables.
PROGRAMS: dict[str, int | None] = {
    "extraction": 1,
    "embedding": 1,
    "memory": 1,
    "expert_speed": None,
    "out_of_fold": None,
    "whole_tracks": None,
    "gpu": None,
}
# Programs that are run where there is a CUDA GPU, and when they are asked for.
NEED_GPU = {"gpu"}
PACKAGES = ("numpy", "scipy", "numba", "librosa", "soundfile", "scikit-learn", "skorch", "torch")


def processor() -> str:
    """Name of the processor, as far as the system tells."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def header(threads: int) -> str:
    """When, on what and with which versions a program ran."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True
    ).stdout.strip()
    return "\n".join(
        [
            f"date      {datetime.now(UTC):%Y-%m-%d}, commit {commit or 'unknown'}",
            f"machine   {processor()}, {os.cpu_count()} cores, {platform.system()}",
            f"threads   {threads} per process",
            f"versions  Python {platform.python_version()}, "
            + ", ".join(f"{package} {version(package)}" for package in PACKAGES),
        ]
    )


def run(name: str, threads: int) -> bool:
    """Run one program, echo what it prints, and keep it if it succeeded."""
    environment = {
        **os.environ,
        **dict.fromkeys(
            ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"),
            str(threads),
        ),
    }
    print(f"== {name}", flush=True)
    lines = []
    with subprocess.Popen(
        [sys.executable, f"benchmarks/{name}.py"],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line)
    if process.returncode:
        print(f"{name} failed with exit status {process.returncode}; its page stays as it was")
        return False
    target = ROOT / "docs" / "performance" / f"{name}.txt"
    target.write_text(f"{header(threads)}\n\n{''.join(lines).rstrip()}\n", encoding="utf-8")
    return True


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("programs", nargs="*", metavar="program", help=", ".join(PROGRAMS))
    names = parser.parse_args().programs
    if not names:
        left_out = set() if torch.cuda.is_available() else NEED_GPU
        names = [name for name in PROGRAMS if name not in left_out]
        for name in sorted(left_out):
            print(f"== {name}: left out, there is no CUDA GPU here")
    unknown = [name for name in names if name not in PROGRAMS]
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; known: {', '.join(PROGRAMS)}")
    succeeded = [run(name, PROGRAMS[name] or os.cpu_count() or 1) for name in names]
    return 0 if all(succeeded) else 1


if __name__ == "__main__":
    sys.exit(main())
