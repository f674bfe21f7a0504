"""Music genre classification by mixtures of CNN experts, as scikit-learn estimators."""

import lazy_loader as _lazy

__version__ = "0.1.0.dev0"

# The public names stand in __init__.pyi. They load on first use, so that a process that only
# extracts features never pays for importing torch.
__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
