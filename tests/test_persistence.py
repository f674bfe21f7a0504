"""Models survive the way through a file; files that are not models are refused unexecuted."""

import io
import json
import os
import pickle
import struct
import subprocess
import sys
import tracemalloc
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import joblib
import numpy as np
import pytest
import sklearn
import skops.io
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.base import BaseEstimator, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, make_scorer
from sklearn.model_selection import GridSearchCV, GroupKFold, StratifiedKFold
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils.metadata_routing import get_routing_for_object
from skorch.callbacks import EarlyStopping

from sklearn_genremoe import (
    MFCC,
    AudioLoader,
    AudioSetEmbedding,
    BalancedMixer,
    CNNClassifier,
    CNNMixer,
    DomainUnion,
    HarmonicSpectrogram,
    LogMelSpectrogram,
    LogPoolMixer,
    MixtureOfExpertsClassifier,
    ModulationSpectrogram,
    PercussiveSpectrogram,
    RNNMixer,
    StackingMixer,
    TimeFrequencyScattering,
    default_experts,
    load_model,
    persistence,
    pretrained_experts,
    save_model,
)
from sklearn_genremoe.domains import BaseDomain, DomainBatch, modulation_statistics, time_statistics
from tests._weights import write_small_weights

ROOT = Path(__file__).resolve().parents[1]
RNG = np.random.default_rng(0)
SPECTROGRAMS = RNG.normal(size=(24, 12, 20)).astype(np.float32)
WAVEFORMS = RNG.normal(size=(6, 22050)).astype(np.float32)
Y = np.repeat(["folk", "rock"], 12)
SPECTROGRAMS[:12] += 0.5
CNN: dict[str, Any] = {"channels": (4, 4), "max_epochs": 1, "random_state": 0}
MIXERS = {
    "balanced": BalancedMixer(),
    "log_pool": LogPoolMixer(),
    "stacking": StackingMixer(),
    "cnn": CNNMixer(channels=(4, 4), max_epochs=1),
    "rnn": RNNMixer(hidden_size=4, max_epochs=1),
}


def linear(statistics: Any = time_statistics) -> Any:
    return make_pipeline(FunctionTransformer(statistics), StandardScaler(), GaussianNB())


def mixture(mixer: Any = "stacking", **params: Any) -> MixtureOfExpertsClassifier:
    experts = [("cnn", CNNClassifier(**CNN)), ("linear", linear()), ("other", "drop")]
    return MixtureOfExpertsClassifier(experts, mixer, **{"cv": 2, "random_state": 0, **params})


def prefit() -> MixtureOfExpertsClassifier:
    experts = [("cnn", CNNClassifier(**CNN)), ("linear", linear())]
    for _, expert in experts:
        expert.fit(SPECTROGRAMS, Y)
    return MixtureOfExpertsClassifier(experts, "stacking", cv="prefit")


RECIPE = {
    "architecture": "statistics_pooling",
    "center_bins": True,
    "crop_frames": 8,
    "dropout": 0.2,
    "class_weight": {"folk": 1.0, "rock": 2.0},
    "validation_fraction": 0.25,
}
MODELS: dict[str, Callable[[], BaseEstimator]] = {
    **{name: lambda mixer=mixer: mixture(clone(mixer)) for name, mixer in MIXERS.items()},
    "expert": lambda: CNNClassifier(**CNN),
    "recipe": lambda: CNNClassifier(**CNN, **RECIPE),
    "random state": lambda: CNNClassifier(**{**CNN, "random_state": np.random.RandomState(1)}),
    "refit=False": lambda: mixture(refit=False),
    "prefit": prefit,
    "splitter": lambda: mixture(cv=StratifiedKFold(3)),
    "memory": lambda: mixture(memory=Path("cache") / "of features"),
    "calibrated": lambda: CalibratedClassifierCV(mixture(), cv=2),
    "grid search": lambda: GridSearchCV(
        mixture(), {"mixer": ["balanced", "stacking"]}, cv=2, scoring="neg_log_loss"
    ),
    "pipeline": lambda: make_pipeline(FunctionTransformer(), mixture("balanced")),
    "linear": linear,
    "modulations": lambda: linear(modulation_statistics),
}
TRANSFORMERS = [
    LogMelSpectrogram(),
    HarmonicSpectrogram(),
    PercussiveSpectrogram(),
    ModulationSpectrogram(),
    MFCC(),
    TimeFrequencyScattering(part="harmonic"),
    AudioLoader(),
    DomainUnion([("mel", LogMelSpectrogram()), ("mfcc", MFCC())]),
]


def through_file(model: Any, folder: Path, **how: Any) -> Any:
    save_model(model, folder / "model.skops")
    return load_model(folder / "model.skops", **how)


def same_bits(one: Any, other: Any) -> bool:
    return np.asarray(one).tobytes() == np.asarray(other).tobytes()


@pytest.mark.parametrize("name", MODELS)
def test_predicts_the_same_bits(name: str, tmp_path: Path) -> None:
    unfitted = MODELS[name]()
    if name != "random state":  # which is printed with its address
        assert repr(through_file(unfitted, tmp_path)) == repr(unfitted)
    model = MODELS[name]().fit(SPECTROGRAMS, Y)
    loaded = through_file(model, tmp_path)
    assert same_bits(loaded.predict_proba(SPECTROGRAMS), model.predict_proba(SPECTROGRAMS))
    assert loaded.classes_.tolist() == ["folk", "rock"]
    assert type(loaded) is type(model)
    # Its parameters are whole too.
    again = loaded if name == "prefit" else clone(loaded).fit(SPECTROGRAMS, Y)
    assert again.classes_.tolist() == ["folk", "rock"]


@pytest.mark.parametrize("transformer", TRANSFORMERS, ids=lambda one: type(one).__name__)
def test_transforms_the_same_bits(transformer: Any, tmp_path: Path) -> None:
    loaded = through_file(transformer.fit(WAVEFORMS), tmp_path)
    ours, theirs = transformer.transform(WAVEFORMS), loaded.transform(WAVEFORMS)
    if isinstance(transformer, DomainUnion):
        ours, theirs = ours["mfcc"], theirs["mfcc"]
    assert same_bits(ours, theirs)


@pytest.mark.parametrize("mixer", MIXERS.values(), ids=MIXERS)
def test_a_mixer_by_itself(mixer: Any, tmp_path: Path) -> None:
    proba = RNG.dirichlet([1, 1], size=(24, 2))
    mixer = clone(mixer).fit(proba, np.repeat([0, 1], 12), SPECTROGRAMS)
    loaded = through_file(mixer, tmp_path)
    expected = mixer.predict_proba(proba, SPECTROGRAMS)
    assert same_bits(loaded.predict_proba(proba, SPECTROGRAMS), expected)


@pytest.mark.parametrize("experts", [default_experts, pretrained_experts])
def test_ready_made_experts(experts: Any, tmp_path: Path) -> None:
    model = MixtureOfExpertsClassifier(experts(class_weight="balanced"), on_error="warn")
    assert repr(through_file(model, tmp_path)) == repr(model)


@pytest.mark.parametrize("labels", [[3, 7], [True, False], [2.0, 1.0], ["blä", "\u96ea"]])
def test_labels_of_any_kind(labels: list[Any], tmp_path: Path) -> None:
    y = np.repeat(labels, 12)
    model = mixture("balanced").fit(SPECTROGRAMS, y)
    assert same_bits(
        through_file(model, tmp_path).predict(SPECTROGRAMS), model.predict(SPECTROGRAMS)
    )


def routed(kind: str) -> Any:
    """Return something whose parts ask for metadata."""
    expert = make_pipeline(
        FunctionTransformer(time_statistics),
        StandardScaler(),
        LogisticRegression().set_fit_request(sample_weight=True),
    )
    model = MixtureOfExpertsClassifier([("linear", expert), ("other", clone(expert))], cv=2)
    if kind == "mixture":
        return model
    if kind == "ready-made":
        experts = default_experts(**CNN)
        return MixtureOfExpertsClassifier([experts[0], ("linear", expert)], cv=2)
    if kind == "estimator":
        return expert
    scoring = make_scorer(accuracy_score).set_score_request(sample_weight=True)
    folds = GroupKFold(2).set_split_request(groups=True)
    grid = {"linear": [expert, "drop"]} if kind == "grid of experts" else {"mixer": ["balanced"]}
    return GridSearchCV(model, grid, scoring=scoring, cv=folds)


@pytest.mark.parametrize(
    "kind", ["mixture", "ready-made", "estimator", "search", "grid of experts"]
)
def test_parts_that_ask_for_metadata(kind: str, tmp_path: Path) -> None:
    with sklearn.config_context(enable_metadata_routing=True):
        model = routed(kind)
        asked = str(get_routing_for_object(model))
        loaded = through_file(model, tmp_path)
        assert str(get_routing_for_object(loaded)) == asked
        # What was saved is as it was: in error messages, estimators are called by their types.
        assert str(get_routing_for_object(model)) == asked
        if kind == "ready-made":
            return
        groups = {"groups": np.tile(range(4), 6)} if "search" in kind or "grid" in kind else {}
        model.fit(SPECTROGRAMS, Y, **groups)
        loaded = through_file(model, tmp_path)
        assert same_bits(loaded.predict_proba(SPECTROGRAMS), model.predict_proba(SPECTROGRAMS))
        clone(loaded).fit(SPECTROGRAMS, Y, **groups)
    # And without routing, as in another process.
    loaded = load_model(tmp_path / "model.skops")
    assert same_bits(loaded.predict_proba(SPECTROGRAMS), model.predict_proba(SPECTROGRAMS))


def test_owner_of_a_request_stays(tmp_path: Path) -> None:
    with sklearn.config_context(enable_metadata_routing=True):
        model = LogisticRegression().set_fit_request(sample_weight=True)
    owner = model._metadata_request.fit.owner
    save_model(model, tmp_path / "model.skops")
    assert model._metadata_request.fit.owner is owner


def test_each_part_is_stored_once(tmp_path: Path) -> None:
    model = mixture().fit(SPECTROGRAMS, Y)
    loaded = through_file(model, tmp_path)
    assert loaded.experts_[0] is loaded.named_experts_["cnn"]
    once = tmp_path / "expert.skops"
    save_model(model.experts_[0], once)
    entries = [len(zipfile.ZipFile(f).namelist()) for f in (tmp_path / "model.skops", once)]
    assert entries[0] < 1.5 * entries[1]


def python(code: str, cwd: Path) -> str:
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""},
        cwd=cwd,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_predicts_the_same_bits_in_another_process(tmp_path: Path) -> None:
    models = {
        name: mixture(clone(MIXERS[name])).fit(SPECTROGRAMS, Y)
        for name in ("stacking", "cnn", "rnn")
    }
    for name, model in models.items():
        save_model(model, tmp_path / name)
    np.save(tmp_path / "X.npy", SPECTROGRAMS)
    out = python(
        """
import numpy as np
from sklearn_genremoe import load_model
for name in ("stacking", "cnn", "rnn"):
    print(load_model(name).predict_proba(np.load("X.npy")).tobytes().hex())
""",
        cwd=tmp_path,
    )
    expected = [model.predict_proba(SPECTROGRAMS).tobytes().hex() for model in models.values()]
    assert out.split() == expected


def test_training_goes_on(tmp_path: Path) -> None:
    model = CNNClassifier(**CNN).fit(SPECTROGRAMS, Y)
    loaded = through_file(model, tmp_path)
    for one in (model, loaded):
        one.partial_fit(SPECTROGRAMS, Y)
    assert same_bits(loaded.predict_proba(SPECTROGRAMS), model.predict_proba(SPECTROGRAMS))
    assert len(loaded.history_) == 2


@pytest.mark.skipif(torch.cuda.is_available(), reason="stands in for a machine without a GPU")
@pytest.mark.parametrize("name", ["expert", "cnn", "rnn"])
def test_model_of_a_gpu_loads_on_a_cpu(name: str, tmp_path: Path) -> None:
    model = MODELS[name]().fit(SPECTROGRAMS, Y)
    expected = model.predict_proba(SPECTROGRAMS)
    parts = [model] if name == "expert" else [model.mixer_, model.experts_[0]]
    for part in parts:  # as if it had been trained there
        part.device = "cuda"
    loaded = through_file(model, tmp_path)
    assert same_bits(loaded.predict_proba(SPECTROGRAMS), expected)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_model_of_a_real_gpu_loads_on_a_cpu(tmp_path: Path) -> None:
    model = CNNClassifier(**CNN, device="cuda").fit(SPECTROGRAMS, Y)
    save_model(model, tmp_path / "model.skops")
    np.save(tmp_path / "X.npy", SPECTROGRAMS)
    out = python(
        "import numpy as np; from sklearn_genremoe import load_model;"
        "print(load_model('model.skops').predict_proba(np.load('X.npy')).tolist())",
        cwd=tmp_path,
    )
    np.testing.assert_allclose(json.loads(out), model.predict_proba(SPECTROGRAMS), atol=1e-4)


def test_file_says_what_it_holds(tmp_path: Path) -> None:
    experts = [("mel", make_pipeline(LogMelSpectrogram(), CNNClassifier(**CNN)))]
    model = MixtureOfExpertsClassifier(experts, "balanced").fit(WAVEFORMS, Y[[0, 0, 0, -1, -1, -1]])
    save_model(model, tmp_path / "model.skops")
    with zipfile.ZipFile(tmp_path / "model.skops") as archive:
        about = json.loads(archive.read("sklearn_genremoe.json"))
    assert about["format"] == 1
    assert about["model"] == "MixtureOfExpertsClassifier"
    assert about["classes"] == ["folk", "rock"]
    assert "LogMelSpectrogram" in about["domains"][0]
    assert about["versions"]["torch"] == torch.__version__
    assert about["created"].endswith("+00:00")
    assert len(about["sha256"]) == 64
    # It remains a file of skops.
    assert "sklearn_genremoe.mixture._mixture.MixtureOfExpertsClassifier" in (
        skops.io.get_untrusted_types(file=tmp_path / "model.skops")
    )


# Types of others.


class Loudness(BaseDomain):
    def __init__(self, hop_length: int = 512, n_jobs: int | None = None) -> None:
        self.hop_length = hop_length
        self.n_jobs = n_jobs

    def features(self, analysis: Any) -> Any:
        return np.log(analysis.amplitude(1024, self.hop_length).sum(0, keepdims=True) + 1e-9)


@pytest.mark.parametrize("module", ["__main__", "own_domains"])
def test_own_domain_needs_trust(
    module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Loudness, "__module__", module)
    monkeypatch.setitem(sys.modules, module, ModuleType(module))
    monkeypatch.setattr(sys.modules[module], "Loudness", Loudness, raising=False)
    file, name = tmp_path / "model.skops", f"{module}.Loudness"
    experts = [("own", make_pipeline(Loudness(), *linear().named_steps.values()))]
    model = MixtureOfExpertsClassifier(experts, "balanced").fit(WAVEFORMS, list("aaabbb"))
    with pytest.warns(UserWarning, match=rf"trusted=\['{name}'\]"):
        save_model(model, file)
    for trusted in ([name], name, [Loudness], {Loudness}, Loudness):
        loaded = load_model(file, trusted=trusted)
        assert same_bits(loaded.predict_proba(WAVEFORMS), model.predict_proba(WAVEFORMS))
    for trusted in ((), ["a.b"]):
        asked = sorted({*trusted, name})
        with pytest.raises(ValueError, match=r"names types that aren't trusted") as refused:
            load_model(file, trusted=trusted)
        assert f"trusted={asked}" in str(refused.value)


def test_callbacks_need_trust(tmp_path: Path) -> None:
    model = CNNClassifier(**CNN, callbacks=[EarlyStopping("train_loss")])
    with pytest.warns(UserWarning, match=r"trusted=\[.*'skorch\.callbacks"):
        save_model(model, tmp_path / "model.skops")
    with pytest.raises(ValueError, match=r"skorch\.callbacks\.training\.EarlyStopping"):
        load_model(tmp_path / "model.skops")
    loaded = load_model(tmp_path / "model.skops", trusted=[EarlyStopping, print])
    assert isinstance(loaded.callbacks[0], EarlyStopping)


def test_trees_need_trust_as_skops_says(tmp_path: Path) -> None:
    file, tree = tmp_path / "model.skops", r"trusted=\['sklearn\.tree\._tree\.Tree'\]"
    model = RandomForestClassifier(2).fit(SPECTROGRAMS[:, :, 0], Y)
    with pytest.warns(UserWarning, match=tree) as said:
        save_model(model, file)
    assert said[0].filename == __file__
    with pytest.raises(ValueError, match=tree):
        load_model(file)
    loaded = load_model(file, trusted=["sklearn.tree._tree.Tree"])
    assert same_bits(loaded.predict(SPECTROGRAMS[:, :, 0]), model.predict(SPECTROGRAMS[:, :, 0]))


def test_a_batch_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"DomainBatch.*expected an estimator.*memory="):
        save_model(DomainBatch({"a": np.zeros((2, 3))}), tmp_path / "model.skops")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("trusted", [True, None, 3, [3], [None]])
def test_trusted_is_a_list(trusted: Any, tmp_path: Path) -> None:
    save_model(MFCC(), tmp_path / "model.skops")
    with pytest.raises(ValueError, match="expected a list of types"):
        load_model(tmp_path / "model.skops", trusted=trusted)


def local_function(clips: Any, rng: Any) -> Any:
    return clips


def within() -> Any:
    def hidden(clips: Any, rng: Any) -> Any:
        return clips

    return hidden


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (CNNClassifier(callbacks=lambda clips, rng: clips), "lambda"),
        (CNNClassifier(callbacks=within()), "within a function"),
        (CNNClassifier(callbacks=torch.nn.Linear(2, 2)), "a torch module"),
        (CNNClassifier(class_weight={True: 1.0, False: 2.0}), "True and False"),
        (CNNClassifier(callbacks=(i for i in ())), "can't be saved"),
        (CNNClassifier, "expected an estimator"),
    ],
)
def test_what_could_not_be_loaded_is_not_saved(model: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        save_model(model, tmp_path / "model.skops")
    assert not list(tmp_path.iterdir())


def test_memory_mapped_arrays_become_arrays(tmp_path: Path) -> None:
    mapped = np.memmap(tmp_path / "map", dtype=np.float64, mode="w+", shape=(2,))
    mapped[:] = [1.0, 2.0]
    loaded = through_file(FunctionTransformer(kw_args={"values": mapped}), tmp_path)
    assert type(loaded.kw_args["values"]) is np.ndarray
    assert loaded.kw_args["values"].tolist() == [1.0, 2.0]


def test_sparse_matrices(tmp_path: Path) -> None:
    matrix = sparse.csr_matrix([[0.0, 2.0]])
    model = FunctionTransformer(kw_args={"values": matrix})
    with pytest.warns(UserWarning, match="csr_matrix"):
        loaded = through_file(model, tmp_path, trusted=[type(matrix)])
    assert loaded.kw_args["values"].toarray().tolist() == [[0.0, 2.0]]


# Writing.


@pytest.mark.parametrize("stops", [KeyboardInterrupt, OSError])
def test_what_stops_saving_leaves_the_old_file(
    stops: type[BaseException], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "model.skops"
    save_model(MFCC(n_mfcc=13), file)

    def stop(descriptor: int) -> None:
        raise stops

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", stop)
        with pytest.raises(stops):
            save_model(MFCC(n_mfcc=20), file)
    assert [path.name for path in tmp_path.iterdir()] == ["model.skops"]
    assert load_model(file).n_mfcc == 13
    save_model(MFCC(n_mfcc=20), file)
    assert load_model(file).n_mfcc == 20


def test_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    link = tmp_path / "latest.skops"
    link.symlink_to(tmp_path / "models" / "1.skops")
    save_model(MFCC(), link)
    assert link.is_symlink()
    assert isinstance(load_model(tmp_path / "models" / "1.skops"), MFCC)


def test_where_a_file_can_be(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no folder"):
        save_model(MFCC(), tmp_path / "none" / "model.skops")
    with pytest.raises(ValueError, match="is a folder"):
        save_model(MFCC(), tmp_path)
    with pytest.raises(ValueError, match=r"can't be read \(Is a directory\)"):
        load_model(tmp_path)
    with pytest.raises(FileNotFoundError, match="no such file"):
        load_model(tmp_path / "none.skops")


def test_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = io.BytesIO()
    model = mixture("balanced").fit(SPECTROGRAMS, Y)
    save_model(model, buffer)
    with open(tmp_path / "model.skops", "w+b") as file:
        save_model(model, file)
        for source in (buffer, io.BytesIO(buffer.getvalue()), file):
            loaded = load_model(source)
            assert same_bits(loaded.predict_proba(SPECTROGRAMS), model.predict_proba(SPECTROGRAMS))
    assert isinstance(load_model(tmp_path / "model.skops"), MixtureOfExpertsClassifier)
    for broken in (b"", b"RIFF", buffer.getvalue()[:-100]):
        with pytest.raises(ValueError, match=r"the file object BytesIO .*save_model"):
            load_model(io.BytesIO(broken))
    with pytest.raises(ValueError, match="open it for bytes"):
        save_model(model, io.StringIO())
    with pytest.raises(ValueError, match="file object StringIO"):
        load_model(io.StringIO("a"))
    for call in (lambda: save_model(model, 3), lambda: load_model(None)):
        with pytest.raises(ValueError, match="expected a path"):
            call()
    monkeypatch.setenv("HOME", str(tmp_path))
    save_model(MFCC(), "~/mfcc.skops")
    assert (tmp_path / "mfcc.skops").is_file()
    assert isinstance(load_model("~/mfcc.skops"), MFCC)


@pytest.mark.parametrize("compression", [0, 1, 9])
def test_compression(compression: int, tmp_path: Path) -> None:
    zeros = np.zeros(3_000_000)  # so small that it looks like a bomb
    model = FunctionTransformer(kw_args={"values": zeros})
    save_model(model, tmp_path / "model.skops", compression=compression)
    assert same_bits(load_model(tmp_path / "model.skops").kw_args["values"], zeros)
    with pytest.raises(ValueError, match="compression"):
        save_model(model, tmp_path / "model.skops", compression=10)


# Versions.


def entries_of(file: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(file) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zip_of(entries: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def signed(entries: dict[str, bytes], **about: Any) -> dict[str, bytes]:
    """What someone makes of a file who knows how its SHA-256 is computed."""
    entries = dict(entries)
    said = {**json.loads(entries.pop("sklearn_genremoe.json")), **about}
    said.pop("sha256", None)
    said["sha256"] = persistence._digest(said, entries)
    return {"sklearn_genremoe.json": json.dumps(said).encode(), **entries}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("saved") / "model.skops"
    save_model(mixture(clone(MIXERS["cnn"])).fit(SPECTROGRAMS, Y), file)
    return file


def test_says_which_versions_differ(saved: Path, tmp_path: Path) -> None:
    said = json.loads(entries_of(saved)["sklearn_genremoe.json"])["versions"]
    versions = {**said, "torch": "1.13.1", "numpy": said["numpy"] + ".post1", "gone": "2.0"}
    file = tmp_path / "model.skops"
    file.write_bytes(zip_of(signed(entries_of(saved), versions=versions)))
    with pytest.warns(
        UserWarning, match=r"torch 1\.13\.1, here 2.*gone 2\.0, here missing"
    ) as seen:
        load_model(file)
    assert len(seen) == 1
    assert "numpy" not in str(seen[0].message)
    assert seen[0].filename == __file__


def test_says_once_that_scikit_learn_differs(saved: Path, tmp_path: Path) -> None:
    entries = entries_of(saved)
    said = json.loads(entries["sklearn_genremoe.json"])["versions"]
    now = said["scikit-learn"]
    entries["schema.json"] = entries["schema.json"].replace(now.encode(), b"1.6.0")
    file = tmp_path / "model.skops"
    versions = {**said, "scikit-learn": "1.6.0"}
    file.write_bytes(zip_of(signed(entries, versions=versions)))
    with pytest.warns(UserWarning, match=r"scikit-learn 1\.6\.0, here") as seen:
        load_model(file)
    assert len(seen) == 1


@pytest.fixture
def embedding(tmp_path: Path) -> Path:
    """The file of a model with an embedding whose weights are in weights.pt."""
    weights = write_small_weights(tmp_path / "weights.pt")
    experts = [("own", make_pipeline(AudioSetEmbedding(weights), LogisticRegression()))]
    model = MixtureOfExpertsClassifier(experts, "balanced").fit(WAVEFORMS, list("aaabbb"))
    save_model(model, tmp_path / "model.skops")
    assert load_model(tmp_path / "model.skops").experts_[0][0].weights == weights
    return tmp_path / "model.skops"


def test_weights_that_have_moved(embedding: Path) -> None:
    expected = load_model(embedding).predict_proba(WAVEFORMS)
    moved = embedding.parent / "moved.pt"
    os.rename(embedding.parent / "weights.pt", moved)
    with pytest.warns(
        UserWarning, match=r"weights of its AudioSetE.*weights\.pt', are not there"
    ) as w:
        lost = load_model(embedding)
    assert len(w) == 1
    assert "(" not in str(w[0].message).replace("load_model(file, weights='/path/to/file.pt')", "")
    with pytest.raises(ValueError, match=r"load_model\(file, weights="):
        lost.predict(WAVEFORMS)
    loaded = load_model(embedding, weights=moved)
    assert loaded.experts[0][1][0].weights == loaded.experts_[0][0].weights == moved
    assert same_bits(loaded.predict_proba(WAVEFORMS), expected)


@pytest.mark.parametrize("gone", ["b", "ab"])
def test_one_file_does_not_stand_for_two(gone: str, tmp_path: Path) -> None:
    files = {}
    for seed, name in enumerate("ab"):
        files[name] = write_small_weights(tmp_path / f"{name}.pt", seed=seed)
    experts = [(n, make_pipeline(AudioSetEmbedding(f), GaussianNB())) for n, f in files.items()]
    model = MixtureOfExpertsClassifier(experts, "balanced").fit(WAVEFORMS, list("aaabbb"))
    save_model(model, tmp_path / "model.skops")
    kept = tmp_path / "kept.pt"
    os.link(files["a"], kept)
    for name in gone:
        files[name].unlink()
    with pytest.raises(
        ValueError, match=r"kept\.pt' is not the file that .* was saved with for .*b\.pt"
    ):
        load_model(tmp_path / "model.skops", weights=kept)


def test_weights_that_were_gone_when_the_model_was_saved(embedding: Path, tmp_path: Path) -> None:
    expected = load_model(embedding).predict_proba(WAVEFORMS)
    moved = (tmp_path / "weights.pt").rename(tmp_path / "moved.pt")
    with pytest.warns(UserWarning, match="are not there"):
        save_model(load_model(embedding), embedding)
    loaded = load_model(embedding, weights=moved)  # unknown, so whatever is given
    assert same_bits(loaded.predict_proba(WAVEFORMS), expected)


def test_other_weights_are_refused(embedding: Path, tmp_path: Path) -> None:
    other = write_small_weights(tmp_path / "other.pt", seed=1)
    assert load_model(embedding, weights=other).experts_[0][0].weights != other  # not needed
    os.replace(other, embedding.parent / "weights.pt")
    with pytest.warns(UserWarning, match="are not those that it was saved with"):
        load_model(embedding)
    for weights in (embedding.parent / "weights.pt", tmp_path / "none.pt"):
        with pytest.raises(ValueError, match=r"is not the file that .* was saved with"):
            load_model(embedding, weights=weights)
    with pytest.raises(ValueError, match="expected a path"):
        load_model(embedding, weights=3)
    save_model(MFCC(), tmp_path / "mfcc.skops")
    with pytest.raises(ValueError, match="holds no embedding"):
        load_model(tmp_path / "mfcc.skops", weights=other)


def test_newer_format_is_refused(saved: Path, tmp_path: Path) -> None:
    file = tmp_path / "model.skops"
    file.write_bytes(zip_of(signed(entries_of(saved), format=2)))
    with pytest.raises(ValueError, match=r"of format 2.*up to 1: pip install --upgrade"):
        load_model(file)


# Files that are no models, and files that someone has changed.

EXECUTED: list[str] = []


class Planted:
    """Runs code where it is unpickled."""

    def __reduce__(self) -> Any:
        return EXECUTED.append, ("pickle",)


def joblib_file() -> bytes:
    buffer = io.BytesIO()
    joblib.dump(Planted(), buffer)
    return buffer.getvalue()


def torch_file() -> bytes:
    buffer = io.BytesIO()
    torch.save({"a": torch.zeros(1)}, buffer)
    return buffer.getvalue()


def npz_file() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, a=np.zeros(2))
    return buffer.getvalue()


FOREIGN = {
    "empty": b"",
    "random": RNG.bytes(1000),
    "zip's first bytes": b"PK\x03\x04" + RNG.bytes(1000),
    "text": b"genre,path\n",
    "pickle": pickle.dumps(Planted()),
    "joblib": joblib_file(),
    "torch": torch_file(),
    "npz": npz_file(),
    "plain zip": zip_of({"a.txt": b"a"}),
    "empty zip": zip_of({}),
    "zip with a pickle": zip_of({"model.pkl": pickle.dumps(Planted())}),
    "wav": b"RIFF" + RNG.bytes(100),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_foreign_file_is_refused(kind: str, tmp_path: Path) -> None:
    file = tmp_path / "model.skops"
    file.write_bytes(FOREIGN[kind])
    with pytest.raises(ValueError, match=r"model\.skops .*save_model"):
        load_model(file)
    assert not EXECUTED


def test_file_of_skops_itself_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "model.skops"
    skops.io.dump(GaussianNB(), file)
    with pytest.raises(
        ValueError, match=r"not a model that save_model wrote.*skops\.io\.load loads"
    ):
        load_model(file)


def test_truncated_file_is_refused(saved: Path, tmp_path: Path) -> None:
    data, file = saved.read_bytes(), tmp_path / "model.skops"
    lengths = [*range(0, len(data), max(1, len(data) // 40)), *range(len(data) - 30, len(data))]
    for length in lengths:
        file.write_bytes(data[:length])
        with pytest.raises(ValueError, match=r"model\.skops"):
            load_model(file)


def test_each_entry_is_protected(saved: Path, tmp_path: Path) -> None:
    entries, file = entries_of(saved), tmp_path / "model.skops"
    for name, content in entries.items():
        half = len(content) // 2
        changed = content[:half] + bytes([content[half] ^ 1]) + content[half + 1 :]
        file.write_bytes(zip_of({**entries, name: changed}))
        with pytest.raises(ValueError, match="changed since it was saved"):
            load_model(file)
        file.write_bytes(zip_of({key: entries[key] for key in entries if key != name}))
        with pytest.raises(ValueError, match=r"changed since|not a model"):
            load_model(file)
    file.write_bytes(zip_of({**entries, "more.npy": b""}))
    with pytest.raises(ValueError, match="changed since"):
        load_model(file)


@pytest.mark.parametrize(
    "said", [b"", b"[]", b"{}", b"\xff", b"nan", b'{"format": "a"}', b"[" * 9999]
)
def test_damaged_metadata(said: bytes, saved: Path, tmp_path: Path) -> None:
    file = tmp_path / "model.skops"
    file.write_bytes(zip_of({**entries_of(saved), "sklearn_genremoe.json": said}))
    with pytest.raises(ValueError, match="is damaged"):
        load_model(file)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("small") / "model.skops"
    save_model(GaussianNB().fit([[0.0], [1.0]], ["a", "b"]), file)
    return file


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(place=st.floats(0, 1, exclude_max=True), bits=st.integers(1, 255))
def test_any_changed_byte_is_refused_or_harmless(
    place: float, bits: int, small: Path, tmp_path: Path
) -> None:
    data = bytearray(small.read_bytes())
    data[int(place * len(data))] ^= bits
    file = tmp_path / "model.skops"
    file.write_bytes(data)
    try:
        loaded = load_model(file)
    except ValueError:
        pass
    else:  # a date, say
        assert loaded.predict([[0.0], [1.0]]).tolist() == ["a", "b"]


# Files made by hand, with the right SHA-256.


def node(loader: str, name: str, **content: Any) -> dict[str, Any]:
    module, _, cls = name.rpartition(".")
    return {"__class__": cls, "__module__": module, "__loader__": loader, **content}


def text(value: Any) -> dict[str, Any]:
    return node("JsonNode", "builtins.str", content=json.dumps(value), is_json=True)


def sequence(*items: Any, of: str = "builtins.list", loader: str = "ListNode") -> dict[str, Any]:
    return node(loader, of, content=list(items))


def mapping(of: str = "builtins.dict", key: str = "builtins.str", **items: Any) -> dict[str, Any]:
    keys = sequence(*[node("TypeNode", key)] * len(items))
    return node("DictNode", of, content=items, key_types=keys)


COMMAND = "echo executed > executed"
ARGUMENTS = sequence(text(COMMAND), of="builtins.tuple", loader="TupleNode")
DANGEROUS = [
    "os.system",
    "posix.system",
    "subprocess.Popen",
    "subprocess.check_output",
    "builtins.eval",
    "builtins.exec",
    "builtins.__import__",
    "builtins.open",
    "pickle.loads",
    "joblib.load",
    "numpy.load",
    "torch.load",
    "functools.partial",
    "planted_module.Planted",
    "__main__.Planted",
    "sklearn_genremoe_evil.Planted",
    "sklearn_genremoe.evil.Planted",
    "sklearn_genremoe.persistence.os.system",
    "sklearn_genremoe._files.os.system",
    "sklearn_genremoe._files.os",
    "sklearn_genremoe._files.Path",
    "sklearn_genremoe._files.write_atomically",
    "sklearn_genremoe._files.fetch_file",
    "sklearn_genremoe._rows.Rows",
    "sklearn_genremoe.experts._cnn.K2C2",
    "sklearn_genremoe.networks._training.GenreNet",
    "sklearn_genremoe.load_model",
    "sklearn_genremoe.persistence.importlib.import_module",
    "sklearn_genremoe..os.system",
    "sklearn_evil.Planted",
    "sklearn.os.system",
    "sklearn.datasets._base.load_files",
    "sklearn.utils._testing.TempMemmap",
    "sklearn.externals.joblib.load",
    "sklearn.model_selection._split.check_cv",
    "sklearn.metrics._classification.np",
    "pathlib.Path.unlink",
    "pathlib.PosixPath",
]
PLACES: dict[str, Callable[[str], Any]] = {
    "function": lambda name: node("FunctionNode", name),
    "type": lambda name: node("TypeNode", name),
    "object": lambda name: node("ObjectNode", name, content=mapping(a=text(1))),
    "bare object": lambda name: node("ObjectNode", name),
    "constructor": lambda name: node("ConstructorFromReduceNode", name, content=ARGUMENTS),
    "list": lambda name: sequence(text(COMMAND), of=name),
    "set": lambda name: sequence(text(COMMAND), of=name, loader="SetNode"),
    "named tuple": lambda name: sequence(text(COMMAND), of=name, loader="TupleNode"),
    "dict": lambda name: mapping(of=name, a=text(1)),
    "keys": lambda name: mapping(key=name, **{COMMAND: text(1)}),
    "partial": lambda name: node(
        "PartialNode",
        "functools.partial",
        content={
            "func": node("FunctionNode", name),
            "args": ARGUMENTS,
            "kwds": mapping(),
            "namespace": mapping(),
        },
    ),
    "factory": lambda name: node(
        "DefaultDictNode",
        "collections.defaultdict",
        content={"main": mapping(), "default_factory": node("TypeNode", name)},
    ),
    "random state": lambda name: node("RandomStateNode", name, content=mapping()),
    "loss": lambda name: node("LossNode", name, __reduce__={"args": ARGUMENTS}, content=mapping()),
    "dtype": lambda name: node("DTypeNode", name, content=text(1)),
    "sparse": lambda name: node("SparseMatrixNode", name, type="scipy", file="a.npy"),
    "array": lambda name: node("NdArrayNode", name, type="numpy", file="a.npy"),
}


def plant(small: Path, state: Any, file: Path, protocol: int = 2, **more: bytes) -> Path:
    schema = {**mapping(planted=state), "protocol": protocol, "_skops_version": "0.16.0"}
    buffer = io.BytesIO()
    np.save(buffer, np.array(COMMAND))
    entries = {
        "sklearn_genremoe.json": entries_of(small)["sklearn_genremoe.json"],
        "schema.json": json.dumps(schema).encode(),
        "a.npy": buffer.getvalue(),
        **more,
    }
    file.write_bytes(zip_of(signed(entries)))
    return file


# Each name in some places, and some names in each place.
PLANTED = [
    (name, place)
    for name in DANGEROUS
    for place in PLACES
    if name in ("os.system", "sklearn_genremoe._files.write_atomically")
    or place in ("function", "constructor", "keys")
]


@pytest.mark.parametrize(("name", "place"), PLANTED)
def test_planted_type_is_refused(
    name: str, place: str, small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    for module in ("planted_module", "sklearn_genremoe_evil", "sklearn_evil"):
        (tmp_path / f"{module}.py").write_text("open('executed', 'w').close()\nPlanted = print\n")
    file = plant(small, PLACES[place](name), tmp_path / "model.skops")
    with pytest.raises(ValueError, match=r"model\.skops .*(Nothing was loaded|damaged)"):
        load_model(file)
    assert not (tmp_path / "executed").exists()
    assert not {"planted_module", "sklearn_genremoe_evil", "sklearn_evil"} & set(sys.modules)


@pytest.mark.parametrize("protocol", [-1, 0, 1, 3, 10**9, True, None, "2"])
def test_other_protocol_is_refused(protocol: Any, small: Path, tmp_path: Path) -> None:
    # Older protocols would choose skops' older readers.
    file = plant(small, text(1), tmp_path / "model.skops", protocol)
    with pytest.raises(ValueError, match="is damaged"):
        load_model(file)


def method_of(name: str, func: str) -> dict[str, Any]:
    owner = node("ObjectNode", name, content=mapping())
    return node("MethodNode", name, content={"func": func, "obj": owner})


def operator(name: str) -> dict[str, Any]:
    return node("OperatorFuncNode", f"operator.{name}", attrs=ARGUMENTS)


def deep() -> Any:
    state = text(1)
    for _ in range(300):
        state = sequence(state)
    return state


def array(header: bytes) -> bytes:
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header


def huge_array() -> bytes:
    return array(b"{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999999,), }\n")


def pickled_array() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.array([Planted()], dtype=object), allow_pickle=True)
    return buffer.getvalue()


ARRAY = node("NdArrayNode", "numpy.ndarray", type="numpy", file="b.npy")
SPARSE = node("SparseMatrixNode", "scipy.sparse._matrix.spmatrix", type="scipy", file="b.npy")
UNSAFE: dict[str, tuple[Any, bytes]] = {
    "method": (method_of("sklearn.naive_bayes.GaussianNB", "fit"), b""),
    "dunder method": (method_of("sklearn.naive_bayes.GaussianNB", "__init_subclass__"), b""),
    "method caller": (operator("methodcaller"), b""),
    "attribute getter": (operator("attrgetter"), b""),
    "operator": (operator("__dict__"), b""),
    "no loader": ({"__class__": "a", "__module__": "b"}, b""),
    "unknown loader": (node("EvalNode", "builtins.eval"), b""),
    "no content": (node("ListNode", "builtins.list"), b""),
    "unknown reference": ({**node("CachedNode", "a.b"), "__id__": 12345}, b""),
    "bit generator": (
        node(
            "RandomGeneratorNode",
            "numpy.random.Generator",
            content={
                "bit_generator": mapping(bit_generator=text("seed")),
                "seed_seq": mapping(),
            },
        ),
        b"",
    ),
    "pickled array": (ARRAY, pickled_array()),
    "pickle in place of an array": (ARRAY, pickle.dumps(Planted())),
    "huge array": (ARRAY, huge_array()),
    "short array": (ARRAY, array(b"{'descr': '<f8', 'fortran_order': False, 'shape': (9,), }\n")),
    "code in an array": (ARRAY, array(b"__import__('os').system('echo > executed')\n")),
    "no file": (node("NdArrayNode", "numpy.ndarray", type="numpy", file="none.npy"), b""),
    "file outside": (node("BytesNode", "builtins.bytes", file="../../etc/passwd"), b""),
    "bomb within": (SPARSE, zip_of({"data.npy": bytes(10**8)})),
    "path within": (SPARSE, zip_of({"../data.npy": b""})),
    "pickle within": (SPARSE, zip_of({"data.npy": pickled_array(), "format.npy": pickled_array()})),
    "network": (
        node(
            "ObjectNode",
            "sklearn_genremoe.experts._cnn.CNNClassifier",
            content=mapping(net_=mapping(module=mapping(), parameters=mapping())),
        ),
        b"",
    ),
}


@pytest.mark.parametrize("kind", UNSAFE)
def test_unsafe_content_is_refused(
    kind: str, small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    state, content = UNSAFE[kind]
    file = plant(small, state, tmp_path / "model.skops", **{"b.npy": content})
    with pytest.raises(ValueError, match=r"model\.skops"):
        load_model(file)
    assert not EXECUTED
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("kind", ["expert", "classes", "cnn", "rnn"])
def test_a_network_is_not_built_before_its_shapes_are_compared(
    kind: str, small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = MODELS["expert" if kind == "classes" else kind]().fit(SPECTROGRAMS, Y)
    holder = model if kind in ("expert", "classes") else model.mixer_
    state = holder.__getstate__()
    wide = {"channels": (20_000, 20_000), "hidden_size": 20_000, "input_shape": (12, 20)}
    if kind == "classes":
        wide = {"n_classes": 10_000_000}
    module = state["net_"]["module"]
    state["net_"]["module"] = {**module, **{key: wide[key] for key in wide if key in module}}
    monkeypatch.setattr(type(holder), "__getstate__", lambda self: state)
    save_model(holder, tmp_path / "model.skops")
    monkeypatch.undo()
    built = []

    def note(tensor: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
        built.append(tensor.device.type)
        return tensor

    monkeypatch.setattr(torch.Tensor, "uniform_", note)
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"(?s)parameters don't fit the network: .*0000"):
        load_model(tmp_path / "model.skops")
    assert tracemalloc.get_traced_memory()[1] < 50e6
    tracemalloc.stop()
    assert set(built) <= {"meta"}


def test_deep_content_does_not_crash(small: Path, tmp_path: Path) -> None:
    file = plant(small, deep(), tmp_path / "model.skops")
    with pytest.raises(ValueError, match=r"damaged|can't be loaded"):
        load_model(file)


# Zips that are up to something.


def with_entry(saved: Path, name: str, content: bytes = b"x") -> bytes:
    return zip_of(signed({**entries_of(saved), name: content}))


def twice(saved: Path, name: str) -> bytes:
    buffer = io.BytesIO(saved.read_bytes())
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "a") as archive:
        warnings.simplefilter("ignore")
        archive.writestr(name, b"{}")
    return buffer.getvalue()


def patched(data: bytes, offset: int, value: bytes) -> bytes:
    """Change a field of the first entry in the central directory."""
    at = data.index(b"PK\x01\x02") + offset
    return data[:at] + value + data[at + len(value) :]


def encrypted(data: bytes) -> bytes:
    return patched(data, 8, b"\x01\x00")


def bomb() -> bytes:
    return zip_of({"a.npy": bytes(100 * 2**20)})


def lying_bomb() -> bytes:
    """Says that it holds a few bytes, and holds 100 MB."""
    return patched(bomb(), 24, struct.pack("<I", 10))


ZIPS: dict[str, tuple[Callable[[Path], bytes], str]] = {
    "climbs out": (lambda saved: with_entry(saved, "../../evil.npy"), "outside of itself"),
    "absolute": (lambda saved: with_entry(saved, "/etc/evil.npy"), "outside of itself"),
    "backslash": (lambda saved: with_entry(saved, "..\\evil.npy"), "outside of itself"),
    "drive": (lambda saved: with_entry(saved, "C:evil.npy"), "outside of itself"),
    "folder": (lambda saved: with_entry(saved, "folder/"), "outside of itself"),
    "hidden": (lambda saved: with_entry(saved, ".evil"), "outside of itself"),
    "null byte": (lambda saved: with_entry(saved, "a\0b"), "not a model|outside of itself|changed"),
    "twice": (lambda saved: twice(saved, "schema.json"), "several entries of the same name"),
    "about twice": (lambda saved: twice(saved, "sklearn_genremoe.json"), "same name"),
    "encrypted": (lambda saved: encrypted(saved.read_bytes()), "encrypted"),
    "lzma": (lambda saved: zip_of(entries_of(saved), zipfile.ZIP_LZMA), "another method"),
    "bzip2": (lambda saved: zip_of(entries_of(saved), zipfile.ZIP_BZIP2), "another method"),
}


@pytest.mark.parametrize("kind", ZIPS)
def test_unsafe_zip_is_refused(kind: str, saved: Path, tmp_path: Path) -> None:
    make, message = ZIPS[kind]
    file = tmp_path / "model.skops"
    file.write_bytes(make(saved))
    with pytest.raises(ValueError, match=message):
        load_model(file)
    assert [path.name for path in tmp_path.iterdir()] == ["model.skops"]


@pytest.mark.parametrize(
    ("make", "said"), [(bomb, "zip bomb"), (lying_bomb, "truncated or damaged")]
)
def test_a_bomb_is_not_inflated(make: Callable[[], bytes], said: str) -> None:
    file = io.BytesIO(make())
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=said):
            load_model(file)
        assert tracemalloc.get_traced_memory()[1] < 30 * 2**20
    finally:
        tracemalloc.stop()
