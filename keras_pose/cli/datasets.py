"""`keras-pose datasets`: which data sets can be read by name."""

import argparse
import json
import textwrap


def add_parser(commands) -> None:
    """Adds the command to the parser of `keras-pose`."""
    parser = commands.add_parser(
        "datasets",
        help="list the data sets that can be read by name",
        description="Lists the published data sets that `keras_pose.datasets.load(NAME, "
        "annotations, images)` reads: a line each, or with NAME all that is known: skeleton, "
        "homepage, licence of the data, and where the reading differs from MMPose's. Nothing is "
        "downloaded: get a data set from its homepage. Your own needs no entry here: a file in "
        "COCO form is read by KeypointDataset.from_coco.",
        allow_abbrev=False,
    )
    parser.add_argument("name", nargs="*", metavar="NAME", help="only these, with all facts")
    parser.add_argument("--match", metavar="WORD", default="", help="part of the name or skeleton")
    parser.add_argument("--json", action="store_true", help="print everything known, as JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Prints the list.

    Raises:
        ValueError: a name is unknown, or nothing matches.
    """
    from keras_pose.datasets import dataset_names, describe

    word = arguments.match.lower()
    rows = [describe(name) for name in arguments.name or dataset_names()]
    rows = [row for row in rows if word in f"{row['name']} {row['skeleton']}"]
    if not rows:
        raise ValueError(
            f"no data set matches {arguments.match!r}; `keras-pose datasets` lists all"
        )
    if arguments.json:
        print(json.dumps({row["name"]: row for row in rows}, indent=1))
    elif arguments.name:
        print("\n\n".join(map(_entry, rows)))
    else:
        print(_table(rows))
    return 0


def _table(rows: list[dict]) -> str:
    """A line for each data set."""
    from keras_pose.skeleton import Skeleton

    cells = [("name", "keypoints", "homepage", "licence of the data")]
    for row in rows:
        count = Skeleton.load(row["skeleton"]).num_keypoints
        licence = textwrap.shorten(row["licence"].split(" (")[0], 50, placeholder=" ...")
        cells.append((row["name"], str(count), row["homepage"], licence))
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    )


def _entry(row: dict) -> str:
    """All facts of one data set."""
    settings = ", ".join(f"{key}={value!r}" for key, value in row["settings"].items())
    lines = {
        "skeleton": row["skeleton"],
        "reader": f"{row['reader']}({settings})",
        "homepage": row["homepage"],
        "licence": row["licence"],
        "in MMPose": row["reference_class"],
    }
    facts = [f"    {key:<10} {value}" for key, value in lines.items()]
    wrap = {"initial_indent": "    note       ", "subsequent_indent": " " * 15, "width": 95}
    notes = [textwrap.fill(note, **wrap) for note in row["notes"]]
    return "\n".join([row["name"], *facts, *notes])
