"""What holds for every codec; each is a row."""

import json

import keras
import numpy as np
import pytest

from keras_pose.codecs import CenterNetCodec, MoveNetCodec, MSRAHeatmap, SimCCLabel
from keras_pose.layers import serialized

CODECS = {
    "msra_heatmap": MSRAHeatmap((32, 24), (8, 6), 1.5, shift_flipped=False),
    "movenet": MoveNetCodec((64, 48), (16, 12), 1.5, 2.5, 3.999),
    "centernet": CenterNetCodec(8, 20),
    "simcc_label": SimCCLabel((32, 24), 2.0, "gaussian", (4.9, 5.66), normalize=False),
    "simcc_label_standard": SimCCLabel((32, 24), 3.0, "standard", label_smooth_weight=0.1),
}
# Those that learn keypoints.
KEYPOINT_CODECS = ["msra_heatmap", "movenet", "simcc_label", "simcc_label_standard"]


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
