"""Where the tests find the research data that may not be redistributed."""

import os
from pathlib import Path

import pytest

_DEFAULT = Path(__file__).resolve().parents[2] / "shared"


def shared_data(*parts: str) -> Path:
    """Return a path in the folder of shared research data.

    The folder is ``$GENREMOE_SHARED``, or ``shared`` beside the checkout. Without it the
    calling test skips, except in continuous integration, where it fails: a missing folder
    there would silently take the parity tests away.
    """
    path = Path(os.environ.get("GENREMOE_SHARED", _DEFAULT)).joinpath(*parts)
    if path.exists():
        return path
    message = f"{path} not found; set GENREMOE_SHARED to the folder with the research data"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)
