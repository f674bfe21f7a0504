"""Folders of one's own: layouts, manifests, and what a broken one is told."""

import os
import pickle
import shutil
import sys
import tempfile
import unicodedata
from collections import Counter
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import soundfile
from sklearn.utils import Bunch

from sklearn_genremoe.audio import BadClipError
from sklearn_genremoe.datasets import (
    _folder,
    find_audio_files,
    load_audio_folder,
    load_mini_genres,
    make_genre_clips,
)
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


MANIFEST = ("path,genre", "rock/b.wav,r", "rock/a.MP3,r", "folk/x.ogg,f", "folk/z.opus,f")


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
        make_files(folder, "README.md", "rock/cover.jpg", "rock/._a.MP3", ".cache/x.wav")
        clips = load_audio_folder(folder)
        assert len(clips.data) == 5
        assert names_of(clips.ignored, folder) == ["README.md", "rock/cover.jpg"]
        assert "Ignored: 2 files" in clips.DESCR

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
        with pytest.raises(NotADirectoryError, match=r"x.ogg: is a file. Pass a folder"):
            load_audio_folder(folder / "folk" / "x.ogg")

    def test_no_subfolder(self, tmp_path):
        make_files(tmp_path, "a.wav", "b.wav")
        with pytest.raises(
            ValueError, match=r"found 0 genres, \[\]; .* one subfolder of clips per genre"
        ):
            load_audio_folder(tmp_path)

    def test_genre_without_audio(self, folder):
        make_files(folder, "texts/a.txt")
        with pytest.raises(
            ValueError, match=r"no audio file in 1 of 3 subfolders: \['texts'\]. Delete .*\.wav"
        ):
            load_audio_folder(folder)

    def test_empty_genre(self, folder):
        (folder / "jazz").mkdir()
        said = r"\['jazz'\]. Delete them, or pass genres=\['folk', 'rock'\]"
        with pytest.raises(ValueError, match=said):
            load_audio_folder(folder)

    def test_what_a_mac_leaves_is_no_genre(self, folder):
        make_files(folder, "__MACOSX/rock/._a.mp3", "rock/__MACOSX/x.mp3", ".Trashes/a.mp3")
        clips = load_audio_folder(folder)
        assert clips.target_names == ["folk", "rock"]
        assert len(clips.data) == 5
        assert clips.ignored == []

    def test_genres_of_any_iterable(self, folder):
        for genres in ({"folk", "rock"}, (one for one in ("folk", "rock")), {"folk": 1, "rock": 2}):
            assert load_audio_folder(folder, genres=genres).target_names == ["folk", "rock"]
        write_manifest(folder, *MANIFEST, name="m.csv")
        genres = (one for one in ("f", "r"))
        clips = load_audio_folder(folder, manifest="m.csv", genres=genres)
        assert clips.target_names == ["f", "r"]
        with pytest.raises(ValueError, match=r"'genres' parameter .* Got 3"):
            load_audio_folder(folder, genres=3)

    def test_one_genre_only(self, folder):
        with pytest.raises(ValueError, match=r"found 1 genre, \['folk'\]; .* needs two"):
            load_audio_folder(folder, genres=["folk"])

    def test_unknown_genre(self, folder):
        with pytest.raises(
            ValueError, match=r"no genre \['polka'\] here; found \['folk', 'rock'\]"
        ):
            load_audio_folder(folder, genres=["polka", "rock"])

    @pytest.mark.parametrize("genres", ["rock", [], [["rock"]], [1, 2], ["rock", None]])
    def test_genres_must_be_a_list(self, folder, genres):
        with pytest.raises(ValueError, match="pass a list of names"):
            load_audio_folder(folder, genres=genres)

    def test_extensions_must_be_a_list(self, folder):
        with pytest.raises(ValueError, match=r"'extensions' parameter .* must be an array-like"):
            load_audio_folder(folder, extensions=".wav")
        with pytest.raises(ValueError, match=r"extensions=\(1,\); pass a list of endings"):
            load_audio_folder(folder, extensions=(1,))

    def test_groups_need_a_manifest(self, folder):
        with pytest.raises(ValueError, match=r"no column 'artist' to group by; found no manifest"):
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

    def test_columns_that_may_have_been_meant_for_groups(self, folder):
        write_manifest(folder, "path,genre,artsit,trakc", "rock/a.MP3,r,A,1", "folk/x.ogg,f,B,2")
        with pytest.warns(UserWarning, match="single clip|not listed"):
            clips = load_audio_folder(folder)
        assert clips.groups is None
        assert ":Other columns of the manifest: artsit, trakc" in clips.DESCR

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
            (["path|genre", "rock/a.MP3|r"], r"no column 'path' and no column 'genre'; found"),
            (["", "\t;"], r"no column 'path' and no column 'genre'; found"),
            (["path,genre,title", 'rock/a.MP3,r,"A', "folk/x.ogg,f,B"], "double quote without its"),
            (["path,genre", 'rock/a.MP3,"r"x', "folk/x.ogg,f"], "near row 2 .* double quote"),
            (["path,genre,genre", "rock/a.MP3,r,r"], r"the header names \['genre'\] twice"),
            (
                ["path,genre", "rock/a.MP3,r", "", "rock/b.wav,"],
                "'genre' is empty .* .row 4.; every clip",
            ),
            (["path,genre", "", "rock/a.MP3,r,x"], "row 3 has more fields than the header's 2"),
            (["path,genre"], "a header but no clips"),
            (["path,genre", "rock/a.MP3,r,x"], "row 2 has more fields than the header's 2"),
            (
                ["path,genre", "rock/a.MP3,r", "rock/b.wav,"],
                "'genre' is empty in 1 of 2 rows .row 3",
            ),
            (
                ["path,genre", "rock/a.MP3,r", "rock/a.MP3,r"],
                r"listed more than once, e.g. .*a.MP3",
            ),
            (
                ["path,genre,track", "rock/a.MP3,r,", "folk/x.ogg,f,1"],
                "1 of 2 clips have no value in column 'track': rock/a.MP3; .*group_by=None",
            ),
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


LISTED = ("rock/a.MP3,r", "rock/b.wav,r", "folk/x.ogg,f", "folk/z.opus,f")


class TestManifestOfTheFolder:
    def test_found_without_being_named(self, folder):
        write_manifest(folder, "path,genre,artist", *(row + ",n" for row in LISTED))
        with pytest.warns(UserWarning, match=r"1 audio file not listed in .*manifest.csv; list"):
            clips = load_audio_folder(folder)
        assert clips.target.tolist() == ["r", "r", "f", "f"]
        assert clips.groups.tolist() == ["n"] * 4
        assert names_of(clips.ignored, folder) == ["folk/live/y.flac"]
        assert f":Genres: from {folder / 'manifest.csv'}" in clips.DESCR

    def test_named_it_may_leave_clips_out(self, folder):
        write_manifest(folder, "path,genre", *LISTED)
        clips = load_audio_folder(folder, manifest="manifest.csv")
        assert names_of(clips.ignored, folder) == ["folk/live/y.flac"]

    def test_genres_left_out_are_no_loss(self, folder):
        write_manifest(folder, "path,genre", *LISTED, "folk/live/y.flac,live")
        assert len(load_audio_folder(folder, genres=["f", "r"]).data) == 4

    def test_refused(self, folder):
        write_manifest(folder, "path,genre", *LISTED)
        clips = load_audio_folder(folder, manifest=False)
        assert clips.target_names == ["folk", "rock"]
        assert names_of(clips.ignored, folder) == ["manifest.csv"]
        assert ":Genres: from the names of the subfolders" in clips.DESCR
        with pytest.raises(ValueError, match=r"no column 'artist' to group by; found no"):
            load_audio_folder(folder, manifest=False, group_by="artist")

    @pytest.mark.parametrize(
        ("rows", "error"),
        [(["name,size", "a,1"], ValueError), (["path,genre", "gone.wav,r"], FileNotFoundError)],
    )
    def test_unusable_can_be_left_alone(self, folder, rows, error):
        write_manifest(folder, *rows)
        with pytest.raises(error, match=r"manifest.csv: .* Or pass manifest=False"):
            load_audio_folder(folder)

    @pytest.mark.parametrize("manifest", [True, 3, ["manifest.csv"]])
    def test_neither_path_nor_false(self, folder, manifest):
        with pytest.raises(
            ValueError, match=r"'manifest' parameter .* 'os.PathLike', a bool among"
        ):
            load_audio_folder(folder, manifest=manifest)


class TestTablesOfOtherPrograms:
    ROWS = ("path,genre,artist", *(f"{row},Zoë" for row in LISTED))

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
    @pytest.mark.parametrize("separator", [",", ";", "\t"])
    @pytest.mark.parametrize("end", ["\n", "\r\n"])
    def test_read(self, folder, encoding, separator, end):
        text = end.join(self.ROWS).replace(",", separator) + end + separator * 2 + end
        (folder / "table.csv").write_bytes(text.encode(encoding))
        clips = load_audio_folder(folder, manifest="table.csv", group_by="artist")
        assert clips.target.tolist() == ["r", "r", "f", "f"]
        assert clips.groups.tolist() == ["Zoë"] * 4

    def test_comma_in_a_table_by_semicolons(self, folder):
        write_manifest(
            folder,
            "genre;path;title",
            "r;rock/a.MP3;a, b",
            "r;rock/b.wav;",
            "f;folk/x.ogg;c",
            "f;folk/z.opus;d",
        )
        clips = load_audio_folder(folder, manifest="manifest.csv")
        assert clips.metadata["title"].tolist() == ["a, b", "", "c", "d"]

    @pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "mac_roman", "utf-16-le"])
    def test_encodings_that_would_be_guesses(self, folder, encoding):
        (folder / "table.csv").write_bytes("\n".join(self.ROWS).encode(encoding))
        with pytest.raises(
            ValueError, match=r"table.csv: (not in UTF-8, .* row 2;|holds zero)"
        ) as error:
            load_audio_folder(folder, manifest="table.csv")
        assert 'save the table as UTF-8 (in a spreadsheet program "CSV UTF-8")' in str(error.value)

    def test_cut_utf_16(self, folder):
        (folder / "table.csv").write_bytes("\n".join(self.ROWS).encode("utf-16")[:-1])
        with pytest.raises(ValueError, match="not in UTF-16, the first other byte"):
            load_audio_folder(folder, manifest="table.csv")

    @pytest.mark.parametrize("content", [b"", b"\x00" * 10, b"\xff\xd8\xff\xe0 jpeg"])
    def test_no_table(self, folder, content):
        (folder / "table.csv").write_bytes(content)
        with pytest.raises(ValueError, match=r"table.csv: "):
            load_audio_folder(folder, manifest="table.csv")

    def test_paths_as_other_systems_write_them(self, folder, monkeypatch):
        make_files(folder, "folk/Zoe\u0308.wav", "folk/~tilde.wav")
        monkeypatch.setenv("HOME", str(folder))
        write_manifest(
            folder,
            "path,genre",
            r"rock\a.MP3,r",
            f"{folder}/rock/b.wav,r",
            "folk\\Zo\u00eb.wav,f",
            "~/folk/x.ogg,f",
            "folk/~tilde.wav,f",
        )
        clips = load_audio_folder(folder, manifest="manifest.csv")
        assert names_of(clips.data, folder) == [
            "rock/a.MP3",
            "rock/b.wav",
            "folk/Zoe\u0308.wav",
            "folk/x.ogg",
            "folk/~tilde.wav",
        ]

    def test_impossible_paths_are_not_there(self, folder):
        write_manifest(folder, "path,genre", "a" * 300 + ".wav,r", "~nobody-here/b.wav,f", *LISTED)
        with pytest.raises(FileNotFoundError, match=r"2 of 6 clips are not there, e.g. .*aaa.wav"):
            load_audio_folder(folder, manifest="manifest.csv")


class TestMusicThatIsLost:
    @pytest.fixture
    def mixed(self, folder):
        return make_files(
            folder, *(f"folk/{name}" for name in ("1.m4a", "2.M4A", "3.wma")), "rock/live/4.wv"
        )

    def test_without_ffmpeg(self, mixed, monkeypatch):
        monkeypatch.setattr(_folder, "find_spec", lambda name: None)
        with pytest.warns(UserWarning, match="audio files") as caught:
            clips = load_audio_folder(mixed)
        (message,) = [str(one.message) for one in caught]
        assert (
            "4 audio files can't be decoded: folk/*.m4a (2), folk/*.wma (1), rock/*.wv (1). "
            "Convert such files, for example to flac, or pip install av and load again"
        ) in message
        assert len(clips.data) == 5
        assert len(clips.ignored) == 4

    def test_with_ffmpeg_they_are_clips(self, mixed, monkeypatch):
        monkeypatch.setattr(_folder, "find_spec", lambda name: "found")
        clips = load_audio_folder(mixed)
        assert len(clips.data) == 9
        assert clips.ignored == []

    @pytest.mark.parametrize("ending", _folder.SCORE_EXTENSIONS)
    def test_scores_take_more_than_ffmpeg(self, folder, ending):
        make_files(folder, f"rock/1{ending}")
        with pytest.warns(UserWarning, match=rf"rock/\*\{ending} \(1\). .* example to flac\.$"):
            load_audio_folder(folder)

    def test_chosen_extensions_leave_the_others_out_on_purpose(self, mixed, monkeypatch):
        monkeypatch.setattr(_folder, "find_spec", lambda name: None)
        assert len(load_audio_folder(mixed, extensions=[".wav", ".mp3", ".ogg", ".opus"]).data) == 4

    def test_a_genre_of_nothing_else(self, folder, monkeypatch):
        monkeypatch.setattr(_folder, "find_spec", lambda name: None)
        make_files(folder, "jazz/1.m4a", "jazz/2.m4a")
        with pytest.raises(ValueError, match=r"\['jazz'\]. .* can't be decoded: jazz/\*.m4a \(2\)"):
            load_audio_folder(folder)

    def test_listed_in_a_manifest(self, mixed, monkeypatch):
        monkeypatch.setattr(_folder, "find_spec", lambda name: None)
        write_manifest(mixed, "path,genre", *LISTED, "folk/1.m4a,f")
        with pytest.warns(UserWarning, match=r"1 audio file can't be decoded: folk/\*.m4a \(1\)"):
            clips = load_audio_folder(mixed, manifest="manifest.csv")
        assert len(clips.data) == 5

    def test_beside_the_genre_folders(self, folder):
        make_files(folder, "s.wav", "t.mp3", "u.MP3", "v.mid", "notes.txt")
        with pytest.warns(
            UserWarning,
            match=r"4 audio files beside .*: \*.mid \(1\), \*.mp3 \(2\), \*.wav \(1\)",
        ):
            load_audio_folder(folder)

    def test_covers_and_texts_are_none(self, folder):
        make_files(folder, "rock/cover.jpg", "rock/a.cue", "folk/a.txt", "list.m3u", "folk/a.pdf")
        assert len(load_audio_folder(folder).ignored) == 5

    def test_no_ending_in_two_lists(self):
        every = _folder.AUDIO_EXTENSIONS + _folder.FFMPEG_EXTENSIONS + _folder.SCORE_EXTENSIONS
        assert len(set(every)) == len(every)
        assert all(ending.startswith(".") and ending.islower() for ending in every)

    def test_every_format_that_libsndfile_writes_is_a_clip(self, tmp_path):
        """By the usual ending of the format, unless it is none for music."""
        wave = np.sin(np.arange(4000) / 5).astype(np.float32)
        endings = {"SVX": "8svx", "NIST": "sph", "WAVEX": "wav"}
        for kind in set(soundfile.available_formats()) - NO_MUSIC:
            path = tmp_path / "x" / f"{kind}.{endings.get(kind, kind.lower())}"
            path.parent.mkdir(exist_ok=True)
            soundfile.write(path, wave, 48000 if kind == "OGG" else 22050, format=kind)
        make_files(tmp_path, "y/a.wav", "y/b.wav")
        clips = load_audio_folder(tmp_path)
        assert clips.ignored == []
        assert sum(clips.target == "x") >= 14
        for path in clips.data[clips.target == "x"]:
            assert soundfile.info(path).frames >= 3900, path


# Headerless, instruments and recordings of speech, and matrices: by their ending no music.
NO_MUSIC = {"RAW", "MAT4", "MAT5", "MPC2K", "SD2", "SDS", "XI", "HTK", "PVF", "WVE", "IRCAM"}


class TestLinks:
    def link(self, path: Path, to: Path) -> None:
        path.symlink_to(to, target_is_directory=True)

    def test_folder_below_a_genre(self, folder, tmp_path_factory):
        disk = make_files(tmp_path_factory.mktemp("disk"), "a.wav", "deep/b.wav", "cover.jpg")
        self.link(folder / "rock" / "disk", disk)
        clips = load_audio_folder(folder)
        assert names_of(clips.data[clips.target == "rock"], folder) == [
            "rock/a.MP3",
            "rock/b.wav",
            "rock/disk/a.wav",
            "rock/disk/deep/b.wav",
        ]
        assert names_of(clips.ignored, folder) == ["rock/disk/cover.jpg"]

    def test_file(self, folder, tmp_path_factory):
        disk = make_files(tmp_path_factory.mktemp("disk"), "a.wav")
        (folder / "rock" / "linked.wav").symlink_to(disk / "a.wav")
        assert len(load_audio_folder(folder).data) == 6

    @pytest.mark.parametrize("to", [".", "..", "../..", "/", "../rock"])
    def test_loops_end(self, folder, to):
        self.link(folder / "rock" / "loop", folder / "rock" / to)
        assert len(load_audio_folder(folder).data) == 5

    def test_loop_over_two_links(self, folder, tmp_path_factory):
        one, two = (make_files(tmp_path_factory.mktemp("disk"), f"{i}.wav") for i in (1, 2))
        self.link(one / "to", two)
        self.link(two / "to", one)
        self.link(folder / "rock" / "one", one)
        assert len(load_audio_folder(folder).data) == 7

    def test_link_to_itself_is_no_folder(self, folder):
        self.link(folder / "rock" / "self", folder / "rock" / "self")
        assert len(load_audio_folder(folder).data) == 5

    def test_one_folder_by_two_links_of_a_genre(self, folder, tmp_path_factory):
        disk = make_files(tmp_path_factory.mktemp("disk"), "a.wav")
        for name in ("one", "two"):
            self.link(folder / "rock" / name, disk)
        clips = load_audio_folder(folder)
        assert names_of(clips.data[-3:], folder) == ["rock/a.MP3", "rock/b.wav", "rock/one/a.wav"]

    def test_one_folder_in_two_genres_is_a_contradiction(self, folder, tmp_path_factory):
        disk = tmp_path_factory.mktemp("disk")
        (disk / "a.wav").write_bytes(b"music")
        for genre in ("rock", "folk"):
            self.link(folder / genre / "disk", disk)
        with pytest.warns(UserWarning, match="the same audio under different genres, .* 1 time"):
            assert len(load_audio_folder(folder).data) == 7

    def test_the_folder_itself_as_a_genre(self, folder):
        self.link(folder / "all", folder)
        with pytest.raises(ValueError, match=r"no audio file in 1 of 3 subfolders: \['all'\]"):
            load_audio_folder(folder)

    def test_broken_link_stays_a_clip_to_be_reported(self, folder):
        (folder / "rock" / "gone.wav").symlink_to(folder / "nowhere.wav")
        assert len(load_audio_folder(folder).data) == 6


class TestOddNames:
    def test_bytes_that_are_no_utf_8(self, folder):
        for name in (b"rock/caf\xe9.wav", b"caf\xe9/1.wav", b"caf\xe9/2.wav", b"caf\xe9/3.mid"):
            path = os.fsencode(folder) + b"/" + name
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(name)
        with pytest.warns(UserWarning, match=r"can't be decoded: caf\\udce9/\*.mid \(1\)"):
            clips = load_audio_folder(folder)
        assert clips.target_names == ["caf\udce9", "folk", "rock"]
        assert os.fsencode(clips.data[-1]).endswith(b"rock/caf\xe9.wav")
        for path in clips.data:
            assert os.path.exists(path)
        clips.DESCR.encode()  # as print does
        repr(clips).encode()

    @pytest.mark.parametrize("name", ["a" * 251, "é" * 125, "a b'\"\n[x] %s{}", "-rf", "名前"])
    def test_legal(self, folder, name):
        make_files(folder, f"rock/{name}.wav")
        clips = load_audio_folder(folder, genres=["rock", "folk"])
        assert f"{folder}/rock/{name}.wav" in clips.data.tolist()

    @pytest.mark.parametrize("name", ["a" * 300, "a/" * 3000])
    def test_too_long(self, tmp_path, name):
        with pytest.raises(FileNotFoundError, match="no such folder"):
            load_audio_folder(tmp_path / name)


class TestUnreadable:
    @pytest.fixture
    def no_rights(self):
        """A folder in which the process isn't the superuser, who may read everything."""
        folder = Path(tempfile.mkdtemp())
        folder.chmod(0o755)
        make_files(
            folder,
            "rock/a.wav",
            "rock/deep/b.wav",
            "folk/c.wav",
            "folk/d.wav",
            "jazz/e.wav",
            "jazz/f.wav",
        )
        superuser = os.geteuid() == 0
        if superuser:
            os.seteuid(65534)
        yield folder
        if superuser:
            os.seteuid(0)
        for place in [folder, *folder.rglob("*")]:
            place.chmod(0o700)
        shutil.rmtree(folder)

    def lock(self, path: Path, no_rights: Path) -> Path:
        user = os.geteuid()
        if user == 65534:
            os.seteuid(0)
        path.chmod(0)
        os.seteuid(user)
        return no_rights

    @pytest.mark.parametrize("place", ["", "rock", "rock/deep"])
    def test_folder(self, no_rights, place):
        self.lock(no_rights / place, no_rights)
        with pytest.raises(BadClipError, match="the folder can't be read; get permission") as error:
            load_audio_folder(no_rights)
        assert error.value.path == str(no_rights / place)

    def test_folder_of_another_genre(self, no_rights):
        self.lock(no_rights / "rock", no_rights)
        clips = load_audio_folder(no_rights, genres=["jazz", "folk"])
        assert names_of(clips.ignored, no_rights) == ["rock"]

    def test_walk_of_the_command_line(self, no_rights):
        self.lock(no_rights / "rock" / "deep", no_rights)
        paths, left_out = find_audio_files(no_rights)
        assert len(paths) == 5
        assert list(left_out) == [f"{no_rights}/rock/deep"]
        assert "the folder can't be read" in left_out[f"{no_rights}/rock/deep"]

    def test_file(self, no_rights):
        self.lock(no_rights / "rock" / "a.wav", no_rights)
        assert len(load_audio_folder(no_rights).data) == 6

    def test_manifest(self, no_rights):
        user = os.geteuid()
        os.seteuid(os.getuid())
        write_manifest(no_rights, "path,genre", "rock/a.wav,r")
        os.seteuid(user)
        self.lock(no_rights / "manifest.csv", no_rights)
        with pytest.raises(ValueError, match=r"manifest.csv: the manifest can't be read \(Permiss"):
            load_audio_folder(no_rights)


class TestDuplicates:
    @pytest.fixture
    def doubled(self, folder):
        for name, content in [
            ("rock/a.MP3", b"one"),
            ("folk/x.ogg", b"one"),
            ("rock/b.wav", b"two"),
            ("rock/c.wav", b"two"),
            ("rock/d.wav", b"2wo"),
        ]:
            (folder / name).write_bytes(content)
        return folder

    def test_warned_of(self, doubled):
        with pytest.warns(UserWarning, match="the same audio") as caught:
            clips = load_audio_folder(doubled)
        (message,) = [str(one.message) for one in caught]
        assert (
            f"the same audio under different genres, or more than once in its genre, 2 times: "
            f"{doubled}/folk/x.ogg (folk) = {doubled}/rock/a.MP3 (rock), "
            f"{doubled}/rock/b.wav (rock) = {doubled}/rock/c.wav (rock). At most one"
        ) in message
        assert [names_of(paths, doubled) for paths in clips.duplicates] == [
            ["folk/x.ogg", "rock/a.MP3"],
            ["rock/b.wav", "rock/c.wav"],
        ]
        assert len(clips.data) == 7

    def test_refused(self, doubled):
        with pytest.raises(ValueError, match=r"same audio under .* pass duplicates='warn'"):
            load_audio_folder(doubled, duplicates="raise")

    def test_ignored(self, doubled):
        assert load_audio_folder(doubled, duplicates="ignore").duplicates == []

    def test_other_words(self, folder):
        with pytest.raises(ValueError, match=r"'duplicates' parameter .* among {.* Got 'drop'"):
            load_audio_folder(folder, duplicates="drop")

    @pytest.mark.parametrize(("tracks", "harmless"), [("1122", True), ("1123", False)])
    def test_of_one_group_do_no_harm(self, doubled, tracks, harmless):
        rows = ("folk/z.opus,f", "folk/live/y.flac,f", "rock/b.wav,r", "rock/c.wav,r")
        rows = [f"{row},{track}" for row, track in zip(rows, tracks)]
        write_manifest(doubled, "path,genre,track", *rows)
        expected = nullcontext() if harmless else pytest.warns(UserWarning, match="more than once")
        with expected:
            clips = load_audio_folder(doubled, manifest="manifest.csv")
        assert len(clips.duplicates) == 1

    def test_of_one_group_but_two_genres(self, doubled):
        rows = ("folk/x.ogg,f,1", "rock/a.MP3,r,1", "rock/b.wav,r,2", "folk/z.opus,f,3")
        write_manifest(doubled, "path,genre,track", *rows)
        with pytest.warns(UserWarning, match="under different genres"):
            load_audio_folder(doubled, manifest="manifest.csv")

    def test_many_are_counted(self, folder):
        for row in range(12):
            for genre in ("rock", "folk"):
                (folder / genre / f"n{row}.wav").write_bytes(bytes([row]))
        with pytest.warns(UserWarning, match=r"genres, .* 12 times: .* \(rock\), \.\.\.\. At"):
            assert len(load_audio_folder(folder).duplicates) == 12

    def test_alike_but_for_one_byte_anywhere(self, folder):
        """As clips of one length in wav are, whose sizes say nothing."""
        for row, place in enumerate((0, 150_000, 299_999)):
            content = bytearray(300_000)
            content[place] = 1
            (folder / "rock" / f"n{row}.wav").write_bytes(content)
        (folder / "folk" / "zeros.wav").write_bytes(bytes(300_000))
        assert load_audio_folder(folder).duplicates == []

    def test_no_more_is_read_than_needed(self, folder, monkeypatch):
        read = Counter()
        digest = _folder._digest
        monkeypatch.setattr(_folder, "_digest", lambda path: read.update([path]) or digest(path))
        for row in range(20):
            (folder / "rock" / f"n{row}.wav").write_bytes(bytes([row]) * max(1000, 990 + row))
        load_audio_folder(folder)
        assert sum(read.values()) == 11  # those of 1,000 bytes

    def test_empty_files_and_pipes_are_none(self, folder):
        os.mkfifo(folder / "rock" / "pipe.wav")
        os.mkfifo(folder / "rock" / "pipe2.wav")
        assert load_audio_folder(folder).duplicates == []


class TestSummary:
    def test_short(self, folder):
        clips = load_audio_folder(folder)
        assert repr(clips) == (
            "<5 clips of 2 genres: folk (3), rock (2); attributes: data, target, target_names, "
            "groups, metadata, ignored, duplicates, DESCR>"
        )
        assert str(clips) == repr(clips)
        assert isinstance(clips, Bunch)
        again = pickle.loads(pickle.dumps(clips))
        assert repr(again) == repr(clips)
        assert again.target.tolist() == clips.target.tolist()

    def test_many_genres(self, tmp_path):
        make_files(tmp_path, *(f"genre {i}/{j}.wav" for i in range(30) for j in range(2)))
        clips = load_audio_folder(tmp_path)
        assert "genre 16 (2), genre 17 (2), ...; attributes" in repr(clips)
        assert len(repr(clips)) < 300

    def test_other_loaders(self):
        clips = make_genre_clips(4, 2, duration=1, return_X_y=False)
        assert repr(clips).startswith("<4 clips of 2 genres: genre_0 (2), genre_1 (2); attributes")
        assert repr(load_mini_genres()).startswith("<48 clips of 4 genres: ambient (12), elec")


def test_both_layouts_of_the_real_music_agree():
    folder = shared_data("music")
    listed = load_audio_folder(folder, manifest="manifest.csv")
    walked = load_audio_folder(folder, manifest=False)
    assert len(listed.data) == 227
    assert len(set(listed.groups)) == 158
    assert sorted(zip(listed.data, listed.target)) == sorted(zip(walked.data, walked.target))
    assert names_of(walked.ignored, folder) == ["LICENSES.md", "manifest.csv"]


def test_a_manifest_with_paths_in_other_words(folder, tmp_path):
    here = tmp_path.parent / f"{tmp_path.name}-link"
    here.symlink_to(tmp_path)
    rows = [
        f"{path.resolve()},{path.relative_to(folder).parts[0]}" for path in folder.glob("*/*.*")
    ]
    write_manifest(folder, "path,genre", *rows, f"../{folder.name}/folk/live/y.flac,folk")
    for given in (folder, here):
        assert len(load_audio_folder(given).data) == 5  # nothing is said to be missing
    here.unlink()


def test_a_list_to_group_by(folder):
    write_manifest(folder, *MANIFEST)
    with pytest.raises(ValueError, match=r"'group_by' parameter .* Got \['genre'\]"):
        load_audio_folder(folder, group_by=["genre"])


def test_no_endings(folder):
    with pytest.raises(ValueError, match="no audio file in 2 of 2 subfolders"):
        load_audio_folder(folder, extensions=[])


def forms(text: str) -> list[str]:
    """The two ways in which Unicode writes an accent."""
    return [unicodedata.normalize(form, text) for form in ("NFC", "NFD")]


class TestUnicode:
    def test_manifest(self, folder):
        genres, artists = forms("Électro"), forms("Béla")
        rows = [
            f"{row.split(',')[0]},{genres[i % 2]},{artists[i % 2]}" for i, row in enumerate(LISTED)
        ]
        write_manifest(folder, "path,genre,artist", *rows, "folk/live/y.flac,r,x")
        with pytest.warns(UserWarning, match="a single clip"):
            clips = load_audio_folder(folder)
        assert clips.target_names == ["r", genres[0]]
        assert clips.groups.tolist() == [artists[0]] * 4 + ["x"]
        with pytest.warns(UserWarning, match="a single clip"):
            assert len(load_audio_folder(folder, genres=[genres[1], "r"]).data) == 5

    def test_genre_folders(self, folder):
        genres = forms("Électro")
        make_files(folder, *(f"{genre}/{i}.wav" for i, genre in enumerate(genres)))
        clips = load_audio_folder(folder, genres=["rock", genres[1]])
        assert clips.target.tolist() == ["rock"] * 2 + [genres[0]] * 2
        assert all(map(os.path.exists, clips.data))
        assert load_audio_folder(folder).target_names == ["folk", "rock", genres[0]]


def test_genres_that_look_alike(folder):
    names = ("Hip-Hop", "hip-hop", "Hip Hop", "hip_hop", "nan")
    make_files(folder, *(f"{name}/{i}.wav" for name in names for i in range(2)))
    with pytest.warns(UserWarning, match="case, space or hyphen") as caught:
        clips = load_audio_folder(folder)
    (message,) = [str(one.message) for one in caught]
    assert "['Hip Hop', 'Hip-Hop', 'hip-hop', 'hip_hop']. Give them one spelling" in message
    assert "genres ['nan'], which look like missing values" in message
    assert len(clips.target_names) == 7  # nothing is changed


def test_one_long_text_in_a_manifest_does_not_widen_all(folder):
    write_manifest(
        folder,
        "path,genre,words",
        *(f"{row},{'la ' * 20_000}" for row in LISTED[:1]),
        *(f"{row},la" for row in LISTED[1:]),
    )
    with pytest.warns(UserWarning, match="not listed"):
        words = load_audio_folder(folder).metadata["words"]
    assert words.nbytes < 100
    assert [len(one) for one in words] == [59_999, 2, 2, 2]


class TestGroupsOfFiles:
    @pytest.fixture
    def by_artist(self, tmp_path):
        return make_files(
            tmp_path,
            *("rock/abba/1.wav", "rock/abba/2.wav", "rock/kiss/live/3.wav", "rock/loose.wav"),
            *("folk/ann - one.wav", "folk/bo - two.wav"),
        )

    @pytest.mark.parametrize(
        ("pattern", "groups"),  # - stands for a group of its own
        [
            ("{genre}/{artist}/**", "- - abba abba kiss -"),
            ("{genre}/{artist} - *", "ann bo - - - -"),
            ("*/{artist}/{album}/*.wav", "- - - - kiss -"),
        ],
    )
    def test_pattern(self, by_artist, pattern, groups):
        with pytest.warns(UserWarning, match=r"of 6 clips don't match .* group of its own: "):
            clips = load_audio_folder(by_artist, group_by=pattern)
        names = names_of(clips.data, by_artist)
        expected = [name if group == "-" else group for name, group in zip(names, groups.split())]
        assert clips.groups.tolist() == expected
        assert f"by {pattern!r}" in clips.DESCR

    def test_all_match(self, by_artist):
        for path in ("rock/loose.wav", "rock/kiss/live/3.wav"):
            (by_artist / path).unlink()
        make_files(by_artist, *(f"folk/{name}/1.wav" for name in forms("Zoë")))
        for path in by_artist.glob("folk/*.wav"):
            path.unlink()
        clips = load_audio_folder(by_artist, group_by="{genre}/{artist}/*")
        assert clips.groups.tolist() == [forms("Zoë")[0]] * 2 + ["abba"] * 2
        rows = [f"{path},{path.split('/')[0]}" for path in names_of(clips.data, by_artist)]
        write_manifest(by_artist, "path,genre", *rows)
        listed = load_audio_folder(by_artist, group_by="{genre}/{artist}/*")
        assert sorted(listed.groups) == sorted(clips.groups)

    def test_refused(self, by_artist):
        with pytest.raises(ValueError, match=r"6 of 6 clips don't match .*: folk/ann - one"):
            load_audio_folder(by_artist, group_by="{genre}/{artist}/x/y/*")
        with pytest.raises(ValueError, match="names no part of the path to group by"):
            load_audio_folder(by_artist, group_by="{genre}/*")

    @pytest.mark.parametrize("installed", [True, False])
    def test_tags(self, tmp_path, monkeypatch, installed):
        if not installed:
            monkeypatch.setitem(sys.modules, "av", None)
        noise = np.random.default_rng(0).uniform(-0.1, 0.1, 4000)
        for name, artist in (
            *(("rock/1.flac", "Ann"), ("rock/2.ogg", forms("Zoë")[0]), ("rock/3.wav", "Ann")),
            *(("folk/4.flac", ""), ("folk/5.flac", forms("Zoë")[1])),
        ):
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            with soundfile.SoundFile(path, "w", 22050, 1) as file:
                if artist:
                    file.artist = artist
                file.write(noise)
        with pytest.warns(UserWarning, match=r"1 of 5 clips have no tag 'artist', .*: folk/4.flac"):
            clips = load_audio_folder(tmp_path, group_by="tags:artist")
        zoe = forms("Zoë")[0]
        assert clips.groups.tolist() == ["folk/4.flac", zoe, "Ann", zoe, "Ann"]
        with pytest.raises(ValueError, match="5 of 5 clips have no tag 'composer'"):
            load_audio_folder(tmp_path, group_by="tags:composer")


class TestFindAudioFiles:
    def test_walk(self, folder, tmp_path_factory, monkeypatch):
        disk = make_files(tmp_path_factory.mktemp("disk"), "a.mkv", "b.MOV", "c.avi")
        (folder / "rock" / "disk").symlink_to(disk)
        make_files(folder, "s.wav", "t.mid", "cover.jpg", ".hidden.wav")
        paths, left_out = find_audio_files(folder)
        assert names_of(paths, folder)[0] == "s.wav"
        assert len(paths) == 9
        assert names_of(left_out, folder) == ["t.mid"]
        monkeypatch.setattr(_folder, "find_spec", lambda name: None)
        paths, left_out = find_audio_files(folder)
        assert len(paths) == 6
        assert left_out[f"{folder}/rock/disk/b.MOV"] == (
            "no decoder for .mov. Convert such files, for example to flac, or pip install av and "
            "load again."
        )
