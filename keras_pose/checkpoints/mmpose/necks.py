"""MMPose's necks; see `types.Type`."""

from keras_pose.checkpoints.mmpose.types import Type

TYPES: dict[str, Type] = {}
