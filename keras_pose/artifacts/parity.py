"""The check that every export passes: the same images through Keras and through the artifact.

The images are a few of the package's sample photos, very small, and smooth noise. They are stored
beside the artifact and enlarged by whole numbers only, so that every machine makes the same pixels
of them.
"""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from keras_pose.images import read_image
from keras_pose.paths import PRESETS

# Keypoints and boxes that Keras is less sure of are not compared: where nobody is, the largest of
# nearly equal numbers can be another one after rounding.
SCORE_THRESHOLD = 0.2
PIXEL_TOLERANCE = 0.1
# Of all other outputs, as a fraction of the largest value.
VALUE_TOLERANCE = 1e-3

RULE = (
    f"keypoints and boxes: largest difference in pixels of the input where the score in Keras is "
    f"above {SCORE_THRESHOLD} (everywhere if it is nowhere), {PIXEL_TOLERANCE} is allowed; other "
    f"outputs: largest difference, {VALUE_TOLERANCE} of the largest value is allowed"
)

_PHOTOS = 4
_NOISES = 2
# The stored images are smaller by a whole number: this one, more where a side would exceed that.
_REDUCTION = 4
_LONGEST_SIDE = 80
# Values of one output that are stored per image at most.
_STORED_VALUES = 512
_OUTPUT = "output."
_PIXELS = ("keypoints", "boxes")


@dataclass(frozen=True)
class Difference:
    """How far one output of an artifact is from Keras.

    Args:
        largest: float, the largest difference; nan if a value is no number.
        allowed: float.
        compared, total: how many numbers were compared, of how many.
        unit: "px" or empty.
    """

    largest: float
    allowed: float
    compared: int
    total: int
    unit: str = ""

    @property
    def ok(self) -> bool:
        """Whether it is as small as it must be."""
        return bool(self.largest <= self.allowed)

    def __str__(self) -> str:
        unit = f" {self.unit}" if self.unit else ""
        return f"largest difference {self.largest:.2g}{unit}, {self.allowed:.2g}{unit} is allowed"


def small_images(input_size: tuple[int, int]) -> np.ndarray:
    """The images of the check, reduced, `(M, h, w, 3)` uint8.

    Args:
        input_size: (width, height) of the model's input.
    """
    width, height = (-(-side // _factor(input_size)) for side in input_size)
    paths = sorted((PRESETS / "samples").glob("*.jpg"))[:_PHOTOS]
    photos = [_fitted(read_image(path), width, height) for path in paths]
    coarse = np.random.default_rng(0).integers(
        0, 256, (_NOISES, -(-height // 6), -(-width // 6), 3), dtype=np.uint8
    )
    return np.stack([*photos, *_enlarged(coarse, 6, (width, height))])


def parity_images(small: np.ndarray, input_size: tuple[int, int]) -> np.ndarray:
    """Reduced images in the size of the model's input, equal to the last bit on every machine.

    Args:
        small: what `small_images` returned for this size.
        input_size: (width, height).
    """
    return _enlarged(small, _factor(input_size), input_size)


def _factor(input_size) -> int:
    return max(_REDUCTION, -(-max(input_size) // _LONGEST_SIDE))


def _fitted(photo: np.ndarray, width: int, height: int) -> np.ndarray:
    """The whole photo in the middle of a black image."""
    import cv2

    scale = min(width / photo.shape[1], height / photo.shape[0])
    size = [max(1, round(side * scale)) for side in (photo.shape[1], photo.shape[0])]
    left, top = (width - size[0]) // 2, (height - size[1]) // 2
    canvas = np.zeros((height, width, 3), np.uint8)
    reduced = cv2.resize(photo, size, interpolation=cv2.INTER_AREA)
    canvas[top : top + size[1], left : left + size[0]] = reduced
    return canvas


def _enlarged(images: np.ndarray, factor: int, size: tuple[int, int]) -> np.ndarray:
    """Bilinear enlargement in integers, cut to (width, height)."""
    values = images.astype(np.int32)
    for axis, length in ((1, size[1]), (2, size[0])):
        last = values.shape[axis] - 1
        # Twice the factor times the position between the centres of two pixels.
        place = np.clip(2 * np.arange(length) + 1 - factor, 0, 2 * factor * last)
        low = place // (2 * factor)
        shape = [1, 1, 1, 1]
        shape[axis] = length
        weight = (place - low * 2 * factor).reshape(shape)
        first = np.take(values, low, axis)
        second = np.take(values, np.minimum(low + 1, last), axis)
        values = (first * (2 * factor - weight) + second * weight + factor) // (2 * factor)
    return values.astype(np.uint8)


def keras_outputs(model, images: np.ndarray, decode: bool, flip_test: bool) -> dict:
    """What Keras computes under the present backend, in full float32 also on GPUs."""
    with _full_precision():
        return model.predict_padded(images, batch_size=8, flip_test=flip_test, decode=decode)


@contextlib.contextmanager
def _full_precision() -> Iterator[None]:
    """Keeps GPUs from rounding the factors of products to 10 bits (TF32)."""
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        with jax.default_matmul_precision(None if _on_cpu(jax) else "highest"):
            yield
    elif backend == "torch":
        import torch

        flags = (torch.backends.cudnn, torch.backends.cuda.matmul)
        before = [flag.allow_tf32 for flag in flags]
        try:
            for flag in flags:
                flag.allow_tf32 = False
            yield
        finally:
            for flag, value in zip(flags, before, strict=True):
                flag.allow_tf32 = value
    else:
        import tensorflow as tf

        before = tf.config.experimental.tensor_float_32_execution_enabled()
        tf.config.experimental.enable_tensor_float_32_execution(False)
        try:
            yield
        finally:
            tf.config.experimental.enable_tensor_float_32_execution(before)


def _on_cpu(jax) -> bool:
    # There another setting would only compile everything once more.
    return jax.default_backend() == "cpu"


def compare(
    reference: Mapping[str, np.ndarray],
    found: Mapping[str, np.ndarray],
    decode: bool,
    in_pixels: bool = True,
) -> dict[str, Difference]:
    """How far the outputs of an artifact are from those of Keras, by name; see `RULE`.

    Args:
        reference, found: outputs by name, `(M, ...)` each.
        decode: bool, whether they are decoded; of raw outputs none are pixels.
        in_pixels: bool, whether decoded keypoints and boxes are; those of lifters are metres.

    Raises:
        ValueError: an output is missing, or has another shape.
    """
    for name, value in reference.items():
        if name not in found:
            raise ValueError(f'it has no output "{name}" but {", ".join(sorted(found))}')
        if found[name].shape != value.shape:
            raise ValueError(
                f'its output "{name}" has shape {found[name].shape} instead of {value.shape}'
            )
    found = _in_order(reference, found)
    return {
        name: _difference(
            name, value, found[name], _sure(name, reference) if decode and in_pixels else None
        )
        for name, value in reference.items()
    }


def _difference(name, expected, actual, sure) -> Difference:
    total = expected.size
    if sure is not None:
        expected, actual = expected[sure], actual[sure]
    in_pixels = sure is not None and name in _PIXELS
    scale = float(np.abs(expected).max(initial=0.0))
    return Difference(
        largest=float(np.abs(actual - expected).max(initial=0.0)),
        allowed=PIXEL_TOLERANCE if in_pixels else max(VALUE_TOLERANCE * scale, 1e-6),
        compared=expected.size,
        total=total,
        unit="px" if in_pixels else "",
    )


def _sure(name: str, reference) -> np.ndarray | None:
    """Which keypoints or boxes count; None for outputs of which all do."""
    if name not in (*_PIXELS, "classes"):
        return None
    boxes_have_own = name != "keypoints" and "box_scores" in reference
    scores = reference["box_scores" if boxes_have_own else "scores"]
    sure = scores > SCORE_THRESHOLD
    return sure if sure.any() else np.ones_like(sure)


def _in_order(reference, found) -> Mapping[str, np.ndarray]:
    """Detections of nearly equal scores may change places: takes for each the nearest box."""
    if not {"boxes", "classes"} <= set(reference):
        return found
    far = np.abs(reference["boxes"][:, :, None] - found["boxes"][:, None]).max(axis=-1)
    far += 1e6 * (reference["classes"][:, :, None] != found["classes"][:, None])
    order = np.nan_to_num(far, nan=np.inf).argmin(axis=2)
    rows = np.arange(len(order))[:, None]
    return {**found, **{name: found[name][rows, order] for name in ("boxes", "classes")}}


def sampled(outputs: Mapping[str, np.ndarray], decode: bool) -> dict[str, np.ndarray]:
    """The values that are stored: all decoded ones, evenly chosen ones of raw maps."""
    if decode:
        return dict(outputs)
    flat = {name: value.reshape(len(value), -1) for name, value in outputs.items()}
    return {name: value[:, :: -(-value.shape[1] // _STORED_VALUES)] for name, value in flat.items()}


def write_reference(path: Path, small: np.ndarray, outputs: Mapping[str, np.ndarray]) -> None:
    """Stores the reduced images and what Keras computes for them, which `sampled` has chosen."""
    arrays = {f"{_OUTPUT}{name}": value for name, value in outputs.items()}
    with open(path, "wb") as file:
        np.savez_compressed(file, images=small, **arrays)


def read_reference(path: Path) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The reduced images and the outputs that `write_reference` stored."""
    with np.load(path) as arrays:
        outputs = {n.removeprefix(_OUTPUT): arrays[n] for n in arrays if n.startswith(_OUTPUT)}
        return arrays["images"], outputs
