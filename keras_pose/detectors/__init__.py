"""Detectors: images to boxes."""

from keras_pose.detectors.detections import Detections
from keras_pose.detectors.person_detector import PersonDetector
