"""Which models there are reference values of."""

import json
from pathlib import Path

# Folders of reference values with an index of models, and what they are called.
FOLDERS = {
    "models": "Top-down models",
    "models_bottomup": "Bottom-up and one-stage models",
    "models_3d": "3D models",
}
# Models that are not compared, and why.
LEFT_OUT = {"edpose_res50_8xb2-50e_coco-800x1333": "ED-Pose is not in this package"}


def entries(golden: Path, folders=tuple(FOLDERS)) -> list[tuple[str, dict]]:
    """(folder, what its index says) of each model that is compared, small models first."""
    found = []
    for folder in folders:
        index = golden / folder / "index.json"
        if index.is_file():
            models = json.loads(index.read_text("utf-8"))["models"]
            found += [(folder, entry) for entry in models if entry["config"] not in LEFT_OUT]
    return sorted(found, key=lambda item: item[1]["params"])
