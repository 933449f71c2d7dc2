import json

import numpy as np
import pytest

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
