import json

import numpy as np
import pytest
from PIL import Image

from keras_pose.datasets import KeypointDataset, combine, load, topdown_dataset
from keras_pose.datasets.combined import spread
from keras_pose.datasets.transforms.keypoint_mapping import KeypointMapping
from keras_pose.skeleton import Skeleton

FILE = "datasets/combined"
FISH = Skeleton("fish", ["eye", "tail", "fin"])
BIRD = Skeleton("bird", ["beak", "Tail", "left wing", "right wing"])


def animals(skeleton, count, folder="pictures", **changes):
    rng = np.random.default_rng(count)
    fields = dict(
        image_paths=[f"{folder}/{skeleton.name}{i // 2}.png" for i in range(count)],
        image_ids=[10 + i // 2 for i in range(count)],
        image_sizes=[[40, 30]] * count,
        boxes=[[2, 3, 30, 25]] * count,
        keypoints=rng.uniform(3, 25, (count, skeleton.num_keypoints, 2)),
        visible=np.ones((count, skeleton.num_keypoints)),
        name=skeleton.name,
    )
    return KeypointDataset(skeleton, **{**fields, **changes})


@pytest.fixture(scope="module")
def facts(golden):
    return json.loads((golden / f"{FILE}.json").read_text())


@pytest.fixture(scope="module")
def people(golden):
    """The two data sets of the reference's case."""
    raw = golden / "datasets/raw"
    index = json.loads((golden / "datasets/index.json").read_text())
    coco, aic = (
        load(name, raw.parent / index[name]["raw"] / index[name]["annotation"], raw)
        for name in ("coco", "aic")
    )
    return coco, aic


@pytest.mark.parity
@pytest.mark.parametrize("case", ["combined"], ids=lambda case: f"{FILE}/{case}")
def test_rows_equal_the_reference(facts, people, case):
    facts = facts[case]
    both = combine(people)
    assert len(both) == facts["total"] and [len(part) for part in people] == facts["lens"]
    starts = np.cumsum([0, *facts["lens"]])
    source = both.extras["source"]
    rows = np.arange(len(both))
    assert np.stack([source, rows - starts[source]], -1).tolist() == facts["mapping"]
    for negative, (part, row) in facts["negative"]:
        assert both[negative]["source"] == part
        assert both[negative]["source_ids"] == people[part].ids[row]
    last = facts["last_sample"]
    np.testing.assert_allclose(both.keypoints[-1:], last["keypoints"], atol=1e-3)
    np.testing.assert_array_equal(both.visible[-1:], np.array(last["keypoints_visible"])[..., 0])
    assert both.skeleton.flip_indices.tolist() == last["flip_indices"]


@pytest.mark.parity
@pytest.mark.parametrize("case", ["resampled"], ids=lambda case: f"{FILE}/combined/{case}")
def test_ratios_draw_as_the_reference_does(facts, people, case):
    facts = facts["combined"][case]
    both = combine(people, ratios=facts["sample_ratio_factor"])
    starts = np.array([0, len(people[0])])
    count, times = sum(facts["lens"]), 2000
    seen = [{} for _ in range(count)]
    for epoch in range(times):
        rows = both.epoch_rows(epoch, seed=1)
        assert len(rows) == count
        source = both.extras["source"][rows]
        assert np.bincount(source).tolist() == facts["lens"]
        for i, (part, row) in enumerate(zip(source, rows - starts[source], strict=True)):
            key = f"{part}:{row}"
            seen[i][key] = seen[i].get(key, 0) + 1 / times
    for i, theirs in facts["index_frequencies"].items():
        ours = seen[int(i)]
        # at the edge of a stretch its neighbour comes once in ten thousand times
        assert sum(ours[key] for key in ours.keys() - theirs.keys()) < 0.005
        for key, share in theirs.items():
            # theirs are of 1000 draws
            assert abs(ours[key] - share) < 4 * 0.5 * (1 / times + 1 / 1000) ** 0.5


@pytest.mark.parity
@pytest.mark.parametrize(
    "case",
    ["b4_1_1", "b5_3_1", "b8_1_1_noround", "b8_2_1"],
    ids=lambda case: f"{FILE}/sampler_shuffle_false/{case}",
)
def test_batches_are_mixed_as_in_the_reference(facts, people, case):
    row = facts["sampler_shuffle_false"][case]
    args = row["args"]
    both = combine(people, batch_ratios=args["source_ratio"])
    for epoch, order in enumerate(("order_first_epoch", "order_second_epoch")):
        rows = both.batch_rows(
            epoch, 0, args["batch_size"], shuffle=False, round_up=args.get("round_up", True)
        )
        assert rows.tolist() == row[order]
        counts = np.bincount(both.extras["source"][rows[: args["batch_size"]]]).tolist()
        assert counts == row["num_per_source"]


def test_shuffled_batches_show_everything_before_anything_again():
    both = combine([animals(FISH, 7), animals(FISH, 30)], batch_ratios=[1, 2])
    rows = np.concatenate([both.batch_rows(epoch, 5, 6) for epoch in range(3)])
    for source, count in enumerate((7, 30)):
        own = rows[both.extras["source"][rows] == source]
        for start in range(0, len(own) - count + 1, count):
            assert len(set(own[start : start + count])) == count
    np.testing.assert_array_equal(both.batch_rows(1, 5, 6), both.batch_rows(1, 5, 6))
    assert (both.batch_rows(1, 5, 6) != both.batch_rows(1, 6, 6)).any()


def test_keypoints_are_mapped_by_name():
    both = combine([animals(FISH, 4), animals(BIRD, 3)])
    assert both.skeleton == FISH and len(both) == 7
    assert both.visible[4:].tolist() == [[0, 1, 0]] * 3
    np.testing.assert_array_equal(both.keypoints[4:, 1], animals(BIRD, 3).keypoints[:, 1])
    assert both.num_keypoints.tolist() == [3] * 4 + [1] * 3


def test_keypoints_are_mapped_by_pairs():
    pairs = [("beak", "eye"), (("left wing", "right wing"), "fin")]
    birds = animals(BIRD, 3)
    both = combine([animals(FISH, 4), birds], mappings=[None, pairs])
    np.testing.assert_allclose(both.keypoints[4:, 2], birds.keypoints[:, 2:].mean(1), rtol=1e-6)
    assert both.visible[4:].tolist() == [[1, 0, 1]] * 3
    mapping = KeypointMapping.between(BIRD, FISH, pairs)
    other = combine([animals(FISH, 4), birds], mappings=[None, mapping])
    np.testing.assert_array_equal(other.keypoints, both.keypoints)
    third = combine([animals(FISH, 4), birds], skeleton=BIRD)
    assert third.skeleton == BIRD and third.visible[0].tolist() == [0, 1, 0, 0]


def test_images_and_ids_are_numbered_anew():
    fish = animals(FISH, 4, ignored={11: [[0, 0, 1, 0, 1, 1]]}, extras={"depth": [1.0, 2, 3, 4]})
    both = combine([fish, animals(BIRD, 3, extras={"depth": [5.0, 6, 7], "wet": [0, 0, 0]})])
    assert both.ids.tolist() == list(range(1, 8))
    assert both.image_ids.tolist() == [1, 1, 2, 2, 3, 3, 4]
    assert both.extras["source_image_ids"].tolist() == [10, 10, 11, 11, 10, 10, 11]
    assert both.ignored.keys() == {2}
    assert both.extras["depth"].tolist() == [1, 2, 3, 4, 5, 6, 7] and "wet" not in both.extras
    assert both.images.paths[2] == "pictures/bird0.png"
    assert len(both.annotations["annotations"]) == 7


def test_parts_know_how_to_mix():
    both = combine([animals(FISH, 4), animals(BIRD, 6)], ratios=[2, 0.5])
    part = both[[0, 1, 5, 6, 7, 8]]
    rows = part.epoch_rows(0)
    assert np.bincount(part.extras["source"][rows]).tolist() == [4, 2]
    assert part.sources == ["fish", "bird"]


def test_whole_ratios_repeat_and_none_leaves_out():
    both = combine([animals(FISH, 4), animals(BIRD, 6)], ratios=[3, 0])
    assert np.bincount(both.epoch_rows(7)).tolist() == [3, 3, 3, 3]
    assert combine([animals(FISH, 4)]).epoch_rows(0).tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(("total", "count"), [(1, 1), (1, 5), (10, 3), (3, 10), (7, 7)])
def test_spread_stays_inside(total, count):
    for uniform in (0.0, 0.5, 1 - 2**-53):
        rows = spread(total, count, np.full(count, uniform))
        assert rows.min() >= 0 and rows.max() < total and (np.diff(rows) >= 0).all()


@pytest.mark.parametrize("mix", [dict(ratios=[1, 0.5]), dict(batch_ratios=[3, 1])])
def test_training_batches_of_combined_data_sets(tmp_path, mix):
    pytest.importorskip("tensorflow")
    for skeleton in (FISH, BIRD):
        for i in range(4):
            Image.new("RGB", (40, 30), (90, 9, 9)).save(tmp_path / f"{skeleton.name}{i}.png")
    both = combine([animals(FISH, 8, tmp_path), animals(BIRD, 8, tmp_path)], **mix)
    batches = topdown_dataset(both, batch_size=4, input_size=(32, 24), training=True, seed=1)
    count = 0
    for images, labels in batches:
        assert images.shape == (4, 24, 32, 3)
        fish = labels["visible"].numpy()[:, 0, 0] > 0  # an eye
        count += fish.sum()
        if "batch_ratios" in mix:
            assert fish.sum() == 3
    assert count == (8 if "ratios" in mix else 12)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(ratios=[1]), "ratios must be 2 numbers"),
        (dict(ratios=[1, -1]), "ratios must be 2 numbers of at least 0"),
        (dict(batch_ratios=[0, 0]), "batch_ratios must be 2 numbers .* not all 0"),
        (dict(ratios=[1, 1], batch_ratios=[1, 1]), "say either ratios"),
        (dict(mappings=[None]), "mappings must be 2"),
        (dict(mappings=[None, [("beek", "eye")]]), "bird: .*no keypoint 'beek'; did you mean beak"),
        (dict(skeleton="coco"), "fish: skeletons 'fish' and 'coco' have no keypoint name in"),
    ],
)
def test_faulty_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        combine([animals(FISH, 4), animals(BIRD, 3)], **arguments)


def test_nothing_to_combine():
    with pytest.raises(ValueError, match="at least one data set"):
        combine([])
    both = combine([animals(FISH, 4), animals(BIRD, 3)[:0]], batch_ratios=[1, 1])
    with pytest.raises(ValueError, match="bird has no objects, batch_ratios asks for 2"):
        both.batch_rows(0, 0, 4)
