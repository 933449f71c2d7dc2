"""Fine-tunes MoveNet on a DeepLabCut project and writes it as LiteRT, for phones.

    python examples/train_deeplabcut.py --project openfield-Pranav-2018-10-30 --out mouse

The labels of the project are read, some of its frames are set aside, and MoveNet learns the others:
in boxes around the animal and in whole frames, so that it needs no boxes afterwards. The error is
the mean distance in pixels over all labelled points of the frames that were set aside, which is
DeepLabCut's own figure. Each frame must show one animal. DeepLabCut itself is not needed.
docs/finetune.md has figures, docs/import.md what is read of a project.
"""

import argparse
from pathlib import Path

import numpy as np

import keras_pose
from keras_pose.datasets import import_dataset, write_coco
from keras_pose.training import Trainer, TrainingJob, TrainingRun


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add = parser.add_argument
    add("--project", required=True, help="folder of the project, its config.yaml, or a label table")
    add("--out", required=True, type=Path, help="folder for labels, presets and movenet.tflite")
    add("--images", help="folder where the frames lie, if not where the project says")
    add("--category", help="name of the animal, if the project also labels the scene")
    add("--skeleton", help="name or file of a skeleton; default: the project's own")
    add("--preset", default="movenet_lightning_coco", help="what to start from")
    add("--test-share", type=float, default=0.05, help="share of the frames to judge on")
    add("--epochs", type=int, help="default: 60; with MoveNet's own 17 keypoints 30")
    add("--lr", type=float, help="peak learning rate; default: 1e-3, or 3e-5")
    add("--batch-size", type=int, default=16, help="objects a step")
    add("--rotation", type=float, default=180, help="degrees; 30 for animals seen from the side")
    add("--seed", type=int, default=0, help="of the split and of the training")
    add("--resume", action="store_true", help="go on where an earlier run was interrupted")
    add("--no-export", action="store_true", help="write no LiteRT file")
    return parser


def main(argv=None) -> TrainingRun:
    args = arguments().parse_args(argv)

    # %% Import the labels
    # `labels.json` has the labels in COCO's form, `labels.skeleton.json` names, links and
    # left/right pairs of the keypoints. Read the line on pairs: wrong ones train the wrong points.
    animals = import_dataset(
        args.project,
        args.out / "labels.json",
        images=args.images,
        category=args.category,
        skeleton=args.skeleton,
    )
    print(animals.report)

    # %% Set frames aside
    # Frames of one video resemble each other: the error on frames of the same video says little
    # about other videos.
    data = animals.dataset()
    frames = np.random.default_rng(args.seed).permutation(np.unique(data.image_ids))
    judged = np.isin(data.image_ids, frames[: max(1, round(args.test_share * len(frames)))])
    for name, part in {"train": data[~judged], "test": data[judged]}.items():
        write_coco(part, args.out / f"{name}.json", animals.images)
        print(f"{name}: {len(part)} frames")

    # %% Train
    # `best` has the weights with the least error on the test frames, `last` the final ones. `best`
    # was chosen on the frames it is judged on: of other frames, expect what `last` says, or less.
    overrides = {
        "epochs": args.epochs,
        "optimizer.learning_rate": args.lr,
        "batch_size": args.batch_size,
        "augmentation.jitter.rotate_factor": args.rotation,
        "seed": args.seed,
    }
    (skeleton,) = animals.files.values()
    job = TrainingJob.load(
        "movenet_whole_image",
        model={"preset": args.preset, "skeleton": str(skeleton)},
        train={"annotations": str(args.out / "train.json"), "images": str(animals.images)},
        val={"annotations": str(args.out / "test.json"), "images": str(animals.images)},
        overrides={key: value for key, value in overrides.items() if value is not None},
    )
    run = Trainer(job, args.out, resume=args.resume, verbose=2).run()

    # %% The error in pixels
    # Without boxes, as the network is used; and in the boxes around the labels.
    for name, result in run.results.items():
        print(f"{name}: {result}")

    # %% Write it for phones
    # The file is run in LiteRT and compared with the network before it counts as written.
    if not args.no_export:
        path = args.out / "movenet.tflite"
        print(keras_pose.verify(keras_pose.export(run.estimator, path, format="litert")))
    print(f"wrote {args.out} ({run.seconds:.0f} s of training)")
    return run


if __name__ == "__main__":
    main()
