"""Running a model's forward pass on one batch with little more than the arithmetic.

Keras' own `predict_on_batch` collects all variables anew for every call under JAX, which takes as
long as a third of a small network, and runs layer by layer under PyTorch, where a hundred small
layers cost more in Python than in arithmetic. Under TensorFlow its way to the one function that does
the work takes longer than decoding of thirty people.
"""

import keras
import numpy as np
from keras import tree


class BatchPredictor:
    """Calls a model on NumPy batches; compiles where that pays and follows changed weights.

    Args:
        model: built Keras model that takes one tensor.
    """

    def __init__(self, model: keras.Model):
        self._model = model
        self._call = getattr(self, f"_call_{keras.backend.backend()}")
        self._variables = model.variables
        self._compiled = None
        self._traced = {}
        self._versions = None

    def __call__(self, images: np.ndarray) -> dict:
        return self._call(images)

    def _call_tensorflow(self, images):
        import tensorflow as tf

        if self._compiled is None:
            # Functions are kept for types and shapes, of which a third one is left open.
            self._compiled = tf.function(lambda images: self._model(images), reduce_retracing=True)
        outputs = self._compiled(tf.convert_to_tensor(images))
        return tree.map_structure(lambda value: value.numpy(), outputs)

    def _call_jax(self, images):
        import jax

        if self._compiled is None:

            def run(values, images):
                state = list(zip(self._variables, values, strict=True))
                with keras.StatelessScope(state_mapping=state):
                    return self._model(images)

            self._compiled = jax.jit(run)
        outputs = self._compiled([variable.value for variable in self._variables], images)
        return tree.map_structure(np.asarray, outputs)

    def _call_torch(self, images):
        import torch

        from keras_pose.prediction_torch import record

        with torch.no_grad():
            images = keras.ops.convert_to_tensor(images)
            versions = [
                (variable.value.data_ptr(), variable.value._version) for variable in self._variables
            ]
            if versions != self._versions:
                self._versions, self._traced = versions, {}
            key = (tuple(images.shape), images.dtype)
            if key not in self._traced:
                # The first batch of a kind runs as it is: many are the last of their kind.
                self._traced[key] = None
                outputs = self._model(images)
            else:
                if self._traced[key] is None:
                    self._traced[key] = record(self._model, images)
                outputs = self._traced[key](images)
            return tree.map_structure(keras.ops.convert_to_numpy, outputs)
