import json

import numpy as np
import pytest

from keras_pose.datasets.transforms.bottomup import (
    BottomupAugment,
    FilterObjects,
    RandomAffine,
    RandomSceneCrop,
    RandomSceneFlip,
)
from keras_pose.datasets.transforms.scene import SceneContext, crop_scene

DRAWS = 20000


def affine_of(args):
    """RandomAffine of the reference's arguments."""
    names = {"transform_mode": "mode", "pad_val": "fill", "clip_border": "clip"}
    keep = ("shift_factor", "shift_prob", "scale_prob", "rotate_factor", "rotate_prob")
    found = {name: args[name] for name in keep if name in args}
    found |= {ours: args[name] for name, ours in names.items() if name in args}
    if isinstance(found.get("fill"), list):
        found["fill"] = tuple(found["fill"])
    if "scale_factor" in args:
        found["scale_factor"] = tuple(args["scale_factor"])
    if args.get("distribution") == "uniform":
        found["distribution"] = "uniform"
    return RandomAffine(**found, whole=args.get("scale_type") == "long")


@pytest.mark.cases("transforms/bottomup_affine")
def test_affine_equals_reference(case, resolve, scenes):
    """Rotations have one sense here; the reference's other modes turn the other way."""
    sample, expected = resolve(case, case["input"]), resolve(case, case["output"])
    step, drawn = affine_of(case["args"]), case["drawn"]
    rotation = drawn["rotate"] if step.mode == "affine" else -drawn["rotate"]
    moved = step.apply(
        scenes.scene_of(sample),
        tuple(case["args"]["input_size"]),
        drawn["offset"],
        drawn["scale"][0],
        rotation,
        drawn["shear"],
    )
    scenes.assert_labels(moved, expected, 1e-2)
    scenes.assert_pixels(moved.image(), expected["img"])


@pytest.mark.cases("transforms/filter")
def test_filter_equals_reference(case, resolve, scenes):
    """Where nothing is left, the reference drops the image or not; here the scene stays, empty."""
    sample, expected = resolve(case, case["input"]), resolve(case, case["output"])
    args = case["args"]
    left = FilterObjects(
        min_box=tuple(args.get("min_gt_bbox_wh", (1, 1))) if args.get("by_box") else None,
        min_area=args.get("min_gt_area", 1) if args.get("by_area") else None,
        min_visible=args.get("min_kpt_vis", 1) if args.get("by_kpt", True) else None,
    )(scenes.scene_of(sample))
    if expected is None:
        assert not len(left)
    else:
        scenes.assert_labels(left, expected, 0)


def distributions(golden, name):
    return json.loads((golden / "transforms/distributions.json").read_text("utf-8"))[name]


def assert_same_distribution(draws, reference):
    """Mean and spread within four standard errors of the difference, limits not exceeded."""
    draws, quantiles = np.asarray(draws, float), reference["quantiles"]
    error = np.sqrt(reference["std"] ** 2 * (1 / len(draws) + 1 / reference["n"]))
    assert abs(draws.mean() - reference["mean"]) <= 4 * error
    assert draws.std() == pytest.approx(reference["std"], rel=0.05)
    reach = max(quantiles["1"] - quantiles["0"], 1e-9)
    assert draws.min() >= quantiles["0"] - 0.02 * reach
    assert draws.max() <= quantiles["1"] + 0.02 * reach
    for level in ("0.1", "0.5", "0.9"):
        assert abs(np.quantile(draws, float(level)) - quantiles[level]) <= 0.03 * reach


@pytest.mark.parity
@pytest.mark.parametrize(
    "recipe",
    ["default", "yoloxpose_stage1", "yoloxpose_stage2", "yoloxpose_strong"],
    ids="transforms/distributions/BottomupRandomAffine/{}".format,
)
def test_affine_draws_like_reference(recipe, golden):
    reference = distributions(golden, "BottomupRandomAffine")["recipes"][recipe]
    step, rng = affine_of(reference["args"]), np.random.default_rng(0)
    amounts = [step.amounts(rng.uniform(size=6), rng.uniform(size=4)) for _ in range(DRAWS)]
    offset, scale, rotation, shear = (np.array(values) for values in zip(*amounts, strict=True))
    for name, values in {
        "offset_x": offset[:, 0],
        "offset_y": offset[:, 1],
        "scale": scale,
        "rotate": rotation,
        "shear_x": shear[:, 0],
    }.items():
        assert_same_distribution(values, reference[name])


@pytest.mark.parity
@pytest.mark.parametrize(
    "recipe, size, size_type",
    [
        ("absolute_range_384_600", (384, 600), "absolute_range"),
        # The reference's first fraction is that of the height.
        ("relative_range", (0.6, 0.5), "relative_range"),
    ],
    ids=[f"transforms/distributions/BottomupRandomCrop/{i}" for i in range(2)],
)
def test_crop_draws_like_reference(recipe, size, size_type, golden):
    reference = distributions(golden, "BottomupRandomCrop")["recipes"][recipe]
    step, rng = RandomSceneCrop(size, size_type), np.random.default_rng(0)
    drawn = np.array([step.rectangle((640, 480), rng.uniform(size=4)) for _ in range(DRAWS)])
    for name, values in {
        "offset_x": drawn[:, 0, 0],
        "offset_y": drawn[:, 0, 1],
        "crop_w": drawn[:, 1, 0],
        "crop_h": drawn[:, 1, 1],
    }.items():
        assert_same_distribution(values, reference[name])


@pytest.mark.parity
@pytest.mark.parametrize(
    "name, prob, directions",
    [
        ("default", 0.5, "horizontal"),
        ("list_probs_02_03", (0.2, 0.3), ("horizontal", "vertical")),
        ("prob1", 1.0, "horizontal"),
        ("three_dirs_prob05", 0.5, ("horizontal", "vertical", "diagonal")),
    ],
)
def test_flip_draws_like_reference(name, prob, directions, golden):
    reference = distributions(golden, "RandomFlip")
    rng = np.random.default_rng(0)
    drawn = [RandomSceneFlip(prob, directions).direction(rng.uniform()) for _ in range(DRAWS)]
    for direction, share in reference["probabilities"][name].items():
        error = np.sqrt(max(share * (1 - share), 1e-9) * (1 / DRAWS + 1 / reference["draws"]))
        assert abs(np.mean([str(d) == direction for d in drawn]) - share) <= 4 * error


@pytest.mark.parametrize("size_type", ["absolute", "relative"])
def test_crop_sizes_are_width_and_height(size_type):
    size = (60, 50) if size_type == "absolute" else (0.5, 0.25)
    step = RandomSceneCrop(size, size_type)
    offset, cut = step.rectangle((120, 200), np.array([0.5, 0.5, 0.999, 0.0]))
    assert cut == (60, 50) and offset == (60, 0)


def people(scenes):
    return scenes.scene_of(
        {
            "img": np.zeros((40, 60, 3), np.uint8),
            "img_shape": (40, 60),
            "keypoints": np.full((1, 17, 2), 5.0),
            "bbox": [[2, 2, 8, 8]],
        }
    )


def test_crop_shows_somebody_or_stays(scenes):
    scene = people(scenes)
    context = SceneContext((32, 32), lambda rng: scene)
    cuts = [RandomSceneCrop((20, 20))(scene, np.random.default_rng(i), context) for i in range(20)]
    assert all(len(cut) for cut in cuts)
    allowed = RandomSceneCrop((20, 20), allow_empty=True)
    empty = [len(allowed(scene, np.random.default_rng(i), context)) == 0 for i in range(20)]
    assert 0 < sum(empty) < 20


def test_an_empty_scene_goes_through(scenes):
    empty = crop_scene(people(scenes), (30, 20), (20, 20))
    context = SceneContext((32, 32), lambda rng: empty)
    augment = BottomupAugment((RandomAffine(), RandomSceneFlip(1.0), FilterObjects((1, 1))))
    scene = augment(empty, np.random.default_rng(0), context)
    assert scene.size == (32, 32) and len(scene) == 0 and scene.boxes.shape == (0, 4)


@pytest.mark.parametrize(
    "step, arguments",
    [(RandomAffine, {"mode": "udp"}), (RandomSceneCrop, {"size": (1, 1), "size_type": "any"})],
)
def test_unknown_words_are_refused(step, arguments):
    with pytest.raises(ValueError, match="must be one of"):
        step(**arguments)
