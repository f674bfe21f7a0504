"""Clips to learn from: bundled, from a folder, published, and synthetic."""

from ._fma import fetch_fma
from ._folder import find_audio_files as find_audio_files
from ._folder import load_audio_folder
from ._gtzan import fetch_gtzan
from ._mini_genres import load_mini_genres
from ._synthetic import make_genre_clips

__all__ = [
    "fetch_fma",
    "fetch_gtzan",
    "load_audio_folder",
    "load_mini_genres",
    "make_genre_clips",
]
