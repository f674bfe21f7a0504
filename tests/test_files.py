"""Files are complete and right, or nothing is there."""

import hashlib
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from sklearn_genremoe._files import data_folder, fetch_file, user_path, write_atomically
from tests._server import file_server

CONTENT = bytes(range(256)) * 4000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def server():
    with file_server() as server:
        server.files["/x.bin"] = CONTENT
        yield server


@pytest.mark.parametrize("known_hash", [SHA256, "sha1:" + hashlib.sha1(CONTENT).hexdigest()])
def test_downloads_once(server, tmp_path, known_hash):
    folder = tmp_path / "not" / "yet"
    for _ in range(2):
        path = fetch_file(server.url("/x.bin"), "x.bin", known_hash, folder)
        assert path == folder / "x.bin"
        assert path.read_bytes() == CONTENT
    assert server.requests["/x.bin"] == 1
    assert os.listdir(folder) == ["x.bin"]


def test_offline_once_there(server, tmp_path):
    url = server.url("/x.bin")
    with pytest.raises(FileNotFoundError, match=r"x.bin: no such file, and download_if_missing=F"):
        fetch_file(url, "x.bin", SHA256, tmp_path, download_if_missing=False)
    fetch_file(url, "x.bin", SHA256, tmp_path)
    server.server_close()
    assert fetch_file(url, "x.bin", SHA256, tmp_path, download_if_missing=False).is_file()
    assert fetch_file(url, "x.bin", SHA256, tmp_path).is_file()


def test_a_damaged_file_is_replaced(server, tmp_path):
    (tmp_path / "x.bin").write_bytes(CONTENT[:-1])
    with pytest.raises(FileNotFoundError, match="the file there has another hash"):
        fetch_file(server.url("/x.bin"), "x.bin", SHA256, tmp_path, download_if_missing=False)
    path = fetch_file(server.url("/x.bin"), "x.bin", SHA256, tmp_path)
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (404, "the server answers 404 Not Found"),
        (500, "the server answers 500 Internal Server Error"),
        ("drop", "the connection broke off"),
    ],
)
def test_the_server_fails(server, tmp_path, fault, message):
    server.faults["/x.bin"] = fault
    url = server.url("/x.bin")
    with pytest.raises(ConnectionError, match=message) as error:
        fetch_file(url, "x.bin", SHA256, tmp_path)
    assert f"Or download {url} by other means" in str(error.value)
    assert f"the name x.bin, into {tmp_path}" in str(error.value)
    assert os.listdir(tmp_path) == []
    server.faults.clear()
    assert fetch_file(url, "x.bin", SHA256, tmp_path).read_bytes() == CONTENT


def test_no_network(server, tmp_path):
    server.server_close()
    (tmp_path / "y.bin").write_bytes(CONTENT[:-1])
    with pytest.raises(ConnectionError, match="The file of that name there has another hash"):
        fetch_file(server.url("/y.bin"), "y.bin", SHA256, tmp_path)
    (tmp_path / "y.bin").unlink()
    with pytest.raises(ConnectionError, match=r"x.bin could not be downloaded .* can't be reached"):
        fetch_file(server.url("/x.bin"), "x.bin", SHA256, tmp_path)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("before", [None, CONTENT[:-1]])
def test_another_hash(server, tmp_path, before):
    server.files["/x.bin"] = CONTENT + b"!"
    if before:
        (tmp_path / "x.bin").write_bytes(before)
    with pytest.raises(OSError, match=f"is damaged or has been changed, .* not {SHA256}; nothing"):
        fetch_file(server.url("/x.bin"), "x.bin", SHA256, tmp_path)
    assert [(tmp_path / name).read_bytes() for name in os.listdir(tmp_path)] == (
        [before] if before else []
    )


@pytest.mark.parametrize("place", ["/proc/genremoe", "/dev/null/genremoe"])
def test_a_folder_that_cannot_be_made(server, place):
    with pytest.raises(OSError, match=f"x.bin could not be kept in {place}: .* choose another fol"):
        fetch_file(server.url("/x.bin"), "x.bin", SHA256, place)


def test_no_room(server, tmp_path):
    """A limit on the size of files stands in for a full disk: it stops a write in the middle."""
    code = (
        "import resource; from sklearn_genremoe._files import fetch_file\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        f"fetch_file({server.url('/x.bin')!r}, 'x.bin', {SHA256!r}, {str(tmp_path)!r})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 100_000
    assert f"OSError: x.bin could not be kept in {tmp_path}: File too large. Make room" in (
        done.stderr
    )
    assert os.listdir(tmp_path) == []


def test_which_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("SKLEARN_GENREMOE_DATA", str(tmp_path))
    assert data_folder() == tmp_path
    assert data_folder("~/x") == Path.home() / "x"
    monkeypatch.delenv("SKLEARN_GENREMOE_DATA")
    assert data_folder().name == "sklearn-genremoe"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("a/~b", "a/~b"),
        ("~", "HOME"),
        ("~/a.wav", "HOME/a.wav"),
        (Path("~/a"), "HOME/a"),
        (b"~/a", "HOME/a"),
        ("~old", "~old"),
        ("~old/a", "~old/a"),
        ("~root", os.path.expanduser("~root")),
        ("~no-such-user/a", "~no-such-user/a"),
    ],
)
def test_user_path_expands_homes_only(given, expected, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for name in ("~old", "~"):  # what is named ~ is reached by ./~
        (tmp_path / name).mkdir()
    (tmp_path / "~old" / "a").touch()
    assert user_path(given) == Path(expected.replace("HOME", str(tmp_path)))


def test_user_path_without_a_home_or_a_path(monkeypatch) -> None:
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    with pytest.raises(ValueError, match=r"~/a: no home folder .* give the path in full"):
        user_path("~/a")
    with pytest.raises(ValueError, match=r"expected a path \(str or Path\), found 3"):
        user_path(3)


@pytest.mark.parametrize("refused", ["sync", "list"])
def test_folders_that_cannot_be_synced_or_listed(tmp_path, monkeypatch, refused):
    """As on CIFS and some FUSE, and where a folder may be written to only."""
    sync, opened = os.fsync, os.open

    def fsync(descriptor):
        if refused == "sync" and os.path.isdir(f"/proc/self/fd/{descriptor}"):
            raise OSError(22, "Invalid argument")
        sync(descriptor)

    def open_(path, *arguments, **options):
        if refused == "list" and os.path.isdir(path):
            raise PermissionError(13, "Permission denied")
        return opened(path, *arguments, **options)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "open", open_)
    write_atomically(tmp_path / "a", CONTENT)
    assert (tmp_path / "a").read_bytes() == CONTENT
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("mode", [0o640, 0o600, 0o444])
def test_a_file_keeps_its_mode(tmp_path, mode):
    path = tmp_path / "a"
    path.touch()
    path.chmod(mode)
    write_atomically(path, CONTENT)
    assert path.stat().st_mode & 0o777 == mode
