"""What estimators and detectors share: pixels in, decoded outputs out, presets."""

import keras
import numpy as np
from keras import ops

from keras_pose.layers import PixelNormalization, component, serialized, symbolic
from keras_pose.prediction import BatchPredictor
from keras_pose.preset import PresetMixin

# Batches are padded to these sizes, so that few shapes are compiled.
BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64, 128)


class Inference(keras.Model):
    """The part of a model that predicts: forward, optional flip test, decode.

    It is what `predict` runs and what is exported.

    Args:
        model: `ImageModel`.
        flip_test: bool, average with the outputs for the mirrored images before decoding.
        decode: bool, False returns the raw outputs.
    """

    def __init__(self, model, flip_test=False, decode=True):
        super().__init__(name="inference")
        self.model = model
        self.flip_test = flip_test
        self.decode = decode
        self.built = True

    def call(self, images):
        outputs = self.model(images, training=False)
        codec = self.model.head.codec
        if self.flip_test:
            mirrored = self.model(self.model.mirrored(images), training=False)
            mirrored = codec.flip(mirrored, self.model.skeleton.flip_indices)
            outputs = codec.merge(outputs, mirrored)
        if not self.decode:
            return outputs
        outputs = self.model.head.instances(outputs)
        return self.model.select_outputs(codec.decode(outputs))

    def predict_on_batch(self, x):
        """Outputs of one batch as NumPy arrays."""
        if "_predictor" not in self.__dict__:
            self.__dict__["_predictor"] = BatchPredictor(self)
        return self.__dict__["_predictor"](x)


class ImageModel(PresetMixin, keras.Model):
    """Images through normalisation, backbone, neck and head.

    Args:
        backbone: layer or Keras model that turns normalised images `(B, H, W, 3)` into one feature
            map or a list of them, or its config.
        head: `Head` or its config.
        neck: layer from feature maps to feature maps, its config, or None.
        preprocess: layer from uint8 RGB to the backbone's input, or its config; default
            `PixelNormalization()` with ImageNet's statistics.
        input_size: (width, height) in pixels.
    """

    def __init__(self, backbone, head, neck=None, preprocess=None, input_size=(192, 256), **kwargs):
        super().__init__(**kwargs)
        self.preprocess = component(preprocess) or PixelNormalization()
        self.backbone = component(backbone)
        self.neck = component(neck)
        self.head = component(head)
        self.input_size = tuple(int(size) for size in input_size)
        # Kept out of Keras' tracking: the wrappers hold this model's own weights.
        self.__dict__["_inference"] = {}

    def build(self, input_shape=None):
        if self.built:
            return
        width, height = self.input_size
        self._check_outputs(self.call(symbolic((None, height, width, 3), "uint8")))
        self.built = True

    def mirrored(self, images):
        """What the model sees in a mirror."""
        return ops.flip(images, axis=2)

    def select_outputs(self, decoded: dict) -> dict:
        """For subclasses: what predictions keep of the decoded outputs."""
        return decoded

    def _check_outputs(self, outputs):
        """For subclasses: whether the raw outputs are what the codec expects."""

    def _check_size(self, images):
        """Refuses batches of another size, which some codecs would decode as more images."""
        width, height = self.input_size
        shape = tuple(images.shape)
        if len(shape) != 4 or any(
            have not in (None, want)
            for have, want in zip(shape[1:], (height, width, 3), strict=True)
        ):
            raise ValueError(f"images must be (B, {height}, {width}, 3), got shape {shape}")

    def call(self, images, training=None):
        self._check_size(images)
        return self.head(self.features(images, training), training=training)

    def features(self, images, training=None):
        """The feature maps that the head gets, of the neck where there is one."""
        x = self.backbone(self.preprocess(images), training=training)
        x = list(x.values()) if isinstance(x, dict) else x
        x = list(x) if isinstance(x, list | tuple) else [x]
        return x if self.neck is None else self.neck(x, training=training)

    def inference(self, flip_test: bool = False, decode: bool = True) -> Inference:
        """The predicting part as a Keras model of its own; made once per setting."""
        key = (flip_test, decode)
        cache = self.__dict__.setdefault("_inference", {})
        if key not in cache:
            cache[key] = Inference(self, flip_test, decode)
        return cache[key]

    def predict(self, x, batch_size=None, verbose="auto", steps=None, callbacks=None, **options):
        """Decoded outputs in input pixels, as NumPy arrays.

        Args:
            x: images `(B, H, W, 3)` uint8 of the input size, or a dataset of them.
            batch_size, verbose, steps, callbacks: as in `keras.Model.predict`.
            **options: `flip_test=True` averages with the mirrored images.
        """
        if isinstance(x, np.ndarray):
            self._check_size(x)
        return self.inference(**options).predict(
            x, batch_size=batch_size, verbose=verbose, steps=steps, callbacks=callbacks
        )

    def predict_on_batch(self, x, **options):
        """Decoded outputs of one batch in input pixels; see `predict`."""
        self._check_size(x)
        return self.inference(**options).predict_on_batch(x)

    def predict_padded(self, images: np.ndarray, batch_size: int = 16, **options) -> dict:
        """Decoded outputs of any number of images, in batches of a few fixed sizes.

        Args:
            images: `(M, H, W, 3)` uint8.
            batch_size: int, the largest batch.
        """
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        parts = []
        for start in range(0, len(images), batch_size):
            batch = images[start : start + batch_size]
            size = next((n for n in BATCH_SIZES if n >= len(batch)), len(batch))
            padding = np.zeros((size - len(batch), *batch.shape[1:]), batch.dtype)
            outputs = self.predict_on_batch(np.concatenate([batch, padding]), **options)
            parts.append({name: value[: len(batch)] for name, value in outputs.items()})
        return {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}

    def get_config(self):
        return {
            **super().get_config(),
            "backbone": serialized(self.backbone),
            "head": serialized(self.head),
            "neck": serialized(self.neck),
            "preprocess": serialized(self.preprocess),
            "input_size": list(self.input_size),
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        return cls(**config)
