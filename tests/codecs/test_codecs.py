"""What holds for every codec; each is a row."""

import json

import keras
import numpy as np
import pytest

from keras_pose.codecs import (
    CenterNetCodec,
    HandLandmarkLabel,
    IntegralRegressionLabel,
    MegviiHeatmap,
    MoveNetCodec,
    MSRAHeatmap,
    MultilevelHeatmap,
    RegressionLabel,
    SimCCLabel,
    SKPSHeatmap,
    UDPHeatmap,
    WithVisibility,
)
from keras_pose.layers import serialized

SIZES = {"input_size": (32, 24), "heatmap_size": (8, 6)}
CODECS = {
    "msra_heatmap": MSRAHeatmap((32, 24), (8, 6), 1.5, shift_flipped=False),
    "msra_heatmap_unbiased": MSRAHeatmap(**SIZES, unbiased=True, blur_kernel_size=5),
    "udp_heatmap": UDPHeatmap(**SIZES, sigma=1.5, blur_kernel_size=5, plain_warp=True),
    "udp_heatmap_combined": UDPHeatmap(
        **SIZES, heatmap_type="combined", radius_factor=0.2, shift_flipped=True
    ),
    "megvii_heatmap": MegviiHeatmap(**SIZES, kernel_size=3, shift_flipped=True),
    "skps_heatmap": SKPSHeatmap(**SIZES, sigma=1.5, shift_flipped=False),
    "regression_label": RegressionLabel((32, 24), shift_flipped=False),
    "hand_landmark_label": HandLandmarkLabel((32, 24), shift_flipped=False),
    "integral_regression_label": IntegralRegressionLabel(
        **SIZES, sigma=1.5, unbiased=True, normalize=False, shift_flipped=False
    ),
    "multilevel_heatmap": MultilevelHeatmap(
        [MegviiHeatmap(**SIZES, kernel_size=k) for k in (5, 3)]
    ),
    "with_visibility": WithVisibility(UDPHeatmap(**SIZES)),
    "movenet": MoveNetCodec((64, 48), (16, 12), 1.5, 2.5, 3.999),
    "centernet": CenterNetCodec(8, 20),
    "simcc_label": SimCCLabel((32, 24), 2.0, "gaussian", (4.9, 5.66), normalize=False),
    "simcc_label_standard": SimCCLabel((32, 24), 3.0, "standard", label_smooth_weight=0.1),
}
# Those that learn keypoints.
KEYPOINT_CODECS = [name for name in CODECS if name != "centernet"]


@pytest.mark.parametrize("name", CODECS)
def test_a_codec_is_restored_from_its_config(name):
    config = serialized(CODECS[name])
    assert config["registered_name"].startswith("keras_pose>")
    copy = keras.saving.deserialize_keras_object(json.loads(json.dumps(config)))
    assert type(copy) is type(CODECS[name])
    assert serialized(copy) == config


@pytest.mark.parametrize("name", KEYPOINT_CODECS)
def test_label_keys_are_all_that_encode_reads(name, compiled):
    labels = {"keypoints": np.ones((2, 1, 3, 2), "f4"), "visible": np.ones((2, 1, 3), "f4")}
    codec = CODECS[name]
    targets = compiled(codec.encode)({key: labels[key] for key in codec.label_keys})
    assert targets["weights"].shape == (2, 3)
    assert all(np.isfinite(value).all() for value in targets.values())


@pytest.mark.parametrize("name", KEYPOINT_CODECS)
def test_keypoints_that_are_not_labelled_weigh_nothing_wherever_they_are(name, compiled):
    labels = {
        "keypoints": np.float32([[[[5, 5], [0, 0], [-1e6, 1e6]]]]),
        "visible": np.float32([[[1, 0, 0]]]),
    }
    targets = compiled(CODECS[name].encode)(labels)
    np.testing.assert_array_equal(targets["weights"], [[1, 0, 0]])
    assert all(np.isfinite(value).all() for value in targets.values())


# Those whose maps or numbers are where the keypoints are, to the pixel.
EXACT = {
    "udp_heatmap": UDPHeatmap((96, 64), (24, 16)),
    "udp_heatmap_combined": UDPHeatmap(
        (96, 64), (24, 16), "combined", radius_factor=0.1, blur_kernel_size=3
    ),
    "skps_heatmap": SKPSHeatmap((96, 64), (24, 16), shift_flipped=False),
    "skps_heatmap_shifted": SKPSHeatmap((96, 64), (24, 16)),
    "regression_label": RegressionLabel((96, 64)),
    "integral_regression_label": IntegralRegressionLabel((96, 64), (24, 16)),
    "with_visibility": WithVisibility(UDPHeatmap((96, 64), (24, 16))),
}


@pytest.mark.parametrize("name", EXACT)
def test_a_mirrored_input_gives_the_same_keypoints(name, compiled):
    codec, order = EXACT[name], np.int32([0, 2, 1, 4, 3])
    keypoints = np.random.default_rng(0).uniform((25, 22), (70, 42), (4, 1, 5, 2)).astype("f4")
    mirrored = keypoints[:, :, order].copy()
    mirrored[..., 0] = 95 - mirrored[..., 0]
    labels = {"keypoints": mirrored, "visible": np.ones((4, 1, 5), "f4")}

    def found(labels):
        targets = codec.encode(labels)
        outputs = {key: value for key, value in targets.items() if key != "weights"}
        return codec.decode(codec.flip(outputs, order))

    decoded = compiled(found)(labels)
    np.testing.assert_allclose(decoded["keypoints"], keypoints, rtol=0, atol=0.05)


@pytest.mark.parametrize("name", [name for name in CODECS if "heatmap" in name])
def test_maps_without_a_peak_are_decoded_to_numbers(name, compiled):
    codec = CODECS[name]
    maps = np.ones((4, 6, 8, 3 * codec.maps_per_keypoint), "f4")
    maps *= np.float32([0, -1, -1e4, 1e4])[:, None, None, None]
    outputs = {"heatmaps": maps}
    if name == "skps_heatmap":
        outputs = dict(zip(("heatmaps", "offsets"), np.split(maps, [3], axis=-1), strict=True))
    decoded = compiled(codec.decode)(outputs)
    assert all(np.isfinite(array).all() for array in decoded.values())
    assert decoded["keypoints"][:3].max() < 0
