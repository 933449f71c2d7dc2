"""What exported models read: images, or 2D poses of lifters."""

from dataclasses import dataclass

import keras
import numpy as np

from keras_pose.artifacts import parity
from keras_pose.estimators import PoseLifter

# Not "keypoints", which is an output: names in ONNX differ.
IMAGES, POSES = "images", "keypoints_2d"

_POSES_MEANING = (
    "windows of 2D poses of one person, x and y in pixels of a picture of W x H; the model "
    "normalises them itself; windows at both ends of a film repeat its first and last frame"
)
_VISIBILITY = "; the third number says how visible a keypoint is, 0 to 1"
# Windows of the check.
_WINDOWS = 6


@dataclass(frozen=True)
class ArtifactInput:
    """The only input of an exported model.

    Args:
        name: "images" or "keypoints_2d".
        shape: without the batch: (height, width, 3), or (frames, keypoints, 2 or 3).
        dtype: name of a dtype.
        meaning: sentence for the sidecar.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    meaning: str = ""

    def signature(self, batch_size: int | None) -> keras.InputSpec:
        """What Keras exports for."""
        return keras.InputSpec(shape=(batch_size, *self.shape), dtype=self.dtype, name=self.name)

    def samples(self, size: tuple[int, int]) -> np.ndarray:
        """What is stored for the check, see `filled`.

        Args:
            size: (width, height) of the model's pictures.
        """
        if self.name == IMAGES:
            return parity.small_images(size)
        random = np.random.default_rng(0)
        frames, count, numbers = self.shape
        # Smooth paths about a place of their own, as limbs are.
        beat = np.arange(frames).reshape(-1, 1, 1) / 20 + random.uniform(
            0, 6, (_WINDOWS, 1, count, 2)
        )
        place = random.uniform(0.35, 0.65, (_WINDOWS, 1, count, 2))
        points = np.array(size) * (place + 0.1 * np.sin(beat))
        shown = random.uniform(0.5, 1, (_WINDOWS, frames, count, numbers - 2))
        return np.concatenate([points, shown], axis=-1).astype(self.dtype)

    def filled(self, samples: np.ndarray) -> np.ndarray:
        """What was stored in the size of the input."""
        if self.name == IMAGES:
            return parity.parity_images(samples, self.shape[1::-1])
        return samples

    def checked(self, values, name: str) -> np.ndarray:
        """Further samples of a caller.

        Raises:
            ValueError: for another shape or dtype.
        """
        values = np.asarray(values)
        if values.shape[1:] != self.shape or values.dtype != self.dtype:
            shape = ", ".join(map(str, self.shape))
            raise ValueError(
                f"{name} must be (M, {shape}) {self.dtype}, got {values.shape} {values.dtype.name}"
            )
        return values


def input_of(model) -> ArtifactInput:
    """The input of an estimator, a detector or a lifter."""
    if isinstance(model, PoseLifter):
        numbers = 3 if getattr(model.preprocess, "visibility", False) else 2
        shape = (model.frames, model.skeleton.num_keypoints, numbers)
        meaning = _POSES_MEANING + _VISIBILITY * (numbers - 2)
        return ArtifactInput(POSES, shape, "float32", meaning)
    width, height = model.input_size
    meaning = "RGB, 0 to 255; the model normalises them itself"
    return ArtifactInput(IMAGES, (height, width, 3), "uint8", meaning)
