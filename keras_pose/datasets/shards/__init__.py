"""Crops of labelled objects in shards: written once, streamed in every epoch."""

from keras_pose.datasets.shards.opening import PreparedShards
from keras_pose.datasets.shards.preparing import prepare_shards
from keras_pose.datasets.shards.reading import prepared_dataset
from keras_pose.datasets.shards.settings import ShardSettings

__all__ = ["PreparedShards", "ShardSettings", "prepare_shards", "prepared_dataset"]
