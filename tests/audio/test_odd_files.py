"""Files as people really have them: odd but right, and wrong in ways that must be said."""

import itertools
import os
import struct
import sys
import threading
import time
import warnings
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import scipy.signal
import soundfile
import soxr

from sklearn_genremoe import AudioLoader, DomainUnion, LogMelSpectrogram
from sklearn_genremoe.audio import BadClipError, BadClipWarning, decode_audio, read_excerpts

RATE = 22050


def quiet_then_loud(seconds=30.0, rate=44100):
    """A clip whose first half takes few bits and its second many."""
    rng = np.random.default_rng(0)
    time = np.arange(round(seconds * rate)) / rate
    loud = time > seconds / 2
    return 0.02 * np.sin(2 * np.pi * 300 * time) + 0.4 * rng.uniform(-1, 1, len(time)) * loud


def vbr_without_count(path, rate=44100, channels=2, seconds=30.0):
    """Write an mp3 of variable bit rate as FFmpeg does into a pipe: nothing says how long it is."""
    samples = np.stack([quiet_then_loud(seconds, rate)] * channels, 1)
    soundfile.write(path, samples, rate, bitrate_mode="VARIABLE", compression_level=0.3)
    data = path.read_bytes()
    first = data.find(b"\xff", 4) if b"Xing" in data[:200] else 0
    while data[first : first + 2] != data[:2]:
        first = data.find(b"\xff", first + 1)
    path.write_bytes(data[first:])
    assert b"Xing" not in path.read_bytes()
    return samples[:, 0]


@pytest.fixture(scope="module", params=[(44100, 2), (22050, 1), (8000, 1)])
def clip(request, tmp_path_factory):
    """An mp3 without a count of frames, and what is in it."""
    path = tmp_path_factory.mktemp("mp3") / "vbr.mp3"
    rate, channels = request.param
    samples = vbr_without_count(path, rate, channels)
    return path, soxr.resample(samples.astype(np.float32), rate, RATE)


class TestMp3:
    def test_without_a_count_of_frames_is_read_to_its_end(self, clip):
        path, expected = clip
        waveform = decode_audio(path)
        assert 30.0 <= len(waveform) / RATE < 30.4
        late = waveform[round(16 * RATE) : 29 * RATE]
        assert np.sqrt(np.mean(late**2)) == pytest.approx(
            np.sqrt(np.mean(expected[16 * RATE : 29 * RATE] ** 2)), rel=0.05
        )
        row = AudioLoader().transform([path])[0]
        np.testing.assert_allclose(row, waveform[: len(row)], atol=1e-6)

    def test_its_parts(self, clip):
        path, _ = clip
        whole = decode_audio(path)
        for offset, duration in ((20, 5), (0.5, 1), (28.25, 10)):
            part = decode_audio(path, offset=offset, duration=duration)
            start = round(offset * RATE)
            np.testing.assert_allclose(
                part, whole[start : start + round(duration * RATE)], atol=2e-6
            )
        with pytest.raises(BadClipError, match=r"ends after 30\.\d\d s, before offset=40"):
            decode_audio(path, offset=40)

    @pytest.mark.parametrize("offset", [0, 7.3, 20])
    def test_libraries_keep_quiet(self, clip, offset, capfd):
        decode_audio(clip[0], offset=offset, duration=2.0)
        assert capfd.readouterr() == ("", "")

    def test_tags_and_junk_around_the_sound(self, clip, tmp_path, capfd):
        path, _ = clip
        whole, sound = decode_audio(path), path.read_bytes()
        size = 300_000
        tag = b"ID3\x03\0\0" + bytes(size >> shift & 127 for shift in (21, 14, 7, 0))
        tag += b"APIC" + struct.pack(">I", size - 10) + b"\0\0"
        tag += np.random.default_rng(0).bytes(size - 10)
        for name, before, after in (
            ("tag", tag, b"TAG" + bytes(125)),
            ("two tags", tag + tag, b""),
            ("junk", bytes(5000) + b"\xff\xfb\x90junk", b""),
        ):
            other = tmp_path / f"{name}.mp3"
            other.write_bytes(before + sound + after)
            np.testing.assert_array_equal(decode_audio(other), whole, err_msg=name)
        assert capfd.readouterr() == ("", "")

    def test_named_otherwise(self, clip, tmp_path):
        path, _ = clip
        (tmp_path / "a.wav").write_bytes(path.read_bytes())
        np.testing.assert_array_equal(decode_audio(tmp_path / "a.wav"), decode_audio(path))

    def test_no_thread_stays_behind(self, clip):
        n_threads = threading.active_count()
        for _ in range(20):
            decode_audio(clip[0], duration=0.5)
        end = time.monotonic() + 5
        while threading.active_count() > n_threads and time.monotonic() < end:
            time.sleep(0.01)
        assert threading.active_count() <= n_threads


@pytest.mark.parametrize("name", ["a.wav", "a.au", "a.flac"])
def test_header_from_a_pipe_without_the_number_of_samples(tmp_path, name):
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, 3 * RATE)
    soundfile.write(tmp_path / name, samples, RATE)
    expected = decode_audio(tmp_path / name)
    data = bytearray((tmp_path / name).read_bytes())
    if name == "a.wav":
        at = data.find(b"data") + 4
        data[4:8] = data[at : at + 4] = b"\xff" * 4
    elif name == "a.au":
        data[8:12] = b"\xff" * 4
    else:
        data[21] &= 0xF0
        data[22:26] = bytes(4)
    (tmp_path / name).write_bytes(data)
    np.testing.assert_array_equal(decode_audio(tmp_path / name), expected)
    part = decode_audio(tmp_path / name, offset=2.0, duration=0.5)
    np.testing.assert_allclose(part, expected[2 * RATE : 2 * RATE + RATE // 2], atol=1e-6)


@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT", "ULAW"])
@pytest.mark.parametrize("form", ["WAV", "WAVEX", "RF64", "AIFF", "AU"])
def test_cut_off_before_its_header_says(tmp_path, form, subtype):
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, (10 * RATE, 2))
    path = tmp_path / "a.wav"
    soundfile.write(path, samples, RATE, format=form, subtype=subtype)
    whole = decode_audio(path)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 6 // 10])
    np.testing.assert_array_equal(
        decode_audio(path, offset=2.0, duration=3.5), whole[2 * RATE : 2 * RATE + 7 * RATE // 2]
    )
    said = r"is cut off after (5\.99|6\.00) s of 10\.0\d s; fetch it again"
    for part in ({}, {"duration": 8.0}, {"offset": 5.0, "duration": 2.0}, {"offset": 9.0}):
        with pytest.raises(BadClipError, match=said):
            decode_audio(path, **part)
    with pytest.raises(BadClipError, match=said):
        list(read_excerpts(str(path), 4.0, 2.0))


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_ogg_that_is_cut_off(tmp_path, subtype):
    rate = 48000
    path = tmp_path / "a.ogg"
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, 10 * rate)
    soundfile.write(path, samples, rate, format="OGG", subtype=subtype)
    data = path.read_bytes()
    whole = decode_audio(path)
    path.write_bytes(data + b"TAG" + bytes(125))  # what other programs put behind it
    np.testing.assert_array_equal(decode_audio(path), whole)
    for share in (3, 5, 8):
        path.write_bytes(data[: len(data) * share // 10])
        assert len(decode_audio(path, duration=1.0)) == RATE
        with pytest.raises(
            BadClipError, match=r"cut off after \d\.\d\d s, in the middle of a page"
        ):
            decode_audio(path)


def test_cut_off_wav_without_a_size_that_is_known(tmp_path):
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, 2 * RATE)
    soundfile.write(tmp_path / "a.wav", samples, RATE)
    data = bytearray((tmp_path / "a.wav").read_bytes())
    at = data.find(b"data") + 4
    # What FFmpeg, SoX, arecord and others write into a pipe, and a size with the header's 44 bytes.
    for size in (0xFFFFFFFF, 0x7FFFF000, 0x7FFFFFFF, 0x80000000, 0, 4 * RATE + 44):
        data[at : at + 4] = struct.pack("<I", size)
        (tmp_path / "a.wav").write_bytes(data)
        assert len(decode_audio(tmp_path / "a.wav")) == 2 * RATE


def test_damage_is_not_placed_where_it_is_not(tmp_path):
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, 10 * RATE)
    soundfile.write(tmp_path / "a.flac", samples, RATE)
    data = (tmp_path / "a.flac").read_bytes()
    (tmp_path / "a.flac").write_bytes(data[: len(data) // 2])
    with pytest.raises(BadClipError, match="damaged or cut off within the part that is read") as e:
        decode_audio(tmp_path / "a.flac")
    assert "0.00 s" not in str(e.value)


class TestFfmpeg:
    @pytest.fixture
    def sound(self):
        time = np.arange(4 * 48000) / 48000
        return (0.3 * np.sin(2 * np.pi * (200 + 300 * time) * time)).astype(np.float32)

    @staticmethod
    def encode(path, sound, codec, container, rate=48000, layout="stereo"):
        try:
            encoder = av.codec.Codec(codec, "w")
        except ValueError:
            pytest.skip(f"this FFmpeg has no {codec}")
        channels = 2 if layout == "stereo" else 1
        with av.open(str(path), "w", format=container) as output:
            stream = output.add_stream(codec, rate=rate, layout=layout)
            wanted = stream.codec_context.format or encoder.audio_formats[0]
            frame = av.AudioFrame.from_ndarray(
                np.stack([sound] * channels), format="fltp", layout=layout
            )
            frame.sample_rate, frame.pts = rate, 0
            frame.time_base = Fraction(1, rate)
            stream.bit_rate = 128_000
            resampler = av.AudioResampler(wanted.name, layout, rate, frame_size=1024)
            for part in [*resampler.resample(frame), *resampler.resample(None)]:
                output.mux(stream.encode(part))
            output.mux(stream.encode(None))

    @pytest.mark.parametrize(
        ("ending", "codec", "container"),
        [
            ("m4a", "aac", "ipod"),
            ("m4a", "alac", "ipod"),
            ("mp4", "aac", "mp4"),
            ("aac", "aac", "adts"),
            ("wma", "wmav2", "asf"),
            ("webm", "libopus", "webm"),
            ("mka", "flac", "matroska"),
            ("wv", "wavpack", "wv"),
            ("ac3", "ac3", "ac3"),
            ("tta", "tta", "tta"),
            ("mp2", "mp2", "mp2"),
        ],
    )
    def test_formats(self, tmp_path, sound, ending, codec, container):
        path = tmp_path / f"a.{ending}"
        self.encode(path, sound, codec, container)
        expected = soxr.resample(sound, 48000, RATE)
        waveform = decode_audio(path)
        assert waveform.dtype == np.float32
        assert abs(len(waveform) - len(expected)) < 0.1 * RATE
        match = scipy.signal.correlate(waveform, expected)  # at any delay that a coder may add
        assert abs(match).max() > 0.98 * np.linalg.norm(waveform) * np.linalg.norm(expected)
        part = decode_audio(path, offset=1.5, duration=1.0)
        np.testing.assert_allclose(part, waveform[round(1.5 * RATE) :][: len(part)], atol=1e-5)
        mel = LogMelSpectrogram(duration=3.0).transform([path])
        np.testing.assert_allclose(
            mel, LogMelSpectrogram().transform(waveform[None, : 3 * RATE]), atol=1e-3
        )

    def test_named_mp3(self, tmp_path, sound):
        self.encode(tmp_path / "a.m4a", sound, "aac", "ipod")
        os.rename(tmp_path / "a.m4a", tmp_path / "a.mp3")
        assert len(decode_audio(tmp_path / "a.mp3")) == pytest.approx(4 * RATE, rel=0.03)

    def test_cut_off(self, tmp_path, sound):
        self.encode(tmp_path / "a.aac", sound, "aac", "adts")
        data = (tmp_path / "a.aac").read_bytes()
        (tmp_path / "a.aac").write_bytes(data[: len(data) // 2])
        assert RATE < len(decode_audio(tmp_path / "a.aac")) < 3 * RATE

    @pytest.mark.parametrize("installed", [True, False])
    def test_no_audio_is_fetched_again(self, tmp_path, monkeypatch, installed):
        if not installed:
            monkeypatch.setitem(sys.modules, "av", None)
        for number, content in enumerate(["<html>no such page</html>", "no such page", "\0" * 99]):
            path = tmp_path / f"{number}.mp3"
            path.write_text(content)
            with pytest.raises(BadClipError, match=r"begins with .*; fetch it again, or") as error:
                decode_audio(path)
            assert "convert" not in str(error.value)

    def test_where_it_is_not_installed(self, tmp_path, sound, monkeypatch):
        self.encode(tmp_path / "a.m4a", sound, "aac", "ipod")
        monkeypatch.setitem(sys.modules, "av", None)
        said = r"begins with '.*ftypM4A.*pip install av; .*ffmpeg -i FILE clip.flac"
        with pytest.raises(BadClipError, match=said):
            decode_audio(tmp_path / "a.m4a")

    def test_a_play_list_opens_no_other_file(self, tmp_path):
        soundfile.write(tmp_path / "a.wav", np.random.default_rng(0).uniform(-1, 1, RATE), RATE)
        (tmp_path / "b.mp3").write_text("ffconcat version 1.0\nfile a.wav\n", encoding="utf-8")
        text = "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:1,\na.wav\n#EXT-X-ENDLIST\n"
        (tmp_path / "c.m3u8").write_text(text, encoding="utf-8")
        for name in ("b.mp3", "c.m3u8"):
            with pytest.raises(BadClipError, match=r"looks like text, such as .* a play list"):
                decode_audio(tmp_path / name)


class TestChannels:
    sine = 0.3 * np.sin(2 * np.pi * 440 * np.arange(2 * RATE) / RATE)

    def decode(self, path, *channels, **kwargs):
        soundfile.write(path, np.stack(channels, 1), RATE, **kwargs)
        return decode_audio(path)

    @pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT", "PCM_24", "PCM_U8"])
    @pytest.mark.parametrize("balance", [1.0, 0.99])
    def test_in_opposite_phase(self, tmp_path, subtype, balance):
        found = self.decode(tmp_path / "a.wav", self.sine, -balance * self.sine, subtype=subtype)
        np.testing.assert_allclose(found, self.sine, atol=0.01)

    def test_rounding_noise_is_no_sound(self, tmp_path):
        rng = np.random.default_rng(0)
        left, right = (
            np.round(32767 * sound + rng.uniform(-1, 1, len(self.sine))) / 32768
            for sound in (0.1 * self.sine, -0.1 * self.sine)
        )
        found = self.decode(tmp_path / "a.wav", left, right, subtype="PCM_16")
        np.testing.assert_allclose(found, 0.1 * self.sine, atol=1e-3)

    def test_with_an_offset_in_common(self, tmp_path):
        found = self.decode(tmp_path / "a.wav", self.sine + 0.2, 0.2 - self.sine, subtype="FLOAT")
        np.testing.assert_allclose(found, self.sine + 0.2, atol=1e-6)

    def test_the_loudest_of_several(self, tmp_path):
        quiet = 0.5 * self.sine
        found = self.decode(tmp_path / "a.wav", quiet, -2 * quiet, quiet, subtype="FLOAT")
        np.testing.assert_allclose(found, -2 * quiet, atol=1e-6)

    @pytest.mark.parametrize("name", ["a.mp3", "a.ogg", "a.flac"])
    def test_of_coded_files(self, tmp_path, name):
        found = self.decode(tmp_path / name, self.sine, -self.sine)
        assert np.abs(found[RATE // 2 : RATE]).max() == pytest.approx(0.3, abs=0.02)

    def test_others_are_averaged(self, tmp_path):
        rng = np.random.default_rng(0)
        channels = rng.uniform(-0.5, 0.5, (8, RATE))
        found = self.decode(tmp_path / "a.wav", *channels, subtype="FLOAT")
        np.testing.assert_allclose(found, channels.mean(axis=0), atol=1e-6)

    def test_one_silent_channel(self, tmp_path):
        found = self.decode(tmp_path / "a.wav", self.sine, 0 * self.sine, subtype="FLOAT")
        np.testing.assert_allclose(found, self.sine / 2, atol=1e-6)
        quiet = 1.5e-5 * self.sine / 0.3  # above the limit of silence, its mean with zeros below
        self.decode(tmp_path / "a.wav", quiet, 0 * quiet, subtype="FLOAT")

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_damage_of_one_channel(self, tmp_path, value):
        with pytest.raises(BadClipError, match="NaN or infinite"):
            self.decode(tmp_path / "a.wav", [*self.sine, value], [0, *self.sine], subtype="FLOAT")

    def test_both_silent(self, tmp_path):
        with pytest.raises(BadClipError, match="silent throughout"):
            self.decode(tmp_path / "a.wav", 0 * self.sine, 0 * self.sine)


WIDTHS = {"PCM_U8": 2**-7, "PCM_16": 2**-15, "PCM_24": 2**-23, "PCM_32": 2**-24, "FLOAT": 1e-6,
          "DOUBLE": 1e-6, "ULAW": 0.05, "ALAW": 0.05}  # fmt: skip


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 32000, 44100, 48000, 96000, 192000])
@pytest.mark.parametrize("kind", ["noise", "offset", "clipping", "short"])
def test_odd_but_legal(tmp_path, rate, kind):
    """Rates, widths and channels of every kind give what numpy and soxr make of the samples."""
    rng = np.random.default_rng(rate)
    seconds = 0.15 if kind == "short" else 0.5
    for (subtype, step), n_channels in itertools.product(WIDTHS.items(), (1, 2, 3, 8)):
        samples = rng.uniform(-0.5, 0.5, (round(seconds * rate), n_channels))
        if kind == "offset":
            samples = 0.2 * samples + 0.6
        elif kind == "clipping":
            samples = np.clip(4 * samples, -1, 1 - 2**-15)
        path = tmp_path / "a.wav"
        soundfile.write(path, samples, rate, subtype=subtype)
        expected = samples.mean(axis=1).astype(np.float32)
        if rate != RATE:
            expected = soxr.resample(expected, rate, RATE, quality="HQ")
        found = decode_audio(path)
        assert found.shape == expected.shape
        np.testing.assert_allclose(
            found, expected, atol=3 * step + 2e-6, err_msg=f"{subtype} x {n_channels}"
        )


def test_50_milliseconds(tmp_path):
    for rate in (22050, 44100, 192000):
        noise = np.random.default_rng(0).uniform(-0.5, 0.5, round(0.05 * rate))
        soundfile.write(tmp_path / "a.wav", noise, rate)
        assert LogMelSpectrogram(duration=1.0).transform([tmp_path / "a.wav"]).shape == (1, 96, 44)


def test_rates_that_differ_within_a_folder(tmp_path):
    paths = []
    for rate in (8000, 22050, 48000):
        time = np.arange(2 * rate) / rate
        paths.append(tmp_path / f"{rate}.wav")
        soundfile.write(paths[-1], 0.5 * np.sin(2 * np.pi * 440 * time), rate)
    waveforms = AudioLoader(duration=1.9).transform(paths)
    np.testing.assert_allclose(waveforms[1:, 999:-999], waveforms[[0, 0], 999:-999], atol=1e-3)


class TestRefused:
    """Whatever is wrong with a file is a BadClipError with its path, not some library's error."""

    def refuse(self, path, *said):
        for act in (decode_audio, lambda path: LogMelSpectrogram(duration=1.0).transform([path])):
            with pytest.raises(BadClipError) as caught:
                act(path)
            assert caught.value.path == str(path)
            for words in said:
                assert words in str(caught.value)
            for words in ("regular file", "libsndfile says", "Traceback"):
                assert words not in str(caught.value)
        with pytest.warns(BadClipWarning, match="1 bad clip"):
            row = AudioLoader(duration=1.0, on_error="warn").transform([path])
        assert np.isnan(row).all()

    @pytest.mark.parametrize("installed", [True, False])
    @pytest.mark.parametrize(
        ("name", "content", "said"),
        [
            ("x.raw", b"\x01\x02" * 5000, "the file begins with"),
            ("x.vox", b"hello world" * 500, "looks like text"),
            ("a.mp3", b"<!DOCTYPE html><html>" + b"x" * 3000, "a web page"),
            ("a.mp3", b'{"error": 404}' + b" " * 300, "JSON"),
            ("a.mp3", b"ID3\x03\0\0\0\0\x10\0" + bytes(2048), "begins with 'ID3.'"),
            ("a.mp3", b"ID3\x03\0\0\0\0\x10\0", "begins with 'ID3.'"),
            ("a.mp3", b"\0\0\0\x20ftypM4A " + bytes(300), "begins with '. ftypM4A .'"),
            ("a.mp3", bytes(10_000), "begins with zeros"),
            ("a.flac", b"PK\x03\x04" + bytes(300), "begins with 'PK.'"),
            ("a.wav", b"RIFF", "begins with 'RIFF'"),
            ("a.ogg", b"OggS" + bytes(300), "begins with 'OggS.'"),
        ],
    )
    def test_contents(self, tmp_path, monkeypatch, installed, name, content, said):
        if not installed:
            monkeypatch.setitem(sys.modules, "av", None)
        (tmp_path / name).write_bytes(content)
        self.refuse(tmp_path / name, "could not be decoded", said)

    def test_folder(self, tmp_path):
        self.refuse(tmp_path, "is not a file but a folder")

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
    def test_pipe_and_device(self, tmp_path):
        os.mkfifo(tmp_path / "pipe.wav")
        self.refuse(tmp_path / "pipe.wav", "is not a file but a pipe, socket or device")
        self.refuse(Path("/dev/zero"), "is not a file but a pipe, socket or device")

    def test_names(self, tmp_path):
        self.refuse(tmp_path / ("a" * 300 + ".wav"), "could not be opened (File name too long)")
        (tmp_path / "file").write_bytes(b"x")
        self.refuse(tmp_path / "file" / "a.wav", "no such file")
        self.refuse(str(tmp_path / "nul\0.wav"), "no such file")
        for address in ("http://example.com/a.mp3", "s3://bucket/a.mp3", "file:///a.mp3"):
            self.refuse(address, "is an address")

    @pytest.mark.skipif(sys.platform == "win32", reason="no symbolic links")
    def test_links(self, tmp_path):
        (tmp_path / "loop.wav").symlink_to(tmp_path / "loop.wav")
        self.refuse(tmp_path / "loop.wav", "no such file: a link to")
        (tmp_path / "dangling.wav").symlink_to(tmp_path / "nothing.wav")
        self.refuse(tmp_path / "dangling.wav", "no such file")

    @pytest.mark.skipif(os.name == "nt", reason="permissions of another kind")
    @pytest.mark.parametrize("folder", [True, False])
    def test_unreadable(self, tmp_path, folder, monkeypatch):
        inside = tmp_path / "inside"
        inside.mkdir()
        path = inside / "a.wav"
        soundfile.write(path, np.random.default_rng(0).uniform(-1, 1, RATE), RATE)
        if os.geteuid() == 0:  # nothing is unreadable for root
            name = "stat" if folder else "open"
            original = getattr(os, name)

            def denied(file, *args, **kwargs):
                if str(file) == str(path):
                    raise PermissionError(13, "Permission denied", str(file))
                return original(file, *args, **kwargs)

            monkeypatch.setattr(os, name, denied)
        else:
            (inside if folder else path).chmod(0)
        try:
            self.refuse(path, "may not be read: you lack the permission", "chmod")
        finally:
            monkeypatch.undo()
            inside.chmod(0o700)

    @pytest.mark.skipif(sys.platform != "linux", reason="names must be Unicode here")
    def test_names_that_are_no_utf_8(self, tmp_path):
        noise = np.random.default_rng(0).uniform(-1, 1, RATE)
        soundfile.write(tmp_path / "a.wav", noise, RATE)
        good = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9 \xff.wav")
        os.rename(tmp_path / "a.wav", good)
        assert decode_audio(good).shape == (RATE,)
        for memory in (None, tmp_path / "memory"):
            batch = DomainUnion([("mel", LogMelSpectrogram(duration=1.0))], memory=memory)
            assert np.isfinite(batch.transform([good, Path(good)])["mel"]).all()
        bad = os.fsdecode(os.fsencode(tmp_path) + b"/na\xefve.wav")
        Path(bad).write_bytes(b"no audio")
        with pytest.raises(BadClipError) as caught:
            decode_audio(bad)
        assert caught.value.path == bad
        assert "na\\udcefve.wav: could not be decoded" in str(caught.value)
        str(caught.value).encode("utf-8")

    @pytest.mark.parametrize("rate", [1, 20, 999, 2_000_000, 2**31 - 1])
    def test_rates_that_are_damage(self, tmp_path, rate):
        soundfile.write(tmp_path / "a.wav", np.random.default_rng(0).uniform(-1, 1, RATE), RATE)
        data = bytearray((tmp_path / "a.wav").read_bytes())
        data[24:28] = struct.pack("<I", rate)
        (tmp_path / "a.wav").write_bytes(data)
        self.refuse(tmp_path / "a.wav", f"claims a sample rate of {rate} Hz")

    def test_noise_is_no_mp3(self, tmp_path):
        for seed in range(20):
            (tmp_path / "a.mp3").write_bytes(np.random.default_rng(seed).bytes(100_000))
            self.refuse(tmp_path / "a.mp3", "a.mp3: ")


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    """Files of 20 to 600 seconds."""
    folder = tmp_path_factory.mktemp("long")
    noise = np.random.default_rng(0).uniform(-1, 1, 8000)
    for seconds in (20, 30, 31, 59, 89, 200, 600):
        soundfile.write(folder / f"{seconds}.wav", np.tile(noise, seconds), 8000)
    return sorted(folder.glob("*.wav"))


class TestLongFiles:
    @pytest.mark.parametrize("memory", [True, False])
    def test_hint_once(self, paths, memory, tmp_path):
        mel = {"sample_rate": 8000, "n_mels": 20}
        for extractor in (
            AudioLoader(sample_rate=8000),
            LogMelSpectrogram(**mel),
            DomainUnion(
                [
                    ("mel", LogMelSpectrogram(**mel)),
                    ("start", LogMelSpectrogram(**mel, duration=5)),
                ],
                memory=tmp_path if memory else None,
            ),
        ):
            said = (
                r"2 file\(s\) are much longer than the 30 s up to which they are read: "
                r".*600\.wav \(600 s\), .*200\.wav \(200 s\)\. .*WindowedClassifier"
            )
            with pytest.warns(UserWarning, match=said) as caught:
                extractor.fit_transform(paths)
            assert len(caught) == 1

    def test_none_for_clips(self, paths):
        clips = [path for path in paths if int(path.stem) < 90]
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            AudioLoader(sample_rate=8000).transform(clips)
            AudioLoader(sample_rate=8000, duration=5.0).transform(paths[2:3])
            AudioLoader(sample_rate=8000, offset=500.0, duration=99.0).transform(paths[-2:-1])


def test_a_link_to_nothing(tmp_path):
    (tmp_path / "a.wav").symlink_to(tmp_path / "gone.wav")
    with pytest.raises(
        BadClipError, match=r"a\.wav: no such file: a link to .*gone\.wav, which isn't there"
    ):
        decode_audio(tmp_path / "a.wav")
