"""The programs of the user guide run as they stand, on both kinds of folders that people have."""

import csv
import functools
import io
import re
import sys
import textwrap
import types
import warnings
from pathlib import Path

import joblib
import matplotlib.pyplot as plt
import numpy as np
import pytest
import sklearn
import soundfile

import sklearn_genremoe
from sklearn_genremoe import MixtureOfExpertsClassifier, WindowedClassifier, save_model
from sklearn_genremoe.audio import BadClipWarning
from sklearn_genremoe.datasets import load_audio_folder
from sklearn_genremoe.experts import default_experts
from tests._shared import shared_data

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGES = {
    path.stem if path.parent.name == "user_guide" else "front page": re.findall(
        r"^\.\. code-block:: python\n\n((?:   .*\n|\n)+)", text, re.M
    )
    for path in [DOCS / "index.rst", *sorted((DOCS / "user_guide").glob("*.rst"))]
    for text in [path.read_text(encoding="utf-8")]
}
#: What only a cluster has.
ELSEWHERE = {
    "from dask.distributed import Client\n": "",
    'client = Client("scheduler.example.org:8786")\n': "",
    '"dask"': '"threading"',
    "/mnt/shared/": "",
}


class App:
    """Stand in for FastAPI's, which leaves the functions that it serves as they are."""

    def post(self, path):
        return lambda function: function


class HTTPError(Exception):
    """Stand in for FastAPI's exception."""


FASTAPI = types.SimpleNamespace(FastAPI=App, HTTPException=HTTPError, UploadFile=io.BytesIO)


def quick_experts(*args, **kwargs):
    """Stand in for sets whose training takes minutes."""
    [mfcc] = [expert for name, expert in default_experts(1.0) if name == "mfcc_statistics"]
    return [("mfcc", mfcc)]


@pytest.fixture(scope="module")
def sounds(tmp_path_factory) -> list[tuple[Path, str, str]]:
    """Write clips; return their paths, genres and artists."""
    folder = tmp_path_factory.mktemp("sounds")
    noise = np.random.default_rng(0).normal(0, 0.1, (24, 22050))
    rows = []
    for number, waveform in enumerate(noise):
        genre = ["dull", "bright"][number % 2]
        path = folder / f"{number}.wav"
        soundfile.write(path, waveform if number % 2 else np.cumsum(waveform) / 50, 22050)
        rows.append((path, genre, f"{genre} artist {number // 2 % 11}"))
    return rows


@pytest.mark.parametrize("layout", ["by genre", "manifest"])
@pytest.mark.parametrize("page", [page for page, programs in PAGES.items() if programs])
def test_programs_of_a_page(page, layout, sounds, tmp_path, monkeypatch) -> None:
    program = "\n".join(textwrap.dedent(block) for block in PAGES[page])
    for theirs, ours in ELSEWHERE.items():
        program = program.replace(theirs, ours)
    if page == "pretrained":
        weights = tmp_path / "weights"
        weights.mkdir()
        for folder, name in [
            ("efficientat", "mn04_as_mAP_432.pt"),
            ("musicnn", "msd_musicnn.data"),
        ]:
            (weights / name).symlink_to(shared_data(folder, name))
        monkeypatch.setenv("SKLEARN_GENREMOE_DATA", str(weights))
    program = program.replace("seconds=30.0", "seconds=1.0")
    for name in ("default_experts", "paper_experts", "pretrained_experts"):
        monkeypatch.setattr(sklearn_genremoe, name, quick_experts)
    short = functools.partial(WindowedClassifier, window=1.0)
    monkeypatch.setattr(sklearn_genremoe, "WindowedClassifier", short)
    monkeypatch.setattr("sklearn_genremoe.mixture._mixture.default_experts", quick_experts)
    monkeypatch.chdir(tmp_path)

    rows = [("path", "genre", "artist")]
    for source, genre, artist in sounds:
        path = Path("my_clips", genre if layout == "by genre" else "clips", source.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(source.read_bytes())
        rows.append((path.relative_to("my_clips").as_posix(), genre, artist))
    if 'on_error="warn"' in program:
        path.write_bytes(b"")
    if layout == "manifest":
        with open("my_clips/manifest.csv", "w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(rows)
    Path("unknown.mp3").write_bytes(sounds[0][0].read_bytes())
    Path("corrections.csv").write_text("clip,genre,verdict,corrected\n")

    with sklearn.config_context(), warnings.catch_warnings(), joblib.parallel_config(n_jobs=1):
        warnings.simplefilter("ignore", BadClipWarning)
        names = {"__name__": "__main__"}
        if page == "serving":
            monkeypatch.setitem(sys.modules, "fastapi", FASTAPI)
            clips = load_audio_folder("my_clips")
            model = MixtureOfExpertsClassifier(random_state=0).fit(clips.data, clips.target)
            save_model(model, "genres.skops")
        elif "clips" not in program:  # a page that begins where paths and labels are at hand
            clips = load_audio_folder("my_clips")
            names |= {"paths": clips.data, "genres": clips.target, "artists": clips.groups}
        exec(compile(program, page, "exec"), names)
    plt.close("all")
    # The two genres are easy to tell apart.
    if "result" in names:
        scores = names["result"].get("test_score", names["result"].get("test_accuracy"))
        assert np.mean(scores) > 0.9
    if "report" in names:
        assert names["report"].scores().loc[("mixture", "accuracy"), "value"] > 0.9
    if page == "serving":
        with open("unknown.mp3", "rb") as file:
            answer = names["genre"](types.SimpleNamespace(file=file))
        expected = model.predict_proba(["unknown.mp3"])[0]
        assert answer == pytest.approx(dict(zip(model.classes_, expected)), abs=6e-4)
        with pytest.raises(FASTAPI.HTTPException) as caught:
            names["genre"](types.SimpleNamespace(file=io.BytesIO(b"no audio")))
        assert caught.value.args[0] == 422
