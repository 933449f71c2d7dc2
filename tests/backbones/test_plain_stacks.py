import keras
import pytest

from keras_pose.backbones import VGG, AlexNet
from keras_pose.layers import skip_initialization
from keras_pose.layers.naming import state_dict


def _shapes(net, *size):
    with skip_initialization():
        net.build((None, *size, 3))
    return {name: array.shape for name, array in state_dict(net).items()}


@pytest.mark.parametrize(
    ("depth", "numbers"),
    [
        (11, [0, 2, 4, 5, 7, 8, 10, 11]),
        (13, [0, 1, 3, 4, 6, 7, 9, 10, 12, 13]),
        (16, [0, 1, 3, 4, 6, 7, 8, 10, 11, 12, 14, 15, 16]),
        (19, [0, 1, 3, 4, 6, 7, 8, 9, 11, 12, 13, 14, 16, 17, 18, 19]),
    ],
)
def test_numbers_of_vgg_count_the_maxima(depth, numbers):
    shapes = _shapes(VGG(depth, base_channels=2), 32, 32)
    assert set(shapes) == {f"features.{i}.conv.{k}" for i in numbers for k in ("weight", "bias")}
    assert shapes[f"features.{numbers[-1]}.conv.weight"] == (16, 16, 3, 3)


def test_vgg_keeps_biases_before_normalisations():
    shapes = _shapes(VGG(11, norm="batch", out_indices=(0,)), 32, 32)
    assert shapes == {
        "features.0.conv.weight": (64, 3, 3, 3),
        "features.0.conv.bias": (64,),
        **{f"features.0.bn.{key}": (64,) for key in ("weight", "bias")},
        **{f"features.0.bn.{key}": (64,) for key in ("running_mean", "running_var")},
    }


@pytest.mark.parametrize(
    ("settings", "size"),
    [({}, (1, 1)), ({"ceil_mode": True}, (2, 2)), ({"with_last_pool": False}, (3, 3))],
)
def test_the_last_map_of_vgg(settings, size):
    [map_] = VGG(11, base_channels=1, **settings)(keras.KerasTensor((None, 50, 50, 3)))
    assert map_.shape == (None, *size, 8)


def _alexnet():
    return AlexNet((4, 4, 4, 4, 8))


def test_alexnet_does_what_every_backbone_does(parts, tmp_path):
    image = (64, 96, 3)  # the table's images are too small for it
    parts.check_values(_alexnet(), image, [(1, 2, 8)])
    parts.check_storing(_alexnet(), image, tmp_path / "a.weights.h5")
    parts.check_half_precision(_alexnet, image, "float16")
    parts.check_training(_alexnet(), image)


def test_numbers_of_alexnet_count_activations_and_maxima():
    shapes = _shapes(AlexNet(), 256, 192)
    assert {name: shape for name, shape in shapes.items() if name.endswith("weight")} == {
        "features.0.weight": (64, 3, 11, 11),
        "features.3.weight": (192, 64, 5, 5),
        "features.6.weight": (384, 192, 3, 3),
        "features.8.weight": (256, 384, 3, 3),
        "features.10.weight": (256, 256, 3, 3),
    }
    assert len(shapes) == 10


def test_alexnet_starts_from_uniform_numbers():
    net = AlexNet((8, 8, 8, 8, 8))
    net.build((None, 64, 64, 3))
    limit = (5 * 5 * 8) ** -0.5
    kernel, bias = (keras.ops.convert_to_numpy(w) for w in net.features[3].weights)
    assert 0.95 * limit < abs(kernel).max() <= limit
    assert 0 < abs(bias).max() <= limit


def test_settings_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="depth must be one of"):
        VGG(12)
    with pytest.raises(ValueError, match=r"out_indices must lie in 0\.\.4, got \(5,\)"):
        VGG(out_indices=(5,))
    with pytest.raises(ValueError, match="norm must be"):
        VGG(norm="layer")
    with pytest.raises(ValueError, match=r"widths must be five numbers, got \(8, 8\)"):
        AlexNet((8, 8))
