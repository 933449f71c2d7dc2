"""The real networks against the values of the original graphs."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_pose
from keras_pose.geometry import box_nms

MOVENET_CASES = ("astronaut", "cameraman", "astronaut_flip", "letterbox", "noise")
CENTERNET_CASES = ("astronaut", "cameraman", "coffee", "noise")
HAND_CASES = ("coco_hand", "cameraman_hand", "noise")
MULTIPOSE_CASES = ("astronaut", "two")


class Stages(keras.Model):
    """Everything a model computes on the way, by name, in one compiled call."""

    def __init__(self, model):
        super().__init__()
        self.model = model
        self.built = True

    def call(self, images):
        features = self.model.backbone(self.model.preprocess(images), training=False)
        fused = self.model.neck(features, training=False)
        outputs = self.model.head(fused, training=False)
        return {
            **{f"level{i}": level for i, level in enumerate(features)},
            "fused": fused[0],
            **outputs,
            **self.model.head.codec.decode(outputs),
        }


@pytest.fixture(scope="module")
def movenet(golden):
    npz = np.load(golden / "pretrained/movenet.npz")
    model = keras_pose.TopdownEstimator.from_preset("movenet_lightning_coco")
    images = np.stack([npz[f"{case}/input"] for case in MOVENET_CASES])
    return npz, Stages(model).predict_on_batch(images)


@pytest.fixture(scope="module")
def centernet(golden):
    npz = np.load(golden / "pretrained/centernet.npz")
    model = keras_pose.PersonDetector.from_preset("centernet_mobilenet_v3_coco")
    images = []
    for case in CENTERNET_CASES:
        image = npz[f"{case}/input"]
        enlarge = 512 // len(image)
        images.append(image.repeat(enlarge, axis=0).repeat(enlarge, axis=1))
    return npz, Stages(model).predict_on_batch(np.stack(images))


@pytest.fixture(scope="module")
def hand(golden):
    npz = np.load(golden / "pretrained/hand.npz")
    model = keras_pose.TopdownEstimator.from_preset("mediapipe_hand_lite")
    images = np.stack([npz[f"{case}/input"] for case in HAND_CASES])
    return npz, Stages(model).predict_on_batch(images)


def _check(goldens, npz, case, values):
    """Compares named arrays with those that the reference stored for a case."""
    stored = {f"{case}/{name}": v for name, v in values.items() if f"{case}/{name}" in npz}
    assert stored
    for key, value in stored.items():
        extremes = npz[f"{key}__stats"][2:] if f"{key}__stats" in npz else npz[key]
        tolerance = max(2e-4 * np.abs(extremes).max(), 2e-4)
        assert goldens.compare(npz, key, value)["max_abs"] < tolerance, key


@pytest.mark.parametrize("case", MOVENET_CASES)
def test_movenet_maps_equal_the_original_graph(goldens, movenet, case):
    npz, stages = movenet
    names = {
        "level0": "backbone.block_2.add",
        "level1": "backbone.block_5.add",
        "level2": "backbone.block_9.add",
        "level3": "backbone.conv_last",
        "fused": "neck.smooth_4.pw",
        "center": "head.center.out",
        "heatmaps": "head.kpt_heatmap.out",
        "displacements": "head.kpt_regress.out",
        "offsets": "head.kpt_offset.out",
    }
    place = MOVENET_CASES.index(case)
    _check(goldens, npz, case, {theirs: stages[ours][place] for ours, theirs in names.items()})


@pytest.mark.parametrize("case", MOVENET_CASES)
def test_movenet_keypoints_equal_the_original_graph(movenet, case):
    npz, stages = movenet
    place, expected = MOVENET_CASES.index(case), npz[f"{case}/keypoints"][0]
    keypoints, scores = stages["keypoints"][place, 0], stages["scores"][place, 0]
    np.testing.assert_allclose(keypoints / 192, expected[:, [1, 0]], rtol=0, atol=1e-5)
    np.testing.assert_allclose(scores, expected[:, 2], rtol=0, atol=1e-5)


@pytest.mark.parametrize("case", CENTERNET_CASES)
def test_centernet_maps_equal_the_original_graph(goldens, centernet, case):
    npz, stages = centernet
    names = {
        "level0": "backbone.block_3.expand",
        "level1": "backbone.block_5.expand",
        "level2": "backbone.block_11.add",
        "level3": "backbone.conv_last",
        "heatmaps": "head.heatmap.pw",
        "sides": "ltrb",
    }
    place = CENTERNET_CASES.index(case)
    _check(goldens, npz, case, {theirs: stages[ours][place] for ours, theirs in names.items()})
    heat = 1 / (1 + np.exp(-stages["heatmaps"][place].astype(np.float64)))
    assert goldens.compare(npz, f"{case}/heatmap", heat)["max_abs"] < 1e-5


@pytest.mark.parametrize("case", CENTERNET_CASES)
def test_centernet_boxes_equal_the_original_graph(centernet, case):
    npz, stages = centernet
    place, expected = CENTERNET_CASES.index(case), npz[f"{case}/detections"]
    boxes, scores, classes = (stages[name][place] for name in ("boxes", "scores", "classes"))
    np.testing.assert_allclose(scores, expected[:, 4], rtol=0, atol=1e-5)
    # Rows of nearly equal scores may stand in another order: each is found near its own place.
    for row in expected:
        near = np.abs(scores - row[4]) < 2e-5
        assert np.abs(boxes[near] - row[:4]).max(axis=1).min() < 0.02
        assert row[5] in classes[near]


def test_centernet_decoding_alone_equals_the_original(golden):
    npz = np.load(golden / "pretrained/centernet_decode.npz")
    heat = np.zeros(npz["heatmap_shape"], np.float32)
    heat.reshape(-1)[npz["heatmap_index"]] = npz["heatmap_value"]
    clipped = np.clip(heat, 1e-30, 1 - 1e-7).astype(np.float64)
    logits = np.log(clipped / (1 - clipped)).astype(np.float32)
    decoded = keras_pose.codecs.CenterNetCodec().decode(
        {
            "heatmaps": ops.convert_to_tensor(logits[None]),
            "sides": ops.convert_to_tensor(npz["ltrb"][None]),
        }
    )
    expected = npz["detections"]
    boxes = ops.convert_to_numpy(decoded["boxes"])[0]
    np.testing.assert_allclose(boxes, expected[:, :4], rtol=0, atol=1e-4)
    np.testing.assert_allclose(
        ops.convert_to_numpy(decoded["scores"])[0], expected[:, 4], rtol=0, atol=1e-6
    )
    np.testing.assert_array_equal(ops.convert_to_numpy(decoded["classes"])[0], expected[:, 5])
    classes = expected[:, 5]
    kept = [
        members[box_nms(boxes[members], expected[members, 4], 0.5)]
        for members in (np.flatnonzero(classes == c) for c in np.unique(classes))
    ]
    np.testing.assert_array_equal(np.sort(np.concatenate(kept)), np.sort(npz["nms_keep_iou0.5"]))


@pytest.mark.parametrize("case", HAND_CASES)
def test_hand_landmarks_equal_the_original_graph(goldens, hand, case):
    npz, stages = hand
    found = {name: value[HAND_CASES.index(case)] for name, value in stages.items()}
    _check(goldens, npz, case, {"n138": found["fused"]})
    landmarks = npz[f"{case}/landmarks"].reshape(21, 3)
    np.testing.assert_allclose(found["keypoints"][0], landmarks[:, :2], rtol=0, atol=5e-3)
    np.testing.assert_allclose(224 * found["depths"], landmarks[:, 2], rtol=0, atol=5e-3)
    for name in ("presence", "handedness", "world"):
        expected = npz[f"{case}/{name}"].reshape(found[name].shape)
        np.testing.assert_allclose(found[name], expected, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(found["scores"], np.tile(found["presence"], (1, 21)))


@pytest.fixture(scope="module")
def multipose(golden):
    """Each case in a batch of its own: their sizes differ."""
    npz = np.load(golden / "pretrained/multipose.npz")
    model = keras_pose.BottomupEstimator.from_preset("movenet_multipose_coco")
    images = {case: npz[f"{case}/input"][None] for case in MULTIPOSE_CASES}
    found = {case: Stages(model).predict_on_batch(image) for case, image in images.items()}
    return npz, images, found


@pytest.mark.parametrize("case", MULTIPOSE_CASES)
def test_multipose_maps_equal_the_original_graph(goldens, multipose, case):
    npz, _, found = multipose
    names = {
        "level0": "backbone.block_2.add",
        "level2": "backbone.block_9.add",
        "level3": "backbone.conv_last",
        "fused": "neck.smooth_4",
        "center": "head.center.out",
        "box_sizes": "head.box_scale.out",
        "box_offsets": "head.box_offset.out",
        "heatmaps": "head.kpt_heatmap.out",
        "displacements": "head.kpt_regress.out",
        "offsets": "head.kpt_offset.out",
    }
    _check(goldens, npz, case, {theirs: found[case][ours][0] for ours, theirs in names.items()})


@pytest.mark.parametrize("case", MULTIPOSE_CASES)
def test_multipose_people_equal_the_original_graph(multipose, case):
    npz, images, found = multipose
    height, width = images[case].shape[1:3]
    people = {name: value[0] for name, value in found[case].items()}
    expected = npz[f"{case}/output"].reshape(6, 56)
    keypoints, boxes = expected[:, :51].reshape(6, 17, 3), expected[:, [52, 51, 54, 53]]
    size = np.array([width, height, width, height])
    np.testing.assert_allclose(people["keypoints"] / size[:2], keypoints[..., 1::-1], atol=1e-5)
    np.testing.assert_allclose(people["scores"], keypoints[..., 2], atol=1e-5)
    np.testing.assert_allclose(people["boxes"] / size, boxes, atol=1e-5)
    np.testing.assert_allclose(people["box_scores"], expected[:, 55], atol=1e-5)
