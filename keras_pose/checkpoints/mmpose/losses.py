"""MMPose's losses; see `types.Type`."""

from keras_pose.checkpoints.mmpose.types import Type

TYPES = {
    "KeypointMSELoss": Type(
        "KeypointMSELoss",
        {"loss_weight": "loss_weight"},
        # Weights apply whenever they are given, also in the reference.
        {"use_target_weight": None, "skip_empty_channel": (False,)},
    ),
}
