"""`keras-pose evaluate`: how good a model is on a data set, with the protocol of the numbers."""

import argparse
import math
from pathlib import Path

from keras_pose.cli import runtime
from keras_pose.cli.outputs import write_json, write_picture

_DESCRIPTION = """\
Measures a top-down model on a COCO keypoint file. Prints the metrics, how they were measured, and
what they are by keypoint and by size.

  keras-pose evaluate movenet_lightning_coco val.json --images photos
  keras-pose evaluate movenet_lightning_coco val.json --images photos --boxes detections.json
  keras-pose evaluate my_preset val.json --images photos --metric pck --metric nme --worst worst.png

Without --boxes the annotated boxes are cropped; numbers with a detector's boxes are lower.
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
    parser.add_argument("preset", metavar="PRESET", help="name, folder or handle of the model")
    parser.add_argument("dataset", metavar="DATASET.json", help="COCO keypoint file")
    parser.add_argument("--images", metavar="DIR", help="default: the folder of DATASET.json")
    parser.add_argument(
        "--boxes", metavar="FILE", help="COCO detection results whose boxes are cropped"
    )
    parser.add_argument("--flip-test", action="store_true", help="average with the mirrored crops")
    parser.add_argument(
        "--metric",
        action="append",
        metavar="M",
        help="ap, pck, nme, epe, ...; can be given several times; default: ap if the skeleton has "
        "sigmas, and with annotated boxes pck and epe",
    )
    parser.add_argument(
        "--score", default="keypoint", help="how poses are ranked; default: %(default)s"
    )
    parser.add_argument("--batch-size", type=int, default=32, metavar="N", help="default: 32")
    parser.add_argument("--out", metavar="FILE.json", help="write metrics and poses to this file")
    parser.add_argument("--worst", metavar="FILE.png", help="draw the worst images")
    runtime.add_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Prints the metrics."""
    runtime.prepare(arguments)
    from keras_pose.datasets import KeypointDataset
    from keras_pose.estimators import TopdownEstimator
    from keras_pose.evaluation import worst
    from keras_pose.evaluation.topdown import GROUND_TRUTH, evaluate_topdown

    estimator = TopdownEstimator.from_preset(arguments.preset)
    images = arguments.images or Path(arguments.dataset).parent
    dataset = KeypointDataset.from_coco(arguments.dataset, images, estimator.output_skeleton)
    metrics = arguments.metric or _default_metrics(dataset, bool(arguments.boxes))
    kept = []
    result = evaluate_topdown(
        estimator,
        dataset,
        arguments.flip_test,
        arguments.batch_size,
        arguments.boxes or GROUND_TRUTH,
        arguments.score,
        metrics=metrics,
        observe=kept.append,
    )
    predictions = kept[0]
    similarities = worst.object_similarities(dataset, predictions)
    sizes = worst.by_size(dataset, similarities)
    missing = worst.missing_images(dataset, predictions.image_ids)
    print(result)
    if missing:
        print(missing)
    print(f"\n{_size_table(sizes)}")
    if result.per_keypoint:
        print(f"\n{result.keypoint_table()}")
    if arguments.out:
        write_json(Path(arguments.out), _document(result, sizes, missing, predictions, arguments))
    if arguments.worst:
        write_picture(Path(arguments.worst), worst.worst_page(dataset, predictions, similarities))
    return 0


def _default_metrics(dataset, detected: bool) -> list[str]:
    precision = [] if dataset.skeleton.sigmas is None else ["ap"]
    return precision if detected and precision else [*precision, "pck", "epe"]


def _size_table(sizes) -> str:
    rows = [f"{'size':<8}{'objects':>8}{'mean OKS':>10}"]
    for name, (count, mean) in sizes.items():
        value = "n/a" if math.isnan(mean) else f"{mean:.4f}"
        rows.append(f"{name:<8}{count:>8}{value:>10}")
    return "\n".join(rows)


def _document(result, sizes, missing, predictions, arguments) -> dict:
    from keras_pose.evaluation.topdown import SCORES

    ranks = SCORES[arguments.score].rule(predictions.scores, predictions.box_scores)
    poses = [
        {
            "image_id": int(image),
            "keypoints": [[*point, score] for point, score in zip(points, scores, strict=True)],
            "score": float(rank),
        }
        for image, points, scores, rank, finite in zip(
            predictions.image_ids.tolist(),
            predictions.keypoints.tolist(),
            predictions.scores.tolist(),
            ranks.tolist(),
            predictions.finite.tolist(),
            strict=True,
        )
        if finite
    ]
    by_size = {
        name: {"objects": count, "mean_oks": None if math.isnan(mean) else mean}
        for name, (count, mean) in sizes.items()
    }
    document = result.to_dict() | {"model": arguments.preset, "by_size": by_size, "poses": poses}
    document["notes"] += [missing] if missing else []
    return document
