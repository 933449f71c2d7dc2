"""Fine-tunes MoveNet on the keypoints of a COCO file and writes it as LiteRT, for phones.

    python examples/finetune_movenet.py --annotations train.json --val val.json \
        --images images --out tuned

If the file's keypoints are MoveNet's own 17, the whole network goes on learning; for others its
head starts anew. It is judged on the images of `--val` before and after, under one protocol.
`--whole-images` is for pictures that show one animal each and come without boxes: the network also
learns to find it. docs/finetune.md walks through both uses; `keras-pose train movenet_finetune`
does the same without the export.
"""

import argparse
from pathlib import Path

import keras_pose
from keras_pose.training import Trainer, TrainingJob, TrainingRun


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add = parser.add_argument
    add("--annotations", required=True, help="COCO keypoint file to learn from")
    add("--val", required=True, help="COCO keypoint file to judge on")
    add("--images", required=True, help="folder of the images of both")
    add("--out", required=True, type=Path, help="folder for the tuned presets and movenet.tflite")
    add("--skeleton", help="name or file of a skeleton; default: the annotations' own")
    add("--preset", default="movenet_lightning_coco", help="what to start from")
    add("--whole-images", action="store_true", help="also learn and judge without boxes")
    add("--epochs", type=int, help="default: 30, with new keypoints 60")
    add("--lr", type=float, help="peak learning rate; default: 3e-5, with new keypoints 5e-4")
    add("--batch-size", type=int, default=16, help="objects a step")
    add("--rotation", type=float, default=30, help="degrees; 180 for animals seen from above")
    add("--seed", type=int, default=0, help="of the training")
    add("--resume", action="store_true", help="go on where an earlier run was interrupted")
    add("--no-export", action="store_true", help="write no LiteRT file")
    return parser


def main(argv=None) -> TrainingRun:
    args = arguments().parse_args(argv)

    # %% Train
    # `best` has the best weights by the first number that is judged, `last` the final ones. `best`
    # was chosen on the images it is judged on: of other images, expect what `last` says, or less.
    overrides = {
        "epochs": args.epochs,
        "optimizer.learning_rate": args.lr,
        "batch_size": args.batch_size,
        "augmentation.jitter.rotate_factor": args.rotation,
        "seed": args.seed,
    }
    job = TrainingJob.load(
        "movenet_finetune",
        model={"preset": args.preset, "skeleton": args.skeleton},
        train={"annotations": args.annotations, "images": args.images},
        val={"annotations": args.val, "images": args.images},
        whole_images=args.whole_images,
        overrides={key: value for key, value in overrides.items() if value is not None},
    )
    run = Trainer(job, args.out, resume=args.resume, verbose=2).run()

    # %% Before and after
    # All judged on the same images under one protocol.
    for name, result in run.results.items():
        print(f"{name}: {result}")

    # %% Write it for phones
    # The file is run in LiteRT and compared with the network before it counts as written.
    if not args.no_export:
        path = args.out / "movenet.tflite"
        print(keras_pose.verify(keras_pose.export(run.estimator, path, format="litert")))
    print(f"wrote {args.out} ({run.seconds:.0f} s in all)")
    return run


if __name__ == "__main__":
    main()
