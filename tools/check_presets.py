"""Builds every published model and compares its number of parameters with the published network's.

    python tools/check_presets.py [NAME ...] [--out docs/presets.md]

Needs no network and no weights. The exit code is 1 if a model cannot be built or has another number
of parameters. Models that differ in their data only are built once.
"""

import argparse
import json
import sys
from pathlib import Path

import keras_pose  # isort: skip  (settles the backend before Keras is imported)
import keras
from parity import release

from keras_pose.heads import IntegralRegressionHead
from keras_pose.layers import skip_initialization
from keras_pose.preset import conversion, zoo


def parameters(estimator: keras_pose.PoseEstimator) -> int:
    """As the reference counts: no statistics of normalisations, no states of random generators,
    nothing that a checkpoint does not hold."""
    total = 0
    for variable in estimator.weights:
        if not variable.name.startswith("moving_"):
            total += int(keras.ops.size(variable))
    head = estimator.head
    if isinstance(head, IntegralRegressionHead):
        # The reference counts the places of the maps' columns and rows; here they are constants.
        total += sum(head.codec.heatmap_size)
    return total


def count(row: zoo.ZooPreset) -> int | str:
    """The number of parameters of a row's model, or why it cannot be built."""
    try:
        with skip_initialization():
            return parameters(conversion.build(state_dict=None, **row.settings()))
    except Exception as error:  # Whatever it is, it is this row's result, and others follow.
        return f"{type(error).__name__}: {error}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="default: all")
    parser.add_argument("--out", type=Path, help="Markdown file with a row for each model")
    arguments = parser.parse_args()
    rows = [zoo.find(name) for name in arguments.names or zoo.names()]
    counted: dict[str, int | str] = {}
    wrong, lines = [], []
    for row in rows:
        key = json.dumps([row.model, row.codec, row.skeleton, row.resize], sort_keys=True)
        if key not in counted:
            counted[key] = count(row)
            release()
        found = counted[key]
        print(f"{len(lines) + 1} of {len(rows)} {row.name}: {found}", file=sys.stderr, flush=True)
        good = found == row.parameters
        if not good:
            wrong.append(row.name)
            print(f"{row.name}: {found}, published {row.parameters}", flush=True)
        lines.append(
            f"| {row.name} | {row.config} | {row.parameters} | {'equal' if good else found} |"
        )
    print(f"{len(rows) - len(wrong)} of {len(rows)} models have the published number of parameters")
    if arguments.out:
        arguments.out.write_text(page(rows, wrong, lines), "utf-8")
    return 1 if wrong else 0


def page(rows, wrong, lines) -> str:
    """The table of all models as Markdown."""
    return "\n".join(
        [
            "# Published models",
            "",
            f"Made by `tools/check_presets.py`: {len(rows) - len(wrong)} of {len(rows)} models are "
            "built with exactly the published number of parameters. `keras-pose presets` lists "
            "them with input sizes, published accuracy and licences; "
            "[coverage](coverage.md) says how far their outputs agree.",
            "",
            "| preset | MMPose config | parameters | here |",
            "|---|---|---|---|",
            *lines,
            "",
            "## Not available",
            "",
            *[f"- {name}: {reason}" for name, reason in zoo.all_missing().items()],
            "",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
