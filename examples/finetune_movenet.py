"""Fine-tunes MoveNet on the keypoints of a COCO file and writes it as LiteRT, for phones.

    python examples/finetune_movenet.py --annotations train.json --val val.json \
        --images images --out tuned

If the file's keypoints are MoveNet's own 17, the whole network goes on learning; for others its
head starts anew. It is judged on the images of `--val` before and after, under one protocol.
`--whole-images` is for pictures that show one animal each and come without boxes: the network also
learns to find it. docs/finetune.md walks through both uses.
"""

import argparse
import json
import time
from pathlib import Path

import keras
import numpy as np

import keras_pose
from keras_pose import evaluation
from keras_pose.datasets import (
    KeypointDataset,
    RandomColor,
    RandomJitter,
    TopdownAugment,
    topdown_dataset,
)


def parse_args(argv=None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add = parser.add_argument
    add("--annotations", required=True, help="COCO keypoint file to learn from")
    add("--val", required=True, help="COCO keypoint file to judge on")
    add("--images", required=True, help="folder of the images of both")
    add("--out", required=True, type=Path, help="folder for the tuned preset and movenet.tflite")
    add("--skeleton", help="name or file of a skeleton; default: the annotations' own")
    add("--preset", default="movenet_lightning_coco", help="what to start from")
    add("--whole-images", action="store_true", help="also learn and judge without boxes")
    add("--epochs", type=int, help="default: 30, with new keypoints 60")
    add("--lr", type=float, help="peak learning rate; default: 3e-5, with new keypoints 1e-3")
    add("--batch-size", type=int, default=16)
    add("--rotation", type=float, default=30, help="degrees; 180 for animals seen from above")
    add("--seed", type=int, default=0)
    add("--no-export", action="store_true", help="write no LiteRT file")
    return parser.parse_args(argv)


def main(argv=None) -> dict[str, evaluation.EvaluationResult]:
    args = parse_args(argv)
    start = time.time()
    keras.utils.set_random_seed(args.seed)
    train = KeypointDataset.from_coco(args.annotations, args.images, args.skeleton)
    val = KeypointDataset.from_coco(args.val, args.images, args.skeleton)
    estimator = keras_pose.TopdownEstimator.from_preset(args.preset)
    anew = estimator.skeleton.keypoints != train.skeleton.keypoints
    if anew:
        estimator = estimator.with_skeleton(train.skeleton)
    margin = box_margin(train) if args.whole_images else None
    results = judge("before", estimator, val, margin)

    data = with_whole_images(train) if args.whole_images else train
    batches = topdown_dataset(
        data,
        estimator,
        batch_size=min(args.batch_size, len(data)),
        training=True,
        augment=TopdownAugment(
            half_body=None,
            jitter=RandomJitter(
                scale_factor=(0.75, 1.25),
                rotate_factor=args.rotation,
                shift_factor=0.1,
                shift_prob=1.0,
            ),
            pixels=(RandomColor(),),
        ),
        seed=args.seed,
    )
    epochs = args.epochs or (60 if anew else 30)
    estimator.compile(optimizer(args.lr or (1e-3 if anew else 3e-5), epochs * len(batches)))
    estimator.fit(batches, epochs=epochs, verbose=2)

    results |= judge("after", estimator, val, margin)
    facts = {name: result.to_dict() for name, result in results.items()}
    estimator.save_to_preset(args.out, metadata={"finetuned_from": args.preset, "results": facts})
    (args.out / "results.json").write_text(json.dumps(facts, indent=1) + "\n", "utf-8")
    if not args.no_export:
        path = keras_pose.export(estimator, args.out / "movenet.tflite", format="litert")
        print(keras_pose.verify(path))
    print(f"wrote {args.out} ({time.time() - start:.0f} s in all)")
    return results


def optimizer(rate: float, steps: int) -> keras.optimizers.Optimizer:
    """Adam that warms up and cools down; `fit` ends with the average of the last weights."""
    warmup = min(20, steps // 10)
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, max(1, steps - warmup), warmup_target=rate, warmup_steps=warmup
    )
    return keras.optimizers.Adam(schedule, use_ema=True, ema_momentum=0.98)


def judge(when: str, estimator, dataset: KeypointDataset, margin: float | None) -> dict:
    """Prints how good the estimator is in annotated boxes and, given a margin, without boxes."""
    results = {f"{when}, boxes given": evaluation.evaluate_topdown(estimator, dataset)}
    if margin is not None:
        results[f"{when}, no boxes"] = judge_without_boxes(estimator, dataset, margin)
    for name, result in results.items():
        print(f"{name}: {result}", flush=True)
    return results


def judge_without_boxes(estimator, dataset: KeypointDataset, margin: float):
    """Mean distance of the keypoints that `find_alone` finds, in image pixels."""
    poses = find_alone(estimator, list(dataset.image_paths), margin)
    found = np.concatenate([pose.keypoints for pose in poses])
    error = evaluation.keypoint_error(found, dataset.keypoints, dataset.visible)
    protocol = evaluation.Protocol(
        dataset.name,
        images=len(set(dataset.image_paths)),
        people=len(dataset),
        boxes="none; the whole image, then twice the box of what was found",
        score="not used",
        box_padding=estimator.box_padding,
        measure="error in image pixels",
    )
    return evaluation.EvaluationResult({"error_px": error}, protocol)


def find_alone(estimator, images: list, margin: float, rounds: int = 2) -> list:
    """Poses of the only animal in each image: in the whole image, then in the box of that pose.

    Args:
        images: paths or arrays.
        margin: by how much of its longer side a pose's box is larger than the pose, on each side.
    """
    poses = estimator.predict_poses(images)
    for _ in range(rounds):
        boxes = [box_around(pose.keypoints, margin, pose.image_size) for pose in poses]
        poses = estimator.predict_poses(images, boxes)
    return poses


def box_around(keypoints: np.ndarray, margin: float, image_size) -> np.ndarray:
    """Boxes `(N, 4)` xyxy around keypoints `(N, K, 2)`, at least 2 pixels of the image wide."""
    last = np.array(image_size) - 1
    low, high = keypoints.min(axis=1), keypoints.max(axis=1)
    grow = margin * (high - low).max(axis=1, keepdims=True) + 1
    low, high = np.clip(low - grow, 0, last - 2), np.clip(high + grow, 2, last)
    return np.concatenate([low, high], axis=1)


def box_margin(dataset: KeypointDataset) -> float:
    """How far annotated boxes reach beyond their keypoints, in longer sides of the pose."""
    sides = (dataset.boxes[:, 2:] - dataset.boxes[:, :2]).max(axis=1)
    shown = dataset.visible[..., None] > 0
    low = np.where(shown, dataset.keypoints, np.inf).min(axis=1)
    high = np.where(shown, dataset.keypoints, -np.inf).max(axis=1)
    extents = np.maximum((high - low).max(axis=1), 1.0)
    return float(np.median((sides / extents - 1) / 2))


def with_whole_images(dataset: KeypointDataset) -> KeypointDataset:
    """Every object twice: in its own box, and with its whole image as the box."""
    sizes = dataset.image_sizes.astype("float32")
    fields = {
        name: np.concatenate([getattr(dataset, name)] * 2)
        for name in ("image_paths", "image_ids", "image_sizes", "keypoints", "visible")
    }
    boxes = np.concatenate([dataset.boxes, np.concatenate([0 * sizes, sizes], axis=1)])
    return KeypointDataset(dataset.skeleton, boxes=boxes, name=dataset.name, **fields)


if __name__ == "__main__":
    main()
