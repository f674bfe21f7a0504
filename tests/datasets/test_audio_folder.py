"""Folders of one's own: layouts, manifests, and what a broken one is told."""

from pathlib import Path

import pytest

from sklearn_genremoe.datasets import load_audio_folder
from tests._shared import shared_data


def make_files(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def names_of(paths, folder: Path) -> list[str]:
    return [Path(path).relative_to(folder).as_posix() for path in paths]


@pytest.fixture
def folder(tmp_path) -> Path:
    return make_files(
        tmp_path, "rock/b.wav", "rock/a.MP3", "folk/live/y.flac", "folk/x.ogg", "folk/z.opus"
    )


def write_manifest(folder: Path, *rows: str, name: str = "manifest.csv") -> Path:
    path = folder / name
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


class TestGenreFolders:
    def test_sorted_by_genre_and_path(self, folder):
        clips = load_audio_folder(folder)
        assert names_of(clips.data, folder) == [
            "folk/live/y.flac",
            "folk/x.ogg",
            "folk/z.opus",
            "rock/a.MP3",
            "rock/b.wav",
        ]
        assert clips.target.tolist() == ["folk"] * 3 + ["rock"] * 2
        assert clips.target_names == ["folk", "rock"]
        assert clips.groups is None
        assert clips.metadata == {}
        assert clips.ignored == []
        assert "folk (3), rock (2)" in clips.DESCR

    def test_return_X_y(self, folder):
        X, y = load_audio_folder(folder, return_X_y=True)
        clips = load_audio_folder(folder)
        assert X.tolist() == clips.data.tolist()
        assert y.tolist() == clips.target.tolist()

    def test_str_and_relative_paths(self, folder, monkeypatch):
        monkeypatch.chdir(folder.parent)
        clips = load_audio_folder(folder.name)
        assert clips.data.tolist() == load_audio_folder(folder).data.tolist()
        assert Path(clips.data[0]).is_absolute()

    def test_other_files_are_reported_and_hidden_ones_are_not(self, folder):
        make_files(folder, "README.md", "rock/cover.jpg", "rock/._a.MP3", ".cache/x.wav", "s.wav")
        clips = load_audio_folder(folder)
        assert len(clips.data) == 5
        assert names_of(clips.ignored, folder) == ["README.md", "rock/cover.jpg", "s.wav"]
        assert "Ignored: 3 files" in clips.DESCR

    def test_genres_chosen(self, folder):
        make_files(folder, "jazz/a.wav", "jazz/b.wav")
        clips = load_audio_folder(folder, genres=["rock", "jazz"])
        assert clips.target_names == ["jazz", "rock"]
        assert names_of(clips.ignored, folder)[0] == "folk/live/y.flac"

    def test_extensions_chosen(self, folder):
        make_files(folder, "folk/a.xm", "rock/b.xm", "folk/c.xm", "rock/d.xm")
        clips = load_audio_folder(folder, extensions=[".XM"])
        assert names_of(clips.data, folder) == ["folk/a.xm", "folk/c.xm", "rock/b.xm", "rock/d.xm"]

    def test_linked_genre_folder(self, folder, tmp_path_factory):
        elsewhere = make_files(tmp_path_factory.mktemp("disk"), "a.wav", "b.wav")
        (folder / "jazz").symlink_to(elsewhere, target_is_directory=True)
        assert load_audio_folder(folder).target_names == ["folk", "jazz", "rock"]

    def test_missing_folder(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=r"nowhere: no such folder. Pass a folder"):
            load_audio_folder(tmp_path / "nowhere")

    def test_file_instead_of_folder(self, folder):
        with pytest.raises(NotADirectoryError, match=r"x.ogg is a file; pass the folder"):
            load_audio_folder(folder / "folk" / "x.ogg")

    def test_no_subfolder(self, tmp_path):
        make_files(tmp_path, "a.wav", "b.wav")
        with pytest.raises(ValueError, match=r"found 2 files but no subfolder. Put each genre"):
            load_audio_folder(tmp_path)

    def test_genre_without_audio(self, folder):
        make_files(folder, "texts/a.txt")
        with pytest.raises(
            ValueError, match=r"no audio file in 1 of 3 subfolders: \['texts'\]. Accepted .*\.wav"
        ):
            load_audio_folder(folder)

    def test_one_genre_only(self, folder):
        with pytest.raises(ValueError, match=r"one genre only, 'folk' with 3 clips"):
            load_audio_folder(folder, genres=["folk"])

    def test_unknown_genre(self, folder):
        with pytest.raises(
            ValueError, match=r"no genre \['polka'\] here; found \['folk', 'rock'\]"
        ):
            load_audio_folder(folder, genres=["polka", "rock"])

    @pytest.mark.parametrize("genres", ["rock", []])
    def test_genres_must_be_a_list(self, folder, genres):
        with pytest.raises(ValueError, match="pass a list of names"):
            load_audio_folder(folder, genres=genres)

    def test_extensions_must_be_a_list(self, folder):
        with pytest.raises(ValueError, match=r"pass e.g. \('.wav',\)"):
            load_audio_folder(folder, extensions=".wav")

    def test_groups_need_a_manifest(self, folder):
        with pytest.raises(ValueError, match=r"group_by='artist' .* but manifest=None"):
            load_audio_folder(folder, group_by="artist")

    def test_single_clip_of_a_genre_warns(self, folder):
        make_files(folder, "jazz/a.wav")
        with pytest.warns(UserWarning, match=r"a single clip of \['jazz'\]"):
            load_audio_folder(folder)


class TestManifest:
    def test_order_groups_and_metadata(self, folder):
        write_manifest(
            folder,
            "path,genre,artist,track,year",
            'rock/b.wav,Rock,"Smith, Jane",t1,1999',
            "folk/x.ogg,Folk,Ann,t2,",
            "folk/z.opus,Folk,Ann,t2,2003",
            "rock/a.MP3,Rock,Bo,t3,2004",
        )
        clips = load_audio_folder(folder, manifest="manifest.csv")
        assert names_of(clips.data, folder) == [
            "rock/b.wav",
            "folk/x.ogg",
            "folk/z.opus",
            "rock/a.MP3",
        ]
        assert clips.target.tolist() == ["Rock", "Folk", "Folk", "Rock"]
        assert clips.target_names == ["Folk", "Rock"]
        assert clips.groups.tolist() == ["t1", "t2", "t2", "t3"]
        assert clips.metadata["artist"].tolist() == ["Smith, Jane", "Ann", "Ann", "Bo"]
        assert list(clips.metadata) == ["artist", "track", "year"]
        assert names_of(clips.ignored, folder) == ["folk/live/y.flac"]
        assert "Groups: 3 by 'track'" in clips.DESCR

    def test_group_by(self, folder):
        write_manifest(
            folder,
            "path,genre,artist_id",
            "rock/a.MP3,r,1",
            "rock/b.wav,r,1",
            "folk/x.ogg,f,2",
            "folk/z.opus,f,3",
        )
        by = {
            name: load_audio_folder(folder, manifest="manifest.csv", group_by=name).groups
            for name in ("auto", None, "artist_id")
        }
        assert by["auto"].tolist() == ["1", "1", "2", "3"]
        assert by["artist_id"].tolist() == ["1", "1", "2", "3"]
        assert by[None] is None
        with pytest.raises(ValueError, match=r"no column 'album' to group by; found .*'artist_id'"):
            load_audio_folder(folder, manifest="manifest.csv", group_by="album")

    def test_manifest_elsewhere_with_byte_order_mark(self, folder, tmp_path_factory):
        elsewhere = tmp_path_factory.mktemp("tables") / "clips.csv"
        elsewhere.write_text(
            "path,genre\nrock/a.MP3,r\nrock/b.wav,r\nfolk/x.ogg,f\nfolk/z.opus,f\n",
            encoding="utf-8-sig",
        )
        clips = load_audio_folder(folder, manifest=elsewhere)
        assert clips.target.tolist() == ["r", "r", "f", "f"]

    def test_genres_chosen(self, folder):
        write_manifest(
            folder,
            "path,genre",
            *("rock/a.MP3,r", "rock/b.wav,r", "folk/x.ogg,f", "folk/z.opus,f"),
            "folk/live/y.flac,live",
        )
        clips = load_audio_folder(folder, manifest="manifest.csv", genres=["f", "r"])
        assert clips.target.tolist() == ["r", "r", "f", "f"]
        with pytest.raises(ValueError, match=r"no genre \['x'\] here; found \['f', 'live', 'r'\]"):
            load_audio_folder(folder, manifest="manifest.csv", genres=["f", "x"])

    @pytest.mark.parametrize(
        ("rows", "message"),
        [
            (["file,genre", "rock/a.MP3,r"], r"no column 'path'; found \['file', 'genre'\]"),
            (["path;genre", "rock/a.MP3;r"], r"no column 'path' and no column 'genre'; found"),
            (["path,genre"], "a header but no clips"),
            (["path,genre", "rock/a.MP3,r,x"], "row 2 has more fields than the header's 2"),
            (["path,genre", "rock/a.MP3,r", "rock/b.wav,"], "'genre' is empty in 1 of 2 .* row 3"),
            (
                ["path,genre", "rock/a.MP3,r", "rock/a.MP3,r"],
                r"listed more than once, e.g. .*a.MP3",
            ),
            (["path,genre,track", "rock/a.MP3,r,"], "'track' is empty in 1 of 1 rows"),
        ],
    )
    def test_unusable_manifest(self, folder, rows, message):
        path = write_manifest(folder, *rows)
        with pytest.raises(ValueError, match=message) as error:
            load_audio_folder(folder, manifest=path)
        assert str(path) in str(error.value)

    def test_missing_clips(self, folder):
        write_manifest(folder, "path,genre", "rock/a.MP3,r", "rock/gone.wav,r", "gone.wav,f")
        with pytest.raises(FileNotFoundError, match=r"2 of 3 clips are not there, e.g. .*gone.wav"):
            load_audio_folder(folder, manifest="manifest.csv")

    def test_missing_manifest(self, folder):
        with pytest.raises(FileNotFoundError, match=r"'clips.csv' not found; looked for"):
            load_audio_folder(folder, manifest="clips.csv")


def test_both_layouts_of_the_real_music_agree():
    folder = shared_data("music")
    listed = load_audio_folder(folder, manifest="manifest.csv")
    walked = load_audio_folder(folder)
    assert len(listed.data) == 227
    assert len(set(listed.groups)) == 158
    assert sorted(zip(listed.data, listed.target)) == sorted(zip(walked.data, walked.target))
    assert names_of(walked.ignored, folder) == ["LICENSES.md", "manifest.csv"]
