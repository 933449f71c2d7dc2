"""What a user's own MMPose config file says of the model: network, codec, crops and skeleton."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from keras_pose.checkpoints.mmpose.python_config import PythonConfig
from keras_pose.skeleton import Skeleton

# The skeleton of a data set class that is given none of its own.
_SKELETONS = {
    "AFLWDataset": "aflw",
    "AP10KDataset": "ap10k",
    "AicDataset": "aic",
    "AnimalKingdomDataset": "ak",
    "AnimalPoseDataset": "animalpose",
    "COFWDataset": "cofw",
    "CocoDataset": "coco",
    "CocoWholeBodyDataset": "coco_wholebody",
    "CocoWholeBodyFaceDataset": "coco_wholebody_face",
    "CocoWholeBodyHandDataset": "coco_wholebody_hand",
    "CrowdPoseDataset": "crowdpose",
    "DeepFashion2Dataset": "deepfashion2",
    "ExlposeDataset": "exlpose",
    "Face300WDataset": "300w",
    "Face300WLPDataset": "300wlp",
    "Face300VWDataset": "300vw",
    "FlyDataset": "fly",
    "FreiHandDataset": "freihand2d",
    "H36MWholeBodyDataset": "h3wb",
    "HalpeDataset": "halpe",
    "Horse10Dataset": "horse10",
    "HumanArt21Dataset": "humanart21",
    "Human36mDataset": "h36m",
    "HumanArtDataset": "humanart",
    "InterHand2DDataset": "interhand2d",
    "InterHand3DDataset": "interhand3d",
    "JhmdbDataset": "jhmdb",
    "LapaDataset": "lapa",
    "LocustDataset": "locust",
    "MacaqueDataset": "macaque",
    "MhpDataset": "mhp",
    "MpiiDataset": "mpii",
    "MpiiTrbDataset": "mpii_trb",
    "OCHumanDataset": "ochuman",
    "OneHand10KDataset": "onehand10k",
    "PanopticHand2DDataset": "panoptic_hand2d",
    "PoseTrack18Dataset": "posetrack18",
    "Rhd2DDataset": "rhd2d",
    "UBody2dDataset": "ubody2d",
    "UBody3dDataset": "ubody3d",
    "WFLWDataset": "wflw",
    "ZebraDataset": "zebra",
}


def read_config_file(path: str | Path) -> dict[str, Any]:
    """The settings of the model in an MMPose `.py` config, read without executing it.

    Args:
        path: the file; those that it names as `_base_` lie where it says.

    Returns:
        `model_config`, `codec` (None where it is the head's decoder), `udp`, `box_padding`,
        `resize` (None where photos are not resized whole) and `skeleton`, as `from_mmpose` takes
        them.

    Raises:
        ValueError: something of that is missing, or only executing the file would give it.
    """
    return model_settings(PythonConfig(path), Path(path))


def model_settings(config: Mapping, path: Path) -> dict[str, Any]:
    """The same of a config that has been read; a model's settings alone will do.

    Args:
        config: the variables of a config by name, or the settings of a model.
        path: of the file, for messages and for files that it names.
    """
    alone = "backbone" in config and "head" in config
    if not alone and "model" not in config:
        raise ValueError(f"{path} has no model{_missing_bases(config)}")
    model = config if alone else config["model"]
    if not isinstance(model, Mapping) or "head" not in model or "backbone" not in model:
        raise ValueError(f"{path}: model has no backbone and head{_missing_bases(config)}")
    test = list(_transforms(config, ("test_dataloader", "val_dataloader", "val_pipeline")))
    train = list(_transforms(config, ("train_dataloader", "train_pipeline")))
    steps = test or train
    crop, boxes = _find(steps, "TopdownAffine"), _find(steps, "GetBBoxCenterScale")
    whole = _find(steps, "BottomupResize")
    return {
        "model_config": dict(model),
        "codec": _codec(model["head"], _find(train, "GenerateTarget")),
        "udp": bool((crop or whole).get("use_udp", False)),
        "box_padding": float(boxes.get("padding", 1.25)),
        "resize": bottomup_resize(whole) if whole else None,
        "skeleton": _skeleton(config, model, path),
    }


def bottomup_resize(step: Mapping) -> dict[str, Any]:
    """MMPose's `BottomupResize` as settings of `BottomupEstimator`.

    Args:
        step: settings of the transform; where it is silent MMPose's own defaults hold.

    Returns:
        `input_size`, `resize_mode`, `size_factor` and `fill`.
    """
    fill = step.get("pad_val", 0)
    if isinstance(fill, list | tuple):
        fill = fill[0] if len(set(fill)) == 1 else list(fill)
    return {
        "input_size": list(step["input_size"]),
        "resize_mode": step.get("resize_mode", "fit"),
        "size_factor": step.get("size_factor", 32),
        "fill": fill,
    }


def _missing_bases(config: Mapping) -> str:
    missing = config.get("missing bases")
    return f": its base {missing[0]} is not there" if missing else ""


def _transforms(config: Mapping, places: tuple[str, ...]) -> Iterator[Mapping]:
    """The transforms of the first of some pipelines that is there and can be read."""
    for place in places:
        try:
            steps = config[place]
        except (KeyError, ValueError):
            continue
        if isinstance(steps, Mapping):
            steps = _pipeline(steps.get("dataset"))
        if isinstance(steps, list | tuple) and steps:
            yield from (step for step in steps if isinstance(step, Mapping))
            return


def _pipeline(dataset) -> list | None:
    """The pipeline of a data set, or of the one that it wraps."""
    while isinstance(dataset, Mapping):
        if dataset.get("pipeline"):
            return dataset["pipeline"]
        dataset = dataset.get("dataset")
    return None


def _find(transforms: list[Mapping], kind: str) -> Mapping:
    named = (step for step in transforms if str(step.get("type")).rpartition(".")[2] == kind)
    return next(named, {})


def _codec(head: Mapping, target: Mapping) -> Any:
    """The codec of training where the head's decoder is another."""
    inner = head.get("pose_cfg", head)
    encoder = target.get("encoder")
    return None if encoder is None or _plain(encoder) == _plain(inner.get("decoder")) else encoder


def _plain(value):
    """The same with lists in the place of tuples, which MMPose does not tell apart."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _skeleton(config: Mapping, model: Mapping, path: Path) -> Any:
    """The skeleton of the keypoints that the model learns: a name or a dict for `Skeleton`."""
    for dataset in _datasets(config):
        info = dataset.get("metainfo")
        if isinstance(info, Mapping) and "from_file" in info:
            return _named_skeleton(str(info["from_file"]), path)
        if isinstance(info, Mapping) and "keypoint_info" in info:
            return skeleton_of(info, path)
    for dataset in _datasets(config):
        kind = str(dataset.get("type")).rpartition(".")[2]
        if kind == "DeepFashionDataset":
            return f"deepfashion_{dataset.get('subset') or 'full'}"
        if kind in _SKELETONS:
            return _SKELETONS[kind]
    return "coco"


def _datasets(config: Mapping) -> Iterator[Mapping]:
    """The data sets of training, then those of testing, each outer one first."""
    for place in ("train_dataloader", "val_dataloader", "test_dataloader"):
        try:
            dataset = config[place]
        except (KeyError, ValueError):
            continue
        while isinstance(dataset, Mapping):
            if "type" in dataset:
                yield dataset
            dataset = dataset.get("dataset")


def _named_skeleton(file: str, path: Path) -> Any:
    """The skeleton of a file that a config names, by the same name in this package if it is not
    there: MMPose looks from the folder that it was started in."""
    name = Path(file).stem
    for folder in (Path.cwd(), *path.absolute().parents):
        if (folder / file).is_file():
            found = skeleton_of(PythonConfig(folder / file)["dataset_info"], folder / file)
            return name if name in Skeleton.names() and _same_points(found, name) else found
    if name in Skeleton.names():
        return name
    raise ValueError(f"{path}: the description of its keypoints, {file}, is not there")


def _same_points(found: Mapping, name: str) -> bool:
    """Whether a description is that of this package's skeleton, whose faults are repaired."""
    return [point["name"] for point in found["keypoints"]] == list(Skeleton.load(name).keypoints)


def skeleton_of(info: Mapping, path: Path) -> dict:
    """MMPose's description of keypoints (`dataset_info`) as a dict for `Skeleton`."""
    try:
        points = [info["keypoint_info"][i] for i in sorted(info["keypoint_info"], key=int)]
        links = info.get("skeleton_info") or {}
        return {
            "name": info.get("dataset_name") or path.stem,
            "keypoints": [
                {
                    "name": point["name"],
                    "swap": point.get("swap") or None,
                    "part": point.get("type") or None,
                    **({"color": list(point["color"])} if "color" in point else {}),
                }
                for point in points
            ],
            "links": [
                {
                    "from": links[i]["link"][0],
                    "to": links[i]["link"][1],
                    **({"color": list(links[i]["color"])} if "color" in links[i] else {}),
                }
                for i in sorted(links, key=int)
            ],
            "sigmas": list(info.get("sigmas") or []) or None,
            "joint_weights": list(info.get("joint_weights") or []) or None,
        }
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise ValueError(f"{path}: keypoint_info is not as MMPose wants it: {error!r}") from None
