"""CID's codec: every stored case, and the people of the reference's networks."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_pose.checkpoints.mmpose import translate_part
from keras_pose.codecs import DecoupledHeatmap
from keras_pose.codecs.decoupled_heatmap import smoothed

NAME = "decoupled_heatmap"
PATH = Path(__file__).resolve().parents[3] / f"shared/golden/codecs/{NAME}.json"
NETWORK = "models_bottomup/cid_hrnet-w32_8xb20-140e_coco-512x512.npz"


def _cases(operation):
    if not PATH.is_file():
        reason = f"golden/codecs/{NAME} is not beside this checkout"
        return [pytest.param(None, id=f"codecs/{NAME}", marks=pytest.mark.skip(reason=reason))]
    return [
        pytest.param(case, id=f"codecs/{NAME}/{case['case']}", marks=pytest.mark.parity)
        for case in json.loads(PATH.read_text("utf-8"))["cases"]
        if case["op"] == operation
    ]


@pytest.fixture(scope="module")
def stored(codec_golden):
    return codec_golden(NAME)


def _codec(case):
    config = translate_part({"type": case["cls"], **case["args"]}, "codec")
    return keras.saving.deserialize_keras_object(config)


def _people(labels):
    """Rows of those with keypoints, by the size of the box around these, as the reference sorts."""
    keypoints, visible = labels["keypoints"][0], labels["visible"][0] > 0
    present = np.flatnonzero(visible.any(1))
    sizes = [np.linalg.norm(np.ptp(keypoints[i][visible[i]], axis=0)) for i in present]
    return present[np.argsort(sizes, kind="stable")]


@pytest.mark.parametrize("case", _cases("encode"))
def test_targets_equal_the_reference(stored, compiled, case):
    codec, size = _codec(case), tuple(case["args"]["heatmap_size"])
    labels = stored.labels(case)
    count = labels["keypoints"].shape[1]
    order = _people(labels)
    labels["masks"] = np.ones((1, *size[::-1]), "f4")
    labels["boxes"] = np.zeros((1, count, 4), "f4")
    if case["in"]["bbox"] is not None:
        corners = stored.array(case["in"]["bbox"]).reshape(count, 4, 2)
        labels["boxes"][0] = np.concatenate([corners.min(1), corners.max(1)], axis=-1)
    labels["jitter"] = np.zeros((1, count, 2), "f4")
    labels["jitter"][0, order] = stored.array(case["in"]["jitter"])

    def encode(labels):
        targets = codec.encode(labels)
        return targets, *codec.instance_targets(targets, size)

    targets, maps, weights = compiled(encode)(labels)
    stored.check_maps(case, "heatmaps", targets["heatmaps"], 2e-6)
    chosen = order[targets["present"][0, order] > 0]
    expected = stored.array(case["out"]["instance_coords"])
    assert len(chosen) == len(expected)
    if len(expected) == case["args"].get("encode_max_instances"):
        return  # of more people each chooses other ones at random
    np.testing.assert_array_equal(targets["cells"][0, chosen], expected)
    if len(chosen):
        channels = maps[0, chosen].transpose(0, 3, 1, 2).reshape(-1, *size[::-1])
        stored.check(case, "instance_heatmaps", channels, 2e-6)
        expected = stored.array(case["out"]["keypoint_weights"])
        np.testing.assert_array_equal(weights[0, chosen], expected)


@pytest.mark.parametrize("case", _cases("decode"))
def test_decoded_keypoints_equal_the_reference(stored, compiled, case):
    codec = _codec(case)
    maps = stored.array(case["in"]["instance_heatmaps"])
    outputs = {
        "instance_heatmaps": maps.transpose(2, 3, 0, 1)[None].copy(),
        "root_scores": stored.array(case["in"]["instance_scores"]).T.copy(),
    }
    decoded = compiled(codec.decode)(outputs)
    # There half a cell is added afterwards, and keypoints of empty maps lie outside.
    found, expected = (
        decoded["keypoints"][0] - codec.stride / 2,
        stored.array(case["out"]["keypoints"]),
    )
    drawn = maps.max((2, 3)) > 0
    np.testing.assert_allclose(found[drawn], expected[drawn], rtol=0, atol=1e-4)
    stored.check(case, "scores", decoded["scores"][0], 1e-6)


@pytest.fixture(scope="module")
def network(golden):
    return np.load(golden / NETWORK)


@pytest.mark.parity
def test_roots_are_those_of_the_reference(network, compiled):
    codec = DecoupledHeatmap()
    maps = network["head.coupled_heatmaps"].transpose(0, 2, 3, 1).copy()
    scores, cells, smooth = compiled(lambda m: (*codec.roots(m), smoothed(m[..., -1:])))(maps)
    np.testing.assert_allclose(smooth[..., 0], network["step.root_smoothed"][:, 0], atol=1e-6)
    expected = network["step.instance_scores"]
    assert scores.shape == (1, 30)
    assert (scores > 0).sum() == len(expected)
    np.testing.assert_allclose(scores[0, : len(expected)], expected, atol=1e-6)
    np.testing.assert_array_equal(cells[0, : len(expected)], network["step.instance_coords"])


@pytest.fixture(scope="module")
def labels():
    """Five people of three keypoints in an image of 64x48 pixels."""
    random = np.random.default_rng(0)
    keypoints = random.uniform(8, (56, 40), (1, 5, 3, 2)).astype("f4")
    return {
        "keypoints": keypoints,
        "visible": np.ones((1, 5, 3), "f4"),
        "boxes": np.concatenate([keypoints.min(2), keypoints.max(2)], axis=-1),
        "masks": np.ones((1, 12, 16), "f4"),
    }


def test_roots_are_moved_by_at_most_a_cell_and_not_all_alike(labels, compiled):
    many = {k: np.concatenate([v] * 40) for k, v in labels.items()}
    many["keypoints"] = many["keypoints"] + np.arange(40)[:, None, None, None] * np.float32(0.013)
    cells = compiled(DecoupledHeatmap().encode)(many)["cells"]
    moved = cells - np.trunc(many["keypoints"].mean(2) / 4)
    values, counts = np.unique(moved, return_counts=True)
    assert values.tolist() == [-1, 0, 1]
    assert counts.min() > counts.sum() / 5


def test_of_people_with_one_root_the_smallest_is_drawn(labels, compiled):
    same = {k: v.copy() for k, v in labels.items()}
    middle = same["keypoints"][0, 0].mean(0)
    same["keypoints"][0, 1] = middle + 2 * (same["keypoints"][0, 0] - middle)
    same["jitter"] = np.zeros((1, 5, 2), "f4")
    present = compiled(DecoupledHeatmap().encode)(same)["present"]
    assert present.tolist() == [[1, 0, 1, 1, 1]]


def test_of_too_many_people_a_part_is_drawn(labels, compiled):
    targets = compiled(DecoupledHeatmap(encode_max_instances=2).encode)(labels)
    assert targets["present"].sum() == 2


def test_rows_without_keypoints_are_nobody(labels, compiled):
    nobody = {**labels, "visible": np.zeros((1, 5, 3), "f4"), "boxes": np.zeros((1, 5, 4), "f4")}
    targets = compiled(DecoupledHeatmap().encode)(nobody)
    assert all(np.isfinite(value).all() for value in targets.values())
    assert not targets["present"].any()
    assert not targets["heatmaps"].any()


def test_settings_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="max_people must be at least 1, got 0"):
        DecoupledHeatmap(max_people=0)
    with pytest.raises(ValueError, match="root_type must be one of kpt_center, bbox_center"):
        DecoupledHeatmap(root_type="nose")


def test_config_gives_the_codec_back():
    codec = DecoupledHeatmap(8, 5, 0.1, "bbox_center", 0.5, 7)
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(codec))
    assert copy.get_config() == codec.get_config()
