"""A variable's attribute path is its checkpoint name: the one converter for every architecture."""

import re
from collections.abc import Iterator, Mapping

import keras
import numpy as np

# By layer kind: variable name -> (name in a PyTorch checkpoint, axes from Keras' layout to its).
_CONVOLUTION = {"kernel": ("weight", (3, 2, 0, 1)), "bias": ("bias", None)}
_SCALE = {"gamma": ("weight", None), "beta": ("bias", None)}
_KINDS = [
    (
        keras.layers.DepthwiseConv2D,
        {"kernel": ("weight", (2, 3, 0, 1)), "bias": ("bias", None)},
    ),
    ((keras.layers.Conv2D, keras.layers.Conv2DTranspose), _CONVOLUTION),
    (keras.layers.Conv1D, {"kernel": ("weight", (2, 1, 0)), "bias": ("bias", None)}),
    (keras.layers.Dense, {"kernel": ("weight", (1, 0)), "bias": ("bias", None)}),
    (
        keras.layers.BatchNormalization,
        {
            **_SCALE,
            "moving_mean": ("running_mean", None),
            "moving_variance": ("running_var", None),
        },
    ),
    ((keras.layers.LayerNormalization, keras.layers.GroupNormalization), _SCALE),
]
# What PyTorch stores beside the weights and no other framework has.
_SURPLUS = re.compile(
    r"(^|\.)(num_batches_tracked|relative_position_index|regular_matrix|linspace_[xy]"
    r"|flow_model\.(loc|cov|mask))$"
)


def _children(layer) -> Iterator[tuple[str, keras.layers.Layer]]:
    """The layers that a layer holds, each with the name it has there."""
    if isinstance(layer, keras.Sequential):
        yield from ((str(i), child) for i, child in enumerate(layer.layers))
    elif isinstance(layer, keras.Function):
        # A model made of inputs and outputs knows its layers by their own names only.
        yield from ((child.name, child) for child in layer.layers)
    else:
        # Under PyTorch sub-layers are not in vars(layer) but among the module's children.
        attributes = {**vars(layer), **vars(layer).get("_modules", {})}
        for name, value in attributes.items():
            if not name.startswith("_"):
                yield from _layers_in(name, value)


def _layers_in(name, value) -> Iterator[tuple[str, keras.layers.Layer]]:
    if isinstance(value, keras.layers.Layer):
        yield name, value
    elif isinstance(value, list | tuple):
        for i, item in enumerate(value):
            yield from _layers_in(f"{name}.{i}", item)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _layers_in(f"{name}.{key}", item)


def named_variables(root: keras.layers.Layer) -> dict[str, tuple[keras.layers.Layer, object]]:
    """Every variable below a layer by its attribute path, as `{path: (owner, variable)}`.

    Paths end in the variable's own name, e.g. `backbone.layer1.0.conv1.kernel`. A layer that is
    reachable under two names is listed under the first.

    Raises:
        ValueError: if a variable belongs to a layer that is no attribute of its parent, so that it
            has no name.
    """
    found, seen = {}, set()

    def walk(layer, prefix):
        if id(layer) in seen:
            return
        seen.add(id(layer))
        for variable in layer._trainable_variables + layer._non_trainable_variables:
            found[prefix + variable.name] = (layer, variable)
        for name, child in _children(layer):
            walk(child, f"{prefix}{name}.")

    walk(root, "")
    reached = {id(variable) for _, variable in found.values()}
    nameless = [variable.path for variable in root.weights if id(variable) not in reached]
    if nameless:
        raise ValueError(f"{nameless[0]} belongs to a layer that no attribute of its parent holds")
    return found


def checkpoint_name(path: str, layer) -> tuple[str, tuple[int, ...] | None]:
    """A variable's name in a checkpoint, and the axes from Keras' layout to its, or None.

    Args:
        path: the variable's attribute path, as in `named_variables`.
        layer: the layer that owns it.
    """
    stem, _, leaf = path.rpartition(".")
    for kind, names in _KINDS:
        if isinstance(layer, kind) and leaf in names:
            name, axes = names[leaf]
            return f"{stem}.{name}" if stem else name, axes
    return path, None


def state_dict(root: keras.layers.Layer) -> dict[str, np.ndarray]:
    """The weights of a layer under the names and in the layouts of a PyTorch checkpoint."""
    arrays = {}
    for path, (layer, variable) in named_variables(root).items():
        name, axes = checkpoint_name(path, layer)
        value = keras.ops.convert_to_numpy(variable.value)
        arrays[name] = value.transpose(axes) if axes else value
    return arrays


def load_state_dict(
    root: keras.layers.Layer, arrays: Mapping[str, np.ndarray], consume: bool = False
) -> None:
    """Assigns a PyTorch checkpoint's arrays to a layer's variables by name.

    Args:
        root: a built layer or model.
        arrays: `{name: array}` in PyTorch's layouts.
        consume: bool, remove each array from `arrays`, which is a dict then, as soon as it is
            assigned: big checkpoints need less memory.

    Raises:
        ValueError: if names are missing or unused or shapes differ; it lists them.
    """
    wanted = {}
    for path, (layer, variable) in named_variables(root).items():
        name, axes = checkpoint_name(path, layer)
        wanted[name] = (variable, np.argsort(axes) if axes else None)
    _assign(wanted, arrays if consume else dict(arrays), _SURPLUS)


def load_variables(root: keras.layers.Layer, arrays: Mapping[str, np.ndarray]) -> None:
    """Assigns arrays in Keras' layouts, named by attribute path, to a layer's variables."""
    wanted = {path: (variable, None) for path, (_, variable) in named_variables(root).items()}
    _assign(wanted, dict(arrays))


def copy_fitting_variables(source, target) -> list[str]:
    """Copies every variable whose path and shape agree; returns the paths that stayed new."""
    have = named_variables(source)
    left = []
    for path, (_, variable) in named_variables(target).items():
        if path in have and tuple(have[path][1].shape) == tuple(variable.shape):
            # JAX would share the array, and training one model would delete it from the other.
            variable.assign(keras.ops.copy(have[path][1].value))
        else:
            left.append(path)
    return left


def _assign(wanted, arrays: dict, surplus: re.Pattern | None = None) -> None:
    """Assigns the arrays, which it takes out of their dict, if all of them fit."""
    unused = [name for name in arrays if name not in wanted]
    if surplus is not None:
        unused = [name for name in unused if not surplus.search(name)]
    problems = []
    for title, names in (
        ("missing", [name for name in wanted if name not in arrays]),
        ("unused", unused),
    ):
        if names:
            shown = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
            problems.append(f"{len(names)} {title}: {shown}")
    misshapen = []
    for name, (variable, axes) in wanted.items():
        if name in arrays:
            shape = _in_keras_layout(arrays[name], axes).shape
            if shape != tuple(variable.shape):
                misshapen.append(f"{name} has shape {shape}, not {tuple(variable.shape)}")
    problems += misshapen[:4]
    if len(misshapen) > 4:
        problems.append(f"{len(misshapen) - 4} more have another shape")
    if problems:
        raise ValueError("the weights do not fit the model: " + "; ".join(problems))
    for name, (variable, axes) in wanted.items():
        variable.assign(_in_keras_layout(arrays.pop(name), axes))


def _in_keras_layout(value, axes) -> np.ndarray:
    value = np.asarray(value)
    return value.transpose(axes) if axes is not None and value.ndim == len(axes) else value
