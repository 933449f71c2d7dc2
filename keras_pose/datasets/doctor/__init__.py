"""The dataset doctor: finds what is wrong with annotations before a network learns it."""

from keras_pose.datasets.doctor.checking import check
from keras_pose.datasets.doctor.report import Finding, Report

__all__ = ["Finding", "Report", "check"]
