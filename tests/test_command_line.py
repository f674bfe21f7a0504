"""The command line: train on a folder, predict another, and say what could not be used."""

import csv
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklearn_genremoe import MFCC, AudioSetEmbedding, load_model, save_model
from sklearn_genremoe.__main__ import main
from sklearn_genremoe.datasets import load_mini_genres, make_genre_clips
from tests._weights import write_small_weights

ROOT = Path(__file__).resolve().parents[1]
RNG = np.random.default_rng(0)

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
    (tmp_path / "clips" / "__MACOSX").mkdir()
    for hidden in ("._broken.wav", "__MACOSX/broken.wav"):
        (tmp_path / "clips" / hidden).write_text("of a Mac")
    predicted = genremoe("predict", model, tmp_path / "clips", f"--out={table}")
    assert predicted.returncode == 1, predicted.stderr
    assert "broken.wav" in predicted.stderr
    with open(table, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 25
    genres = {Path(row["path"]).name: row["genre"] for row in rows}
    assert genres.pop("broken.wav") == ""
    assert set(genres.values()) <= {"folk", "rock"}
    again = genremoe("predict", model, tmp_path / "clips", f"--out={table}")
    assert again.returncode == 1, again.stderr  # its own table it may write anew
    song = tmp_path / "clips" / "rock" / "song.wav"
    soundfile.write(song, RNG.uniform(-0.5, 0.5, 44100), 22050)
    for taken in (model, song):
        before = taken.read_bytes()
        refused = genremoe("predict", model, "--out", taken, tmp_path / "clips")
        assert refused.returncode == 2
        assert f"--out {taken} is there already, and no table" in refused.stderr
        assert taken.read_bytes() == before


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
        try:
            _, errors = process.communicate(timeout=300)
        finally:
            process.kill()
    assert process.returncode == 130, errors
    assert "interrupted; nothing was written" in errors
    assert "Traceback" not in errors
    assert not list(tmp_path.iterdir())


def test_an_interrupt_while_an_object_is_cleared_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Cleared:
        def __del__(self) -> None:
            raise KeyboardInterrupt

    def train(options: object) -> int:
        Cleared()
        time.sleep(20)
        return 0

    monkeypatch.setattr("sklearn_genremoe.__main__._train", train)
    before = sys.unraisablehook
    assert main(["train", str(tmp_path), "--out=m"]) == 130
    assert sys.unraisablehook is before
    assert "interrupted" in capsys.readouterr().err


def test_usage_errors(tmp_path: Path) -> None:
    missing = genremoe("predict", tmp_path / "none.skops", tmp_path, f"--out={tmp_path / 'a.csv'}")
    assert missing.returncode == 2
    assert "none.skops" in missing.stderr
    assert "Traceback" not in missing.stderr
    assert genremoe("sing").returncode == 2


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two genres with four clips each, by three artists."""
    folder = tmp_path_factory.mktemp("small")
    lines = ["path,genre,artist"]
    X, y = make_genre_clips(8, ("folk", "rock"), duration=1.0, random_state=0)
    for row, (clip, genre) in enumerate(zip(X, y)):
        soundfile.write(folder / f"{row}.wav", clip, 22050)
        lines.append(f"{row}.wav,{genre},{genre}{row % 3}")
    (folder / "manifest.csv").write_text("\n".join(lines))
    return folder


def test_few_clips_of_a_genre(small: Path, tmp_path: Path) -> None:
    model = tmp_path / "model.skops"
    quick = ("--duration=0.5", "--max-epochs=1", f"--out={model}")
    trained = genremoe("train", small, "--cv=3", *quick)
    assert trained.returncode == 0, trained.stderr
    assert "3 folds of whole groups" in trained.stdout
    assert load_model(model).cv == 2
    refused = genremoe("train", small, "--cv=5", *quick)
    assert refused.returncode == 2
    assert "4 clip(s), too few for --cv 5" in refused.stderr
    assert "--cv 0 for no score" in refused.stderr


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--cv=1", "--cv 1: give 2 folds or more, or 0"),
        ("--duration=-3", "--duration -3: give more than 0"),
        ("--max-epochs=0", "--max-epochs 0: give 1 or more"),
        ("--groups=album", "Pass one of them as --groups, or --groups none"),
        ("--out=model.pkl", "--out model.pkl: models are saved .* name it model.skops"),
        ("--weights=none.pt", "--weights 'none.pt' is neither .*; give the file by --weights FILE"),
    ],
)
def test_speaks_of_options(
    option: str, said: str, small: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", str(small), "--out=none.skops", "--cv=3", option]) == 2
    assert re.search(said, capsys.readouterr().err)


def test_speaks_of_folders_as_there_are_options(
    small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def said(folder: Path, *options: str) -> str:
        assert main(["train", str(folder), f"--out={tmp_path / 'a.skops'}", *options]) == 2
        printed = capsys.readouterr()
        text = printed.out + printed.err
        assert not re.search("manifest=|genres=|group_by|offset", text)
        return text

    assert "Genres and groups: from" in said(small, "--cv=5")
    assert "too few to train on" in said(small, "--groups=genre")
    misspelt = tmp_path / "misspelt"
    misspelt.mkdir()
    (misspelt / "manifest.csv").write_text("path,gnere\na.wav,rock\n")
    assert "gnere" in said(misspelt)
    for genre in ("folk", "rock"):
        (tmp_path / "tree" / genre).mkdir(parents=True)
        (tmp_path / "tree" / genre / "a.wav").write_bytes((small / "0.wav").read_bytes())
    assert "holds no manifest.csv; add one with that column" in said(
        tmp_path / "tree", "--groups=artist"
    )


def test_what_stops_all_files_is_one_error(
    small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, weights = tmp_path / "model.skops", write_small_weights(tmp_path / "weights.pt")
    X, y = RNG.normal(size=(6, 22050)), list("aaabbb")
    table = LogisticRegression().fit(X[:, :5], y)
    save_model(table, model)
    predict = ["predict", str(model), str(small)]
    assert main(predict) == 2
    errors = capsys.readouterr().err
    assert "model.skops can't classify files: " in errors
    assert "bad: " not in errors
    embedding = make_pipeline(AudioSetEmbedding(weights, duration=1.0), LogisticRegression())
    save_model(embedding.fit(X, y), model)
    weights.rename(tmp_path / "moved.pt")
    assert main(predict) == 2
    errors = capsys.readouterr().err
    assert "give the file by --weights FILE" in errors
    assert "bad: " not in errors
    assert main([*predict, f"--weights={tmp_path / 'moved.pt'}"]) == 0


def test_trusted_takes_no_files(
    small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "model.skops"
    forest = RandomForestClassifier(2).fit(RNG.normal(size=(6, 60)), list("aaabbb"))
    mean = FunctionTransformer(np.mean, kw_args={"axis": 2})
    with pytest.warns(UserWarning, match="trusted="):
        save_model(make_pipeline(MFCC(duration=0.5), mean, forest), model)
    predict = ["predict", str(model), str(small)]
    assert main(predict) == 2
    said = re.search(r"pass --trusted (\S+)\. ", capsys.readouterr().err)
    assert said
    assert said[1] == "numpy.mean,sklearn.tree._tree.Tree"
    assert main(["predict", "--trusted", said[1], *predict[1:]]) == 0
    each = [f"--trusted={name}" for name in said[1].split(",")]
    assert main(["predict", *each, *predict[1:]]) == 0
