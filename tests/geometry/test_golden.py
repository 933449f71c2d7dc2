"""Every array of the reference's boxes, keypoints, affine maps, warps and crops put back."""

import numpy as np
import pytest

from keras_pose import geometry
from keras_pose.datasets.transforms.bottomup import perspective_affine
from keras_pose.datasets.transforms.crop import Crops, flip
from keras_pose.datasets.transforms.lifting import flip_pose, root_x
from keras_pose.datasets.transforms.scene import clip_corners, corners_of, hide_outside

pytestmark = pytest.mark.parity
SIZE = (640, 480)
DIRECTIONS = ("horizontal", "vertical", "diagonal")
PADDINGS = (1.0, 1.25, 0.8, 1.5)
XYWH_FLIP = "the reference mirrors the left edge only, which is no xywh box; xyxy is compared"
LEFT_OUT = {f"geometry/bbox/flip_xywh_{direction}_640x480": XYWH_FLIP for direction in DIRECTIONS}


def boxes():
    """What each stored array of boxes is, as a function of the stored inputs."""

    def of_xywh(given):
        return geometry.xywh_to_xyxy(given["xywh"])

    def back(given, padding):
        stored = [given[f"xyxy2cs_p{padding}_{part}"] for part in ("center", "scale")]
        return geometry.center_scale_to_xyxy(*stored, padding)

    def aspect(size):
        return lambda given: geometry.match_aspect(given["xyxy2cs_p1.0_scale"], size)

    def moved(points, direction):
        return geometry.apply_affine(geometry.flip_affine(SIZE, direction), points)

    yield "xyxy2xywh", lambda given: geometry.xyxy_to_xywh(given["xyxy"])
    yield "xywh2xyxy", of_xywh
    yield "xyxy2corner", lambda given: corners_of(given["xyxy"])
    yield "corner2xyxy", lambda given: geometry.points_to_xyxy(given["corner"])
    yield "clip_640x480", lambda given: geometry.clip_boxes(given["xyxy"], SIZE)
    yield "clip_corner_640x480", lambda given: clip_corners(given["corner"], SIZE)
    for p in PADDINGS:
        for part in (0, 1):
            end = f"2cs_p{p}_{('center', 'scale')[part]}"

            def read_xyxy(given, p=p, part=part):
                return geometry.xyxy_to_center_scale(given["xyxy"], p)[part]

            def read_xywh(given, p=p, part=part):
                return geometry.xyxy_to_center_scale(of_xywh(given), p)[part]

            yield "xyxy" + end, read_xyxy
            yield "xywh" + end, read_xywh
        yield f"cs2xyxy_p{p}", lambda given, p=p: back(given, p)
        yield f"cs2xywh_p{p}", lambda given, p=p: geometry.xyxy_to_xywh(back(given, p))
    for d in DIRECTIONS:
        yield f"flip_xywh_{d}_640x480", None
        yield f"flip_xyxy_{d}_640x480", lambda given, d=d: flip_boxes(given["xyxy"], SIZE, d)
        yield (
            f"flip_center_{d}_640x480",
            lambda given, d=d: moved(given["xyxy"][:, :2], d),  # what the reference was given
        )
        if d != "diagonal":
            yield f"flip_corner_{d}_640x480", lambda given, d=d: moved(given["corner"], d)
    for w, h in ((192, 256), (288, 384), (256, 256), (384, 288)):
        yield f"fix_aspect_{w}x{h}", aspect((w, h))
    for kind in ("iou", "iof", "giou"):
        for infix, aligned in (("", False), ("aligned_", True)):
            yield (
                f"overlaps_{infix}{kind}",
                lambda given, kind=kind, aligned=aligned: geometry.box_overlaps(
                    given["xyxy"], given["iou_b"], kind, aligned
                ),
            )


def flip_boxes(boxes, size, direction):
    corners = corners_of(boxes)
    return geometry.points_to_xyxy(
        geometry.apply_affine(geometry.flip_affine(size, direction), corners)
    )


def keypoints():
    """What the stored keypoints and visibilities are."""

    def flipped(given, visible, direction):
        count = len(given["keypoints"])
        center = np.zeros((count, 2), np.float32)
        sizes = np.tile(SIZE, (count, 1))
        crops = Crops(given["keypoints"], given[visible], center, center, sizes)
        return flip(crops, given["flip_indices"], direction)

    def about(given, axis_x, cut):
        poses, visible = given["keypoints_3d"][cut], given["visible_3d"][cut]
        axis_x = axis_x if isinstance(axis_x, float) else root_x(poses, axis_x)
        return flip_pose(poses, visible, given["flip_indices_h36m"], axis_x)

    def hidden(given, visible):
        return hide_outside(given[visible], given["keypoints"], SIZE)

    for d in DIRECTIONS:
        yield f"flip_{d}_keypoints", lambda given, d=d: flipped(given, "visible", d).keypoints
        yield f"flip_{d}_visible", lambda given, d=d: flipped(given, "visible", d).visible
    yield (
        "flip_horizontal_weights_visible",
        lambda given: flipped(given, "visible_weights", "horizontal").visible,
    )
    yield "clip_keypoints", lambda given: given["keypoints"]  # clipping moves nothing
    yield "clip_visible", lambda given: hidden(given, "visible")
    yield "clip_visible_weights", lambda given: hidden(given, "visible_weights")
    one_pose = np.s_[0, :1]
    for name, axis_x, cut in (
        ("static05", 0.5, np.s_[:]),
        ("static0", 0.0, np.s_[:]),
        ("root0", [0], one_pose),
        ("root_4_1", [4, 1], one_pose),
    ):
        for part, which in (("keypoints", 0), ("visible", 1)):
            yield (
                f"flip_custom_{name}_{part}",
                lambda given, axis_x=axis_x, cut=cut, which=which: about(given, axis_x, cut)[which],
            )


@pytest.fixture(scope="module")
def arrays(golden):
    return {
        name: dict(np.load(golden / f"geometry/{name}.npz"))
        for name in ("bbox", "image_warp", "keypoints", "revert", "warp_matrix")
    }


ROWS = [("bbox", *row) for row in boxes()] + [("keypoints", *row) for row in keypoints()]


@pytest.mark.parametrize(
    ("file", "name", "ours"), ROWS, ids=[f"geometry/{file}/{name}" for file, name, _ in ROWS]
)
def test_boxes_and_keypoints(arrays, file, name, ours):
    if (reason := LEFT_OUT.get(f"geometry/{file}/{name}")) is not None:
        pytest.skip(reason)
    given = arrays[file]
    np.testing.assert_allclose(ours(given), given[name], atol=1e-4)


def test_mirrored_xywh_boxes_are_boxes():
    xywh = np.array([[10.0, 20, 100, 50]])
    flipped = flip_boxes(geometry.xywh_to_xyxy(xywh), SIZE, "horizontal")
    np.testing.assert_array_equal(geometry.xyxy_to_xywh(flipped), [[529, 20, 100, 50]])


@pytest.mark.parametrize("file", ["bbox", "keypoints", "warp_matrix"])
def test_no_array_is_forgotten(arrays, file):
    inputs = {
        "bbox": {"xyxy", "xywh", "corner", "iou_b"},
        "keypoints": {"keypoints", "visible", "visible_weights", "flip_indices"}
        | {"flip_indices_h36m", "keypoints_3d", "visible_3d"},
        "warp_matrix": {"center", "scale", "rot", "output_size", "shift", "inv"}
        | {"fix_aspect_ratio", "points"}
        | {f"pers_{name}" for name in ("center", "translate", "scale", "rot", "shear")},
    }
    compared = {row[1] for row in ROWS if row[0] == file} | set(MAPS if "warp" in file else ())
    assert compared | inputs[file] == set(arrays[file])


def map_of_row(rows, row, udp=False):
    """Our input -> image map of a golden row; the reference's plain maps take only the width."""
    center, scale = rows["center"][row].astype(np.float64), rows["scale"][row].astype(np.float64)
    size = tuple(rows["output_size"][row])
    rotation = rows["rot"][row]
    if udp:  # the reference turns the other way here
        return geometry.center_scale_affine(center, scale, size, -rotation, udp=True)
    if rows["fix_aspect_ratio"][row]:
        scale = np.array([scale[0], scale[0] * size[1] / size[0]])
    # the reference shifts by a fraction of the scale as given, before it fixes the aspect
    center = center + rows["scale"][row] * rows["shift"][row]
    return geometry.center_scale_affine(center, scale, size, rotation)


def plain_maps(rows):
    for row, inverse in enumerate(rows["inv"]):
        ours = map_of_row(rows, row)
        yield ours if inverse else geometry.invert_affine(ours)


def udp_maps(rows):
    for row in range(len(rows["rot"])):
        yield geometry.invert_affine(map_of_row(rows, row, udp=True))


def perspective_maps(rows):
    for center, translate, scale, rotation, shear in zip(
        *(rows[f"pers_{name}"] for name in ("center", "translate", "scale", "rot", "shear")),
        strict=True,
    ):
        size = 2 * center
        ours = perspective_affine(size, translate / size, scale, -rotation, shear)
        yield geometry.invert_affine(ours)


# Array of matrices or points -> our maps, and the array of points where it is one.
MAPS = {
    "warp": (plain_maps, None),
    "warp_float64": (plain_maps, None),
    "warp_udp": (udp_maps, None),
    "points_warp": (plain_maps, "points"),
    "points_warp_udp": (udp_maps, "points"),
    "pers_warp": (perspective_maps, None),
    "points_pers": (perspective_maps, "points"),
}


@pytest.mark.parametrize("name", MAPS, ids=lambda name: f"geometry/warp_matrix/{name}")
def test_affine_maps(arrays, name):
    rows = arrays["warp_matrix"]
    maps, points = MAPS[name]
    for row, (ours, expected) in enumerate(zip(maps(rows), rows[name], strict=True)):
        if points is None:
            np.testing.assert_allclose(ours[:, :2], expected[:2, :2], atol=1e-4)
            np.testing.assert_allclose(ours[:, 2], expected[:2, 2], rtol=1e-3, atol=0.05)
        else:
            moved = geometry.apply_affine(ours, rows[points][row])
            # where a small box is magnified, the reference's own rounding costs up to 0.05
            magnified = np.abs(ours[:, :2]).max() > 5
            atol = 0.06 if magnified else 1e-2
            np.testing.assert_allclose(moved, expected, atol=atol, rtol=1e-5)


@pytest.mark.cases("geometry/image_warp")
def test_warps(case, arrays, goldens):
    """OpenCV does the work in both: up to the matrix, which is ours where centre and scale are."""
    import cv2

    given, name = arrays["image_warp"], case["id"]
    image, size = given[case["img"]], tuple(case["size_wh"])
    if case["op"] == "resize_bilinear":
        ours = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)
    else:
        if "center" in case:
            rotation = case["rot"] * (-1 if case["udp"] else 1)
            affine = geometry.center_scale_affine(
                case["center"], case["scale"], size, rotation, case["udp"]
            )
        else:  # a "perspective" matrix, whose last row is 0 0 1
            affine = geometry.invert_affine(given[f"{name}_mat"][:2].astype(np.float64))
        ours = geometry.warp(image, affine, size, case["border"])
    expected = given[f"{name}_out"].astype(int)
    if f"{name}_out__shape" in given:
        assert ours.shape == tuple(given[f"{name}_out__shape"])
        ours = ours.reshape(-1)[goldens.sample_indices(ours.size)]
    difference = np.abs(ours - expected)
    assert difference.mean() <= 0.4 and difference.max() <= 8


@pytest.mark.cases("geometry/revert")
def test_crops_are_put_back(case, arrays, goldens):
    """Keypoints and heatmaps of a crop at their place in the image."""
    given = {
        key.removeprefix(case["id"] + "_"): value
        for key, value in arrays["revert"].items()
        if key.startswith(case["id"] + "_")
    }
    points = geometry.apply_affine(
        geometry.center_scale_affine(given["center"], given["scale"], case["input_size_wh"]),
        given["coords_in"],
    )
    np.testing.assert_allclose(points, given["coords_image"], atol=1e-3)
    maps = given["heatmaps"].transpose(1, 2, 0)
    height, width = case["img_shape_hw"]
    affine = geometry.center_scale_affine(given["center"], given["scale"], maps.shape[1::-1])
    ours = geometry.warp(maps, geometry.invert_affine(affine), (width, height)).transpose(2, 0, 1)
    difference = goldens.compare(given, "image_heatmaps", ours)
    assert difference["max_abs"] <= 1.5e-2
