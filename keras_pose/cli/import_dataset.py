"""`keras-pose import-dataset`: labels of another tool as a COCO file."""

import argparse
import shlex
import sys
from pathlib import Path


def add_parser(commands) -> None:
    """Adds the command to the parser of `keras-pose`."""
    parser = commands.add_parser(
        "import-dataset",
        help="turn labels of DeepLabCut, SLEAP, YOLO, CVAT, Label Studio ... into COCO",
        description="Reads the labels of another tool and writes them as a COCO JSON file, with "
        "the skeleton (names, links, left/right pairs) beside it. Images stay where they are; "
        "frames that lie in videos or in the label file are written as PNG. What was read, made "
        "and left out is counted. Exit code 1: images are missing or cannot be read, the others "
        "are written.",
        epilog="formats: " + "; ".join(_formats()),
        allow_abbrev=False,
    )
    parser.add_argument("labels", metavar="SOURCE", help="label file or project folder")
    parser.add_argument("out", metavar="OUT.json", help="file to write")
    parser.add_argument(
        "--format", metavar="F", help="name of the format; default: told from the content"
    )
    parser.add_argument(
        "--images",
        metavar="DIR",
        help="folder of the image files, and for frames to write; default: where the source says, "
        "for frames OUT_images",
    )
    parser.add_argument(
        "--split",
        metavar="NAME",
        action="append",
        help="only this split, such as train or val; may be given several times; default: all",
    )
    parser.add_argument("--category", metavar="NAME", help="only objects of this category")
    parser.add_argument(
        "--skeleton",
        metavar="NAME",
        help="skeleton (name or file) that the keypoints stand for; default: made of the source",
    )
    parser.add_argument(
        "--box-padding",
        metavar="SHARE",
        type=float,
        default=0.1,
        help="boxes made of keypoints are wider by this share of their longer side on every side, "
        "and by at least 5 pixels; default: 0.1",
    )
    parser.set_defaults(run=run)


def _formats() -> list[str]:
    from keras_pose.datasets.importers.formats import FORMATS

    return [f"{name} ({each.source})" for name, each in FORMATS.items()]


def run(arguments: argparse.Namespace) -> int:
    """Imports, prints the counts and the next command."""
    from keras_pose.datasets import import_dataset

    imported = import_dataset(
        arguments.labels,
        arguments.out,
        format=arguments.format,
        images=arguments.images,
        split=arguments.split,
        category=arguments.category,
        skeleton=arguments.skeleton,
        box_padding=arguments.box_padding,
    )
    print(imported.report)
    out = Path(arguments.out)
    print(f"{'written':<11} {out}, {', '.join(map(str, imported.files.values()))}")
    words = ["keras-pose", "check", str(out), "--images", str(imported.images)]
    if len(imported.files) == 1:
        words += ["--skeleton", str(*imported.files.values())]
    print(f"{'next':<11} {shlex.join(words)}")
    if not imported.report.complete:
        print("keras-pose: some images are left out, see above", file=sys.stderr)
        return 1
    return 0
