"""The versions of what the package stands on."""

import contextlib
import platform
from importlib import metadata

_REQUIRED = ("scikit-learn", "torch", "skorch", "skops", "numpy", "scipy", "pandas", "numba")
_FOR_AUDIO = ("librosa", "soundfile", "soxr", "joblib")
_OPTIONAL = ("h5py", "dask", "distributed", "pooch")


def versions(*others: str) -> dict[str, str]:
    """Return the versions of Python, this package and what it needs, of what is installed."""
    import sklearn_genremoe

    found = {"python": platform.python_version(), "sklearn-genremoe": sklearn_genremoe.__version__}
    for name in (*_REQUIRED, *_FOR_AUDIO, *others):
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def show_versions():
    """Print what a report of a problem should say about the machine.

    What :func:`sklearn.show_versions` says, and below it the versions of the package and of what
    it needs, libsndfile's among them, the graphics card, and the folder for downloads.

    Examples
    --------
    >>> from sklearn_genremoe import show_versions
    >>> show_versions()  # doctest: +ELLIPSIS
    <BLANKLINE>
    System:
              python: ...
    """
    import sklearn
    import soundfile
    import torch

    from ._files import data_folder

    sklearn.show_versions()
    print("\nsklearn-genremoe:")
    found = {
        **versions(*_OPTIONAL),
        "libsndfile": soundfile.__libsndfile_version__,
        "torch threads": torch.get_num_threads(),
        "CUDA device": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "downloads": data_folder(),
    }
    for name, value in found.items():
        print(f"{name:>18}: {value}")
