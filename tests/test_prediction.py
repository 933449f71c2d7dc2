"""Quick prediction of batches gives what the model itself gives, also after its weights changed."""

import keras
import numpy as np
import pytest

from keras_pose.layers import BatchNormalization, Conv2DTranspose, ConvModule
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


class Joined(keras.Model):
    """Convolutions of all kinds with normalisations, a sum, and a map that is read twice."""

    def __init__(self):
        super().__init__()
        self.stem = ConvModule(4, 3, strides=2)
        self.grouped = ConvModule(4, 3, groups=2, activation=None)
        self.biased = ConvModule(4, 1, use_bias=True, activation=None)
        self.up = Conv2DTranspose(4, 4, 2, padding=1, use_bias=False)
        self.wide_up = Conv2DTranspose(1, 4, 2, padding=1)
        self.norm = BatchNormalization()
        self.alone = BatchNormalization()
        self.call(keras.KerasTensor((1, 8, 8, 3)))
        self.built = True

    def call(self, x):
        x = self.stem(keras.ops.cast(x, "float32"), training=False)
        twice = self.grouped(x, training=False)
        x = keras.ops.relu(self.biased(x, training=False) + twice)
        x = self.alone(x + keras.ops.relu(twice), training=False)
        maps = keras.ops.relu(self.norm(self.up(x), training=False))
        return {"out": self.wide_up(maps), "maps": maps, "x": x, "twice": twice}


def test_folded_normalisations_and_shared_maps_change_nothing(images):
    keras.utils.set_random_seed(0)
    model, rng = Joined(), np.random.default_rng(1)
    for variable in model.variables:
        variable.assign(rng.uniform(0.5, 1.5, variable.shape))
    predict = BatchPredictor(model)
    for _ in range(3):
        found = predict(images)
    wanted = keras.tree.map_structure(keras.ops.convert_to_numpy, model(images))
    for name, value in wanted.items():
        np.testing.assert_allclose(found[name], value, rtol=2e-5, err_msg=name)
