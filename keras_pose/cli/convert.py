"""`keras-pose convert`: an MMPose checkpoint as a preset."""

import argparse
import json
from collections.abc import Mapping
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

    settings, facts = _settings(arguments.config)
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


def _settings(config: str) -> tuple[dict, dict]:
    """Arguments of `conversion.build`, and facts, from a config file or the name of one."""
    from keras_pose.preset import zoo

    path = Path(config)
    row = None if path.is_file() else zoo.find(path.name.removesuffix(".py"))
    if row is not None:
        facts = row.metadata()
        for own in ("task", "input_size", "parameters", "metrics"):
            del facts[own]
        return row.settings(), facts
    if not path.is_file():
        raise ValueError(f"there is no config {config}, neither a file nor a published name")
    if path.suffix == ".json":
        return _from_json(path), {}
    from keras_pose.checkpoints.mmpose.config_file import read_config_file

    return read_config_file(path), {}


def _from_json(path: Path) -> dict:
    try:
        content = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}") from None
    from keras_pose.checkpoints.mmpose.config_file import model_settings

    if not isinstance(content, Mapping):
        raise ValueError(f"{path} must hold a JSON object, not a {type(content).__name__}")
    return model_settings(content, path)
