"""Decoding: formats, rates, channels, parts of files, and files that cannot be used."""

import pickle

import librosa
import numpy as np
import pytest
import soundfile

from sklearn_genremoe.audio import BadClipError, _read, decode_audio, fix_length

RATE = 22050


def tone(seconds=2.0, rate=RATE, frequency=440.0, channels=1):
    time = np.arange(round(seconds * rate)) / rate
    sine = 0.5 * np.sin(2 * np.pi * frequency * time)
    return (
        sine if channels == 1 else np.stack([sine * (c + 1) / channels for c in range(channels)], 1)
    )


def write(path, samples, rate=RATE, **kwargs):
    soundfile.write(path, samples, rate, **kwargs)
    return path


def resampled_by_librosa(path):
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return librosa.resample(librosa.to_mono(samples.T), orig_sr=rate, target_sr=RATE)


@pytest.mark.parametrize(
    ("name", "kwargs", "tolerance"),
    [
        ("a.wav", {"subtype": "PCM_16"}, 1e-4),
        ("a.wav", {"subtype": "FLOAT"}, 1e-6),
        ("a.flac", {}, 1e-4),
        ("a.aiff", {}, 1e-4),
        ("a.ogg", {"subtype": "VORBIS"}, 0.05),
        ("a.opus", {"format": "OGG", "subtype": "OPUS"}, 0.05),
        ("a.mp3", {}, 0.05),
    ],
)
def test_formats(tmp_path, name, kwargs, tolerance):
    rate = 48000 if name.endswith("opus") else RATE
    path = write(tmp_path / name, tone(rate=rate), rate, **kwargs)
    waveform = decode_audio(path)
    assert waveform.dtype == np.float32
    assert waveform.ndim == 1
    middle = slice(RATE // 2, RATE)  # lossy coders smear the edges
    np.testing.assert_allclose(waveform[middle], tone()[middle], atol=tolerance)


def test_accepts_str_and_path(tmp_path):
    path = write(tmp_path / "a.wav", tone())
    np.testing.assert_array_equal(decode_audio(path), decode_audio(str(path)))


def test_stereo_is_the_mean_of_the_channels(tmp_path):
    path = write(tmp_path / "a.wav", tone(channels=2), subtype="FLOAT")
    np.testing.assert_allclose(decode_audio(path), 0.75 * tone(), atol=1e-6)


@pytest.mark.parametrize("rate", [8000, 44100, 48000, 96000, 11025, 22051])
def test_other_rates_as_librosa_resamples_the_whole_file(tmp_path, rate):
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (3 * rate, 2))
    path = write(tmp_path / "a.wav", noise, rate, subtype="FLOAT")
    whole = resampled_by_librosa(path)
    np.testing.assert_allclose(decode_audio(path), whole, atol=2e-6)
    # A part is what it is in the resampled whole, right up to its end.
    part = decode_audio(path, duration=1.5)
    assert part.shape == (round(1.5 * RATE),)
    np.testing.assert_allclose(part, whole[: len(part)], atol=2e-6)


@pytest.mark.parametrize("rate", [RATE, 44100, 48000, 16000])
def test_offset_is_a_part_of_the_resampled_whole(tmp_path, rate):
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 4 * rate)
    path = write(tmp_path / "a.wav", noise, rate, subtype="FLOAT")
    whole = resampled_by_librosa(path)
    part = decode_audio(path, offset=2.0, duration=1.0)
    np.testing.assert_allclose(part, whole[2 * RATE : 3 * RATE], atol=2e-6)


@pytest.mark.parametrize("name", ["a.flac", "a.ogg", "a.mp3"])
def test_offset_in_compressed_files(tmp_path, name):
    path = write(tmp_path / name, tone(4.0))
    whole = decode_audio(path)
    np.testing.assert_allclose(
        decode_audio(path, offset=1.0, duration=1.0), whole[RATE : 2 * RATE], atol=1e-3
    )


def test_file_shorter_than_duration_is_read_to_its_end(tmp_path):
    path = write(tmp_path / "a.wav", tone(1.0))
    assert decode_audio(path, duration=30.0).shape == (RATE,)


def test_only_the_needed_part_of_a_long_file_is_read(tmp_path, monkeypatch):
    path = write(tmp_path / "long.wav", np.tile(tone(1.0, 44100), 120), 44100)
    read = []

    class Watched(_read._SoundFile):
        def read(self, frames=-1, *args, **kwargs):
            samples = super().read(frames, *args, **kwargs)
            read.append(len(samples))
            return samples

    monkeypatch.setattr(_read, "_SoundFile", Watched)
    decode_audio(path, offset=60.0, duration=2.0)
    assert sum(read) < 4 * 44100


def test_fix_length():
    waveform = np.arange(3.0, dtype=np.float32)
    np.testing.assert_array_equal(fix_length(waveform, 2), [0, 1])
    padded = fix_length(waveform, 5)
    np.testing.assert_array_equal(padded, [0, 1, 2, 0, 0])
    assert padded.dtype == np.float32
    repeated = fix_length(waveform, 8, fill="repeat")
    np.testing.assert_array_equal(repeated, [0, 1, 2, 0, 1, 2, 0, 1])
    assert repeated.dtype == np.float32
    with pytest.raises(ValueError, match="fill='loop'; expected 'zeros' or 'repeat'"):
        fix_length(waveform, 8, fill="loop")


class TestBadFiles:
    def refuse(self, path, *said, **kwargs):
        with pytest.raises(BadClipError) as caught:
            decode_audio(path, **kwargs)
        assert isinstance(caught.value, ValueError)
        assert caught.value.path == str(path)
        message = str(caught.value)
        assert message.startswith(str(path))
        for words in said:
            assert words in message

    def test_missing(self, tmp_path):
        self.refuse(tmp_path / "nothing.wav", "no such file", "check the path")

    def test_folder(self, tmp_path):
        self.refuse(tmp_path, "is not a file")

    def test_undecodable(self, tmp_path):
        path = tmp_path / "text.wav"
        path.write_text("This is not audio.", encoding="utf-8")
        self.refuse(path, "could not be decoded", "looks like text", "fetch it again")

    def test_empty_file(self, tmp_path):
        path = tmp_path / "empty.ogg"
        path.touch()
        self.refuse(path, "0 bytes")

    def test_no_samples(self, tmp_path):
        self.refuse(write(tmp_path / "a.wav", np.zeros(0)), "no samples")

    @pytest.mark.parametrize("level", [0.0, 1e-6])
    def test_silent_throughout(self, tmp_path, level):
        path = write(tmp_path / "a.wav", level * tone(), subtype="FLOAT")
        self.refuse(path, "silent throughout", "2.00 s", "offset")

    def test_silent_where_it_is_read(self, tmp_path):
        path = write(tmp_path / "a.wav", np.concatenate([np.zeros(2 * RATE), tone()]))
        self.refuse(path, "silent throughout", duration=1.0)
        assert np.abs(decode_audio(path, offset=2.0)).max() > 0.4

    def test_shorter_than_one_frame(self, tmp_path):
        path = write(tmp_path / "a.wav", tone(1000 / RATE))
        self.refuse(path, "1000 samples", "one frame of 1024 samples")
        assert decode_audio(path, min_samples=1000).shape == (1000,)

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_not_finite(self, tmp_path, value):
        samples = tone()
        samples[1000] = value
        path = write(tmp_path / "a.wav", samples, subtype="FLOAT")
        self.refuse(path, "NaN or infinite")

    def test_duration_shorter_than_a_frame_is_the_users_wish(self, tmp_path):
        path = write(tmp_path / "a.wav", tone())
        assert decode_audio(path, duration=0.01).shape == (220,)

    def test_offset_beyond_the_end(self, tmp_path):
        path = write(tmp_path / "a.wav", tone())
        self.refuse(path, "ends after 2.00 s", "offset=5.0", offset=5.0)

    def test_truncated(self, tmp_path):
        noise = np.random.default_rng(0).uniform(-1, 1, 4 * RATE)
        for name in ("a.flac", "a.ogg", "a.wav"):
            path = write(tmp_path / name, noise)
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        self.refuse(tmp_path / "a.flac", "could not be decoded")
        self.refuse(tmp_path / "a.wav", "cut off after 2.00 s of 4.00 s")
        # Ogg doesn't say how long it is, but where a page ends.
        self.refuse(tmp_path / "a.ogg", "in the middle of a page of Ogg")

    def test_error_survives_pickling(self):
        error = pickle.loads(pickle.dumps(BadClipError("a.wav", "is bad")))
        assert (error.path, error.reason, str(error)) == ("a.wav", "is bad", "a.wav: is bad")
