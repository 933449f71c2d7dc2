"""A keypoint as one bin per axis (Li et al., 2021, https://arxiv.org/abs/2107.03332)."""

import keras
import numpy as np
from keras import ops

from keras_pose.codecs.blur import blur_vectors, with_maximum_of
from keras_pose.codecs.codec import Codec, label_weights
from keras_pose.codecs.decoding import constant, first_maximum


@keras.saving.register_keras_serializable(package="keras_pose")
class SimCCLabel(Codec):
    """Two vectors per keypoint, over the bins of x and of y; decoded by their maxima.

    Args:
        input_size: (width, height) of the network's input in pixels.
        split_ratio: float, bins per pixel.
        smoothing: "gaussian" for a Gaussian around the keypoint's bin, "standard" for one bin.
        sigma: float or (x, y), deviations of the Gaussians in bins.
        label_smooth_weight: float in 0..1, with "standard": what the keypoint's bin leaves to all
            others.
        normalize: bool, with "gaussian": whether a vector sums to 1 instead of reaching 1.
        use_dark: bool, refine maxima by a Newton step on the logarithm of the blurred vectors, as
            in DARK (https://arxiv.org/abs/1910.06278).
        decode_visibility: bool, decode `visible` as well.
        decode_beta: float, factor of the vectors in the softmax that `visible` is taken from.
    """

    def __init__(
        self,
        input_size,
        split_ratio=2.0,
        smoothing="gaussian",
        sigma=6.0,
        label_smooth_weight=0.0,
        normalize=True,
        use_dark=False,
        decode_visibility=False,
        decode_beta=150.0,
    ):
        if smoothing not in ("gaussian", "standard"):
            raise ValueError(f'smoothing must be "gaussian" or "standard", got {smoothing!r}')
        if not 0 <= label_smooth_weight <= 1:
            raise ValueError(f"label_smooth_weight must lie in 0..1, got {label_smooth_weight}")
        if smoothing == "gaussian" and label_smooth_weight:
            raise ValueError(
                f'label_smooth_weight must be 0 with smoothing "gaussian", got '
                f"{label_smooth_weight}"
            )
        self.input_size = tuple(input_size)
        self.split_ratio = float(split_ratio)
        self.smoothing = smoothing
        pair = (sigma, sigma) if isinstance(sigma, int | float) else sigma
        self.sigma = tuple(map(float, pair))
        self.label_smooth_weight = float(label_smooth_weight)
        self.normalize = normalize
        self.use_dark = use_dark
        self.decode_visibility = decode_visibility
        self.decode_beta = float(decode_beta)
        # (Wx, Wy), the numbers of bins.
        self.bins = tuple(int(np.around(size * self.split_ratio)) for size in self.input_size)

    def encode(self, labels):
        """`x` `(B, K, Wx)`, `y` `(B, K, Wy)` and `weights` `(B, K)` of the first instance."""
        keypoints = ops.cast(labels["keypoints"][:, 0], "float32")
        visible = ops.cast(labels["visible"][:, 0], "float32")
        nearest = ops.round(keypoints * self.split_ratio)
        drawn = visible >= 0.5
        axes = list(zip((nearest[..., 0], nearest[..., 1]), self.bins, self.sigma, strict=True))
        inside = self._inside(*axes[0]) & self._inside(*axes[1])
        shown = ops.cast(drawn & inside, "float32")[..., None]
        x, y = (self._vector(*axis) * shown for axis in axes)
        # As in MMPose 1.3.2 keypoints that are hardly visible keep their weight where they lie
        # outside.
        kept = ops.cast(inside | ~drawn, "float32")
        return {"x": x, "y": y, "weights": label_weights(labels)[:, 0] * kept}

    def _inside(self, nearest, count, sigma):
        """Whether of what `_vector` draws around bins `(B, K)` something lies on the axis."""
        reach, end = (3 * sigma, 1) if self.smoothing == "gaussian" else (0, 0)
        return (nearest - reach < count) & (nearest + reach + end >= 0)

    def _vector(self, nearest, count, sigma):
        """Targets `(B, K, count)` of the bins `(B, K)` nearest to the keypoints."""
        distance = constant(np.arange(count)) - nearest[..., None]
        if self.smoothing == "gaussian":
            vector = ops.exp(-ops.square(distance) / (2 * sigma**2))
            return vector / (sigma * np.sqrt(2 * np.pi)) if self.normalize else vector
        other = self.label_smooth_weight / (count - 1)
        return ops.where(ops.equal(distance, 0.0), 1 - self.label_smooth_weight, other)

    def decode(self, outputs):
        vectors = [ops.cast(outputs[name], "float32") for name in ("x", "y")]
        found = (self._place(*axis) for axis in zip(vectors, self.sigma, strict=True))
        places, peaks = zip(*found, strict=True)
        score = ops.minimum(*peaks)
        # A keypoint that a vector does not know at all is one bin outside of the image.
        found = (score > 0)[..., None]
        position = ops.where(found, ops.stack(places, axis=-1), -1.0)
        decoded = {
            "keypoints": (position / self.split_ratio)[:, None],
            "scores": score[:, None],
        }
        if self.decode_visibility:
            likely = [
                ops.max(ops.softmax(vector * (self.decode_beta * sigma)), axis=-1)
                for vector, sigma in zip(vectors, self.sigma, strict=True)
            ]
            decoded["visible"] = ops.minimum(*likely)[:, None]
        return decoded

    def _place(self, vectors, sigma):
        """Bins `(B, K)` of the maxima of vectors `(B, K, W)`, and the maxima."""
        place, peak, mask = maximum(vectors)
        return (place - _dark_step(vectors, mask, sigma) if self.use_dark else place), peak

    def flip(self, outputs, flip_indices):
        return {
            "x": ops.take(ops.flip(outputs["x"], axis=-1), flip_indices, axis=1),
            "y": ops.take(outputs["y"], flip_indices, axis=1),
        }

    def get_config(self):
        return {
            "input_size": self.input_size,
            "split_ratio": self.split_ratio,
            "smoothing": self.smoothing,
            "sigma": self.sigma,
            "label_smooth_weight": self.label_smooth_weight,
            "normalize": self.normalize,
            "use_dark": self.use_dark,
            "decode_visibility": self.decode_visibility,
            "decode_beta": self.decode_beta,
        }


def maximum(vectors):
    """Index `(B, K)`, value `(B, K)` and mask `(B, K, W)` of the first maxima of `(B, K, W)`."""
    index, value, mask = first_maximum(ops.transpose(vectors, (0, 2, 1)))
    return index, value, ops.transpose(mask, (0, 2, 1))


def _dark_step(vectors, mask, sigma):
    """First over second difference of the logarithm of blurred vectors `(B, K, W)` at the mask."""
    size = int((20 * sigma - 7) // 3)
    size -= size % 2 == 0
    count = vectors.shape[-1]
    blurred = with_maximum_of(blur_vectors(vectors, size), vectors, -1)
    logs = ops.log(ops.clip(blurred, 1e-3, 50.0))
    first, last = logs[..., :1], logs[..., -1:]
    logs = ops.concatenate([first, first, logs, last, last], axis=-1)
    far_left, left, centre, right, far_right = (logs[..., i : i + count] for i in range(5))
    slope = ops.sum((right - left) * mask, axis=-1) / 2
    curvature = ops.sum((far_right - 2 * centre + far_left) * mask, axis=-1) / 4
    return slope / (curvature + 1e-9)
