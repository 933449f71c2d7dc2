"""DEKR's codec: every stored case, decoding of the reference's outputs, people that are known."""

import importlib
import json
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_pose.checkpoints.mmpose import translate_part
from keras_pose.codecs import SPR
from keras_pose.codecs.pose_suppression import distinct_poses
from keras_pose.codecs.spr import keypoint_scores
from keras_pose.geometry import nearby_joints_nms
from keras_pose.heads import PoseRescorer
from keras_pose.layers.naming import load_state_dict
from keras_pose.skeleton import Skeleton

PATH = Path(__file__).resolve().parents[3] / "shared/golden/codecs/spr.json"
NETWORK = "dekr_hrnet-w32_8xb10-140e_coco-512x512"


def _cases(operation):
    if not PATH.is_file():
        reason = "golden/codecs/spr is not beside this checkout"
        return [pytest.param(None, id="codecs/spr", marks=pytest.mark.skip(reason=reason))]
    return [
        pytest.param(case, id=f"codecs/spr/{case['case']}", marks=pytest.mark.parity)
        for case in json.loads(PATH.read_text("utf-8"))["cases"]
        if case["op"] == operation
    ]


@pytest.fixture(scope="module")
def stored(codec_golden):
    return codec_golden("spr")


def _codec(case):
    config = translate_part({"type": case["cls"], **case["args"]}, "codec")
    return keras.saving.deserialize_keras_object(config)


@pytest.mark.parametrize("case", _cases("encode"))
def test_targets_equal_the_reference(stored, compiled, case):
    width, height = case["args"]["heatmap_size"]
    labels = {**stored.labels(case), "masks": np.ones((1, height, width), "f4")}
    targets = compiled(_codec(case).encode)(labels)
    for name in case["out"]:
        stored.check_maps(case, name, targets[name], 2e-6)


@pytest.mark.parametrize("case", _cases("decode"))
def test_people_equal_the_reference(stored, compiled, case):
    outputs = {name: stored.maps(place) for name, place in case["in"].items()}
    found = compiled(_codec(case).people)(outputs)
    found["keypoint_scores"] = found["scores"]
    present = found["root_scores"][0] > 0
    for name, tolerance in (("root_scores", 1e-6), ("keypoint_scores", 1e-6), ("keypoints", 1e-4)):
        if name in case["out"]:
            stored.check(case, name, found[name][0][present], tolerance)


@pytest.mark.parametrize("case", _cases("get_keypoint_scores"))
def test_scores_of_keypoints_equal_the_reference(stored, compiled, case):
    maps = stored.maps(case["in"]["heatmaps"])
    found = compiled(keypoint_scores)(maps, stored.array(case["in"]["keypoints"])[None])
    stored.check(case, "scores", found[0], 1e-6)


@pytest.fixture(scope="module")
def network(golden):
    """Entry and arrays of a network of the reference."""
    folder = golden / "models_bottomup"
    entries = json.loads((folder / "index.json").read_text("utf-8"))["models"]
    entry = next(entry for entry in entries if entry["config"] == NETWORK)
    return entry, np.load(folder / entry["file"])


@pytest.fixture(scope="module")
def rescorer(golden, network):
    """The reference's judge of poses, with its weights."""
    import gzip
    import sys

    entry, _ = network
    sys.path.insert(0, str(golden))
    recipe = importlib.import_module("weights_extra")
    sys.path.remove(str(golden))
    keys = json.loads(gzip.decompress((golden / "models_bottomup" / entry["keys"]).read_bytes()))
    prefix = "head.rescore_net."
    keys = [row for row in keys if row[0].startswith(prefix)]
    state = recipe.golden_state(keys, entry["salt"])
    settings = entry["model"]["head"]["rescore_cfg"]
    layer = PoseRescorer(Skeleton.load("coco").links.tolist(), settings["norm_indexes"])
    layer.build((None, 1, 17))
    load_state_dict(layer, {name.removeprefix(prefix): value for name, value in state.items()})
    return layer


@pytest.mark.parity
def test_outputs_of_the_reference_become_its_poses(network, rescorer, compiled):
    entry, arrays = network
    codec = keras.saving.deserialize_keras_object(
        translate_part(entry["model"]["head"]["decoder"], "codec", entry["test_cfg"])
    )
    maps, ways = (arrays[f"head.{i}"].transpose(0, 2, 3, 1) for i in (0, 1))

    def decode(outputs):
        people = codec.people(outputs)
        factors = rescorer(people["keypoints"], people["scores"])
        judged = {**people, "root_scores": people["root_scores"] * factors}
        return people, factors, codec.decode(judged)

    people, factors, decoded = compiled(decode)({"heatmaps": maps, "displacements": ways})
    present = people["root_scores"][0] > 0
    for name, values in (("root_scores", people["root_scores"]), ("rescore", factors)):
        np.testing.assert_allclose(values[0][present], arrays[f"step.{name}"], atol=1e-5)
    for name, most in (("scores", 1e-5), ("keypoints", 1e-3)):
        golden_name = {"scores": "keypoint_scores"}.get(name, name)
        expected = arrays[f"step.{golden_name}"]
        np.testing.assert_allclose(people[name][0][present], expected, atol=most)
    kept = decoded["box_scores"][0] != 0
    assert kept.sum() == entry["instances"]["plain"]
    shift = arrays["input_center"] - arrays["input_scale"] / 2
    scale = arrays["input_scale"] / np.array(entry["input_size"])
    keypoints = decoded["keypoints"][0][kept] * scale + shift
    np.testing.assert_allclose(keypoints, arrays["keypoints"], atol=0.02)
    np.testing.assert_allclose(decoded["scores"][0][kept], arrays["keypoint_scores"], atol=1e-5)


@pytest.mark.parametrize("spread", [0.0, 3.0, 12.0, 40.0])
def test_poses_that_remain_are_those_of_the_sequential_algorithm(compiled, spread):
    random = np.random.default_rng(int(spread))
    suppress = compiled(distinct_poses)
    for _ in range(20):
        count = random.integers(1, 13)
        shapes = random.uniform(0, 100, (4, 9, 2))
        keypoints = np.zeros((12, 9, 2), "f4")
        keypoints[:count] = shapes[random.integers(0, 4, count)]
        keypoints[:count] += random.uniform(-spread, spread, (count, 9, 2))
        keypoints[:count, 0] += random.uniform(-20, 20, (count, 2))
        present = (np.arange(12) < count).astype("f4")
        kept = suppress(keypoints[None], present[None])[0]
        expected = nearby_joints_nms(keypoints[:count], np.arange(count, 0, -1.0), 0.05)
        assert set(np.flatnonzero(kept)) == set(expected)


def test_a_pose_on_one_spot_remains(compiled):
    keypoints = np.full((1, 2, 5, 2), 7, "f4")
    kept = compiled(distinct_poses)(keypoints, np.array([[1, 0]], "f4"))
    assert kept.tolist() == [[1, 0]]


def test_the_ways_of_decoding_agree(compiled, backend):
    """Of photos together and alone, in one step and with that of `people` between."""
    random = np.random.default_rng(0)
    maps = random.uniform(-0.1, 1, (2, 20, 28, 6)).astype("f4")
    ways = random.normal(0, 6, (2, 20, 28, 10)).astype("f4")
    codec = SPR(max_people=12, nms_distance=0.3, nms_joints=1)
    outputs = {"heatmaps": maps, "displacements": ways}
    people = compiled(codec.people)(outputs)
    expected = compiled(lambda given: keypoint_scores(given["maps"], given["keypoints"]))(
        {"maps": maps, "keypoints": people["keypoints"] / codec.stride}
    )
    np.testing.assert_allclose(people["scores"], expected, atol=1e-5)
    together, again = compiled(codec.decode)(outputs), compiled(codec.decode)(people)
    for image in (0, 1):
        alone = compiled(codec.decode)({k: v[image : image + 1] for k, v in outputs.items()})
        for name, values in alone.items():
            np.testing.assert_allclose(together[name][image], values[0], atol=1e-4)
            np.testing.assert_allclose(again[name][image], values[0], atol=1e-4)
        assert 1 < (alone["box_scores"] != 0).sum() < 12
        kept = nearby_joints_nms(alone["keypoints"][0], alone["scores"][0], 0.3, 1)
        assert set(np.flatnonzero(alone["box_scores"][0])) == set(kept)
    if backend == "torch":
        import torch

        from keras_pose.codecs import spr_torch

        found = spr_torch._host_peaks(torch.from_numpy(maps[..., -1]), 40, 5, 0.01)
        others = spr_torch._device_peaks(torch.from_numpy(maps[..., -1]), 40, 5, 0.01)
        np.testing.assert_array_equal(found[0], others[0])
        np.testing.assert_array_equal(found[1][found[0] > 0], others[1][found[0] > 0])


# Where roots of people are in cells, and how strong; of the two keypoints one is 3 cells to the
# left, the other 4 cells to the right of it.
PEOPLE = [(6, 6, 0.5), (24, 8, 0.9), (8, 18, 0.7)]
HEIGHT, WIDTH = 24, 32


def _outputs(people):
    maps = np.zeros((1, HEIGHT, WIDTH, 3), "f4")
    ways = np.zeros((1, HEIGHT, WIDTH, 4), "f4")
    for x, y, strength in people:
        maps[0, y, x, 2] = strength
        for dy, dx in np.ndindex(3, 3):
            away = np.array([dx - 1, dy - 1] * 2)
            ways[0, y + dy - 1, x + dx - 1] = (-3, 0, 4, 1) - away
        maps[0, y - 1 : y + 2, x - 5 : x - 1, 0] = 0.8
        maps[0, y : y + 3, x + 2 : x + 6, 1] = 0.6
    return {"heatmaps": maps, "displacements": ways}


def test_people_are_found_with_boxes_and_scores(compiled):
    found = compiled(SPR().decode)(_outputs(PEOPLE))
    assert found["keypoints"].shape == (1, 30, 2, 2)
    kept = found["box_scores"][0] > 0
    assert kept.sum() == 3
    order = np.argsort(-found["box_scores"][0])[:3]
    strengths = np.array([0.9, 0.7, 0.5])
    np.testing.assert_allclose(found["box_scores"][0][order], 0.7 * strengths, atol=1e-5)
    expected = [[84, 32, 112, 36], [20, 72, 48, 76], [12, 24, 40, 28]]
    np.testing.assert_allclose(found["boxes"][0][order], expected, atol=1e-4)
    np.testing.assert_allclose(found["keypoints"][0][order[0]], [[84, 32], [112, 36]], atol=1e-4)


def test_of_more_people_than_slots_the_weakest_are_left_out(compiled):
    found = compiled(SPR(max_people=2).decode)(_outputs(PEOPLE))
    assert sorted(found["boxes"][0, :, 0].tolist()) == [20, 84]


def test_nobody_is_sure_where_nobody_is(compiled):
    assert not compiled(SPR().decode)(_outputs([]))["box_scores"].any()


def test_encoded_people_are_decoded(compiled):
    random = np.random.default_rng(0)
    centres = np.array([[60, 60], [180, 70], [90, 170]])
    keypoints = centres[None, :, None] + random.uniform(-30, 30, (1, 3, 5, 2))
    labels = {
        "keypoints": keypoints.astype("f4"),
        "visible": np.ones((1, 3, 5), "f4"),
        "masks": np.ones((1, 64, 64), "f4"),
    }
    codec = SPR(sigma=(4, 2))
    found = compiled(lambda labels: codec.decode(codec.encode(labels)))(labels)
    kept = found["box_scores"][0] > 0
    assert kept.sum() == 3
    apart = np.abs(found["keypoints"][0][kept][:, None] - keypoints[0]).max((2, 3))
    np.testing.assert_allclose(apart.min(0), 0, atol=1e-3)


def test_mirrored_people_are_mirrored(compiled):
    codec = SPR()
    flipped = compiled(lambda outputs: codec.flip(outputs, [1, 0]))(_outputs(PEOPLE))
    found, plain = (compiled(codec.decode)(each) for each in (flipped, _outputs(PEOPLE)))
    found, plain = (each["keypoints"][0][each["box_scores"][0] > 0] for each in (found, plain))
    assert len(found) == 3
    expected = plain[:, ::-1] * [-1, 1] + [4 * WIDTH - 1, 0]
    rows, wanted = (np.argsort(each[:, 0, 0]) for each in (found, expected))
    np.testing.assert_allclose(found[rows], expected[wanted], atol=1e-3)


def test_config_gives_the_codec_back():
    codec = SPR(8, (2.5, 1), True, "bbox_center", 3, 0.2, 7, 3, 0.1, 0.1, 4, False)
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(codec))
    assert copy.get_config() == codec.get_config()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_people": 0}, "max_people must be at least 1, got 0"),
        ({"root_type": "head"}, "root_type must be one of kpt_center, bbox_center, got 'head'"),
        ({"root_threshold": -1}, "root_threshold must be at least 0, got -1"),
        ({"sigma": 4}, "sigma must be a pair where keypoints have heatmaps, got 4"),
        ({"nms_kernel": 4}, "4"),
    ],
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        SPR(**settings)
