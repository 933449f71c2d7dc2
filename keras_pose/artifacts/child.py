"""Writes or runs an artifact; the program of the child processes that `run_child` starts."""

import json
import sys
from pathlib import Path

import numpy as np

from keras_pose.artifacts.messages import one_sentence
from keras_pose.artifacts.runtimes import load_artifact, run_batches
from keras_pose.artifacts.writers import write_artifact
from keras_pose.preset import load_preset


def main(folder: Path) -> int:
    """Does the job that lies in a folder; leaves its results, or `failure.txt`, there."""
    try:
        _do(folder)
    except Exception as error:
        (folder / "failure.txt").write_text(one_sentence(error), "utf-8")
        return 1
    return 0


def _do(folder: Path) -> None:
    job = json.loads((folder / "job.json").read_text("utf-8"))
    path = Path(job.pop("path"))
    if "preset" in job:
        write_artifact(load_preset(job.pop("preset")), path, **job)
    images = folder / "images.npy"
    if images.is_file():
        outputs = run_batches(load_artifact(path), np.load(images))
        np.savez(folder / "outputs.npz", **outputs)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
