"""Every neck: a row each."""

import pytest

from keras_pose.necks import CenterNetNeck, CSPNeXtPAFPN, SeparableFPN

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
