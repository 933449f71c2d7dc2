"""Trains a lifter, 2D poses of a film to 3D ones, on figures that walk past cameras.

    python examples/lift_walking.py --out walker
    python examples/lift_walking.py --out walker --epochs 10 --resume

The films are made of formulas (`keras_pose.datasets.walking_sequences`), so nothing is downloaded:
24 to learn from and 4 others, of other figures and cameras, to judge on; their 2D poses are off by
two pixels, as a network's would be. In five epochs, two minutes of one CPU core under PyTorch, the
mean distance of the joints from where they are (MPJPE, about the root) falls from 438 to 57 mm in
the films that were not seen. `--resume` goes on exactly where an interrupted training stopped.

What has learnt walking figures knows nothing else: for people, train on recordings, such as
Human3.6M (`keras_pose.datasets.load`), or take published weights.
"""

import argparse
from pathlib import Path

import keras_pose  # isort: skip  (settles the backend before Keras is imported)
import keras

from keras_pose.datasets import RandomPoseFlip, lifting_dataset, walking_sequences
from keras_pose.training import read_checkpoint
from keras_pose.training.resuming import CheckpointWriter


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add = parser.add_argument
    add("--out", required=True, type=Path, help="folder for the preset and the checkpoint")
    add("--films", type=int, default=24, help="to learn from, of 200 frames each")
    add("--epochs", type=int, default=5, help="times that the films are seen")
    add("--channels", type=int, default=128, help="width of the network; published ones have 1024")
    add("--batch-size", type=int, default=64, help="windows of 27 frames a step")
    add("--lr", type=float, default=2e-3, help="learning rate of the first epoch")
    add("--resume", action="store_true", help="go on where an earlier run was interrupted")
    return parser


def build(channels: int) -> keras_pose.PoseLifter:
    """VideoPose3D for windows of 27 frames, whose middle one it lifts."""
    codec = keras_pose.codecs.VideoPoseLifting(remove_root=True)
    return keras_pose.PoseLifter(
        keras_pose.backbones.TCN(kernel_sizes=(3, 3, 3), channels=channels, dropout=0.0),
        keras_pose.heads.TemporalRegressionHead(17, codec),
        skeleton="h36m",
    )


def main(argv=None) -> keras_pose.PoseLifter:
    args = arguments().parse_args(argv)
    windows = {"noise": 2.0, "seq_len": 27, "causal": False, "pad_video_seq": True}
    walks = walking_sequences(films=args.films, seed=1, **windows)
    judged = lifting_dataset(walking_sequences(films=4, seed=0, **windows), args.batch_size)

    keras.utils.set_random_seed(0)
    lifter = build(args.channels)
    lifter.compile(keras.optimizers.Adam(args.lr))
    lifter.optimizer.build(lifter.trainable_variables)
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / "checkpoint.npz"
    start = read_checkpoint(path) if args.resume else None
    done = start.facts["epoch"] if start else 0
    if start:
        start.restore(lifter)
        print(f"going on after epoch {done}")
    else:
        before = lifter.evaluate(judged, verbose=0, return_dict=True)["mpjpe"]
        print(f"MPJPE before: {1000 * before:.0f} mm")

    train = lifting_dataset(
        walks, args.batch_size, training=True, augment=RandomPoseFlip(), first_epoch=done
    )
    steps = len(train)
    lifter.fit(
        train,
        validation_data=judged,
        initial_epoch=done,
        epochs=args.epochs,
        callbacks=[
            keras.callbacks.LearningRateScheduler(lambda epoch: args.lr * 0.7**epoch),
            CheckpointWriter(path, steps, start=start),
        ],
        verbose=2,
    )
    after = lifter.evaluate(judged, verbose=0, return_dict=True)["mpjpe"]
    print(f"MPJPE after {args.epochs} epochs: {1000 * after:.1f} mm")
    print(f"wrote {lifter.save_to_preset(args.out / 'preset')}")
    return lifter


if __name__ == "__main__":
    main()
