"""SimOTA against the reference's assignments."""

import numpy as np
import pytest
from keras import ops

from keras_pose.codecs.priors import decode_boxes, decode_offsets, flattened, prior_points
from keras_pose.losses.assignment import SimOTAAssigner, positives, rows_of_objects

RTMO = "rtmo-s_8xb32-600e_coco-640x640"
SLOTS = 4


def _labels(arrays):
    """Labels of a batch, filled up to `SLOTS` objects."""
    names = {"keypoints": "keypoints", "visible": "keypoints_visible", "boxes": "bbox"}
    names["areas"] = "area"
    labels = {}
    for ours, theirs in names.items():
        rows = [arrays[f"target.{image}.{theirs}"] for image in (0, 1)]
        labels[ours] = np.zeros((2, SLOTS, *rows[0].shape[1:]), "f4")
        for image, row in enumerate(rows):
            labels[ours][image, : len(row)] = row
    labels["objects"] = (np.arange(SLOTS) < np.array([[3], [2]])).astype("f4")
    return labels


@pytest.fixture(scope="module")
def rtmo(golden):
    arrays = np.load(golden / "models_bottomup" / f"{RTMO}.npz")

    def rows(name):
        maps = [arrays[f"head.{name}.{i}"].transpose(0, 2, 3, 1) for i in range(2)]
        return flattened([ops.convert_to_tensor(each) for each in maps])

    priors = prior_points([(12, 16), (6, 8)], (16, 32), centred=True)
    priors = ops.zeros((2, 240, 1)) + priors
    inputs = (
        priors,
        decode_boxes(rows("bbox"), priors),
        decode_offsets(rows("kpt_offsets"), priors),
        ops.sqrt(ops.sigmoid(rows("cls")[..., 0])),
    )
    return arrays, [ops.convert_to_numpy(each) for each in inputs], _labels(arrays)


@pytest.mark.parity
def test_priors_learn_the_objects_of_the_reference(rtmo, compiled):
    arrays, inputs, labels = rtmo
    assigner = SimOTAAssigner(arrays["kept.head.loss_oks.sigmas"], use_keypoints_for_center=True)
    numbers, overlaps = compiled(assigner)(*inputs, labels)
    for image in (0, 1):
        np.testing.assert_array_equal(numbers[image], arrays[f"assign.{image}.gt_inds"])
        found = overlaps[image][arrays[f"assign.{image}.prior_index"]]
        np.testing.assert_allclose(found, arrays[f"assign.{image}.overlaps"], rtol=0, atol=1e-5)
    np.testing.assert_array_equal(numbers.reshape(-1) > 0, arrays["matched.pos_mask"])


def test_without_objects_all_is_background(rtmo, compiled):
    _, inputs, labels = rtmo
    labels = labels | {"objects": np.zeros_like(labels["objects"])}
    numbers, overlaps = compiled(SimOTAAssigner())(*inputs, labels)
    assert not numbers.any()
    assert not overlaps.any()


def _priors():
    """A row of 10 priors that all predict the first object's box."""
    priors = np.zeros((1, 10, 3), "f4")
    priors[..., 0], priors[..., 2] = np.arange(10) * 8, 8
    boxes = np.tile(np.array([0, -10, 80, 10], "f4"), (1, 10, 1))
    return priors, boxes


def _one(boxes, keypoints, visible=1.0):
    boxes, keypoints = np.array([boxes], "f4"), np.array([keypoints], "f4")
    return {
        "boxes": boxes,
        "keypoints": keypoints,
        "visible": np.full(keypoints.shape[:3], visible, "f4"),
        "areas": np.full(boxes.shape[:2], 100, "f4"),
        "objects": np.ones(boxes.shape[:2], "f4"),
    }


def test_an_object_gets_as_many_priors_as_fit_it_well(compiled):
    priors, boxes = _priors()
    keypoints = np.zeros((1, 10, 1, 2), "f4")
    keypoints[:, 4:] = 1000  # of which none is similar
    labels = _one([[-1, -10, 80, 10]], [[[0, 0]]])
    scores = np.full((1, 10), 0.5, "f4")
    numbers, _ = compiled(SimOTAAssigner())(priors, boxes, keypoints, scores, labels)
    assert numbers.sum() == 4


def test_the_centre_is_where_the_rule_says(compiled):
    """Where no prior is near in both ways, those in the box or near the centre are candidates."""
    priors, boxes = _priors()
    keypoints, scores = np.zeros((1, 10, 1, 2), "f4"), np.full((1, 10), 0.5, "f4")
    keypoints[0, 7, 0] = 56, 0
    labels = _one([[-100, 50, 20, 90]], [[[56, 0]]])
    for rule, expected in ((False, 0), (True, 8)):
        assigner = SimOTAAssigner(use_keypoints_for_center=rule)
        numbers, _ = compiled(assigner)(priors, boxes, keypoints, scores, labels)
        assert numbers[0].nonzero()[0].tolist() == ([expected - 1] if expected else [])


def test_nobody_shares_a_prior(compiled):
    priors, boxes = _priors()
    keypoints, scores = np.zeros((1, 10, 1, 2), "f4"), np.full((1, 10), 0.5, "f4")
    labels = _one([[0, -10, 80, 10], [0, -10, 40, 10]], [[[0, 0]], [[0, 0]]])
    numbers, _ = compiled(SimOTAAssigner())(priors, boxes, keypoints, scores, labels)
    # All nine inside suit both alike but for the box, unless they are far from a centre.
    assert numbers.tolist() == [[0, 2, 2, 1, 1, 1, 1, 1, 1, 1]]


def test_sigmas_of_another_skeleton_are_refused(rtmo):
    _, inputs, labels = rtmo
    tensors = [ops.convert_to_tensor(each) for each in inputs]
    labels = {name: ops.convert_to_tensor(value) for name, value in labels.items()}
    with pytest.raises(ValueError, match="the assigner has 2 sigmas for 17 keypoints"):
        SimOTAAssigner([0.1, 0.1])(*tensors, labels)


def test_positives_are_listed_in_the_order_of_priors(compiled):
    numbers = np.array([[0, 2, 0, 1, 1], [0, 0, 0, 0, 3]], "int32")
    index, found = compiled(lambda n: positives(n, 4))(numbers)
    assert index[0, :3].tolist() == [1, 3, 4]
    assert index[1, 0] == 4
    assert found.tolist() == [[1, 1, 1, 0], [1, 0, 0, 0]]


def test_each_prior_reads_its_object(compiled):
    values = np.arange(12, dtype="f4").reshape(2, 3, 2)
    rows = compiled(rows_of_objects)(values, np.array([[1, 3], [2, 0]], "int32"))
    assert rows.tolist() == [[[0, 1], [4, 5]], [[8, 9], [6, 7]]]


def test_settings_survive_a_round_trip():
    assigner = SimOTAAssigner([0.1], use_keypoints_for_center=True)
    assert SimOTAAssigner.from_config(assigner.get_config()).get_config() == assigner.get_config()
