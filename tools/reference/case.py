"""What every comparison of a model with the reference values shares."""

import gzip
import importlib.util
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from keras import ops

from keras_pose.layers.naming import checkpoint_name, named_variables


@dataclass
class Difference:
    """How far one array is from the reference, in the unit that `unit` names."""

    name: str
    value: float
    limit: float
    unit: str

    @property
    def small(self) -> bool:
        return bool(self.value <= self.limit)


class Case:
    """One model of the reference values: its settings, weights and expected arrays.

    Args:
        golden: the folder of reference values.
        folder: of the models' index inside it.
        entry: what the index says about the model.
    """

    def __init__(self, golden: Path, folder: str, entry: dict):
        self.golden, self.entry = golden, entry
        self.goldens = load_module(golden / "goldens.py")
        self.recipe = load_module(golden / entry.get("recipe", "weights.py"))
        with gzip.open(golden / folder / entry["keys"]) as file:
            keys = json.load(file)
        adjust = [None, entry["adjust"]] if entry.get("adjust") else []
        self.state = self.recipe.golden_state(keys, entry["salt"], *adjust)
        self.arrays = np.load(golden / folder / entry["file"])

    def estimator(self) -> keras.Model:
        """The model with the reference's weights."""
        raise NotImplementedError

    def differences(self, estimator) -> Iterator[Difference]:
        """Every check of one model; the last ones may change it."""
        raise NotImplementedError

    def part(self, place: str) -> Iterator[Difference]:
        """The outputs of the backbone or the neck alone."""
        raise ValueError(f"the {place} of {self.entry['config']} is compared with the rest only")

    def compare(self, name, actual, limit) -> Difference:
        """An array in the reference's layout, in deviations of the reference's values."""
        if name in self.entry.get("stats_only", ()):
            # Of some maps only mean, deviation, least and largest value are stored.
            actual = np.asarray(actual, np.float64)
            statistics = actual.mean(), actual.std(), actual.min(), actual.max()
            expected = self.arrays[f"{name}__stats"]
            worst = np.abs(np.array(statistics) - expected).max() / expected[1]
            return Difference(name, worst, limit, "std (statistics)")
        found = self.goldens.compare(self.arrays, name, actual)
        return Difference(name, found["relative"], limit, "std")

    def limit(self, name) -> float:
        """1e-4 of the deviation, or 20 times the reference's own float32 error."""
        return max(1e-4, 20 * self.entry["f32_err"].get(name, 0.0))

    def maps(self, values, name) -> Iterator[Difference]:
        """A nested list of maps, whose names join the positions in it."""
        if isinstance(values, list | tuple):
            for i, value in enumerate(values):
                yield from self.maps(value, f"{name}.{i}")
        else:
            yield self.compare(name, channels_first(values), self.limit(name))

    def loss(self, terms: dict, wanted: dict, prefix: str, limit: float) -> Iterator[Difference]:
        """The terms of a loss; those with an entry for each instance are their mean."""
        wanted = {name: value for name, value in wanted.items() if _is_term(name)}
        if set(terms) != set(wanted):
            raise ValueError(f"the loss has the terms {sorted(terms)}, not {sorted(wanted)}")
        for name, value in terms.items():
            value = float(np.mean(ops.convert_to_numpy(value)))
            relative = abs(value - wanted[name]) / abs(wanted[name])
            yield Difference(f"{prefix}.{name}", relative, limit, "relative")

    def gradients(self, estimator, inputs, targets, keys, limit) -> Iterator[Difference]:
        """Gradients of the sum of the loss terms with respect to weights, in evaluation mode."""
        names = state_dict_names(estimator)
        variables = [names[key][0] for key in keys]
        gradients = gradients_of(estimator, inputs, targets, variables)
        for key, gradient in zip(keys, gradients, strict=True):
            axes = names[key][1]
            gradient = gradient.transpose(axes) if axes else gradient
            yield self.compare(f"grad.{key}", gradient, limit)


def _is_term(name: str) -> bool:
    """Whether an entry of the stored losses is a term, not a measure beside it."""
    return "loss" in name and not name.startswith("stage2.")


def state_dict_names(model) -> dict:
    """{checkpoint name: (variable, axes from Keras' layout to the checkpoint's)}."""
    names = {}
    for path, (layer, variable) in named_variables(model).items():
        name, axes = checkpoint_name(path, layer)
        names[name] = (variable, axes)
    return names


def gradients_of(estimator, inputs, targets: dict, variables) -> list[np.ndarray]:
    """Gradients of the sum of the head's loss terms, in evaluation mode."""

    def loss(outputs):
        outputs = {key: ops.cast(value, "float32") for key, value in outputs.items()}
        return sum(ops.mean(term) for term in estimator.head.compare(targets, outputs).values())

    if keras.backend.backend() == "torch":
        estimator.zero_grad()
        loss(estimator(ops.convert_to_tensor(inputs), training=False)).backward()
        return [variable.value.grad.cpu().numpy() for variable in variables]
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            value = loss(estimator(ops.convert_to_tensor(inputs), training=False))
        return [g.numpy() for g in tape.gradient(value, [v.value for v in variables])]
    import jax

    trained = [variable.value for variable in estimator.trainable_variables]
    fixed = [variable.value for variable in estimator.non_trainable_variables]

    places = [*estimator.trainable_variables, *estimator.non_trainable_variables]

    def run(trained, inputs):
        # Losses run through layers, too.
        with keras.StatelessScope(zip(places, [*trained, *fixed], strict=True)):
            return loss(estimator(inputs, training=False))

    found = jax.jit(jax.grad(run))(trained, inputs)
    by_id = {id(v): g for v, g in zip(estimator.trainable_variables, found, strict=True)}
    return [np.asarray(by_id[id(variable)]) for variable in variables]


def tensors(arrays: dict) -> dict:
    """Tensors of arrays."""
    return {key: ops.convert_to_tensor(value) for key, value in arrays.items()}


def channels_first(value) -> np.ndarray:
    """Maps `(B, h, w, C)` in the reference's layout; other arrays as they are."""
    value = np.asarray(value)
    return value.transpose(0, 3, 1, 2) if value.ndim == 4 else value


def load_module(path: Path):
    """A module of the reference values, which may import its neighbours."""
    spec = importlib.util.spec_from_file_location(f"golden_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(path.parent))
    return module
