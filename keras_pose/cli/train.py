"""`keras-pose train`: a model learns a data set, and goes on where it was interrupted."""

import argparse
import contextlib
import json
import sys
from pathlib import Path
from typing import Any

from keras_pose.cli import runtime

_DESCRIPTION = """\
Trains a model by a job, a file or a name, and keeps the best and the last weights as presets.

  keras-pose train movenet_finetune --train train.json --val val.json --images photos --out tuned
  keras-pose train movenet_whole_image --train mouse.json --images frames --out mouse --epochs 20
  keras-pose train td-hm_res50_8xb64-210e_coco-256x192 --train train.json --val val.json \\
      --images photos --out resnet50 --set optimizer.learning_rate=1e-4 --batch-size 32
  keras-pose train video-pose-lift_tcn-27frm-supv_8xb128-160e_h36m --train h36m_train.npz \\
      --val h36m_test.npz --set train.cameras=cameras.pkl --out lifter
  keras-pose train --resume --out tuned

A name is one of the package's own jobs or the config of an MMPose checkpoint (top-down, bottom-up
or a lifter), whose published recipe is followed from new weights; --preset says what else to start
from. A file is JSON, or Python that assigns job = {...}: docs/training.md explains its keys.
Options go before them.
"""

_EPILOG = """\
OUT holds best/ and last/ (presets: keras-pose predict photo.jpg --preset OUT/best), results.json
(every judgement with its protocol), log.jsonl (a line an epoch), job.json and checkpoint.npz, from
which --resume goes on exactly, also in the middle of an epoch.

Exit codes: 0 trained to the end, 1 stopped on the way (a loss that is no number, memory that is
full; checkpoints are as they were), 2 nothing was trained, 130 stopped by Ctrl-C.
"""


def add_parser(commands) -> None:
    """Adds the command to the parser of `keras-pose`."""
    parser = commands.add_parser(
        "train",
        help="train a model on your data",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("job", metavar="JOB|RECIPE", nargs="?", help="file or name; see above")
    parser.add_argument("--recipe", metavar="NAME", help="another recipe than the job's")
    parser.add_argument("--train", metavar="FILE", help="COCO keypoint file, or prepared shards")
    parser.add_argument(
        "--val",
        metavar="FILE|SHARE",
        help="COCO keypoint file to judge on, or the share of --train's images, such as 0.2",
    )
    parser.add_argument("--images", metavar="DIR", help="of both; default: the folder of each file")
    parser.add_argument("--preset", metavar="P", help="what to start from, with its weights")
    parser.add_argument("--skeleton", metavar="S", help="name or file; default: that of the labels")
    parser.add_argument(
        "--out", metavar="DIR", required=True, type=Path, help="folder for everything written"
    )
    parser.add_argument("--epochs", type=int, metavar="N", help="scales the recipe's schedule, too")
    parser.add_argument("--batch-size", type=int, metavar="N", help="samples a step")
    parser.add_argument(
        "--metric",
        action="append",
        metavar="M",
        help="what to judge by: ap, pck, epe, ...; several times for several; the first decides",
    )
    parser.add_argument(
        "--patience", type=int, metavar="N", help="stop after N judgements without a better one"
    )
    parser.add_argument(
        "--save-every", type=int, metavar="N", help="checkpoint every N batches; default: an epoch"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="any key of the recipe or the job, such as optimizer.learning_rate=1e-4 or "
        "model.weights=false; VALUE is JSON, else text",
    )
    parser.add_argument(
        "--devices",
        metavar="N",
        help="how many share each batch: a number, or auto for all GPUs; default: 1, or the "
        "processes that torchrun started",
    )
    parser.add_argument("--resume", action="store_true", help="go on from OUT/checkpoint.npz")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done")
    parser.add_argument("--quiet", action="store_true", help="a line an epoch, no progress bar")
    runtime.add_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Trains; prints the results."""
    runtime.prepare(arguments)
    from keras_pose.training.distribution import processes_to_start

    settings = {
        "job": _job(arguments).to_dict(),
        "out": arguments.out,
        "resume": arguments.resume,
        "verbose": 2 if arguments.quiet else 1,
        "dry_run": arguments.dry_run,
        "devices": _devices(arguments.devices),
    }
    processes = processes_to_start(settings["devices"])
    if processes == 1 or arguments.dry_run:
        return _train(settings | ({"devices": 1} if arguments.dry_run else {}))
    import torch.multiprocessing

    from keras_pose.training.distribution import launch

    try:
        launch(_train_in_process, processes, settings | {"devices": "auto"})
    except torch.multiprocessing.ProcessExitedException as error:
        return error.exit_code
    return 0


def _devices(text: str | None) -> int | str:
    if text is None:
        from keras_pose.training.distribution import joined_processes

        return "auto" if joined_processes() > 1 else 1
    if text == "auto" or (text.isdigit() and int(text)):
        return text if text == "auto" else int(text)
    raise ValueError(f"--devices must be auto or a positive number, got {text!r}")


def _train_in_process(settings: dict[str, Any]) -> None:
    """One of several processes; ends with the exit code."""
    try:
        code = _train(settings)
    except (ValueError, OSError) as error:
        print(f"keras-pose: error: {error}", file=sys.stderr)
        code = 2
    if code:
        raise SystemExit(code)


def _train(settings: dict[str, Any]) -> int:
    """Trains on all devices that this process has; the exit code."""
    from keras_pose.training.distribution import distribute
    from keras_pose.training.guards import TrainingError
    from keras_pose.training.job import TrainingJob
    from keras_pose.training.trainer import Trainer

    job, out = TrainingJob.from_dict(settings["job"]), settings["out"]
    # Results alone go to stdout; Keras' progress bar would.
    with contextlib.redirect_stdout(sys.stderr), distribute(settings["devices"]) as group:
        trainer = Trainer(job, out, settings["resume"], verbose=settings["verbose"], group=group)
        if settings["dry_run"]:
            print(json.dumps(trainer.recipe.to_dict(), indent=1))
            return 0
        try:
            done = trainer.run()
        except TrainingError as error:
            print(f"keras-pose: error: {error}")
            return 1
    if group.is_first:
        for name, result in done.results.items():
            print(f"{name}: {result}")
        print(f"wrote {out} ({done.epochs} epochs, {done.seconds:.0f} s)")
    return 0


def _job(arguments: argparse.Namespace):
    from keras_pose.training.job import TrainingJob, job_settings
    from keras_pose.training.trainer import JOB

    source = arguments.job or arguments.recipe
    if source is None:
        kept = arguments.out / JOB
        if not arguments.resume or not kept.is_file():
            raise ValueError(
                "say what to train: a job, a file or a name (see keras-pose train --help)"
                if not arguments.resume
                else f"--resume: there is no {kept} to go on with"
            )
        source = kept
    return TrainingJob.load(source, **_changes(arguments, job_settings(source)))


def _changes(arguments, settings: dict[str, Any]) -> dict[str, Any]:
    """Keys of the job, whose settings are given, that options set."""
    changes: dict[str, Any] = {}
    for part in ("train", "val"):
        file = getattr(arguments, part)
        share = _number(file) if part == "val" else None
        if share is not None and 0 < share < 1:
            changes[part] = {"share": share}
        elif share is not None and not Path(file).exists():
            raise ValueError(
                f"--val must be a file, or a share of the images above 0 and below 1, got {file}"
            )
        elif file and Path(file).is_dir():
            changes[part] = {"shards": file}
        elif file:
            changes[part] = {"annotations": file}
        known = {**(settings.get(part) or {}), **changes.get(part, {})}
        if arguments.images and "annotations" in known:
            changes.setdefault(part, {})["images"] = arguments.images
    if arguments.preset:
        changes["model"] = {"preset": arguments.preset, "weights": True}
    if arguments.skeleton:
        changes.setdefault("model", {})["skeleton"] = arguments.skeleton
    for key, value in (
        ("recipe", arguments.recipe),
        ("metrics", arguments.metric),
        ("patience", arguments.patience),
        ("save_every", arguments.save_every),
    ):
        if value is not None:
            changes[key] = value
    overrides = {"epochs": arguments.epochs, "batch_size": arguments.batch_size}
    overrides = {key: value for key, value in overrides.items() if value is not None}
    for setting in arguments.set:
        key, value = _setting(setting)
        _place(key, value, changes, overrides)
    if overrides:
        changes["overrides"] = overrides
    return changes


def _number(text: str | None) -> float | None:
    with contextlib.suppress(TypeError, ValueError):
        return float(text)
    return None


def _setting(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise ValueError(f"--set needs KEY=VALUE, got {text!r}")
    with contextlib.suppress(ValueError):
        return key, json.loads(value)
    return key, value


def _place(key: str, value: Any, changes: dict, overrides: dict) -> None:
    """Puts a setting where it belongs: into the job, or over the recipe."""
    from dataclasses import fields

    from keras_pose.training.job import TrainingJob

    first, _, rest = key.partition(".")
    if first not in {entry.name for entry in fields(TrainingJob)}:
        overrides[key] = value
    elif rest:
        changes.setdefault(first, {})[rest] = value
    else:
        changes[first] = value
