import json

import keras
import numpy as np
import pytest

from keras_pose.datasets.batch_resize import RandomBatchSize, pad_images, resize_batch
from keras_pose.layers.normalization import PixelNormalization


@pytest.mark.cases("transforms/preprocessor")
def test_equals_reference(case, golden, goldens):
    """Ours normalises RGB; the reference's images are BGR and stored with channels first."""
    arrays = np.load(golden / "transforms/preprocessor.npz")
    if case["id"] == "resize":
        check_resize(case, arrays, goldens)
        return
    args = case["args"]
    images = {"a": arrays["a"], "b": arrays["b"], "a flipped up-down": arrays["a"][::-1]}
    swap = args.get("bgr_to_rgb", False)
    normalise = PixelNormalization(args["mean"], args["std"], channels="rgb" if swap else "bgr")
    ready = [
        keras.ops.convert_to_numpy(normalise(np.ascontiguousarray(images[name][None, ..., ::-1])))[
            0
        ]
        for name in case["images"]
    ]
    batch = pad_images(ready, args.get("pad_size_divisor", 1), args.get("pad_value", 0))
    batch = batch.transpose(0, 3, 1, 2)
    assert list(batch.shape) == case["out_shape"]
    assert goldens.compare(arrays, f"{case['id']}.out", batch)["max_abs"] <= 1e-4


def check_resize(case, arrays, goldens):
    labels = {
        ours: np.stack([arrays[f"resize.in.{i}.{theirs}"] for i in range(2)])
        for ours, theirs in (("boxes", "bboxes"), ("keypoints", "keypoints"), ("areas", "areas"))
    }
    height, width = case["target_hw"]
    images, changed = resize_batch(
        arrays["resize.in"].transpose(0, 2, 3, 1), labels, (width, height)
    )
    assert goldens.compare(arrays, "resize.out", images.transpose(0, 3, 1, 2))["max_abs"] <= 1e-4
    for ours, theirs in (("boxes", "bboxes"), ("keypoints", "keypoints"), ("areas", "areas")):
        for i in range(2):
            expected = arrays[f"resize.out.{i}.{theirs}"]
            np.testing.assert_allclose(changed[ours][i], expected, rtol=1e-5, atol=1e-3)


@pytest.mark.parity
def test_sizes_are_drawn_like_the_reference(golden):
    facts = json.loads((golden / "transforms/preprocessor.json").read_text("utf-8"))["facts"]
    counts = facts["batch_sync_random_resize"]["size_counts_480_800"]
    total, step = sum(counts.values()), RandomBatchSize(interval=1)
    sizes = [step.size(i + 1, (640, 640)) for i in range(total)]
    assert {str(size) for size in sizes} == set(counts)
    for size, count in counts.items():
        ours = sum(str(drawn) == size for drawn in sizes)
        assert abs(ours - count) <= 4 * np.sqrt(2 * total / len(counts))


def test_size_changes_every_few_batches():
    step = RandomBatchSize(interval=3)
    sizes = [step.size(i, (640, 480), seed=1) for i in range(30)]
    assert sizes[:3] == [(640, 480)] * 3
    assert all(len(set(sizes[i : i + 3])) == 1 for i in range(0, 30, 3))
    assert len(set(sizes)) > 3 and all(w % 32 == 0 and h % 32 == 0 for w, h in sizes)
    assert sizes == [step.size(i, (640, 480), seed=1) for i in range(30)]


def test_affine_still_leads_to_the_image():
    images = np.zeros((1, 20, 40, 3), np.uint8)
    labels = {
        "keypoints": np.full((1, 1, 2, 2), 10, np.float32),
        "affine": np.array([[[2, 0, 5], [0, 2, 7]]], np.float32),
        "masks": np.eye(5, 10, dtype=np.uint8)[None],
        "ids": np.array([3]),
    }
    bigger, changed = resize_batch(images, labels, (80, 60))
    assert bigger.shape == (1, 60, 80, 3) and changed["masks"].shape == (1, 15, 20)
    matrix, point = changed["affine"][0], changed["keypoints"][0, 0, 0]
    np.testing.assert_allclose(matrix[:, :2] @ point + matrix[:, 2], [25, 27])
    assert changed["ids"] is labels["ids"] and labels["keypoints"].max() == 10


@pytest.mark.parametrize(
    "arguments", [{"smallest": 470}, {"smallest": 800, "largest": 640}, {"interval": 0}]
)
def test_bad_sizes_are_refused(arguments):
    with pytest.raises(ValueError, match="smallest"):
        RandomBatchSize(**arguments)
