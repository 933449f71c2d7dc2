"""Whole images in the input of a network."""

import math

import numpy as np

from keras_pose.geometry.affine import center_scale_affine


def fitted_sizes(
    image_size: tuple[int, int],
    input_size: tuple[int, int],
    mode: str = "fit",
    size_factor: int = 32,
) -> tuple[tuple[float, float], tuple[int, int]]:
    """How large an image becomes, and the input around it.

    Args:
        image_size: (width, height).
        input_size: (width, height).
        mode: "fit" puts the whole image into the input; "expand" covers the input, which grows;
            "corner" is "fit" into an input that shrinks around the image.
        size_factor: int, the input's sides are multiples of it.

    Returns:
        (width, height) of the image in the input, not rounded, and of the input.

    Raises:
        ValueError: for another mode, or "fit" into a size that is no multiple.
    """
    (width, height), (input_width, input_height) = image_size, input_size
    ratio = width / height
    if mode not in ("fit", "expand", "corner"):
        raise ValueError(f'mode must be "fit", "expand" or "corner", got {mode!r}')
    if mode == "fit" and (input_width % size_factor or input_height % size_factor):
        raise ValueError(
            f"sides of an input to fit into must be multiples of {size_factor}, got {input_size}"
        )
    wide = ratio > input_width / input_height
    if wide == (mode != "expand"):  # the width decides
        actual = (float(input_width), input_width / ratio)
    else:
        actual = (input_height * ratio, float(input_height))
    if mode == "fit":
        return actual, (input_width, input_height)
    # Sides such as 384.0000001 are rounding.
    sides = np.round(actual, 6) if mode == "corner" else actual
    return actual, tuple(math.ceil(side / size_factor) * size_factor for side in sides)


def fit_affine(
    image_size: tuple[int, int],
    input_size: tuple[int, int],
    mode: str = "fit",
    size_factor: int = 32,
    udp: bool = False,
) -> tuple[np.ndarray, tuple[int, int]]:
    """The map for a whole image, as bottom-up models are tested.

    The border is equal on both sides (plain) or at the right and below (UDP, "corner").

    Args:
        image_size, input_size, mode, size_factor: see `fitted_sizes`.
        udp: bool, see `center_scale_affine`.

    Returns:
        float32 `(2, 3)`, input to image, and (width, height) of the input.
    """
    actual, padded = fitted_sizes(image_size, input_size, mode, size_factor)
    size = np.asarray(image_size, np.float64)
    if udp:
        return center_scale_affine((size - 1) / 2, size, actual, udp=True), padded
    scale = size * padded / np.asarray(actual)
    center = scale / 2 if mode == "corner" else size / 2
    return center_scale_affine(center, scale, padded), padded
