"""What `keras-pose predict` leaves behind: drawn pictures, JSON files, the table."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from keras_pose.cli.sources import Source
from keras_pose.files import replacing
from keras_pose.results import PoseResult
from keras_pose.skeleton import Skeleton


@dataclass
class Outcome:
    """What was found in one source.

    Args:
        source: the photo or video.
        results: one a photo, one a frame of a video.
        seconds: time of reading and predicting `timed` photos or frames.
        lifted: the 3D poses of the tracked people of a video, one result a frame; or None.
    """

    source: Source
    results: list[PoseResult] = field(default_factory=list)
    seconds: float = 0.0
    timed: int = 1
    lifted: list[PoseResult] | None = None

    def poses_3d(self, frame: int) -> list[list | None]:
        """For each pose of a frame the 3D keypoints `[[x, y, z], ...]`, None without any."""
        result = self.results[frame]
        if self.lifted is None or result.track_ids is None:
            return [None] * len(result)
        lifted = self.lifted[frame]
        found = dict(zip(lifted.track_ids.tolist(), lifted.keypoints.tolist(), strict=True))
        return [found.get(track) for track in result.track_ids.tolist()]


def output_paths(sources: Iterable[Source], folder: Path) -> dict[Source, Path]:
    """A file name for each source's drawing: `NAME_pose.png` or `NAME_pose.mp4`.

    Sources of the same name get numbers, and no output ever lies where an input lies.
    """
    sources = list(sources)
    taken = {Path(s.target).resolve() for s in sources if isinstance(s.target, Path)}
    paths = {}
    for source in sources:
        suffix = ".mp4" if source.is_video else ".png"
        path, number = folder / f"{source.stem}_pose{suffix}", 1
        while path.resolve() in taken:
            number += 1
            path = folder / f"{source.stem}_pose_{number}{suffix}"
        taken.add(path.resolve())
        paths[source] = path
    return paths


def write_picture(path: Path, image: np.ndarray) -> None:
    """Writes an RGB image as PNG."""
    import cv2

    _, data = cv2.imencode(".png", image[..., ::-1])
    with replacing(path) as partial:
        partial.write_bytes(data)


def coco_results(outcomes: list[Outcome]) -> list[dict[str, Any]]:
    """Rows of a COCO keypoint results file, for `pycocotools` and others.

    `image_id` is the number that a photo is called by (`000000000139.jpg` is 139) if every source
    is such a photo; else photos and frames are numbered from 1 in their order. `file_name`, and
    for videos `frame` (from 0), say which one it is.
    """
    stems = [outcome.source.stem for outcome in outcomes]
    numbered = all(stem.isdigit() for stem in stems) and len({*map(int, stems)}) == len(stems)
    numbered = numbered and not any(outcome.source.is_video for outcome in outcomes)
    rows, number = [], 0
    for outcome in outcomes:
        for frame, result in enumerate(outcome.results):
            number += 1
            image_id = int(outcome.source.stem) if numbered else number
            found = zip(result.to_coco(image_id), outcome.poses_3d(frame), strict=True)
            for row, pose in found:
                rows.append(row | _in_3d(pose) | _place(outcome.source, frame))
    return rows


def image_results(outcomes: list[Outcome], skeleton: Skeleton, made_by: dict) -> dict[str, Any]:
    """All results with the skeleton, a dict an image, as `--json-format images` explains."""
    return {
        **made_by,
        "skeleton": skeleton.to_dict(),
        "images": [
            _place(outcome.source, frame) | _image(result, outcome.poses_3d(frame))
            for outcome in outcomes
            for frame, result in enumerate(outcome.results)
        ],
    }


def _image(result: PoseResult, poses_3d: list) -> dict[str, Any]:
    data = result.to_dict(with_skeleton=False)
    poses = [pose | _in_3d(more) for pose, more in zip(data["poses"], poses_3d, strict=True)]
    return {"image_size": data["image_size"], "poses": poses}


def _in_3d(keypoints: list | None) -> dict[str, Any]:
    return {} if keypoints is None else {"keypoints_3d": keypoints}


def _place(source: Source, frame: int) -> dict[str, Any]:
    place = {"file_name": source.name}
    return place | {"frame": frame} if source.is_video else place


def write_json(path: Path, document: Any) -> None:
    """Writes a JSON file."""
    with replacing(path) as partial:
        partial.write_text(json.dumps(document), "utf-8")


def clear_people(result: PoseResult, threshold: float) -> PoseResult:
    """The people of whose boxes the detector is at least so sure; all where nobody scored them.

    Somebody who is tracked was clear before: those stay.
    """
    if result.box_scores is None:
        return result
    clear = result.box_scores >= threshold
    return result[clear if result.track_ids is None else clear | (result.track_ids >= 0)]


def table(outcomes: list[Outcome], threshold: float = 0.0) -> str:
    """Lines of file, people, mean keypoint score and milliseconds; per frame for videos."""
    rows = [("file", "people", "score", "ms")]
    for outcome in outcomes:
        results = [clear_people(result, threshold) for result in outcome.results]
        name = outcome.source.name
        scores = [result.scores.ravel() for result in results if len(result)]
        people = sum(len(result) for result in results)
        if outcome.source.is_video:
            name = f"{name} ({len(results)} frames)"
            people = f"{people / len(results):.1f}"
        score = f"{np.concatenate(scores).mean():.2f}" if scores else "-"
        rows.append((name, str(people), score, f"{1000 * outcome.seconds / outcome.timed:.1f}"))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join(
        f"{name:<{widths[0]}}  {people:>{widths[1]}}  {score:>{widths[2]}}  {ms:>{widths[3]}}"
        for name, people, score, ms in rows
    )
