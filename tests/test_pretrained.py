"""The two real networks against the values of the original graphs."""

import numpy as np
import pytest
from keras import ops

import keras_pose

MOVENET_CASES = ("astronaut", "cameraman", "astronaut_flip", "letterbox", "noise")
CENTERNET_CASES = ("astronaut", "cameraman", "coffee", "noise")


@pytest.fixture(scope="module")
def movenet():
    return keras_pose.TopdownEstimator.from_preset("movenet_lightning_coco")


@pytest.fixture(scope="module")
def centernet():
    return keras_pose.PersonDetector.from_preset("centernet_mobilenet_v3_coco")


def _stages(model, image):
    features = model.backbone(model.preprocess(ops.convert_to_tensor(image[None])), training=False)
    fused = model.neck(features, training=False)
    return features, fused[0], model.head(fused, training=False)


def _check(goldens, npz, values):
    """Compares named tensors with those that the reference stored; returns how many it stored."""
    stored = {key: value for key, value in values.items() if key in npz}
    for key, value in stored.items():
        extremes = npz[f"{key}__stats"][2:] if f"{key}__stats" in npz else npz[key]
        tolerance = max(2e-4 * np.abs(extremes).max(), 2e-4)
        found = goldens.compare(npz, key, ops.convert_to_numpy(value)[0])
        assert found["max_abs"] < tolerance, key
    return len(stored)


@pytest.mark.parametrize("case", MOVENET_CASES)
def test_movenet_maps_equal_the_original_graph(golden, goldens, movenet, case):
    npz = np.load(golden / "pretrained/movenet.npz")
    features, fused, outputs = _stages(movenet, npz[f"{case}/input"])
    assert _check(
        goldens,
        npz,
        {
            f"{case}/backbone.block_2.add": features[0],
            f"{case}/backbone.block_5.add": features[1],
            f"{case}/backbone.block_9.add": features[2],
            f"{case}/backbone.conv_last": features[3],
            f"{case}/neck.smooth_4.pw": fused,
            f"{case}/head.center.out": outputs["center"],
            f"{case}/head.kpt_heatmap.out": outputs["heatmaps"],
            f"{case}/head.kpt_regress.out": outputs["displacements"],
            f"{case}/head.kpt_offset.out": outputs["offsets"],
        },
    )


@pytest.mark.parametrize("case", MOVENET_CASES)
def test_movenet_keypoints_equal_the_original_graph(golden, movenet, case):
    npz = np.load(golden / "pretrained/movenet.npz")
    decoded = movenet.predict_on_batch(npz[f"{case}/input"][None])
    expected = npz[f"{case}/keypoints"][0]
    np.testing.assert_allclose(
        decoded["keypoints"][0, 0] / 192, expected[:, [1, 0]], rtol=0, atol=1e-5
    )
    np.testing.assert_allclose(decoded["scores"][0, 0], expected[:, 2], rtol=0, atol=1e-5)


def _centernet_input(npz, case):
    image = npz[f"{case}/input"]
    return image if len(image) == 512 else image.repeat(2, axis=0).repeat(2, axis=1)


@pytest.mark.parametrize("case", CENTERNET_CASES)
def test_centernet_maps_equal_the_original_graph(golden, goldens, centernet, case):
    npz = np.load(golden / "pretrained/centernet.npz")
    features, _, outputs = _stages(centernet, _centernet_input(npz, case))
    assert _check(
        goldens,
        npz,
        {
            f"{case}/backbone.block_3.expand": features[0],
            f"{case}/backbone.block_5.expand": features[1],
            f"{case}/backbone.block_11.add": features[2],
            f"{case}/backbone.conv_last": features[3],
            f"{case}/head.heatmap.pw": outputs["heatmaps"],
            f"{case}/ltrb": outputs["sides"],
        },
    )
    heat = goldens.compare(
        npz, f"{case}/heatmap", ops.convert_to_numpy(ops.sigmoid(outputs["heatmaps"]))[0]
    )
    assert heat["max_abs"] < 1e-5


@pytest.mark.parametrize("case", CENTERNET_CASES)
def test_centernet_boxes_equal_the_original_graph(golden, centernet, case):
    npz = np.load(golden / "pretrained/centernet.npz")
    decoded = centernet.predict_on_batch(_centernet_input(npz, case)[None])
    rows = np.concatenate(
        [decoded["boxes"][0], decoded["scores"][0, :, None], decoded["classes"][0, :, None]], axis=1
    )
    expected = npz[f"{case}/detections"]
    np.testing.assert_allclose(rows[:, 4], expected[:, 4], rtol=0, atol=1e-5)
    # Rows of nearly equal scores may stand in another order: each is found near its own place.
    for row in expected:
        near = rows[np.abs(rows[:, 4] - row[4]) < 2e-5]
        assert np.abs(near[:, :4] - row[:4]).max(axis=1).min() < 0.02
        assert row[5] in near[:, 5]


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
    kept = keras_pose.geometry.box_nms(boxes, expected[:, 4], 0.5)
    np.testing.assert_array_equal(np.sort(kept), np.sort(npz["nms_keep_iou0.5"]))
