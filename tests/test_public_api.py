"""The public names, the order of the rooms, and what importing the package leaves alone."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import sklearn_genremoe

PACKAGE = Path(sklearn_genremoe.__file__).parent

# Data flows in this order; a module may import from its own room and from earlier ones.
ROOMS = {
    "_checks": 0,
    "_clips": 0,
    "_compat": 0,
    "_diagram": 0,
    "_fields": 0,
    "_files": 0,
    "_parallel": 0,
    "_rows": 0,
    "_versions": 0,
    "audio": 1,
    "domains": 2,
    "networks": 3,
    "experts": 4,
    "mixture": 5,
    "datasets": 6,
    "inspection": 7,
    "persistence": 8,
    "pretrained": 8,
    "__main__": 10,
}

TOP_LEVEL = {
    "AudioSetEmbedding",
    "AudioLoader",
    "BalancedMixer",
    "CNNClassifier",
    "CNNMixer",
    "DomainUnion",
    "HarmonicSpectrogram",
    "LogMelSpectrogram",
    "LogPoolMixer",
    "MFCC",
    "MixtureOfExpertsClassifier",
    "ModulationSpectrogram",
    "MusicTagEmbedding",
    "PercussiveSpectrogram",
    "RNNMixer",
    "StackingMixer",
    "SpectralStatistics",
    "TimeFrequencyScattering",
    "WindowedClassifier",
    "default_experts",
    "load_model",
    "paper_experts",
    "pretrained_experts",
    "save_model",
    "show_versions",
}
SUBMODULES = {
    "audio",
    "datasets",
    "domains",
    "experts",
    "inspection",
    "mixture",
    "persistence",
    "pretrained",
}
IN_ROOMS = {
    "audio": {"AudioLoader", "BadClipError", "BadClipWarning", "decode_audio", "fix_length"},
    "datasets": {
        "fetch_fma",
        "fetch_gtzan",
        "load_audio_folder",
        "load_mini_genres",
        "make_genre_clips",
    },
    "domains": {
        "AudioSetEmbedding",
        "BaseDomain",
        "ClipAnalysis",
        "DomainBatch",
        "DomainUnion",
        "HarmonicSpectrogram",
        "LogMelSpectrogram",
        "MFCC",
        "ModulationSpectrogram",
        "MusicTagEmbedding",
        "PercussiveSpectrogram",
        "SpectralStatistics",
        "TimeFrequencyScattering",
        "covariance_statistics",
        "modulation_statistics",
        "time_frequency_scattering",
        "time_statistics",
    },
    "experts": {
        "CNNClassifier",
        "default_experts",
        "paper_experts",
        "pretrained_experts",
    },
    "inspection": {
        "CollectionReport",
        "ComparisonDisplay",
        "DomainDisplay",
        "ExpertAgreementDisplay",
        "LearningHistoryDisplay",
        "MixtureWeightsDisplay",
        "TimelineDisplay",
        "apply_corrections",
        "compare",
        "save_audacity_labels",
        "save_beets_changes",
        "save_playlists",
    },
    "mixture": {
        "BalancedMixer",
        "BaseMixer",
        "CNNMixer",
        "LogPoolMixer",
        "MixtureOfExpertsClassifier",
        "RNNMixer",
        "StackingMixer",
        "WindowedClassifier",
    },
    "persistence": {"load_model", "save_model"},
    "pretrained": {"fetch_published_experts", "load_published_experts"},
}


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def test_top_level_names() -> None:
    assert set(sklearn_genremoe.__all__) == TOP_LEVEL | SUBMODULES
    assert set(dir(sklearn_genremoe)) >= TOP_LEVEL | SUBMODULES
    for name in sklearn_genremoe.__all__:
        assert getattr(sklearn_genremoe, name) is not None


def test_stub_declares_what_it_imports() -> None:
    # Type checkers read __all__ of the stub, lazy_loader its imports.
    stub = ast.parse((PACKAGE / "__init__.pyi").read_text(encoding="utf-8"))
    [declared] = [node.value for node in stub.body if isinstance(node, ast.Assign)]
    assert sorted(ast.literal_eval(declared)) == sklearn_genremoe.__all__


@pytest.mark.parametrize("name", IN_ROOMS)
def test_names_of_a_room(name: str) -> None:
    module = importlib.import_module(f"sklearn_genremoe.{name}")
    assert set(module.__all__) == IN_ROOMS[name]
    assert len(module.__all__) == len(set(module.__all__))
    for public in module.__all__:
        assert getattr(module, public).__module__.startswith(f"sklearn_genremoe.{name}")


def test_every_room_is_listed() -> None:
    found = {room(path) for path in modules()} - {"__init__"}
    assert found <= set(ROOMS), f"rooms without a place in the order: {found - set(ROOMS)}"
    public = {name for name in found if not name.startswith("_")}
    assert public == set(IN_ROOMS) | {"networks"}


def imported_rooms(path: Path) -> set[str]:
    """Rooms that a module imports from, wherever in the module the import stands."""
    here = ("sklearn_genremoe", *path.relative_to(PACKAGE).with_suffix("").parts)
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(here[: -node.level]) if node.level else ""
            stem = ".".join(part for part in (base, node.module or "") if part)
            targets = [f"{stem}.{alias.name}" for alias in node.names]
        else:
            continue
        for target in targets:
            parts = target.split(".")
            if parts[0] == "sklearn_genremoe" and len(parts) > 1:
                found.add(parts[1])
    return found


@pytest.mark.parametrize(
    "path",
    # The top level knows every room, and the command line stands on the top level.
    [path for path in modules() if path.name not in ("__init__.py", "__main__.py")],
    ids=lambda path: str(path.relative_to(PACKAGE)),
)
def test_nothing_imports_from_a_later_room(path: Path) -> None:
    # A name that is no room comes from the top level, which knows every room.
    too_late = {
        other
        for other in imported_rooms(path)
        if ROOMS.get(other, max(ROOMS.values()) + 1) > ROOMS[room(path)]
    }
    assert not too_late, f"{room(path)} comes before {too_late} in the flow of data"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_private_names_of_others_stay_in_one_place(path: Path) -> None:
    private = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module != "__future__":
            names = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
            private += [f"{node.module}: {name}" for name in names if name.startswith("_")]
    allowed = path.name == "_compat.py"
    assert allowed or not private, "import these in _compat.py, and from there"


def private_names_from_other_rooms(path: Path) -> list[str]:
    """What a module imports from inside another room, the ground floor left out."""
    here = ("sklearn_genremoe", *path.relative_to(PACKAGE).with_suffix("").parts)
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ImportFrom) or not node.level:
            continue
        base = [*here[: -node.level], *(node.module or "").split(".")]
        for alias in node.names:
            target = [part for part in (*base, alias.name) if part][1:]
            if target[0] != room(path) and not target[0].startswith("_"):
                found += [".".join(target) for part in target if part.startswith("_")]
    return found


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_private_names_stay_in_their_room(path: Path) -> None:
    assert private_names_from_other_rooms(path) == []


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_modules_are_short_and_private(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 900
    in_room = path.parent != PACKAGE
    assert not in_room or path.name.startswith("_"), (
        "modules inside a room start with an underscore"
    )


def python(code: str) -> str:
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=600
    )
    return run.stdout.strip()


def test_import_leaves_global_state_alone() -> None:
    out = python(
        """
import random, sys, warnings
import numpy, torch, sklearn, skorch, numba, librosa
def state():
    return (
        random.getstate(), str(numpy.random.get_state()), torch.get_rng_state().tolist(),
        list(warnings.filters), torch.get_num_threads(), torch.get_num_interop_threads(),
        torch.get_default_dtype(), torch.is_grad_enabled(), sklearn.get_config(),
    )
before = state()
import sklearn_genremoe
for name in sklearn_genremoe.__all__:
    getattr(sklearn_genremoe, name)
after = state()
print([a == b for a, b in zip(before, after)], "matplotlib" in sys.modules)
"""
    )
    equal, matplotlib = out.rsplit(" ", 1)
    assert "False" not in equal
    assert matplotlib == "False"


def seconds_to(do: str) -> float:
    """Processor time of a fresh process that does this; others may be busy meanwhile."""
    return float(python(f"import time; {do}; print(time.process_time())"))


def test_import_of_the_package_is_quick() -> None:
    assert seconds_to("import sklearn_genremoe") < 1.0


def test_public_names_cost_little_beside_the_libraries_they_need() -> None:
    libraries = "import torch, sklearn.pipeline, sklearn.model_selection, skorch, numba, joblib"
    ours = "import sklearn_genremoe as g; [getattr(g, name) for name in g.__all__]"
    tries = (seconds_to(ours) - seconds_to(libraries) for _ in range(2))
    assert any(seconds < 2.0 for seconds in tries)


def test_feature_extraction_does_not_load_torch() -> None:
    # Worker processes that extract features start quickly and stay small.
    out = python("import sys, sklearn_genremoe.domains; print('torch' in sys.modules)")
    assert out == "False"
