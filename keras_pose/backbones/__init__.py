"""Backbones: images to feature maps."""

from keras_pose.backbones.mobilenet_v2 import MobileNetV2
from keras_pose.backbones.mobilenet_v3 import MobileNetV3
from keras_pose.backbones.resnet import ResNet
