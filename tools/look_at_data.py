"""Draws what training would see of a data set: its objects as read, its crops and its scenes.

    python tools/look_at_data.py FOLDER_OR_FILE OUT [--images DIR] [--skeleton S] [--count 16]

For every COCO-style annotation file (all of `FOLDER/annotations`, or the one named) four contact
sheets are written to OUT: `NAME_check.png` (objects as the file has them, those that a check
complained of first), `NAME_crops.png` and `NAME_augmented.png` (`topdown_dataset` without and with
augmentation) and `NAME_scenes.png` (`bottomup_dataset` with augmentation). What the checks found is
printed. The labels drawn are those of the batches, so a wrong map between spaces shows.
"""

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np

from keras_pose.datasets import KeypointDataset, bottomup_dataset, check, topdown_dataset
from keras_pose.visualization import contact_sheet, draw_poses

_CROP, _SCENE = (256, 256), (384, 384)


def main() -> int:
    """Writes the sheets; the exit code says whether a file could not be drawn."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("source", type=Path, metavar="FOLDER_OR_FILE")
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument("--images", type=Path, help="default: `images` beside `annotations`")
    parser.add_argument("--skeleton", help="name or file; default: that of the file")
    parser.add_argument("--count", type=int, default=16, help="pictures of a sheet")
    arguments = parser.parse_args()
    source = arguments.source
    files = sorted((source / "annotations").glob("*.json")) if source.is_dir() else [source]
    if not files:
        parser.error(f"there is no annotation file in {source / 'annotations'}")
    arguments.out.mkdir(parents=True, exist_ok=True)
    failed = 0
    for file in files:
        folder = arguments.images or file.parent.parent / "images"
        name = f"{folder.parent.name}_{file.stem}"
        try:
            look_at(file, folder, arguments.skeleton, arguments.out / name, arguments.count)
        except (ValueError, OSError) as error:
            failed += 1
            print(f"{name}: {error}", file=sys.stderr)
    return min(failed, 1)


def look_at(file: Path, folder: Path, skeleton, out: Path, count: int) -> None:
    """Writes the four sheets of one annotation file, at `out` with their endings."""
    report = check(file, folder, skeleton, sheet=f"{out}_check.png")
    found = [f"{f.severity} {f.check} ({f.count})" for f in report.findings]
    print(f"{out.name}: {', '.join(found) or 'nothing found'}", flush=True)
    dataset = KeypointDataset.from_coco(file, folder, skeleton)
    # The batches of training are shuffled; the same objects are drawn plain and augmented.
    rows = np.random.default_rng(0).permutation(len(dataset))[:count]
    objects = dataset[np.sort(rows)]
    options = {"batch_size": len(objects), "shuffle": False}
    plain = topdown_dataset(objects, input_size=_CROP, **options)
    _write(f"{out}_crops.png", _drawn(plain, objects.skeleton))
    augmented = topdown_dataset(objects, input_size=_CROP, training=True, **options)
    _write(f"{out}_augmented.png", _drawn(augmented, objects.skeleton))
    scenes = bottomup_dataset(dataset, input_size=_SCENE, training=True, batch_size=1)
    _write(f"{out}_scenes.png", _drawn(scenes.take(count), dataset.skeleton))


def _drawn(batches, skeleton) -> list[np.ndarray]:
    """The pictures of batches with the keypoints that their labels call visible."""
    pictures = []
    for images, labels in batches.as_numpy_iterator():
        for image, points, visible in zip(
            images, labels["keypoints"], labels["visible"], strict=True
        ):
            some = (visible > 0).any(axis=1)
            scores = (visible[some] > 0).astype(np.float32)
            pictures.append(draw_poses(image, points[some], scores, skeleton))
    return pictures


def _write(path: str, pictures: list[np.ndarray]) -> None:
    sheet = contact_sheet(pictures, cell_size=pictures[0].shape[1::-1])
    cv2.imwrite(path, sheet[..., ::-1])


if __name__ == "__main__":
    sys.exit(main())
