"""The codecs of lifters: every stored case, and what they do beyond the reference."""

import functools
import json
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_pose.checkpoints.mmpose import translate_part
from keras_pose.checkpoints.mmpose.lifting import normalization
from keras_pose.codecs import ImagePoseLifting, MotionBERTLabel, VideoPoseLifting
from keras_pose.layers import KeypointNormalization
from keras_pose.skeleton import Skeleton

FILES = ("image_pose_lifting", "video_pose_lifting", "motionbert_label")
GOLDEN = Path(__file__).resolve().parents[3] / "shared/golden/codecs"


def _cases():
    """Every case of the files, as a table of what is compared names it."""
    for file in FILES:
        path = GOLDEN / f"{file}.json"
        if not path.is_file():
            reason = f"golden/codecs/{file} is not beside this checkout"
            yield pytest.param(None, id=f"codecs/{file}", marks=pytest.mark.skip(reason=reason))
            continue
        for case in json.loads(path.read_text("utf-8"))["cases"]:
            name = f"codecs/{file}/{case['case']}"
            yield pytest.param({"file": file, **case}, id=name, marks=pytest.mark.parity)


# Outputs without a counterpart: copies of inputs and settings, the reference's weights of the
# trajectory (1 / (x, y, z) of joint 2 or visibilities; here 1 / the root's depth), and its camera.
NOT_COMPARED = {
    "keypoints_visible",
    "keypoint_labels_visible",
    "lifting_target_visible",
    "target_root_index",
    "target_root_removed",
    "trajectory_weights",
    "camera_param",
}


@pytest.fixture(scope="module")
def arrays():
    stored = functools.cache(lambda file: np.load(GOLDEN / f"{file}.npz"))

    def arrays(case, entries):
        return {
            name: stored(case["file"])[value].astype("f4") if isinstance(value, str) else value
            for name, value in entries.items()
        }

    return arrays


def _settings(case, given):
    own = {name[5:]: value.tolist() for name, value in given.items() if name.startswith("args.")}
    return {"type": case["cls"], **case["args"], **own}


def _codec(settings):
    settings = {key: value for key, value in settings.items() if key != "normalize_camera"}
    return keras.saving.deserialize_keras_object(translate_part(settings, "codec"))


def _labels(case, given):
    points = given["lifting_target"]
    visible = given.get("lifting_target_visible")
    camera = (case.get("call") or {}).get("camera_param", {})
    labels = {
        "keypoints_3d": points[None],
        "visible_3d": np.ones((1, *points.shape[:2]), "f4") if visible is None else visible[None],
    }
    if "f" in camera:
        labels |= {
            key: np.float32(camera[k]).reshape(1, 2) for key, k in (("focal", "f"), ("center", "c"))
        }
    if "w" in camera:
        labels["image_size"] = np.float32([[camera["w"], camera["h"]]])
    if given.get("factor") is not None:
        labels["factor"] = given["factor"].reshape(1, -1)
    return labels


@pytest.mark.parametrize("case", _cases())
def test_codecs_equal_the_reference(case, arrays, compiled):
    given, expected = arrays(case, case["in"]), arrays(case, case["out"])
    settings = _settings(case, given)
    codec = _codec(settings)
    if case["op"] == "encode":
        _check_encode(case, given, expected, settings, compiled(codec.encode))
    else:
        _check_decode(case, given, expected, codec, compiled)


def _check_encode(case, given, expected, settings, encode):
    found = encode(_labels(case, given))
    actual = {
        "lifting_target_label": found["coordinates"][0],
        "lifting_target_weight": found["weights"][0],
        "keypoint_labels": _inputs(given, settings, expected["keypoint_labels"].shape),
    }
    if "target_root" in found:
        actual["target_root"] = found["target_root"][0, :, 0]
    if "factor" in found:
        actual["factor"] = found["factor"][0].reshape(expected["factor"].shape)
    assert set(expected) <= {*actual, *NOT_COMPARED}
    for name in expected.keys() & actual.keys():
        largest = max(1.0, np.abs(expected[name]).max())
        np.testing.assert_allclose(
            actual[name], expected[name], rtol=0, atol=4e-6 * largest, err_msg=name
        )


def _inputs(given, settings, shape):
    """What the network reads; the reference's codecs make it, here the estimator does."""
    points = given["keypoints"]
    if given.get("keypoints_visible") is not None:
        points = np.concatenate([points, given["keypoints_visible"][..., None]], -1)
    layer = KeypointNormalization(**normalization(settings))
    if settings["type"] == "ImagePoseLifting" and "keypoints_mean" not in settings:
        layer = KeypointNormalization((0, 0), 1, settings.get("concat_vis", False))
    found = keras.ops.convert_to_numpy(layer(points[None]))[0]
    # The reference puts keypoints and their numbers on one axis before that of the frames.
    return found.reshape(len(found), -1).T.reshape(shape) if len(shape) == 2 else found


def _check_decode(case, given, expected, codec, compiled):
    outputs = {"coordinates": given["encoded"][None]}
    if given.get("target_root") is not None:
        outputs["target_root"] = given["target_root"].reshape(1, 1, 1, 3)
    points = expected["keypoints"]
    if isinstance(codec, MotionBERTLabel):
        # Samples of one frame each, as the cases hold one camera for each.
        outputs = {"coordinates": given["encoded"][:, None]}
        count = len(given["encoded"])
        factor = given.get("factor")
        width = given.get("w")
        outputs["factor"] = (np.ones(count, "f4") if factor is None else factor).reshape(count, 1)
        width = np.full(count, 2.0, "f4") if width is None else width.reshape(count)
        outputs["image_size"] = np.stack([width, width], -1)
        found = compiled(codec.decode)(outputs)["keypoints"][:, 0]
    else:
        found = compiled(codec.decode)(outputs)["keypoints"][0]
        if points.shape[1] < found.shape[1]:
            # The reference does not put the root back where its place is not told.
            np.testing.assert_array_equal(found[:, codec.root_index], 0)
            found = np.delete(found, codec.root_index, axis=1)
    np.testing.assert_allclose(found, points, rtol=0, atol=2e-6 * max(1, np.abs(points).max()))


def _labels_of_poses(frames=3):
    random = np.random.default_rng(0)
    points = random.normal(0, 0.3, (2, frames, 17, 3)) + np.array([0.2, 0.1, 4])
    size = {"focal": [1145, 1144], "center": [512, 510], "image_size": [1000, 1002]}
    return {
        "keypoints_3d": points.astype("f4"),
        "visible_3d": np.ones((2, frames, 17), "f4"),
        **{name: np.float32([value, value]) for name, value in size.items()},
    }


def _statistics(count):
    random = np.random.default_rng(1)
    return {
        "target_mean": random.normal(0, 0.3, (count, 3)).tolist(),
        "target_std": random.uniform(0.1, 0.3, (count, 3)).tolist(),
    }


CODECS = [
    VideoPoseLifting(),
    VideoPoseLifting(remove_root=True),
    VideoPoseLifting(zero_center=False),
    VideoPoseLifting(root_index=[1, 4]),
    ImagePoseLifting(remove_root=True, **_statistics(16)),
    ImagePoseLifting(**_statistics(17)),
]
each_codec = pytest.mark.parametrize(
    "codec", CODECS, ids=lambda codec: str(codec.get_config())[:60]
)


@each_codec
def test_decoding_gives_the_labels_back(codec, compiled):
    labels = _labels_of_poses()
    targets = compiled(codec.encode)(labels)
    decoded = compiled(codec.decode)(targets)
    np.testing.assert_allclose(decoded["keypoints"], labels["keypoints_3d"], atol=2e-6)
    assert decoded["scores"].shape == (2, 3, 17)


@each_codec
def test_mirrored_poses_are_turned_back(codec, compiled):
    flips = Skeleton.load("h36m").flip_indices
    labels = _labels_of_poses()
    mirrored = {**labels, "keypoints_3d": labels["keypoints_3d"][:, :, flips] * [-1, 1, 1]}
    mirrored = compiled(codec.encode)({k: np.float32(v) for k, v in mirrored.items()})
    flipped = codec.flip(
        {"coordinates": keras.ops.convert_to_tensor(mirrored["coordinates"])}, flips
    )
    expected = compiled(codec.encode)(labels)["coordinates"]
    found = keras.ops.convert_to_numpy(flipped["coordinates"])
    np.testing.assert_allclose(found, expected, atol=3e-5)


def test_the_trajectory_is_the_roots_and_weighted_by_its_depth(compiled):
    labels = _labels_of_poses()
    targets = compiled(VideoPoseLifting().encode)(labels)
    np.testing.assert_array_equal(targets["trajectory"], labels["keypoints_3d"][:, :, :1])
    depth = labels["keypoints_3d"][:, :, :1, 2]
    np.testing.assert_allclose(targets["trajectory_weights"], 1 / depth, rtol=1e-6)


def test_motionbert_sees_people_at_their_size(compiled):
    labels = _labels_of_poses()
    codec = MotionBERTLabel()
    decoded = compiled(codec.decode)(compiled(codec.encode)(labels))
    points = labels["keypoints_3d"] - labels["keypoints_3d"][:, :, :1]
    # The factor is that of the root's depth, and nearer joints look larger.
    error = np.abs(decoded["keypoints"] - points).mean()
    assert error < 0.02


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ImagePoseLifting(target_mean=[[0, 0, 0]]), "must be given together"),
        (lambda: ImagePoseLifting(target_mean=[0], target_std=[1]), "must be .K, 3., got shape"),
        (lambda: MotionBERTLabel(mode="val"), 'mode must be one of "train", "test", got'),
    ],
)
def test_bad_settings_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
