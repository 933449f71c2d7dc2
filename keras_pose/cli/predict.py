"""`keras-pose predict`: photos and videos in; drawings, JSON and a table out."""

import argparse
from pathlib import Path

from keras_pose.cli import runtime
from keras_pose.cli.boxes import BoxFile
from keras_pose.cli.job import PredictionJob, say
from keras_pose.cli.lifting import VideoLifting, read_mapping
from keras_pose.cli.outputs import coco_results, image_results, output_paths, table, write_json
from keras_pose.cli.sources import Source, find_sources
from keras_pose.detectors import PersonDetector
from keras_pose.estimators import (
    BottomupEstimator,
    PoseEstimator,
    PoseLifter,
    TopdownEstimator,
)
from keras_pose.files import writable_folder
from keras_pose.predictor import PosePredictor
from keras_pose.video import can_write_video

ESTIMATOR = "movenet_lightning_coco"
DETECTOR = "centernet_mobilenet_v3_coco"

_DESCRIPTION = f"""\
Finds people and their poses in photos and videos.

  keras-pose predict photo.jpg --out drawn
  keras-pose predict holiday/ 'more/*.jpg' clip.mp4 --out drawn --json poses.json
  keras-pose predict 0 --out drawn --max-frames 300        (the first webcam)
  keras-pose predict crops/ --detector none                (one person fills each photo)
  keras-pose predict crowd.jpg --preset movenet_multipose_coco --out drawn
  keras-pose predict clip.mp4 --track --out drawn --json poses.json
  keras-pose predict clip.mp4 --lift LIFTER --out drawn    (2D beside 3D)

A table goes to stdout: people found, their mean keypoint score (0 to 1), and the milliseconds of
reading and predicting, per photo or, for videos, per frame (programs are compiled before).
Without --detector and --boxes people are found by {DETECTOR};
bottom-up presets (movenet_multipose_coco) find the people themselves.
"""

_EPILOG = """\
JSON formats:
  coco    a list with a dict a person, as COCO's keypoint results: image_id, category_id 1,
          keypoints (x, y, score of each, flat), score (box score times mean keypoint score),
          bbox (left, top, width, height), and file_name, for videos frame. image_id is the
          number in the photos' names where all names are numbers, else 1, 2, ...
  images  {"estimator", "detector", "skeleton": {...}, "images": [...]}, a dict a photo or frame:
          file_name, for videos frame, image_size [width, height], poses. A pose has keypoints
          [[x, y], ...] and scores [...] in the skeleton's order, box [left, top, right, bottom],
          box_score; of both hands hand_type [right, left], 1 for a hand that is there, and
          root_depth, millimetres of the left wrist behind the right one.
          Python: PoseResult.from_dict(data["images"][0], skeleton=data["skeleton"]).
With --track poses of videos have track_id, the same number for the same person in every frame, from
1 on; -1 for doubtful poses of nobody. With --lift those of tracks have keypoints_3d, a list of
[x, y, z], metres about the root, x to the right, y down, z away from the camera, in the order of
the lifter's skeleton, which is skeleton_3d in the format images.
All coordinates are pixels of the upright image; the centre of the first pixel is (0, 0).

Boxes file: {"photo.jpg": [[left, top, right, bottom], ...], ...}, a fifth number is a score; or
  COCO annotations; or a list of COCO results.

Exit codes: 0 all done, 1 some inputs failed, 2 nothing done.
"""


def add_parser(commands) -> None:
    """Adds the command to the parser of `keras-pose`."""
    parser = commands.add_parser(
        "predict",
        help="find people and their poses in photos and videos",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "source",
        nargs="+",
        metavar="SOURCE",
        help="photo, video, folder, glob, URL of a stream, or index of a webcam",
    )
    results = parser.add_argument_group("results")
    results.add_argument(
        "--out", metavar="FOLDER", help="draw NAME_pose.png and NAME_pose.mp4 into this folder"
    )
    results.add_argument("--json", metavar="FILE", help="write all poses to this JSON file")
    results.add_argument(
        "--json-format", choices=("coco", "images"), default="coco", help="see below; default coco"
    )
    results.add_argument("--draw-boxes", action="store_true", help="draw the people's boxes too")
    results.add_argument(
        "--keypoint-threshold",
        type=_fraction,
        default=0.2,
        metavar="SCORE",
        help="keypoints with a lower score are not drawn (JSON has them all); default %(default)s",
    )
    results.add_argument(
        "--draw-threshold",
        type=_fraction,
        default=0.3,
        metavar="SCORE",
        help="people that the detector is less sure of are neither drawn nor counted in the table "
        "(JSON has them all); default %(default)s",
    )
    videos = parser.add_argument_group("videos")
    videos.add_argument(
        "--track",
        action="store_true",
        help="number the people of each video: the same person has the same number in every frame",
    )
    videos.add_argument(
        "--lift",
        metavar="PRESET",
        help="3D poses of the people of video files, by this lifter: a name, a folder or a handle "
        "of a hub; numbers the people as --track does",
    )
    videos.add_argument(
        "--lift-mapping",
        metavar="FILE",
        help="for a lifter of another skeleton, where its keypoints come from, JSON: {keypoint of "
        "the lifter: [keypoints whose mean it is]}; known for COCO's and Human3.6M's keypoints",
    )
    videos.add_argument(
        "--max-frames", type=_count, metavar="N", help="stop a video or webcam after N frames"
    )
    models = parser.add_argument_group("models")
    models.add_argument(
        "--preset",
        default=ESTIMATOR,
        help="the pose estimator: a name from 'keras-pose presets', a folder, or a handle of a "
        "hub; default %(default)s",
    )
    finding = models.add_mutually_exclusive_group()
    finding.add_argument(
        "--detector",
        metavar="PRESET",
        help="who finds the people; none: one person fills each image; default "
        f"{DETECTOR}, or none for bottom-up presets, which find the people themselves",
    )
    finding.add_argument(
        "--boxes", metavar="FILE", help="take the people's boxes in photos from this JSON file"
    )
    models.add_argument(
        "--threshold",
        type=_fraction,
        default=0.1,
        metavar="SCORE",
        help="people that the detector is less sure of are left out altogether; default "
        "%(default)s, with which accuracies are published",
    )
    models.add_argument(
        "--flip-test",
        action="store_true",
        help="average with the mirrored image: twice the time, a little more accurate",
    )
    models.add_argument(
        "--batch-size", type=_count, default=16, metavar="N", help="people at once; default 16"
    )
    runtime.add_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Predicts, and returns the exit code."""
    sources, problems = find_sources(arguments.source)
    for problem in problems:
        say(problem)
    if not sources:
        return 2
    boxes = BoxFile(arguments.boxes) if arguments.boxes else None
    mapping = _checked_lifting(arguments, sources)
    paths = _checked_outputs(arguments, sources)
    runtime.prepare(arguments)
    style = {"show_boxes": arguments.draw_boxes, "threshold": arguments.keypoint_threshold}
    predictor = _predictor(arguments)
    job = PredictionJob(
        predictor,
        boxes,
        paths,
        style,
        arguments.draw_threshold,
        arguments.max_frames,
        track=arguments.track or bool(arguments.lift),
        lifting=_lifting(arguments, predictor, mapping),
    )
    try:
        job.run(sources)
    finally:  # also when stopped: what was found is kept
        _report(arguments, job)
    if not job.outcomes:
        return 2
    return 1 if problems or job.failures else 0


def _checked_lifting(arguments: argparse.Namespace, sources: list[Source]) -> dict | None:
    """The mapping for the lifter, after checking that all sources can be lifted."""
    if not arguments.lift:
        if arguments.lift_mapping:
            raise ValueError("--lift-mapping says something about the lifter: name it with --lift")
        return None
    unfit = [source for source in sources if not source.is_video or source.is_live]
    if unfit:
        raise ValueError(
            f"--lift is for video files, which it reads twice; {unfit[0].name} is none"
        )
    return read_mapping(arguments.lift_mapping)


def _lifting(
    arguments: argparse.Namespace, predictor: PosePredictor, mapping: dict | None
) -> VideoLifting | None:
    if not arguments.lift:
        return None
    lifter = PoseLifter.from_preset(arguments.lift)
    skeleton = predictor.estimator.output_skeleton
    return VideoLifting(lifter, skeleton, mapping, arguments.flip_test)


def _checked_outputs(arguments: argparse.Namespace, sources: list[Source]) -> dict[Source, Path]:
    """File names of the drawings, after checking that everything can be written."""
    if arguments.json:
        json_path = Path(arguments.json)
        writable_folder(json_path.parent)
        if json_path.is_dir():
            raise ValueError(f"--json must be a file, {json_path} is a folder")
    if not arguments.out:
        return {}
    folder = writable_folder(arguments.out)
    if any(source.is_video for source in sources) and not can_write_video():
        raise ValueError(
            "drawing videos needs PyAV: pip install 'keras-pose[video]' (or leave out --out)"
        )
    return output_paths(sources, folder)


def _predictor(arguments: argparse.Namespace):
    estimator = PoseEstimator.from_preset(arguments.preset)
    bottom_up = isinstance(estimator, BottomupEstimator)
    if not bottom_up and not isinstance(estimator, TopdownEstimator):
        raise ValueError(
            f'the preset "{arguments.preset}" is a {type(estimator).__name__}, not a '
            "TopdownEstimator or a BottomupEstimator"
        )
    if bottom_up and (arguments.boxes or arguments.detector not in (None, "none")):
        raise ValueError(
            f'the preset "{arguments.preset}" finds the people itself: leave out --detector and '
            "--boxes"
        )
    detector = None
    if not (bottom_up or arguments.boxes or arguments.detector == "none"):
        detector = PersonDetector.from_preset(arguments.detector or DETECTOR)
    return PosePredictor(
        estimator,
        detector,
        threshold=arguments.threshold,
        batch_size=arguments.batch_size,
        flip_test=arguments.flip_test,
    )


def _report(arguments: argparse.Namespace, job: PredictionJob) -> None:
    if not job.outcomes:
        return
    if arguments.json:
        if arguments.json_format == "coco":
            document = coco_results(job.outcomes)
        else:
            skeleton = job.predictor.estimator.output_skeleton
            made_by = _made_by(arguments, job)
            if job.lifting:
                made_by["skeleton_3d"] = job.lifting.lifter.output_skeleton.to_dict()
            document = image_results(job.outcomes, skeleton, made_by)
        write_json(Path(arguments.json), document)
    print(table(job.outcomes, arguments.draw_threshold))
    for kind, place in {"drawings": arguments.out, "poses": arguments.json}.items():
        if place:
            say(f"{kind}: {place}")


def _made_by(arguments: argparse.Namespace, job: PredictionJob) -> dict:
    detector = arguments.detector or ("none" if job.predictor.bottom_up else DETECTOR)
    boxes_from = {"boxes": arguments.boxes} if arguments.boxes else {"detector": detector}
    lifter = {"lifter": arguments.lift} if arguments.lift else {}
    return {
        "estimator": arguments.preset,
        **boxes_from,
        **lifter,
        "threshold": arguments.threshold,
    }


def _fraction(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"must lie in 0..1, got {text}")
    return value


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {text}")
    return value
