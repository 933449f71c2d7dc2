"""Exports published bottom-up models with decoding inside and compares the files with Keras.

    python tools/export_parity.py [CONFIG ...] [--format litert ...] [--published-size]

Weights and images are those of the reference values, so the folder of reference values must lie
beside the checkout, as for `tools/parity.py`. Every file must find the people that Keras finds and
no others; the largest differences of all of them are printed, and a keypoint more than 0.1 pixels
off makes the run fail.
"""

import argparse
import os
import re
import resource
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import numpy as np
from reference.cases import open_case

import keras_pose
from keras_pose.artifacts import load_artifact

GOLDEN = Path(__file__).resolve().parent.parent.parent / "shared" / "golden"
CONFIGS = (
    "rtmo-s_8xb32-600e_coco-640x640",
    "yoloxpose_s_8xb32-300e_coco-640",
    "dekr_hrnet-w32_8xb10-140e_coco-512x512",
)
SUFFIXES = {"tf_saved_model": "", "litert": ".tflite", "onnx": ".onnx"}
PIXELS = 0.1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("configs", nargs="*", metavar="CONFIG", help=f"default: {CONFIGS}")
    parser.add_argument("--golden", type=Path, default=GOLDEN, help="folder of reference values")
    parser.add_argument("--format", choices=SUFFIXES, action="append", help="default: all")
    parser.add_argument(
        "--published-size",
        action="store_true",
        help="images of the size in the config's name, not the small ones of the reference values",
    )
    arguments = parser.parse_args()
    if not arguments.golden.is_dir():
        parser.error(f"there is no folder {arguments.golden}")
    failed = False
    for config in arguments.configs or CONFIGS:
        case = open_case(arguments.golden, config)
        model = case.estimator()
        images = case.images
        if arguments.published_size:
            side = int(re.search(r"\d+$", config)[0])
            images = case.recipe.golden_images(case.entry["image_seed"], 1, side, side)
        height, width = images.shape[1:3]
        model.input_size = (width, height)
        expected = model.predict_on_batch(images)
        alone = [model.predict_on_batch(images[i : i + 1]) for i in range(len(images))]
        itself = differences(
            expected, {name: np.concatenate([each[name] for each in alone]) for name in expected}
        )
        print(f"{config}: Keras one by one, keypoints {itself['keypoints']:.2g} px", flush=True)
        for kind in arguments.format or SUFFIXES:
            start = time.perf_counter()
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / f"model{SUFFIXES[kind]}"
                keras_pose.export(model, path, format=kind)
                found = load_artifact(path)(images)
            worst = differences(expected, found)
            failed |= worst["keypoints"] > PIXELS or worst["people"] > 0
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
            print(
                f"{config}  {width}x{height}  {kind}: "
                f"{int((expected['box_scores'] > 0).sum())} people, {worst['people']:.0f} of them "
                f"not found or too many; keypoints {worst['keypoints']:.2g} px, boxes "
                f"{worst['boxes']:.2g} px, scores {worst['scores']:.2g}; "
                f"{time.perf_counter() - start:.0f} s, {peak:.1f} GB so far",
                flush=True,
            )
    return int(failed)


def differences(expected: dict, found: dict) -> dict[str, float]:
    """The largest difference of each output over all people of Keras, in their slots."""
    here, there = (outputs["box_scores"] > 0 for outputs in (expected, found))
    worst = {"people": float((here != there).sum())}
    for name in ("keypoints", "boxes", "scores", "box_scores"):
        apart = np.abs(expected[name] - found[name])[here & there]
        worst[name] = float(apart.max(initial=0))
    return worst


if __name__ == "__main__":
    sys.exit(main())
