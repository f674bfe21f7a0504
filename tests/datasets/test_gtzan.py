"""GTZAN from folders of every layout, whole and by the fault-filtered split."""

import os
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sklearn_genremoe.datasets import fetch_gtzan

NAMES = ["blues.00000", "blues.00029", "jazz.00000", "jazz.00054", "rock.00099"]
WAVE = np.sin(np.arange(22050) / 5)
TRAIN, VALID, TEST = (
    "blues/blues.00029.wav\njazz/jazz.00054.wav\n",
    "blues/blues.00000.wav\n",
    ("rock/rock.00099.wav\n\njazz/jazz.00000.wav\n"),
)


def write_clips(folder: Path, names=NAMES, layout="{genre}/{name}.wav") -> Path:
    for name in names:
        path = folder / layout.format(genre=name.partition(".")[0], name=name)
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, WAVE, 22050)
    return folder


def write_lists(folder: Path, train=TRAIN, valid=VALID, test=TEST) -> list[Path]:
    paths = []
    for name, text in [("train", train), ("valid", valid), ("test", test)]:
        paths.append(folder / f"{name}_filtered.txt")
        paths[-1].write_text(text)
    return paths


@pytest.mark.parametrize(
    "layout",
    [
        "genres/{genre}/{name}.au",
        "genres_original/{genre}/{name}.wav",
        "Data/genres_original/{genre}/{name}.wav",
        "{genre}/{name}.au",
        "{name}.wav",
        "{genre}/{name}.WAV",
    ],
)
def test_any_layout(tmp_path, layout):
    write_clips(tmp_path, layout=layout)
    (tmp_path / "images_original").mkdir()
    (tmp_path / "images_original" / "blues00000.png").touch()
    (tmp_path / "features_30_sec.csv").touch()
    clips = fetch_gtzan(tmp_path)
    assert clips.metadata["name"].tolist() == NAMES
    assert clips.target.tolist() == ["blues", "blues", "jazz", "jazz", "rock"]
    assert clips.target_names == ["blues", "jazz", "rock"]
    assert all(os.path.isfile(path) for path in clips.data)
    assert clips.groups is None
    assert clips.split is None
    assert clips.left_out == []
    assert "5 clips from GTZAN" in clips.DESCR
    assert ":Licence: none" in clips.DESCR
    assert "Tzanetakis" in clips.DESCR
    assert repr(clips).startswith("<5 clips of 3 genres: blues (2), jazz (2), rock (1); attrib")
    X, y = fetch_gtzan(tmp_path, return_X_y=True)
    assert (X.tolist(), y.tolist()) == (clips.data.tolist(), clips.target.tolist())


def test_the_published_format_is_preferred(tmp_path):
    write_clips(tmp_path, layout="genres_original/{genre}/{name}.wav")
    write_clips(tmp_path, NAMES[:2], layout="genres/{genre}/{name}.au")
    endings = [os.path.splitext(path)[1] for path in fetch_gtzan(tmp_path).data]
    assert endings == [".au", ".au", ".wav", ".wav", ".wav"]


def test_damaged_clip_is_left_out_and_reported(tmp_path):
    write_clips(tmp_path)
    (tmp_path / "jazz" / "jazz.00054.wav").write_bytes(b"no audio" * 1000)
    with pytest.warns(UserWarning, match=r"left out, jazz.00054 can't be used \(could not be dec"):
        clips = fetch_gtzan(tmp_path)
    assert clips.metadata["name"].tolist() == [name for name in NAMES if name != "jazz.00054"]
    assert clips.left_out == ["jazz.00054"]
    assert ":Left out: jazz.00054 can't be used" in clips.DESCR


class TestFaultFiltered:
    @pytest.fixture
    def folder(self, tmp_path):
        return write_clips(tmp_path / "gtzan")

    def test_lists_beside_the_clips(self, folder):
        write_lists(folder)
        clips = fetch_gtzan(folder, split="fault-filtered")
        assert clips.metadata["name"].tolist() == NAMES
        assert clips.split.tolist() == ["valid", "train", "test", "train", "test"]
        assert "fault-filtered: test (2), train (2), valid (1)" in clips.DESCR

    @pytest.mark.parametrize("as_folder", [True, False])
    def test_lists_elsewhere(self, folder, tmp_path, as_folder):
        paths = write_lists(tmp_path)
        chosen = tmp_path if as_folder else [str(path) for path in reversed(paths)]
        clips = fetch_gtzan(folder, split="fault-filtered", split_files=chosen)
        assert clips.split.tolist() == ["valid", "train", "test", "train", "test"]

    def test_lists_of_au_files_and_windows_paths(self, folder):
        write_lists(folder, train="blues/blues.00029.au", test=r"rock\rock.00099.au")
        clips = fetch_gtzan(folder, split="fault-filtered")
        assert clips.metadata["name"].tolist() == ["blues.00000", "blues.00029", "rock.00099"]

    def test_damaged_clip(self, folder):
        write_lists(folder)
        (folder / "jazz" / "jazz.00054.wav").write_bytes(b"no audio" * 1000)
        with pytest.warns(UserWarning, match="jazz.00054 can't be used"):
            clips = fetch_gtzan(folder, split="fault-filtered")
        assert clips.split.tolist() == ["valid", "train", "test", "test"]

    def test_damaged_clip_that_is_not_listed_is_no_loss(self, folder):
        write_lists(folder, train="blues/blues.00029.wav")
        (folder / "jazz" / "jazz.00054.wav").write_bytes(b"no audio" * 1000)
        assert len(fetch_gtzan(folder, split="fault-filtered").data) == 4

    def test_missing_clips_are_counted(self, folder):
        write_lists(folder, train="pop/pop.00001.wav\npop/pop.00002.wav")
        with pytest.warns(UserWarning, match=r"2 that the split lists are missing \(pop.00001, po"):
            clips = fetch_gtzan(folder, split="fault-filtered")
        assert clips.left_out == ["pop.00001", "pop.00002"]

    def test_none_of_the_clips(self, folder):
        write_lists(folder, *(f"pop/pop.0000{row}.wav" for row in range(3)))
        with pytest.raises(
            FileNotFoundError, match=r"none of the clips of the split is there\. GT"
        ):
            fetch_gtzan(folder, split="fault-filtered")

    def test_without_lists(self, folder):
        with pytest.raises(
            FileNotFoundError,
            match=r"needs its lists .*test_filtered.txt can't be read\. Take .* and put them in",
        ) as error:
            fetch_gtzan(folder, split="fault-filtered")
        assert "https://github.com/jordipons/sklearn-audio-transfer-learning" in str(error.value)

    def test_two_lists(self, folder, tmp_path):
        paths = write_lists(tmp_path)[:2]
        with pytest.raises(
            ValueError, match=r"pass three files, whose names begin with \('test', "
        ):
            fetch_gtzan(folder, split="fault-filtered", split_files=paths)

    @pytest.mark.parametrize(
        "line", ["30", "blues.00029.mp3", "polka/polka.00001.wav", "\0", "a,b"]
    )
    def test_lines_that_are_no_clip(self, folder, line):
        write_lists(folder, train=f"blues/blues.00029.wav\n{line}\n")
        with pytest.raises(ValueError, match=r"train_filtered.txt: line 2 is .*; expected a clip"):
            fetch_gtzan(folder, split="fault-filtered")

    def test_a_clip_in_two_parts(self, folder):
        write_lists(folder, valid=TRAIN)
        with pytest.raises(ValueError, match=r"valid_filtered.txt: line 1 is .*, and each once in"):
            fetch_gtzan(folder, split="fault-filtered")

    def test_list_that_is_no_text(self, folder):
        write_lists(folder)
        (folder / "test_filtered.txt").write_bytes(b"\xff\xfe\xff")
        with pytest.raises(ValueError, match=r"test_filtered.txt can't be read"):
            fetch_gtzan(folder, split="fault-filtered")


@pytest.mark.parametrize("make", [False, True])
def test_no_clips_says_where_they_go(tmp_path, make):
    folder = tmp_path / "gtzan"
    if make:
        (folder / "blues").mkdir(parents=True)
        (folder / "blues" / "a.wav").touch()
    found = "no clip of GTZAN in this folder" if make else "no such folder"
    with pytest.raises(FileNotFoundError, match=re.escape(f"{folder}: {found}. GTZAN carries no")):
        fetch_gtzan(folder)


def test_default_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("SKLEARN_GENREMOE_DATA", str(tmp_path))
    write_clips(tmp_path / "gtzan")
    assert len(fetch_gtzan().data) == 5


def test_unknown_split(tmp_path):
    with pytest.raises(
        ValueError, match=r"'split' parameter .* must be a str among {'fault-filtered'} or None"
    ):
        fetch_gtzan(tmp_path, split="filtered")
    with pytest.raises(ValueError, match="split_files= belongs to split='fault-filtered'"):
        fetch_gtzan(tmp_path, split_files=[])
