"""Associative embedding: every stored case, and decoding as the reference's network is decoded."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_pose.checkpoints.mmpose import translate_part
from keras_pose.codecs import AssociativeEmbedding
from keras_pose.codecs.assignment import cheapest_assignment
from keras_pose.codecs.gaussian import instance_gaussians
from keras_pose.codecs.tag_grouping import EnlargedMaps, group_by_tags

NAME = "associative_embedding"
PATH = Path(__file__).resolve().parents[3] / f"shared/golden/codecs/{NAME}.json"
# The reference overwrites maps before it reads scores of missing keypoints from them.
OVERWRITTEN = ("dec_k5_udp", "dec_udp_missing")
COCO_ORDER = [0, 1, 2, 3, 4, 5, 6, 11, 12, 7, 8, 9, 10, 13, 14, 15, 16]


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
    # Equal sizes are those of maps that the network makes as large as its input.
    stride = case["args"]["input_size"][0] // case["args"]["heatmap_size"][0]
    config["config"]["stride"] = stride
    return keras.saving.deserialize_keras_object(config)


@pytest.mark.parametrize("case", _cases("encode"))
def test_targets_equal_the_reference(stored, compiled, case):
    width, height = case["args"]["heatmap_size"]
    labels = {**stored.labels(case), "masks": np.ones((1, height, width), "f4")}
    targets = compiled(_codec(case).encode)(labels)
    stored.check_maps(case, "heatmaps", targets["heatmaps"], 2e-6)
    cells, counted = np.moveaxis(stored.array(case["out"]["keypoint_indices"]), -1, 0)
    np.testing.assert_array_equal(targets["tag_weights"][0], counted)
    np.testing.assert_array_equal(targets["tag_indices"][0][counted > 0], cells[counted > 0])


@pytest.mark.parametrize("case", _cases("encode"))
def test_weights_of_instances_equal_the_reference(stored, compiled, case):
    """The codec leaves them out: a loss of maps that all people share has no use for them."""
    codec, size = _codec(case), case["args"]["heatmap_size"]
    scale = codec._scale(*size, codec.stride).astype("f4")
    form = "point" if codec.use_udp else "pixel"
    sigma = codec.sigma or np.sqrt(np.prod(size)).item() / 64
    labels = stored.labels(case)
    weights = compiled(
        lambda labels: instance_gaussians(labels, labels["scaled"], size, sigma, form)[1]
    )({**labels, "scaled": labels["keypoints"] / scale})
    np.testing.assert_array_equal(weights[0], stored.array(case["out"]["keypoint_weights"]))


def _decoded(codec, compiled, heatmaps, tags):
    outputs = {"heatmaps": heatmaps, "tags": tags}
    return codec.finish(compiled(codec.decode)(outputs))


@pytest.mark.parametrize("case", _cases("batch_decode"))
def test_people_equal_the_reference(stored, compiled, case):
    maps = [stored.maps(case["in"][name]) for name in ("batch_heatmaps", "batch_tags")]
    found = _decoded(_codec(case), compiled, *maps)
    for image in range(len(maps[0])):
        expected, scores, sure = (
            stored.array(case["out"][f"{name}_{image}"])
            for name in ("keypoints", "scores", "instance_scores")
        )
        count = len(expected)
        np.testing.assert_allclose(found["box_scores"][image, :count], sure, atol=1e-6)
        assert not found["box_scores"][image, count:].any()
        # Those that are left are the keypoints that were filled in.
        right = scores > 0.1 if case["case"] in OVERWRITTEN else np.ones_like(scores, bool)
        tolerance = max(1e-4, 50 * case["sens"])
        np.testing.assert_allclose(
            found["keypoints"][image, :count][right], expected[right], rtol=0, atol=tolerance
        )
        np.testing.assert_allclose(
            found["scores"][image, :count][right], scores[right], rtol=0, atol=1e-6
        )


@pytest.mark.parity
def test_missing_keypoints_have_the_heat_of_their_pixel_also_with_udp(stored, compiled):
    case = stored.cases["dec_udp_missing"]
    heatmaps, tags = (stored.maps(case["in"][n]) for n in ("batch_heatmaps", "batch_tags"))
    found = _decoded(_codec(case), compiled, heatmaps, tags)
    height, width = heatmaps.shape[1:3]
    scale = (np.array([width, height]) * 4 - 1) / (np.array([width, height]) - 1)
    filled = 0
    for image, sure in enumerate(found["box_scores"]):
        for person in np.flatnonzero(sure):
            cells = found["keypoints"][image, person] / scale
            whole = np.abs(cells - np.rint(cells)).max(axis=-1) < 1e-4
            x, y = np.rint(cells[whole]).astype(int).T
            np.testing.assert_allclose(
                found["scores"][image, person][whole],
                heatmaps[image, y, x, np.flatnonzero(whole)],
                atol=1e-6,
            )
            filled += whole.sum()
    assert filled > 0


@pytest.fixture(scope="module")
def network(golden):
    """Outputs of the reference's network and what it makes of them."""
    return np.load(golden / "models_bottomup/ae_hrnet-w32_8xb24-300e_coco-512x512.npz")


@pytest.fixture(scope="module")
def published():
    return AssociativeEmbedding(keypoint_order=COCO_ORDER, center_shift=0.5)


@pytest.fixture(scope="module")
def outputs(network):
    return [
        {
            name: network[f"{part}.{i}"].transpose(0, 2, 3, 1).copy()
            for i, name in enumerate(("heatmaps", "tags"))
        }
        for part in ("head", "head_of_flipped")
    ]


FLIP = [0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15]


@pytest.fixture(scope="module")
def decoded(outputs, published, compiled):
    def flip_test(straight, mirrored):
        merged = published.merge(straight, published.flip(mirrored, FLIP))
        return published.decode(merged)

    return compiled(flip_test)(*outputs)


@pytest.mark.parity
def test_a_networks_people_are_those_of_the_reference(network, published, decoded):
    values, expected = decoded["values"][0, :, :8], network["flip_step.topk_values"][0]
    np.testing.assert_allclose(values[expected > 0], expected[expected > 0], atol=1e-6)
    found = published.finish(decoded)
    count = len(network["flip_bbox_scores"])
    assert (found["box_scores"][0] > 0).sum() == count
    for name, step in (
        ("keypoints", "fill_out"),
        ("scores", "fill_scores"),
        ("box_scores", "instance_scores"),
    ):
        np.testing.assert_allclose(
            found[name][0, :count], network[f"flip_step.{step}"], rtol=0, atol=1e-4
        )


@pytest.mark.parity
def test_enlarged_maps_are_those_of_the_reference(network, decoded, goldens):
    maps = EnlargedMaps(decoded["heatmaps"][0], decoded["tags"][0], 4)
    y, x = np.mgrid[:96, :160]
    whole = np.stack([maps.at(k, x, y) for k in range(17)], axis=1)[:, None]
    for name, found in (("heatmaps", whole[0]), ("tags", np.concatenate(whole[1:], axis=1))):
        assert goldens.compare(network, f"flip_step.{name}", found)["relative"] < 1e-6


@pytest.mark.parametrize("factor", [1, 2, 3, 4])
def test_the_best_pixel_is_that_of_the_whole_map(factor):
    random = np.random.default_rng(factor)
    heat = random.uniform(-0.1, 1, (9, 11, 3)).astype("f4")
    tags = random.normal(0, 2, (9, 11, 6)).astype("f4")
    maps = EnlargedMaps(heat, tags, factor)
    width, height = maps.size
    y, x = np.mgrid[:height, :width]
    for keypoint in range(3):
        heats, *both = maps.at(keypoint, x, y)
        for tag in random.normal(0, 2, (20, 2)).astype("f4"):
            distance = np.sqrt(np.square(np.stack(both) - tag[:, None, None]).sum(0))
            best = np.argmin(np.rint(distance) * 100 - heats)
            assert maps.best(keypoint, tag)[:2] == (best % width, best // width)


@pytest.mark.parametrize("shape", [(1, 1), (5, 5), (4, 9), (9, 4), (30, 30)])
@pytest.mark.parametrize("whole", [False, True])
def test_assignments_cost_as_little_as_scipys(shape, whole):
    optimize = pytest.importorskip("scipy.optimize")
    random = np.random.default_rng(0)
    for _ in range(30):
        costs = random.uniform(0, 3, shape)
        costs = np.rint(costs) if whole else costs
        columns = cheapest_assignment(costs)
        rows = np.flatnonzero(columns >= 0)
        assert len(rows) == min(shape) == len(set(columns[rows]))
        expected = costs[optimize.linear_sum_assignment(costs)].sum()
        np.testing.assert_allclose(costs[rows, columns[rows]].sum(), expected)


def test_peaks_with_like_tags_belong_together():
    values = np.float32([[0.9, 0.8, 0.05], [0.7, 0.6, 0.5]])
    tags = np.float32([[1, 5, 9], [5.1, 0.9, 20]])[..., None]
    assert group_by_tags(values, tags, [0, 1], 0.1, 1.0).tolist() == [[0, 1], [1, 0], [-1, 2]]


def test_nobody_leaves_all_slots_empty(published, compiled):
    found = _decoded(
        published, compiled, np.zeros((2, 8, 12, 17), "f4"), np.zeros((2, 8, 12, 17), "f4")
    )
    assert found["keypoints"].shape == (2, 30, 17, 2)
    assert not found["box_scores"].any()


def test_of_more_people_than_slots_those_found_last_are_left_out(compiled):
    heatmaps, tags = np.zeros((2, 1, 16, 24, 2), "f4")
    for i, height in enumerate((0.9, 0.8, 0.7)):
        heatmaps[0, 4, 4 + 7 * i] = height
        tags[0, 4, 4 + 7 * i] = 10 * i
    found = _decoded(AssociativeEmbedding(max_people=2), compiled, heatmaps, tags)
    assert found["box_scores"].shape == (1, 2)
    assert (found["box_scores"][0] > 0.5).all()
    assert found["keypoints"][0, :, :, 0].max() < 60


def test_an_order_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"must name every keypoint once, got \[0, 2\]"):
        AssociativeEmbedding(keypoint_order=[0, 2])
    codec = AssociativeEmbedding(keypoint_order=[1, 0])
    peaks = {"values": (1, 3, 4), "peaks": (1, 3, 4, 2), "peak_tags": (1, 3, 4, 1)}
    maps = {"heatmaps": (1, 4, 4, 3), "tags": (1, 4, 4, 3)}
    with pytest.raises(ValueError, match="has 2 keypoints, the heatmaps have 3"):
        codec.finish({name: np.zeros(shape, "f4") for name, shape in {**peaks, **maps}.items()})


def test_no_slots_are_refused():
    with pytest.raises(ValueError, match="max_people must be at least 1, got 0"):
        AssociativeEmbedding(max_people=0)


def test_config_gives_the_codec_back():
    codec = AssociativeEmbedding(8, 1.5, True, False, 5, [1, 0], 3, 5, 0.2, 0.5, 7, 0.25, True)
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(codec))
    assert copy.get_config() == codec.get_config()


@pytest.mark.parametrize(("factor", "noise"), [(2, 0.2), (3, 0.2), (4, 0.2), (4, 0.0)])
def test_peaks_are_those_of_the_whole_enlarged_maps(compiled, factor, noise):
    random = np.random.default_rng(factor)
    y, x = np.mgrid[:20, :26]
    heat = random.uniform(0, noise, (1, 20, 26, 2)) if noise else np.zeros((1, 20, 26, 2))
    # Some of them at the border.
    for place in [(0, 0), (25, 7.2), (10.1, 9.8), *random.uniform(0, 20, (8, 2))]:
        square = np.square(np.stack([x, y], -1) - place).sum(-1)
        heat = np.maximum(heat, random.uniform(0.3, 1) * np.exp(-square / 4)[..., None])
    heat = heat.astype("f4")
    codec = AssociativeEmbedding(stride=factor, topk=24)
    found = compiled(lambda maps: codec._peaks(maps, factor))(heat)
    expected = compiled(lambda maps: codec._peaks_of_whole_maps(maps, factor))(heat)
    np.testing.assert_allclose(found[0], expected[0], atol=1e-6)
    for keypoint in range(2):
        kept = expected[0][0, keypoint] > 0
        assert kept.sum() >= 10
        rows = (
            np.stack([each[0, keypoint] for each in peaks[1:]], -1) for peaks in (found, expected)
        )
        # Equally high ones may come in any order.
        np.testing.assert_allclose(*(sorted(each[kept].tolist()) for each in rows))
