"""FMA by way of a real server, in the true layout: what it gives, and how it fails."""

import csv
import hashlib
import io
import os
import shutil
import subprocess
import sys
import zipfile

import pytest

from sklearn_genremoe.datasets import _fma, fetch_fma
from tests._server import file_server

# track, subset, split, genre, title, licence, album, artist id, artist
TRACKS = [
    (2, "medium", "training", "Hip-Hop", "Food", "BY-NC", "AWOL", 1, "AWOL"),
    (140, "small", "training", "Folk", "Queen Of\nThe Wires", "BY", "Alec", 54, "Alec, Redfearn"),
    (98565, "small", "training", "Folk", "Short", "BY", "x", 55, "Zoë"),
    (10666, "small", "validation", "Rock", "Y", "BY", "x", 56, "B"),
    (99134, "small", "validation", "Rock", "Empty", "BY", "x", 56, "B"),
    (141, "small", "test", "Folk", "Ohio", "BY", "x", 57, "C"),
    (155000, "small", "test", "Rock", "Z", "BY", "x", 58, "D"),
    (3, "large", "training", "", "No genre", "BY", "x", 1, "AWOL"),
    (5, "large", "training", "Jazz", "J", "BY", "x", 1, "AWOL"),
]
SMALL = {"000/000140.mp3", "010/010666.mp3", "000/000141.mp3", "155/155000.mp3"}


def table(tracks=TRACKS) -> bytes:
    """tracks.csv as published: three header rows, and more columns than anybody needs."""
    columns = [
        ("album", "title"),
        ("album", "information"),
        ("artist", "id"),
        ("artist", "name"),
        ("set", "split"),
        ("set", "subset"),
        ("track", "genre_top"),
        ("track", "license"),
        ("track", "title"),
    ]
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(["", *(first for first, _ in columns)])
    writer.writerow(["", *(second for _, second in columns)])
    writer.writerow(["track_id", *[""] * len(columns)])
    for track, subset, split, genre, title, licence, album, artist_id, artist in tracks:
        long = "<p>" * 60_000 * (track == 2)  # beyond what the csv module takes by default
        writer.writerow(
            [track, album, long, artist_id, artist, split, subset, genre, licence, title]
        )
    return file.getvalue().encode()


def archive(files: dict[str, bytes], compression=zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as target:
        for name, content in files.items():
            target.writestr(name, content)
    return file.getvalue()


def mp3s(name: str, paths) -> dict[str, bytes]:
    return {f"{name}/{path}": path.encode() * 1000 for path in paths} | {f"{name}/README.txt": b"r"}


@pytest.fixture
def server(monkeypatch):
    with file_server() as server:
        monkeypatch.setattr(_fma, "_BASE_URL", server.url("/"))
        monkeypatch.setattr(_fma, "_HASHES", {})

        def publish(name, content):
            server.files[f"/{name}"] = content
            _fma._HASHES[name] = "sha1:" + hashlib.sha1(content).hexdigest()

        server.publish = publish
        metadata = {"fma_metadata/tracks.csv": table(), "fma_metadata/genres.csv": b"x"}
        publish("fma_metadata.zip", archive(metadata))
        publish("fma_small.zip", archive(mp3s("fma_small", SMALL)))
        yield server


def fetch(folder, *args, **options):
    with pytest.warns(UserWarning, match="clips are left out"):
        return fetch_fma(*args, data_home=folder, **options)


def test_addresses_and_hashes_are_the_official_ones():
    assert _fma._BASE_URL == "https://os.unil.cloud.switch.ch/fma/"
    assert _fma._HASHES == {
        "fma_metadata.zip": "sha1:f0df49ffe5f2a6008d7dc83c6915b31835dfe733",
        "fma_small.zip": "sha1:ade154f733639d52e35e32f5593efe5be76c6d70",
        "fma_medium.zip": "sha1:c67b69ea232021025fca9231fc1c7c1a063ab50b",
        "fma_large.zip": "sha1:497109f4dd721066b5ce5e5f250ec604dc78939e",
    }
    assert set(map(int, _fma._SHORT)) == {98565, 98567, 98569, 99134, 108925, 133297}


def test_bunch(server, tmp_path):
    with pytest.warns(
        UserWarning,
        match=r"FMA-small: clips are left out, 2 known to be empty or .* \(tracks 98565, 99134\)\.",
    ):
        clips = fetch_fma(data_home=tmp_path)
    assert clips.data.tolist() == [
        f"{tmp_path}/fma_small/{path}"
        for path in ("000/000140.mp3", "000/000141.mp3", "010/010666.mp3", "155/155000.mp3")
    ]
    assert all(os.path.isfile(path) for path in clips.data)
    assert clips.target.tolist() == ["Folk", "Folk", "Rock", "Rock"]
    assert clips.target_names == ["Folk", "Rock"]
    assert clips.groups.tolist() == ["54", "57", "56", "58"]
    assert clips.split.tolist() == ["training", "test", "validation", "test"]
    assert clips.metadata["title"].tolist() == ["Queen Of\nThe Wires", "Ohio", "Y", "Z"]
    assert clips.metadata["artist"][0] == "Alec, Redfearn"
    assert clips.metadata["licence"].tolist() == ["BY"] * 4
    assert [os.path.basename(path) for path in clips.left_out] == ["098565.mp3", "099134.mp3"]
    for words in ("FMA-small", "CC BY 4.0", "arXiv", "test (2), training (1), validation (1)"):
        assert words.lower() in clips.DESCR.lower()
    assert repr(clips).startswith("<4 clips of 2 genres: Folk (2), Rock (2); attributes: data")
    assert sorted(os.listdir(tmp_path)) == ["fma_metadata", "fma_small"]
    assert os.listdir(tmp_path / "fma_metadata") == ["tracks.csv"]


def test_second_call_downloads_nothing(server, tmp_path):
    first = fetch(tmp_path)
    server.server_close()
    second = fetch(tmp_path, download_if_missing=False)
    assert second.data.tolist() == first.data.tolist()
    assert server.requests == {"/fma_metadata.zip": 1, "/fma_small.zip": 1}


@pytest.mark.parametrize(
    ("split", "tracks"),
    [("training", [140]), ("train", [140]), ("validation", [10666]), ("test", [141, 155000])],
)
@pytest.mark.filterwarnings("ignore:FMA-small. clips are left out")
def test_split(server, tmp_path, split, tracks):
    X, y = fetch_fma(split=split, data_home=tmp_path, return_X_y=True)
    assert [int(os.path.basename(path)[:6]) for path in X] == tracks
    assert len(y) == len(tracks)


@pytest.mark.parametrize(
    ("subset", "tracks"), [("medium", [2, 140, 141, 10666, 155000]), ("large", [2, 5, 140, 141])]
)
def test_larger_subsets_contain_the_smaller(server, tmp_path, subset, tracks):
    paths = [f"{track:06d}"[:3] + f"/{track:06d}.mp3" for track in tracks]
    server.publish(f"fma_{subset}.zip", archive(mp3s(f"fma_{subset}", paths)))
    clips = fetch(tmp_path, subset)
    assert clips.metadata["track_id"].tolist() == [str(track) for track in tracks]
    if subset == "large":
        assert "1 without a top genre (tracks 3), 2 missing in" in clips.DESCR


def test_missing_clips_are_counted(server, tmp_path):
    server.publish("fma_small.zip", archive(mp3s("fma_small", sorted(SMALL)[:3])))
    with pytest.warns(UserWarning, match=r", 1 missing in .*fma_small \(tracks 155000\)"):
        assert len(fetch_fma(data_home=tmp_path).data) == 3


def test_another_layout(server, tmp_path):
    server.publish("fma_small.zip", archive({"fma_small/140.mp3": b"x"}))
    with pytest.raises(
        FileNotFoundError, match=r"none of the 6 clips is there. The layout must be"
    ):
        fetch_fma(data_home=tmp_path)


def test_folders_that_are_there_already(server, tmp_path):
    for name, files in [("fma_small", mp3s("fma_small", SMALL)), ("fma_metadata", {})]:
        for path, content in {**files, f"{name}/checksums": b"x"}.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_bytes(content)
    assert len(fetch(tmp_path).data) == 4
    assert server.requests == {"/fma_metadata.zip": 1}
    assert sorted(os.listdir(tmp_path / "fma_metadata")) == ["checksums", "tracks.csv"]


def test_archives_put_there_by_hand(server, tmp_path):
    for name, content in server.files.items():
        (tmp_path / name.strip("/")).write_bytes(content)
    (tmp_path / "fma_small").mkdir()
    server.server_close()
    assert len(fetch(tmp_path, download_if_missing=False).data) == 4


def test_folder_from_the_environment(server, tmp_path, monkeypatch):
    monkeypatch.setenv("SKLEARN_GENREMOE_DATA", str(tmp_path))
    assert fetch(None).data[0].startswith(str(tmp_path))


@pytest.mark.parametrize("arguments", [{"subset": "full"}, {"subset": None}, {"split": "valid"}])
def test_unknown_arguments(tmp_path, arguments):
    (name,) = arguments
    with pytest.raises(ValueError, match=f"'{name}' parameter of fetch_fma must be a str among"):
        fetch_fma(data_home=tmp_path, **arguments)


def test_not_to_be_downloaded(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"fma_metadata.zip: no such file, and download_if_"
    ):
        fetch_fma(data_home=tmp_path, download_if_missing=False)
    assert os.listdir(tmp_path) == []


class TestFaults:
    """After each of them nothing looks complete, and the next call succeeds."""

    def fails(self, folder, error, message, left=("fma_metadata",)):
        with pytest.raises(error, match=message):
            fetch_fma(data_home=folder)
        assert sorted(os.listdir(folder)) == sorted(left)

    @pytest.mark.parametrize("fault", [404, 500, 503, "drop"])
    @pytest.mark.parametrize("name", ["fma_metadata.zip", "fma_small.zip"])
    def test_server(self, server, tmp_path, name, fault):
        server.faults[f"/{name}"] = fault
        left = ["fma_metadata"] * (name == "fma_small.zip")
        self.fails(tmp_path, ConnectionError, f"{name} could not be downloaded from http.*", left)
        server.faults.clear()
        assert len(fetch(tmp_path).data) == 4

    def test_no_network(self, server, tmp_path):
        server.server_close()
        self.fails(tmp_path, ConnectionError, "fma_metadata.zip .* can't be reached", [])

    def test_wrong_checksum(self, server, tmp_path):
        content = server.files["/fma_small.zip"]
        server.files["/fma_small.zip"] = content[:-1] + b"!"
        self.fails(tmp_path, OSError, "fma_small.zip: what arrived from .* is damaged")
        server.files["/fma_small.zip"] = content
        assert len(fetch(tmp_path).data) == 4

    @pytest.mark.parametrize("keep", [0.3, 0.95])
    def test_truncated_as_published(self, server, tmp_path, keep):
        content = server.files["/fma_small.zip"]
        server.publish("fma_small.zip", content[: int(len(content) * keep)])
        self.fails(
            tmp_path,
            OSError,
            "fma_small.zip could not be unpacked in .*File is not a zip",
            ["fma_metadata", "fma_small.zip"],
        )
        (tmp_path / "fma_small.zip").unlink()
        server.publish("fma_small.zip", content)
        assert len(fetch(tmp_path).data) == 4

    def test_damaged_within(self, server, tmp_path):
        content = bytearray(archive(mp3s("fma_small", SMALL), zipfile.ZIP_STORED))
        content[len(content) // 2] ^= 0xFF
        server.publish("fma_small.zip", bytes(content))
        self.fails(
            tmp_path,
            OSError,
            "fma_small.zip could not be unpacked in .*CRC",
            ["fma_metadata", "fma_small.zip"],
        )

    @pytest.mark.parametrize(
        "entry",
        [
            "../evil.txt",
            "fma_small/../../evil.txt",
            "/tmp/evil-genremoe.txt",
            "fma_small\\..\\..\\evil.txt",
            "evil.txt",
            "fma_smaller/evil.txt",
        ],
    )
    def test_entry_that_climbs_out(self, server, tmp_path, entry):
        home = tmp_path / "home"
        server.publish("fma_small.zip", archive(mp3s("fma_small", SMALL) | {entry: b"evil"}))
        assert len(fetch(home).data) == 4
        assert os.listdir(tmp_path) == ["home"]
        assert sorted(os.listdir(home)) == ["fma_metadata", "fma_small"]
        assert not os.path.exists("/tmp/evil-genremoe.txt")

    def test_without_the_table(self, server, tmp_path):
        server.publish("fma_metadata.zip", archive({"fma_metadata/genres.csv": b"x"}))
        self.fails(
            tmp_path,
            OSError,
            "could not be unpacked in .*no fma_metadata/tracks.csv",
            ["fma_metadata.zip"],
        )

    @pytest.mark.parametrize(
        "content", [b"", b"path,genre\na,b\n", table()[:200], b"\xff\xfe\x00", table([])]
    )
    def test_another_table(self, server, tmp_path, content):
        server.publish("fma_metadata.zip", archive({"fma_metadata/tracks.csv": content}))
        with pytest.raises(ValueError, match=r"tracks.csv (isn't the published table|lists no)"):
            fetch_fma(data_home=tmp_path)
        assert csv.field_size_limit() == 131072

    def test_folder_that_cannot_be_made(self, server):
        with pytest.raises(OSError, match=r"fma_metadata.zip could not be kept in /proc/x"):
            fetch_fma(data_home="/proc/x")

    @pytest.mark.parametrize("full", ["archive", "unpacked"])
    def test_no_room(self, server, tmp_path, full):
        """A limit on the size of files, as a full disk does, stops a write in the middle."""
        big = {**mp3s("fma_small", SMALL), "fma_small/000/000140.mp3": bytes(10**6)}
        kind = zipfile.ZIP_STORED if full == "archive" else zipfile.ZIP_DEFLATED
        server.publish("fma_small.zip", archive(big, kind))
        _fma._fetch(tmp_path, "fma_metadata/tracks.csv", True)
        code = (
            "import resource; from sklearn_genremoe.datasets import _fma, fetch_fma\n"
            f"_fma._BASE_URL = {server.url('/')!r}; _fma._HASHES = {_fma._HASHES!r}\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
            f"fetch_fma(data_home={str(tmp_path)!r})"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        wanted = "could not be kept" if full == "archive" else "could not be unpacked"
        assert f"fma_small.zip {wanted} in {tmp_path}: File too large" in done.stderr
        left = ["fma_metadata"] + ["fma_small.zip"] * (full == "unpacked")
        assert sorted(os.listdir(tmp_path)) == left
        assert len(fetch(tmp_path).data) == 4

    def test_interrupted_while_unpacking(self, server, tmp_path, monkeypatch):
        def interrupt(source, wanted):
            assert list(source.rglob("*.mp3"))
            raise KeyboardInterrupt

        _fma._fetch(tmp_path, "fma_metadata/tracks.csv", True)
        with monkeypatch.context() as patch:
            patch.setattr(_fma.os, "replace", interrupt)
            patch.setattr(_fma, "fetch_file", lambda *_, **__: archive_path)
            archive_path = tmp_path / "fma_small.zip"
            archive_path.write_bytes(server.files["/fma_small.zip"])
            with pytest.raises(KeyboardInterrupt):
                fetch_fma(data_home=tmp_path)
        assert sorted(os.listdir(tmp_path)) == ["fma_metadata", "fma_small.zip"]
        assert len(fetch(tmp_path).data) == 4
        assert server.requests == {"/fma_metadata.zip": 1}

    def test_another_process_was_faster(self, server, tmp_path, monkeypatch):
        """Two that unpack at once: the second finds the folder there, and what is there stays."""
        replace = os.replace
        _fma._fetch(tmp_path, "fma_metadata/tracks.csv", True)

        def twice(source, wanted):
            if source.is_dir():
                shutil.copytree(source, wanted)
            replace(source, wanted)

        with monkeypatch.context() as patch:
            patch.setattr(_fma.os, "replace", twice)
            patch.setattr(_fma, "fetch_file", lambda *_, **__: archive_path)
            archive_path = tmp_path / "fma_small.zip"
            archive_path.write_bytes(server.files["/fma_small.zip"])
            with pytest.raises(OSError, match=r"could not be unpacked .*not empty"):
                fetch_fma(data_home=tmp_path)
        assert len(fetch(tmp_path).data) == 4
