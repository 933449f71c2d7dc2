"""Reading pictures: every stored case of the reference's LoadImage against `decode_image`."""

import numpy as np
import pytest

from keras_pose.datasets.transforms import change_color
from keras_pose.images import decode_image


def as_asked(image, args, name):
    """Our picture, always upright RGB uint8, in the form that a case asks for."""
    kind = args.get("color_type", "color")
    if kind == "grayscale":
        return change_color(image, saturation=0)[..., 0]
    if kind == "color":
        return image[..., ::-1].astype(np.float32 if args.get("to_float32") else np.uint8)
    if name == "exif6_jpg":  # as it lies in the file, turned to the left
        image = np.rot90(image)
    return image[..., 0] if name == "gray_png" else image[..., ::-1]


@pytest.mark.cases("transforms/load_image")
def test_equals_reference(case, golden, goldens):
    arrays = np.load(golden / f"{case['golden']}.npz")
    name = case["id"].partition(".")[0]
    ours = as_asked(decode_image(arrays[f"file.{name}"]), case["args"], name)
    key = case["id"]
    if name == "alpha_png" and case["args"].get("color_type") == "unchanged":
        compare_without_alpha(arrays, key, ours, goldens)
        return
    assert str(ours.dtype) == case["dtype"] and list(ours.shape) == case["shape"]
    # decoders of JPEG may differ by 3 levels; grey is rounded in two ways
    lossy = name.endswith("jpg") or case["args"].get("color_type") == "grayscale"
    assert goldens.compare(arrays, key, ours)["max_abs"] <= (3 if lossy else 0)


def compare_without_alpha(arrays, key, ours, goldens):
    """Alpha is dropped here: the stored samples of the other three channels are compared."""
    stored = arrays[key]
    places = goldens.sample_indices(int(np.prod(arrays[f"{key}__shape"])))
    pixel, channel = np.divmod(places, 4)
    colors = channel < 3
    np.testing.assert_array_equal(
        ours.reshape(-1, 3)[pixel[colors], channel[colors]], stored[colors]
    )
