"""MMPose's training settings as a `Recipe`."""

from collections.abc import Mapping, Sequence
from typing import Any

from keras_pose.training.mmpose_schedule import schedule_row
from keras_pose.training.recipe import Recipe
from keras_pose.training.schedule import unknown

# Setting of PyTorch's optimizers -> ours. A tuple takes the parts of a pair.
_OPTIMIZER = {
    "lr": "learning_rate",
    "weight_decay": "weight_decay",
    "momentum": "momentum",
    "nesterov": "nesterov",
    "eps": "epsilon",
    "betas": ("beta_1", "beta_2"),
}
_TYPES = ("SGD", "Adam", "AdamW")
_RULES = {
    "norm_decay_mult": "norm_decay",
    "bias_decay_mult": "bias_decay",
    "bias_lr_mult": "bias_rate",
    "dwconv_decay_mult": "depthwise_decay",
    "flat_decay_mult": "flat_decay",
    "force_default_settings": "always",
}
_AVERAGES = {
    "ExpMomentumEMA": "exponential",
    "ExponentialMovingAverage": "constant",
    "MomentumAnnealingEMA": "annealing",
    "StochasticWeightAverage": "equal",
}
_AVERAGE = {
    "momentum": "momentum",
    "gamma": "gamma",
    "interval": "interval",
    "update_buffers": "statistics",
    "begin_iter": "begin",
}
# The reference's defaults where they are not those of `WeightAverage`.
_AVERAGE_DEFAULTS = {"statistics": False, "kind": "constant"}


def _renamed(what: str, settings: Mapping, names: Mapping, passed: Sequence[str] = ()) -> dict:
    result = {}
    for key, value in settings.items():
        if key in passed:
            continue
        if key not in names:
            raise ValueError(f"{what}: {unknown('setting', key, [*names, *passed])}")
        ours = names[key]
        result |= dict(zip(ours, value, strict=True)) if isinstance(ours, tuple) else {ours: value}
    return result


def optimizer_settings(optimizer: Mapping, clip_grad: Mapping | None = None) -> tuple[str, dict]:
    """Name and arguments of the optimizer of an `optim_wrapper`.

    Args:
        optimizer: with `type` and `lr`.
        clip_grad: its `clip_grad`.

    Raises:
        ValueError: for types and settings without a counterpart, by name.
    """
    kind = optimizer.get("type")
    if kind not in _TYPES:
        raise ValueError(f"optimizer: {unknown('type', kind, _TYPES)}")
    arguments = _renamed(kind, optimizer, _OPTIMIZER, ("type",))
    clip = dict(clip_grad or {})
    if clip.pop("type", "norm") == "value":
        arguments |= _renamed("clip_grad", clip, {"clip_value": "clipvalue"})
    else:
        names = {"max_norm": "global_clipnorm", "norm_type": "norm_type"}
        arguments |= _renamed("clip_grad", clip, names)
    return kind, arguments


def rules_from_mmpose(paramwise: Mapping, constructor: str | None = None) -> dict[str, Any] | None:
    """`rules` of a recipe from `paramwise_cfg`, as plain data."""
    if constructor == "LayerDecayOptimWrapperConstructor":
        # It ignores custom keys.
        names = {"layer_decay_rate": "rate", "num_layers": "layers"}
        return {"layer_decay": _renamed("paramwise_cfg", paramwise, names, ("custom_keys",))}
    if constructor not in (
        None,
        "DefaultOptimWrapperConstructor",
        "ForceDefaultOptimWrapperConstructor",
    ):
        raise ValueError(f"the constructor {constructor} has no counterpart here")
    if constructor is None and "force_default_settings" in paramwise:
        raise ValueError("force_default_settings needs ForceDefaultOptimWrapperConstructor")
    rules = _renamed("paramwise_cfg", paramwise, _RULES, ("custom_keys", "bypass_duplicate"))
    if paramwise.get("custom_keys"):
        names = {"lr_mult": "rate", "decay_mult": "decay"}
        rules["keys"] = {
            key: _renamed(f"custom_keys of {key}", settings, names)
            for key, settings in paramwise["custom_keys"].items()
        }
    return rules or None


def average_from_mmpose(hook: Mapping) -> dict[str, Any]:
    """`average` of a recipe from an EMAHook."""
    passed = ("type", "_scope_", "ema_type", "priority", "strict_load")
    settings = _renamed("EMAHook", hook, _AVERAGE, passed)
    kind = hook.get("ema_type", "ExponentialMovingAverage")
    if kind not in _AVERAGES:
        raise ValueError(f"EMAHook: {unknown('ema_type', kind, _AVERAGES)}")
    return {**_AVERAGE_DEFAULTS, **settings, "kind": _AVERAGES[kind]}


# Keys of a published recipe that are read below, and those that say nothing about the training.
_READ = {"optimizer", "optim_wrapper", "param_scheduler", "train_cfg", "custom_hooks", "checkpoint"}
_READ |= {"total_batch", "auto_scale_lr_base", "auto_scale_lr_enabled", "seed", "sampler"}
_READ |= {"model_train_cfg", "batch_sampler"}
_PASSED = {"ema", "gpus", "batch_size_per_gpu", "randomness"}
# Hooks for several devices (buffers are synchronised by Keras), and those read elsewhere.
_NO_HOOKS = {"SyncBuffersHook", "SyncNormHook"}


def recipe_from_mmpose(
    recipe: Mapping[str, Any],
    pipeline: Sequence[Mapping] | None = None,
    last_pipeline: Sequence[Mapping] | None = None,
    switch_epoch: int | None = None,
    pipelines: Mapping[str, Sequence[Mapping]] | None = None,
    resize: Mapping[str, Any] | None = None,
) -> Recipe:
    """The recipe that an entry of the table of MMPose's published recipes describes.

    Args:
        recipe: an entry of `recipes` of the zoo's table.
        pipeline: `train_pipeline`; default: no augmentation.
        last_pipeline, switch_epoch: the pipeline of the last epochs, and the first of them.
        pipelines: {id: pipeline}, where hooks of the recipe name pipelines by id.
        resize: arguments of `RandomBatchSize`, where batches change their size.

    Raises:
        ValueError: for everything that has no counterpart here, by name.
    """
    for key in recipe:
        if key not in _READ | _PASSED:
            raise ValueError(f"recipe: {unknown('key', key, _READ | _PASSED)}")
    for key, fine in (("batch_sampler", (None,)), ("model_train_cfg", (None, {}))):
        settings = recipe.get(key)
        # What a head is made with, as far as this is the default of the head here.
        if settings not in (*fine, {"compute_acc": False}, {"max_train_instances": 200}):
            raise ValueError(f"{key} ({', '.join(settings)}) has no counterpart here")
    epochs = recipe["train_cfg"]["max_epochs"]
    wrapper = recipe.get("optim_wrapper") or {}
    known = {"optimizer", "type", "_scope_", "clip_grad", "paramwise_cfg", "constructor"}
    known |= {"loss_scale", "accumulative_counts"}
    for key in wrapper:
        if key not in known:
            raise ValueError(f"optim_wrapper: {unknown('setting', key, known)}")
    name, arguments = optimizer_settings(recipe["optimizer"], wrapper.get("clip_grad"))
    hooks = _Hooks(epochs, pipelines or {})
    for hook in recipe.get("custom_hooks") or ():
        hooks.read(hook)
    last_pipeline = hooks.last_pipeline if last_pipeline is None else last_pipeline
    switch_epoch = hooks.switch_epoch if switch_epoch is None else switch_epoch
    augmentation = None
    if pipeline is not None:
        augmentation = {"pipeline": list(pipeline)}
        if last_pipeline is not None:
            augmentation |= {"last_pipeline": list(last_pipeline), "switch_epoch": switch_epoch}
        if resize is not None:
            augmentation["resize"] = dict(resize)
    checkpoint, training = recipe.get("checkpoint") or {}, recipe["train_cfg"]
    seed = recipe.get("seed")
    return Recipe(
        optimizer={"type": name, **arguments},
        schedule=[schedule_row(row) for row in recipe["param_scheduler"]],
        rules=rules_from_mmpose(wrapper.get("paramwise_cfg") or {}, wrapper.get("constructor")),
        average=hooks.average,
        epochs=epochs,
        batch_size=recipe["total_batch"],
        base_batch_size=recipe.get("auto_scale_lr_base"),
        scale_learning_rate=bool(recipe.get("auto_scale_lr_enabled")),
        accumulate=wrapper.get("accumulative_counts", 1),
        precision="mixed_float16" if wrapper.get("type") == "AmpOptimWrapper" else "float32",
        augmentation=augmentation,
        switches=hooks.switches,
        validate_every=training.get("val_interval", 1),
        validate_every_from={str(a): b for a, b in training.get("dynamic_intervals", ())},
        monitor=checkpoint.get("save_best"),
        monitor_mode={"greater": "max", "less": "min"}.get(checkpoint.get("rule")),
        shuffle=recipe.get("sampler", {}).get("shuffle", True),
        seed=seed,
    )


class _Hooks:
    """What the custom hooks of a config ask for."""

    def __init__(self, epochs: int, pipelines: Mapping):
        self.epochs, self.pipelines = epochs, pipelines
        self.average = self.last_pipeline = self.switch_epoch = None
        self.switches: dict[str, dict] = {}

    def read(self, hook: Mapping) -> None:
        kind = str(hook["type"]).rpartition(".")[2]
        if kind in _NO_HOOKS:
            return
        readers = {
            "EMAHook": self._average,
            "PipelineSwitchHook": self._pipeline,
            "YOLOXPoseModeSwitchHook": self._last_epochs,
            "RTMOModeSwitchHook": self._attributes,
        }
        if kind not in readers:
            raise ValueError(f"custom_hooks: {unknown('type', kind, [*readers, *_NO_HOOKS])}")
        readers[kind](hook)

    def _average(self, hook):
        self.average = average_from_mmpose(hook)

    def _named(self, pipeline):
        if isinstance(pipeline, str):
            if pipeline not in self.pipelines:
                raise ValueError(f"pipelines: {unknown('id', pipeline, self.pipelines)}")
            pipeline = self.pipelines[pipeline]
        return pipeline

    def _pipeline(self, hook):
        self.switch_epoch = hook["switch_epoch"]
        self.last_pipeline = self._named(hook["switch_pipeline"])

    def _last_epochs(self, hook):
        if hook.get("new_train_dataset") is not None:
            raise ValueError(
                "new_train_dataset, another data set for the last epochs, has no counterpart here"
            )
        self.switch_epoch = self.epochs - hook["num_last_epochs"] - 1
        self.last_pipeline = self._named(hook["new_train_pipeline"])
        self._switch(self.switch_epoch, {"head.loss_module.use_aux_loss": True})

    def _attributes(self, hook):
        for epoch, attributes in hook["epoch_attributes"].items():
            switched = {f"head.loss_module.{path}": value for path, value in attributes.items()}
            self._switch(epoch, switched)

    def _switch(self, epoch, attributes):
        self.switches[str(epoch)] = {**self.switches.get(str(epoch), {}), **attributes}
