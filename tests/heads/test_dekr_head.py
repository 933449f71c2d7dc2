"""DEKR's head; whole networks are compared with the reference by a tool."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_pose.codecs import SPR
from keras_pose.heads import DEKRHead, PoseRescorer
from keras_pose.heads.dekr_head import AdaptiveBlock
from keras_pose.layers import Conv2D

INPUTS = [(8, 12, 5)]
OUTPUTS = {"heatmaps": (8, 12, 4), "displacements": (8, 12, 6)}
DECODED = {"keypoints": (7, 3, 2), "scores": (7, 3), "boxes": (7, 4), "box_scores": (7,)}


def _head(judged=True):
    rescorer = PoseRescorer([(0, 1), (1, 2)], (0, 1), 8) if judged else None
    return DEKRHead(3, SPR(max_people=7), None, 6, 2, rescorer)


def test_values(parts):
    parts.check_values(_head(), INPUTS, OUTPUTS)


def test_storing(parts, tmp_path):
    parts.check_storing(_head(), INPUTS, tmp_path / "a.weights.h5")


def test_half_precision(parts):
    parts.check_half_precision(_head, INPUTS, "float32")


def test_training(parts):
    parts.check_training(_head(), INPUTS)


@pytest.mark.parametrize("judged", [True, False])
def test_the_codec_decodes_what_the_head_tells_of_instances(parts, compiled, judged):
    head = _head(judged)
    head.build([(None, *shape) for shape in INPUTS])
    decode = compiled(lambda outputs: head.codec.decode(head.instances(outputs)))
    decoded = decode(parts.random_inputs(OUTPUTS))
    assert {name: value.shape for name, value in decoded.items()} == {
        name: (2, *shape) for name, shape in DECODED.items()
    }


def test_grids_that_stay_make_a_plain_convolution():
    random = np.random.default_rng(0)
    maps = random.standard_normal((1, 5, 6, 4)).astype("f4")
    block = AdaptiveBlock(4, 2)
    block.build((None, 5, 6, 4))
    matrices = block.transform_matrix_conv
    matrices.set_weights([np.zeros_like(weight) for weight in matrices.get_weights()])
    plain = Conv2D(4, 3, padding=1, groups=2, use_bias=False)
    plain.build((None, 5, 6, 4))
    plain.set_weights(block.adapt_conv.get_weights())
    maps = ops.convert_to_tensor(maps)
    expected = ops.relu(block.norm(plain(maps)) + maps)
    found = ops.convert_to_numpy(block(maps))
    np.testing.assert_allclose(found, ops.convert_to_numpy(expected), atol=1e-5)


@pytest.mark.parametrize(("entry", "step"), [(2, (1, 0)), (5, (0, 1))])
def test_the_last_column_of_a_matrix_moves_the_grid(entry, step):
    """By whole pixels: rows for the first line of the matrix, columns for the second."""
    maps = np.random.default_rng(0).standard_normal((1, 6, 7, 2)).astype("f4")
    block = AdaptiveBlock(2, 1)
    block.build((None, 6, 7, 2))
    matrices = block.transform_matrix_conv
    weights = [np.zeros_like(weight) for weight in matrices.get_weights()]
    moved = np.roll(maps, -np.array(step), (1, 2))
    results = []
    for image, shift in ((maps, 1), (moved, 0)):
        weights[1][entry] = shift
        matrices.set_weights(weights)
        inside = block.adapt_conv(image, block.offsets(ops.convert_to_tensor(image)))
        results.append(ops.convert_to_numpy(inside)[:, 1:-2, 1:-2])
    np.testing.assert_allclose(*results, atol=1e-5)


def test_links_of_the_unit_are_links():
    with pytest.raises(ValueError, match=r"indices of the 2 links, got \[0, 2\]"):
        PoseRescorer([(0, 1), (1, 2)], (0, 2))


def test_lengths_count_relative_to_the_unit(compiled):
    rescorer = PoseRescorer([(0, 1), (1, 2)], (0, 1), 4)
    rescorer.build((None, 1, 3))
    random = np.random.default_rng(0)
    rescorer.set_weights([random.standard_normal(w.shape) for w in rescorer.get_weights()])
    points = random.uniform(0, 50, (1, 2, 3, 2)).astype("f4")
    scores = random.uniform(0, 1, (1, 2, 3)).astype("f4")
    judge = compiled(lambda points, scores: rescorer(points, scores))
    moved = judge(points * 3 + 7, scores)
    np.testing.assert_allclose(judge(points, scores), moved, rtol=1e-4, atol=1e-5)
    assert np.ptp(moved) > 0


def test_defaults_are_those_of_the_paper():
    head = DEKRHead(17)
    assert head.codec.sigma == (4, 2)
    assert head.loss_module.terms == ("loss/heatmap", "loss/displacement")
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(head))
    assert copy.loss_module.displacement_loss.loss_weight == 0.002
