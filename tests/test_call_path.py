"""How much of the package one call passes through: a way that can be read."""

import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.tree import DecisionTreeClassifier

import sklearn_genremoe
from sklearn_genremoe import LogMelSpectrogram, MixtureOfExpertsClassifier
from sklearn_genremoe.datasets import load_mini_genres
from sklearn_genremoe.domains import BaseDomain, DomainBatch

PACKAGE = str(Path(sklearn_genremoe.__file__).parent)


@pytest.fixture(scope="module")
def clips():
    clips = load_mini_genres()
    rows = np.concatenate(
        [np.flatnonzero(clips.target == genre)[:3] for genre in ("ambient", "rock")]
    )
    return [clips.data[row] for row in rows], clips.target[rows]


def mixture():
    summary, tree = FunctionTransformer(np.mean, kw_args={"axis": 2}), DecisionTreeClassifier()
    experts = [
        (f"mel{n}", make_pipeline(LogMelSpectrogram(duration=10.5, n_mels=n), summary, tree))
        for n in (20, 40)
    ]
    return MixtureOfExpertsClassifier(experts, "stacking", cv=2)


class Way:
    """What a call enters: functions and files of the package, and how deep the decoder lies."""

    def __init__(self, call):
        self.functions = {}
        self.depth = 0
        call()  # so that caches are filled and modules imported
        sys.setprofile(self._note)
        try:
            call()
        finally:
            sys.setprofile(None)

    def _note(self, frame, event, arg):
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(PACKAGE):
            if not code.co_name.startswith("<"):  # comprehensions, lambdas
                key = (code.co_filename, code.co_qualname)
                self.functions[key] = self.functions.get(key, 0) + 1
            if code.co_name == "decode_parts":
                self.depth = max(self.depth, self._frames(frame))

    @staticmethod
    def _frames(frame):
        n = 0
        while frame is not None:
            n += frame.f_code.co_filename.startswith(PACKAGE)
            frame = frame.f_back
        return n

    @property
    def files(self):
        return {file for file, _ in self.functions}

    def calls(self, name):
        return sum(n for (_, found), n in self.functions.items() if found.endswith(name))


def test_one_prediction(clips):
    paths, y = clips
    clf = mixture().fit(paths, y)
    way = Way(lambda: clf.predict(paths[:1]))
    assert len(way.functions) <= 110
    assert len(way.files) <= 20
    assert 0 < way.depth <= 12
    assert way.calls("BaseDomain.signature") == 2
    assert way.calls("_check_params") <= 4  # one of each class, which calls that of its base
    assert way.calls("DomainBatch.__init__") == 1


def test_one_fit(clips):
    paths, y = clips
    way = Way(lambda: mixture().fit(paths, y))
    assert len(way.functions) <= 180
    assert way.calls("BaseDomain.signature") == 2
    assert way.calls("DomainBatch.__init__") == 1


def test_a_batch_is_not_searched_in_every_fold(clips):
    paths, y = clips
    clf = mixture()
    batch = clf.extract(paths)
    way = Way(lambda: clf.fit(batch, y))
    assert way.calls("BaseDomain.signature") == 2
    assert way.calls("DomainBatch.name_of") == 2
    assert way.calls("DomainBatch.__init__") == 0


class Greedy(BaseDomain):
    """Writes into what it is given."""

    output_ndim = 1
    normalize = None

    def __init__(self, what="waveform"):
        self.what = what

    def features(self, analysis):
        given = {
            "waveform": lambda: analysis.waveform,
            "amplitude": lambda: analysis.amplitude(1024, 512),
            "medians": lambda: analysis.medians(1024, 512, (31, 31))[0],
            "mel_power": lambda: analysis.mel_power(1024, 512, 96, 0.0, None),
            "log_mel": lambda: analysis.log_mel(1024, 512, 96, 0.0, None, 80.0),
        }[self.what]()
        given *= 0
        return given.mean(axis=-1, keepdims=given.ndim == 1)


@pytest.mark.parametrize("what", ["waveform", "amplitude", "medians", "mel_power", "log_mel"])
def test_domains_can_not_change_what_others_see(what):
    waveforms = np.random.default_rng(0).uniform(-1, 1, (1, 22050)).astype(np.float32)
    before = waveforms.copy()
    with pytest.raises(ValueError, match="read-only"):
        Greedy(what).transform(waveforms)
    np.testing.assert_array_equal(waveforms, before)


def test_experts_can_not_change_the_batch():
    table = np.random.default_rng(0).normal(5, 3, size=(40, 4)).astype(np.float32)
    y = np.repeat([0, 1], 20)
    batch = DomainBatch({"a": table.copy()})
    expert = make_pipeline(StandardScaler(copy=False), LogisticRegression())
    clf = MixtureOfExpertsClassifier([("a", expert)], "balanced").fit(batch, y)
    first = clf.predict_proba(batch)
    np.testing.assert_array_equal(clf.predict_proba(batch), first)
    np.testing.assert_array_equal(batch["a"], table)
