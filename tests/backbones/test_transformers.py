import gzip
import json

import keras
import numpy as np
import pytest
from keras import ops

from keras_pose.backbones import (
    PyramidVisionTransformer,
    SwinTransformer,
    UniFormer,
    VisionTransformer,
)
from keras_pose.backbones.swin_transformer import PatchMerging
from keras_pose.checkpoints.mmpose import translate_part
from keras_pose.layers import DropPath, skip_initialization
from keras_pose.layers.naming import state_dict

TINY = {"embed_dims": 8, "num_layers": 3, "num_heads": 2, "feedforward_channels": 16}


@pytest.mark.parametrize(
    ("config", "network"),
    [
        (
            "td-hm_ViTPose-small_8xb64-210e_coco-256x192",
            lambda: VisionTransformer("small"),
        ),
        (
            "td-hm_swin-t-p4-w7_8xb32-210e_coco-256x192",
            lambda: SwinTransformer(out_indices=(3,)),
        ),
        ("td-hm_pvt-s_8xb64-210e_coco-256x192", PyramidVisionTransformer),
        ("td-hm_pvtv2-b2_8xb64-210e_coco-256x192", lambda: PyramidVisionTransformer(2)),
        ("td-hm_uniformer-s-8xb128-210e_coco-256x192", UniFormer),
    ],
    ids=["vit", "swin", "pvt", "pvt_v2", "uniformer"],
)
def test_defaults_have_the_names_of_published_checkpoints(golden, config, network):
    with gzip.open(golden / f"models/keys/{config}.json.gz") as file:
        published = {row[0]: tuple(row[1]) for row in json.load(file)}
    with skip_initialization():
        net = network()
        net.build((None, 256, 192, 3))
    ours = {f"backbone.{name}": array.shape for name, array in state_dict(net).items()}
    assert ours == {
        name: shape
        for name, shape in published.items()
        if name.startswith("backbone.")
        and not name.endswith(("num_batches_tracked", "relative_position_index"))
    }


def rates(layer):
    return [each.rate for each in layer._flatten_layers() if isinstance(each, DropPath)]


@pytest.mark.parametrize(
    "network",
    [
        lambda: VisionTransformer({**TINY, "num_layers": 5}, drop_path_rate=0.4),
        lambda: SwinTransformer(4, (1, 2, 1, 1), (1, 2, 2, 4), drop_path_rate=0.4),
        lambda: PyramidVisionTransformer(2, 4, (1, 2, 1, 1), drop_path_rate=0.4),
        lambda: UniFormer((1, 2, 1, 1), (4, 4, 4, 4), 4, drop_path_rate=0.4),
    ],
    ids=["vit", "swin", "pvt", "uniformer"],
)
def test_deeper_blocks_are_dropped_more_often(network):
    np.testing.assert_allclose(sorted(rates(network())), [0, 0.1, 0.2, 0.3, 0.4])


def test_blocks_that_nobody_reads_are_not_built():
    assert len(VisionTransformer(TINY, out_indices=(0, 1)).layers) == 2
    assert len(SwinTransformer(6, out_indices=(0,)).stages) == 1
    assert len(PyramidVisionTransformer(1, 4, out_indices=(1,)).layers) == 2


def test_only_the_last_map_is_normalised():
    net = VisionTransformer(TINY, (32, 32), out_indices=(1, 2))
    x = np.random.default_rng(0).standard_normal((1, 32, 32, 3)).astype("f4")
    middle, last = (ops.convert_to_numpy(each) for each in net(x))
    assert np.abs(last.std(-1) - 1).max() < 0.02
    assert np.abs(middle.std(-1) - 1).max() > 0.1


def test_merged_patches_are_ordered_channel_by_channel():
    layer = PatchMerging(4)
    layer.build((None, 3, 2, 2))
    layer.reduction.kernel.assign(np.eye(8)[:, :4])
    x = np.random.default_rng(0).standard_normal((1, 3, 2, 2)).astype("f4")
    actual = ops.convert_to_numpy(layer(x))
    assert actual.shape == (1, 2, 1, 4)
    values = x[0, :2].transpose(2, 0, 1).reshape(-1)  # channel, row, column
    expected = (values - values.mean()) / np.sqrt(values.var() + 1e-5)
    np.testing.assert_allclose(actual[0, 0, 0], expected[:4], rtol=0, atol=1e-5)


def test_the_dataset_index_chooses_the_expert():
    images = np.random.default_rng(0).standard_normal((1, 32, 32, 3)).astype("f4")
    networks = [
        VisionTransformer(
            TINY, (32, 32), num_experts=2, expert_channels=3, dataset_index=i, final_norm=False
        )
        for i in (0, 1)
    ]
    for net in networks:
        net.build((None, 32, 32, 3))
    networks[1].set_weights(networks[0].get_weights())
    first, second = (ops.convert_to_numpy(net(images)[0]) for net in networks)
    assert np.abs(first - second).max() > 1e-4
    for net in networks:
        for layer in net.layers:
            layer.ffn.experts[1].set_weights(layer.ffn.experts[0].get_weights())
    first, second = (ops.convert_to_numpy(net(images)[0]) for net in networks)
    np.testing.assert_array_equal(first, second)


def test_images_of_another_size_are_refused():
    net = VisionTransformer(TINY, (64, 32))
    with pytest.raises(ValueError, match="positions for images of 64x32 pixels, got 32x64"):
        net(keras.KerasTensor((None, 32, 64, 3)))


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (lambda: VisionTransformer("tiny"), 'arch must be one of small, base, .*, got "tiny"'),
        (lambda: VisionTransformer({"embed_dims": 8}), "arch must have the keys embed_dims, num"),
        (lambda: VisionTransformer(TINY, out_indices=(3,)), r"out_indices must lie in 0\.\.2"),
        (
            lambda: VisionTransformer(TINY, num_experts=2, expert_channels=2, dataset_index=2),
            r"dataset_index must lie in 0\.\.1, got 2",
        ),
        (lambda: VisionTransformer(TINY, num_experts=2), r"expert_channels must lie in 1\.\.7"),
        (lambda: SwinTransformer(out_indices=(4,)), r"out_indices must lie in 0\.\.3"),
        (lambda: SwinTransformer(depths=(2, 2)), "depths and num_heads must be equally long"),
        (lambda: PyramidVisionTransformer(3), "version must be 1 or 2, got 3"),
        (lambda: PyramidVisionTransformer(sr_ratios=(1,)), "sr_ratios must have 4 entries"),
        (lambda: PyramidVisionTransformer(out_indices=()), r"out_indices must lie in 0\.\.3"),
        (lambda: UniFormer(depths=(1, 2)), "depths must have 4 entries"),
        (lambda: UniFormer(head_dim=50), "head_dim must divide the widths"),
    ],
)
def test_what_cannot_be_built_is_refused(network, message):
    with pytest.raises(ValueError, match=message):
        network()


PUBLISHED = {
    "type": "mmpretrain.VisionTransformer",
    "arch": "huge",
    "img_size": [256, 192],
    "patch_size": 16,
    "with_cls_token": False,
    "out_type": "featmap",
    "patch_cfg": {"padding": 2},
}


def test_mmpretrains_settings_are_translated():
    settings = translate_part({**PUBLISHED, "out_indices": -1})["config"]
    assert settings == {
        "arch": "huge",
        "image_size": [256, 192],
        "patch_size": 16,
        "patch_padding": 2,
        "out_indices": [-1],
    }


def test_mmpretrains_defaults_hold_where_a_config_is_silent():
    config = {**PUBLISHED, "type": "mmcls.VisionTransformer", "arch": "deit-s"}
    config["output_cls_token"] = False
    del config["patch_cfg"], config["img_size"], config["out_type"]
    settings = translate_part(config)["config"]
    assert settings["arch"] == {
        "embed_dims": 384,
        "num_layers": 12,
        "num_heads": 6,
        "feedforward_channels": 1536,
    }
    assert (settings["image_size"], settings["patch_padding"]) == ([224, 224], 0)


@pytest.mark.parametrize("missing", ["with_cls_token", "out_type"])
def test_a_class_token_is_refused(missing):
    config = {key: value for key, value in PUBLISHED.items() if key != missing}
    with pytest.raises(ValueError, match=f"{missing}=.* has no counterpart"):
        translate_part(config)


@pytest.mark.parametrize(
    ("kind", "setting"),
    [
        ("SwinTransformer", {"use_abs_pos_embed": True}),
        ("PyramidVisionTransformer", {"use_conv_ffn": True}),
        ("PyramidVisionTransformerV2", {"norm_after_stage": False}),
        ("UniFormer", {"use_window": True}),
        ("mmpretrain.VisionTransformer", {**PUBLISHED, "patch_cfg": {"bias": False}}),
    ],
)
def test_settings_without_counterpart_are_refused(kind, setting):
    with pytest.raises(ValueError, match="has no counterpart here"):
        translate_part({**setting, "type": kind})
