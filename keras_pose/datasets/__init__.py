"""Data sets and the pipelines that feed training and evaluation."""

from keras_pose.datasets.batch_resize import RandomBatchSize
from keras_pose.datasets.bottomup_pipeline import bottomup_dataset
from keras_pose.datasets.bottomup_scenes import BottomupScenes
from keras_pose.datasets.catalog import dataset_names, describe, load
from keras_pose.datasets.combined import CombinedDataset, combine
from keras_pose.datasets.depth_labels import frames_dataset
from keras_pose.datasets.doctor import Report, check
from keras_pose.datasets.image_table import ImageTable
from keras_pose.datasets.importers import ImportedDataset, ImportReport, import_dataset
from keras_pose.datasets.keypoint_dataset import KeypointDataset
from keras_pose.datasets.lifting import lifting_dataset
from keras_pose.datasets.mmpose import augmentation_from_mmpose
from keras_pose.datasets.pipeline import topdown_dataset
from keras_pose.datasets.sequences import PoseSequences
from keras_pose.datasets.shards import (
    PreparedShards,
    ShardSettings,
    prepare_shards,
    prepared_dataset,
)
from keras_pose.datasets.synthetic import walking_sequences
from keras_pose.datasets.topdown_crops import TopdownCrops
from keras_pose.datasets.transforms import (
    AugmentSchedule,
    Blur,
    BottomupAugment,
    CoarseDropout,
    FilterObjects,
    GaussianBlur,
    GaussianNoise,
    GridDropout,
    HueSaturationValue,
    MedianBlur,
    MixUp,
    Mosaic,
    PhotometricDistortion,
    RandomAffine,
    RandomBrightnessContrast,
    RandomChoiceResize,
    RandomColor,
    RandomFlip,
    RandomHalfBody,
    RandomHSV,
    RandomJitter,
    RandomSceneCrop,
    RandomSceneFlip,
    TopdownAugment,
)
from keras_pose.datasets.transforms.keypoint_mapping import KeypointMapping
from keras_pose.datasets.transforms.lifting import RandomPoseFlip
from keras_pose.datasets.windows import Windows, sliding_windows
from keras_pose.datasets.writing import write_coco

__all__ = [
    "AugmentSchedule",
    "Blur",
    "BottomupAugment",
    "BottomupScenes",
    "CoarseDropout",
    "CombinedDataset",
    "FilterObjects",
    "GaussianBlur",
    "GaussianNoise",
    "GridDropout",
    "HueSaturationValue",
    "ImageTable",
    "ImportReport",
    "ImportedDataset",
    "KeypointDataset",
    "KeypointMapping",
    "MedianBlur",
    "MixUp",
    "Mosaic",
    "PhotometricDistortion",
    "PoseSequences",
    "PreparedShards",
    "RandomAffine",
    "RandomBatchSize",
    "RandomBrightnessContrast",
    "RandomChoiceResize",
    "RandomColor",
    "RandomFlip",
    "RandomHSV",
    "RandomHalfBody",
    "RandomJitter",
    "RandomPoseFlip",
    "RandomSceneCrop",
    "RandomSceneFlip",
    "Report",
    "ShardSettings",
    "TopdownAugment",
    "TopdownCrops",
    "Windows",
    "augmentation_from_mmpose",
    "bottomup_dataset",
    "check",
    "combine",
    "dataset_names",
    "describe",
    "frames_dataset",
    "import_dataset",
    "lifting_dataset",
    "load",
    "prepare_shards",
    "prepared_dataset",
    "sliding_windows",
    "topdown_dataset",
    "walking_sequences",
    "write_coco",
]
