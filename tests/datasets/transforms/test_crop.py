import json
from pathlib import Path

import numpy as np
import pytest

from keras_pose.datasets import RandomHalfBody, RandomJitter
from keras_pose.datasets.transforms.crop import (
    Crops,
    crops_of_boxes,
    flip,
    half_body,
    jitter,
    to_input,
)
from keras_pose.geometry import apply_affine, match_aspect, warp
from keras_pose.skeleton import Skeleton

COCO = Skeleton.load("coco")
_WRONG_SIDE = (
    "the reference reads (w, h) of the input as (h, w) and mirrors the labels about the wrong "
    "side; test_mirrored_labels_stay_on_their_pixels has what is right"
)
LEFT_OUT = {
    "transforms/flip/flip5": _WRONG_SIDE,
    "transforms/flip/flip13": _WRONG_SIDE,
}


def crops_around(given, rotation=0.0):
    """Crops of the rectangles and keypoints of a case."""
    boxes = np.asarray(given["bbox"]).reshape(len(given["bbox"]), -1, 2)
    center = given.get("bbox_center", boxes.mean(axis=1))
    scale = given.get("bbox_scale", np.ones_like(center))
    points = given.get("keypoints", np.zeros((len(center), 1, 2), np.float32))[..., :2]
    visible = given.get("keypoints_visible", np.ones(points.shape[:2], np.float32))
    sizes = np.tile(given.get("img_shape", (9, 9))[1::-1], (len(center), 1))
    return Crops(points, visible, center, scale, sizes, rotation)


@pytest.mark.cases("transforms/center_scale")
def test_crops_of_boxes_equal_reference(case, resolve):
    given, expected = resolve(case, case["input"]), resolve(case, case["output"])
    padding = case["args"]["padding"]
    boxes = given["bbox"]
    if "bbox_center" in given:  # rectangles of their own come as boxes
        half = given["bbox_scale"] / 2
        boxes = np.hstack([given["bbox_center"] - half, given["bbox_center"] + half])
    crops = crops_of_boxes(boxes, None, None, None, padding)
    np.testing.assert_allclose(crops.center, expected["bbox_center"], atol=1e-3)
    np.testing.assert_allclose(crops.scale, expected["bbox_scale"], atol=1e-3)


@pytest.mark.cases("transforms/flip")
def test_flip_equals_reference(case, resolve):
    given, expected = resolve(case, case["input"]), resolve(case, case["output"])
    direction = case["drawn"]["direction"]
    crops = crops_around(given)
    flipped = flip(
        crops,
        np.array(given["flip_indices"]),
        direction or "horizontal",
        np.full(len(crops), bool(direction)),
    )
    fields = {"keypoints": flipped.keypoints, "keypoints_visible": flipped.visible}
    if "bbox_center" in given:
        fields |= {"bbox_center": flipped.center, "bbox_scale": flipped.scale}
    for name, ours in fields.items():
        np.testing.assert_allclose(ours, expected[name], atol=1e-3, err_msg=name)
    if direction is None:
        assert flipped is crops
        return
    for name in ("img", "img_mask"):
        if name in expected:
            mirrored = warp(given[name], flipped.mirror[0], given["img_shape"][::-1])
            np.testing.assert_array_equal(mirrored, expected[name])


@pytest.mark.parametrize("direction", ["horizontal", "vertical", "diagonal"])
def test_mirrored_labels_stay_on_their_pixels(direction):
    image = np.zeros((30, 50), np.uint8)
    image[4, 7] = 255
    point = np.array([[[7, 4]]], np.float32)
    crops = crops_of_boxes(np.array([[0, 0, 9, 9]]), point, np.ones((1, 1)), np.array([[50, 30]]))
    flipped = flip(crops, np.array([0]), direction)
    mirrored = warp(image, flipped.mirror[0], (50, 30))
    x, y = flipped.keypoints[0, 0].astype(int)
    assert mirrored[y, x] == 255


def _half_body_rows():
    folder = Path(__file__).parents[4] / "shared/golden/transforms"
    if not folder.is_dir():
        missing = pytest.mark.skip(reason="golden/transforms is not beside this checkout")
        return [pytest.param(None, id="transforms/half_body", marks=missing)]
    count = len(np.load(folder / "half_body.npz")["half.mode"])
    return [
        pytest.param(row, id=f"transforms/half_body/{row}", marks=pytest.mark.parity)
        for row in range(count)
    ]


@pytest.fixture(scope="module")
def half_bodies(golden):
    """Arrays of the reference, what we choose with its draws, and our crops."""
    rows = np.load(golden / "transforms" / "half_body.npz")
    rows = {name.removeprefix("half."): rows[name] for name in rows.files}
    facts = json.loads((golden / "transforms" / "half_body.json").read_text())["facts"]["half_body"]
    upper, lower = np.array(facts["upper_body_ids"]), np.array(facts["lower_body_ids"])
    sizes = np.full_like(rows["center"], 640)
    ours = RandomHalfBody()
    chosen = ours.chosen(rows["visible"], rows["uniform"], upper, lower)
    crops = Crops(rows["keypoints"], rows["visible"], rows["center"], rows["scale"], sizes)
    crops = half_body(crops, chosen, ours.padding)
    mode = np.where(chosen[:, upper].any(-1), 1, np.where(chosen[:, lower].any(-1), 2, 0))
    return rows, mode, crops


@pytest.mark.parametrize("row", _half_body_rows())
def test_half_body_equals_reference(half_bodies, row):
    expected, mode, crops = half_bodies
    assert mode[row] == expected["mode"][row]
    np.testing.assert_allclose(crops.center[row], expected["out_center"][row], atol=1e-3)
    np.testing.assert_allclose(crops.scale[row], expected["out_scale"][row], atol=1e-3)


def test_half_body_of_one_spot_stays_whole():
    whole = np.arange(2, dtype=np.float32)[:, None].repeat(2, axis=1)
    crops = Crops(np.ones((2, 17, 2)), np.ones((2, 17)), whole, whole + 1, whole)
    same = half_body(crops, np.arange(17) < np.array([[5], [0]]))
    np.testing.assert_array_equal(same.center, whole)
    np.testing.assert_array_equal(same.scale, whole + 1)


@pytest.mark.cases("transforms/bbox_transform")
def test_jitter_equals_reference(case, resolve):
    drawn = resolve(case, case["drawn"])
    given, expected = resolve(case, case["input"]), resolve(case, case["output"])
    ours = RandomJitter(**case["args"])
    count = len(given["bbox_center"])
    uniform = [drawn[key].reshape(count, -1)[:, 0] for key in ("u_shift", "u_scale", "u_rotate")]
    offset, scale, rotation = ours.amounts(drawn["truncnorm"], np.stack(uniform, axis=-1))
    np.testing.assert_allclose(offset, drawn["offset"], atol=1e-6)
    np.testing.assert_allclose(scale, drawn["scale"].reshape(count), atol=1e-6)
    np.testing.assert_allclose(rotation, drawn["rotate"].reshape(count), atol=1e-4)
    crops = jitter(crops_around({"bbox": np.zeros((count, 4)), **given}), offset, scale, rotation)
    np.testing.assert_allclose(crops.center, expected["bbox_center"], atol=1e-3)
    np.testing.assert_allclose(crops.scale, expected["bbox_scale"], atol=1e-3)
    np.testing.assert_allclose(crops.rotation, expected["bbox_rotation"], atol=1e-4)


@pytest.mark.cases("transforms/topdown_affine")
def test_warp_and_keypoints_equal_reference(case, resolve):
    given, expected = resolve(case, case["input"]), resolve(case, case["output"])
    size, udp = tuple(case["args"]["input_size"]), case["args"]["use_udp"]
    rotation = given.get("bbox_rotation", np.zeros(1))
    crops = crops_around(given, -rotation if udp else rotation)
    affine, keypoints = to_input(crops, size, udp)
    if "keypoints" in given:
        theirs = expected["transformed_keypoints"]
        np.testing.assert_allclose(keypoints, theirs[..., :2], atol=1e-2)
    scale = match_aspect(crops.scale, size)
    np.testing.assert_allclose(scale, expected["bbox_scale"], atol=1e-3)
    images, outputs = given["img"], expected["img"]
    if not isinstance(images, list):
        images, outputs = [images], [outputs]
    for image, output in zip(images, outputs, strict=True):
        assert_same_pixels(warp(image, affine[0], size), output)


def assert_same_pixels(image, expected):
    """Within what different versions of OpenCV differ; `expected` may be sampled."""
    pixels = image.astype(int).reshape(-1)
    if expected.ndim == 1:
        pixels = pixels[sample_indices(pixels.size)]
    difference = np.abs(pixels - expected.reshape(-1))
    assert difference.mean() <= 0.4 and difference.max() <= 8


def sample_indices(size, n=2048):
    """Where golden arrays are sampled (as the golden files document)."""
    return (
        np.arange(size)
        if size <= n
        else np.sort(np.random.default_rng(size).choice(size, n, replace=False))
    )


def test_mirrored_crops_map_their_keypoints_back():
    rng = np.random.default_rng(0)
    points = rng.uniform(0, 90, (2, 17, 2)).astype(np.float32)
    boxes, sizes = np.tile([[10.0, 5, 60, 85]], (2, 1)), np.array([[100, 90]] * 2)
    crops = crops_of_boxes(boxes, points, np.ones((2, 17)), sizes)
    crops = flip(crops, COCO.flip_indices, which=np.array([True, False]))
    crops = jitter(crops, np.array([[0.1, -0.1]] * 2), np.full(2, 1.2), np.full(2, 25))
    affine, keypoints = to_input(crops, (48, 64))
    back = apply_affine(affine, keypoints)
    np.testing.assert_allclose(back[0], points[0, COCO.flip_indices], atol=1e-3)
    np.testing.assert_allclose(back[1], points[1], atol=1e-3)
    assert (np.linalg.det(affine[:, :, :2]) < 0).tolist() == [True, False]


def test_a_crop_is_the_same_in_every_company():
    rng = np.random.default_rng(0)
    points = rng.uniform(0, 90, (5, 17, 2)).astype(np.float32)
    boxes = rng.uniform(0, 40, (5, 4)).astype(np.float32) + np.float32([0, 0, 50, 50])
    sizes, amounts = np.array([[100, 90]] * 5), rng.uniform(-1, 1, (5, 4))
    which, chosen = rng.random(5) < 0.5, rng.random((5, 17)) < 0.3

    def make(rows):
        crops = crops_of_boxes(boxes[rows], points[rows], np.ones((5, 17))[rows], sizes[rows])
        crops = half_body(flip(crops, COCO.flip_indices, which=which[rows]), chosen[rows])
        crops = jitter(crops, amounts[rows, :2], amounts[rows, 2], amounts[rows, 3])
        return to_input(crops, (48, 64))

    affine, keypoints = make(np.arange(5))
    for row in range(5):
        one, alone = make(np.array([row]))
        np.testing.assert_array_equal(one[0], affine[row])
        np.testing.assert_array_equal(alone[0], keypoints[row])
