"""Trains RTMPose, SimpleBaseline or another published network by its published recipe.

    python examples/train_from_zoo_recipe.py rtmpose-m_8xb256-420e_coco-256x192 \
        --train train.json --val val.json --images images --out rtmpose --batch-size 64
    python examples/train_from_zoo_recipe.py td-hm_res50_8xb64-210e_coco-256x192 \
        --train train.json --val val.json --images images --out resnet50 --epochs 40
    python examples/train_from_zoo_recipe.py --list rtmpose-t

The name of an MMPose config stands for network, optimizer, schedule, averages and augmentation, the
second stage of RTMPose's included. The network starts with new weights, or with those of
`--preset`. `--epochs` scales the schedule and its second stage, `--batch-size` the learning rate.
Keypoints may be any that the COCO file names: the head is then made for them. `keras-pose train
NAME` does the same; docs/training.md explains what is written.
"""

import argparse
from pathlib import Path

from keras_pose.training import Trainer, TrainingJob, TrainingRun, recipe_names


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add = parser.add_argument
    add("recipe", help="name of a config, such as td-hm_res50_8xb64-210e_coco-256x192")
    add("--list", action="store_true", help="print the names that RECIPE is part of, and stop")
    add("--train", help="COCO keypoint file to learn from")
    add("--val", help="COCO keypoint file to judge on")
    add("--images", help="folder of the images of both; default: that of each file")
    add("--out", type=Path, help="folder for everything that is written")
    add("--preset", help="name or folder of weights to start from; default: new ones")
    add("--epochs", type=int, help="default: the recipe's, often 210 or 420")
    add("--batch-size", type=int, help="default: the recipe's, of all its GPUs together")
    add("--precision", help="mixed_bfloat16 or mixed_float16; default: the recipe's")
    add("--resume", action="store_true", help="go on where an earlier run was interrupted")
    return parser


def main(argv=None) -> TrainingRun | None:
    parser = arguments()
    args = parser.parse_args(argv)
    if args.list:
        print(*(name for name in recipe_names() if args.recipe in name), sep="\n")
        return None
    if not args.train or not args.out:
        parser.error("--train and --out say what to learn from and where to write")
    changes = {"model": {"preset": args.preset, "weights": True}} if args.preset else {}
    for part, file in {"train": args.train, "val": args.val}.items():
        if file:
            changes[part] = {"annotations": file, "images": args.images}
    overrides = {key: getattr(args, key) for key in ("epochs", "batch_size", "precision")}
    overrides = {key: value for key, value in overrides.items() if value is not None}
    job = TrainingJob.load(args.recipe, overrides=overrides, **changes)
    run = Trainer(job, args.out, resume=args.resume, verbose=2).run()
    for name, result in run.results.items():
        print(f"{name}: {result}")
    print(f"wrote {args.out} ({run.epochs} epochs, {run.seconds:.0f} s)")
    return run


if __name__ == "__main__":
    main()
