import gzip
import json

import keras
import pytest

from keras_pose.backbones import MobileNetV2, MobileNetV3
from keras_pose.layers import skip_initialization
from keras_pose.layers.naming import state_dict

BLOCK = (3, 8, 8, 0, "relu", 1)


def test_mobilenet_v2_has_the_names_of_published_checkpoints(golden):
    path = golden / "models/keys/simcc_mobilenetv2_wo-deconv-8xb64-210e_coco-256x192.json.gz"
    with gzip.open(path) as file:
        published = {row[0]: tuple(row[1]) for row in json.load(file)}
    with skip_initialization():
        net = MobileNetV2()
        net.build((None, 256, 192, 3))
    ours = {f"backbone.{name}": array.shape for name, array in state_dict(net).items()}
    assert ours == {
        name: shape
        for name, shape in published.items()
        if name.startswith("backbone.") and "num_batches_tracked" not in name
    }


def test_mobilenet_v2_ends_in_a_wide_map():
    with skip_initialization():
        maps = MobileNetV2(0.25, out_indices=(6, 7))(keras.KerasTensor((None, 64, 32, 3)))
    assert [map_.shape for map_ in maps] == [(None, 2, 1, 80), (None, 2, 1, 1280)]


def test_widths_are_rounded_to_eights_but_not_far_down():
    net = MobileNetV2(0.35)
    assert net.conv1.conv.filters == 16  # 11.2 would be 8, a loss of more than a tenth
    assert net.layer4[0].conv[2].conv.filters == 24  # 22.4


@pytest.mark.parametrize("out_indices", [(8,), (-1,), ()])
def test_an_unknown_stage_is_refused(out_indices):
    with pytest.raises(ValueError, match=r"out_indices must lie in 0\.\.7"):
        MobileNetV2(out_indices=out_indices)


@pytest.mark.parametrize("name", ["layer3", "conv2", "layer1.conv"])
def test_an_unknown_output_is_refused(name):
    with pytest.raises(ValueError, match=f"outputs names '{name}'; there are layer1, layer1.exp"):
        MobileNetV3([BLOCK, BLOCK], outputs=("layer1", name))
