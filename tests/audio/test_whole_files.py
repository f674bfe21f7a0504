"""All of a file is heard, or it is refused: joined, tagged, cut off, and in memory."""

import io
import os
import signal
import sys
import tempfile
import threading
import time
import warnings
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from sklearn_genremoe import MFCC, AudioLoader
from sklearn_genremoe.audio import BadClipError, decode_audio, read_excerpts

RATE = 22050
ID3V1 = b"TAG" + bytes(125)
APE = (
    b"APETAGEX" + b"\xd0\x07\0\0\x20\x4e\0\0" + bytes(16) + b"\xff\xfb\x9c" * 6000 + b"APETAGEX" * 4
)


def encoded(form, subtype, seconds=2.0, rate=RATE, channels=1, seed=0):
    """The bytes of an audio file of noise."""
    noise = np.random.default_rng(seed).uniform(-0.3, 0.3, (round(seconds * rate), channels))
    file = io.BytesIO()
    soundfile.write(file, noise, rate, format=form, subtype=subtype)
    return file.getvalue()


OGG, OPUS, FLAC, MP3 = (
    ("OGG", "VORBIS"),
    ("OGG", "OPUS"),
    ("FLAC", "PCM_16"),
    ("MP3", "MPEG_LAYER_III"),
)


def check_whole(path, seconds, slack=0.1):
    """See that a file has its length, as a whole, as a part behind the joint, and by excerpts."""
    whole = decode_audio(path)
    assert len(whole) / RATE == pytest.approx(seconds, abs=slack)
    part = decode_audio(path, offset=seconds - 1.5, duration=1.0)
    start = round((seconds - 1.5) * RATE)
    np.testing.assert_allclose(part, whole[start : start + RATE], atol=2e-3)
    *_, last = read_excerpts(str(path), 1.0, 1.0)
    assert last.end == pytest.approx(seconds, abs=slack)
    assert np.abs(whole[-RATE // 2 :]).max() > 0.05


@pytest.mark.parametrize("kind", [OGG, OPUS], ids=lambda kind: kind[1])
@pytest.mark.parametrize("lengths", [(2, 2, 2), (2, 3), (3, 2)])
def test_chained_ogg(tmp_path, kind, lengths):
    rate = 24000 if kind == OPUS else RATE
    links = [encoded(*kind, seconds=n, rate=rate, seed=n) for n in lengths]
    path = tmp_path / "radio.ogg"
    path.write_bytes(b"".join(links))
    check_whole(path, sum(lengths))
    path.write_bytes(b"".join(links)[:-2000])
    with pytest.raises(BadClipError, match=r"cut off after [345]\.\d\d s, in the middle of a page"):
        decode_audio(path)


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("other", [{}, {"channels": 2}, {"rate": 44100}, {"rate": 16000}])
def test_joined_mp3(tmp_path, header, other, capfd):
    first, second = encoded(*MP3), encoded(*MP3, seed=1, **other)
    if not header:  # the first frame, which counts the others
        first = first[first.find(first[:2], 4) :]
    path = tmp_path / "a.mp3"
    for tag in (b"", ID3V1):
        path.write_bytes(first + second + tag)
        check_whole(path, 4.0, slack=0.25)
    assert capfd.readouterr() == ("", "")


def test_joined_flac(tmp_path):
    (tmp_path / "a.flac").write_bytes(encoded(*FLAC) + encoded(*FLAC, seed=1))
    check_whole(tmp_path / "a.flac", 4.0)


@pytest.mark.parametrize("kind", [OGG, MP3, FLAC], ids=lambda kind: kind[0])
def test_joined_without_ffmpeg_is_refused_behind_the_joint(tmp_path, monkeypatch, kind):
    monkeypatch.setitem(sys.modules, "av", None)
    path = tmp_path / "a"
    path.write_bytes(encoded(*kind, seconds=4.0) + encoded(*kind, seconds=3.0))
    assert len(decode_audio(path, duration=2.0)) == 2 * RATE
    for part in ({}, {"duration": 6.0}, {"offset": 5.5, "duration": 1.0}):
        said = r"libsndfile stops after 4\.\d\d s, before the end of the file; .*pip install av"
        with pytest.raises(BadClipError, match=said):
            decode_audio(path, **part)


def test_joined_of_what_ffmpeg_cannot_join_is_refused(tmp_path):
    (tmp_path / "a.ogg").write_bytes(encoded(*OGG) + encoded(*OGG, rate=16000))
    with pytest.raises(BadClipError, match=r"libsndfile stops after 2\.00 s.*one by one"):
        decode_audio(tmp_path / "a.ogg")


@pytest.mark.parametrize("installed", [True, False])
@pytest.mark.parametrize("kind", [OGG, OPUS, FLAC, MP3], ids=lambda kind: kind[1])
def test_tags_behind(tmp_path, monkeypatch, kind, installed, capfd):
    if not installed:
        monkeypatch.setitem(sys.modules, "av", None)
    data = encoded(*kind, rate=24000)
    path = tmp_path / "a"
    path.write_bytes(data)
    expected = decode_audio(path)
    for tag in (ID3V1, APE, APE + ID3V1, bytes(5000), b"\0"):
        path.write_bytes(data + tag)
        np.testing.assert_array_equal(decode_audio(path), expected)
        assert len(decode_audio(path, offset=1.0, duration=9.0)) == len(expected) - RATE
    assert capfd.readouterr() == ("", "")


def test_flac_of_unknown_length(tmp_path):
    data = bytearray(encoded(*FLAC, seconds=4.0))
    data[21] &= 0xF0
    data[22:26] = bytes(4)
    path = tmp_path / "a.flac"
    for tag in (b"", ID3V1, APE):
        path.write_bytes(data + tag)
        check_whole(path, 4.0)
    path.write_bytes(data[: len(data) * 6 // 10])
    with pytest.raises(BadClipError, match="FFmpeg fails; fetch it again"):
        decode_audio(path)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="signals of POSIX")
def test_signals_lose_no_samples(tmp_path):
    (tmp_path / "a.mp3").write_bytes(encoded(*MP3, seconds=60.0, channels=2))
    expected = decode_audio(tmp_path / "a.mp3")
    before = signal.signal(signal.SIGALRM, lambda *_: None)
    signal.setitimer(signal.ITIMER_REAL, 1e-3, 1e-3)
    try:
        for _ in range(3):
            np.testing.assert_array_equal(decode_audio(tmp_path / "a.mp3"), expected)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def write_by_ffmpeg(path, codec, container, options):
    sound = np.random.default_rng(0).uniform(-0.3, 0.3, (1, 6 * 48000)).astype(np.float32)
    with av.open(str(path), "w", format=container, options=options) as output:
        stream = output.add_stream(codec, rate=48000, layout="mono")
        frame = av.AudioFrame.from_ndarray(sound, format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 48000, 0, Fraction(1, 48000)
        form = (stream.codec_context.format or stream.codec_context.codec.audio_formats[0]).name
        resampler = av.AudioResampler(form, "mono", 48000, frame_size=960)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            output.mux(stream.encode(part))
        output.mux(stream.encode(None))


@pytest.mark.parametrize(
    ("codec", "container", "options"),
    [
        ("aac", "ipod", {"movflags": "faststart"}),
        ("alac", "ipod", {"movflags": "faststart"}),
        ("libopus", "webm", {}),
        ("flac", "matroska", {}),
        ("flac", "ogg", {}),
        ("tta", "tta", {}),
    ],
)
def test_cut_off_by_ffmpeg(tmp_path, codec, container, options):
    write_by_ffmpeg(tmp_path / "a", codec, container, options)
    assert len(decode_audio(tmp_path / "a")) / RATE == pytest.approx(6.0, abs=0.15)
    data = (tmp_path / "a").read_bytes()
    (tmp_path / "a").write_bytes(data[: len(data) * 7 // 10])
    assert len(decode_audio(tmp_path / "a", duration=2.0)) == 2 * RATE
    with pytest.raises(BadClipError, match=r"is cut off after [34]\.\d\d s"):
        decode_audio(tmp_path / "a")


def test_mp3_with_fewer_frames_than_it_counts(tmp_path):
    data = encoded(*MP3, seconds=6.0)
    frames = [i for i in range(len(data)) if data[i : i + 2] == data[:2] and data[i + 2] >> 4]
    (tmp_path / "a.mp3").write_bytes(data[: frames[len(frames) // 2]])
    with pytest.raises(BadClipError, match="cut off"):
        decode_audio(tmp_path / "a.mp3")


class TestFileObjects:
    @pytest.mark.parametrize("kind", [("WAV", "PCM_16"), OGG, FLAC, MP3], ids=lambda kind: kind[0])
    def test_equal_the_file(self, tmp_path, kind):
        data = encoded(*kind, seconds=3.0)
        path = tmp_path / "a"
        path.write_bytes(data)
        expected = decode_audio(path)
        memory = io.BytesIO(data)
        memory.seek(100)  # where somebody has looked at it
        with open(path, "rb") as file, tempfile.SpooledTemporaryFile() as spooled:
            spooled.write(data)  # web frameworks have uploads like this
            for source in (memory, file, spooled):
                np.testing.assert_array_equal(decode_audio(source), expected)
                part = decode_audio(source, offset=1.0, duration=1.0)
                np.testing.assert_allclose(part, decode_audio(path, offset=1.0, duration=1.0))
        assert memory.tell() == 100

    def test_by_ffmpeg(self, tmp_path):
        write_by_ffmpeg(tmp_path / "a", "aac", "ipod", {})
        data = io.BytesIO((tmp_path / "a").read_bytes())
        np.testing.assert_array_equal(decode_audio(data), decode_audio(tmp_path / "a"))
        joined = io.BytesIO(encoded(*OGG) + encoded(*OGG))
        assert len(decode_audio(joined)) / RATE == pytest.approx(4.0, abs=0.1)

    def test_refused(self, tmp_path):
        (tmp_path / "a.txt").write_text("text")
        closed = io.BytesIO(b"x")
        closed.close()
        with open(tmp_path / "a.txt") as text, open(tmp_path / "a.txt", "rb") as binary:
            for source, said in (
                (b"RIFF", "is of the type bytes; expected a path, or io.BytesIO"),
                (None, "is of the type NoneType"),
                (3, "is of the type int"),
                (text, "a.txt: gives no bytes; open the file in binary mode"),
                (binary, "a.txt: could not be decoded, .*: the file looks like text"),
                (io.BytesIO(), "BytesIO: the file is empty"),
                (closed, "BytesIO: can't be wound back"),
                (io.BytesIO(encoded("WAV", "PCM_16")[:30000]), "BytesIO: is cut off after"),
            ):
                with pytest.raises(BadClipError, match=said):
                    decode_audio(source)
        with pytest.raises(BadClipError) as error:
            decode_audio(bytes(10**6))  # not all of them in the message
        assert len(str(error.value)) < 200


class TestScale:
    def test_floats_at_the_scale_of_integers(self, tmp_path):
        sound = np.random.default_rng(0).uniform(-20000, 20000, RATE).astype(np.float32)
        soundfile.write(tmp_path / "a.wav", sound, RATE, subtype="FLOAT")
        for decode in (decode_audio, lambda path: MFCC(duration=1.0).transform([path])):
            with pytest.warns(UserWarning, match=r"a\.wav holds .* full scale is 1.* 32768"):
                decode(tmp_path / "a.wav")

    def test_loud_floats_are_no_integers(self, tmp_path):
        sound = np.random.default_rng(0).uniform(-1, 1, RATE).astype(np.float32)
        sound[100:105] = 5.0
        soundfile.write(tmp_path / "a.wav", 1.0 * sound, RATE, subtype="FLOAT")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            decode_audio(tmp_path / "a.wav")


@pytest.mark.parametrize(
    "given",
    [
        *({"offset": offset} for offset in (-3, "1", float("nan"))),
        *({"duration": duration} for duration in (0, float("inf"))),
        *({"sample_rate": rate} for rate in (0, None)),
    ],
    ids=str,
)
def test_arguments(given):
    [(name, value)] = given.items()
    with pytest.raises(ValueError, match=f"'{name}' parameter of decode_audio .* Got {value!r}"):
        decode_audio("a.wav", **given)


def test_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a.ogg").write_bytes(encoded(*OGG))
    for path in ("~/a.ogg", Path("~/a.ogg")):
        assert len(decode_audio(path)) == 2 * RATE
        assert AudioLoader(duration=1.0).transform([path]).shape == (1, RATE)


def test_no_thread_or_descriptor_stays_behind(tmp_path):
    (tmp_path / "a.mp3").write_bytes(encoded(*MP3, seconds=20.0))
    (tmp_path / "b.mp3").write_bytes(b"\xff\xfb\x90\x64" + bytes(1000))
    place = "/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd"
    threads, descriptors = threading.active_count(), len(os.listdir(place))
    for _ in range(10):
        decode_audio(tmp_path / "a.mp3", duration=0.5)
        with pytest.raises(BadClipError):
            decode_audio(tmp_path / "b.mp3")
    time.sleep(0.05)
    assert (threading.active_count(), len(os.listdir(place))) == (threads, descriptors)
