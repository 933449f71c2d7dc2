"""`keras-pose evaluate`: how good a model is on a data set, with the protocol of the numbers."""

import argparse
import math
from pathlib import Path

from keras_pose.cli import runtime
from keras_pose.cli.outputs import write_json, write_picture
from keras_pose.files import writable_folder

_DESCRIPTION = """\
Measures a model, or results that are already there, on a COCO keypoint file. Prints the metrics,
how they were measured, and what they are by keypoint and by size.

  keras-pose evaluate movenet_lightning_coco val.json --images photos
  keras-pose evaluate movenet_lightning_coco val.json --images photos --boxes detections.json
  keras-pose evaluate movenet_multipose_coco val.json --images photos
  keras-pose evaluate my_preset val.json --images photos --metric pck --metric nme --worst worst.png
  keras-pose evaluate --results results.json val.json
  keras-pose evaluate internet_resnet50_interhand3d_256x256 test_data.json --images test
      --reader interhand3d --reader-option cameras=camera.json --reader-option joints=joint_3d.json

Top-down models crop the annotated boxes without --boxes; numbers with a detector's boxes are lower.
Published COCO results of top-down models are of a detector's boxes with --score bbox_keypoint,
--nms oks_nms and --flip-test.
"""


def add_parser(commands) -> None:
    """Adds the command to the parser of `keras-pose`."""
    parser = commands.add_parser(
        "evaluate",
        help="measure a model on a data set",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "preset", metavar="PRESET", help="name, folder or handle of the model; or a results file"
    )
    parser.add_argument("dataset", metavar="DATASET.json", help="COCO keypoint file")
    parser.add_argument("--images", metavar="DIR", help="default: the folder of DATASET.json")
    parser.add_argument(
        "--reader",
        metavar="NAME",
        help="whose file it is, a name of 'keras-pose datasets', where it is no plain COCO file",
    )
    parser.add_argument(
        "--reader-option",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="further files or settings of that reader; can be given several times",
    )
    parser.add_argument(
        "--results",
        action="store_true",
        help="in place of a model judge a file of COCO keypoint results; if they have "
        "annotation_id, the object that a pose is of, keypoint metrics can be measured too",
    )
    parser.add_argument(
        "--boxes", metavar="FILE", help="COCO detection results whose boxes are cropped"
    )
    parser.add_argument("--flip-test", action="store_true", help="average with the mirrored crops")
    parser.add_argument(
        "--metric",
        action="append",
        metavar="M",
        help="ap, crowdpose, wholebody, posetrack18, or pck, nme, epe, ...; can be given several "
        "times; default: ap if the skeleton has sigmas, and with annotated boxes pck and epe, and "
        "of two hands in space interhand",
    )
    parser.add_argument(
        "--score",
        metavar="S",
        help="how poses are ranked: keypoint, bbox, bbox_keypoint or bbox_rle; default: keypoint, "
        "and bbox (the score of the pose) for bottom-up models and results",
    )
    parser.add_argument(
        "--nms",
        default="none",
        metavar="N",
        help="suppression of double poses: none, oks_nms or soft_oks_nms; default: %(default)s",
    )
    parser.add_argument(
        "--nms-threshold",
        type=float,
        default=0.9,
        metavar="OKS",
        help="poses more similar than this are double; default: %(default)s",
    )
    parser.add_argument("--batch-size", type=int, default=32, metavar="N", help="default: 32")
    parser.add_argument("--out", metavar="FILE.json", help="write metrics and poses to this file")
    parser.add_argument("--worst", metavar="FILE.png", help="draw the worst images")
    runtime.add_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Prints the metrics."""
    runtime.prepare(arguments)
    from keras_pose.evaluation import worst
    from keras_pose.evaluation.coco_selection import PoseSelection

    _check(arguments)
    kept = []
    result, dataset, score = _evaluated(arguments, kept.append)
    predictions = kept[0]
    similarities = worst.object_similarities(dataset, predictions)
    sizes = worst.by_size(dataset, similarities)
    print(result)
    print(f"\n{_size_table(sizes, dataset.skeleton.sigmas is not None)}")
    if result.per_keypoint:
        print(f"\n{result.keypoint_table()}")
    if arguments.out:
        selection = PoseSelection(score, arguments.nms, arguments.nms_threshold)
        categories = dict(zip(dataset.ids.tolist(), dataset.category_ids.tolist(), strict=True))
        category = min(categories.values(), default=1)
        poses = predictions.to_coco(selection, dataset.skeleton.sigmas, category, categories)
        document = _document(result, sizes, poses, arguments.preset)
        write_json(Path(arguments.out), document)
    if arguments.worst:
        write_picture(Path(arguments.worst), worst.worst_page(dataset, predictions, similarities))
    return 0


def _check(arguments: argparse.Namespace) -> None:
    unused = [name for name in ("boxes", "flip_test") if getattr(arguments, name)]
    if arguments.results and unused:
        option = unused[0].replace("_", "-")
        raise ValueError(f"--{option} is for models: leave it out with --results")
    if arguments.reader_option and not arguments.reader:
        raise ValueError("--reader-option says something about a reader: name it with --reader")
    for path in filter(None, (arguments.out, arguments.worst)):
        writable_folder(Path(path).parent)
    if arguments.worst and Path(arguments.worst).suffix.lower() != ".png":
        raise ValueError(f"--worst is drawn as PNG: end its name in .png, got {arguments.worst}")
    for option in arguments.reader_option:
        if "=" not in option:
            raise ValueError(f"--reader-option must be KEY=VALUE, got {option!r}")


def _dataset(arguments: argparse.Namespace, file: str, skeleton=None):
    """The data set as `--reader` says."""
    from keras_pose.datasets import KeypointDataset, load

    images = arguments.images or Path(file).parent
    if not arguments.reader:
        return KeypointDataset.from_coco(file, images, skeleton)
    settings = dict(option.split("=", 1) for option in arguments.reader_option)
    dataset = load(arguments.reader, file, images, skeleton, **settings)
    if not isinstance(dataset, KeypointDataset):
        raise ValueError(
            f"{arguments.reader} has films, which no model of images is measured on; a lifter is "
            "measured in training (keras-pose train, val.dataset)"
        )
    return dataset


def _results_first(files: tuple[str, str]) -> tuple[str, str]:
    """Results and data set, in whichever order they were given."""
    from keras_pose.evaluation.coco_records import read_records

    first = read_records(files[0], "results")
    swapped = isinstance(first, dict) and "annotations" in first
    return files[::-1] if swapped else files


def _evaluated(arguments: argparse.Namespace, observe) -> tuple:
    """The result, the data set, and how poses were ranked."""
    from keras_pose.estimators import BottomupEstimator, PoseEstimator
    from keras_pose.evaluation import evaluate_bottomup, evaluate_results, evaluate_topdown
    from keras_pose.evaluation.dataset_evaluation import GROUND_TRUTH

    options = {
        "nms": arguments.nms,
        "nms_threshold": arguments.nms_threshold,
        "metrics": arguments.metric,
        "observe": observe,
    }
    if arguments.results:
        results, truth = _results_first((arguments.preset, arguments.dataset))
        dataset = _dataset(arguments, truth)
        score = arguments.score or "bbox"
        return evaluate_results(results, dataset, score, **options), dataset, score
    estimator = PoseEstimator.from_preset(arguments.preset)
    dataset = _dataset(arguments, arguments.dataset, estimator.output_skeleton)
    running = (arguments.flip_test, arguments.batch_size)
    if isinstance(estimator, BottomupEstimator):
        if arguments.boxes:
            raise ValueError(
                f"--boxes is for top-down models; {arguments.preset} finds the people itself"
            )
        score = arguments.score or "bbox"
        result = evaluate_bottomup(estimator, dataset, *running, score, **options)
        return result, dataset, score
    score = arguments.score or "keypoint"
    options["metrics"] = arguments.metric or _default_metrics(dataset, bool(arguments.boxes))
    if not arguments.metric and "wrist_depths" in dataset.extras and not arguments.boxes:
        options["metrics"] += ["interhand"] if hasattr(estimator.head, "hand_type_head") else []
    boxes = arguments.boxes or GROUND_TRUTH
    result = evaluate_topdown(estimator, dataset, *running, boxes, score, **options)
    return result, dataset, score


def _default_metrics(dataset, detected: bool) -> list[str]:
    precision = [] if dataset.skeleton.sigmas is None else ["ap"]
    return precision if detected and precision else [*precision, "pck", "epe"]


def _size_table(sizes, with_sigmas: bool) -> str:
    title = "mean OKS" if with_sigmas else "mean OKS (as if all sigmas were 0.1)"
    rows = [f"{'size':<8}{'objects':>8}  {title}"]
    for name, (count, mean) in sizes.items():
        value = "n/a" if math.isnan(mean) else f"{mean:.4f}"
        rows.append(f"{name:<8}{count:>8}{value:>10}")
    return "\n".join(rows)


def _document(result, sizes, poses: list[dict], made_by: str) -> dict:
    by_size = {
        name: {"objects": count, "mean_oks": None if math.isnan(mean) else mean}
        for name, (count, mean) in sizes.items()
    }
    return result.to_dict() | {"model": made_by, "by_size": by_size, "poses": poses}
