"""What is trained on what, and how: a job as plain data, and jobs and recipes by name."""

import functools
import json
import runpy
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from keras_pose.files import replacing
from keras_pose.paths import PRESETS
from keras_pose.preset import preset_names, zoo
from keras_pose.training.batching import WALKING
from keras_pose.training.recipe import Recipe
from keras_pose.training.recipe_mmpose import recipe_from_mmpose
from keras_pose.training.schedule import unknown
from keras_pose.training.setting_kinds import METRICS, check_kinds

_FOLDER = PRESETS / "recipes"
_PUBLISHED = "mmpose.json"
_MODEL = ("preset", "skeleton", "weights")
_TEACHER = ("preset", "head_only", "feature_weight", "logit_weight")
# With a dataset there are the arguments of its reader besides, which the reader checks.
_DATA = ("annotations", "images", "shards", "dataset")
_VAL = (*_DATA, "share")
# Whatever else is the name of a file that exists is a path.
_NO_PATHS = ("dataset", "name")
_KINDS = {
    "overrides": "a dict",
    "new_keypoints": "a dict",
    "whole_images": "true or false",
    "metrics": METRICS,
}


@dataclass(frozen=True)
class TrainingJob:
    """A whole training as plain data that JSON can hold.

    Args:
        model: dict of `preset`, a name or folder (see `keras_pose.preset_names`, which includes
            MMPose's config names); `skeleton`, a name or file, default that of the labels: where
            its keypoints are not the preset's, the head's last layers start anew; `weights`, false
            to start with new weights.
        train: dict of `annotations`, a COCO keypoint file, and `images`, their folder (default: the
            file's); or of `shards`, a folder that `keras-pose prepare` wrote. With `dataset`, a
            name of `keras_pose.datasets.dataset_names`, the file is that data set's, and further
            keys are arguments of its reader, such as `cameras` of "h36m", the films that lifters
            learn. `dataset` "walking" needs no file: films made of formulas, with arguments of
            `keras_pose.datasets.walking_sequences`.
        recipe: dict of `Recipe`'s arguments, or a name that `recipe_names` lists.
        val: dict of `annotations` and `images`, to judge on; or of `share`, how many of `train`'s
            images are drawn for that instead, see `KeypointDataset.split`. `dataset` and what
            belongs to it are those of `train` where they are not given. None: nothing is judged.
        overrides: {key of the recipe: value}; a dot leads into a dict, "optimizer.learning_rate".
            `epochs` scales all that is counted in epochs, see `Recipe.with_epochs`; `batch_size`
            scales the learning rate of a recipe by name, if that is not given.
        new_keypoints: overrides for where the head starts anew; `overrides` go before them.
        whole_images: bool, for pictures that show one animal each and come without boxes: whole
            images are learnt too, and the judgement gives no boxes.
        metrics: list of metrics as `keras_pose.evaluation.evaluate_topdown` takes them; the
            recipe's `monitor` names the number that the best weights are chosen by, default the
            first.
        patience: int, judgements without a better one after which the training stops.
        save_every: int, steps from one checkpoint to the next; there is one at the end of every
            epoch anyway.
        teacher: dict of `preset`, the larger model that a first stage of distillation learns from,
            and `feature_weight` and `logit_weight`, see `Distiller`; or of `head_only`, true for
            the second stage, in which the model's own head is learnt again.

    Raises:
        ValueError: for unknown keys on any level, with the nearest known ones, and for missing
            ones.

    Example:
        >>> job = TrainingJob.load("movenet_finetune", train={"annotations": "train.json"})
        >>> Trainer(job, "tuned").run()
    """

    model: Mapping[str, Any]
    train: Mapping[str, Any]
    recipe: Mapping[str, Any] | str
    val: Mapping[str, Any] | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict)
    new_keypoints: Mapping[str, Any] = field(default_factory=dict)
    whole_images: bool = False
    metrics: Sequence[Any] | None = None
    patience: int | None = None
    save_every: int | None = None
    teacher: Mapping[str, Any] | None = None

    def __post_init__(self):
        parts = {"model": _MODEL, "train": _DATA, "val": _VAL, "teacher": _TEACHER}
        for what, known in parts.items():
            settings = getattr(self, what)
            if settings is None:
                continue
            if not isinstance(settings, Mapping):
                raise ValueError(f"job: {what} must be a dict, got {settings!r}")
            for key in settings:
                if key not in known and not ("dataset" in self.train and known in (_DATA, _VAL)):
                    raise ValueError(f"job: {what}: {unknown('key', key, known)}")
        check_kinds("job", self, _KINDS)
        if not self.model.get("preset"):
            raise ValueError("job: model needs a preset: the name or folder of what is trained")
        made = self.train.get("dataset") == WALKING
        if ("annotations" in self.train) + ("shards" in self.train) + made != 1:
            raise ValueError(
                "job: train needs annotations, a COCO keypoint file, or shards that keras-pose "
                "prepare wrote; exactly one of them"
            )
        made = self.val is not None and self.val.get("dataset", self.train.get("dataset"))
        if self.val is not None and (
            ("annotations" in self.val) + ("share" in self.val) + (made == WALKING) != 1
        ):
            raise ValueError(
                "job: val needs annotations, a COCO keypoint file, or the share of train's images "
                "that are judged on instead of learnt; one of them"
            )
        if self.val is not None and "share" in self.val and "shards" in self.train:
            raise ValueError("job: val with a share needs train with annotations, not shards")
        if self.whole_images and "shards" in self.train:
            raise ValueError("job: whole_images needs annotations; shards hold crops of the boxes")
        if self.teacher is not None and bool(self.teacher.get("head_only")) == (
            "preset" in self.teacher
        ):
            raise ValueError(
                "job: teacher needs a preset to learn from, or head_only where the model learns "
                "from itself; one of them"
            )
        for name in ("patience", "save_every"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or value < 1):
                raise ValueError(f"job: {name} must be a positive integer, got {value!r}")
        if self.patience and self.val is None:
            raise ValueError("job: patience needs val, data to judge on")
        for new in (False, True):
            self.resolved(new)

    @classmethod
    def load(cls, source: str | Path | None = None, **changes: Any) -> "TrainingJob":
        """A job from a file or by name.

        Args:
            source: a JSON file, a Python file that assigns `job = {...}`, or a name that
                `recipe_names` lists. Paths in a file are relative to its folder.
            **changes: keys of the job; a dict adds to the one that is there.
        """
        return cls.from_dict(_absolute(_merged(job_settings(source) if source else {}, changes)))

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> "TrainingJob":
        """A job from the content of a JSON file."""
        known = [entry.name for entry in fields(cls)]
        for key in settings:
            if key not in known:
                raise ValueError(f"job: {unknown('key', key, known)}")
        for key in ("train", "recipe", "model"):
            if key not in settings:
                raise ValueError(f"job: {key} is missing")
        return cls(**settings)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; `from_dict` reads it."""
        return asdict(self)

    def save(self, path: str | Path) -> None:
        """Writes the job as JSON."""
        with replacing(path) as partial:
            partial.write_text(json.dumps(self.to_dict(), indent=1) + "\n", "utf-8")

    def resolved(self, new_keypoints: bool = False) -> Recipe:
        """The recipe with its overrides.

        Args:
            new_keypoints: bool, whether the head starts anew.
        """
        recipe = self.recipe
        if not isinstance(recipe, str | Mapping):
            raise ValueError(f"job: recipe must be a name or a dict, got {recipe!r}")
        plain = named_recipe(recipe).to_dict() if isinstance(recipe, str) else dict(recipe)
        changes = {**(self.new_keypoints if new_keypoints else {}), **self.overrides}
        epochs = changes.pop("epochs", None)
        given = {"optimizer.learning_rate", "scale_learning_rate"} & changes.keys()
        if isinstance(recipe, str) and "batch_size" in changes and not given:
            # A published rate is meant for the published batch size.
            plain["base_batch_size"] = plain["base_batch_size"] or plain["batch_size"]
            plain["scale_learning_rate"] = True
        for key, value in changes.items():
            plain = _with(plain, key.split("."), value)
        made = Recipe.from_dict(plain)
        if epochs is None:
            return made
        if not isinstance(epochs, int) or isinstance(epochs, bool) or epochs < 1:
            raise ValueError(f"epochs must be a positive integer, got {epochs!r}")
        return made.with_epochs(epochs)


def recipe_names() -> list[str]:
    """Names of the package's own jobs, then MMPose's configs with a recipe."""
    own = sorted(path.stem for path in _FOLDER.glob("*.json") if path.name != _PUBLISHED)
    return [*own, *sorted(_published()["configs"])]


def job_settings(source: str | Path) -> dict[str, Any]:
    """The content of a job's file, or what a name stands for; what is missing is not filled in.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: for an unknown name, with the nearest known ones, or a file that is no job.
    """
    path, text = Path(source), str(source)
    if path.suffix in (".json", ".py"):
        return _of_file(path)
    own = _FOLDER / f"{text}.json"
    if own.is_file() and own.name != _PUBLISHED:
        return json.loads(own.read_text("utf-8"))
    config = _config(text)
    # The published weights are the result of this recipe, not what it starts from.
    settings: dict[str, Any] = {"model": {"preset": config, "weights": False}, "recipe": config}
    if dataset := _published()["configs"][config].get("dataset"):
        settings["train"] = {"dataset": dataset}
    return settings


def named_recipe(name: str) -> Recipe:
    """A recipe of the package, or the one that MMPose trained a checkpoint of the zoo by.

    Args:
        name: see `recipe_names`; names and aliases of presets from the zoo will do too.

    Raises:
        ValueError: for an unknown name, or a recipe that needs what is not here.
    """
    own = _FOLDER / f"{name}.json"
    if own.is_file() and own.name != _PUBLISHED:
        return Recipe.from_dict(json.loads(own.read_text("utf-8"))["recipe"])
    table = _published()
    entry = table["configs"][_config(name)]
    pipelines = table["pipelines"]
    return recipe_from_mmpose(
        table["recipes"][entry["recipe"]],
        pipeline=pipelines.get(entry["pipeline"]),
        last_pipeline=pipelines.get(entry.get("last_pipeline")),
        switch_epoch=entry.get("switch_epoch"),
        pipelines=pipelines,
        resize=entry.get("resize"),
    )


def recipe_notes(name: str) -> list[str]:
    """What a recipe by name does otherwise than MMPose's, as sentences."""
    if (_FOLDER / f"{name}.json").is_file():
        return []
    return _published()["configs"][_config(name)].get("notes", [])


def missing_recipes() -> dict[str, str]:
    """{name of a published checkpoint whose recipe is not here: why}."""
    return {**zoo.all_missing(), **_published()["missing"]}


def _config(name: str) -> str:
    configs = _published()["configs"]
    row = zoo.find(name)
    if row is not None and row.config in configs:
        return row.config
    reasons = {name.lower(): why for name, why in missing_recipes().items()}
    reason = reasons.get((row.config if row is not None else name).lower())
    if reason is not None:
        raise ValueError(f"there is no recipe of {name}: {reason}")
    raise ValueError(unknown("recipe", name, [*recipe_names(), *zoo.names()]))


@functools.cache
def _published() -> dict[str, Any]:
    return json.loads((_FOLDER / _PUBLISHED).read_text("utf-8"))


def _of_file(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    if path.suffix == ".py":
        settings = runpy.run_path(str(path)).get("job")
    else:
        try:
            settings = json.loads(path.read_text("utf-8"))
        except ValueError as error:
            raise ValueError(f"{path} is not JSON: {error}") from None
    if not isinstance(settings, dict):
        raise ValueError(f"{path} must hold a dict{' named job' * (path.suffix == '.py')}")
    return _absolute(settings, path.parent)


def _absolute(settings: Mapping[str, Any], folder: Path | None = None) -> dict[str, Any]:
    """Paths relative to a folder, or to the present one, as absolute ones.

    Names of presets and skeletons and URLs stay as they are.
    """
    folder = Path.cwd() if folder is None else folder.absolute()

    def place(key, value):
        is_path = isinstance(value, str) and (folder / value).exists()
        if not is_path or key in _NO_PATHS or (key == "preset" and value in preset_names()):
            return value
        return str(folder / value)

    return {
        part: {key: place(key, value) for key, value in entry.items()}
        if part in ("model", "train", "val", "teacher") and isinstance(entry, Mapping)
        else entry
        for part, entry in settings.items()
    }


def _merged(settings: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(settings)
    for key, value in changes.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = {**merged[key], **value} if both else value
    return merged


def _with(plain: Mapping[str, Any], path: Sequence[str], value: Any) -> dict[str, Any]:
    """A copy of nested dicts with one value replaced."""
    name, *rest = path
    if not rest:
        return {**plain, name: value}
    inner = plain.get(name)
    if inner is not None and not isinstance(inner, Mapping):
        raise ValueError(f"{'.'.join(path)!r} cannot be set: {name} is {inner!r}")
    return {**plain, name: _with(inner or {}, rest, value)}
