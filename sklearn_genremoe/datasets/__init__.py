"""Clips to learn from: bundled, from a folder, and synthetic."""

from ._folder import load_audio_folder
from ._mini_genres import load_mini_genres

__all__ = ["load_audio_folder", "load_mini_genres"]
