"""What the displays share."""

from typing import Any


def new_axes(caller: str, figsize: tuple[float, float]) -> Any:
    """Return the axes of a new figure.

    Parameters
    ----------
    caller : str
        Who needs matplotlib, for the error message.
    figsize : tuple of (float, float)
        Width and height in inches.

    Returns
    -------
    ax : matplotlib.axes.Axes
        Axes in a figure with constrained layout, so that nothing outside them is cut off.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    try:
        import matplotlib.pyplot as plt  # an optional dependency, slow to import
    except ImportError as error:
        raise ImportError(
            f"{caller} needs matplotlib: pip install 'sklearn-genremoe[plot]'."
        ) from error
    return plt.subplots(figsize=figsize, layout="constrained")[1]


def import_pandas(caller: str) -> Any:
    """Return pandas, or say who needs it."""
    try:
        import pandas
    except ImportError as error:
        raise ImportError(f"{caller} needs pandas: pip install pandas.") from error
    return pandas
