"""The checkpoints of pose models that MMPose publishes, as rows of data."""

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass

from keras_pose.paths import PRESETS

UNKNOWN = "unknown"
# What models are for, by MMPose's types of them.
TASKS = {
    "TopdownPoseEstimator": "top-down pose",
    "TopdownPoseEstimator3D": "top-down pose",
    "BottomupPoseEstimator": "bottom-up pose",
    "PoseLifter": "pose lifting",
}


@dataclass(frozen=True)
class ZooPreset:
    """One published checkpoint.

    Args:
        name: in this package's style, e.g. "hrnet_w32_coco_256x192".
        config: MMPose's name of it.
        aliases: other names that MMPose's tools accept.
        family: of algorithms, e.g. "topdown_heatmap" or "rtmpose".
        task: "body_2d", "hand_2d", "face_2d", "wholebody_2d", "animal_2d", "fashion_2d", "body_3d",
            "hand_3d" or "wholebody_3d".
        addresses: where the checkpoint is published.
        hashes: the digits that its SHA-256 may begin with; empty where none are published.
        model: MMPose's resolved settings of the model.
        codec: MMPose's settings of the codec of training where they are not the head's.
        udp: whether crops are made by the unbiased warp.
        box_padding: how much larger than its box a crop is.
        resize: of bottom-up models, how photos become inputs.
        skeleton: name of the skeleton whose keypoints the head predicts.
        input_size: (width, height) in pixels; None of models that read keypoints.
        parameters: number of them.
        licence: of the weights, and who says so.
        training_data: names of the data sets, with what their makers allow where that is known.
        metrics: `{"name", "value", "protocol"}` each, as published.
        paper: its address.
    """

    name: str
    config: str
    family: str
    task: str
    addresses: tuple[str, ...]
    hashes: tuple[str, ...]
    model: Mapping
    skeleton: str
    input_size: tuple[int, int] | None
    parameters: int
    training_data: Mapping[str, str]
    metrics: tuple[Mapping, ...] = ()
    aliases: tuple[str, ...] = ()
    codec: Mapping | list | None = None
    udp: bool = False
    box_padding: float = 1.25
    resize: Mapping | None = None
    licence: str = UNKNOWN
    paper: str | None = None

    @property
    def file(self) -> str:
        """Name of the published file."""
        return self.addresses[0].rpartition("/")[2]

    def settings(self) -> dict:
        """What `conversion.build` needs to know of the model."""
        return {
            "model_config": self.model,
            "skeleton": self.skeleton,
            "codec": self.codec,
            "udp": self.udp,
            "box_padding": self.box_padding,
            "resize": self.resize,
        }

    def metadata(self) -> dict:
        """The facts that a converted preset states."""
        data = self.training_data
        size = {} if self.input_size is None else {"input_size": list(self.input_size)}
        return {
            "task": TASKS[self.model["type"]],
            **size,
            "parameters": self.parameters,
            "description": f"{self.config}, published by MMPose",
            "family": self.family,
            "subject": self.task.removesuffix("_2d").replace("_3d", " 3D"),
            "mmpose_config": self.config,
            "licence": self.licence,
            "training_data": ", ".join(data),
            "training_data_terms": {name: terms for name, terms in data.items() if terms},
            "paper": self.paper,
            "metrics": [dict(metric) for metric in self.metrics],
            "origin": self.addresses[0],
        }

    def notice(self) -> str:
        """What whoever loads the weights should know, in a sentence."""
        terms = "; ".join(f"{name}: {said}" for name, said in self.training_data.items() if said)
        known = f" ({terms})" if terms else ""
        licence = (
            "unknown (MMPose's code is Apache-2.0)" if self.licence == UNKNOWN else self.licence
        )
        unchecked = "" if self.hashes else "; the file's hash is not published, so not checked"
        return (
            f"{self.name}: licence of the weights: {licence}; trained on "
            f"{', '.join(self.training_data)}{known}{unchecked}"
        )


def names() -> list[str]:
    """Names of all rows, in this package's style."""
    return list(_content()["presets"])


def find(handle: str) -> ZooPreset | None:
    """The row with a name, MMPose config name or alias, however it is capitalised."""
    name = _names().get(handle.lower())
    return None if name is None else row(name)


def missing(handle: str) -> str | None:
    """Why a checkpoint that MMPose publishes is no row; None if it is one, or is not published."""
    return {name.lower(): why for name, why in all_missing().items()}.get(handle.lower())


def all_missing() -> dict[str, str]:
    """{name of a published checkpoint that is no row: why}."""
    return _content()["missing"]


def known_names() -> list[str]:
    """Everything that `find` accepts."""
    return list(_names())


def fingerprints() -> dict[str, str]:
    """{name of one row for each architecture: its fingerprint}."""
    return _content()["fingerprints"]


@functools.cache
def row(name: str) -> ZooPreset:
    """The row with exactly this name."""
    content = _content()
    facts = dict(content["presets"][name])
    model = {part: content[part][which] for part, which in facts.pop("model").items()}
    metrics = [
        {"name": metric, "value": value, "protocol": content["protocols"][protocol]}
        for protocol, values in facts.pop("metrics", {}).items()
        for metric, value in values.items()
    ]
    aliases = [*facts.pop("aliases", []), *filter(None, [facts.pop("id", None)])]
    facts.pop("date", None)
    terms, size = content["terms"], facts.pop("input_size", None)
    return ZooPreset(
        name=name,
        model={"type": facts.pop("type", "TopdownPoseEstimator"), **model},
        metrics=tuple(metrics),
        aliases=tuple(aliases),
        addresses=tuple(facts.pop("addresses")),
        hashes=tuple(facts.pop("hashes", ())),
        input_size=None if size is None else tuple(size),
        training_data={data: terms.get(data, "") for data in facts.pop("training_data")},
        **facts,
    )


@functools.cache
def _content() -> dict:
    return json.loads((PRESETS / "zoo.json").read_text("utf-8"))


@functools.cache
def _names() -> dict[str, str]:
    """{anything that a row may be called, in small letters: its name}."""
    found: dict[str, str] = {}
    rows = _content()["presets"]
    for keys in (
        lambda r: [],
        lambda r: [r.get("id", r["config"])],
        lambda r: r.get("aliases", []),
    ):
        for name, facts in rows.items():
            for key in (name, *keys(facts)):
                found.setdefault(key.lower(), name)
    return found
