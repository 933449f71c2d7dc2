import json

import numpy as np
import pytest

from keras_pose.datasets.transforms import mosaic as module
from keras_pose.datasets.transforms.mosaic import MixUp, Mosaic, mix, mosaic
from keras_pose.datasets.transforms.scene import SceneContext
from keras_pose.geometry import apply_affine


@pytest.mark.cases("transforms/mosaic")
def test_mosaic_equals_reference(case, resolve, scenes):
    samples, expected = resolve(case, case["samples"]), resolve(case, case["output"])
    drawn, size = case["drawn"], tuple(case["args"]["img_scale"])
    assert Mosaic.center(drawn["center_factors"], size) == tuple(drawn["center"])
    four = [scenes.scene_of(samples[i]) for i in (0, *drawn["aux_indices"])]
    made = mosaic(four, tuple(drawn["center"]), size)
    scenes.assert_labels(made, expected, 1e-3)
    scenes.assert_pixels(made.image(), expected["img"], mean=0.25, most=1)


@pytest.mark.cases("transforms/mixup")
def test_mix_equals_reference(case, resolve, scenes):
    samples, expected = resolve(case, case["samples"]), resolve(case, case["output"])
    drawn = case["drawn"]
    assert drawn["flip"] == (drawn["u_flip"] > 0.5)
    made = mix(
        scenes.scene_of(samples[0]),
        scenes.scene_of(samples[drawn["aux_index"]]),
        tuple(case["args"]["img_scale"]),
        drawn["jit_factor"],
        drawn["flip"],
        (drawn["dx"], drawn["dy"]),
    )
    scenes.assert_labels(made, expected, 1e-3)
    scenes.assert_pixels(made.image(), expected["img"], mean=0.25, most=1)


def plain(scenes, level, ignored=False):
    sample = {
        "img": np.full((40, 60, 3), level, np.uint8),
        "img_shape": (40, 60),
        "keypoints": np.full((1, 17, 2), 20.0) + level,
        "bbox": [[10, 10, 30, 30]],
    }
    if ignored:
        sample["img_mask"] = np.pad(np.ones((10, 10), np.uint8), ((0, 30), (0, 50)))
    return scenes.scene_of(sample)


def test_mosaic_keeps_the_map_of_the_first(scenes):
    first = plain(scenes, 0)
    made = mosaic([first, *[plain(scenes, 1)] * 3], (50, 40), (64, 64))
    back = apply_affine(made.affine, made.keypoints[:1])
    np.testing.assert_allclose(back, first.keypoints, atol=1e-4)


def test_ignored_regions_go_into_mosaics_and_mixtures(scenes):
    with_region, without = plain(scenes, 0, ignored=True), plain(scenes, 1)
    made = mosaic([without, with_region, without, without], (60, 40), (60, 40))
    assert not made.mask()[:10, 60:70].any() and made.mask()[:, :60].all()
    mixed = mix(without, with_region, (60, 40), mirrored=True)
    assert not mixed.mask()[:10, 50:].any() and mixed.mask()[10:].all()


@pytest.mark.parity
@pytest.mark.parametrize("stored", ["Mosaic"], ids="transforms/distributions/{}".format)
def test_a_mosaic_is_drawn_like_the_reference(golden, scenes, stored):
    scene, rng = plain(scenes, 1), np.random.default_rng(0)
    context = SceneContext((64, 64), lambda rng: scene)
    made = [Mosaic(prob=0.5)(scene, rng, context).size for _ in range(400)]
    assert abs(np.mean([size == (128, 128) for size in made]) - 0.5) < 0.1
    reference = json.loads((golden / "transforms/distributions.json").read_text("utf-8"))
    reference = reference[stored]
    assert reference["prob"] == Mosaic().prob
    assert reference["center_factor"]["quantiles"]["1"] < Mosaic().center_range[1]


@pytest.mark.parity
@pytest.mark.parametrize("stored", ["Mosaic"], ids="transforms/distributions/{}".format)
def test_the_middle_of_a_mosaic_is_drawn_like_the_reference(golden, monkeypatch, scenes, stored):
    """Mean and spread of both coordinates, within 4 standard errors of the difference."""
    reference = json.loads((golden / "transforms/distributions.json").read_text("utf-8"))
    reference = reference[stored]["center_factor"]
    scene, rng = plain(scenes, 1), np.random.default_rng(0)
    context, drawn, partners = SceneContext((64, 64), lambda rng: scene), [], []

    def record(four, center, size, fill):
        partners.append(len(four) - 1)
        return scene

    def keep(factors, size):
        drawn.append(factors)
        return 0, 0

    monkeypatch.setattr(module, "mosaic", record)
    monkeypatch.setattr(Mosaic, "center", staticmethod(keep))
    for _ in range(4000):
        Mosaic()(scene, rng, context)
    assert set(partners) == {3}
    drawn = np.array(drawn)
    count = len(drawn)
    mean_error = reference["std"] * np.sqrt(1 / count + 1 / reference["n"])
    # A uniform draw's fourth moment is 1.8 times its squared variance.
    spread_error = reference["std"] * np.sqrt((1.8 - 1) / 4 * (1 / count + 1 / reference["n"]))
    assert (abs(drawn.mean(axis=0) - reference["mean"]) < 4 * mean_error).all()
    assert (abs(drawn.std(axis=0) - reference["std"]) < 4 * spread_error).all()
    assert abs(np.corrcoef(drawn.T)[0, 1]) < 4 / np.sqrt(count)


@pytest.mark.parity
@pytest.mark.parametrize("stored", ["YOLOXMixUp"], ids="transforms/distributions/{}".format)
def test_the_draws_of_a_mixture_follow_the_rule(monkeypatch, scenes, stored):
    """Uniform size, mirrored every other time, uniform place: within 4 standard errors."""
    first, other, rng = plain(scenes, 10), plain(scenes, 20), np.random.default_rng(0)
    context, drawn = SceneContext((120, 80), lambda rng: other), []

    def record(scene, other, size, factor, mirrored, offset, fill):
        drawn.append((factor, mirrored, *offset))
        return scene

    monkeypatch.setattr(module, "mix", record)
    for _ in range(4000):
        MixUp()(first, rng, context)
    factor, mirrored, x, y = np.array(drawn, float).T
    count = len(factor)
    assert abs(factor.mean() - 1) < 4 / np.sqrt(12 * count)
    assert abs(factor.std() - 1 / np.sqrt(12)) < 4 / np.sqrt(12) * np.sqrt((1.8 - 1) / 4 / count)
    assert abs(mirrored.mean() - 0.5) < 4 * 0.5 / np.sqrt(count)
    # Places are whole numbers 0..room, both ends included, each equally often.
    for place, side, have in ((x, 120, 60), (y, 80, 40)):
        room = np.maximum((side * factor).astype(int) - have, 0)
        assert (place <= room).all() and (place[room > 0] == room[room > 0]).any()
        spread = np.sqrt(((room + 1) ** 2 - 1) / 12)
        assert abs((place - room / 2).sum()) < 4 * np.sqrt((spread**2).sum())


@pytest.mark.parity
@pytest.mark.parametrize("stored", ["YOLOXMixUp"], ids="transforms/distributions/{}".format)
def test_a_mixture_may_show_any_part_of_the_other(scenes, stored):
    first, other = plain(scenes, 10), plain(scenes, 20)
    context = SceneContext((120, 80), lambda rng: other)
    step = MixUp(ratio_range=(2.0, 2.0), flip_prob=0.0)
    drawn = [step(first, np.random.default_rng(i), context) for i in range(50)]
    assert all(scene.size == (60, 40) and len(scene) == 2 for scene in drawn)
    assert len({tuple(scene.boxes[1].round(2)) for scene in drawn}) > 25


def test_a_partner_without_people_changes_nothing(scenes):
    first, other = plain(scenes, 10), plain(scenes, 20)
    assert mix(first, scenes.scene_of({"img_shape": (40, 60)}), (60, 40)) is first
    assert len(mix(first, other, (60, 40))) == 2
