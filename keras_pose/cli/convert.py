"""`keras-pose convert`: an MMPose checkpoint as a preset."""

import argparse
from pathlib import Path


def add_parser(commands) -> None:
    """Adds the command to the parser of `keras-pose`."""
    parser = commands.add_parser(
        "convert",
        help="turn an MMPose config and checkpoint into a preset",
        description="Builds the model that an MMPose config describes, loads the checkpoint "
        "(neither PyTorch nor MMPose is needed, and nothing in the files is executed) and writes "
        "a preset folder for from_preset.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "config",
        metavar="CONFIG",
        help="an MMPose config: a .py file, its JSON, or the name of a published one",
    )
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help=".pth, .safetensors or .npz")
    parser.add_argument("out", metavar="OUT", help="folder to write, made if missing")
    parser.add_argument(
        "--skeleton", metavar="NAME", help="name or file; default: the config's, else coco"
    )
    parser.add_argument("--licence", help="of the weights, stored with the preset")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Converts, and prints the folder."""
    from keras_pose.files import writable_folder
    from keras_pose.preset import conversion

    settings, facts = conversion.described(arguments.config)
    if arguments.skeleton:
        settings["skeleton"] = arguments.skeleton
    if arguments.licence:
        facts["licence"] = arguments.licence
    facts["origin"] = f"{Path(arguments.config).name} and {Path(arguments.checkpoint).name}"
    estimator = conversion.build(state_dict=arguments.checkpoint, **settings)
    folder = writable_folder(arguments.out)
    with conversion.room_for(folder):
        print(estimator.save_to_preset(folder, facts))
    return 0
