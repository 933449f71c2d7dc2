"""PoseTrack18's average precision: of joints, by PCKh, over the labelled frames of videos.

The rules are those of the benchmark's evaluation (https://github.com/leonid-pishchulin/poseval,
paper https://arxiv.org/abs/1710.10000) as MMPose 1.3.2 calls it.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from keras_pose.evaluation.coco import CocoMetrics
from keras_pose.evaluation.coco_records import read_records
from keras_pose.evaluation.missing import images_without_results

# Places among the 17 keypoints of PoseTrack18's files. The ears are not judged.
POSETRACK_GROUPS = {
    "Head": (0, 1, 2),
    "Shoulder": (5, 6),
    "Elbow": (7, 8),
    "Wrist": (9, 10),
    "Hip": (11, 12),
    "Knee": (13, 14),
    "Ankle": (15, 16),
}
_JOINTS = [joint for group in POSETRACK_GROUPS.values() for joint in group]
_NUM_KEYPOINTS = 17
# A head's size is this part of its box's diagonal.
_HEAD_SIZE = 0.6


class _Frame(NamedTuple):
    """A labelled frame: G people, P predictions, J judged joints."""

    truth: np.ndarray  # (G, J, 2)
    annotated: np.ndarray  # (G, J)
    head_sizes: np.ndarray  # (G,)
    found: np.ndarray  # (P, J, 2)
    scores: np.ndarray  # (P, J)
    given: np.ndarray  # (P, J)


def posetrack18_ap(
    ground_truth: Mapping | Sequence[Mapping] | str | Path,
    results: Sequence[Mapping] | str | Path,
    threshold: float = 0.5,
) -> CocoMetrics:
    """PoseTrack18's average precision in percent: the mean of its 15 joints, and by group.

    A prediction is given to the person of its frame of whose annotated joints it has the largest
    part right, of several predictions the best; all joints of the others are wrong. Joints are
    ranked by their own scores, instance scores are not used. Frames without annotated people are
    left out with their predictions, and so are points inside of ignored regions. Equal scores: the
    later one first (undefined in the reference).

    Args:
        ground_truth: PoseTrack18 annotations in COCO form with `bbox_head`, as a dict or a file; or
            several, one a video: a list or dict of them, or the folder with their files.
        results: COCO keypoint results with 17 keypoints (x, y, score), or their file. Points at
            (0, 0) with score 0 are not given.
        threshold: part of the head's size that a joint may be wrong by.

    Returns:
        `AP`, and `Head AP`, `Shoulder AP`, ... `Ankle AP`; -1 where no such joint is annotated.
        Their `notes` say for which frames there is no result.

    Raises:
        ValueError: for malformed input, or if people lack head boxes.
    """
    videos = _videos(ground_truth)
    images = _by_image([image for video in videos for image in video["images"]])
    people = [person for video in videos for person in video["annotations"]]
    lacking = [person for person in people if len(person.get("bbox_head") or ()) != 4]
    if lacking:
        raise ValueError(
            f"PoseTrack18's metric needs head boxes: {len(lacking)} of {len(people)} annotations "
            f"lack bbox_head, such as annotation {lacking[0].get('id')!r}"
        )
    annotated = _group(people, images, "ground_truth")
    found = _group(read_records(results, "results"), images, "results")
    frames = [
        _frame(images[image], annotated[image], found[image])
        for image in images
        if annotated[image]
    ]
    per_joint = _average_precisions(frames, threshold)
    values = {"AP": _mean(per_joint)}
    start = 0
    for group, joints in POSETRACK_GROUPS.items():
        values[f"{group} AP"] = _mean(per_joint[start : start + len(joints)])
        start += len(joints)
    of_people = [image for image in images if annotated[image]]
    notes = images_without_results(of_people, [image for image in images if found[image]])
    return CocoMetrics(values, notes)


def _videos(source) -> list[Mapping]:
    """The annotation dicts of all videos."""
    if isinstance(source, str | Path) and Path(source).is_dir():
        source = sorted(Path(source).glob("*.json"))
    source = read_records(source, "ground_truth")
    if isinstance(source, Mapping) and "images" not in source:
        source = list(source.values())
    videos = [source] if isinstance(source, Mapping) else source
    videos = [read_records(video, "ground_truth") for video in videos]
    for video in videos:
        if not isinstance(video, Mapping) or not {"images", "annotations"} <= video.keys():
            raise ValueError(
                "ground_truth must be a COCO dict with 'images' and 'annotations', or several, got "
                f"{str(video)[:60]!r}"
            )
    if not any(video["images"] for video in videos):
        raise ValueError("ground_truth has no images")
    return videos


def _by_image(images: Iterable[Mapping]) -> dict:
    by_id = {}
    for image in images:
        if image.get("id") in by_id:
            raise ValueError(f"ground_truth has image {image.get('id')!r} twice")
        by_id[image.get("id")] = image
    return by_id


def _group(records: Sequence[Mapping], images: Mapping, name: str) -> dict[object, np.ndarray]:
    """Image id to its records; checked, because numbers that are not finite would count as hits."""
    if isinstance(records, Mapping | str) or not isinstance(records, Sequence):
        raise ValueError(f"{name} must be a list of COCO keypoint records, got {type(records)}")
    by_image = {image: [] for image in images}
    for position, record in enumerate(records):
        image = record.get("image_id")
        if image not in by_image:
            raise ValueError(f"{name}[{position}] is of image {image!r}, which there is not")
        points = np.asarray(record.get("keypoints") or (), np.float64)
        if points.size != 3 * _NUM_KEYPOINTS or not np.isfinite(points).all():
            raise ValueError(
                f"{name}[{position}] must have {3 * _NUM_KEYPOINTS} finite keypoint numbers, "
                f"got {points.size}"
            )
        by_image[image].append((points.reshape(-1, 3)[_JOINTS], record.get("bbox_head")))
    return by_image


def _frame(image: Mapping, annotated: list, found: list) -> _Frame:
    def stacked(records):
        return np.stack([p for p, _ in records]) if records else np.zeros((0, len(_JOINTS), 3))

    truth, predicted = stacked(annotated), stacked(found)
    sides = np.array([head[2:] for _, head in annotated], np.float64).reshape(-1, 2)
    regions = _regions(image)
    there, given = (
        (points != 0).any(-1) & ~_inside(points[..., :2], regions) for points in (truth, predicted)
    )
    people, poses = there.any(1), given.any(1)
    return _Frame(
        truth[people, :, :2],
        there[people],
        _HEAD_SIZE * np.linalg.norm(sides, axis=1)[people],
        predicted[poses, :, :2],
        predicted[poses, :, 2],
        given[poses],
    )


def _regions(image: Mapping) -> list[np.ndarray]:
    columns = (image.get(f"ignore_regions_{axis}") or () for axis in "xy")
    return [np.stack([x, y], -1).astype(np.float32) for x, y in zip(*columns, strict=True)]


def _inside(points: np.ndarray, regions: list[np.ndarray]) -> np.ndarray:
    """`(N, J)` bool: points strictly inside of one of the polygons."""
    import cv2

    inside = np.zeros(points.shape[:-1], bool)
    for region in regions:
        for place in np.ndindex(inside.shape):
            inside[place] |= cv2.pointPolygonTest(region, points[place].tolist(), False) > 0
    return inside


def _right(frame: _Frame, threshold: float) -> np.ndarray:
    """`(P, J)` bool: joints that are right of the predictions that a person was given."""
    right = np.zeros(frame.given.shape, bool)
    if not len(frame.truth) or not len(frame.found):
        return right
    distances = np.linalg.norm(frame.found[:, None] - frame.truth[None], axis=-1)
    near = distances / frame.head_sizes[:, None] <= threshold
    near &= frame.given[:, None] & frame.annotated[None]
    shares = near.sum(-1) / frame.annotated.sum(-1)
    nearest = shares.argmax(1)
    only = np.zeros_like(shares)
    only[np.arange(len(shares)), nearest] = shares.max(1)
    for person in range(shares.shape[1]):
        best = only[:, person].argmax()
        if only[best, person] > 0:
            right[best] = near[best, person]
    return right


def _average_precisions(frames: list[_Frame], threshold: float) -> np.ndarray:
    """`(J,)` percent, -1 where the joint is never annotated."""
    values = np.full(len(_JOINTS), -1.0)
    if not frames:
        return values
    right = np.concatenate([_right(frame, threshold) for frame in frames])
    scores = np.concatenate([frame.scores for frame in frames])
    given = np.concatenate([frame.given for frame in frames])
    totals = np.concatenate([frame.annotated for frame in frames]).sum(0)
    for joint in np.flatnonzero(totals):
        own = given[:, joint]
        order = np.argsort(scores[own, joint], kind="stable")[::-1]
        hits = right[own, joint][order].cumsum()
        precision = hits / np.arange(1, len(hits) + 1)
        best_after = np.maximum.accumulate(precision[::-1])[::-1]
        gains = np.diff(hits, prepend=0) / totals[joint]
        values[joint] = 100 * (gains * best_after).sum()
    return values


def _mean(values: np.ndarray) -> float:
    known = values[values >= 0]
    return float(known.mean()) if len(known) else -1.0
