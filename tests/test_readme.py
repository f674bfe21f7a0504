"""The README keeps its promises: every Python block runs, in order, as a user would run it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).resolve().parents[1] / "README.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```", README.read_text(encoding="utf-8"), re.M | re.S)


def test_readme_has_the_three_uses() -> None:
    text = "\n".join(BLOCKS)
    assert len(BLOCKS) >= 3
    for word in ("MixtureOfExpertsClassifier", "make_pipeline", "GridSearchCV"):
        assert word in text


def test_readme_shows_what_is_there() -> None:
    # Tracked, and not merely there: a pattern of .gitignore has kept a picture back before.
    text = README.read_text(encoding="utf-8")
    targets = [t for t in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in t]
    targets += re.findall(r"`((?:benchmarks|examples|docs/(?!_build))/?[\w/.]+)", text)
    assert [target for target in targets if not (README.parent / target).exists()] == []
    pictures = [README.parent / target for target in targets if target.endswith(".png")]
    assert pictures
    assert all(picture.stat().st_size < 100_000 for picture in pictures)
    if (README.parent / ".git").exists():
        run = ["git", "ls-files", "--error-unmatch", *map(str, pictures)]
        subprocess.run(run, cwd=README.parent, check=True, capture_output=True)


def test_readme_names_the_commands() -> None:
    commands = re.findall(r"^make \w+|^pip install .*", README.read_text(encoding="utf-8"), re.M)
    assert commands == ['pip install ".[report]"', "make demo", "make test"]


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_readme_block_runs(number: int, tmp_path: Path) -> None:
    # Each block stands alone, in a process of its own and in an empty folder; it may warn about
    # nothing. A fresh interpreter proves that no import was forgotten.
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", BLOCKS[number]],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, f"{BLOCKS[number]}\n{run.stdout}\n{run.stderr}"
    if number == 0:  # the first result that anybody sees
        *summary, answers = run.stdout.splitlines()
        [accuracy] = [re.findall(r"\((\d+) %", line) for line in summary if "Right on" in line]
        assert float(accuracy[0]) > 50
        assert (tmp_path / "report.html").is_file()
        assert answers.count("ambient") == 3, "the genre of three clips that it was trained on"
