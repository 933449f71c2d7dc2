import gzip
import json

import keras
import numpy as np
import pytest

from keras_pose.backbones import ResNeSt, ResNet, SCNet
from keras_pose.layers import skip_initialization
from keras_pose.layers.naming import state_dict

STAGES = ("layer1", "layer2", "layer3", "layer4")


# Table 1 of the paper.
@pytest.mark.parametrize(
    ("depth", "blocks", "width"),
    [
        (18, (2, 2, 2, 2), 1),
        (34, (3, 4, 6, 3), 1),
        (50, (3, 4, 6, 3), 4),
        (101, (3, 4, 23, 3), 4),
        (152, (3, 8, 36, 3), 4),
    ],
)
def test_depths(depth, blocks, width):
    net = ResNet(depth, base_channels=8)
    stages = [getattr(net, stage) for stage in STAGES]
    assert tuple(len(stage) for stage in stages) == blocks
    assert {stage[0].expansion for stage in stages} == {width}


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("resnetv1d50", lambda: ResNet(deep_stem=True, avg_down=True)),
        ("resnext50", lambda: ResNet(groups=32)),
        ("seresnet50", lambda: ResNet(se_ratio=16)),
        ("scnet50", SCNet),
        ("resnest50", ResNeSt),
    ],
)
def test_weights_have_the_names_of_published_checkpoints(golden, name, make):
    with gzip.open(golden / f"models/keys/td-hm_{name}_8xb64-210e_coco-256x192.json.gz") as file:
        published = {row[0]: tuple(row[1]) for row in json.load(file)}
    with skip_initialization():
        net = make()
        net.build((None, 256, 192, 3))
    ours = {f"backbone.{name}": array.shape for name, array in state_dict(net).items()}
    assert ours == {
        name: shape
        for name, shape in published.items()
        if name.startswith("backbone.") and "num_batches_tracked" not in name
    }


def test_squeeze_and_groups_go_together():
    net = ResNet(groups=8, width_per_group=2, se_ratio=16, base_channels=16, out_indices=(1,))
    with skip_initialization():
        net.build((None, 64, 32, 3))
    shapes = {name: array.shape for name, array in state_dict(net.layer2[0]).items()}
    assert shapes["conv2.weight"] == (32, 4, 3, 3)
    assert shapes["conv3.weight"] == (128, 32, 1, 1)
    assert shapes["se_layer.conv1.conv.weight"] == (8, 128, 1, 1)
    assert shapes["se_layer.conv2.conv.bias"] == (128,)


def test_dilated_stages_keep_their_size():
    net = ResNet(18, base_channels=2, strides=(1, 2, 1, 1), dilations=(1, 1, 2, 4))
    [map_] = net(keras.KerasTensor((None, 64, 32, 3)))
    assert map_.shape == (None, 8, 4, 16)


def test_style_says_which_convolution_strides():
    nets = {style: ResNet(base_channels=2, style=style) for style in ("pytorch", "caffe")}
    strides = {
        style: [conv.strides[0] for conv in (net.layer2[0].conv1, net.layer2[0].conv2)]
        for style, net in nets.items()
    }
    assert strides == {"pytorch": [1, 2], "caffe": [2, 1]}


@pytest.mark.parametrize("zero_init", [True, False])
def test_blocks_start_as_their_shortcuts(zero_init):
    net = ResNet(18, out_indices=(0,), base_channels=4, zero_init_residual=zero_init)
    block = net.layer1[1]
    x = np.random.default_rng(0).uniform(size=(1, 4, 4, 4)).astype("float32")
    assert np.array_equal(keras.ops.convert_to_numpy(block(x)), x) == zero_init


def test_kernels_start_with_the_deviation_of_their_outputs():
    net = ResNet(50, out_indices=(0,), base_channels=32)
    net.build((None, 32, 32, 3))
    kernels = [keras.ops.convert_to_numpy(block.conv2.kernel) for block in net.layer1]
    deviation = np.sqrt(2 / (3 * 3 * 32))
    np.testing.assert_allclose([kernel.std() for kernel in kernels], deviation, rtol=0.05)
    assert np.abs(kernels[1] - kernels[2]).max() > 0


def test_the_stem_is_as_wide_as_the_first_stage_unless_said():
    assert ResNet(18, base_channels=8).conv1.filters == 8
    assert ResNet(18, base_channels=8, stem_channels=12).conv1.filters == 12


def test_stages_that_nobody_reads_are_not_built():
    assert not hasattr(ResNet(18, out_indices=(0, 1)), "layer3")


@pytest.mark.parametrize("kind", [ResNet, SCNet, ResNeSt])
def test_an_unknown_depth_is_refused(kind):
    with pytest.raises(ValueError, match="depth must be one of"):
        kind(20)


@pytest.mark.parametrize("out_indices", [(4,), (-1,), ()])
def test_an_unknown_stage_is_refused(out_indices):
    with pytest.raises(ValueError, match=r"out_indices must lie in 0\.\.3"):
        ResNet(18, out_indices=out_indices)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"strides": (1, 2)}, r"strides must name every stage up to 3, got \(1, 2\)"),
        ({"dilations": (1,)}, r"dilations must name every stage up to 3, got \(1,\)"),
        ({"style": "tensorflow"}, 'style must be "pytorch" or "caffe", got "tensorflow"'),
        ({"depth": 34, "groups": 32}, "groups and se_ratio need a depth of 50 or more, got 34"),
        ({"depth": 18, "se_ratio": 16}, "groups and se_ratio need a depth of 50 or more, got 18"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        ResNet(**settings)
