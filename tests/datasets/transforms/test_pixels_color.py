import json

import numpy as np
import pytest

from keras_pose.datasets.transforms.pixels_color import (
    HUES,
    HueSaturationValue,
    PhotometricDistortion,
    RandomBrightnessContrast,
    RandomColor,
    RandomHSV,
    change_color,
    distort,
    scale_levels,
    shift_hsv,
)

IMAGE = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)


def rgb(image):
    return np.ascontiguousarray(image[..., ::-1])


@pytest.mark.cases("transforms/photometric")
def test_equals_reference(case, resolve):
    """Exact; 1 grey level where the hue passes 180, which is left to OpenCV there and done here.

    Pixels whose hue falls below 0 jump in the reference, see the next test.
    """
    import cv2

    image, expected = (
        rgb(resolve(case, case["input"]["img"])),
        rgb(resolve(case, case["output"]["img"])),
    )
    drawn = case["drawn"]
    if case["transform"] == "YOLOXHSVRandomAug":
        np.testing.assert_array_equal(shift_hsv(image, *drawn["hsv_gains"]), expected)
        return
    # The reference's mode 0 never applies the contrast, its mode 1 does so first and last.
    contrast = drawn["contrast_alpha"] if drawn["contrast_flag"] * drawn["contrast_mode"] else 1.0
    amounts = {
        "brightness": drawn["brightness_beta"] * drawn["brightness_flag"],
        "contrast": contrast,
        "saturation": drawn["saturation_alpha"] if drawn["hsv_mode"] in (1, 3) else None,
        "hue": drawn["hue_delta"] if drawn["hsv_mode"] in (2, 3) else None,
        "last_contrast": contrast,
    }
    # Channel i of BGR is channel 2 - i of RGB.
    channels = [2 - drawn["swap_channel_order"][2 - i] for i in range(3)]
    ours = distort(image, **amounts, channels=channels if drawn["swap_flag"] else (0, 1, 2))
    before = distort(image, brightness=amounts["brightness"], contrast=contrast)
    hue = cv2.cvtColor(before, cv2.COLOR_RGB2HSV)[..., 0].astype(int)
    hue = hue + (amounts["hue"] or 0)
    same = (hue >= 0) & (hue < HUES)
    np.testing.assert_array_equal(ours[same], expected[same])
    passed = np.abs(ours.astype(int) - expected)[hue >= HUES]
    assert passed.max(initial=0) <= (1 if contrast == 1 else 2)
    assert same.mean() > 0.5


def test_hue_wraps_where_the_reference_jumps():
    red = np.full((2, 2, 3), (200, 20, 20), np.uint8)
    turned = distort(red, hue=-10)  # towards violet, 20 degrees
    assert (turned[..., 2] > turned[..., 1]).all() and (turned[..., 0] == 200).all()
    back = distort(turned, hue=10)
    assert np.abs(back.astype(int) - red).max() <= 5


def test_contrast_comes_first_or_last_and_once():
    drawn = [PhotometricDistortion().amounts(np.random.default_rng(i)) for i in range(400)]
    first = [d["contrast"] != 1 for d in drawn]
    last = [d["last_contrast"] != 1 for d in drawn]
    assert not np.any(np.logical_and(first, last))
    assert abs(np.mean(first) - 0.25) < 0.1 and abs(np.mean(last) - 0.25) < 0.1


def hsv_formula(rgb):
    """Hue in 0..180, saturation and value in 0..255, from the definition."""
    r, g, b = np.moveaxis(rgb.astype(float), -1, 0)
    value, low = rgb.max(-1).astype(float), rgb.min(-1)
    span = np.where(value > low, value - low, 1)
    hue = np.select(
        [value == r, value == g], [(g - b) / span, 2 + (b - r) / span], 4 + (r - g) / span
    )
    saturation = np.where(value > 0, (value - low) / np.maximum(value, 1) * 255, 0)
    return np.stack([np.where(value > low, 30 * hue % 180, 0), saturation, value], -1)


@pytest.mark.parity
@pytest.mark.parametrize(
    "table", ["bgr2hsv", "hsv2bgr"], ids=lambda table: f"transforms/hsv_table/{table}"
)
def test_hsv_equals_reference(golden, table):
    import cv2

    arrays = np.load(golden / "transforms/hsv_table.npz")
    if table == "bgr2hsv":
        colors, expected = arrays["bgr"][None, :, ::-1], arrays["bgr2hsv"]
        ours = cv2.cvtColor(np.ascontiguousarray(colors), cv2.COLOR_RGB2HSV)[0]
        np.testing.assert_array_equal(ours, expected)
        exact = np.abs(hsv_formula(colors[0]) - expected)
        exact[:, 0] = np.minimum(exact[:, 0], 180 - exact[:, 0])
        assert exact.max() < 0.6
    else:
        # One colour a row, as stored: in longer rows OpenCV's vector code may differ by 1.
        ours = cv2.cvtColor(arrays["hsv"][:, None], cv2.COLOR_HSV2RGB)[:, 0]
        np.testing.assert_array_equal(ours[:, ::-1], arrays["hsv2bgr"])


def quantiles_agree(draws, published):
    """Mean and spread within 4 standard errors (also of the published ones)."""
    error = 4 * published["std"] * np.sqrt(1 / len(draws) + 1 / published["n"])
    assert abs(np.mean(draws) - published["mean"]) < error
    assert abs(np.std(draws) - published["std"]) < error
    quantiles = published["quantiles"]
    assert quantiles["0"] - error <= np.min(draws) and np.max(draws) <= quantiles["1"] + error


@pytest.mark.parity
@pytest.mark.parametrize(
    "name",
    ["PhotometricDistortion", "YOLOXHSVRandomAug"],
    ids=lambda name: f"transforms/distributions/{name}",
)
def test_draws_are_distributed_as_published(golden, name):
    published = json.loads((golden / "transforms/distributions.json").read_text())[name]
    rng, count = np.random.default_rng(0), 8000
    error = 4 * np.sqrt(0.25 / count + 0.25 / 20000)
    if name == "YOLOXHSVRandomAug":
        draws = np.array([RandomHSV().amounts(rng) for _ in range(count)])
        for column, channel in zip(draws.T, ("hue", "saturation", "value"), strict=True):
            quantiles_agree(column, {"n": 20000, **published[channel]})
            assert abs((column == 0).mean() - published[channel]["prob_zero"]) < error
        return
    draws = [PhotometricDistortion().amounts(rng) for _ in range(count)]
    beta = [d["brightness"] for d in draws if d["brightness"]]
    alpha = [d["contrast"] * d["last_contrast"] for d in draws]
    alpha = [a for a in alpha if a != 1]
    factor = [d["saturation"] for d in draws if d["saturation"] is not None]
    hue = [d["hue"] for d in draws if d["hue"] is not None]
    quantiles_agree(beta, published["brightness_beta"])
    quantiles_agree(alpha, published["contrast_alpha"])
    quantiles_agree(factor, published["saturation_alpha"])
    quantiles_agree(hue, published["hue_delta"])
    assert [min(hue), max(hue)] == published["hue_delta_range_inclusive"]
    for some, flag in ((beta, "brightness_flag"), (alpha, "contrast_flag")):
        assert abs(len(some) / count - published[flag]["1"] / 20000) < error
    both = np.mean([d["saturation"] is not None and d["hue"] is not None for d in draws])
    assert abs(both - published["hsv_mode"]["3"] / 20000) < error
    swapped = np.mean([d["channels"] != (0, 1, 2) for d in draws])
    theirs = published["swap_flag"]["1"] / 20000
    same = published["swap_permutations"]["[0, 1, 2]"] / sum(
        published["swap_permutations"].values()
    )
    assert abs(swapped - theirs * (1 - same)) < error


def test_no_change_of_color_changes_nothing():
    np.testing.assert_array_equal(change_color(IMAGE), IMAGE)
    assert distort(IMAGE) is IMAGE


def test_brightness_and_contrast_saturate():
    expected = np.clip(IMAGE * 1.3 + 40, 0, 255)
    assert np.abs(change_color(IMAGE, brightness=40, contrast=1.3) - np.rint(expected)).max() <= 1
    np.testing.assert_array_equal(
        scale_levels(IMAGE, 1.25, 40), np.clip(IMAGE * 1.25 + 40, 0, 255).astype(np.uint8)
    )


def test_no_saturation_is_grey():
    grey = change_color(IMAGE, saturation=0)
    assert np.ptp(grey, axis=-1).max() == 0
    assert np.abs(grey[..., 0] - IMAGE @ [0.299, 0.587, 0.114]).max() <= 1


def test_grey_keeps_its_value_under_saturation():
    grey = np.repeat(IMAGE[..., :1], 3, axis=-1)
    assert np.abs(change_color(grey, saturation=1.5).astype(int) - grey).max() <= 1


def test_value_and_saturation_are_cut_and_hue_wraps():
    shifted = shift_hsv(IMAGE, hue=HUES - 1, saturation=255, value=255)
    assert (shifted.max(-1) == 255).all()


@pytest.mark.parametrize(
    "transform",
    [
        RandomColor(),
        PhotometricDistortion(),
        RandomHSV(),
        HueSaturationValue(),
        RandomBrightnessContrast(),
    ],
    ids=lambda transform: type(transform).__name__,
)
def test_draws_are_repeatable_and_leave_the_input_alone(transform):
    before, changed = IMAGE.copy(), 0
    for seed in range(100):
        one, same = (transform(IMAGE, np.random.default_rng(seed)) for _ in range(2))
        np.testing.assert_array_equal(one, same)
        assert one.dtype == np.uint8 and one.shape == IMAGE.shape and one.flags["C_CONTIGUOUS"]
        changed += not np.array_equal(one, IMAGE)
    np.testing.assert_array_equal(IMAGE, before)
    assert 35 < changed <= 100


def test_brightness_and_contrast_follow_their_definition():
    transform = RandomBrightnessContrast(prob=1.0)
    ramp = np.arange(256, dtype=np.uint8)[:, None, None].repeat(3, -1)
    slopes, offsets = [], []
    for seed in range(300):
        out = transform(ramp, np.random.default_rng(seed))[..., 0, 0].astype(float)
        inside = (out > 0) & (out < 255)
        slope, offset = np.polyfit(np.arange(256)[inside], out[inside] + 0.5, 1)
        slopes.append(slope)
        offsets.append(offset / 255)
    for draws, middle in ((slopes, 1), (offsets, 0)):
        assert (
            abs(np.mean(draws) - middle) < 0.03
            and 0.18 < np.max(np.abs(np.array(draws) - middle)) < 0.21
        )
