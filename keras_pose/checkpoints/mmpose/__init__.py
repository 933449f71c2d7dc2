"""MMPose's model configs and checkpoint names in this package's terms. Imports no model."""

from keras_pose.checkpoints.mmpose.names import current_names
from keras_pose.checkpoints.mmpose.translation import translate_model, translate_part
