"""Any Keras model as a backbone: keras.applications, KerasHub, keras-cv, or one's own."""

from collections.abc import Sequence

import keras

from keras_pose.layers import Composite, component, serialized


@keras.saving.register_keras_serializable(package="keras_pose")
class KerasBackbone(Composite):
    """Feature maps of a Keras model that is made of inputs and outputs.

    Args:
        model: `keras.Model` from images `(B, H, W, 3)`, or its config.
        levels: names of the maps to return, fine to coarse: pyramid levels as KerasHub and
            keras-cv name them ("P3"), or names of layers of the model. Default: its outputs.

    Returns:
        List of maps `(B, h, w, C)`.

    Raises:
        ValueError: if the model is not made of inputs and outputs, or has no such level.

    Example:

    ```python
    network = keras.applications.MobileNetV3Small(
        input_shape=(256, 192, 3), include_top=False, include_preprocessing=False
    )
    estimator = keras_pose.TopdownEstimator(
        keras_pose.backbones.KerasBackbone(network),
        keras_pose.heads.HeatmapHead(17, keras_pose.codecs.MSRAHeatmap((192, 256), (48, 64))),
    )
    ```
    """

    def __init__(self, model, levels: Sequence[str] | None = None, **kwargs):
        super().__init__(**kwargs)
        model = component(model)
        if not isinstance(model, keras.Model) or not hasattr(model, "inputs") or not model.inputs:
            raise ValueError(
                "model must be a keras.Model made of inputs and outputs, got a "
                f"{type(model).__name__}"
            )
        if levels is not None:
            if isinstance(levels, str) or not levels:
                raise ValueError(f"levels must be a list of names, got {levels!r}")
            model = keras.Model(model.inputs, [_level(model, name) for name in levels])
        self.model = model

    def call(self, x, training=None):
        maps = self.model(x, training=training)
        if isinstance(maps, dict):
            return list(maps.values())
        return list(maps) if isinstance(maps, list | tuple) else [maps]

    def get_config(self):
        # The model ends at the levels already.
        return {**super().get_config(), "model": serialized(self.model)}


def _level(model, name):
    """The map of a level: KerasHub keeps its tensor, keras-cv the name of its layer."""
    pyramid = getattr(model, "pyramid_outputs", {})
    if name in pyramid:
        return pyramid[name]
    layers = getattr(model, "pyramid_level_inputs", {})
    names = [layer.name for layer in model.layers]
    layer = layers.get(name, name)
    if layer not in names:
        known = [*pyramid, *layers] or names[-5:]
        raise ValueError(
            f"model {model.name!r} has no level or layer {name!r}; it has {', '.join(known)}"
        )
    return model.get_layer(layer).output
