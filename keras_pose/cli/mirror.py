"""`keras-pose mirror`: MMPose's published checkpoints in a place of one's own."""

import argparse
import sys
import tempfile
from pathlib import Path

from keras_pose.cli.presets import add_filters, selected


def add_parser(commands) -> None:
    """Adds the command to the parser of `keras-pose`."""
    parser = commands.add_parser(
        "mirror",
        help="copy published checkpoints to a folder or a repository of your own",
        description="Downloads the checkpoints of MMPose's models, checks their hashes and puts "
        "them into a folder, or into a model repository on the Hugging Face hub. With "
        "KERAS_POSE_MIRROR set to that place, they are read from there. Files that are there "
        "already stay.",
        allow_abbrev=False,
    )
    parser.add_argument("place", metavar="DIR|hf://USER/NAME", help="where the files shall lie")
    parser.add_argument("name", nargs="*", metavar="NAME", help="presets; default: all that fit")
    add_filters(parser)
    parser.add_argument("--all", action="store_true", help="every model (about 60 GB)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Copies one after the other; those that fail are named at the end."""
    from keras_pose.preset import zoo

    filtered = any(getattr(arguments, option) for option in ("family", "task", "licence", "data"))
    if not (arguments.name or arguments.all or filtered or arguments.match):
        raise ValueError("name presets, give a filter such as --family rtmpose, or --all")
    rows = {row.file: row for name in selected(arguments) if (row := zoo.find(name))}
    if not rows:
        raise ValueError("none of these presets is a checkpoint of MMPose")
    failed = []
    for number, row in enumerate(rows.values(), 1):
        try:
            where = _copy(row, arguments.place)
        except OSError as error:
            print(f"keras-pose: error: {error}", file=sys.stderr)
            failed.append(row.name)
            continue
        print(f"{where} ({number} of {len(rows)})", flush=True)
    if failed:
        print(f"keras-pose: {len(failed)} failed: {', '.join(failed)}", file=sys.stderr)
    return 0 if not failed else 1 if len(failed) < len(rows) else 2


def _copy(row, place: str) -> str:
    """Puts the file of one row into its place; returns where it is."""
    from keras_pose.preset.conversion import obtain

    if not place.startswith("hf://"):
        return str(obtain(row, Path(place).expanduser() / row.file))
    try:
        from huggingface_hub import HfApi
    except ImportError:
        raise ImportError("hf:// needs huggingface_hub: pip install keras-pose[hub]") from None
    repository = place.removeprefix("hf://").rstrip("/")
    hub = HfApi()
    hub.create_repo(repository, exist_ok=True)
    if not hub.file_exists(repository, row.file):
        with tempfile.TemporaryDirectory() as folder:
            file = obtain(row, Path(folder) / row.file)
            hub.upload_file(path_or_fileobj=file, path_in_repo=row.file, repo_id=repository)
    return f"{place.rstrip('/')}/{row.file}"
