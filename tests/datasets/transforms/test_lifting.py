import json

import numpy as np
import pytest

from keras_pose.datasets.transforms.draws import Draws
from keras_pose.datasets.transforms.lifting import RandomPoseFlip, flip_pose, root_x
from keras_pose.geometry import Camera
from keras_pose.skeleton import Skeleton

FILE = "transforms/flip_around_root"
CASES = [f"root{i}" for i in range(10)]
KEYPOINTS = [f"flip_custom_{name}" for name in ("static05", "static0", "root0", "root_4_1")]
STRUCTURES = [
    f"flip_center_{dims}_{how}"
    for dims in (2, 3)
    for how in ("static_0.5", "static_0.0", "static_-0.3", "root_0", "root_m", "root_T1")
]


@pytest.fixture(scope="module")
def cases(golden):
    with np.load(golden / f"{FILE}.npz") as npz:
        arrays = dict(npz)

    def value(entry):
        return arrays[entry[1:]] if isinstance(entry, str) and entry[:1] == "@" else entry

    rows = json.loads((golden / f"{FILE}.json").read_text())["cases"]
    for row in rows:
        for side in ("input", "output"):
            row[side] = {key: value(entry) for key, entry in row[side].items()}
    return {row["id"]: row for row in rows}


def _axis(keypoints, center_mode="static", center_x=0.5, center_index=0):
    return root_x(keypoints, center_index) if center_mode == "root" else center_x


@pytest.mark.parity
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{FILE}/{case}")
def test_equals_the_reference(cases, case):
    """All but the camera, whose tangential distortion the reference mirrors wrongly."""
    row = cases[case]
    given, wanted, args = row["input"], row["output"], row["args"]
    # with flip_label, the labels are mirrored and the raw poses are left alone
    raw = {"keypoints": "keypoints_visible", "lifting_target": "lifting_target_visible"}
    labels = {
        "keypoint_labels": "keypoint_labels_visible",
        "lifting_target_label": "lifting_target_visible",
    }
    poses, still = (labels, raw) if args.get("flip_label") else (raw, {})
    for name in still:
        np.testing.assert_array_equal(given[name], wanted[name])
    for name, shown in poses.items():
        points, visible = given[name], given[shown]
        config = args["target_flip_cfg" if "target" in name else "keypoints_flip_cfg"]
        if row["drawn"]["flip"]:
            axis = _axis(points, **config)
            points, visible = flip_pose(points, visible, given["flip_indices"], axis)
        np.testing.assert_allclose(points, wanted[name], atol=1e-4, err_msg=name)
        np.testing.assert_array_equal(visible, wanted[shown], err_msg=shown)


@pytest.mark.parity
@pytest.mark.parametrize("case", ["root2", "root6"], ids=lambda case: f"{FILE}/{case}/camera")
def test_the_camera_is_mirrored_with_the_picture(cases, case):
    """Where the reference negates p1, p2 is the one that goes with x."""
    given, wanted = (
        Camera.from_dict(cases[case][side]["camera_param"]) for side in ("input", "output")
    )
    mirrored = given.mirrored(0.0)
    np.testing.assert_allclose(mirrored.center, wanted.center)
    np.testing.assert_allclose(mirrored.tangential, given.tangential * [1, -1])
    np.testing.assert_allclose(wanted.tangential, given.tangential * [-1, 1])


@pytest.mark.parity
@pytest.mark.parametrize("case", KEYPOINTS, ids=lambda case: f"geometry/keypoints/{case}")
def test_geometry_equals_the_reference(golden, case):
    with np.load(golden / "geometry/keypoints.npz") as npz:
        points, visible = npz["keypoints_3d"], npz["visible_3d"]
        if "root" in case:
            points, visible = points[0, :1], visible[0, :1]
        axis = {
            "flip_custom_static05": 0.5,
            "flip_custom_static0": 0.0,
            "flip_custom_root0": root_x(points, 0),
            "flip_custom_root_4_1": root_x(points, (4, 1)),
        }[case]
        flipped, shown = flip_pose(points, visible, npz["flip_indices_h36m"], axis)
        np.testing.assert_allclose(flipped, npz[f"{case}_keypoints"], atol=1e-5)
        np.testing.assert_array_equal(shown, npz[f"{case}_visible"])


@pytest.mark.parity
@pytest.mark.parametrize("case", STRUCTURES, ids=lambda case: f"structures/structures/{case}")
def test_structures_equal_the_reference(golden, case):
    rows = json.loads((golden / "structures/structures.json").read_text())["cases"]
    row = next(row for row in rows if row["id"] == case)
    with np.load(golden / "structures/structures.npz") as npz:
        given = {}
        for name in row["in"]:
            name, _, source = name.partition("=")
            given[name] = npz[source or f"{case}/in/{name}"]
        args = dict(row["args"])
        flips = args.pop("flip_indices")
        axis = _axis(given["keypoints"], **args)
        points, shown = flip_pose(given["keypoints"], given["keypoints_visible"], flips, axis)
        np.testing.assert_allclose(points, npz[f"{case}/out/keypoints"], atol=1e-5)
        np.testing.assert_array_equal(shown, npz[f"{case}/out/keypoints_visible"])


def test_a_batch_of_poses_about_their_roots():
    """The reference raises ValueError."""
    points = np.random.default_rng(0).normal(size=(4, 17, 3))
    flips = Skeleton.load("h36m").flip_indices
    together, _ = flip_pose(points, np.ones((4, 17)), flips, root_x(points))
    for pose, flipped in zip(points, together, strict=True):
        alone, _ = flip_pose(pose, np.ones(17), flips, root_x(pose))
        np.testing.assert_allclose(flipped, alone)
        np.testing.assert_allclose(flipped[0], pose[0])


def batch():
    rng = np.random.default_rng(0)
    points = rng.uniform([-1, -1, 3], [1, 1, 6], (8, 17, 3)).astype("f4")
    camera = Camera([1100, 1105], [512, 490], size=(1000, 1002))
    inputs = camera.project(points).astype("f4")[:, None]
    ones = np.ones((8, 1, 17), np.float32)
    labels = {
        "visible": ones,
        "keypoints_3d": points[:, None],
        "visible_3d": ones,
        "focal": np.tile(camera.focal, (8, 1)),
        "center": np.tile(camera.center, (8, 1)),
        "image_size": np.tile(np.float64(camera.size), (8, 1)),
    }
    return inputs, labels


def _projected(labels):
    points = labels["keypoints_3d"][:, 0]
    focal, center = labels["focal"][:, None], labels["center"][:, None]
    return points[..., :2] / points[..., 2:] * focal + center


def test_the_mirrored_window_is_what_its_camera_sees():
    inputs, labels = batch()
    skeleton = Skeleton.load("h36m")
    seen, flipped = RandomPoseFlip()(inputs, labels, skeleton, Draws(0, 0, range(8)))
    np.testing.assert_allclose(_projected(flipped), seen[:, 0], atol=1e-2)
    changed = np.abs(seen - inputs).max(axis=(1, 2, 3)) > 1
    assert 0 < changed.sum() < 8
    np.testing.assert_array_equal(seen[~changed], inputs[~changed])


def test_flips_are_a_function_of_seed_epoch_and_row():
    inputs, labels = batch()
    skeleton, flip = Skeleton.load("h36m"), RandomPoseFlip(axis_x="root", target_axis_x="root")
    every, _ = flip(inputs, labels, skeleton, Draws(3, 1, range(8)))
    some, _ = flip(
        inputs[2:5],
        {key: value[2:5] for key, value in labels.items()},
        skeleton,
        Draws(3, 1, [2, 3, 4]),
    )
    np.testing.assert_array_equal(every[2:5], some)
    drawn = Draws(0, 0, range(20000)).uniform("pose flip") < 0.5
    assert abs(drawn.mean() - 0.5) < 4 * 0.5 / 20000**0.5


def test_a_picture_without_camera_has_no_middle():
    inputs, labels = batch()
    with pytest.raises(ValueError, match="needs sequences with cameras"):
        RandomPoseFlip()(
            inputs,
            {key: labels[key] for key in ("visible", "keypoints_3d", "visible_3d")},
            Skeleton.load("h36m"),
            Draws(0, 0, range(8)),
        )
    with pytest.raises(ValueError, match="axis_x must be a number or one of"):
        RandomPoseFlip(axis_x="middle")


@pytest.mark.parity
@pytest.mark.parametrize(
    "stored", ["RandomFlipAroundRoot"], ids="transforms/distributions/{}".format
)
def test_windows_are_mirrored_as_often_as_published(golden, stored):
    published = json.loads((golden / "transforms/distributions.json").read_text("utf-8"))[stored]
    count, skeleton = 4000, Skeleton.load("h36m")
    poses = np.tile(np.random.default_rng(0).uniform(0, 1, (1, 1, 17, 3)), (count, 1, 1, 1))
    seen = np.ones((count, 1, 17))
    labels = {"visible": seen, "visible_3d": seen, "keypoints_3d": poses}
    flip = RandomPoseFlip(axis_x="root", target_axis_x="root")
    flipped, labels = flip(poses[..., :2], labels, skeleton, Draws(0, 0, range(count)))
    happened = (flipped != poses[..., :2]).any(axis=(1, 2, 3))
    # the target is mirrored with its window
    np.testing.assert_array_equal(happened, (labels["keypoints_3d"] != poses).any(axis=(1, 2, 3)))
    error = 4 * np.sqrt(0.25 * (1 / count + 1 / 20000))
    assert abs(happened.mean() - published["prob_flip"]) < error
