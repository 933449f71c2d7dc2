"""Estimators: images to poses."""

from keras_pose.estimators.pose_estimator import PoseEstimator
from keras_pose.estimators.topdown import TopdownEstimator
