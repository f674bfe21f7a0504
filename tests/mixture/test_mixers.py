"""The mixers that see only predictions, and what all mixers have in common."""

import pickle
import tracemalloc

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError

from sklearn_genremoe import BalancedMixer, CNNMixer, LogPoolMixer, RNNMixer, StackingMixer
from sklearn_genremoe.mixture import BaseMixer

ALL = [
    BalancedMixer(),
    LogPoolMixer(),
    StackingMixer(),
    CNNMixer(channels=(2,), max_epochs=1, device="cpu", random_state=0),
    RNNMixer(hidden_size=2, max_epochs=1, device="cpu", random_state=0),
]


def some_predictions(n_clips=40, n_experts=3, n_classes=4, seed=0):
    rng = np.random.default_rng(seed)
    probas = softmax(2 * rng.normal(size=(n_clips, n_experts, n_classes)), axis=2)
    y = np.arange(n_clips) % n_classes
    clips = rng.normal(size=(n_clips, 5, 6)).astype(np.float32)
    return probas, y, clips


@pytest.mark.parametrize("mixer", ALL, ids=repr)
def test_every_mixer_gives_simplexes_clones_and_pickles(mixer):
    probas, y, clips = some_predictions()
    fitted = clone(mixer).fit(probas, y, clips)
    proba, weights = fitted.predict_proba(probas, clips), fitted.weights(probas, clips)
    assert proba.shape == (40, 4)
    assert weights.shape == (40, 3)
    assert (weights >= 0).all()
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.predict_proba(probas, clips), proba)
    assert clone(mixer).get_params() == mixer.get_params()
    # The parameters stay as given, and a second fit gives the same.
    np.testing.assert_array_equal(fitted.fit(probas, y, clips).weights(probas, clips), weights)


@pytest.mark.parametrize("mixer", ALL, ids=repr)
def test_order_and_repetition_of_clips(mixer):
    probas, y, clips = some_predictions()
    weight = np.arange(40) % 3
    rows = np.random.default_rng(1).permutation(np.repeat(np.arange(40), weight))
    weighted = clone(mixer).fit(probas, y, clips, sample_weight=weight)
    repeated = clone(mixer).fit(probas[rows], y[rows], clips[rows])
    np.testing.assert_allclose(
        weighted.predict_proba(probas, clips),
        repeated.predict_proba(probas, clips),
        rtol=1e-7,
    )


@pytest.mark.parametrize("mixer", ALL, ids=repr)
def test_answer_for_a_clip_does_not_depend_on_the_others(mixer):
    probas, y, clips = some_predictions()
    fitted = clone(mixer).fit(probas, y, clips)
    together = fitted.predict_proba(probas, clips)
    alone = [fitted.predict_proba(probas[[i]], clips[[i]])[0] for i in range(40)]
    np.testing.assert_allclose(together, alone, rtol=1e-12)


def test_pools():
    probas, _, _ = some_predictions()
    np.testing.assert_allclose(BalancedMixer().predict_proba(probas), probas.mean(axis=1))
    product = probas.prod(axis=1) ** (1 / 3)
    np.testing.assert_allclose(
        LogPoolMixer().predict_proba(probas), product / product.sum(axis=1, keepdims=True)
    )


def test_log_pool_survives_an_expert_that_excludes_the_genre():
    probas = np.array([[[1.0, 0.0], [0.01, 0.99], [0.01, 0.99]]])
    proba = LogPoolMixer().predict_proba(probas)
    assert np.isfinite(proba).all()
    assert 0 < proba[0, 1] < 1


@pytest.mark.parametrize("n_classes", [2, 4])
def test_stacking_minimises_its_objective(n_classes):
    probas, y, _ = some_predictions(n_clips=80, n_classes=n_classes)
    logs = np.log(probas)
    logs -= logs.mean(axis=2, keepdims=True)
    C = 0.5
    mixer = StackingMixer(C=C).fit(probas, y)

    def objective(exponents, D, b):
        proba = softmax(
            np.einsum("m,nmk->nk", exponents, logs) + np.einsum("mkj,nmj->nk", D, logs) + b, axis=1
        )
        penalty = ((D**2).sum() + (b**2).sum()) / (2 * C) + ((exponents - 1 / 3) ** 2).sum() / 2
        return -np.log(proba[np.arange(80), y]).sum() + penalty

    # The split of the diagonal between exponents and D that costs least.
    mean_diagonal = np.trace(mixer.coef_, axis1=1, axis2=2) / n_classes
    exponents = (mean_diagonal * n_classes / C + 1 / 3) / (n_classes / C + 1)
    D = mixer.coef_ - exponents[:, None, None] * np.eye(n_classes)
    best = objective(exponents, D, mixer.intercept_)
    rng = np.random.default_rng(1)
    for _ in range(20):
        step = [1e-2 * rng.normal(size=a.shape) for a in (exponents, D, mixer.intercept_)]
        moved = (a + s for a, s in zip((exponents, D, mixer.intercept_), step))
        assert objective(*moved) > best
    expected = softmax(np.einsum("mkj,nmj->nk", mixer.coef_, logs) + mixer.intercept_, axis=1)
    np.testing.assert_allclose(mixer.predict_proba(probas), expected)


def test_stacking_leads_back_to_a_log_pool():
    probas, y, _ = some_predictions()
    few = StackingMixer(C=1e-9).fit(probas[:1], y[:1], sample_weight=[1e-9])
    # Without evidence pools of one, two and three are as probable, a pool of three as all of two.
    exponents = few.coef_.diagonal(axis1=1, axis2=2).mean(axis=1)
    np.testing.assert_allclose(exponents.sum(), 1)
    pools = np.array([[1, 0, 0], [1 / 2, 1 / 2, 0], [1 / 3, 1 / 3, 1 / 3]])
    expected = np.average(pools, axis=0, weights=[1 / 3, 1 / 3, 1])
    np.testing.assert_allclose(np.sort(exponents), np.sort(expected), atol=1e-6)
    # A genre without clips still gets what the experts say.
    some = StackingMixer().fit(probas[y < 3], y[y < 3])
    assert some.predict_proba(probas)[y == 3, 3].mean() > 0.1
    with pytest.raises(ValueError, match="'C' parameter of StackingMixer"):
        StackingMixer(C=-1).fit(probas, y)


def test_stacking_chooses_how_much_to_believe_its_weights():
    rng = np.random.default_rng(0)
    y = rng.integers(3, size=300)
    alike = softmax(np.eye(3)[y, None] + rng.normal(size=(300, 4, 3)), axis=2)
    one_knows = alike.copy()
    one_knows[:, 0] = 0.1 + 0.7 * np.eye(3)[y]
    equal, unequal = (StackingMixer(C=0).fit(probas, y) for probas in (alike, one_knows))
    assert equal.lambda_ > 10 * unequal.lambda_
    np.testing.assert_allclose(equal.weights(alike).mean(axis=0), 1 / 4, atol=0.05)
    assert unequal.weights(one_knows)[:, 0].mean() > 0.7
    assert (unequal.coef_.diagonal(axis1=1, axis2=2) >= 0).all()
    with pytest.warns(ConvergenceWarning, match="max_iter=1 .* or take a smaller C") as seen:
        StackingMixer(C=0.003, max_iter=1).fit(one_knows, y)
    assert len(seen) == 1
    with pytest.warns(ConvergenceWarning, match=r"increase max_iter\.$"):
        StackingMixer(C=0, max_iter=1).fit(one_knows, y)


def test_stacking_does_not_dilute_two_experts_among_eight():
    rng = np.random.default_rng(0)
    y, y_new = rng.integers(6, size=180), rng.integers(6, size=2000)

    def predictions(y):
        said = rng.normal(size=(len(y), 10, 6))
        said[:, [3, 7]] += 2.5 * np.eye(6)[y, None]
        said[:, [0, 1, 2, 4, 5, 6, 8, 9]] += 0.7 * np.eye(6)[y, None]
        said[:, [0, 1, 2, 4]] += 0.7 * np.repeat(rng.normal(size=(len(y), 1, 6)), 4, axis=1)
        return softmax(said, axis=2)

    learned, new = predictions(y), predictions(y_new)
    mixer = StackingMixer().fit(learned, y)
    assert mixer.relevance_[[3, 7]].min() > 0.99
    two = StackingMixer().fit(learned[:, [3, 7]], y).predict_proba(new[:, [3, 7]])
    right = (mixer.predict_proba(new).argmax(axis=1) == y_new).mean()
    assert right > (two.argmax(axis=1) == y_new).mean() - 0.01


@pytest.mark.parametrize("n_classes", [2, 4])
def test_stacking_weights_are_shares_of_the_logits(n_classes):
    probas, y, _ = some_predictions(n_clips=80, n_classes=n_classes)
    mixer = StackingMixer().fit(probas, y)
    probas[:, 2] = 1 / n_classes  # says nothing
    np.testing.assert_allclose(mixer.weights(probas)[:, 2], 0, atol=1e-12)
    flat = np.full((1, 3, n_classes), 1 / n_classes)
    np.testing.assert_allclose(mixer.weights(flat), 1 / 3)


def test_stacking_predicts_in_blocks():
    n_clips, n_experts, n_classes = 1000, 3, 61
    probas, _, _ = some_predictions(n_clips, n_experts, n_classes)
    rng = np.random.default_rng(0)
    mixer = StackingMixer()
    mixer.n_experts_, mixer.n_classes_ = n_experts, n_classes
    mixer.coef_ = rng.normal(size=(n_experts, n_classes, n_classes))
    mixer.intercept_ = rng.normal(size=n_classes)
    logs = np.log(np.maximum(probas, 1e-6))
    logs -= logs.mean(axis=2, keepdims=True)
    logits = (mixer.coef_ * logs[:, :, None, :]).sum(axis=3)  # 90 MB at once
    expected = softmax(logits.sum(axis=1) + mixer.intercept_, axis=1)
    logits -= logits.mean(axis=2, keepdims=True)
    size = np.abs(logits).sum(axis=2)
    tracemalloc.start()
    np.testing.assert_array_equal(mixer.predict_proba(probas), expected)
    np.testing.assert_array_equal(mixer.weights(probas), size / size.sum(axis=1, keepdims=True))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 25e6


def test_stacking_learns_whom_to_believe():
    rng = np.random.default_rng(0)
    y = rng.integers(3, size=300)
    good = 0.2 + 0.4 * np.eye(3)[y]
    idle = softmax(rng.normal(size=(300, 3)), axis=1)
    mixer = StackingMixer().fit(np.stack([idle, good], axis=1), y)
    assert mixer.weights(np.stack([idle, good], axis=1)).mean(axis=0)[1] > 0.9


def test_a_mixer_of_ones_own_needs_one_method():
    class First(BaseMixer):
        def _weights(self, probas, clips):
            weights = np.zeros(probas.shape[:2])
            weights[:, 0] = 1
            return weights

    probas, _, _ = some_predictions()
    np.testing.assert_allclose(First().predict_proba(probas), probas[:, 0])
    assert repr(First()) == "First()"
    with pytest.raises(NotImplementedError, match="BaseMixer"):
        BaseMixer().weights(probas)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: {"expert_proba": a["expert_proba"][0]}, "n_clips, n_experts, n_classes"),
        (lambda a: {"expert_proba": 2 * a["expert_proba"]}, "must be probabilities"),
        (lambda a: {"expert_proba": a["expert_proba"] - 0.5}, "must be probabilities"),
        (lambda a: {"y": a["y"].astype(float)}, "1-D array of integers"),
        (lambda a: {"y": a["y"] + 1}, r"0\.\.3"),
        (lambda a: {"y": a["y"][:5]}, "inconsistent numbers of samples"),
        (lambda a: {"sample_weight": np.zeros(40)}, "(?i)sample.weight"),
        (lambda a: {"sample_weight": np.ones(5)}, r"expected \(40,\)"),
    ],
)
def test_fit_says_what_is_wrong(change, message):
    probas, y, _ = some_predictions()
    arguments = {"expert_proba": probas, "y": y, "sample_weight": None}
    arguments.update(change(arguments))
    with pytest.raises(ValueError, match=message):
        StackingMixer().fit(**arguments)


def test_prediction_says_what_is_wrong():
    probas, y, clips = some_predictions()
    with pytest.raises(NotFittedError, match="is not fitted"):
        StackingMixer().predict_proba(probas)
    with pytest.raises(ValueError, match=r"2 experts on 4 genres.*3 experts"):
        StackingMixer().fit(probas, y).predict_proba(probas[:, :2])
    gate = CNNMixer(channels=(2,), max_epochs=1, device="cpu")
    with pytest.raises(ValueError, match="got none"):
        gate.fit(probas, y)
    gate.fit(probas, y, clips)
    with pytest.raises(ValueError, match=r"\(5, 5\).*\(5, 6\)"):
        gate.weights(probas, clips[:, :, :5])


def test_parameters():
    mixer = StackingMixer(C=2.0)
    assert mixer.get_params() == {"C": 2.0, "max_iter": 1000}
    assert mixer.set_params(max_iter=5) is mixer
    assert repr(mixer) == "StackingMixer(C=2.0, max_iter=5)"
    with pytest.raises(ValueError, match=r"Invalid parameter 'c'.*'C', 'max_iter'"):
        mixer.set_params(c=1)
