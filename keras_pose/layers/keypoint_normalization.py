"""The normalisation of 2D keypoints that a lifter reads."""

import keras
import numpy as np
from keras import ops


@keras.saving.register_keras_serializable(package="keras_pose")
class KeypointNormalization(keras.layers.Layer):
    """Turns keypoints in input pixels into the numbers a lifter was trained on.

    `(keypoint - mean) / std`. With half the picture as mean and half its width as deviation, x goes
    from -1 to 1 and circles stay circles (section 5 of Pavllo et al., 2019,
    https://arxiv.org/abs/1811.11742).

    Args:
        mean: x and y in input pixels, `(2,)`, or one pair a keypoint `(K, 2)`.
        std: float, or like `mean`.
        visibility: bool, whether the network reads a third number, how visible a keypoint is:
            1 where the inputs do not say.

    Returns:
        `(B, T, K, 2)`, or 3 with visibility, of keypoints `(B, T, K, 2)` or, with their
        visibility, `(B, T, K, 3)`.
    """

    def __init__(self, mean, std, visibility=False, **kwargs):
        super().__init__(**kwargs)
        self.mean = _numbers("mean", mean)
        self.std = _numbers("std", std)
        if (np.array(self.std) == 0).any():
            raise ValueError(f"std must not be 0, got {std}")
        self.visibility = bool(visibility)
        self.built = True

    @classmethod
    def of_picture(cls, size, visibility=False):
        """The normalisation by the size (width, height) of the picture in pixels."""
        width, height = size
        return cls((width / 2, height / 2), width / 2, visibility)

    def call(self, keypoints):
        x = ops.cast(keypoints, "float32")
        mean, std = (ops.convert_to_tensor(np.float32(each)) for each in (self.mean, self.std))
        points = ops.cast((x[..., :2] - mean) / std, self.compute_dtype)
        if not self.visibility:
            return points
        shown = x[..., 2:] if x.shape[-1] == 3 else ops.ones_like(x[..., :1])
        return ops.concatenate([points, ops.cast(shown, points.dtype)], axis=-1)

    def compute_output_spec(self, keypoints):
        shape = (*keypoints.shape[:-1], 3 if self.visibility else 2)
        return keras.KerasTensor(shape, dtype=self.compute_dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "mean": self.mean,
            "std": self.std,
            "visibility": self.visibility,
        }


def _numbers(name, value):
    values = np.asarray(value, np.float64)
    known = ((), (2,)) if name == "std" else ((2,),)
    if values.shape not in known and not (values.ndim == 2 and values.shape[1] == 2):
        raise ValueError(f"{name} must be a pair (2,) or one a keypoint (K, 2), got {value!r:.80}")
    return values.tolist()
