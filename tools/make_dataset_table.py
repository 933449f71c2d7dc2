"""Makes the table of data sets in docs/datasets.md from presets/datasets.

    python tools/make_dataset_table.py [--check]

With --check nothing is written; the exit code is 1 if the table is out of date.
"""

import argparse
import sys
from pathlib import Path

from keras_pose.datasets import dataset_names, describe
from keras_pose.datasets.readers import SEQUENCES
from keras_pose.skeleton import Skeleton

PAGE = Path(__file__).resolve().parent.parent / "docs/datasets.md"
BEGIN, END = "<!-- made by tools/make_dataset_table.py -->\n", "<!-- end -->"
HEAD = ("name", "keypoints", "rows are", "MMPose's class", "licence of the data", "notes")


def table() -> str:
    """A line of Markdown for each data set."""
    lines = [HEAD, ("---",) * len(HEAD)]
    for row in map(describe, dataset_names()):
        cells = (
            f"[{row['name']}]({row['homepage']})",
            str(Skeleton.load(row["skeleton"]).num_keypoints),
            "windows of frames" if row["reader"] in SEQUENCES else "objects",
            row["reference_class"],
            row["licence"],
            "; ".join(row["notes"]),
        )
        lines.append(tuple(cell.replace("|", r"\|") for cell in cells))
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def page(text: str) -> str:
    """The page with a new table."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


def main() -> int:
    """Writes or checks the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing, compare")
    arguments = parser.parse_args()
    old = PAGE.read_text("utf-8")
    new = page(old)
    if not arguments.check:
        PAGE.write_text(new, encoding="utf-8")
    elif new != old:
        print(f"{PAGE.name} is out of date: run tools/make_dataset_table.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
