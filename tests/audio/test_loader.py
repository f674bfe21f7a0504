"""AudioLoader: files and waveforms as a 2-D array."""

import numpy as np
import pytest
import soundfile
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from sklearn_genremoe import AudioLoader
from sklearn_genremoe.audio import BadClipError, BadClipWarning, decode_audio

RATE = 22050


@pytest.fixture
def paths(tmp_path):
    rng = np.random.default_rng(0)
    for i, seconds in enumerate([0.5, 1.0, 2.0]):
        soundfile.write(tmp_path / f"{i}.wav", rng.uniform(-1, 1, round(seconds * RATE)), RATE)
    return [tmp_path / f"{i}.wav" for i in range(3)]


def test_cuts_and_fills_up(paths):
    waveforms = AudioLoader(duration=1.0).fit_transform(paths)
    assert waveforms.shape == (3, RATE)
    assert waveforms.dtype == np.float32
    assert not waveforms[0, RATE // 2 :].any()
    for row, path in zip(waveforms, paths):
        n = min(RATE, len(decode_audio(path)))
        np.testing.assert_array_equal(row[:n], decode_audio(path)[:n])


def test_fills_up_by_repeating(paths):
    waveforms = AudioLoader(duration=1.0, fill="repeat").transform(paths)
    np.testing.assert_array_equal(waveforms[0, RATE // 2 :], waveforms[0, : RATE // 2])
    np.testing.assert_array_equal(waveforms[1:], AudioLoader(duration=1.0).transform(paths[1:]))


@pytest.mark.parametrize("n_jobs", [2, -1])
def test_parallel_is_equal(paths, n_jobs):
    one = AudioLoader(duration=1.0).transform(paths)
    np.testing.assert_array_equal(one, AudioLoader(duration=1.0, n_jobs=n_jobs).transform(paths))


def test_waveforms_pass_through():
    for dtype in (np.float32, np.float64):
        X = np.random.default_rng(0).uniform(size=(3, 7)).astype(dtype)
        np.testing.assert_array_equal(AudioLoader().fit_transform(X), X)
        assert AudioLoader().fit_transform(X).dtype == dtype


def test_width_is_checked(paths):
    loader = AudioLoader(duration=1.0).fit(paths)
    assert loader.n_features_in_ == RATE
    with pytest.raises(ValueError, match="X has 5 features, but AudioLoader is expecting 22050"):
        loader.transform(np.zeros((2, 5)))
    with pytest.raises(ValueError, match=r"as input\. Waveforms need as many samples .*fix_length"):
        loader.transform(np.zeros((2, 6 * RATE)))
    loader = AudioLoader(duration=1.0).fit(np.zeros((2, 5)))
    with pytest.raises(ValueError, match="X has 22050 features, but AudioLoader is expecting 5"):
        loader.transform(paths)


def test_names_and_pandas_output(paths):
    loader = AudioLoader(sample_rate=2000, duration=0.002).set_output(transform="pandas")
    with pytest.raises(NotFittedError):
        loader.get_feature_names_out()
    frame = loader.fit_transform(paths)
    assert list(frame.columns) == ["x0", "x1", "x2", "x3"]


class TestBadFiles:
    @pytest.fixture
    def bad_paths(self, paths, tmp_path):
        (tmp_path / "empty.wav").touch()
        return [paths[0], tmp_path / "empty.wav", paths[1], tmp_path / "missing.wav"]

    @pytest.mark.parametrize("n_jobs", [None, 2])
    def test_raise_names_the_first(self, bad_paths, n_jobs):
        with pytest.raises(BadClipError, match=r"empty\.wav: the file is empty"):
            AudioLoader(duration=1.0, n_jobs=n_jobs).transform(bad_paths)

    def test_warn_lists_all_and_keeps_the_rows(self, bad_paths):
        loader = AudioLoader(duration=1.0, on_error="warn")
        with pytest.warns(BadClipWarning) as caught:
            waveforms = loader.transform(bad_paths)
        assert len(caught) == 1
        message = str(caught[0].message)
        assert "2 bad clip(s)" in message
        assert f"row 1: {bad_paths[1]}" in message
        assert f"row 3: {bad_paths[3]}" in message
        np.testing.assert_array_equal(np.isnan(waveforms).all(axis=1), [False, True, False, True])


@pytest.mark.parametrize(
    "params",
    [
        {"sample_rate": 0},
        {"duration": 0},
        {"offset": -1},
        {"fill": "reflect"},
        {"on_error": "ignore"},
        {"n_jobs": "two"},
    ],
)
def test_bad_parameters(paths, params):
    loader = AudioLoader(**params)
    name = next(iter(params))
    with pytest.raises(ValueError, match=f"The '{name}' parameter of AudioLoader must be"):
        loader.fit(paths)
    with pytest.raises(ValueError, match=f"The '{name}' parameter of AudioLoader must be"):
        loader.transform(paths)


def test_clone_keeps_parameters_and_fit_changes_none(paths):
    loader = AudioLoader(duration=1.0, n_jobs=2)
    before = loader.get_params()
    assert clone(loader).get_params() == before
    loader.fit(paths)
    assert loader.get_params() == before


def test_progress_bar_only_when_asked(paths, capsys):
    AudioLoader(duration=1.0).transform(paths)
    assert capsys.readouterr().err == ""
    AudioLoader(duration=1.0, verbose=1).transform(paths)
    assert "3/3" in capsys.readouterr().err
