"""Heads: feature maps to raw outputs."""

from keras_pose.heads.centernet_head import CenterNetHead
from keras_pose.heads.head import Head
from keras_pose.heads.heatmap_head import HeatmapHead
from keras_pose.heads.movenet_head import MoveNetHead
