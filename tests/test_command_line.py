"""The command line: train on a folder, predict another, and say what could not be used."""

import csv
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import LinearSVC

from sklearn_genremoe import (
    MFCC,
    AudioSetEmbedding,
    MixtureOfExpertsClassifier,
    StackingMixer,
    load_model,
    save_model,
)
from sklearn_genremoe.__main__ import main
from sklearn_genremoe.datasets import load_mini_genres, make_genre_clips
from sklearn_genremoe.domains import time_statistics
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


def test_train_and_predict(small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, table, clips = tmp_path / "model.skops", tmp_path / "genres.csv", tmp_path / "clips"
    shutil.copytree(small, clips)
    quick = ["--duration=0.5", "--max-epochs=1", "--cv=0"]
    assert main(["train", str(clips), f"--out={model}", *quick]) == 0
    assert "trained on 8 clips, 0 bad" in capsys.readouterr().out
    (clips / "broken.wav").write_text("no audio")
    (clips / "__MACOSX").mkdir()
    for hidden in ("._broken.wav", "__MACOSX/broken.wav"):
        (clips / hidden).write_text("of a Mac")
    predict = ["predict", str(model), str(clips), f"--out={table}"]
    assert main(predict) == 1
    assert re.search("^bad: .*broken.wav: ", capsys.readouterr().err)
    genres = {Path(row["path"]).name: row["genre"] for row in rows_of(table)}
    assert genres.pop("broken.wav") == ""
    assert len(genres) == 8
    assert set(genres.values()) <= {"folk", "rock"}
    assert main(predict) == 1  # its own table it may write anew
    capsys.readouterr()
    for taken in (model, clips / "0.wav"):
        before = taken.read_bytes()
        assert main(["predict", str(model), "--out", str(taken), str(clips)]) == 2
        assert f"--out {taken} is there already, and no table" in capsys.readouterr().err
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


def test_usage_errors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["predict", str(tmp_path / "none.skops"), str(tmp_path)]
    assert main([*arguments, f"--out={tmp_path / 'a.csv'}"]) == 2
    assert "none.skops: no such file" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
    with pytest.raises(SystemExit, match="2"):
        main(["sing"])


def test_few_clips_of_a_genre(
    small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "model.skops"
    train = ["train", str(small), "--quick", "--duration=0.5", f"--out={model}"]
    assert main([*train, "--cv=3"]) == 0
    assert "3 folds of whole groups" in capsys.readouterr().out
    assert load_model(model).cv == 2
    assert main([*train, "--cv=5"]) == 2
    said = capsys.readouterr().err
    assert "genre folk: 3 group(s), too few for --cv 5. Add clips" in said
    assert "--cv 0 for no score" in said
    assert main([*train, "--groups=genre"]) == 2
    assert "genre folk: 1 group(s), too few for" in capsys.readouterr().err


def test_report_and_score_come_from_the_same_fits(
    small: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    real, n_clips = MixtureOfExpertsClassifier.fit, []

    def fit(self: object, X: object, *arguments: object, **options: object) -> object:
        n_clips.append(len(X))  # type: ignore[arg-type]
        return real(self, X, *arguments, **options)

    monkeypatch.setattr(MixtureOfExpertsClassifier, "fit", fit)
    folder = tmp_path / "clips"
    shutil.copytree(small, folder)
    (folder / "0.wav").write_text("no audio")
    page = tmp_path / "report.html"
    train = ["train", str(folder), "--quick", "--duration=0.5", f"--out={tmp_path}/m.skops"]
    train += ["--groups=none"]
    assert main([*train, "--cv=4", f"--report={page}"]) == 1
    assert len(n_clips) == 5  # four folds, and the model that is saved
    assert sum(n_clips[:4]) == 3 * 7
    printed = capsys.readouterr()
    assert "trained on 7 clips, 1 bad" in printed.out
    assert re.search(r"^bad: .*0\.wav: ", printed.err)
    text = page.read_text(encoding="utf-8")
    assert all(f"{row}.wav" in text for row in range(8))
    for option, said in (
        ("--cv=0", "leave --cv 0 out"),
        (f"--report={tmp_path}", "it is a folder"),
    ):
        assert main([*train, f"--report={page}", option]) == 2
        assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--cv=1", "n_splits=2 or more, got n_splits=1"),
        ("--duration=-3", "'duration' parameter .* must be .* Got -3"),
        ("--max-epochs=0", "--max-epochs 0: give 1 or more"),
        ("--groups=album", "no column 'album' to group by"),
        ("--out=model.pkl", "--out model.pkl: models are saved as"),
        ("--music-weights=none.pt", "weights='none.pt' is neither "),
    ],
)
def test_speaks_of_options(
    option: str, said: str, small: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", str(small), "--out=none.skops", "--cv=3", option]) == 2
    assert re.search(said, capsys.readouterr().err, re.DOTALL)


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
    assert "load_model(file, weights=" in errors
    assert "bad: " not in errors
    assert main([*predict, f"--weights={tmp_path / 'moved.pt'}"]) == 0


def test_a_fault_of_the_program_is_no_bad_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sklearn_genremoe.__main__._versions", lambda options: 1 / 0)
    assert main(["versions"]) == 2
    assert "Traceback" in capsys.readouterr().err


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
    names = ["numpy.mean", "sklearn.tree._tree.Tree"]
    said = capsys.readouterr().err
    assert f"trusted={names}" in said
    assert main(["predict", "--trusted", ",".join(names), *predict[1:]]) == 0
    each = [f"--trusted={name}" for name in names]
    assert main(["predict", *each, *predict[1:]]) == 0


@pytest.fixture
def songs(tmp_path: Path) -> Path:
    """Twenty files in a folder, one of them broken, one in a folder that is a link."""
    folder, elsewhere = tmp_path / "songs", tmp_path / "disk"
    folder.mkdir()
    elsewhere.mkdir()
    for row in range(18):
        soundfile.write(folder / f"{row:02}.wav", RNG.uniform(-0.5, 0.5, 4410), 22050)
    soundfile.write(elsewhere / "live.wav", RNG.uniform(-0.5, 0.5, 4410), 22050)
    (folder / "live").symlink_to(elsewhere)
    (folder / "broken.wav").write_text("no audio")
    return folder


def quick_model(file: Path, mixture: bool = True, last: object = None) -> str:
    X, y = RNG.normal(size=(8, 4410)) / 8, list("abab" * 2)
    mean = FunctionTransformer(time_statistics)
    model = make_pipeline(MFCC(duration=0.2), mean, last or LogisticRegression())
    if mixture:
        model = MixtureOfExpertsClassifier([("mfcc", model)], "balanced")
    save_model(model.fit(X, y), file)
    return str(file)


def rows_of(table: Path) -> list[dict[str, str]]:
    with open(table, encoding="utf-8", errors="surrogateescape", newline="") as file:
        return list(csv.DictReader(file))


def test_goes_on_where_it_stopped(
    songs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    model, table = quick_model(tmp_path / "model.skops"), tmp_path / "genres.csv"
    predict = ["predict", model, str(songs), f"--out={table}"]
    assert main(predict) == 1
    expected = rows_of(table)
    assert len(expected) == 20
    assert [Path(row["path"]).name for row in expected if row["error"]] == ["broken.wav"]
    assert capsys.readouterr().out == f"19 files classified, 1 bad: {table}\n"
    real, sizes = MixtureOfExpertsClassifier.predict_proba, []

    def predict_proba(self: object, X: list[str]) -> np.ndarray:
        sizes.append(len(X))
        if len(sizes) == 3:
            raise KeyboardInterrupt
        return real(self, X)

    monkeypatch.setattr(MixtureOfExpertsClassifier, "predict_proba", predict_proba)
    assert main(predict) == 130
    assert "16 of 20 files are in the table; the same command with --resume" in (
        capsys.readouterr().err
    )
    assert rows_of(table) == expected[:16]
    with open(table, "ab") as file:
        file.write(b"cut off,a,0.1")
    assert main([*predict, "--resume"]) in (0, 1)
    assert rows_of(table) == expected
    assert sizes == [8, 8, 4, 4]
    assert "16 were there before" in capsys.readouterr().out
    other = quick_model(tmp_path / "other.skops", last=LinearSVC(), mixture=False)
    assert main(["predict", other, *predict[2:], "--resume"]) == 2
    assert "is a table of another model" in capsys.readouterr().err
    assert main(["predict", model, str(songs), "--resume"]) == 2
    assert "give its name" in capsys.readouterr().err


def test_page_of_predictions(
    songs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, page = quick_model(tmp_path / "model.skops"), tmp_path / "report.html"
    table = tmp_path / "genres.csv"
    assert main(["predict", model, str(songs / "00.wav"), f"--out={table}"]) == 0
    rest = ["predict", model, str(songs), f"--out={table}", "--resume"]
    assert main([*rest, f"--report={page}"]) == 1
    text = page.read_text(encoding="utf-8")
    data = json.loads(re.search(r'<script id="data"[^>]*>(.*?)</script>', text, re.DOTALL)[1])
    rows = rows_of(table)  # those from before are in the page too
    assert data["clips"]["name"] == [row["path"] for row in rows]
    said = [data["genres"][place] if place >= 0 else "" for place in data["clips"]["said"]]
    assert said == [row["genre"] for row in rows]
    np.testing.assert_allclose(
        [sure or 0 for sure in data["clips"]["sure"]],
        [max(float(row["a"] or 0), float(row["b"] or 0)) for row in rows],
        atol=1e-5,
    )
    assert [bool(error) for error in data["clips"]["error"]] == [not genre for genre in said]
    assert "genre" not in data["clips"]
    assert '<h2 id="scores-title">' not in text
    assert f"python -m sklearn_genremoe predict {model}" in text
    svc = quick_model(tmp_path / "svc.skops", mixture=False, last=LinearSVC())
    assert main(["predict", svc, str(songs), f"--report={page}"]) == 2
    assert "holds no probabilities for --report" in capsys.readouterr().err


def test_models_of_all_kinds(
    songs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = quick_model(tmp_path / "plain.skops", mixture=False)
    without_proba = quick_model(tmp_path / "svc.skops", mixture=False, last=LinearSVC())
    for model, columns in ((plain, ["a", "b"]), (without_proba, [])):
        table = tmp_path / "table.csv"
        table.unlink(missing_ok=True)
        assert main(["predict", model, str(songs), f"--out={table}"]) == 1
        rows = rows_of(table)
        assert list(rows[0]) == ["path", "genre", *columns, "error"]
        assert [Path(row["path"]).name for row in rows if row["error"]] == ["broken.wav"]
        assert {row["genre"] for row in rows if not row["error"]} <= {"a", "b"}
    capsys.readouterr()
    for unfit in (MFCC(), StackingMixer(), MixtureOfExpertsClassifier()):
        save_model(unfit, tmp_path / "unfit.skops")
        assert main(["predict", str(tmp_path / "unfit.skops"), str(songs)]) == 2
        assert f"holds no fitted classifier, but {unfit!r}" in capsys.readouterr().err


def test_what_is_left_out_of_a_folder_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model, songs = quick_model(tmp_path / "model.skops"), tmp_path / "songs"
    songs.mkdir()
    soundfile.write(songs / "a.wav", RNG.uniform(-0.5, 0.5, 4410), 22050)
    (songs / "b.mid").write_bytes(b"MThd")
    assert main(["predict", model, str(songs)]) == 1
    printed = capsys.readouterr()
    assert printed.out.count("\n") == 2
    assert re.search(r"left out: .*b\.mid: .*\n1 left out of the folders\n", printed.err)
    (songs / "b.mid").unlink()
    assert main(["predict", model, str(songs)]) == 0


def test_names_that_the_console_cannot_print(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, songs = quick_model(tmp_path / "model.skops"), tmp_path / "songs"
    songs.mkdir()
    names = ["a.wav", "\u3055\u304f\u3089.wav", os.fsdecode(b"caf\xe9.wav")]
    for name in names:
        soundfile.write(tmp_path / "song.wav", RNG.uniform(-0.5, 0.5, 4410), 22050)
        shutil.copy(tmp_path / "song.wav", songs / name)
    printed = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(printed, encoding="cp1252"))
    assert main(["predict", model, str(songs)]) == 0
    for written in (rb"a.wav,", rb"\u3055\u304f\u3089.wav,", rb"caf\udce9.wav,"):
        assert written in printed.getvalue()
    table = tmp_path / "table.csv"
    assert main(["predict", model, str(songs), f"--out={table}"]) == 0
    assert {Path(row["path"]).name for row in rows_of(table)} == set(names)


def test_without_a_console(songs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    predict = ["predict", quick_model(tmp_path / "model.skops"), str(songs)]
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    assert main(predict) == 2
    assert main([*predict, f"--out={tmp_path / 'table.csv'}"]) == 1


def test_help_is_quick() -> None:
    start = os.times()
    assert "COMMAND" in genremoe("--help").stdout
    end = os.times()
    assert sum(end[2:4]) - sum(start[2:4]) < 0.5  # processor time of children
