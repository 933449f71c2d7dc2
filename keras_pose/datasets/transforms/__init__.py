"""What happens between an annotated image and the network's input."""

from keras_pose.datasets.transforms.augment import (
    RandomFlip,
    RandomHalfBody,
    RandomJitter,
    TopdownAugment,
)
from keras_pose.datasets.transforms.pixels_blur import (
    Blur,
    GaussianBlur,
    GaussianNoise,
    MedianBlur,
)
from keras_pose.datasets.transforms.pixels_color import (
    HueSaturationValue,
    PhotometricDistortion,
    RandomBrightnessContrast,
    RandomColor,
    RandomHSV,
    change_color,
)
from keras_pose.datasets.transforms.pixels_dropout import CoarseDropout, GridDropout

__all__ = [
    "Blur",
    "CoarseDropout",
    "GaussianBlur",
    "GaussianNoise",
    "GridDropout",
    "HueSaturationValue",
    "MedianBlur",
    "PhotometricDistortion",
    "RandomBrightnessContrast",
    "RandomColor",
    "RandomFlip",
    "RandomHSV",
    "RandomHalfBody",
    "RandomJitter",
    "TopdownAugment",
    "change_color",
]
