"""Clips to learn from: bundled, from a folder, and synthetic."""

from ._folder import load_audio_folder
from ._formats import decodable_extensions as decodable_extensions
from ._mini_genres import load_mini_genres
from ._synthetic import make_genre_clips

__all__ = ["load_audio_folder", "load_mini_genres", "make_genre_clips"]
