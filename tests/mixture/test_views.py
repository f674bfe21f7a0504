"""What experts and mixer see: one extraction per clip, whatever the number of experts."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklearn_genremoe import (
    MFCC,
    AudioLoader,
    CNNClassifier,
    CNNMixer,
    DomainUnion,
    HarmonicSpectrogram,
    LogMelSpectrogram,
    MixtureOfExpertsClassifier,
    PercussiveSpectrogram,
    default_experts,
    paper_experts,
)
from sklearn_genremoe.audio import _decode
from sklearn_genremoe.datasets import make_genre_clips
from sklearn_genremoe.domains import DomainBatch
from sklearn_genremoe.mixture._experts import (
    domain_of_mixer,
    leading_domain,
    plan_experts,
    view_clips,
)
from tests.mixture._clips import CNN, flatten, quick_expert, two_cues

SECONDS = 0.3
RATE = 8000
SIGNAL = {"sample_rate": RATE, "duration": SECONDS, "n_fft": 256, "hop_length": 128, "n_mels": 16}


def domains():
    return [
        ("original", LogMelSpectrogram(**SIGNAL)),
        ("harmonic", HarmonicSpectrogram(**SIGNAL)),
        ("percussive", PercussiveSpectrogram(**SIGNAL)),
    ]


def experts():
    return [(name, make_pipeline(domain, quick_expert())) for name, domain in domains()]


def mixture(mixer="stacking", **params):
    return MixtureOfExpertsClassifier(experts(), mixer, **{"cv": 2, "random_state": 0, **params})


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Twelve tones, as files and as waveforms."""
    folder = tmp_path_factory.mktemp("clips")
    rng = np.random.default_rng(0)
    y = np.arange(12) % 2
    time = np.arange(round(SECONDS * RATE)) / RATE
    waveforms = np.sin(2 * np.pi * (500 + 1500 * y)[:, None] * time)
    waveforms = (0.3 * waveforms + 0.05 * rng.normal(size=waveforms.shape)).astype(np.float32)
    paths = [folder / f"{row}.wav" for row in range(12)]
    for path, waveform in zip(paths, waveforms):
        soundfile.write(path, waveform, RATE, subtype="FLOAT")
    return [str(path) for path in paths], waveforms, y


@pytest.fixture
def decodes(monkeypatch):
    """The paths that are decoded, in order."""
    decoded = []
    original = _decode.decode_parts

    def counting(path, *args, **kwargs):
        decoded.append(Path(path).name)
        return original(path, *args, **kwargs)

    monkeypatch.setattr(_decode, "decode_parts", counting)
    return decoded


@pytest.mark.parametrize("refit", [True, False])
def test_each_clip_is_decoded_once_for_fit_and_once_for_predict(clips, decodes, refit):
    paths, _, y = clips
    gate = CNNMixer(channels=(2,), max_epochs=1, device="cpu")
    clf = mixture(gate, mixer_domain=MFCC(**SIGNAL), refit=refit).fit(paths, y)
    assert sorted(decodes) == sorted(Path(path).name for path in paths)
    for method in ("predict", "mixture_weights", "expert_predict_proba", "transform"):
        decodes.clear()
        getattr(clf, method)(paths)
        assert len(decodes) == 12


def test_grid_search_decodes_each_clip_once(clips, decodes, tmp_path):
    paths, _, y = clips
    grid = {"mixer": ["balanced", "log_pool", "stacking"], "harmonic": [experts()[1][1], "drop"]}
    GridSearchCV(mixture(memory=tmp_path), grid, cv=3, error_score="raise").fit(
        np.array(paths, dtype=object), y
    )
    assert sorted(decodes) == sorted(Path(path).name for path in paths)


@pytest.mark.parametrize("refit", [True, False])
def test_paths_waveforms_and_extracted_domains_give_the_same(clips, tmp_path, refit):
    paths, waveforms, y = clips
    gate = CNNMixer(channels=(2,), max_epochs=1, device="cpu")
    batch = DomainUnion(domains()).transform(paths)
    from_paths = mixture(gate, refit=refit).fit(paths, y)
    expected = from_paths.predict_proba(paths)
    assert from_paths.n_features_in_ == 2400
    for X in (waveforms, batch):
        clf = mixture(gate, refit=refit).fit(X, y)
        for other in (paths, waveforms, batch):
            np.testing.assert_allclose(clf.predict_proba(other), expected, atol=1e-6)
    cached = mixture(gate, memory=tmp_path, refit=refit).fit(paths, y)
    np.testing.assert_allclose(cached.predict_proba(paths), expected, atol=1e-6)
    # A fitted expert is a whole pipeline that predicts by itself.
    np.testing.assert_allclose(
        from_paths.experts_[1].predict_proba(paths),
        from_paths.expert_predict_proba(paths)[:, 1],
        atol=1e-6,
    )


def test_other_widths_are_refused(clips):
    paths, waveforms, y = clips
    clf = mixture().fit(paths, y)
    with pytest.raises(ValueError, match="X has 2000 features, but MixtureOfExpertsClassifier"):
        clf.predict(waveforms[:, :2000])


def test_one_path_has_to_stand_in_a_list(clips):
    paths, _, y = clips
    with pytest.raises(ValueError, match="single path"):
        mixture().fit(paths, y).predict(paths[0])


def test_experts_without_a_domain_get_the_clips_themselves(clips):
    paths, waveforms, y = clips
    loader = make_pipeline(AudioLoader(sample_rate=RATE, duration=SECONDS), quick_expert())
    clf = MixtureOfExpertsClassifier([*experts()[:1], ("wave", loader)], "balanced")
    for X in (paths, waveforms):
        assert clf.fit(X, y).expert_predict_proba(paths).shape == (12, 2, 2)


def test_domains_with_other_parameters_are_all_extracted(clips):
    paths, _, y = clips
    coarse = make_pipeline(LogMelSpectrogram(**{**SIGNAL, "n_mels": 8}), quick_expert())
    clf = MixtureOfExpertsClassifier([*experts()[:1], ("coarse", coarse)], "balanced").fit(paths, y)
    np.testing.assert_allclose(
        clf.experts_[1].predict_proba(paths), clf.expert_predict_proba(paths)[:, 1], atol=1e-6
    )


def test_leading_domain():
    domain = HarmonicSpectrogram()
    inner = make_pipeline(domain, CNNClassifier())
    assert leading_domain(make_pipeline(inner, FunctionTransformer())) is domain
    assert leading_domain(CNNClassifier()) is None
    assert leading_domain(make_pipeline(AudioLoader(), inner)) is None


def test_domain_of_the_mixer():
    named = dict(domains())
    assert domain_of_mixer(None, named) is named["original"]
    assert domain_of_mixer("harmonic", named) is named["harmonic"]
    own = MFCC()
    assert domain_of_mixer(own, named) is own
    # Without an original spectrogram among the experts, one with their signal parameters.
    derived = domain_of_mixer(None, dict(domains()[1:]))
    assert derived.signature == LogMelSpectrogram(**SIGNAL).signature
    assert domain_of_mixer(None, {}).signature == LogMelSpectrogram().signature
    with pytest.raises(ValueError, match=r"mixer_domain='wave'.*\['original', 'harmonic'"):
        domain_of_mixer("wave", named)


def test_what_the_mixer_sees_of_a_batch():
    batch, _, _ = two_cues()
    pair = [("original", quick_expert()), ("harmonic", quick_expert())]

    def seen(batch, mixer_domain=None, experts=pair):
        clf = MixtureOfExpertsClassifier(experts, mixer_domain=mixer_domain)
        plan = plan_experts(experts, "batch", True, mixer_domain)
        return view_clips(clf, batch, experts, plan, "raise", 0)

    original, harmonic = batch["original"], batch["harmonic"]
    np.testing.assert_array_equal(seen(batch)[1], original)
    np.testing.assert_array_equal(seen(batch, "harmonic")[1], harmonic)
    swapped = DomainBatch({"original": harmonic, "harmonic": original})
    np.testing.assert_array_equal(seen(swapped)[1], harmonic)
    other_order = DomainBatch({"harmonic": harmonic, "original": original})
    np.testing.assert_array_equal(seen(other_order)[1], original)
    unnamed = DomainBatch({"a": original, "b": harmonic})
    views, of_mixer, *_ = seen(unnamed, experts=[("b", quick_expert())])
    np.testing.assert_array_equal(of_mixer, original)
    np.testing.assert_array_equal(views[0].array(), harmonic)


def test_batch_made_by_hand_serves_experts_with_domains():
    batch, y, _ = two_cues()
    pair = [
        ("original", make_pipeline(LogMelSpectrogram(), CNNClassifier(**CNN))),
        ("harmonic", make_pipeline(HarmonicSpectrogram(), CNNClassifier(**CNN))),
    ]
    clf = MixtureOfExpertsClassifier(pair, "stacking", cv=2, random_state=0).fit(batch, y)
    bare = [(name, pipe[-1]) for name, pipe in pair]
    other = clone(clf).set_params(experts=bare).fit(batch, y)
    assert clf.predict(batch).shape == other.predict(batch).shape == (48,)


def test_memory_mapped_batch(tmp_path):
    batch, y, _ = two_cues()
    arrays = {}
    for name in batch.names:
        np.save(tmp_path / f"{name}.npy", batch[name])
        arrays[name] = np.load(tmp_path / f"{name}.npy", mmap_mode="r")
    pair = [
        (name, make_pipeline(FunctionTransformer(flatten), CNNClassifier(**CNN))) for name in arrays
    ]
    clf = MixtureOfExpertsClassifier(
        pair, CNNMixer(channels=(2,), max_epochs=1, device="cpu"), cv=2, random_state=0
    )
    np.testing.assert_array_equal(
        clone(clf).fit(DomainBatch(arrays), y).predict_proba(batch),
        clone(clf).fit(batch, y).predict_proba(DomainBatch(arrays)),
    )


def test_paper_experts():
    named = paper_experts(max_epochs=3)
    assert [type(pipe[0]).__name__ for _, pipe in named] == [
        "LogMelSpectrogram",
        "HarmonicSpectrogram",
        "PercussiveSpectrogram",
        "ModulationSpectrogram",
    ]
    assert [pipe[1].max_epochs for _, pipe in named] == [3] * 4


def test_default_experts():
    named = default_experts(max_epochs=1, random_state=0)
    # Clips of four seconds: shorter than the crops, and of twelve: longer.
    for seconds in (4, 12):
        clips = make_genre_clips(6, duration=seconds, random_state=0, return_X_y=False)
        clf = MixtureOfExpertsClassifier(named, "log_pool", random_state=0)
        probas = clf.fit(clips.data, clips.target).expert_predict_proba(clips.data)
        assert probas.shape == (len(clips.data), len(named), len(clips.target_names))
        np.testing.assert_allclose(probas.sum(axis=2), 1, atol=1e-6)


def test_default_experts_take_what_was_computed_elsewhere_by_name():
    rng = np.random.default_rng(0)
    y = np.arange(12) % 3
    named = default_experts(max_epochs=1)
    shapes = {1: (20,), 2: (60, 40), 3: (12, 16, 8)}
    arrays = {name: rng.normal(size=(12, *shapes[expert[0].output_ndim])) for name, expert in named}
    del arrays["mfcc_statistics"]  # which finds what the network of the same domain looks at
    batch = DomainBatch(arrays)
    clf = MixtureOfExpertsClassifier(named, "balanced", random_state=0).fit(batch, y)
    assert clf.predict_proba(batch[:5]).shape == (5, 3)
    linear = clf.named_experts_["mfcc_statistics"]
    np.testing.assert_allclose(
        linear[1:].predict_proba(batch["mfcc"]), clf.expert_predict_proba(batch)[:, 4]
    )
