"""Codecs: keypoints to what a head learns, and back."""

from keras_pose.codecs.centernet import CenterNetCodec
from keras_pose.codecs.codec import Codec
from keras_pose.codecs.movenet import MoveNetCodec
from keras_pose.codecs.msra_heatmap import MSRAHeatmap
