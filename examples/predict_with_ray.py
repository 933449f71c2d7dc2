"""Finds poses in a large collection of images with Ray Data; results go to Parquet files.

    python examples/predict_with_ray.py photos out --workers 8
    python examples/predict_with_ray.py gs://bucket/photos gs://bucket/poses --address auto

Every worker holds a `PosePredictor` and takes image after image; Ray starts a worker that dies
anew and gives another one its images. A row of the Parquet files is a person: `path`,
`image_width`, `image_height`, `person` (0, 1, ...), `score`, `box_x1` ... `box_y2`, `keypoints` (x,
y and score of each), all in image pixels. An image without people, or that cannot be read, is a row
with `person` -1 and, in the second case, an `error`: every image is there.

Needs `pip install 'keras-pose[scale]'`.
"""

import argparse
import os
from typing import Any

import numpy as np

SUFFIXES = ("jpg", "jpeg", "png", "webp", "bmp", "tif", "tiff")


class Poses:
    """A worker: batches of files in, a row a person out.

    Args:
        pose: preset of a top-down estimator.
        detector: preset of a person detector; None: one person fills each image.
        threshold: float, people that the detector is less sure of are left out.
        batch_size: int, largest number of crops that the network takes at once.
    """

    def __init__(self, pose: str, detector: str | None, threshold: float, batch_size: int):
        import keras_pose

        self.predictor = keras_pose.PosePredictor(
            keras_pose.TopdownEstimator.from_preset(pose),
            detector and keras_pose.PersonDetector.from_preset(detector),
            threshold=threshold,
            batch_size=batch_size,
        )

    def __call__(self, files: dict[str, np.ndarray]) -> dict[str, Any]:
        from keras_pose.images import decode_image

        rows, images, paths = [], [], []
        for path, content in zip(files["path"], files["bytes"], strict=True):
            try:
                images.append(decode_image(content, path))
                paths.append(path)
            except ValueError as error:
                rows.append(_row(path, error=str(error)))
        for path, image, result in zip(paths, images, self.predictor.predict(images), strict=True):
            size = image.shape[1::-1]
            rows += [_row(path, size, result, person) for person in range(len(result))]
            if not len(result):
                rows.append(_row(path, size))
        return _table(rows)


def _row(path, size=(0, 0), result=None, person=-1, error="") -> dict[str, Any]:
    row = {"path": str(path), "image_width": size[0], "image_height": size[1]}
    row |= {"person": person, "error": error, "score": 0.0, "keypoints": []}
    box = np.zeros(4)
    if result is not None:
        points = np.column_stack([result.keypoints[person], result.scores[person]])
        row |= {"score": float(result.instance_scores()[person]), "keypoints": points.tolist()}
        box = box if result.boxes is None else result.boxes[person]
    names = ("box_x1", "box_y1", "box_x2", "box_y2")
    return row | {name: float(side) for name, side in zip(names, box, strict=True)}


def _table(rows: list[dict[str, Any]]):
    import pyarrow as pa

    types = {"image_width": pa.int32(), "image_height": pa.int32(), "person": pa.int32()}
    types |= {"path": pa.string(), "error": pa.string()}
    types["keypoints"] = pa.list_(pa.list_(pa.float32()))
    schema = pa.schema([(name, types.get(name, pa.float32())) for name in _row("")])
    return pa.Table.from_pylist(rows, schema)


def predict(
    images: str,
    out: str,
    pose: str = "movenet_lightning_coco",
    detector: str | None = "centernet_mobilenet_v3_coco",
    *,
    threshold: float = 0.1,
    workers: int = 1,
    batch_images: int = 16,
    batch_size: int = 16,
    gpus: float = 0,
) -> None:
    """Writes the poses of all images of a folder (or bucket) to Parquet files.

    Ray must be there (`ray.init()`). Files appear in `out` when all is done: an interrupted run
    leaves no half result.

    Args:
        images: folder or URL, searched with its subfolders.
        out: folder or URL that does not exist yet.
        pose: preset of a top-down estimator.
        detector: preset of a person detector, or None.
        threshold: float, as in `PosePredictor`.
        workers: int, how many predictors run at a time.
        batch_images: int, images that a worker takes at a time.
        batch_size: int, crops that the network takes at a time.
        gpus: float, GPUs of each worker.
    """
    if os.path.isdir(out) and os.listdir(out):
        raise ValueError(f"{out} is not empty: name a new folder")
    import ray

    # The workers leave a CPU to those who read and write; they would wait for each other for ever.
    cpus = min(1.0, (ray.cluster_resources().get("CPU", 1) - 1) / workers)
    files = ray.data.read_binary_files(images, include_paths=True, file_extensions=list(SUFFIXES))
    found = files.map_batches(
        Poses,
        fn_constructor_args=(pose, detector, threshold, batch_size),
        batch_size=batch_images,
        compute=ray.data.ActorPoolStrategy(size=workers),
        num_cpus=cpus,
        num_gpus=gpus or None,
        max_restarts=-1,  # workers that die are replaced, and their images given out again
        max_task_retries=-1,
    )
    found.write_parquet(out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images", help="folder or URL with images")
    parser.add_argument("out", help="new folder or URL for the Parquet files")
    parser.add_argument("--pose", default="movenet_lightning_coco", help="preset")
    parser.add_argument("--detector", default="centernet_mobilenet_v3_coco", help="preset, or none")
    parser.add_argument("--threshold", type=float, default=0.1, help="default: 0.1")
    parser.add_argument("--workers", type=int, default=1, help="default: 1")
    parser.add_argument("--gpus", type=float, default=0, help="of each worker; default: 0")
    parser.add_argument("--address", help="of a Ray cluster; default: one on this machine")
    arguments = parser.parse_args()
    import ray

    ray.init(address=arguments.address, include_dashboard=False)
    predict(
        arguments.images,
        arguments.out,
        arguments.pose,
        None if arguments.detector == "none" else arguments.detector,
        threshold=arguments.threshold,
        workers=arguments.workers,
        gpus=arguments.gpus,
    )


if __name__ == "__main__":
    main()
