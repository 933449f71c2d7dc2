"""Exported models: writing them, the facts beside them, running them, checking them."""

from keras_pose.artifacts.exporting import export
from keras_pose.artifacts.runtimes import load_artifact
from keras_pose.artifacts.verification import Verification, verify
