"""Codecs around other codecs, and RegressionLabel's single instance."""

import numpy as np
import pytest

from keras_pose.codecs import (
    MegviiHeatmap,
    MSRAHeatmap,
    MultilevelHeatmap,
    RegressionLabel,
    UDPHeatmap,
    WithVisibility,
)

SIZE, CELLS = (32, 24), (8, 6)
LEVELS = [MegviiHeatmap(SIZE, CELLS, kernel) for kernel in (5, 3, 1)]


def _labels(instances=1):
    random = np.random.default_rng(0)
    keypoints = random.uniform(4, 20, (2, instances, 3, 2)).astype("f4")
    visible = np.ones((2, instances, 3), "f4")
    visible[0, :, 1] = 0
    return {"keypoints": keypoints, "visible": visible}


def test_levels_are_those_of_their_codecs_and_the_last_one_decodes(compiled):
    codec = MultilevelHeatmap(LEVELS)
    targets = compiled(codec.encode)(_labels())
    first, second, last = (compiled(level.encode)(_labels()) for level in LEVELS)
    np.testing.assert_array_equal(targets["heatmaps"], last["heatmaps"])
    np.testing.assert_array_equal(targets["weights"], last["weights"])
    expected = np.stack([first["heatmaps"], second["heatmaps"]], axis=1)
    np.testing.assert_array_equal(targets["intermediate_heatmaps"], expected)
    decoded = compiled(codec.decode)(targets)["keypoints"]
    np.testing.assert_array_equal(decoded, compiled(LEVELS[-1].decode)(last)["keypoints"])


def test_intermediate_maps_are_flipped_too(compiled):
    codec, order = MultilevelHeatmap(LEVELS), [0, 2, 1]
    maps = np.random.default_rng(0).random((2, 3, 6, 8, 3), np.float32)
    outputs = {"heatmaps": maps[:, -1], "intermediate_heatmaps": maps[:, :-1]}
    flipped = compiled(lambda outputs: codec.flip(outputs, order))(outputs)
    expected = maps[:, :, :, ::-1][..., order]
    np.testing.assert_array_equal(flipped["intermediate_heatmaps"], expected[:, :-1])
    np.testing.assert_array_equal(flipped["heatmaps"], expected[:, -1])


def test_one_level_has_no_intermediate_maps(compiled):
    codec = MultilevelHeatmap(LEVELS[:1])
    assert set(compiled(codec.encode)(_labels())) == {"heatmaps", "weights"}


@pytest.mark.parametrize("codecs", [[], [MSRAHeatmap(SIZE, CELLS), MSRAHeatmap(SIZE, (4, 3))]])
def test_levels_must_have_one_size(codecs):
    with pytest.raises(ValueError, match="codecs of one input_size and heatmap_size"):
        MultilevelHeatmap(codecs)


def test_visibility_is_learnt_from_the_weights_and_decoded(compiled):
    codec = WithVisibility(UDPHeatmap(SIZE, CELLS, "combined"))
    assert (codec.input_size, codec.heatmap_size) == (SIZE, CELLS)
    assert codec.maps_per_keypoint == 3
    targets = compiled(codec.encode)(_labels())
    np.testing.assert_array_equal(targets["visibility"], [[1, 0, 1], [1, 1, 1]])
    decoded = compiled(codec.decode)(targets)
    np.testing.assert_array_equal(decoded["visible"], targets["visibility"][:, None])
    flipped = compiled(lambda outputs: codec.flip(outputs, [0, 2, 1]))(
        {key: targets[key] for key in ("heatmaps", "visibility")}
    )
    np.testing.assert_array_equal(flipped["visibility"], [[1, 1, 0], [1, 1, 1]])


def test_regression_refuses_several_instances(compiled):
    with pytest.raises(ValueError, match="one instance per image, got 2"):
        compiled(RegressionLabel(SIZE).encode)(_labels(2))


def test_regression_weighs_by_the_extra_weights(compiled):
    labels = {**_labels(), "weights": np.full((2, 1, 3), 0.5, "f4")}
    weights = compiled(RegressionLabel(SIZE).encode)(labels)["weights"]
    np.testing.assert_array_equal(weights, [[0.5, 0, 0.5], [0.5, 0.5, 0.5]])
