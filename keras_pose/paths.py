"""Where the package's data lies: inside the wheel, or beside the package in a checkout."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
PRESETS = next(
    folder
    for folder in (_PACKAGE / "presets", _PACKAGE.parent / "presets")
    if folder.is_dir() or folder.parent == _PACKAGE.parent
)
