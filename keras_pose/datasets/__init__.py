"""Data sets and the pipelines that feed training and evaluation."""

from keras_pose.datasets.catalog import dataset_names, describe, load
from keras_pose.datasets.image_table import ImageTable
from keras_pose.datasets.importers import ImportedDataset, ImportReport, import_dataset
from keras_pose.datasets.keypoint_dataset import KeypointDataset
from keras_pose.datasets.pipeline import topdown_dataset
from keras_pose.datasets.topdown_crops import TopdownCrops
from keras_pose.datasets.transforms import (
    Blur,
    CoarseDropout,
    GaussianBlur,
    GaussianNoise,
    GridDropout,
    HueSaturationValue,
    MedianBlur,
    PhotometricDistortion,
    RandomBrightnessContrast,
    RandomColor,
    RandomFlip,
    RandomHalfBody,
    RandomHSV,
    RandomJitter,
    TopdownAugment,
)
from keras_pose.datasets.writing import write_coco

__all__ = [
    "Blur",
    "CoarseDropout",
    "GaussianBlur",
    "GaussianNoise",
    "GridDropout",
    "HueSaturationValue",
    "ImageTable",
    "ImportReport",
    "ImportedDataset",
    "KeypointDataset",
    "MedianBlur",
    "PhotometricDistortion",
    "RandomBrightnessContrast",
    "RandomColor",
    "RandomFlip",
    "RandomHSV",
    "RandomHalfBody",
    "RandomJitter",
    "TopdownAugment",
    "TopdownCrops",
    "dataset_names",
    "describe",
    "import_dataset",
    "load",
    "topdown_dataset",
    "write_coco",
]
