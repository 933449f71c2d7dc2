"""What the reference's values of MSRAHeatmap do not cover; see test_reference.py for those."""

import numpy as np
import pytest

from keras_pose.codecs import MSRAHeatmap


# Quotients must be whole where they should be, whatever a compiler makes of the division.
@pytest.mark.parametrize("width", [3, 7, 24, 46, 48, 49, 56, 72, 80, 96])
def test_every_place_is_decoded(compiled, width):
    size = (width, 5)
    codec = MSRAHeatmap(size, size)
    maps = np.eye(5 * width, dtype="f4").reshape(1, 5 * width, 5, width).transpose(0, 2, 3, 1)
    decoded = compiled(codec.decode)({"heatmaps": maps})["keypoints"][0, 0]
    y, x = np.divmod(np.arange(5 * width), width)
    np.testing.assert_array_equal(decoded, np.stack([x, y], -1))


def test_weights_are_those_of_the_labels_times_the_extra_ones(compiled):
    codec = MSRAHeatmap((32, 32), (8, 8))
    labels = {
        "keypoints": np.float32([[[[8, 8], [8, 8], [900, 8]]]]),
        "visible": np.float32([[[1, 0, 1]]]),
        "weights": np.float32([[[0.5, 0.5, 0.5]]]),
    }
    np.testing.assert_array_equal(compiled(codec.encode)(labels)["weights"], [[0.5, 0, 0]])


def test_a_flipped_flip_is_the_original_where_nothing_shifts(compiled):
    codec = MSRAHeatmap((32, 32), (8, 8), shift_flipped=False)
    maps = np.random.default_rng(0).random((2, 8, 8, 3), np.float32)
    twice = compiled(lambda outputs: codec.flip(codec.flip(outputs, [0, 2, 1]), [0, 2, 1]))
    np.testing.assert_array_equal(twice({"heatmaps": maps})["heatmaps"], maps)


def test_unbiased_maps_are_decoded_to_the_keypoints_themselves(compiled):
    codec = MSRAHeatmap((96, 64), (24, 16), unbiased=True)
    keypoints = np.random.default_rng(0).uniform((20, 20), (70, 40), (4, 1, 5, 2)).astype("f4")
    labels = {"keypoints": keypoints, "visible": np.ones((4, 1, 5), "f4")}
    decoded = compiled(lambda labels: codec.decode(codec.encode(labels)))(labels)
    np.testing.assert_allclose(decoded["keypoints"], keypoints, rtol=0, atol=0.05)


def test_a_blur_needs_a_middle():
    with pytest.raises(ValueError, match="odd size, got 10"):
        MSRAHeatmap((96, 64), (24, 16), blur_kernel_size=10)
