"""What the codecs of one-stage networks share, against the reference and the host's suppression."""

import numpy as np
import pytest
from keras import ops

from keras_pose.codecs.priors import (
    clip_to_input,
    decode_boxes,
    decode_offsets,
    encode_boxes,
    flattened,
    prior_points,
)
from keras_pose.codecs.suppression import best_boxes
from keras_pose.geometry import box_nms

# Network, levels' strides, whether priors are centred, threshold.
ENTRIES = {
    "yoloxpose_tiny_4xb64-300e_coco-416": ((8, 16, 32), False, 0.01),
    "rtmo-s_8xb32-600e_coco-640x640": ((16, 32), True, 0.1),
}


@pytest.fixture(scope="module", params=ENTRIES)
def entry(request, golden):
    arrays = np.load(golden / "models_bottomup" / f"{request.param}.npz")
    strides, centred, threshold = ENTRIES[request.param]

    def rows(name):
        maps = [arrays[f"head.{name}.{i}"].transpose(0, 2, 3, 1) for i in range(len(strides))]
        return ops.convert_to_numpy(flattened([ops.convert_to_tensor(each) for each in maps]))

    shapes = [arrays[f"head.cls.{i}"].shape[2:] for i in range(len(strides))]
    priors = ops.convert_to_numpy(prior_points(shapes, strides, centred))
    return arrays, priors, rows, threshold


def test_priors_are_those_of_the_reference(entry):
    arrays, priors, _, _ = entry
    np.testing.assert_array_equal(priors, arrays["priors"][:, :3])


def test_people_are_those_of_the_reference(entry, compiled):
    arrays, priors, rows, threshold = entry
    score = 1 / (1 + np.exp(-rows("cls")[..., 0]))
    if "head.obj.0" in arrays:
        score = score / (1 + np.exp(-rows("obj")[..., 0]))

    def people(deltas, scores, priors):
        boxes = decode_boxes(deltas, priors)
        return boxes, *best_boxes(boxes, scores, threshold, 0.65, candidates=200, slots=100)

    boxes, index, scores = compiled(people)(rows("bbox"), score, priors)
    for image in (0, 1):
        step = f"step.{image}."
        filtered = arrays[step + "filter_index"]
        np.testing.assert_allclose(boxes[image, filtered], arrays[step + "nms_boxes"], atol=1e-3)
        kept = arrays[step + "nms_keep"]
        assert (scores[image] > 0).sum() == len(kept)
        np.testing.assert_array_equal(index[image, : len(kept)], filtered[kept])
        expected = arrays[step + "filter_scores"][kept]
        np.testing.assert_allclose(scores[image, : len(kept)], expected, rtol=1e-5)


def test_suppression_is_that_of_the_host(compiled):
    random = np.random.default_rng(0)
    corners = random.uniform(0, 60, (3, 200, 2))
    boxes = np.concatenate([corners, corners + random.uniform(20, 60, (3, 200, 2))], axis=-1)
    boxes, scores = boxes.astype("f4"), random.uniform(0, 1, (3, 200)).astype("f4")
    run = compiled(lambda b, s: best_boxes(b, s, 0.2, 0.5, candidates=200, slots=40))
    index, found = run(boxes, scores)
    for image in range(3):
        sure = np.flatnonzero(scores[image] > 0.2)
        kept = sure[box_nms(boxes[image, sure], scores[image, sure], 0.5)][:40]
        np.testing.assert_array_equal(index[image][found[image] > 0], kept)
        np.testing.assert_array_equal(found[image][: len(kept)], scores[image, kept])


def test_of_too_many_the_surest_stay(compiled):
    corners = np.arange(8, dtype="f4")[:, None] * [100, 0]
    boxes = np.concatenate([corners, corners + 50], axis=-1)[None].astype("f4")
    scores = np.linspace(0.1, 0.8, 8, dtype="f4")[None]
    index, found = compiled(lambda b, s: best_boxes(b, s, 0.0, candidates=5, slots=3))(
        boxes, scores
    )
    assert index.tolist() == [[7, 6, 5]]
    np.testing.assert_allclose(found, [[0.8, 0.7, 0.6]], rtol=1e-6)


def test_nobody_leaves_all_slots_empty(compiled):
    boxes = np.zeros((2, 4, 4), "f4")
    index, found = compiled(lambda b, s: best_boxes(b, s, 0.5, slots=6))(
        boxes, np.full((2, 4), 0.4, "f4")
    )
    assert index.shape == (2, 6)
    assert not found.any()


def test_boxes_without_area_are_taken_once(compiled):
    boxes, scores = np.ones((1, 3, 4), "f4"), np.array([[0.9, 0.8, 0.7]], "f4")
    index, found = compiled(lambda b, s: best_boxes(b, s, 0.5, slots=4))(boxes, scores)
    assert index[0, :3].tolist() == [0, 1, 2]
    np.testing.assert_allclose(found, [[0.9, 0.8, 0.7, 0]])


def test_boxes_and_their_codes_are_inverse():
    priors = prior_points([(4, 6), (2, 3)], (8, 16))
    random = np.random.default_rng(0)
    corners = random.uniform(0, 20, (2, 30, 2))
    boxes = np.concatenate([corners, corners + random.uniform(5, 20, (2, 30, 2))], axis=-1)
    boxes = ops.convert_to_tensor(boxes.astype("f4"))
    back = decode_boxes(encode_boxes(boxes, priors), priors)
    np.testing.assert_allclose(
        ops.convert_to_numpy(back), ops.convert_to_numpy(boxes), rtol=0, atol=1e-4
    )


@pytest.mark.parametrize("centred", [False, True])
def test_boxes_end_at_the_input(centred):
    priors = prior_points([(4, 6), (2, 3)], (8, 16), centred)[None]
    boxes = ops.convert_to_tensor(np.array([[[-5, 3, 60, 70]]], "f4"))
    found = ops.convert_to_numpy(clip_to_input(boxes, priors))
    assert found.tolist() == [[[0, 3, 48, 32]]]


def test_offsets_are_counted_in_strides_from_the_prior():
    priors = prior_points([(1, 2)], (8,))
    offsets = ops.convert_to_tensor(np.array([[[1, 2, 0, 0], [0, 0, -1, 0.5]]], "f4"))
    found = ops.convert_to_numpy(decode_offsets(offsets, priors))
    assert found.tolist() == [[[[8, 16], [0, 0]], [[8, 0], [0, 4]]]]


def test_settings_that_make_no_sense_are_refused():
    boxes, scores = ops.zeros((1, 2, 4)), ops.zeros((1, 2))
    with pytest.raises(ValueError, match="candidates and slots must be at least 1, got 512 and 0"):
        best_boxes(boxes, scores, 0.1, slots=0)
    with pytest.raises(ValueError, match="score_threshold must be at least 0, got -1"):
        best_boxes(boxes, scores, -1)
    with pytest.raises(ValueError, match="2 levels of maps for the strides"):
        prior_points([(1, 1), (2, 2)], (8,))
