"""PoseTrack18 with the frames around each labelled one, for models that look at several."""

import os
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

import numpy as np

from keras_pose.datasets.keypoint_dataset import KeypointDataset
from keras_pose.datasets.readers.coco import read_coco
from keras_pose.datasets.transforms.draws import Draws
from keras_pose.skeleton import Skeleton


def read_posetrack_video(
    annotations: str | os.PathLike | Mapping[str, Any],
    images: str | os.PathLike,
    skeleton: Skeleton | str | os.PathLike | Mapping = "posetrack18",
    *,
    frame_offsets: Sequence[int] = (-1, 1),
    frame_weights: Sequence[float] | None = None,
    detections: str | os.PathLike | list | None = None,
    score_threshold: float = 0.0,
    drop_unlabelled: bool = True,
    name: str | None = None,
) -> dict[str, Any]:
    """Reads PoseTrack18's COCO files; every object knows the frames around its own.

    Args:
        annotations: path of the JSON file, or its content; images have `nframes`, and their file's
            name is the frame's number.
        images: folder that `file_name` is relative to.
        skeleton: Skeleton, name, path or dict.
        frame_offsets: ints, the support frames, counted from the object's own; 0 is left out, as
            the object's frame is there anyhow. Frames beyond the film's ends are its first or last.
        frame_weights: floats that add up to 1, of the object's frame and then of the others in the
            order of their offsets. Default: all the same.
        detections: COCO result file of boxes instead of labelled ones, see
            `KeypointDataset.with_detections`.
        score_threshold: float, of `detections`.
        drop_unlabelled: see `KeypointDataset.from_coco`.
        name: str, for messages. Default: the file's name.

    Returns:
        The arguments of `KeypointDataset`; `extras` are `frame_paths` `(M, 1 + n)`, the object's
        own frame first, and `frame_weights` `(M, 1 + n)`.

    Raises:
        FileNotFoundError: for a missing file or folder.
        ValueError: for a file that is not what it should be, or weights that do not fit.
    """
    offsets = sorted(set(frame_offsets) - {0})
    count = 1 + len(offsets)
    weights = np.full(count, 1 / count) if frame_weights is None else np.array(frame_weights)
    if weights.shape != (count,) or not np.isclose(weights.sum(), 1):
        raise ValueError(
            f"frame_weights must be {count} numbers that add up to 1, of the object's frame and "
            f"those at {offsets}, got {weights.tolist()}"
        )
    arguments = read_coco(annotations, images, skeleton, drop_unlabelled=drop_unlabelled, name=name)
    dataset = KeypointDataset(**arguments)
    frames = _frame_counts(dataset)
    if detections is not None:
        dataset = dataset.with_detections(detections, score_threshold)
    paths = np.array(
        [
            [path, *(neighbour(path, offset, frames[image]) for offset in offsets)]
            for path, image in zip(dataset.image_paths, dataset.image_ids.tolist(), strict=True)
        ],
        dtype=object,
    ).reshape(len(dataset), count)
    return {
        "skeleton": dataset.skeleton,
        "image_paths": dataset.image_paths,
        **{field: getattr(dataset, field) for field in KeypointDataset.FIELDS},
        "extras": {"frame_paths": paths, "frame_weights": np.tile(weights, (len(dataset), 1))},
        "images": dataset.images,
        "ignored": dataset.ignored,
        "annotations": dataset.annotations,
        "name": dataset.name,
    }


def neighbour(path: str, offset: int, num_frames: int) -> str:
    """The path of another frame of the same film, which ends at 0 and `num_frames - 1`.

    Example:
        >>> neighbour("val/012834/000003.jpg", -5, 140)
        'val/012834/000000.jpg'
    """
    file = PurePath(path)
    number = min(max(int(file.stem) + offset, 0), num_frames - 1)
    return str(file.with_name(f"{number:0{len(file.stem)}d}{file.suffix}"))


def draw_support_frames(frame_paths: np.ndarray, count: int, draws: Draws) -> np.ndarray:
    """Some of the support frames of objects, drawn anew in every epoch.

    MMPose 1.3.2 draws them once, when the annotations are read.

    Args:
        frame_paths: paths `(N, 1 + n)`, each object's own frame first.
        count: int, how many others are drawn, each as likely as the next; one may come twice.
        draws: Draws of the rows.

    Returns:
        Paths `(N, 1 + count)`.
    """
    frame_paths = np.asarray(frame_paths)
    chosen = 1 + draws.integers("support frames", frame_paths.shape[1] - 1, count)
    return np.concatenate(
        [frame_paths[:, :1], np.take_along_axis(frame_paths, chosen, axis=1)], axis=1
    )


def _frame_counts(dataset: KeypointDataset) -> dict[int, int]:
    """How many frames the film of every image has."""
    counts = {}
    for image in dataset.annotations["images"]:
        frames, stem = image.get("nframes"), PurePath(str(image.get("file_name"))).stem
        if type(frames) is not int or frames < 1 or not stem.isdecimal():
            raise ValueError(
                f"{dataset.name}: image {image['id']} must have `nframes` of at least 1 and a file "
                f"name that is the frame's number, got {frames!r:.40} and "
                f"{image.get('file_name')!r:.80}"
            )
        counts[image["id"]] = frames
    return counts
