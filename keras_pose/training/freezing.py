"""Parts of a model that do not learn, or keep their statistics."""

from collections.abc import Iterator, Sequence

import keras

from keras_pose.layers import BatchNormalization
from keras_pose.layers.naming import named_variables
from keras_pose.training.schedule import unknown


def freeze(model: keras.Model, parts: Sequence[str]) -> None:
    """Excludes parts of a model from training, before it is compiled.

    Their normalisation works with the stored statistics, as in inference.

    Args:
        model: a built model.
        parts: names of layers as in a checkpoint, such as "backbone.layer1" (all below it).

    Raises:
        ValueError: if there is no such part, with the nearest ones.
    """
    for part in parts:
        for layer in _owners(model, part):
            layer.trainable = False


def keep_statistics(model: keras.Model, parts: Sequence[str]) -> None:
    """Lets batch normalisation use its stored statistics in training; scale and bias still learn.

    Args:
        model: a built model.
        parts: names of layers as in a checkpoint, such as "backbone" (all below it).

    Raises:
        ValueError: if there is no such part, or no batch normalisation in it.
    """
    for part in parts:
        norms = [layer for layer in _owners(model, part) if isinstance(layer, BatchNormalization)]
        if not norms:
            raise ValueError(f"{part!r} has no batch normalisation whose statistics could be kept")
        for norm in norms:
            norm.frozen_statistics = True


def _owners(model, part: str) -> Iterator[keras.layers.Layer]:
    """The layers with variables at or below a name."""
    found, names = [], set()
    for path, (layer, _) in named_variables(model).items():
        owner = path.rpartition(".")[0]
        words = owner.split(".")
        names |= {".".join(words[: i + 1]) for i in range(len(words))}
        if f"{owner}.".startswith(f"{part}."):
            found.append(layer)
    if not found:
        raise ValueError(f"the model lacks a part: {unknown('name', part, names)}")
    return found
