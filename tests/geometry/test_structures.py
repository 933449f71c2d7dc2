"""The reference's `structures`: boxes, affine maps, keypoints, and what its data containers do."""

import numpy as np
import pytest

from keras_pose import PoseResult, geometry
from keras_pose.datasets.transforms.bottomup import perspective_affine
from keras_pose.datasets.transforms.crop import Crops, flip
from keras_pose.datasets.transforms.lifting import flip_pose, root_x
from keras_pose.datasets.transforms.scene import clip_corners, corners_of, hide_outside
from keras_pose.skeleton import Skeleton

FILE = "structures/structures"
XYWH_FLIP = "the reference mirrors the left edge only, which is no xywh box; xyxy is compared"
LEFT_OUT = {
    f"{FILE}/flip_bbox_xywh_{direction}": XYWH_FLIP
    for direction in ("horizontal", "vertical", "diagonal")
}
# Facts of the reference's containers that have no counterpart: its samples carry targets and
# heatmaps through the network in objects of their own; here they are plain arrays in dicts.
NO_COUNTERPART = {
    "multilevel_pixel_data": "targets of several levels are a list of arrays, not a class",
    "pose_data_sample": "a batch is a dict of arrays, results are PoseResult",
    "revert_heatmap": "a single map is an array (H, W) or (H, W, 1); both work",
    "split_instances": "PoseResult.to_dict gives xyxy lists, not lists within tuples",
    "flip_keypoints_custom_center": "any number of poses is mirrored, see test_golden.py",
}


@pytest.fixture(scope="module")
def stored(golden):
    with np.load(golden / f"{FILE}.npz") as npz:
        return dict(npz)


def inputs(case, stored):
    pairs = (item.partition("=")[::2] for item in case["in"])
    return {name: stored[key or f"{case['id']}/in/{name}"] for name, key in pairs}


def box_columns(convert):
    """Boxes may have a fifth column, a score, which is no part of a box here."""

    def of(given, args):
        boxes = given["bbox"]
        return {"bbox": np.concatenate([convert(boxes[..., :4]), boxes[..., 4:]], -1)}

    return of


def to_center_scale(read):
    def of(given, args):
        center, scale = geometry.xyxy_to_center_scale(read(given["bbox"]), args["padding"])
        return {"center": center, "scale": scale}

    return of


def from_center_scale(write):
    def of(given, args):
        boxes = geometry.center_scale_to_xyxy(given["center"], given["scale"], args["padding"])
        return {"bbox": write(boxes)}

    return of


def same(boxes):
    return boxes


def clip_border(given, args):
    boxes = given["bbox"]
    if boxes.ndim == 3:  # corners
        return {"bbox": clip_corners(boxes, args["shape"])}
    return {"bbox": geometry.clip_boxes(boxes, args["shape"])}


def flip_box(given, args):
    boxes, mirror = given["bbox"], geometry.flip_affine(args["image_size"], args["direction"])
    if args["bbox_format"] == "center":
        return {"bbox": geometry.apply_affine(mirror, boxes)}
    corners = geometry.apply_affine(mirror, corners_of(boxes))
    return {"bbox": geometry.points_to_xyxy(corners)}


def overlaps(given, args):
    return {
        "overlaps": geometry.box_overlaps(
            given["bboxes1"], given["bboxes2"], args["mode"], args["is_aligned"]
        )
    }


def warp_matrix(given, args):
    size, scale, center = args["output_size"], given["scale"], given["center"]
    center = center + scale * args["shift"]
    if args["fix_aspect_ratio"]:
        scale = scale[:, :1] * [1, size[1] / size[0]]
    ours = geometry.center_scale_affine(center, scale, size, given["rot"])
    return {"matrix": ours if args["inv"] else geometry.invert_affine(ours)}


def udp_warp_matrix(given, args):
    ours = geometry.center_scale_affine(
        given["center"], given["scale"], args["output_size"], -given["rot"], udp=True
    )
    return {"matrix": geometry.invert_affine(ours)}


def perspective_matrix(given, args):
    rows = []
    for row, center in enumerate(np.broadcast_to(given["center"], given["translate"].shape)):
        size = 2 * center
        affine = perspective_affine(
            size,
            given["translate"][row] / size,
            given["scale"][row],
            -given["rot"][row],
            given["shear"][row],
        )
        rows.append(np.vstack([geometry.invert_affine(affine), [0, 0, 1]]))
    return {"matrix": np.array(rows)}


def flip_keypoints(given, args):
    """In 2D; a depth stays with its keypoint."""
    points, visible = given["keypoints"], given["keypoints_visible"]
    center = np.zeros((len(points), 2), np.float32)
    sizes = np.tile(args["image_size"], (len(points), 1))
    crops = Crops(points[..., :2], visible, center, center, sizes)
    flipped = flip(crops, args["flip_indices"], args["direction"])
    depth = points[..., 2:]
    if args["direction"] != "diagonal":
        depth = depth[:, args["flip_indices"]]
    keypoints = np.concatenate([flipped.keypoints, depth], -1)
    return {"keypoints": keypoints, "keypoints_visible": flipped.visible}


def flip_keypoints_about(given, args):
    poses, axis_x = given["keypoints"], args.get("center_x")
    if args["center_mode"] == "root":
        axis_x = root_x(poses, args["center_index"])
    keypoints, visible = flip_pose(poses, given["keypoints_visible"], args["flip_indices"], axis_x)
    return {"keypoints": keypoints, "keypoints_visible": visible}


def clip_keypoints(given, args):
    points = given["keypoints"]
    visible = hide_outside(given["keypoints_visible"], points[..., :2], args["shape"])
    return {"keypoints": points, "keypoints_visible": visible}


def put_back(maps, center, scale, height, width):
    """Heatmaps (h, w, K) or (h, w) of a crop at their place in the image.

    The reference looks at the crop's width only and lets the maps' shape decide on its height.
    """
    size = maps.shape[1::-1]
    scale = scale[0] * np.array([1, size[1] / size[0]])
    affine = geometry.center_scale_affine(center, scale, size)
    return geometry.warp(maps, geometry.invert_affine(affine), (width, height))


def revert_heatmap(given, args):
    maps = given["heatmap"]
    channels_last = maps if maps.ndim == 2 else maps.transpose(1, 2, 0)
    back = put_back(channels_last, given["input_center"], given["input_scale"], *args["img_shape"])
    return {"heatmap": back if maps.ndim == 2 else back.transpose(2, 0, 1)}


def merge(given, args):
    """Results of one image are joined; their heatmaps meet in the largest value."""
    skeleton = Skeleton("any", [f"p{i}" for i in range(given["pred_keypoints0"].shape[1])])
    joined = PoseResult.concatenate(
        PoseResult(
            given[f"pred_keypoints{i}"],
            given[f"pred_keypoint_scores{i}"],
            skeleton,
            boxes=given[f"pred_bboxes{i}"],
            box_scores=given[f"pred_bbox_scores{i}"],
        )
        for i in range(3)
    )
    maps = [
        put_back(
            given[f"heatmaps{i}"].transpose(1, 2, 0),
            args["input_center"][i],
            args["input_scale"],
            *args["ori_shape"],
        ).transpose(2, 0, 1)
        for i in range(3)
    ]
    return {
        "pred_keypoints": joined.keypoints,
        "pred_keypoint_scores": joined.scores,
        "pred_bboxes": joined.boxes,
        "gt_bboxes": np.concatenate([given[f"gt_bboxes{i}"] for i in range(3)]),
        "heatmaps": np.max(maps, axis=0),
    }


FUNCTIONS = {
    "bbox_xyxy2xywh": box_columns(geometry.xyxy_to_xywh),
    "bbox_xywh2xyxy": box_columns(geometry.xywh_to_xyxy),
    "bbox_xyxy2cs": to_center_scale(same),
    "bbox_xywh2cs": to_center_scale(geometry.xywh_to_xyxy),
    "bbox_cs2xyxy": from_center_scale(same),
    "bbox_cs2xywh": from_center_scale(geometry.xyxy_to_xywh),
    "bbox_xyxy2corner": lambda given, args: {"bbox": corners_of(given["bbox"])},
    "bbox_corner2xyxy": lambda given, args: {
        "bbox": geometry.points_to_xyxy(given["bbox"].reshape(*given["bbox"].shape[:-2], -1, 2))
        if given["bbox"].shape[-1] == 2
        else geometry.points_to_xyxy(given["bbox"].reshape(*given["bbox"].shape[:-1], 4, 2))
    },
    "bbox_clip_border": clip_border,
    "flip_bbox": flip_box,
    "bbox_overlaps": overlaps,
    "get_warp_matrix": warp_matrix,
    "get_udp_warp_matrix": udp_warp_matrix,
    "get_pers_warp_matrix": perspective_matrix,
    "flip_keypoints": flip_keypoints,
    "flip_keypoints_custom_center": flip_keypoints_about,
    "keypoint_clip_border": clip_keypoints,
    "revert_heatmap": revert_heatmap,
    "merge_data_samples": merge,
}
# Absolute tolerance; a continuous warp differs from one in steps of 1/32 pixel.
TOLERANCES = {
    "bbox_overlaps": 1e-6,
    "get_warp_matrix": 5e-3,
    "get_udp_warp_matrix": 1e-4,
    "get_pers_warp_matrix": 1e-4,
    "revert_heatmap": 1.3e-2,
    "merge_data_samples": 1.3e-2,
}


@pytest.mark.cases(FILE)
def test_equals_reference(case, stored):
    if case["fn"] == "split_instances":
        split_instances(case, inputs(case, stored))
        return
    ours = FUNCTIONS[case["fn"]](inputs(case, stored), case.get("args", {}))
    for name in case["out"]:
        expected = stored[f"{case['id']}/out/{name}"]
        assert ours[name].shape == expected.shape
        atol = TOLERANCES.get(case["fn"], 1e-4)
        np.testing.assert_allclose(ours[name], expected, atol=atol, rtol=1e-6)
    if case["fn"] == "get_warp_matrix":
        np.testing.assert_allclose(ours["matrix"][..., :2], expected[..., :2], atol=1e-4)


def split_instances(case, given):
    """A list of poses, as JSON holds it."""
    skeleton = Skeleton("any", [f"p{i}" for i in range(given["keypoints"].shape[1])])
    poses = PoseResult(
        given["keypoints"],
        given["keypoint_scores"],
        skeleton,
        boxes=given["bboxes"],
        box_scores=given["bbox_scores"],
    ).to_dict()["poses"]
    names = {
        "keypoints": "keypoints",
        "keypoint_scores": "scores",
        "bbox": "box",
        "bbox_score": "box_score",
    }
    for pose, expected in zip(poses, case["expect"], strict=True):
        for theirs, ours in names.items():
            value = expected[theirs][0] if theirs == "bbox" else expected[theirs]
            np.testing.assert_allclose(pose[ours], value, rtol=1e-6, atol=1e-6)


def test_every_fact_of_the_containers_is_accounted_for(golden):
    import json

    facts = json.loads((golden / f"{FILE}.json").read_text("utf-8"))["facts"]
    assert set(facts) == set(NO_COUNTERPART)


def test_any_number_of_poses_is_mirrored_about_its_root():
    poses = np.random.default_rng(0).uniform(0, 1, (4, 17, 2))
    visible, flips = np.ones((4, 17)), Skeleton.load("coco").flip_indices
    together, _ = flip_pose(poses, visible, flips, root_x(poses, [11, 12]))
    for pose, ours in zip(poses, together, strict=True):
        alone, _ = flip_pose(pose, visible[0], flips, root_x(pose, [11, 12]))
        np.testing.assert_array_equal(ours, alone)
        np.testing.assert_allclose(ours[[11, 12], 0].mean(), pose[[11, 12], 0].mean())
