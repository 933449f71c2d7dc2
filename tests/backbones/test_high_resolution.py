"""HRNet, HRFormer and LiteHRNet."""

import json

import keras
import numpy as np
import pytest
from keras import ops

from keras_pose.backbones import HRFormer, HRNet, LiteHRNet, hrformer, hrnet, litehrnet
from keras_pose.checkpoints.mmpose import translate_part
from keras_pose.layers import skip_initialization

# Ours, and a reference model of it.
PUBLISHED = {
    "w32": (HRNet, hrnet, "td-hm_hrnet-w32_8xb64-210e_coco-256x192"),
    "w48": (HRNet, hrnet, "td-hm_hrnet-w48_8xb32-210e_coco-256x192"),
    "v2_w18": (HRNet, hrnet, "td-hm_hrnetv2-w18_8xb64-60e_aflw-256x256"),
    "small": (HRFormer, hrformer, "td-hm_hrformer-small_8xb32-210e_coco-256x192"),
    "base": (HRFormer, hrformer, "td-hm_hrformer-base_8xb32-210e_coco-256x192"),
    "18": (LiteHRNet, litehrnet, "td-hm_litehrnet-18_8xb64-210e_coco-256x192"),
    "30": (LiteHRNet, litehrnet, "td-hm_litehrnet-30_8xb64-210e_coco-256x192"),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_variants_are_the_published_networks(parts, golden, name):
    kind, module, config = PUBLISHED[name]
    entries = json.loads((golden / "models/index.json").read_text("utf-8"))["models"]
    model = next(entry["model"] for entry in entries if entry["config"] == config)
    published = translate_part(model["backbone"])["config"]
    assert parts.settings(kind, **module.VARIANTS[name]) == parts.settings(kind, **published)


def test_a_branch_adds_all_branches_in_its_size():
    """Of identities and a map that is enlarged by copying."""
    identity = keras.layers.Identity
    fusion = hrnet.Fusion(
        [identity(), identity()],
        [[identity(), identity()], [keras.layers.AveragePooling2D(2), identity()]],
        "nearest",
    )
    fine = np.random.default_rng(0).standard_normal((1, 4, 2, 3)).astype("f4")
    coarse = np.random.default_rng(1).standard_normal((1, 2, 1, 3)).astype("f4")
    first, second = (ops.convert_to_numpy(x) for x in fusion([fine, coarse]))
    enlarged = coarse.repeat(2, axis=1).repeat(2, axis=2)
    np.testing.assert_allclose(first, np.maximum(fine + enlarged, 0), atol=1e-6)
    means = fine.reshape(1, 2, 2, 1, 2, 3).mean(axis=(2, 4))
    np.testing.assert_allclose(second, np.maximum(means + coarse, 0), atol=1e-6)


def test_lite_hrnet_adds_as_its_reference_does():
    """The first term of each sum twice, and the first sum in the place of branch 0."""
    fusion = litehrnet.Fusion([4, 6], blocks=0, reduction=2)
    fine = np.random.default_rng(0).standard_normal((2, 4, 4, 4)).astype("f4")
    coarse = np.random.default_rng(1).standard_normal((2, 2, 2, 6)).astype("f4")
    first, second = (ops.convert_to_numpy(x) for x in fusion([fine, coarse]))
    up = ops.convert_to_numpy(fusion.fuse_layers[0][1](coarse)).repeat(2, axis=1).repeat(2, axis=2)
    total = 2 * fine + up
    down = ops.convert_to_numpy(fusion.fuse_layers[1][0](total))
    np.testing.assert_allclose(first, np.maximum(total, 0), atol=1e-5)
    np.testing.assert_allclose(second, np.maximum(2 * down + coarse, 0), atol=1e-5)


def test_hrformer_drops_more_paths_the_deeper_a_block_is():
    with skip_initialization():
        net = HRFormer((4, 6, 8), (1, 1, 1), (1, 2), (1, 1, 2), drop_path_rate=0.4)
    rates = [
        [[block.drop_path.rate for block in branch] for branch in module.branches]
        for stage in (net.stage2, net.stage3)
        for module in stage
    ]
    # Five blocks deep: one in stage 2, twice two in stage 3; alike in all branches.
    assert rates[0] == [[0.0]] * 2
    np.testing.assert_allclose(rates[1], [[0.1, 0.2]] * 3)
    np.testing.assert_allclose(rates[2], [[0.3, 0.4]] * 3)


def test_only_the_finest_map_is_made_where_only_it_is_returned():
    net = HRNet((4, 6, 8), (1, 2), (1, 1, 1), 4)
    assert [len(module.fuse_layers) for module in net.stage3] == [3, 1]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: HRNet((4, 6), (1, 1), (1, 1)), "2 channels need 1 num_modules and 2 num_blocks"),
        (lambda: HRNet(interpolation="bicubic"), '"bilinear" or "nearest", got "bicubic"'),
        (lambda: HRFormer((4, 6), (1,), (1,), (1, 1)), "heads must name all 2 branches"),
        (lambda: HRFormer((4, 6), (1, 4), (1,), (1, 1)), "heads must divide the 6 channels, got 4"),
        (lambda: LiteHRNet((8, 16), (1, 1)), "2 channels need 1 num_modules"),
        (lambda: LiteHRNet((8, 15), (1,)), r"channels must be even, got \(8, 15\)"),
        (lambda: LiteHRNet(stem_channels=32, stem_out_channels=48), "stem_channels, an even"),
    ],
)
def test_settings_that_do_not_fit_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
