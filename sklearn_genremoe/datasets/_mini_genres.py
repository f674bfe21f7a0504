"""The real clips that come with the package."""

from pathlib import Path

from ._bunch import described
from ._folder import load_audio_folder

_FOLDER = Path(__file__).resolve().parent / "data" / "mini_genres"


def load_mini_genres(*, return_X_y=False):
    """Load the 48 real clips of four genres that come with the package.

    Ten-second excerpts of ambient, electronic, folk and rock tracks, 12 per genre, under free
    licences: enough to try every part of the package without a download, too few to rank
    methods.

    Parameters
    ----------
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    clips : :class:`~sklearn.utils.Bunch`
        With the attributes

        data : ndarray of str of shape (48,)
            Paths of the clips.
        target : ndarray of str of shape (48,)
            The genre of each clip.
        target_names : list of str
            The genres in alphabetical order.
        groups : ndarray of str of shape (48,)
            The track that each clip is cut from, for
            :class:`~sklearn.model_selection.StratifiedGroupKFold`.
        artists, titles, licences : ndarray of str of shape (48,)
            The attribution of each clip.
        licence : str
            The licences of the whole set.
        DESCR : str
            A description of the set.
    (data, target) : tuple if `return_X_y` is True
        The clips and their genres.

    Examples
    --------
    >>> from sklearn_genremoe.datasets import load_mini_genres
    >>> clips = load_mini_genres()
    >>> clips.data.shape, clips.target_names
    ((48,), ['ambient', 'electronic', 'folk', 'rock'])
    >>> X, y = load_mini_genres(return_X_y=True)
    """
    clips = load_audio_folder(
        _FOLDER, manifest="manifest.csv", group_by="track", duplicates="ignore"
    )
    if return_X_y:
        return clips.data, clips.target
    columns = {f"{name}s": clips.metadata[name] for name in ("artist", "title", "licence")}
    columns |= {"groups": clips.groups, "licence": " and ".join(sorted(set(columns["licences"])))}
    source = "free computer games"
    return described(source, clips.data, clips.target, {}, "mini_genres.rst", **columns)
