"""Every neck: a row each."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_pose.necks import (
    FPN,
    YOLOXPAFPN,
    CenterNetNeck,
    ChannelMapper,
    CSPNeXtPAFPN,
    FeatureMapProcessor,
    GlobalAveragePooling,
    HybridEncoder,
    PoseWarperNeck,
    SeparableFPN,
)

# The layer, its inputs' shapes and its outputs', fine to coarse.
NECKS = {
    "separable_fpn": (
        lambda: SeparableFPN((6, 10, 10), (4, 6)),
        [(8, 12, 3), (4, 6, 5), (2, 3, 7)],
        [(8, 12, 4)],
    ),
    "centernet_neck": (
        lambda: CenterNetNeck((4, 8, 12), (5, 6), (3, 2)),
        [(8, 12, 4), (4, 6, 8), (2, 3, 12)],
        [(8, 12, 8)],
    ),
    "cspnext_pafpn": (
        lambda: CSPNeXtPAFPN((4, 6, 8), out_indices=(1, 2), blocks=1),
        [(8, 12, 4), (4, 6, 6), (2, 3, 8)],
        [(4, 6, 6), (2, 3, 8)],
    ),
    "cspnext_pafpn_of_one_width": (
        lambda: CSPNeXtPAFPN((4, 6), 5, (0, 1), blocks=1, separable=True),
        [(8, 12, 4), (4, 6, 6)],
        [(8, 12, 5), (4, 6, 5)],
    ),
    "yolox_pafpn": (
        lambda: YOLOXPAFPN((4, 6, 8), 6, blocks=1),
        [(8, 12, 4), (4, 6, 6), (2, 3, 8)],
        [(8, 12, 6), (4, 6, 6), (2, 3, 6)],
    ),
    "global_average_pooling": (
        lambda: GlobalAveragePooling(),
        [(8, 12, 3), (4, 6, 5)],
        [(3,), (5,)],
    ),
    "feature_map_processor": (
        lambda: FeatureMapProcessor([2, 0], concat=True, scale_factor=2, apply_relu=True),
        [(8, 12, 3), (4, 6, 5), (2, 3, 7)],
        [(4, 6, 10)],
    ),
    "fpn": (
        lambda: FPN(3, 4, 4, start_level=1),
        [(8, 12, 3), (4, 6, 5), (2, 3, 7)],
        [(4, 6, 4), (2, 3, 4), (1, 2, 4), (1, 1, 4)],
    ),
    "fpn_with_extra_convolutions": (
        lambda: FPN(
            3,
            4,
            5,
            add_extra_convs="on_lateral",
            relu_before_extra_convs=True,
            norm="batch",
            no_norm_on_lateral=True,
            activation="relu",
        ),
        [(8, 12, 3), (4, 6, 5), (2, 4, 7)],
        [(8, 12, 4), (4, 6, 4), (2, 4, 4), (1, 2, 4), (1, 1, 4)],
    ),
    "channel_mapper": (
        lambda: ChannelMapper(2, 4, norm="batch"),
        [(8, 12, 3), (4, 6, 5)],
        [(8, 12, 4), (4, 6, 4)],
    ),
    "channel_mapper_with_groups": (
        lambda: ChannelMapper(2, 4, 1, 4, norm="group", norm_groups=2, activation=None),
        [(8, 12, 3), (4, 6, 5)],
        [(8, 12, 4), (4, 6, 4), (2, 3, 4), (1, 2, 4)],
    ),
    "hybrid_encoder": (
        lambda: HybridEncoder(3, 8, 2, 12, 2, 0.4, 0.5, (1, 2), 6),
        [(8, 12, 3), (4, 6, 5), (2, 3, 7)],
        [(4, 6, 6), (2, 3, 6)],
    ),
    "hybrid_encoder_without_projector": (
        lambda: HybridEncoder(2, 4, 1, 8, out_indices=(0, 1), dropout_rate=0.1),
        [(4, 6, 5), (2, 3, 7)],
        [(4, 6, 4), (2, 3, 4)],
    ),
    "pose_warper_neck": (
        lambda: PoseWarperNeck(4, 6, (0.5, 0.0, 0.25), 2, (1, 2), num_blocks=2),
        [(6, 5, 3)] * 3,
        [(6, 5, 4)],
    ),
}
every_neck = pytest.mark.parametrize("name", NECKS)


@every_neck
def test_values(parts, name):
    make, inputs, outputs = NECKS[name]
    parts.check_values(make(), inputs, outputs)


@every_neck
def test_storing(parts, name, tmp_path):
    parts.check_storing(NECKS[name][0](), NECKS[name][1], tmp_path / "a.weights.h5")


@every_neck
def test_half_precision(parts, name):
    parts.check_half_precision(NECKS[name][0], NECKS[name][1], "float16")


@every_neck
def test_training(parts, name):
    parts.check_training(NECKS[name][0](), NECKS[name][1])


def test_a_pyramid_needs_one_smoothing_less_than_levels():
    with pytest.raises(ValueError, match="one entry less than lateral_channels"):
        SeparableFPN((8, 8), (8, 8))


def test_the_centernet_neck_needs_one_lateral_less_than_levels():
    with pytest.raises(ValueError, match="lateral_channels and upsample_channels must"):
        CenterNetNeck((4, 8, 12), (5, 6, 7), (3, 2))


@pytest.mark.parametrize("out_indices", [(3,), (-1,), ()])
def test_an_unknown_level_of_the_cspnext_pyramid_is_refused(out_indices):
    with pytest.raises(ValueError, match=r"out_indices must lie in 0\.\.2"):
        CSPNeXtPAFPN((4, 6, 8), out_indices=out_indices)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"out_indices": (3,)}, r"out_indices must lie in 0\.\.2, got \(3,\)"),
        ({"hidden": 6}, "hidden must be a multiple of 4, got 6"),
        ({"heads": 3}, "heads must divide the 256 channels, got 3"),
    ],
)
def test_hybrid_encoders_that_do_not_fit_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        HybridEncoder(**settings)


def test_a_pyramid_makes_further_maps_of_the_last_output():
    maps = [np.random.default_rng(0).standard_normal((1, 4, 4, 3)).astype("f4")]
    outputs = [ops.convert_to_numpy(x) for x in FPN(1, 2, 3)(maps)]
    np.testing.assert_array_equal(outputs[1], outputs[0][:, ::2, ::2])
    np.testing.assert_array_equal(outputs[2], outputs[1][:, ::2, ::2])


@pytest.mark.parametrize("source", ["on_input", "on_lateral", "on_output"])
def test_a_pyramid_makes_further_maps_of_another(source):
    neck = FPN(1, 3, 2, add_extra_convs=source)
    maps = [np.random.default_rng(0).standard_normal((1, 4, 4, 3)).astype("f4")]
    outputs = neck(maps)
    sources = {
        "on_input": maps[0],
        "on_lateral": neck.lateral_convs[0](maps[0]),
        "on_output": outputs[0],
    }
    expected, actual = (
        ops.convert_to_numpy(x) for x in (neck.fpn_convs[1](sources[source]), outputs[1])
    )
    np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_outputs": 2}, "levels 0 to -1 of 3 do not fit 2 outputs"),
        ({"num_outputs": 3, "start_level": 2, "end_level": 1}, "levels 2 to 1 of 3"),
        ({"num_outputs": 4, "add_extra_convs": "on_top"}, "must be False or one of on_input"),
    ],
)
def test_pyramids_that_do_not_fit_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        FPN(3, 4, **settings)


def test_the_pyramid_needs_all_its_maps():
    with pytest.raises(ValueError, match="reads 3 maps, got 1"):
        FPN(3, 4, 3)([keras.KerasTensor((None, 4, 4, 3))])


def test_the_channel_mapper_makes_no_fewer_maps():
    with pytest.raises(ValueError, match="num_outputs must be num_inputs or more, got 1 and 2"):
        ChannelMapper(2, 4, num_outputs=1)


def test_the_channel_mapper_knows_its_normalisations():
    with pytest.raises(ValueError, match='"batch", "group" or None, got \'layer\''):
        ChannelMapper(2, 4, norm="layer")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"select_index": 2}, "select_index 2 does not fit 2 maps"),
        ({"scale_factor": 0.5}, r"scale_factor 0.5 does not fit maps of \(5, 4\)"),
        ({"scale_factor": 0}, "scale_factor must be above 0"),
    ],
)
def test_the_feature_map_processor_refuses_what_does_not_fit(settings, message):
    maps = [keras.KerasTensor((None, 5, 4, 3)), keras.KerasTensor((None, 3, 2, 3))]
    with pytest.raises(ValueError, match=message):
        FeatureMapProcessor(**settings)(maps)
