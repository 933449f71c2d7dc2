import keras
import numpy as np
import pytest
from keras import ops

from keras_pose.necks import PoseWarperNeck

MAPS = np.random.default_rng(0).standard_normal((3, 2, 5, 4, 3)).astype("f4")


def _value(features):
    return ops.convert_to_numpy(features[0])


def _neck(**settings):
    return PoseWarperNeck(4, 6, (0.5, 0.0, 0.25), 2, (1, 2), num_blocks=1, **settings)


def test_a_new_neck_adds_the_heatmaps_of_the_frames_by_weight():
    neck = _neck()
    heatmaps = [ops.convert_to_numpy(neck.trans_layer(frame)) for frame in MAPS]
    expected = 0.5 * heatmaps[0] + 0.25 * heatmaps[2]
    np.testing.assert_allclose(_value(neck(list(MAPS))), expected, rtol=0, atol=1e-6)


def test_frames_may_be_stacked_along_the_batch():
    neck = _neck()
    apart = _value(neck(list(MAPS)))
    stacked = _value(neck([MAPS.reshape(6, 5, 4, 3)]))
    np.testing.assert_allclose(stacked, apart, rtol=0, atol=1e-6)


def test_trained_offsets_move_the_other_frames():
    neck = PoseWarperNeck(3, 6, (0.5, 0.25, 0.0), 1, (1,), transfer_kernel=None, num_blocks=1)
    before = _value(neck(list(MAPS)))
    kernel = neck.offset_layers[0].kernel
    # New residual blocks yield small numbers.
    kernel.assign(1e3 * np.random.default_rng(1).standard_normal(kernel.shape))
    assert np.abs(_value(neck(list(MAPS))) - before).max() > 1e-3


def test_the_convolution_to_heatmaps_is_frozen_unless_asked():
    shape = keras.KerasTensor((None, 5, 4, 3))
    frozen, trained = _neck(), _neck(freeze_transfer=False)
    for neck in (frozen, trained):
        neck([shape] * 3)
    assert len(trained.trainable_variables) - len(frozen.trainable_variables) == 2


def test_heatmaps_may_come_in():
    neck = PoseWarperNeck(3, 6, (1.0,), 1, (1,), transfer_kernel=None, num_blocks=1)
    np.testing.assert_allclose(_value(neck([MAPS[0]])), MAPS[0], rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"transfer_kernel": 5}, "transfer_kernel must be None, 1 or 3, got 5"),
        ({"frame_weights": (0.0,)}, "one of frame_weights must not be 0"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        PoseWarperNeck(4, 6, **settings)


def test_another_number_of_frames_is_refused():
    with pytest.raises(ValueError, match="one map or one for each of 3 frames, got 2"):
        _neck()([keras.KerasTensor((None, 5, 4, 3))] * 2)
