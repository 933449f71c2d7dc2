"""Data sets and the pipelines that feed training and evaluation."""

from keras_pose.datasets.image_table import ImageTable
from keras_pose.datasets.keypoint_dataset import KeypointDataset
from keras_pose.datasets.pipeline import topdown_dataset
from keras_pose.datasets.topdown_crops import TopdownCrops
from keras_pose.datasets.transforms import (
    RandomColor,
    RandomFlip,
    RandomHalfBody,
    RandomJitter,
    TopdownAugment,
)

__all__ = [
    "ImageTable",
    "KeypointDataset",
    "RandomColor",
    "RandomFlip",
    "RandomHalfBody",
    "RandomJitter",
    "TopdownAugment",
    "TopdownCrops",
    "topdown_dataset",
]
