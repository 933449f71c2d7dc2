"""Settings of MMPose's networks of many resolutions that have no counterpart here."""

import copy
import json

import pytest

from keras_pose.checkpoints.mmpose import translate_part


@pytest.fixture(scope="module")
def models(golden):
    entries = json.loads((golden / "models/index.json").read_text("utf-8"))["models"]
    names = {
        "hrnet": "td-hm_hrnet-w32_8xb64-210e_coco-256x192",
        "hrformer": "td-hm_hrformer-small_8xb32-210e_coco-256x192",
        "litehrnet": "td-hm_litehrnet-18_8xb64-210e_coco-256x192",
        "mspn": "td-hm_mspn50_8xb32-210e_coco-256x192",
    }
    by_config = {entry["config"]: entry["model"] for entry in entries}
    return {name: by_config[config] for name, config in names.items()}


@pytest.mark.parametrize(
    ("name", "path", "value", "message"),
    [
        ("hrnet", "extra.stage1.num_channels", [32], "stage 1 is not 64 channels of BOTTLENECK"),
        ("hrnet", "extra.stage3.block", "BOTTLENECK", "stage 3 is not 3 branches of BASIC"),
        ("hrnet", "extra.stage2.num_blocks", [4, 3], r"different num_blocks \[4, 3\]"),
        ("hrnet", "extra.stage2.num_channels", [32, 48], r"num_channels change from \[32, 48\]"),
        ("hrformer", "extra.with_rpe", False, "with_rpe=False"),
        ("hrformer", "extra.with_pad_mask", True, "with_pad_mask=True"),
        ("hrformer", "extra.stage2.window_sizes", [7, 5], r"window_sizes \[5, 7\]"),
        ("hrformer", "extra.stage2.num_heads", [2, 2], r"num_heads change from \[2, 2\]"),
        ("litehrnet", "extra.stages_spec.module_type", ["NAIVE"] * 3, "module_type 'NAIVE'"),
        ("litehrnet", "extra.stages_spec.num_blocks", [2, 2, 1], "different num_blocks"),
        ("mspn", "num_units", 3, "num_blocks must have 3 entries"),
        ("mspn", "res_top_channels", 32, "res_top_channels=32"),
    ],
)
def test_other_backbones_are_refused(models, name, path, value, message):
    config = copy.deepcopy(models[name]["backbone"])
    *parents, last = path.split(".")
    target = config
    for parent in parents:
        target = target[parent]
    target[last] = value
    with pytest.raises(ValueError, match=message):
        translate_part(config, "backbone")


def test_heatmaps_of_another_size_than_the_decoders_are_refused(models):
    head = {**models["mspn"]["head"], "out_shape": [32, 24]}
    with pytest.raises(ValueError, match=r"out_shape \[32, 24\] does not fit heatmap_size"):
        translate_part(head, "head")


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (
            {"type": "FPN", "in_channels": [3, 4], "out_channels": 8, "num_outs": 3},
            {"num_inputs": 2, "num_outputs": 3, "norm": None, "activation": None},
        ),
        (
            {
                "type": "FPN",
                "in_channels": [3],
                "add_extra_convs": True,
                "norm_cfg": {"type": "BN"},
            },
            {"num_inputs": 1, "add_extra_convs": "on_input", "norm": "batch", "activation": None},
        ),
        (
            {"type": "ChannelMapper", "in_channels": [3, 4], "out_channels": 8},
            {"num_inputs": 2, "norm": None, "activation": "relu"},
        ),
        (
            {
                "type": "ChannelMapper",
                "in_channels": [3],
                "norm_cfg": {"type": "GN", "num_groups": 4},
                "act_cfg": None,
            },
            {"num_inputs": 1, "norm": "group", "norm_groups": 4, "activation": None},
        ),
        (
            {"type": "PoseWarperNeck", "in_channels": 32, "trans_conv_kernel": -1},
            {"transfer_kernel": None, "num_blocks": 20},
        ),
    ],
)
def test_necks_without_a_published_model(config, expected):
    settings = translate_part(config, "neck")["config"]
    assert {key: settings[key] for key in expected} == expected
