"""Names of old checkpoints, against those that MMPose 1.x gives them."""

import gzip
import json

import numpy as np
import pytest

from keras_pose.checkpoints.mmpose import current_names
from keras_pose.checkpoints.state_dict import StateDict


def _renamed(names, versions=None, head=None):
    """{old name: new name} of names that stay."""
    arrays = {name: np.array(i) for i, name in enumerate(names)}
    found = current_names(StateDict(arrays, versions), head)
    return {names[int(value)]: name for name, value in found.items()}


def test_names_become_those_of_the_reference(golden, shared):
    rows = json.loads(gzip.decompress((shared / "zoo/zoo.json.gz").read_bytes()))["rows"]
    models = {row["config"]: row.get("model") or {} for row in rows}
    for config, pairs in json.loads((golden / "models/legacy_keys.json").read_text()).items():
        expected = {old: new for old, new in pairs.items() if new is not None}
        # One by one, because old and current names of one layer stand beside each other there;
        # with all those of the list of convolutions, whose length decides.
        convolutions = [name for name in pairs if name.startswith("keypoint_head.final_layer.")]
        for old in pairs:
            names = (
                [old] if old.startswith("head.") else list({old: 0} | dict.fromkeys(convolutions))
            )
            got = _renamed(names, head=models[config]["head"])
            assert got.get(old) == expected.get(old), config


def test_convolutions_before_the_last_one_get_a_list_of_their_own():
    names = [f"keypoint_head.final_layer.{i}" for i in ("0.weight", "1.running_var", "3.bias")]
    assert list(_renamed(names).values()) == [
        "head.conv_layers.0.weight",
        "head.conv_layers.1.running_var",
        "head.final_layer.bias",
    ]


def test_names_of_version_2_stay():
    names = ["head.final_layer.0.weight", "head.loss.a", "backbone.keypoint_head.a"]
    assert list(_renamed(names, {"": 2, "head": 2}).values()) == names
    assert list(_renamed(names, {"": 1, "head": 1}).values()) == [
        *("head.final_layer.weight", "head.loss_module.a", "backbone.head.a")
    ]


INTEGRAL = {"type": "DSNTHead", "in_channels": 2048}


@pytest.mark.parametrize(
    ("head", "stem"),
    [
        (INTEGRAL, "head.simplebaseline_head."),
        ({**INTEGRAL, "deconv_out_channels": None}, "head."),
        ({"type": "HeatmapHead"}, "head."),
    ],
)
def test_heads_that_integrate_heatmaps_contain_their_head(head, stem):
    names = ["head.deconv_layers.0.weight", "head.final_layer.weight", "head.linspace_x"]
    assert list(_renamed(names, {"": 2, "head": 2}, head).values()) == [
        *(f"{stem}deconv_layers.0.weight", f"{stem}final_layer.weight", "head.linspace_x")
    ]


def test_the_normalisation_of_images_is_left_out():
    names = ["data_preprocessor.mean", "data_preprocessor.std", "backbone.mean"]
    assert list(_renamed(names, {"": 2}).values()) == ["backbone.mean"]


def test_the_wrapper_of_training_on_several_devices_is_taken_off():
    names = ["module.backbone.a", "module.keypoint_head.loss.b"]
    assert list(_renamed(names).values()) == ["backbone.a", "head.loss_module.b"]
    assert list(_renamed(["module.head.loss.b"], {"module": 2, "module.head": 2}).values()) == [
        "head.loss.b"
    ]
    names = ["module.keypoint_head.a"]
    assert list(_renamed(names, {"": 1, "module": 2}).values()) == ["keypoint_head.a"]
    assert list(_renamed(["module.a", "b"]).values()) == ["module.a", "b"]
