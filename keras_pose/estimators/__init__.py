"""Estimators: images to poses, and 2D poses to 3D."""

from keras_pose.estimators.bottomup import BottomupEstimator
from keras_pose.estimators.lifter import PoseLifter
from keras_pose.estimators.pose_estimator import PoseEstimator
from keras_pose.estimators.topdown import TopdownEstimator
