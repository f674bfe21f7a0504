"""What every mixer is: a rule that turns the predictions of the experts into one answer."""

import reprlib
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import check_array, check_consistent_length
from sklearn.utils.validation import check_is_fitted

from .._checks import check_weight
from .._clips import some_rows

_SIMPLEX_TOLERANCE = 1e-3
# Below this, a probability counts as this in a logarithm: one expert that excludes the right
# genre must not be able to silence all the others.
_FLOOR = 1e-6


class BaseMixer(BaseEstimator):
    r"""Base class of the mixers.

    A mixer sees what M experts think of a clip, and may see the clip itself. It answers
    with weights on the simplex and with one distribution over the K genres, by default the
    mixture of experts

    .. math:: y_k(x) = \sum_{m=1}^{M} g_m(x)\, h_{mk}(x).

    A mixer is a component of an estimator, as a kernel is of a Gaussian process: it has
    parameters, so it can be cloned and searched over, but it learns from predicted
    probabilities and not from `X`.

    To write one, subclass, store the constructor's parameters unchanged, and implement

    - ``_weights(expert_proba, clips) -> (n_clips, n_experts)``, rows on the simplex;
    - ``_fit(expert_proba, y, clips, sample_weight)``, if the mixer learns, and
      ``needs_fit = True``;
    - ``_predict_proba(expert_proba, clips) -> (n_clips, n_classes)``, if its answer isn't the
      weighted mean of those of the experts;

    and set ``needs_clips = True`` if it sees the clips. These methods get checked arrays:
    float64 probabilities, integer labels, and weights above zero.

    Attributes
    ----------
    needs_fit : bool
        Whether the mixer learns from predictions for clips with known genre. Experts are
        cross-fitted only for mixers that do.
    needs_clips : bool
        Whether the mixer sees the clips, as an array (n_clips, n_bins, n_frames).

    See Also
    --------
    BalancedMixer : The simplest mixer.

    Examples
    --------
    A mixer that trusts each expert as much as that expert is sure of its answer:

    >>> import numpy as np
    >>> from sklearn_genremoe.mixture import BaseMixer
    >>> class ConfidenceMixer(BaseMixer):
    ...     def __init__(self, sharpness=1.0):
    ...         self.sharpness = sharpness
    ...
    ...     def _weights(self, expert_proba, clips):
    ...         trust = expert_proba.max(axis=2) ** self.sharpness
    ...         return trust / trust.sum(axis=1, keepdims=True)
    >>> expert_proba = np.array([[[0.9, 0.1], [0.4, 0.6]]])  # 1 clip, 2 experts, 2 genres
    >>> mixer = ConfidenceMixer()
    >>> mixer.weights(expert_proba)
    array([[0.6, 0.4]])
    >>> mixer.predict_proba(expert_proba)
    array([[0.7, 0.3]])

    It goes where a mixer's name goes: ``MixtureOfExpertsClassifier(mixer=ConfidenceMixer())``.
    """

    needs_fit: bool = False
    needs_clips: bool = False
    n_experts_: int
    n_classes_: int
    _parameter_constraints: dict[str, list[Any]] = {}

    # The public methods check; the methods with an underscore compute.

    def fit(
        self,
        expert_proba: ArrayLike,
        y: ArrayLike,
        clips: NDArray | None = None,
        *,
        sample_weight: ArrayLike | None = None,
    ) -> "BaseMixer":
        """Learn from what the experts think of clips whose genre is known.

        Parameters
        ----------
        expert_proba : array-like of shape (n_clips, n_experts, n_classes)
            The probabilities that each expert gives, best on clips that it wasn't trained on.
        y : array-like of int of shape (n_clips,)
            The genre of each clip, as a column number of `expert_proba`.
        clips : ndarray of shape (n_clips, n_bins, n_frames), default=None
            The clips themselves, for mixers that see them.
        sample_weight : array-like of shape (n_clips,), default=None
            Weights of the clips. A clip of weight 0 counts as absent, a clip of weight 2 as
            present twice.

        Returns
        -------
        self : BaseMixer
            The fitted mixer.

        Raises
        ------
        ValueError
            If the shapes don't agree, or if what the experts say aren't probabilities.
        """
        self._validate_params()
        expert_proba = check_expert_proba(expert_proba)
        y = np.asarray(y)
        clips = self._check_clips(clips, len(expert_proba))
        check_consistent_length(expert_proba, y)
        last = expert_proba.shape[2] - 1
        if y.ndim != 1 or y.dtype.kind not in "iu" or not 0 <= y.min() <= y.max() <= last:
            raise ValueError(
                f"y must be a 1-D array of integers in 0..{last}, the columns of the "
                f"probabilities, got {reprlib.repr(y.tolist())}; encode the genres."
            )
        weight = check_weight(expert_proba, sample_weight)
        if not weight.all():
            present = np.flatnonzero(weight)
            expert_proba, y, weight = expert_proba[present], y[present], weight[present]
            clips = None if clips is None else clips[present]
        self.n_experts_, self.n_classes_ = expert_proba.shape[1:]
        self._fit(expert_proba, y, clips, weight)
        return self

    def predict_proba(self, expert_proba: ArrayLike, clips: NDArray | None = None) -> NDArray:
        """Mix the predictions of the experts.

        Parameters
        ----------
        expert_proba : array-like of shape (n_clips, n_experts, n_classes)
            The probabilities that each expert gives.
        clips : ndarray of shape (n_clips, n_bins, n_frames), default=None
            The clips themselves, for mixers that see them.

        Returns
        -------
        proba : ndarray of shape (n_clips, n_classes)
            Probabilities; rows sum to one.
        """
        expert_proba, clips = self._check(expert_proba, clips)
        return self._predict_proba(expert_proba, clips)

    def weights(self, expert_proba: ArrayLike, clips: NDArray | None = None) -> NDArray:
        """Say how much each expert counts, clip by clip.

        Parameters
        ----------
        expert_proba : array-like of shape (n_clips, n_experts, n_classes)
            The probabilities that each expert gives.
        clips : ndarray of shape (n_clips, n_bins, n_frames), default=None
            The clips themselves, for mixers that see them.

        Returns
        -------
        weights : ndarray of shape (n_clips, n_experts)
            Weights, zero or above; rows sum to one.
        """
        expert_proba, clips = self._check(expert_proba, clips)
        return self._weights(expert_proba, clips)

    def _fit(self, expert_proba: NDArray, y: NDArray, clips: Any, sample_weight: NDArray) -> None:
        """Learn nothing."""

    def _weights(self, expert_proba: NDArray, clips: Any) -> NDArray:
        raise NotImplementedError(f"{type(self).__name__} doesn't define _weights.")

    def _predict_proba(self, expert_proba: NDArray, clips: Any) -> NDArray:
        # A sum over an axis that isn't the last one adds in the same order for every clip,
        # so that the answer for a clip doesn't depend on the clips around it.
        return (self._weights(expert_proba, clips)[:, :, None] * expert_proba).sum(axis=1)

    def _check(self, expert_proba: ArrayLike, clips: NDArray | None) -> tuple[NDArray, Any]:
        checked = check_expert_proba(expert_proba)
        if self.needs_fit:
            check_is_fitted(self, "n_experts_")
            if checked.shape[1:] != (self.n_experts_, self.n_classes_):
                raise ValueError(
                    f"The predictions come from {checked.shape[1]} experts on {checked.shape[2]} "
                    f"genres, but {type(self).__name__} was fitted with {self.n_experts_} experts "
                    f"and {self.n_classes_} genres."
                )
        return checked, self._check_clips(clips, len(checked))

    def _check_clips(self, clips: NDArray | None, n_clips: int) -> NDArray | None:
        if not self.needs_clips:
            return None
        if clips is None or clips.ndim != 3 or len(clips) != n_clips:
            found = "none" if clips is None else f"an array of shape {clips.shape}"
            raise ValueError(
                f"{type(self).__name__} sees the clips: it needs an array of shape "
                f"({n_clips}, n_bins, n_frames), got {found}."
            )
        return clips


def check_expert_proba(expert_proba: ArrayLike) -> NDArray[np.float64]:
    """Return the experts' probabilities as float64, or raise if they aren't any."""
    checked = check_array(expert_proba, allow_nd=True, dtype=np.float64, input_name="expert_proba")
    if checked.ndim != 3:
        raise ValueError(
            "expert_proba must have the shape (n_clips, n_experts, n_classes), got "
            f"{checked.ndim} dimensions of shape {checked.shape}."
        )
    if checked.min() < 0 or np.abs(checked.sum(axis=2) - 1).max() > _SIMPLEX_TOLERANCE:
        raise ValueError(
            "expert_proba must be probabilities: zero or above, with sum one over the genres "
            "(the last axis)."
        )
    return checked


def log_probabilities(expert_proba: NDArray) -> NDArray:
    """Return the logarithm of probabilities, bounded below."""
    return np.log(np.maximum(expert_proba, _FLOOR))


def centred_logs(expert_proba: NDArray) -> NDArray:
    """Return the logarithm of probabilities with mean zero over the genres of each expert."""
    logs = log_probabilities(expert_proba)
    return logs - logs.mean(axis=2, keepdims=True)


def merge_equal(
    expert_proba: NDArray, y: NDArray, sample_weight: NDArray
) -> tuple[NDArray, NDArray, NDArray]:
    """Merge clips with equal predictions and genre, add up their weights, and order the rest.

    What is learnt then depends on which clips there are, not on their order, and a clip that
    comes twice counts exactly as a clip of weight 2.
    """
    keys = np.column_stack([y, expert_proba.reshape(len(y), -1)])
    _, first, group = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    weight = np.bincount(group.ravel(), weights=sample_weight)
    return expert_proba[first], y[first], weight


def aligned_proba(
    expert: Any, X: Any, classes: NDArray, rows: NDArray[np.intp] | None = None
) -> NDArray[np.float64]:
    """Return an expert's probabilities with one column for each of `classes`.

    Classes that the expert has never seen get zeros; `rows` numbers the clips in messages.
    """
    given = np.asarray(expert.predict_proba(X), dtype=np.float64)
    decides = type(getattr(expert, "_final_estimator", expert)).__name__
    if given.ndim != 2 or given.shape[1] != len(expert.classes_):
        raise ValueError(
            f"predict_proba of the expert {decides} gave an array of shape {given.shape}; expected "
            f"a row per clip and a column for each of its {len(expert.classes_)} classes."
        )
    total = given.sum(axis=1)
    wrong = np.flatnonzero(~(np.isfinite(total) & (total > 0) & (given >= 0).all(axis=1)))
    if len(wrong):
        clips = wrong if rows is None else rows[wrong]
        raise ValueError(
            f"predict_proba of the expert {decides} gave no probabilities for {len(wrong)} of "
            f"{len(given)} clips (rows {some_rows(clips.tolist())}), the first is "
            f"{given[wrong[0]]}. Expected numbers of zero or above, not all zero: look at these "
            "clips, or at the expert."
        )
    proba = np.zeros((len(given), len(classes)))
    proba[:, np.searchsorted(classes, expert.classes_)] = given
    return proba / total[:, np.newaxis]
