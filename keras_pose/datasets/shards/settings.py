"""What is stored of every object: how far around it, and how many pixels."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from keras_pose.datasets.keypoint_dataset import KeypointDataset
from keras_pose.datasets.transforms import RandomHalfBody, RandomJitter, TopdownAugment
from keras_pose.geometry import match_aspect, xyxy_to_center_scale


@dataclass(frozen=True)
class ShardSettings:
    """How much of the image around an object is stored, and how finely.

    **How far.** The stored rectangle holds every crop that the augmentation can ask for: the
    padded box, brought to the input's shape, `scale` times as large, turned by up to `rotation`
    degrees and shifted by up to `shift`; likewise around the visible keypoints of the upper and
    the lower body, if `half_body` is above 0. What lies outside the image is not stored.

    **How finely.** The padded box, before the augmentation, gets at most `resolution` times the
    network's input pixels, and never more than the image has. So the stored long side is at most
    `resolution` times (`scale` times the input's diagonal, plus the shift): 560 pixels for an input
    of 192x256 at resolution 1. Larger objects are reduced by area averaging, which the network
    would have to do while cropping, and which loses nothing that can be seen at the input's size;
    a crop drawn smaller than 1 / `resolution` of the padded box is enlarged.

    Args:
        input_sizes: (width, height) of the networks' inputs, one or several. Default 192x256.
        box_padding: float, factor on the box's sides. Default 1.25.
        scale: float, largest factor on the padded box. Default 1.5.
        rotation: float, largest rotation in degrees, either way. Default 80.
        shift: float, largest shift as a fraction of the padded box. Default 0.16.
        half_body: float, factor on the extent of a half's keypoints; 0: no half bodies. Default
            1.5.
        resolution: float, largest number of stored pixels for a pixel of the input. Default 1.0.
        quality: int, of JPEG, 1..100. Default 85.
    """

    input_sizes: tuple[tuple[int, int], ...] = ((192, 256),)
    box_padding: float = 1.25
    scale: float = 1.5
    rotation: float = 80.0
    shift: float = 0.16
    half_body: float = 1.5
    resolution: float = 1.0
    quality: int = 85

    def __post_init__(self):
        try:
            sizes = tuple((int(width), int(height)) for width, height in self.input_sizes)
        except (TypeError, ValueError):
            sizes = ()
        if not sizes or min(min(size) for size in sizes) < 1:
            raise ValueError(
                f"input_sizes must be pairs of width and height, got {self.input_sizes!r}"
            )
        object.__setattr__(self, "input_sizes", sizes)
        for name, low, high in (
            ("box_padding", 0.1, 10),
            ("scale", 0.1, 10),
            ("rotation", 0, 180),
            ("shift", 0, 2),
            ("half_body", 0, 10),
            ("resolution", 0.1, 10),
            ("quality", 1, 100),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"{name} must lie in {low}..{high}, got {value!r}")

    @classmethod
    def of_augment(cls, augment: TopdownAugment | None, **changes) -> "ShardSettings":
        """The margin that an augmentation needs; `None`: none at all."""
        jitter = getattr(augment, "jitter", None)
        if jitter is None:
            jitter = RandomJitter(0, 0, (1, 1), 0, 0, 0)
        half_body = getattr(augment, "half_body", None) or RandomHalfBody(padding=0)
        needs = {
            "scale": float(max(jitter.scale_factor)),
            "rotation": float(min(abs(jitter.rotate_factor), 180)),
            "shift": float(abs(jitter.shift_factor)),
            "half_body": float(half_body.padding),
        }
        return cls(**(needs | changes))

    def to_dict(self) -> dict[str, Any]:
        """Plain data that JSON can hold."""
        return asdict(self) | {"input_sizes": [list(size) for size in self.input_sizes]}

    def check_serves(self, input_size: tuple[int, int], needs: "ShardSettings") -> None:
        """Raises ValueError if crops of a size, with an augmentation, cannot be cut out.

        Args:
            input_size: (width, height).
            needs: what the augmentation needs, as from `of_augment`.
        """
        width, height = input_size
        if not any(
            w >= width and h >= height and abs(w * height - h * width) <= 0.02 * w * height
            for w, h in self.input_sizes
        ):
            stored = " and ".join(f"{w}x{h}" for w, h in self.input_sizes)
            raise ValueError(
                f"the shards were prepared for inputs of {stored}, not of {width}x{height}: "
                f"prepare them again with --size {width}x{height}"
            )
        for name in ("box_padding", "scale", "rotation", "shift", "half_body"):
            stored, needed = getattr(self, name), getattr(needs, name)
            if needed > stored + 1e-6:
                raise ValueError(
                    f"the shards were prepared for {name} up to {stored:g}, training asks for "
                    f"{needed:g}: prepare them again, or augment less"
                )

    def regions(self, dataset: KeypointDataset) -> tuple[np.ndarray, np.ndarray]:
        """What is stored of every object.

        Returns:
            int64 `(M, 4)`, xyxy in image pixels, inside the image, and int64 `(M, 2)`, the width
            and height at which it is stored.
        """
        center, padded = xyxy_to_center_scale(dataset.boxes.astype(np.float64), self.box_padding)
        low, high = self._reach(center, padded)
        for half in self._halves(dataset):
            others = self._reach(*half)
            low, high = np.fmin(low, others[0]), np.fmax(high, others[1])  # NaN: no such half
        sizes = dataset.image_sizes
        low = np.clip(np.floor(low), 0, sizes - 1).astype(np.int64)
        high = np.clip(np.ceil(high) + 1, low + 1, sizes).astype(np.int64)
        stored_per_image = np.max(
            [size[0] / match_aspect(padded, size)[:, 0] for size in self.input_sizes], axis=0
        )
        reduced = np.minimum(1, self.resolution * stored_per_image)[:, None]
        stored = np.maximum(np.rint((high - low) * reduced), 1).astype(np.int64)
        return np.concatenate([low, high], -1), stored

    def _reach(self, center: np.ndarray, scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The corners that rectangles `(M, 2)`, jittered in all ways, can reach, with two pixels
        more for the interpolation."""
        limit = np.deg2rad(min(self.rotation, 90.0))
        low, high = np.full_like(center, np.inf), np.full_like(center, -np.inf)
        for size in self.input_sizes:
            sides = match_aspect(scale, size)
            # a side's reach, a |cos| + b |sin|, is largest where tan is b / a
            along, across = sides, sides[:, ::-1]
            angle = np.minimum(np.arctan2(across, along), limit)
            half = self.scale * (along * np.cos(angle) + across * np.sin(angle)) / 2
            half += self.shift * scale + 2 * np.maximum(1, self.scale * sides / size)
            low, high = np.minimum(low, center - half), np.maximum(high, center + half)
        return low, high

    def _halves(self, dataset: KeypointDataset):
        """Center and scale of the upper and the lower bodies; NaN where nothing is visible."""
        skeleton = dataset.skeleton
        for half in (skeleton.upper_body, skeleton.lower_body):
            if not self.half_body or not len(half):
                continue
            seen = dataset.visible[:, half, None] > 0
            points = dataset.keypoints[:, half].astype(np.float64)
            count = np.maximum(seen.sum(axis=1), 1)
            center = np.where(seen, points, 0).sum(axis=1) / count
            extent = np.where(seen, points, -np.inf).max(axis=1)
            extent = extent - np.where(seen, points, np.inf).min(axis=1)
            some = seen.any(axis=1) & (extent > 0).all(axis=1, keepdims=True)
            yield np.where(some, center, np.nan), np.where(some, extent * self.half_body, np.nan)
