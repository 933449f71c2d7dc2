"""CSPNeXt and CSPDarknet: names, sizes and the reference's values."""

import gzip
import importlib
import json

import keras
import numpy as np
import pytest

from keras_pose.backbones import CSPDarknet, CSPNeXt
from keras_pose.backbones.csp import Focus
from keras_pose.layers import skip_initialization
from keras_pose.layers.naming import load_state_dict, state_dict

TINY_RTMO = "rtmo-t_8xb32-600e_body7-416x416"


def _shapes(path, prefix="backbone."):
    with gzip.open(path) as file:
        published = {row[0]: tuple(row[1]) for row in json.load(file)}
    return {
        name.removeprefix(prefix): shape
        for name, shape in published.items()
        if name.startswith(prefix) and "num_batches_tracked" not in name
    }


@pytest.mark.parametrize(
    ("make", "keys"),
    [
        (
            lambda: CSPNeXt("P5", 0.167, 0.375),
            "models/keys/rtmpose-t_8xb256-420e_coco-256x192.json.gz",
        ),
        (lambda: CSPDarknet("P5", 0.33, 0.375), f"models_bottomup/keys/{TINY_RTMO}.json.gz"),
    ],
    ids=["cspnext", "cspdarknet"],
)
def test_names_are_those_of_published_checkpoints(golden, make, keys):
    with skip_initialization():
        net = make()
        net.build((None, 64, 64, 3))
    ours = {name: array.shape for name, array in state_dict(net).items()}
    assert ours == _shapes(golden / keys)


@pytest.mark.parity
def test_cspdarknet_equals_the_reference(golden, goldens, monkeypatch):
    monkeypatch.syspath_prepend(golden)
    recipe = importlib.import_module("weights_extra")
    models = golden / "models_bottomup"
    entries = json.loads((models / "index.json").read_text("utf-8"))["models"]
    entry = next(entry for entry in entries if entry["config"] == TINY_RTMO)
    with gzip.open(models / entry["keys"]) as file:
        state = recipe.golden_state(json.load(file), entry["salt"], None, entry["adjust"])
    arrays = np.load(models / entry["file"])
    width, height = entry["input_size"]
    images = recipe.golden_images(entry["image_seed"], 2, height, width)
    inputs = keras.Input((height, width, 3))
    with skip_initialization():
        net = CSPDarknet("P5", 0.33, 0.375)
        model = keras.Model(inputs, net(inputs))
    prefix = "backbone."
    load_state_dict(
        net, {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
    )
    maps = model.predict_on_batch(images[: entry["batch"]].astype("f4"))
    for i, map_ in enumerate(maps):
        name = f"backbone.{i}"
        found = goldens.compare(arrays, name, np.transpose(map_, (0, 3, 1, 2)))
        assert found["relative"] < max(1e-4, 20 * entry["f32_err"][name])


def test_the_last_stage_pools_and_does_not_add():
    net = CSPNeXt("P6", 0.34, 0.0625, out_indices=(5,))
    assert [len(getattr(net, f"stage{i}")) for i in range(1, 6)] == [2, 2, 2, 2, 3]
    assert [len(getattr(net, f"stage{i}")[-1].blocks) for i in range(1, 6)] == [1, 2, 2, 1, 1]
    assert net.stage4[-1].blocks[0]._add and not net.stage5[-1].blocks[0]._add


def test_architectures_may_be_rows():
    rows = [(32, 64, 3, False, False), [64, 96, 2, True, True]]
    net = CSPNeXt(rows, 1.0, 0.125, out_indices=(2,))
    maps = net(keras.KerasTensor((None, 32, 32, 3)))
    assert [map_.shape for map_ in maps] == [(None, 4, 4, 12)]
    assert (len(net.stage1[-1].blocks), len(net.stage2[-1].blocks)) == (3, 2)


def test_focus_takes_the_pixels_of_a_square_column_by_column():
    layer = Focus(4, {"activation": None})
    layer.build((None, 4, 4, 1))
    kernel = np.zeros((3, 3, 4, 4), "f4")
    kernel[1, 1] = np.eye(4)
    layer.conv.conv.kernel.assign(kernel)
    image = np.arange(16, dtype="f4").reshape(1, 4, 4, 1)
    values = keras.ops.convert_to_numpy(layer(image))
    np.testing.assert_allclose(values[0, 0, 1], [2, 6, 3, 7], rtol=1e-4)


def test_kernels_start_as_pytorchs_do():
    """Uniform between +-1 / sqrt(inputs of one output), of which depthwise ones have few."""
    net = CSPNeXt("P5", 0.1, 0.25, out_indices=(1,))
    net.build((None, 32, 32, 3))
    block = net.stage1[-1].blocks[0].conv2
    for conv, inputs in ((block.depthwise_conv.conv, 25), (block.pointwise_conv.conv, 16)):
        kernel = keras.ops.convert_to_numpy(conv.kernel)
        assert 0.9 / inputs**0.5 < np.abs(kernel).max() <= 1 / inputs**0.5


@pytest.mark.parametrize("out_indices", [(5,), (-1,), ()])
def test_an_unknown_stage_is_refused(out_indices):
    with pytest.raises(ValueError, match=r"out_indices must lie in 0\.\.4"):
        CSPNeXt(out_indices=out_indices)


def test_an_unknown_architecture_is_refused():
    with pytest.raises(ValueError, match=r"arch must be rows or one of \['P5', 'P6'\], got 'P7'"):
        CSPDarknet("P7")
