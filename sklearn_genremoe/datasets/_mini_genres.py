"""The real clips that come with the package."""

from collections import Counter
from pathlib import Path

from ._bunch import ClipBunch
from ._folder import load_audio_folder

_FOLDER = Path(__file__).resolve().parent / "data" / "mini_genres"

_DESCR = """\
Mini genres: {n_clips} real clips to try things out
===============================================

:Clips: {n_clips} of 10 s each (OGG Vorbis, mono, 22,050 Hz; 3 MB together)
:Genres: {genres}
:Tracks: {n_tracks}; some clips are cut from one track, so split by `groups`
:Artists: {n_artists}
:Licences: {licences}

Excerpts of music from free computer games, as packaged by Debian, with the genres given there.
With a dozen clips per genre the set shows how things work and is no benchmark: mean and
deviation of 20 MFCC and their deltas with a support vector machine reach an accuracy of 0.56 in
four folds by track (chance level: 0.25).

Each clip stays under the licence of its track (the package's own BSD licence does not apply to
them). `artists`, `titles` and `licences` attribute them clip by clip, as does ATTRIBUTION.md in the
folder of the clips.
"""


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
    licences = clips.metadata["licence"]
    artists = clips.metadata["artist"]
    licence = " and ".join(sorted(set(licences)))
    return ClipBunch(
        data=clips.data,
        target=clips.target,
        target_names=clips.target_names,
        groups=clips.groups,
        artists=artists,
        titles=clips.metadata["title"],
        licences=licences,
        licence=licence,
        DESCR=_DESCR.format(
            n_clips=len(clips.data),
            genres=", ".join(f"{name} ({n})" for name, n in sorted(Counter(clips.target).items())),
            n_tracks=len(set(clips.groups)),
            n_artists=len(set(artists)),
            licences=", ".join(f"{name} ({n})" for name, n in sorted(Counter(licences).items())),
        ),
    )
