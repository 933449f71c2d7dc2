"""Quick prediction of batches gives what the model itself gives, also after its weights changed."""

import keras
import numpy as np
import pytest

from keras_pose.layers import ConvModule
from keras_pose.prediction import BatchPredictor


class Small(keras.Model):
    def __init__(self):
        super().__init__()
        self.block = ConvModule(3, 3, strides=2)
        self.build((None, 8, 8, 3))

    def build(self, input_shape):
        self.block.build(input_shape)
        self.built = True

    def call(self, x):
        return {"out": self.block(keras.ops.cast(x, "float32"), training=False)}


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 255, (2, 8, 8, 3)).astype("uint8")


def _expected(model, images):
    return keras.ops.convert_to_numpy(model(keras.ops.convert_to_tensor(images))["out"])


def test_every_call_equals_the_model(images):
    model = Small()
    predict = BatchPredictor(model)
    for batch in (images, images, images, images[:1], images[:1]):
        found = predict(batch)["out"]
        assert isinstance(found, np.ndarray)
        np.testing.assert_allclose(found, _expected(model, batch), rtol=1e-5, atol=1e-4)


def test_changed_weights_count_from_the_next_call(images):
    model = Small()
    predict = BatchPredictor(model)
    before = [predict(images)["out"] for _ in range(3)][-1]
    model.block.conv.kernel.assign(2 * model.block.conv.kernel)
    for _ in range(3):
        np.testing.assert_allclose(
            predict(images)["out"], _expected(model, images), rtol=1e-5, atol=1e-4
        )
    assert np.abs(before - predict(images)["out"]).max() > 1
