"""Losses: targets and outputs to scalars."""

from keras_pose.losses.keypoint_mse import KeypointMSELoss
from keras_pose.losses.loss import Loss
from keras_pose.losses.movenet import MoveNetLoss
