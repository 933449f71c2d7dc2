"""What the reference's values of UDPHeatmap do not cover; see test_reference.py for those."""

import numpy as np
import pytest

from keras_pose.codecs import UDPHeatmap

INPUT, MAPS = (96, 64), (24, 16)
KINDS = ["gaussian", "combined"]


def _labels(count=5):
    random = np.random.default_rng(0)
    keypoints = random.uniform((24, 24), (70, 40), (3, 1, count, 2)).astype("f4")
    return {"keypoints": keypoints, "visible": np.ones((3, 1, count), "f4")}


def _returned(compiled, codec, labels):
    return compiled(lambda labels: codec.decode(codec.encode(labels)))(labels)["keypoints"]


@pytest.mark.parametrize("kind", KINDS)
def test_decoding_is_the_inverse_of_encoding(compiled, kind):
    labels = _labels()
    codec = UDPHeatmap(INPUT, MAPS, kind, radius_factor=0.1, blur_kernel_size=3)
    returned = _returned(compiled, codec, labels)
    np.testing.assert_allclose(returned, labels["keypoints"], rtol=0, atol=0.05)


@pytest.mark.parametrize("kind", KINDS)
def test_for_plain_crops_positions_grow_as_in_the_reference(compiled, kind):
    true, grown = (
        _returned(compiled, UDPHeatmap(INPUT, MAPS, kind, plain_warp=plain), _labels())
        for plain in (False, True)
    )
    np.testing.assert_allclose(grown, true * [96 / 95, 64 / 63], rtol=1e-6)


def test_corners_of_the_input_are_corners_of_the_maps(compiled):
    keypoints = np.float32([[[[0, 0], [95, 0], [0, 63], [95, 63]]]])
    labels = {"keypoints": keypoints, "visible": np.ones((1, 1, 4), "f4")}
    maps = compiled(UDPHeatmap(INPUT, MAPS).encode)(labels)["heatmaps"]
    assert [maps[0, y, x, k] for k, (x, y) in enumerate(((0, 0), (23, 0), (0, 15), (23, 15)))] == [
        1.0
    ] * 4


def test_maps_of_other_kinds_are_refused():
    with pytest.raises(ValueError, match='heatmap_type must be "gaussian" or "combined"'):
        UDPHeatmap(INPUT, MAPS, "offset")
