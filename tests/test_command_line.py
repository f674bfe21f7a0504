"""The command line: train on a folder, predict another, and say what could not be used."""

import csv
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from sklearn_genremoe.datasets import load_mini_genres

ROOT = Path(__file__).resolve().parents[1]


COMMAND = [sys.executable, "-m", "sklearn_genremoe"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def genremoe(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
    )


def test_train_and_predict(tmp_path: Path) -> None:
    clips = load_mini_genres()
    for genre in ("folk", "rock"):
        (tmp_path / "clips" / genre).mkdir(parents=True)
        for path in clips.data[clips.target == genre]:
            shutil.copy(path, tmp_path / "clips" / genre)
    model, table = tmp_path / "model.skops", tmp_path / "genres.csv"
    quick = ("--duration=2", "--max-epochs=1", "--cv=2")
    trained = genremoe("train", tmp_path / "clips", f"--out={model}", *quick)
    assert trained.returncode == 0, trained.stderr
    assert model.is_file()
    (tmp_path / "clips" / "broken.wav").write_text("no audio")
    predicted = genremoe("predict", model, tmp_path / "clips", f"--out={table}")
    assert predicted.returncode == 1, predicted.stderr
    assert "broken.wav" in predicted.stderr
    with open(table, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 25
    genres = {Path(row["path"]).name: row["genre"] for row in rows}
    assert genres.pop("broken.wav") == ""
    assert set(genres.values()) <= {"folk", "rock"}


def test_interrupted_training_leaves_no_model(tmp_path: Path) -> None:
    clips = Path(load_mini_genres().data[0]).parents[1]
    with subprocess.Popen(
        [*COMMAND, "train", clips, "--out", tmp_path / "m"],
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # a terminal sends the signal to all processes of the command
    ) as process:
        assert process.stdout is not None
        assert "48 clips" in process.stdout.readline()  # the folder is read, the work begins
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "interrupted; nothing was written" in errors
    assert "Traceback" not in errors
    assert not list(tmp_path.iterdir())


def test_usage_errors(tmp_path: Path) -> None:
    missing = genremoe("predict", tmp_path / "none.skops", tmp_path, f"--out={tmp_path / 'a.csv'}")
    assert missing.returncode == 2
    assert "none.skops" in missing.stderr
    assert "Traceback" not in missing.stderr
    assert genremoe("sing").returncode == 2
