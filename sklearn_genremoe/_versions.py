"""The versions of what the package stands on."""

import os
import platform
import sys
from importlib import metadata

_PACKAGES = (
    "scikit-learn",
    "torch",
    "skorch",
    "skops",
    "numpy",
    "scipy",
    "numba",
    "librosa",
    "soundfile",
    "soxr",
    "joblib",
)
_OPTIONAL = ("pandas", "matplotlib", "h5py", "dask", "distributed", "pooch")


def versions(optional=False) -> dict[str, str | None]:
    """Return the versions of Python, this package and what it needs; None of what is missing."""
    import sklearn_genremoe

    found: dict[str, str | None] = {
        "python": platform.python_version(),
        "sklearn-genremoe": sklearn_genremoe.__version__,
    }
    for name in (*_PACKAGES, *(_OPTIONAL if optional else ())):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    return found


def show_versions():
    """Print what a report of a problem should say about the machine.

    The versions of Python, of the package and of what it needs, libsndfile's among them; the
    system, cores, threads and the graphics card; and the folder for downloads.

    See Also
    --------
    sklearn.show_versions : The same for scikit-learn alone.

    Examples
    --------
    >>> from sklearn_genremoe import show_versions
    >>> show_versions()  # doctest: +ELLIPSIS
    <BLANKLINE>
    System:
              python: ...
    """
    import soundfile
    import torch
    from joblib import cpu_count
    from threadpoolctl import threadpool_info

    from ._files import data_folder

    of_packages = versions(optional=True)
    of_packages["libsndfile"] = soundfile.__libsndfile_version__
    cuda = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    pools = {f"{pool['internal_api']} threads": pool["num_threads"] for pool in threadpool_info()}
    sections: dict[str, dict] = {
        "System": {
            "python": sys.version.replace("\n", " "),
            "executable": sys.executable,
            "machine": platform.platform(),
        },
        "Packages": {name: of_packages[name] for name in of_packages if name != "python"},
        "Parallel work": {
            "cores": os.cpu_count(),
            "cores to use": cpu_count(),
            "torch threads": torch.get_num_threads(),
            **pools,
            "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS"),
            "CUDA device": cuda,
        },
        "Folders": {"downloads": data_folder(), "working folder": os.getcwd()},
    }
    for title, rows in sections.items():
        print(f"\n{title}:")
        for name, value in rows.items():
            print(f"{name:>18}: {value}")
