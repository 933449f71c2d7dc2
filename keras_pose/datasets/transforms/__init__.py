"""What happens between an annotated image and the network's input."""

from keras_pose.datasets.transforms.augment import (
    RandomFlip,
    RandomHalfBody,
    RandomJitter,
    TopdownAugment,
)
from keras_pose.datasets.transforms.color import RandomColor, change_color

__all__ = [
    "RandomColor",
    "RandomFlip",
    "RandomHalfBody",
    "RandomJitter",
    "TopdownAugment",
    "change_color",
]
