"""Where the package's data lies: inside the wheel, or beside the package in a checkout."""

import os
import sys
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
PRESETS = next(
    folder
    for folder in (_PACKAGE / "presets", _PACKAGE.parent / "presets")
    if folder.is_dir() or folder.parent == _PACKAGE.parent
)


def cache_folder() -> Path:
    """Where this user's caches of the package lie: `KERAS_POSE_CACHE`, else the system's place."""
    if os.environ.get("KERAS_POSE_CACHE"):
        return Path(os.environ["KERAS_POSE_CACHE"]).expanduser()
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "keras_pose"
