"""What happens between an annotated image and the network's input."""

from keras_pose.datasets.transforms.augment import (
    RandomFlip,
    RandomHalfBody,
    RandomJitter,
    TopdownAugment,
)
from keras_pose.datasets.transforms.bottomup import (
    BottomupAugment,
    FilterObjects,
    RandomAffine,
    RandomSceneCrop,
    RandomSceneFlip,
)
from keras_pose.datasets.transforms.mosaic import MixUp, Mosaic
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
from keras_pose.datasets.transforms.scene_resize import RandomChoiceResize
from keras_pose.datasets.transforms.schedule import AugmentSchedule

__all__ = [
    "AugmentSchedule",
    "Blur",
    "BottomupAugment",
    "CoarseDropout",
    "FilterObjects",
    "GaussianBlur",
    "GaussianNoise",
    "GridDropout",
    "HueSaturationValue",
    "MedianBlur",
    "MixUp",
    "Mosaic",
    "PhotometricDistortion",
    "RandomAffine",
    "RandomBrightnessContrast",
    "RandomChoiceResize",
    "RandomColor",
    "RandomFlip",
    "RandomHSV",
    "RandomHalfBody",
    "RandomJitter",
    "RandomSceneCrop",
    "RandomSceneFlip",
    "TopdownAugment",
    "change_color",
]
