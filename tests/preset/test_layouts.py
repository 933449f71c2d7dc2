"""Weights of the zoo's networks: the names and shapes that MMPose's own have."""

import gzip
import json
import lzma

import numpy as np
import pytest

from keras_pose.layers import skip_initialization
from keras_pose.layers.naming import checkpoint_name, load_state_dict, named_variables
from keras_pose.preset import conversion, zoo

# Larger ones are compared where whole models are.
LARGEST = 6e6


def _small():
    """The names of rows, one of each small architecture."""
    names = [name for name in zoo.fingerprints() if zoo.row(name).parameters < LARGEST]
    return sorted(names, key=lambda name: zoo.row(name).parameters)


@pytest.fixture(scope="module")
def layouts(shared):
    """{config: names and shapes of its state dict}."""
    rows = json.loads(gzip.decompress((shared / "zoo/zoo.json.gz").read_bytes()))["rows"]
    with lzma.open(shared / "zoo/state_dicts.json.xz") as file:
        stored = json.load(file)
    return {row["id"]: stored[row["params"]["state_dict"]] for row in rows if row["params"]}


@pytest.mark.parametrize("name", _small())
def test_names_and_shapes_are_those_of_the_reference(layouts, name):
    row = zoo.row(name)
    with skip_initialization():
        model = conversion.build(state_dict=None, **row.settings())
    shapes = {}
    for path, (layer, variable) in named_variables(model).items():
        key, axes = checkpoint_name(path, layer)
        shape = tuple(variable.shape)
        shapes[key] = tuple(shape[i] for i in axes) if axes else shape
    layout = layouts[row.config]
    assert shapes == {key: tuple(shape) for key, shape, _ in layout if key in shapes}
    # What is left over are constants, which loading knows.
    load_state_dict(model, {key: np.zeros(shape, "f4") for key, shape, _ in layout})
