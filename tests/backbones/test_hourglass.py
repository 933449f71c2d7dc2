"""What only the convolutional pose machine and the hourglasses have."""

import keras
import numpy as np
import pytest

from keras_pose.backbones import CPM, Hourglass, HourglassAE
from keras_pose.layers.naming import state_dict

TINY = {"stage_channels": (4, 6, 8), "stage_blocks": (1, 2, 3), "stem_channels": 3}


def names(net):
    net.build((None, 32, 32, 3))
    return state_dict(net)


def test_a_single_hourglass_has_a_block_that_nothing_reads():
    """As published weights of one stack have; it does not train, since it has no gradient."""
    net = Hourglass(2, 1, feat_channels=4, **TINY)
    assert names(net)["inters.0.conv1.weight"].shape == (4, 4, 3, 3)
    assert not net.inters.trainable_weights
    maps = net(np.zeros((1, 32, 32, 3), np.float32))
    assert [tuple(x.shape) for x in maps] == [(1, 8, 8, 4)]


@pytest.mark.parametrize(("stacks", "blocks"), [(1, 1), (2, 1), (3, 2)])
def test_blocks_between_hourglasses(stacks, blocks):
    net = Hourglass(1, stacks, feat_channels=4, **TINY)
    assert len(net.inters) == blocks
    assert bool(net.inters.trainable) == (stacks > 1)


def test_hourglasses_nest():
    arrays = names(Hourglass(2, 2, feat_channels=4, **TINY))
    assert arrays["hourglass_modules.1.low2.low2.2.conv2.weight"].shape == (8, 8, 3, 3)
    # Going down the first block strides, going up the last one narrows.
    assert "hourglass_modules.0.low1.0.downsample.0.weight" in arrays
    assert arrays["hourglass_modules.0.low2.low3.1.downsample.0.weight"].shape == (6, 8, 1, 1)
    assert arrays["remap_convs.0.conv.weight"].shape == (4, 4, 1, 1)


def test_names_of_associative_embeddings_hourglass():
    net = HourglassAE(2, 2, 7, (6, 4, 8), feat_channels=6, stem_channels=(3, 5))
    shapes = {
        name: array.shape for name, array in names(net).items() if name.endswith("conv.weight")
    }
    assert shapes["stem.0.conv.weight"] == (3, 3, 7, 7)
    assert shapes["stem.4.conv.weight"] == (6, 5, 3, 3)
    assert shapes["hourglass_modules.1.0.low2.low2.conv.weight"] == (8, 8, 3, 3)
    assert shapes["hourglass_modules.0.2.conv.weight"] == (6, 6, 3, 3)
    assert shapes["out_convs.1.conv.weight"] == (7, 6, 1, 1)
    assert shapes["remap_out_convs.0.conv.weight"] == (6, 7, 1, 1)
    assert shapes["remap_feature_convs.0.conv.weight"] == (6, 6, 1, 1)
    # Without a normalisation the maps have a bias.
    assert "out_convs.0.conv.bias" in names(net)


@pytest.mark.parametrize("make", [lambda: Hourglass(2, 1, **TINY), lambda: HourglassAE(2)])
def test_images_have_to_be_halved_evenly(make):
    with pytest.raises(ValueError, match=r"multiples of 16 pixels high and wide, got \(32, 40\)"):
        make().build((None, 32, 40, 3))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Hourglass(2, stage_channels=(4, 4)), "stage_channels must have 3 numbers"),
        (lambda: Hourglass(2, stage_blocks=(1, 1)), "stage_blocks must have 3 numbers"),
        (lambda: Hourglass(num_stacks=0), "num_stacks must be at least 1, got 0"),
        (lambda: HourglassAE(0), "downsample_times must be at least 1, got 0"),
        (lambda: HourglassAE(feat_channels=8), "feat_channels must be the first of"),
        (lambda: CPM(3, 0), "num_stages must be at least 1, got 0"),
    ],
)
def test_settings_that_do_not_fit_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_pose_machine_of_one_stage_has_only_its_stem():
    net = CPM(3, 1, stem_channels=(4, 3, 5))
    maps = net(keras.KerasTensor((None, 32, 32, 3)))
    assert [x.shape for x in maps] == [(None, 4, 4, 3)]
    assert {name.split(".")[0] for name in names(net)} == {"stem"}
