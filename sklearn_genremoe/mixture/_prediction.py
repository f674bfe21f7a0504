"""What a fitted mixture says about clips."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import TransformerMixin
from sklearn.utils import Bunch
from sklearn.utils.validation import check_is_fitted

from .._sklearn_compat import _check_feature_names_in
from ._base import BaseMixer
from ._cross_fitting import opinions_of
from ._scores import score_opinions
from ._training_clips import TrainingClips
from ._views import check_X, look_at


# A TransformerMixin here, where transform is defined: set_output wraps it in the class itself.
class MixturePrediction(TransformerMixin):
    """Predictions of the mixture, opinions and weights of its experts, and their scores."""

    mixer_domain: Any
    memory: Any
    n_jobs: int | None
    verbose: int
    classes_: NDArray
    experts_: list[Any]
    named_experts_: Bunch
    mixer_: BaseMixer

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the mixture's probability of each genre.

        Parameters
        ----------
        X : sequence of str or Path, array-like or DomainBatch
            The clips, in any of the forms that ``fit`` takes.

        Returns
        -------
        proba : ndarray of shape (n_clips, n_classes)
            Probabilities in the order of ``classes_``; rows sum to one.
        """
        opinions, clips = self._judge(X)
        return self.mixer_.predict_proba(opinions, clips)

    def predict_log_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the logarithm of the mixture's probability of each genre.

        Parameters
        ----------
        X : sequence of str or Path, array-like or DomainBatch
            The clips, in any of the forms that ``fit`` takes.

        Returns
        -------
        log_proba : ndarray of shape (n_clips, n_classes)
            Logarithms in the order of ``classes_``; minus infinity for excluded genres.
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def predict(self, X: Any) -> NDArray:
        """Return the most probable genre of each clip.

        Parameters
        ----------
        X : sequence of str or Path, array-like or DomainBatch
            The clips, in any of the forms that ``fit`` takes.

        Returns
        -------
        y : ndarray of shape (n_clips,)
            Genres.
        """
        proba = self.predict_proba(X)
        return self.classes_[proba.argmax(axis=1)]

    def expert_predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return each expert's probability of each genre.

        Parameters
        ----------
        X : sequence of str or Path, array-like or DomainBatch
            The clips, in any of the forms that ``fit`` takes.

        Returns
        -------
        proba : ndarray of shape (n_clips, n_experts, n_classes)
            Probabilities, experts in the order of ``experts_``.
        """
        return self._judge(X, with_clips=False)[0]

    def mixture_weights(self, X: Any) -> NDArray[np.float64]:
        """Return how much each expert counts, clip by clip.

        Parameters
        ----------
        X : sequence of str or Path, array-like or DomainBatch
            The clips, in any of the forms that ``fit`` takes.

        Returns
        -------
        weights : ndarray of shape (n_clips, n_experts)
            Weights, zero or above; rows sum to one. What they mean is up to the mixer: see its
            documentation.
        """
        opinions, clips = self._judge(X)
        return self.mixer_.weights(opinions, clips)

    def transform(self, X: Any) -> NDArray[np.float64]:
        """Return the opinions of the experts side by side.

        Parameters
        ----------
        X : sequence of str or Path, array-like or DomainBatch
            The clips, in any of the forms that ``fit`` takes.

        Returns
        -------
        opinions : ndarray of shape (n_clips, n_experts * n_classes)
            The probabilities of the first expert, then those of the second, and so on.
        """
        opinions = self.expert_predict_proba(X)
        return opinions.reshape(len(opinions), -1)

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> NDArray:
        """Return the names of the columns that ``transform`` gives.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Accepted if equal to ``feature_names_in_``, and otherwise not used.

        Returns
        -------
        names : ndarray of str
            The name of an expert, an underscore and a genre each.
        """
        check_is_fitted(self)
        _check_feature_names_in(self, input_features, generate_names=False)
        names = [f"{name}_{genre}" for name, _ in self._fitted() for genre in self.classes_]
        return np.asarray(names, dtype=object)

    def score_experts(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Bunch:
        """Compare the experts, the mixture and an oracle on clips with known genre.

        Parameters
        ----------
        X : sequence of str or Path, array-like or DomainBatch
            The clips, in any of the forms that ``fit`` takes; best clips that weren't trained on.
        y : array-like of shape (n_clips,)
            Their genres, all among ``classes_``.
        sample_weight : array-like of shape (n_clips,), default=None
            Weights of the clips.

        Returns
        -------
        scores : Bunch
            With the entries

            table : dict of str to list or ndarray
                Columns of equal length, a row per expert, one for the mixture and one for the
                oracle, which is right where any expert is; ``pandas.DataFrame(table)`` shows
                it. "name"; "accuracy"; "log_loss"; "disagreement", the share of clips on which
                the expert's answer isn't the mixture's; "weight", the mean weight of the
                expert; and "weight[<genre>]", its mean weight on clips of each genre. NaN
                where a column means nothing.
            mean_disagreement : float
                Share of clips on which two experts give different answers, mean over pairs.

        Examples
        --------
        >>> from sklearn.datasets import load_wine
        >>> from sklearn.naive_bayes import GaussianNB
        >>> from sklearn.neighbors import KNeighborsClassifier
        >>> from sklearn_genremoe import MixtureOfExpertsClassifier
        >>> X, y = load_wine(return_X_y=True)
        >>> experts = [("bayes", GaussianNB()), ("neighbours", KNeighborsClassifier())]
        >>> moe = MixtureOfExpertsClassifier(experts, mixer="stacking").fit(X[::2], y[::2])
        >>> table = moe.score_experts(X[1::2], y[1::2]).table
        >>> for name, accuracy in zip(table["name"], table["accuracy"]):
        ...     print(f"{name:10} {accuracy:.2f}")
        bayes      0.93
        neighbours 0.73
        mixture    0.94
        oracle     0.98
        """
        opinions, clips = self._judge(X)
        true = TrainingClips.check(X, y, sample_weight, groups=None)
        unknown = np.setdiff1d(true.y, self.classes_)
        if len(unknown):
            raise ValueError(
                f"y has the genres {unknown.tolist()}, which were not seen in fit; known are "
                f"{self.classes_.tolist()}."
            )
        return score_opinions(
            opinions,
            self.mixer_.predict_proba(opinions, clips),
            self.mixer_.weights(opinions, clips),
            np.searchsorted(self.classes_, true.y),
            self.classes_,
            [name for name, _ in self._fitted()],
            true.weight,
        )

    def _fitted(self) -> list[tuple[str, Any]]:
        return [(name, expert) for name, expert in self.named_experts_.items() if expert != "drop"]

    def _look_at(self, X: Any, experts: list[tuple[str, Any]], with_clips: bool) -> Any:
        return look_at(
            X,
            experts,
            with_clips=with_clips,
            mixer_domain=self.mixer_domain,
            memory=self.memory,
            n_jobs=self.n_jobs,
            verbose=self.verbose,
        )

    def _judge(self, X: Any, with_clips: bool = True) -> tuple[NDArray, NDArray | None]:
        """Return the opinions of the fitted experts, and the clips if the mixer looks at them."""
        check_is_fitted(self)
        experts = self._fitted()
        X = check_X(self, X, experts, reset=False)
        views, clips = self._look_at(X, experts, with_clips and self.mixer_.needs_clips)
        return opinions_of(self.experts_, views, self.classes_), clips
