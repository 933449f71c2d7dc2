"""`keras-pose verify`: does an exported model still compute what it computed when it was made?"""

import argparse


def add_parser(commands) -> None:
    """Adds the command to the parser of `keras-pose`."""
    parser = commands.add_parser(
        "verify",
        help="check an exported model against the reference values beside it",
        description="Runs an exported model (SavedModel, LiteRT or ONNX) in its own runtime and "
        "compares its keypoints with those that Keras computed when it was exported, which lie in "
        "the JSON file beside it. Exit code 1: they differ.",
        allow_abbrev=False,
    )
    parser.add_argument("artefact", metavar="ARTEFACT", help="file or folder of the export")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Prints the report; the exit code says whether it is good."""
    from keras_pose.artifacts import verify

    report = verify(arguments.artefact)
    print(report)
    return 0 if report.ok else 1
