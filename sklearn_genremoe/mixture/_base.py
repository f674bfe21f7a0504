"""What every mixer is: a rule that turns the opinions of the experts into one opinion."""

import inspect
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.exceptions import NotFittedError
from sklearn.utils import check_array, check_consistent_length

_SIMPLEX_TOLERANCE = 1e-3


class BaseMixer:
    r"""Base class of the mixers.

    A mixer sees what M experts think of a clip, and may look at the clip itself. It answers
    with weights on the simplex and with one distribution over the K genres, by default the
    mixture of experts

    .. math:: y_k(x) = \sum_{m=1}^{M} g_m(x)\, h_{mk}(x).

    A mixer is a component of an estimator, as a kernel is of a Gaussian process: it has
    parameters, so it can be cloned and searched over, but it isn't an estimator by itself.

    To write one, subclass, store the constructor's parameters unchanged, and implement

    - ``_weights(opinions, clips) -> (n_clips, n_experts)``, rows on the simplex;
    - ``_fit(opinions, y, clips, sample_weight)``, if the mixer learns, and ``needs_fit = True``;
    - ``_predict_proba(opinions, clips) -> (n_clips, n_classes)``, if its opinion isn't the
      weighted mean of those of the experts;

    and set ``needs_clips = True`` if it looks at the clips. These methods get checked arrays:
    float64 probabilities, integer labels, and weights above zero.

    Attributes
    ----------
    needs_fit : bool
        Whether the mixer learns from opinions on clips with known genre. Experts are
        cross-fitted only for mixers that do.
    needs_clips : bool
        Whether the mixer looks at the clips, as an array (n_clips, n_bins, n_frames).

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
    ...     def _weights(self, opinions, clips):
    ...         trust = opinions.max(axis=2) ** self.sharpness
    ...         return trust / trust.sum(axis=1, keepdims=True)
    >>> opinions = np.array([[[0.9, 0.1], [0.4, 0.6]]])  # 1 clip, 2 experts, 2 genres
    >>> mixer = ConfidenceMixer()
    >>> mixer.weights(opinions)
    array([[0.6, 0.4]])
    >>> mixer.predict_proba(opinions)
    array([[0.7, 0.3]])

    It goes where a mixer's name goes: ``MixtureOfExpertsClassifier(mixer=ConfidenceMixer())``.
    """

    needs_fit: bool = False
    needs_clips: bool = False

    # The public methods check; the methods with an underscore compute.

    def fit(
        self,
        opinions: ArrayLike,
        y: ArrayLike,
        clips: NDArray | None = None,
        *,
        sample_weight: ArrayLike | None = None,
    ) -> "BaseMixer":
        """Learn from what the experts think of clips whose genre is known.

        Parameters
        ----------
        opinions : array-like of shape (n_clips, n_experts, n_classes)
            The probabilities that each expert gives, best on clips that it wasn't trained on.
        y : array-like of int of shape (n_clips,)
            The genre of each clip, as a column number of `opinions`.
        clips : ndarray of shape (n_clips, n_bins, n_frames), default=None
            The clips themselves, for mixers that look at them.
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
            If the shapes don't agree, or if the opinions aren't probabilities.
        """
        opinions = check_opinions(opinions)
        y = np.asarray(y)
        clips = self._check_clips(clips, len(opinions))
        check_consistent_length(opinions, y)
        n_classes = opinions.shape[2]
        if y.ndim != 1 or not np.issubdtype(y.dtype, np.integer):
            raise ValueError(
                f"y must be a 1-D array of integers, got {y.ndim} dimensions of {y.dtype}; "
                "encode the genres as column numbers of the opinions."
            )
        if y.size and (y.min() < 0 or y.max() >= n_classes):
            raise ValueError(
                f"y must lie in 0..{n_classes - 1}, the columns of the opinions, got "
                f"{y.min()}..{y.max()}."
            )
        if sample_weight is None:
            weight = np.ones(len(y))
        else:
            weight = check_array(
                sample_weight, ensure_2d=False, dtype=np.float64, input_name="sample_weight"
            )
            check_consistent_length(y, weight)
        present = np.flatnonzero(weight)
        if not len(present):
            raise ValueError("The mixer got no clip to learn from (with a weight above zero).")
        if len(present) < len(y):
            opinions, y, weight = opinions[present], y[present], weight[present]
            clips = None if clips is None else clips[present]
        self.n_experts_, self.n_classes_ = opinions.shape[1:]
        self._fit(opinions, y, clips, weight)
        return self

    def predict_proba(self, opinions: ArrayLike, clips: NDArray | None = None) -> NDArray:
        """Mix the opinions of the experts.

        Parameters
        ----------
        opinions : array-like of shape (n_clips, n_experts, n_classes)
            The probabilities that each expert gives.
        clips : ndarray of shape (n_clips, n_bins, n_frames), default=None
            The clips themselves, for mixers that look at them.

        Returns
        -------
        proba : ndarray of shape (n_clips, n_classes)
            Probabilities; rows sum to one.
        """
        opinions, clips = self._check(opinions, clips)
        return self._predict_proba(opinions, clips)

    def weights(self, opinions: ArrayLike, clips: NDArray | None = None) -> NDArray:
        """Say how much each expert counts, clip by clip.

        Parameters
        ----------
        opinions : array-like of shape (n_clips, n_experts, n_classes)
            The probabilities that each expert gives.
        clips : ndarray of shape (n_clips, n_bins, n_frames), default=None
            The clips themselves, for mixers that look at them.

        Returns
        -------
        weights : ndarray of shape (n_clips, n_experts)
            Weights, zero or above; rows sum to one.
        """
        opinions, clips = self._check(opinions, clips)
        return self._weights(opinions, clips)

    def _fit(self, opinions: NDArray, y: NDArray, clips: Any, sample_weight: NDArray) -> None:
        """Learn nothing."""

    def _weights(self, opinions: NDArray, clips: Any) -> NDArray:
        raise NotImplementedError(f"{type(self).__name__} doesn't define _weights.")

    def _predict_proba(self, opinions: NDArray, clips: Any) -> NDArray:
        # A sum over an axis that isn't the last one adds in the same order for every clip,
        # so that the answer for a clip doesn't depend on the clips around it.
        return (self._weights(opinions, clips)[:, :, None] * opinions).sum(axis=1)

    def _check(self, opinions: ArrayLike, clips: NDArray | None) -> tuple[NDArray, Any]:
        checked = check_opinions(opinions)
        if self.needs_fit and not hasattr(self, "n_experts_"):
            raise NotFittedError(f"This {type(self).__name__} isn't fitted yet; call fit first.")
        fitted = (getattr(self, "n_experts_", None), getattr(self, "n_classes_", None))
        if self.needs_fit and checked.shape[1:] != fitted:
            raise ValueError(
                f"The opinions come from {checked.shape[1]} experts on {checked.shape[2]} genres, "
                f"but {type(self).__name__} was fitted with {fitted[0]} experts and {fitted[1]} "
                "genres."
            )
        return checked, self._check_clips(clips, len(checked))

    def _check_clips(self, clips: NDArray | None, n_clips: int) -> NDArray | None:
        if not self.needs_clips:
            return None
        if clips is None or clips.ndim != 3 or len(clips) != n_clips:
            found = "none" if clips is None else f"an array of shape {clips.shape}"
            raise ValueError(
                f"{type(self).__name__} looks at the clips: it needs an array of shape "
                f"({n_clips}, n_bins, n_frames), got {found}."
            )
        return clips

    # Parameters, as scikit-learn's estimators have them.

    @classmethod
    def _parameter_names(cls) -> list[str]:
        if cls.__init__ is object.__init__:
            return []
        return [name for name in inspect.signature(cls.__init__).parameters if name != "self"]

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters of the mixer.

        Parameters
        ----------
        deep : bool, default=True
            Accepted for scikit-learn's sake; a mixer holds no other estimator.

        Returns
        -------
        params : dict
            Names and values of the constructor's parameters.
        """
        return {name: getattr(self, name) for name in self._parameter_names()}

    def set_params(self, **params: Any) -> "BaseMixer":
        """Set parameters of the mixer.

        Parameters
        ----------
        **params : dict
            Names and values.

        Returns
        -------
        self : BaseMixer
            The mixer.

        Raises
        ------
        ValueError
            If the mixer has no parameter of that name.
        """
        known = self._parameter_names()
        for name, value in params.items():
            if name not in known:
                raise ValueError(
                    f"{type(self).__name__} has no parameter {name!r}; it has "
                    f"{', '.join(known) or 'none'}."
                )
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        defaults = {}
        if self._parameter_names():
            defaults = {k: p.default for k, p in inspect.signature(type(self)).parameters.items()}
        changed = [
            f"{name}={value!r}"
            for name, value in self.get_params().items()
            if repr(value) != repr(defaults[name])
        ]
        return f"{type(self).__name__}({', '.join(changed)})"


def check_opinions(opinions: ArrayLike) -> NDArray[np.float64]:
    """Return opinions as float64, or raise if they aren't probabilities."""
    checked = check_array(opinions, allow_nd=True, dtype=np.float64, input_name="opinions")
    if checked.ndim != 3:
        raise ValueError(
            "opinions must have the shape (n_clips, n_experts, n_classes), got "
            f"{checked.ndim} dimensions of shape {checked.shape}."
        )
    if checked.min() < 0 or np.abs(checked.sum(axis=2) - 1).max() > _SIMPLEX_TOLERANCE:
        raise ValueError(
            "opinions must be probabilities: zero or above, with sum one over the genres "
            "(the last axis)."
        )
    return checked
