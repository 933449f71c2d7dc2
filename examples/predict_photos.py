"""Draws the poses in all photos of a folder and writes them as JSON.

    python examples/predict_photos.py --photos photos --out drawn
    python examples/predict_photos.py --photos frames --out drawn --preset mine --detector none

A detector finds the people, and MoveNet the pose of each. With weights of your own for another
animal leave out the detector: each photo then shows one animal that fills it. `poses.json` has
keypoints, scores and boxes in pixels of the photo; `PoseResult.from_dict` reads an entry again.
`keras-pose predict` does the same and more; this is there to be changed.
"""

import argparse
import json
from pathlib import Path

import cv2

import keras_pose
from keras_pose.cli.sources import PHOTO_SUFFIXES
from keras_pose.visualization import contact_sheet


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add = parser.add_argument
    add("--photos", required=True, type=Path, help="folder of photos")
    add("--out", required=True, type=Path, help="folder for the drawings and poses.json")
    add("--preset", default="movenet_lightning_coco", help="name or folder of the pose estimator")
    add("--detector", default="centernet_mobilenet_v3_coco", help="who finds the people, or none")
    add("--threshold", type=float, default=0.3, help="people that are less sure are left out")
    add("--show", action="store_true", help="show the first drawings, too (needs matplotlib)")
    return parser


def main(argv=None) -> dict[str, keras_pose.PoseResult]:
    args = arguments().parse_args(argv)

    # %% Load the networks
    # The weights of both are inside the package: nothing is downloaded.
    estimator = keras_pose.TopdownEstimator.from_preset(args.preset)
    detector = None
    if args.detector != "none":
        detector = keras_pose.PersonDetector.from_preset(args.detector)
    predictor = keras_pose.PosePredictor(estimator, detector, threshold=args.threshold)

    # %% Find the poses
    # A photo that cannot be read is named and left out.
    poses = {}
    for path in sorted(args.photos.iterdir()):
        if path.suffix.lower() not in PHOTO_SUFFIXES:
            continue
        try:
            poses[path.name] = predictor.predict(path)
        except ValueError as error:
            print(error)
            continue
        print(f"{path.name}: {len(poses[path.name])} found")

    # %% Write and draw them
    args.out.mkdir(parents=True, exist_ok=True)
    document = {name: result.to_dict() for name, result in poses.items()}
    (args.out / "poses.json").write_text(json.dumps(document), "utf-8")
    drawings = []
    for name, result in poses.items():
        picture = result.draw(args.photos / name)
        cv2.imwrite(str(args.out / f"{name}_pose.png"), picture[..., ::-1])
        drawings.append(picture)
        del drawings[12:]
    if args.show and drawings:
        import matplotlib.pyplot as plt

        plt.figure(figsize=(12, 12))
        plt.axis("off")
        plt.imshow(contact_sheet(drawings))
        plt.show()
    return poses


if __name__ == "__main__":
    main()
