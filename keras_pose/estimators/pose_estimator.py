"""What every pose estimator shares: training."""

import keras
import numpy as np
from keras import ops

from keras_pose.layers import component
from keras_pose.layers.naming import copy_fitting_variables
from keras_pose.layers.replicas import copies_summed, rows_of_all
from keras_pose.model import ImageModel
from keras_pose.skeleton import Skeleton

# A keypoint counts as found within this fraction of the input's longer side.
PCK_THRESHOLD = 0.05
# Labels `(B, N, K)`.
_KEYPOINT_WEIGHTS = ("visible", "weights", "visible_3d")
# Decoded outputs `(B, N, K, ...)`.
_OF_KEYPOINTS = ("keypoints", "scores", "visible", "covariance")


class PoseEstimator(ImageModel):
    """A model that finds keypoints.

    Args:
        skeleton: `Skeleton`, its config, or the name of one in the package: the keypoints that the
            head learns.
        parts: {attribute: layer or its config}, what a subclass is made of besides.
        output_keypoints: names or positions of the keypoints that predictions keep, for models
            that learnt more than they report; default: all. `output_skeleton` is their skeleton.
        (others): see `ImageModel`.
    """

    task = "pose"

    # What training shows besides the loss, or None.
    metric = "pck"

    def __init__(
        self, backbone, head, skeleton="coco", output_keypoints=None, parts=None, **kwargs
    ):
        super().__init__(backbone, head, **kwargs)
        self.skeleton = Skeleton.resolve(skeleton)
        self.output_skeleton = self.skeleton
        self.output_indices = None
        if output_keypoints is not None:
            self.output_skeleton = self.skeleton.select(output_keypoints)
            indices = [self.skeleton.index(name) for name in self.output_skeleton.keypoints]
            self.output_indices = np.array(indices, "int32")
        keypoints = getattr(self.head, "num_keypoints", self.skeleton.num_keypoints)
        if keypoints != self.skeleton.num_keypoints:
            raise ValueError(
                f"the head predicts {keypoints} keypoints, the skeleton "
                f'"{self.skeleton.name}" has {self.skeleton.num_keypoints}'
            )
        for name, part in (parts or {}).items():
            setattr(self, name, component(part))
        self._terms = {name: keras.metrics.Mean(name=name) for name in self.loss_terms()}
        self._accuracy = keras.metrics.Mean(name=self.metric) if self.metric else None
        self.build()

    def fit(self, *args, callbacks=None, **kwargs):
        """Trains; see `keras.Model.fit`. Labels are dicts, see `compute_loss`.

        Callbacks that watch a metric of `KeypointEvaluation`, such as
        `ModelCheckpoint(monitor="coco/AP")`, learn from it whether more or less is better.
        """
        from keras_pose.datasets.batches import plain_errors  # not a cost of `import keras_pose`

        for callback in getattr(callbacks, "callbacks", callbacks) or []:
            if getattr(callback, "mode", None) == "auto":
                callback.mode = _direction(callback.monitor, callbacks) or "auto"
        with plain_errors():
            return super().fit(*args, callbacks=callbacks, **kwargs)

    def evaluate(self, *args, **kwargs):
        """Loss and metrics of labelled batches; see `keras.Model.evaluate`."""
        from keras_pose.datasets.batches import plain_errors

        with plain_errors():
            return super().evaluate(*args, **kwargs)

    def train_step(self, *arguments):
        # The one of `keras_pose.training.distribution` where processes share every batch.
        result = self.__dict__.get("shared_train_step", super().train_step)(*arguments)
        # Optimizers of `keras_pose.training` may average the weights.
        optimizer = getattr(self.optimizer, "inner_optimizer", self.optimizer)
        follow = getattr(optimizer, "after_train_step", None)
        return follow(self, result) if follow else result

    def _check_outputs(self, outputs):
        codec = self.head.codec
        sizes = {"input_size": self.input_size}
        if "heatmaps" in outputs:
            sizes["heatmap_size"] = tuple(outputs["heatmaps"].shape[2:0:-1])
        for name, size in sizes.items():
            if tuple(getattr(codec, name, size)) != size:
                raise ValueError(
                    f"the codec's {name} is {getattr(codec, name)}, the estimator's is {size}"
                )

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """The head's loss of the labels `y`, which its codec encodes here, on the device.

        Args:
            y: labels of a batch, see `Codec.encode`; `affine`, `ids` and others are not read.
                Keypoints that are not visible may be anything, NaN too.
            y_pred: the raw outputs.
        """
        if sample_weight is not None:
            raise ValueError(
                "sample_weight is not read: put weights (B, N, K) into the labels instead"
            )
        labels = self._checked_labels(y)
        outputs = {key: ops.cast(value, "float32") for key, value in y_pred.items()}
        labels, outputs = rows_of_all(labels), rows_of_all(outputs)
        targets = self.head.codec.encode(labels)
        terms = self._compare(targets, outputs, training)
        # Vectors with one entry per sample: TensorFlow runs a step once more on an empty batch at
        # the end of data of unknown length, where a scalar would count.
        each = ops.ones_like(labels["visible"][:, 0, 0])
        for name, value in terms.items():
            self._terms[name].update_state(value * each)
        if self._accuracy is not None:
            self._track(labels, targets, outputs)
        loss = sum(terms.values())
        for penalty in self.losses:
            loss = loss + penalty
        return loss / copies_summed()

    def loss_terms(self) -> tuple[str, ...]:
        """Names of the terms of the loss, which the logs have too."""
        return () if self.head.loss_module is None else self.head.loss_module.terms

    def _compare(self, targets: dict, outputs: dict, training: bool) -> dict:
        """The terms of the loss."""
        return self.head.compare(targets, outputs, training=training)

    def select_outputs(self, decoded: dict) -> dict:
        """The keypoints that predictions keep, of everything that is decoded."""
        if self.output_indices is None:
            return decoded
        return {
            name: ops.take(value, self.output_indices, axis=2) if name in _OF_KEYPOINTS else value
            for name, value in decoded.items()
        }

    def _checked_labels(self, y) -> dict:
        """What the codec reads of the labels, as tensors."""
        if not isinstance(y, dict):
            raise ValueError(
                "training needs labels as a dict with keypoints (B, N, K, 2) in input pixels and "
                f"visible (B, N, K), got {type(y).__name__}"
            )
        wanted = self.head.codec.label_keys
        missing = [key for key in wanted if key not in y]
        if missing:
            raise ValueError(f"the labels lack {missing[0]!r}; there are {', '.join(y)}")
        keys = [*wanted, *(key for key in self.head.codec.optional_label_keys if key in y)]
        labels = {key: ops.cast(ops.convert_to_tensor(y[key]), "float32") for key in keys}
        count = self.skeleton.num_keypoints
        points = [(count, dimension) for dimension in self.head.codec.label_dimensions]
        row = [(count,)]
        for key, allowed in (("keypoints", points), *((key, row) for key in _KEYPOINT_WEIGHTS)):
            shape = tuple(labels[key].shape) if key in labels else (None, None, *allowed[0])
            if shape[2:] not in allowed:
                shapes = (", ".join(("B", "N", *map(str, rest))) for rest in allowed)
                expected = " or ".join(f"({each})" for each in shapes)
                raise ValueError(f"labels: {key} must be {expected}, got shape {shape}")
        visible = labels["visible"][..., None] > 0
        labels["keypoints"] = ops.where(visible, labels["keypoints"], 0.0)
        return labels

    def _track(self, labels, targets, outputs):
        decoded = self.head.codec.decode(outputs)
        apart = decoded["keypoints"][..., :2] - labels["keypoints"][..., :2]
        distance = ops.norm(apart, axis=-1)
        found = ops.cast(distance < PCK_THRESHOLD * max(self.input_size), "float32")
        counted = ops.cast(labels["visible"] > 0, "float32")
        self._accuracy.update_state(found, sample_weight=counted)

    @classmethod
    def from_preset(cls, handle, skeleton=None, num_keypoints=None, **overrides):
        """A model by name, with its weights.

        Args:
            handle: a name that `keras-pose presets` lists, an MMPose config name or alias, a
                folder, `hf://user/name` or `kaggle://user/model/keras/variation`.
            skeleton: `Skeleton` or name to train for other keypoints: every weight whose shape
                still fits is kept, the others start anew.
            num_keypoints: int, how many keypoints to train for where they need no names, sides
                and links; with a skeleton it must agree.
            **overrides: constructor arguments that replace those of the preset, e.g.
                `box_padding=1.0`; and `load_weights=False` for new weights, without a network.

        Raises:
            OSError: the weights cannot be downloaded; it says where to put them by hand.
            ValueError: for an unknown name (the nearest are suggested), damaged weights, or a
                preset of another kind of model.
        """
        if num_keypoints is not None:
            skeleton = _numbered(num_keypoints) if skeleton is None else Skeleton.resolve(skeleton)
            if skeleton.num_keypoints != num_keypoints:
                raise ValueError(
                    f"num_keypoints is {num_keypoints}, the skeleton {skeleton.name!r} has "
                    f"{skeleton.num_keypoints}"
                )
        model = super().from_preset(handle, **overrides)
        return model if skeleton is None else model.with_skeleton(skeleton)

    def with_skeleton(self, skeleton):
        """A copy of this model for other keypoints.

        Every weight whose shape still fits is kept; the others, which depend on the number of
        keypoints, start anew.
        """
        skeleton = Skeleton.resolve(skeleton)
        config = self.get_config()
        config |= {"skeleton": skeleton, "output_keypoints": None}
        _set_keypoints(config["head"], skeleton)
        if skeleton.keypoints != self.skeleton.keypoints:
            # DEKR's judge of poses knows the links of one skeleton only, and no loss trains it.
            config["head"]["config"].pop("rescore_net", None)
        model = type(self).from_config(config)
        copy_fitting_variables(self, model)
        return model

    def get_config(self):
        names = None if self.output_indices is None else list(self.output_skeleton.keypoints)
        return {
            **super().get_config(),
            "skeleton": self.skeleton.to_dict(),
            "output_keypoints": names,
        }


def _numbered(count: int) -> Skeleton:
    """A skeleton of keypoints without meaning."""
    if not isinstance(count, int) or count < 1:
        raise ValueError(f"num_keypoints must be a positive int, got {count!r}")
    return Skeleton(f"{count}_keypoints", [f"keypoint_{i}" for i in range(count)], swaps=())


def _set_keypoints(head: dict, skeleton: Skeleton) -> None:
    """Changes the keypoints of a head's config, and those of heads and losses inside it."""
    for key, value in head["config"].items():
        if key == "num_keypoints":
            head["config"][key] = skeleton.num_keypoints
        elif key == "sigmas" and value is not None:
            head["config"][key] = skeleton.to_dict()["sigmas"]
        elif isinstance(value, dict) and isinstance(value.get("config"), dict):
            _set_keypoints(value, skeleton)


def _direction(metric: str, callbacks) -> str | None:
    """ "max" or "min" for a metric that another callback measures."""
    for callback in getattr(callbacks, "callbacks", callbacks):
        found = callback.direction(metric) if hasattr(callback, "direction") else None
        if found:
            return found
    return None
