"""A student learns from a teacher, in two stages (DWPose, https://arxiv.org/abs/2307.15880)."""

import inspect
from typing import Any

import keras
from keras import ops

from keras_pose.estimators import TopdownEstimator
from keras_pose.layers import symbolic
from keras_pose.layers.naming import copy_fitting_variables
from keras_pose.losses import FeaLoss, KDLoss
from keras_pose.model import ImageModel

# Factors of the published configs: features and logits in the first stage, logits in the second.
FEATURE_WEIGHT, LOGIT_WEIGHT, SECOND_LOGIT_WEIGHT = 7e-5, 0.1, 1.0

_AXES = ("x", "y")


class Distiller(TopdownEstimator):
    """Trains a student with the help of a frozen teacher.

    The student learns from labels as always, from the teacher's last feature map and from its
    distributions over the bins of x and y, of all keypoints, visible or not. Both factors fall
    linearly with the epochs: by 1 - epoch / epochs, the first one being 0. `second_stage` makes the
    one that refines a head afterwards.

    A distiller is the student with a longer loss: its backbone, neck and head are the student's own
    layers, so recipes, callbacks and metrics take it for the student. What it predicts and saves is
    the student alone.

    Args:
        student: TopdownEstimator.
        teacher: TopdownEstimator of the same input size. It is frozen (its `trainable` is False
            from now on) and works as in inference.
        feature_weight: float, factor of the squared differences of features, summed and divided by
            the batch. 0 leaves them out. Where widths differ, the student's features go through a
            1x1 convolution that learns with them and is not saved.
        logit_weight: float, factor of the divergence of the distributions, see `KDLoss`. 0 leaves
            it out.
        epochs: int, over how many epochs the factors fall. Default: those that `fit` is asked for.
        head_only: bool, the second stage, see there.

    Raises:
        ValueError: if teacher and student do not fit each other.

    Example:
        >>> student = TopdownEstimator.from_preset("rtmpose-m", load_weights=False)
        >>> distiller = Distiller(student, TopdownEstimator.from_preset("rtmpose-l"))
        >>> distiller.compile(AdamW(4e-3))
        >>> distiller.fit(train, epochs=270)
        >>> second = Distiller.second_stage(distiller.student)
        >>> second.compile(AdamW(4e-3))
        >>> second.fit(train, epochs=60)
        >>> second.save_to_preset("distilled")
    """

    def __init__(
        self,
        student: TopdownEstimator,
        teacher: TopdownEstimator,
        feature_weight: float = FEATURE_WEIGHT,
        logit_weight: float = LOGIT_WEIGHT,
        epochs: int | None = None,
        *,
        head_only: bool = False,
    ):
        if epochs is not None and (not isinstance(epochs, int) or epochs < 1):
            raise ValueError(f"epochs must be a positive integer, got {epochs!r}")
        widths = _widths(student, teacher, feature_weight, logit_weight)
        teacher.trainable = False
        # Keras shall not track the student beside its layers, which are this model's, too.
        self.__dict__.update(_student=student, _epochs=epochs, _head_only=head_only)
        self.__dict__["_divergence"] = None
        if logit_weight:
            beta = getattr(student.head.loss_module, "beta", 1.0)
            self.__dict__["_divergence"] = KDLoss(loss_weight=logit_weight, key=_AXES, beta=beta)
        difference = FeaLoss(*widths, loss_weight=feature_weight) if feature_weight else None
        config = student.get_config()
        super().__init__(
            student.backbone,
            student.head,
            neck=student.neck,
            preprocess=student.preprocess,
            parts={"teacher": _Teacher(teacher, head_only), "distillation": difference},
            **{name: config[name] for name in _SETTINGS},
            name=student.name,
            dtype=student.dtype_policy,
        )

    @classmethod
    def second_stage(
        cls,
        model: TopdownEstimator,
        logit_weight: float = SECOND_LOGIT_WEIGHT,
        new_head: bool = True,
    ) -> "Distiller":
        """The one that teaches a trained model's own head again; labels do not count.

        Backbone and neck are frozen and work as in inference, for teacher and student at once, so
        that a step costs little. A fifth of the epochs of the first stage is enough.

        Args:
            model: TopdownEstimator, the teacher; it is frozen. The student is a copy.
            logit_weight: float, does not fall with the epochs.
            new_head: bool, whether the student's head starts with new weights, as in the paper.
        """
        student = type(model).from_config(model.get_config())
        for part in ("preprocess", "backbone", "neck", *(() if new_head else ("head",))):
            if getattr(model, part) is not None:
                copy_fitting_variables(getattr(model, part), getattr(student, part))
        for part in (student.backbone, student.neck):
            if part is not None:
                part.trainable = False
        return cls(student, model, 0.0, logit_weight, head_only=True)

    @property
    def student(self) -> TopdownEstimator:
        """The estimator that learns, without its teacher."""
        return self._student

    @property
    def fixed_variables(self) -> list:
        """Those of the teacher, which checkpoints need not hold."""
        return self.teacher.variables

    def call(self, images, training=None):
        """The student's raw outputs, and beside them what the loss compares."""
        self._check_size(images)
        features = self.features(images, training and not self._head_only)
        outputs = dict(self.head(features, training=training))
        theirs, known = self.teacher(features if self._head_only else images)
        if self._divergence is not None:
            outputs |= {f"teacher_{axis}": known[axis] for axis in _AXES}
        if self.distillation is not None:
            outputs |= {"student_features": features[-1], "teacher_features": theirs[-1]}
        return outputs

    def inference(self, flip_test: bool = False, decode: bool = True):
        return self._student.inference(flip_test, decode)

    def fit(self, *args, callbacks=None, **kwargs):
        """Trains; see `PoseEstimator.fit`."""
        asked = inspect.signature(keras.Model.fit).bind_partial(self, *args, **kwargs).arguments
        fade = _Fade(None if self._head_only else self._epochs or asked.get("epochs", 1))
        if isinstance(callbacks, keras.callbacks.CallbackList):
            callbacks.append(fade)
        else:
            callbacks = [*keras.tree.flatten(callbacks or []), fade]
        return super().fit(*args, callbacks=callbacks, **kwargs)

    def save_to_preset(self, folder, metadata=None, dtype="float32"):
        """Writes the student as a preset; see `PresetMixin.save_to_preset`."""
        return self._student.save_to_preset(folder, metadata, dtype)

    def save(self, *args, **kwargs):
        """Writes the student as a Keras file, which needs neither teacher nor this class."""
        return self._student.save(*args, **kwargs)

    def save_weights(self, *args, **kwargs):
        """Writes the student's weights."""
        return self._student.save_weights(*args, **kwargs)

    def load_weights(self, *args, **kwargs):
        """Reads the student's weights."""
        return self._student.load_weights(*args, **kwargs)

    def get_config(self):
        """That of the student."""
        return self._student.get_config()

    def loss_terms(self):
        terms = () if self._head_only else super().loss_terms()
        for loss in (self._divergence, self.distillation):
            terms += () if loss is None else loss.terms
        return terms

    def _compare(self, targets, outputs, training):
        terms = {} if self._head_only else super()._compare(targets, outputs, training)
        factor = ops.convert_to_tensor(self.teacher.factor)
        if self._divergence is not None:
            theirs = {axis: outputs[f"teacher_{axis}"] for axis in _AXES}
            terms |= {k: v * factor for k, v in self._divergence(theirs, outputs).items()}
        if self.distillation is not None:
            value = self.distillation.value(
                outputs["student_features"], outputs["teacher_features"]
            )
            terms[self.distillation.term] = value * factor
        return terms


# What the distiller's constructor takes over from the student's config.
_SETTINGS = ("skeleton", "output_keypoints", "input_size", "box_padding", "udp")


class _Teacher(keras.layers.Layer):
    """The layers of a frozen estimator, without its metrics, and the factor of what it teaches.

    Args:
        model: TopdownEstimator.
        head_only: bool, whether `call` gets features instead of images.
    """

    def __init__(self, model: TopdownEstimator, head_only: bool):
        super().__init__(dtype=model.dtype_policy, name="teacher")
        self.head = model.head
        self.head_only = head_only
        if not head_only:
            self.preprocess, self.backbone, self.neck = model.preprocess, model.backbone, model.neck
        self.factor = self.add_weight(
            shape=(), initializer="ones", dtype="float32", trainable=False, name="factor"
        )
        self.built = True

    def call(self, inputs):
        """Feature maps and raw outputs of images; of the second stage, from feature maps."""
        maps = inputs if self.head_only else ImageModel.features(self, inputs, training=False)
        return maps, self.head(maps, training=False)

    def compute_output_spec(self, inputs):
        return self.call(inputs)


class _Fade(keras.callbacks.Callback):
    """Lowers the factor of what a teacher teaches from epoch to epoch; None keeps it."""

    def __init__(self, epochs: int | None):
        super().__init__()
        self._epochs = epochs

    def on_epoch_begin(self, epoch, logs=None):
        factor = 1.0 if self._epochs is None else max(0.0, 1 - epoch / self._epochs)
        self.model.teacher.factor.assign(factor)


def _widths(student, teacher, feature_weight, logit_weight) -> tuple[int, int]:
    """Channels of the last feature maps of student and teacher, after checking that they fit."""
    for role, model in (("student", student), ("teacher", teacher)):
        if not isinstance(model, TopdownEstimator) or isinstance(model, Distiller):
            raise ValueError(f"the {role} must be a TopdownEstimator, got {type(model).__name__}")
    if student.input_size != teacher.input_size:
        raise ValueError(
            f"student and teacher must have the same input_size, got {student.input_size} and "
            f"{teacher.input_size}"
        )
    if min(feature_weight, logit_weight) < 0 or not (feature_weight or logit_weight):
        raise ValueError(
            "feature_weight and logit_weight must not be negative, and one of them above 0, got "
            f"{feature_weight} and {logit_weight}"
        )
    (mine, outputs), (theirs, known) = (_shapes(model) for model in (student, teacher))
    if feature_weight and mine[:-1] != theirs[:-1]:
        raise ValueError(
            f"the last feature maps must have one size, the student's are {_size(mine)}, the "
            f"teacher's {_size(theirs)}: leave them out with feature_weight=0"
        )
    if logit_weight:
        _check_bins(outputs, known)
        if student.skeleton.keypoints != teacher.skeleton.keypoints:
            raise ValueError(
                "student and teacher must have the same keypoints in the same order, got the "
                f"skeletons {student.skeleton.name} and {teacher.skeleton.name}: leave the logits "
                "out with logit_weight=0"
            )
    return mine[-1], theirs[-1]


def _check_bins(student: dict, teacher: dict) -> None:
    for role, outputs in (("student", student), ("teacher", teacher)):
        if not set(_AXES) <= set(outputs):
            raise ValueError(
                f"distributions over bins of x and y come from SimCC heads, the {role}'s gives "
                f"{', '.join(outputs)}: leave them out with logit_weight=0"
            )
    for axis in _AXES:
        if student[axis][-1] != teacher[axis][-1]:
            raise ValueError(
                f"student and teacher must have as many bins, got {student[axis][-1]} and "
                f"{teacher[axis][-1]} of {axis}: give their codecs the same split_ratio"
            )


def _shapes(model) -> tuple[tuple, dict[str, Any]]:
    """Shape of the last feature map of an estimator, and shapes of its raw outputs by name."""
    width, height = model.input_size
    maps = model.features(symbolic((None, height, width, 3), "uint8"), training=False)
    outputs = model.head(maps, training=False)
    return tuple(maps[-1].shape), {name: tuple(v.shape) for name, v in outputs.items()}


def _size(shape) -> str:
    return f"{shape[2]}x{shape[1]}"
