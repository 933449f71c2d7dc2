"""What every layer made of layers shares: building, numbered containers, serialisation."""

import keras


def symbolic(shape, dtype=None):
    """KerasTensors for one shape `(None, H, W, C)`, or for a list of shapes."""
    if shape and isinstance(shape[0], list | tuple):
        return [symbolic(one, dtype) for one in shape]
    return keras.KerasTensor(shape, dtype=dtype or keras.config.floatx())


class Composite(keras.layers.Layer):
    """A layer made of layers; `build` runs `call` on symbolic tensors, which builds them all.

    Keras' own default builds nothing for such layers, so that weights could not be loaded into
    them before the first call.
    """

    def build(self, input_shape):
        self.call(symbolic(input_shape, self.compute_dtype))
        self.built = True

    def compute_output_spec(self, *args, **kwargs):
        return self.call(*args, **kwargs)


class Stack(Composite):
    """Layers one after the other, held under the attributes "0", "1", ... as checkpoints name them.

    Args:
        layers: list of layers. Layers without weights count as well, so that the numbers agree
            with a checkpoint's.
    """

    def __init__(self, layers=(), **kwargs):
        super().__init__(**kwargs)
        self._length = 0
        for layer in layers:
            self.append(layer)
        self.built = True

    def append(self, layer):
        setattr(self, str(self._length), layer)
        self._length += 1

    def call(self, x, training=None):
        for layer in self:
            x = layer(x, training=training) if layer._call_has_training_arg else layer(x)
        return x

    def __len__(self):
        return self._length

    def __getitem__(self, index):
        return getattr(self, str(range(self._length)[index]))

    def __iter__(self):
        return (self[i] for i in range(self._length))

    def __dir__(self):
        # PyTorch's modules hide names that begin with a digit, and Keras saves what dir() shows.
        return [*super().__dir__(), *map(str, range(self._length))]


def component(value):
    """A component from itself or from its Keras config dict; None stays None."""
    if isinstance(value, dict):
        return keras.saving.deserialize_keras_object(value)
    return value


def serialized(value):
    """The config dict of a component, for `get_config`."""
    return None if value is None else plain(keras.saving.serialize_keras_object(value))


def plain(value):
    """A Keras config with lists in the place of Keras' verbose form of tuples."""
    if isinstance(value, dict):
        if value.get("class_name") == "__tuple__":
            return [plain(item) for item in value["items"]]
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value
