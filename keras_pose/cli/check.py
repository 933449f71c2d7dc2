"""`keras-pose check`: what is wrong with a data set, before a network learns it."""

import argparse
import json
import sys

from keras_pose.cli import runtime

_DESCRIPTION = """\
Looks for what is wrong with a COCO keypoint file and its images: ids, boxes, areas, coordinates in
another form than pixels, missing and corrupt files, images in two splits, exchanged left and right,
wrong swap pairs. Each finding says how often, gives an example and what to do.

  keras-pose check train.json --images images --against val.json --sheet sheet.png
  keras-pose check train.json --images images --overfit movenet_lightning_coco
"""

_EPILOG = """\
Severities: an error makes training or evaluation fail or go wrong, a warning is probably not meant,
a note is good to know.

Exit codes: 0 no error (with --strict also no warning), 1 errors were found or --overfit failed, 2
nothing could be checked (no such file, no JSON, not in COCO form, a wrong option).
"""


def add_parser(commands) -> None:
    """Adds the command to the parser of `keras-pose`."""
    parser = commands.add_parser(
        "check",
        help="find what is wrong with a data set before training on it",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("dataset", metavar="DATASET.json", help="COCO keypoint file")
    parser.add_argument(
        "--images", metavar="DIR", help="folder of the images; without it files are not looked at"
    )
    parser.add_argument(
        "--skeleton", metavar="S", help="name or file; default: that of the file's categories"
    )
    parser.add_argument(
        "--against",
        nargs="+",
        default=[],
        metavar="OTHER.json",
        help="other splits, which must share no image with this one",
    )
    parser.add_argument("--sheet", metavar="OUT.png", help="draw some objects, the worst first")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.add_argument("--strict", action="store_true", help="exit code 1 for warnings too")
    parser.add_argument(
        "--estimate-sigmas",
        action="store_true",
        help="print sigmas for OKS, from objects annotated twice, else a substitute",
    )
    training = parser.add_argument_group("short training (needs --images and keras-pose[train])")
    training.add_argument(
        "--overfit",
        metavar="PRESET",
        help="train this preset on 8 samples and say whether labels, crops, swap pairs and loss "
        "fit together",
    )
    training.add_argument("--steps", type=int, default=300, help="of the training; default 300")
    training.add_argument(
        "--seconds",
        type=float,
        default=120.0,
        help="when training stops before its last step; default 120",
    )
    runtime.add_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Prints the report; the exit code says whether there are errors."""
    from keras_pose.datasets.doctor import check

    if arguments.overfit and not arguments.images:
        raise ValueError("--overfit needs the pictures: give --images DIR")
    report = check(
        arguments.dataset,
        arguments.images,
        arguments.skeleton,
        arguments.against,
        estimate_sigmas=arguments.estimate_sigmas,
        sheet=arguments.sheet,
        progress=_show_progress,
    )
    data, code = report.to_dict(), report.exit_code(arguments.strict)
    if not arguments.json:
        print(report, flush=True)
    if arguments.overfit:
        result = _overfit(arguments, report)
        data["overfit"] = result.to_dict()
        code = max(code, int(not result.ok))
        if not arguments.json:
            print(f"\n{result}")
    if arguments.json:
        print(json.dumps(data, indent=1, ensure_ascii=False))
    return code


def _overfit(arguments: argparse.Namespace, report):
    from keras_pose.datasets import KeypointDataset
    from keras_pose.training.overfit import CAUSES, overfit

    runtime.prepare(arguments)
    dataset = KeypointDataset.from_coco(arguments.dataset, arguments.images, arguments.skeleton)
    known = {found.check: found.message for found in report.findings if found.check in CAUSES}
    return overfit(
        dataset,
        arguments.overfit,
        steps=arguments.steps,
        seconds=arguments.seconds,
        known=known,
    )


def _show_progress(count: int) -> None:
    if sys.stderr.isatty() and count % 100 == 0:
        print(f"\r{count} images", end="", file=sys.stderr, flush=True)
