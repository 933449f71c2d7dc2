"""Fine-tunes weights of the package on small real data sets and prints how good they become.

    python tools/train_real_data.py [NAME ...] [--data FOLDER] [--out FOLDER]

Each is a job of `keras-pose train` in a folder of its own below OUT, and is resumed there. The last
weights are judged, once, on images that were not learnt; nothing is chosen on them. A Markdown
table comes out, with the error of predicting the mean pose of the training data in the box (from
the data sets' descriptions) beside it.
"""

import argparse
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from keras_pose.training import Trainer, TrainingJob

DATA = Path(__file__).resolve().parent.parent.parent / "shared/data"
_ALL_ROUND = {"augmentation.jitter.rotate_factor": 180}
# A network whose head starts anew takes 700 steps at least: few pictures are seen more often.
_OFTEN = {"epochs": 180}


@dataclass(frozen=True)
class Training:
    """One row of the table.

    Args:
        folder: of the data set.
        train, val: annotation files, without suffix.
        job: name of the job.
        overrides: of its recipe.
        metrics: what is measured.
        skeleton: name, where the file's own has no pairs.
        floor: what predicting the mean pose gives.
    """

    folder: str
    train: str
    val: str
    job: str = "movenet_finetune"
    overrides: dict[str, Any] = field(default_factory=dict)
    metrics: tuple[Any, ...] = ("epe",)
    skeleton: str | None = None
    floor: str = ""


def _mouse(split: str, rest: str) -> Training:
    return Training("dlc_openfield", split, rest, "movenet_whole_image")


TRAININGS = {
    "mouse_seed1": _mouse("train_seed1", "test_seed1"),
    "mouse_seed2": _mouse("train_seed2", "test_seed2"),
    "mouse_seed3": _mouse("train_seed3", "test_seed3"),
    "mouse_80_20": _mouse("train_80", "test_20"),
    "people": Training(
        "coco_people",
        "person_keypoints_train",
        "person_keypoints_val",
        metrics=("ap",),
        floor="AP 0.407 before",
    ),
    "sports": Training(
        "lspet_people",
        "train",
        "val",
        overrides={"epochs": 30},
        metrics=({"name": "pckt", "torso": ["right_shoulder", "left_hip"]}, "epe"),
        floor="PCKt@0.2 0.053, 38.1 px",
    ),
    "fly": Training("fly32", "train", "val", overrides={**_ALL_ROUND, **_OFTEN}, floor="41.3 px"),
    "mirror_mouse": Training(
        "mirror_mouse",
        "train",
        "val",
        overrides={"augmentation.flip": None, "augmentation.jitter.rotate_factor": 10, **_OFTEN},
        floor="42.1 px",
    ),
    "face": Training(
        "face68_dlib",
        "train",
        "test",
        overrides={"epochs": 400},
        metrics=({"name": "nme", "norm": [36, 45]}, "epe"),
        skeleton="300w",
        floor="4.15 px",
    ),
}


def main() -> int:
    """Trains, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(TRAININGS))
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the data sets")
    parser.add_argument("--out", type=Path, default=Path("real_data"), help="default: real_data")
    arguments = parser.parse_args()
    names = arguments.names or list(TRAININGS)
    for name in names:
        if name not in TRAININGS:
            parser.error(f"unknown {name!r}; known are {', '.join(TRAININGS)}")
    rows = [_row(name, arguments.data, arguments.out / name) for name in names]
    print("| data | learnt / judged | epochs | minutes | result | mean pose |")
    print("|---|---|---|---|---|---|")
    print("\n".join(rows))
    return 0


def _row(name: str, data: Path, out: Path) -> str:
    training = TRAININGS[name]
    folder = data / training.folder
    both = [
        {
            "annotations": str(folder / "annotations" / f"{split}.json"),
            "images": str(folder / "images"),
        }
        for split in (training.train, training.val)
    ]
    judged_once = {"validate_every": 10**6}
    job = TrainingJob.load(
        training.job,
        train=both[0],
        val=both[1],
        model={"skeleton": training.skeleton},
        metrics=list(training.metrics),
        overrides={**judged_once, **training.overrides},
    )
    trainer = Trainer(job, out, resume=(out / "checkpoint.npz").is_file(), verbose=2)
    run = trainer.run()
    results = "; ".join(
        f"{what.removeprefix('last').removeprefix(', ') or 'last weights'}: {_numbers(result)}"
        for what, result in run.results.items()
        if what.startswith("last")
    )
    log = [json.loads(line) for line in (out / "log.jsonl").read_text("utf-8").splitlines()]
    minutes = sum(row["seconds"] for row in log) / 60
    counts = f"{len(trainer.data)} / {len(trainer.val)}"
    print(f"{name}: {results}", file=sys.stderr, flush=True)
    return (
        f"| {name} | {counts} | {len(log)} | {minutes:.0f} | {results} | {training.floor or '-'} |"
    )


def _numbers(result) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in result.metrics.items())


if __name__ == "__main__":
    sys.exit(main())
