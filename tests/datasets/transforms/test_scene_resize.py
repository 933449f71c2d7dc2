import json

import numpy as np
import pytest

from keras_pose.datasets.transforms.scene_resize import (
    RandomChoiceResize,
    fit_scene,
    ratio_size,
)
from keras_pose.geometry import apply_affine
from keras_pose.geometry.fitting import fitted_sizes


@pytest.mark.cases("transforms/bottomup_resize")
def test_fit_equals_reference(case, resolve, scenes, goldens):
    sample, expected = resolve(case, case["input"]), resolve(case, case["output"])
    args = case["args"]
    sizes = [tuple(args["input_size"])]
    sizes += [tuple(int(s * factor) for s in sizes[0]) for factor in args.get("aug_scales", [])]
    images = expected["img"] if isinstance(expected["img"], list) else [expected["img"]]
    fitted = [
        fit_scene(
            scenes.scene_of(sample),
            size,
            args["resize_mode"],
            args["size_factor"],
            args.get("use_udp", False),
            tuple(args.get("pad_val", (0, 0, 0))),
        )
        for size in sizes
    ]
    for scene, image in zip(fitted, images, strict=True):
        scenes.assert_pixels(scene.image(), image, sampled=goldens.sample_indices)
    first = fitted[0]
    assert list(first.size) == expected["input_size"]
    if not args.get("use_udp"):
        ends = apply_affine(first.affine, np.array([[0.0, 0.0], first.size]))
        center, scale = expected["input_center"], expected["input_scale"]
        np.testing.assert_allclose(ends, [center - scale / 2, center + scale / 2], atol=1e-3)


@pytest.mark.parity
def test_sizes_equal_reference(golden):
    facts = json.loads((golden / "transforms/bottomup_resize.json").read_text("utf-8"))["facts"]
    for row in facts["bottomup_resize_sizes"]["rows"]:
        width, height, mode, input_width, input_height, factor, *expected = row
        actual, padded = fitted_sizes((width, height), (input_width, input_height), mode, factor)
        np.testing.assert_allclose([*actual, *padded], expected, rtol=1e-9)


@pytest.mark.cases("transforms/bottomup_choice_resize")
def test_choice_equals_reference(case, resolve, scenes):
    sample, expected = resolve(case, case["input"]), resolve(case, case["output"])
    args = case["args"]
    resized = RandomChoiceResize(
        tuple(map(tuple, args["scales"])),
        args.get("keep_ratio", False),
        args.get("clip_object_border", True),
        smooth=args.get("backend") == "pillow",
    ).apply(scenes.scene_of(sample), case["drawn"]["scale_idx"])
    assert [resized.size[1], resized.size[0]] == expected["img_shape"]
    scenes.assert_labels(resized, {k: expected[k] for k in ("bbox", "keypoints")}, 1e-3)
    scenes.assert_pixels(resized.image(), expected["img"], mean=0.25, most=1)


@pytest.mark.parity
@pytest.mark.parametrize(
    "stored", ["BottomupRandomChoiceResize"], ids="transforms/distributions/{}".format
)
def test_choices_are_equally_likely(golden, stored):
    reference = json.loads((golden / "transforms/distributions.json").read_text("utf-8"))
    counts = reference[stored]["index_counts"]
    rng = np.random.default_rng(0)
    ours = np.bincount([rng.integers(len(counts)) for _ in range(20000)])
    for index, count in counts.items():
        assert abs(int(ours[int(index)]) - count) < 4 * np.sqrt(2 * 20000 * 2 / 9)


def test_ratio_is_kept():
    assert ratio_size((640, 480), (1333, 800)) == (1067, 800)
    assert ratio_size((480, 640), (1333, 800)) == (800, 1067)


@pytest.mark.parametrize(
    "arguments, message",
    [((("stretch"), 32), "mode must be"), (("fit", 48), "multiples of 48")],
)
def test_bad_sizes_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        fitted_sizes((640, 480), (512, 512), *arguments)
