"""Music genre classification by mixtures of CNN experts, as scikit-learn estimators."""

__version__ = "0.1.0.dev0"
