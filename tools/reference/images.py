"""Models that read images, from pixels to the head's outputs."""

from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
from keras import ops

from keras_pose.checkpoints.mmpose import translate_part
from keras_pose.layers.naming import load_state_dict
from reference.case import Case, Difference, channels_first


class ImageCase(Case):
    """A model that reads images."""

    def __init__(self, golden: Path, folder: str, entry: dict):
        super().__init__(golden, folder, entry)
        width, height = entry["input_size"]
        images = self.recipe.golden_images(entry["image_seed"], entry["batch"], height, width)
        # The reference reads BGR.
        self.images = np.ascontiguousarray(images[..., ::-1])

    def part(self, place: str) -> Iterator[Difference]:
        model = self.entry["model"]
        places = ["backbone"] if place == "backbone" else ["backbone", "neck"]
        configs = [translate_part(model[name], name) for name in places]
        parts = [keras.saving.deserialize_keras_object(each) for each in configs]
        network = Chain(parts)
        height, width = self.images.shape[1:3]
        network.build((None, height, width, 3))
        for name, layer in zip(places, parts, strict=True):
            prefix = f"{name}."
            state = {k[len(prefix) :]: v for k, v in self.state.items() if k.startswith(prefix)}
            load_state_dict(layer, state)
        pre = model["data_preprocessor"]
        pixels = self.images if pre.get("bgr_to_rgb") else self.images[..., ::-1]
        mean, std = pre.get("mean") or 0, pre.get("std") or 1
        x = (pixels.astype("f4") - np.float32(mean)) / np.float32(std)
        yield from self.maps(keras.Model.predict_on_batch(network, x)[-1], place)

    def features(self, plain: dict) -> Iterator[Difference]:
        """What `Stages` gave, up to the head."""
        yield self.compare("inputs", channels_first(plain["inputs"]), 1e-6)
        yield from self.maps(plain["backbone"], "backbone")
        if "neck" in plain:
            yield from self.maps(plain["neck"], "neck")


class Stages(keras.Model):
    """Everything on an estimator's way from pixels to raw outputs."""

    def __init__(self, estimator):
        super().__init__()
        self.estimator = estimator
        self.built = True

    def call(self, images, training=False):
        inputs = self.estimator.preprocess(images)
        features = self.estimator.backbone(inputs, training=training)
        values = {"inputs": inputs, "backbone": features}
        if self.estimator.neck is not None:
            values["neck"] = features = self.estimator.neck(features, training=training)
        return {**values, "head": self.estimator.head(features, training=training)}

    def train_pass(self, images):
        """Outputs with batch statistics; the running statistics are moved."""
        if keras.backend.backend() != "jax":
            return self(ops.convert_to_tensor(images), training=True)
        import jax

        # As one program: one operation at a time JAX compiles for each shape.
        trained = [v.value for v in self.trainable_variables]
        fixed = [v.value for v in self.non_trainable_variables]
        run = jax.jit(lambda *state: self.stateless_call(*state, training=True))
        outputs, fixed = run(trained, fixed, images)
        for variable, value in zip(self.non_trainable_variables, fixed, strict=True):
            variable.assign(value)
        return outputs


class Chain(keras.Model):
    """Parts one after the other."""

    def __init__(self, parts):
        super().__init__()
        self.parts = parts

    def build(self, input_shape):
        x = keras.KerasTensor(input_shape)
        for part in self.parts:
            x = part(x)
        self.built = True

    def call(self, x):
        values = []
        for part in self.parts:
            x = part(x, training=False)
            values.append(x)
        return values
