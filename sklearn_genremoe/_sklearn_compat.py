"""The one place that imports from scikit-learn what it does not promise to keep."""

from sklearn.utils._param_validation import Interval, StrOptions

__all__ = ["Interval", "StrOptions"]
