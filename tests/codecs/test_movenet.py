"""MoveNet's codec: decoding what it encodes gives the keypoints back, mirrored or not."""

import numpy as np
import pytest

from keras_pose.codecs import MoveNetCodec

SIZE, CELLS, COUNT = (96, 64), (24, 16), 5
FLIPS = np.int32([0, 2, 1, 4, 3])
# The published graph's cells are not quite 4 pixels.
CELL_SIZES = [None, 3.9990234375]


def _labels(seed=0, batch=6):
    random = np.random.default_rng(seed)
    keypoints = random.uniform((2, 2), (SIZE[0] - 3, SIZE[1] - 3), (batch, 1, COUNT, 2))
    return {"keypoints": keypoints.astype("f4"), "visible": np.ones((batch, 1, COUNT), "f4")}


def _outputs(targets):
    """What a network that has learnt the targets would put out."""
    width, height = CELLS

    def logits(maps):
        return np.log(np.clip(maps, 1e-4, 1 - 1e-4) / (1 - np.clip(maps, 1e-4, 1 - 1e-4)))

    def maps(values):
        return values.reshape(len(values), height, width, -1)

    return {
        "center": maps(logits(targets["center"])),
        "heatmaps": maps(logits(targets["heatmaps"])),
        "displacements": maps(targets["displacements"]),
        "offsets": maps(targets["displacements"]),
    }


@pytest.mark.parametrize("cell_size", CELL_SIZES)
def test_decoding_what_was_encoded_gives_the_keypoints(compiled, cell_size):
    codec = MoveNetCodec(SIZE, CELLS, cell_size=cell_size)
    labels = _labels()
    decoded = compiled(codec.decode)(_outputs(compiled(codec.encode)(labels)))
    error = np.linalg.norm(decoded["keypoints"] - labels["keypoints"], axis=-1)
    assert error.max() < 0.05
    assert decoded["scores"].min() > 0.99


def test_without_offsets_the_error_is_within_a_cell(compiled):
    codec = MoveNetCodec(SIZE, CELLS)
    labels = _labels()
    outputs = _outputs(compiled(codec.encode)(labels))
    outputs["offsets"] = np.zeros_like(outputs["offsets"])
    decoded = compiled(codec.decode)(outputs)
    error = np.linalg.norm(decoded["keypoints"] - labels["keypoints"], axis=-1) / 4
    assert error.max() < np.sqrt(2)
    # The nearest cell is the one that the keypoint lies in: half a cell up and left on average.
    assert error.mean() < 1.0


def test_maps_of_a_mirrored_input_are_turned_back(compiled):
    codec = MoveNetCodec(SIZE, CELLS)
    labels = _labels(1)
    mirrored = dict(labels, keypoints=labels["keypoints"][:, :, FLIPS].copy())
    mirrored["keypoints"][..., 0] = SIZE[0] - 1 - mirrored["keypoints"][..., 0]
    outputs = _outputs(compiled(codec.encode)(mirrored))
    turned = compiled(lambda outputs: codec.flip(outputs, FLIPS))(outputs)
    decoded = compiled(codec.decode)(turned)
    error = np.linalg.norm(decoded["keypoints"] - labels["keypoints"], axis=-1)
    assert error.max() < 0.05


def test_both_ways_agree_cell_by_cell(compiled):
    """What a flip test averages means the same in both maps."""
    codec = MoveNetCodec(SIZE, CELLS)
    labels = _labels(2)
    mirrored = dict(labels, keypoints=labels["keypoints"][:, :, FLIPS].copy())
    mirrored["keypoints"][..., 0] = SIZE[0] - 1 - mirrored["keypoints"][..., 0]
    straight = _outputs(compiled(codec.encode)(labels))
    turned = compiled(lambda outputs: codec.flip(outputs, FLIPS))(
        _outputs(compiled(codec.encode)(mirrored))
    )
    # Column 0 is filled by its neighbour's mirror image.
    for name in ("displacements", "offsets"):
        np.testing.assert_allclose(
            turned[name][:, :, 1:], straight[name][:, :, 1:], rtol=0, atol=1e-4
        )


def test_a_person_without_labels_has_no_center(compiled):
    codec = MoveNetCodec(SIZE, CELLS)
    labels = _labels(batch=2)
    labels["visible"][0] = 0
    targets = compiled(codec.encode)(labels)
    assert targets["center"][0].max() == 0 and targets["center"][1].max() == 1
    assert targets["heatmaps"][0].max() == 0 and targets["weights"][0].max() == 0


def test_the_center_is_the_mean_of_the_labelled_keypoints(compiled):
    codec = MoveNetCodec(SIZE, CELLS)
    labels = {
        "keypoints": np.float32([[[[20, 16], [40, 32], [90, 60]]]]),
        "visible": np.float32([[[1, 1, 0]]]),
    }
    centre = compiled(codec.encode)(labels)["center"][0, :, 0].argmax()
    assert (centre % CELLS[0], centre // CELLS[0]) == (30 // 4, 24 // 4)


def test_a_keypoint_outside_has_no_heat_but_a_displacement(compiled):
    codec = MoveNetCodec(SIZE, CELLS)
    labels = _labels(batch=1)
    labels["keypoints"][0, 0, 2] = (-40, 20)
    targets = compiled(codec.encode)(labels)
    assert targets["heatmaps"][0, :, 2].max() == 0
    assert targets["inside"].tolist() == [[1, 1, 0, 1, 1]] and targets["weights"].min() == 1
    np.testing.assert_allclose(targets["displacements"][0, 0, 2], (5, -10), rtol=0, atol=1e-5)
