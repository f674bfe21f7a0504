"""The bundled clips: complete, attributed, and what the manifest says."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
from sklearn.model_selection import StratifiedGroupKFold

from sklearn_genremoe.datasets import load_mini_genres
from tests._shared import shared_data


def test_bunch():
    clips = load_mini_genres()
    assert clips.target_names == ["ambient", "electronic", "folk", "rock"]
    assert Counter(clips.target) == dict.fromkeys(clips.target_names, 12)
    for name in ("data", "target", "groups", "artists", "titles", "licences"):
        assert clips[name].shape == (48,), name
        assert clips[name].dtype.kind == "U", name
        assert all(clips[name]), name
    assert len(set(clips.groups)) == 41
    assert "48 clips" in clips.DESCR
    assert "41" in clips.DESCR


def test_return_X_y():
    X, y = load_mini_genres(return_X_y=True)
    clips = load_mini_genres()
    np.testing.assert_array_equal(X, clips.data)
    np.testing.assert_array_equal(y, clips.target)


def test_every_clip_is_ten_seconds_of_mono():
    for path in load_mini_genres().data:
        info = soundfile.info(path)
        assert (info.samplerate, info.channels, info.frames) == (22050, 1, 220500), path


def test_every_clip_is_attributed_under_a_free_licence():
    clips = load_mini_genres()
    folder = Path(clips.data[0]).parents[1]
    attribution = (folder / "ATTRIBUTION.md").read_text(encoding="utf-8")
    rows = [line for line in attribution.splitlines() if ".ogg" in line]
    assert len(rows) == len(clips.data)
    for path, artist, title, licence in zip(
        clips.data, clips.artists, clips.titles, clips.licences
    ):
        assert licence in ("CC-BY-SA-3.0", "CC-BY-3.0")
        name = Path(path).relative_to(folder).as_posix()
        (row,) = [row for row in rows if name in row]
        assert artist in row
        assert title in row
        assert licence in row
    assert clips.licence == "CC-BY-3.0 and CC-BY-SA-3.0"


def test_bundled_files_are_the_published_ones():
    folder = Path(load_mini_genres().data[0]).parents[1]
    published = shared_data("mini_genres")
    names = sorted(p.relative_to(published) for p in published.rglob("*") if p.is_file())
    assert sorted(p.relative_to(folder) for p in folder.rglob("*") if p.is_file()) == names
    for name in names:
        assert (folder / name).read_bytes() == (published / name).read_bytes(), name


@pytest.mark.parametrize("n_splits", [3, 4])
def test_every_fold_by_track_holds_every_genre(n_splits):
    clips = load_mini_genres()
    splitter = StratifiedGroupKFold(n_splits)  # shuffled, it stratifies from scikit-learn 1.8 on
    for train, test in splitter.split(clips.data, clips.target, clips.groups):
        assert set(clips.target[test]) == set(clips.target_names)
        assert not set(clips.groups[train]) & set(clips.groups[test])
