"""The long benchmarks run on little data, keep what they computed, and fail clearly."""

import os
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sklearn_genremoe.datasets import load_mini_genres

ROOT = Path(__file__).resolve().parents[1]


def run(
    *arguments: str, program: str = "gtzan_fault_filtered.py"
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, f"benchmarks/{program}", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )


@pytest.fixture
def run_here(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Run the program in this process, which has loaded the libraries."""

    def run_here(*arguments: str) -> None:
        monkeypatch.syspath_prepend(ROOT / "benchmarks")
        monkeypatch.setattr(sys, "argv", ["gtzan_fault_filtered.py", *arguments])
        runpy.run_path(str(ROOT / "benchmarks" / "gtzan_fault_filtered.py"), run_name="__main__")

    return run_here


@pytest.fixture(scope="module")
def mel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Spectrograms in the form that the program reads: two genres, two parts."""
    rng = np.random.default_rng(0)
    n = 24
    file = tmp_path_factory.mktemp("mel") / "mel.npz"
    np.savez(
        file,
        X=rng.integers(0, 256, (n, 64, 40), dtype=np.uint8),
        vmin_db=np.full(n, -80.0),
        genre=np.array(["blues", "rock"] * (n // 2)),
        split=np.array(["train"] * 16 + ["valid"] * 8),
        names=np.array([f"{number:05}" for number in range(n)]),
    )
    return file


@pytest.mark.slow
def test_runs_and_resumes(
    mel: Path,
    tmp_path: Path,
    run_here: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = [
        f"--data={mel}", f"--out={tmp_path}", "--jobs=1", "--cv=2", "--seeds", "0",
        "--experts", "original", "mfcc", "--set", "max_epochs=1", "channels=[4,4,4,4,4]",
    ]  # fmt: skip
    first = run(*arguments)
    assert first.returncode == 0, first.stderr
    assert "8 clips of valid, trained on train" in first.stdout
    for name in ("original", "mfcc", "MoEB, balanced", "stacking", "any expert right"):
        assert f"\n{name}" in first.stdout
    run_here(*arguments)
    again = capsys.readouterr().out
    assert "seed 0: kept from an earlier run" in again
    assert again.split("\n\n")[-2:] == first.stdout.split("\n\n")[-2:]


@pytest.mark.slow
def test_the_end_of_the_papers_training(mel: Path, tmp_path: Path) -> None:
    done = run(
        f"--data={mel}", f"--out={tmp_path}", "--jobs=1", "--epochs=2", "--seeds", "0",
        program="paper_recipe.py",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    assert "8 clips of valid, trained on 16 of train" in done.stdout
    rows = done.stdout.splitlines()[-24:]
    assert all("last ten " in row for row in rows[1::4])
    assert [row.split()[0] for row in rows[::4]] == [
        "original", "harmonic", "percussive", "modulation", "mfcc", "MoEB",
    ]  # fmt: skip
    assert len(list(tmp_path.glob("*.npy"))) == 5


def test_says_what_is_missing(mel: Path, tmp_path: Path, run_here: Callable[..., None]) -> None:
    with pytest.raises(SystemExit, match="has no clips of the part 'test'"):
        run_here(f"--data={mel}", f"--out={tmp_path}", "--test=test", "--jobs=1")
    with pytest.raises(SystemExit, match="give the lists of its split by --lists"):
        run_here(f"--data={tmp_path}", f"--out={tmp_path}")


@pytest.mark.slow
def test_a_collection_from_end_to_end() -> None:
    done = run("--files=100", "--jobs=1", program="production.py")
    assert done.returncode == 0, done.stderr
    assert "100 files of 10 s, 1 broken" in done.stdout
    assert "files 100: 99 with a genre, 1 reported as bad" in done.stdout


@pytest.mark.slow
def test_cost_of_a_default_fit(tmp_path: Path) -> None:
    clips = load_mini_genres()
    for path, genre in zip(clips.data, clips.target):
        folder = tmp_path / genre
        if genre in ("folk", "rock") and len(list(folder.glob("*"))) < 3:
            folder.mkdir(exist_ok=True)
            shutil.copy(path, folder)
    done = run(
        f"--data={tmp_path}", "--clips", "24", "96", "--cv=2", "--epochs=1",
        program="default_fit.py",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    costs = np.array([line.split() for line in done.stdout.splitlines()[-2:]], dtype=float)
    assert costs[:, 0].tolist() == [24, 96]
    assert (costs[:, 1:] > 0).all()
