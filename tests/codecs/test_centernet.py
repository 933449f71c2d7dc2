import numpy as np

from keras_pose.codecs import CenterNetCodec


def _maps(peaks, size=(6, 8), classes=3):
    heat = np.full((1, *size, classes), -9, "f4")
    sides = np.zeros((1, *size, 4), "f4")
    for (y, x, kind), logit, distances in peaks:
        heat[0, y, x, kind] = logit
        sides[0, y, x] = distances
    return {"heatmaps": heat, "sides": sides}


def test_peaks_become_boxes_best_first(compiled):
    peaks = [((1, 2, 0), 1.0, (2, 3, 4, 5)), ((5, 7, 2), 3.0, (1, 1, 0, 0))]
    decoded = compiled(CenterNetCodec(stride=4, max_detections=2).decode)(_maps(peaks))
    np.testing.assert_array_equal(decoded["boxes"][0], [[27, 19, 28, 20], [6, 1, 12, 9]])
    np.testing.assert_array_equal(decoded["classes"][0], [2, 0])
    np.testing.assert_allclose(decoded["scores"][0], 1 / (1 + np.exp([-3, -1])), rtol=1e-5)


def test_what_is_lower_than_a_neighbour_is_no_peak(compiled):
    peaks = [((2, 2, 1), 2.0, (1, 1, 1, 1)), ((3, 3, 1), 1.0, (1, 1, 1, 1))]
    decoded = compiled(CenterNetCodec(4, 2).decode)(_maps(peaks))
    assert decoded["scores"][0, 0] > 0.8 and decoded["scores"][0, 1] < 0.01


def test_classes_do_not_suppress_each_other(compiled):
    peaks = [((2, 2, 1), 2.0, (1, 1, 1, 1)), ((2, 3, 0), 1.0, (1, 1, 1, 1))]
    decoded = compiled(CenterNetCodec(4, 2).decode)(_maps(peaks))
    np.testing.assert_array_equal(decoded["classes"][0], [1, 0])
    assert decoded["scores"][0].min() > 0.7
