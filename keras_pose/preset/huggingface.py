"""ViTPose models in Hugging Face's layout: read, and written again."""

import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

import keras
import numpy as np

from keras_pose.checkpoints import huggingface
from keras_pose.checkpoints.state_dict import read_state_dict
from keras_pose.layers import component, serialized, skip_initialization
from keras_pose.layers.naming import load_state_dict, state_dict
from keras_pose.preset.folders import read_json
from keras_pose.skeleton import Skeleton

CONFIG, PROCESSOR, WEIGHTS = "config.json", "preprocessor_config.json", "model.safetensors"
# Lists the files of weights that are stored in several.
_INDEX = "model.safetensors.index.json"


def is_huggingface(folder: str | Path) -> bool:
    """Whether a folder holds a ViTPose in Hugging Face's layout."""
    path = Path(folder) / CONFIG
    return path.is_file() and read_json(path).get("model_type") == "vitpose"


def from_huggingface(
    folder: str | Path,
    skeleton=None,
    dataset_index: int = 0,
    load_weights: bool = True,
    **overrides,
) -> keras.Model:
    """A `TopdownEstimator` from a folder as transformers' `VitPoseForPoseEstimation` writes it.

    Its heatmaps are those of transformers. Keypoints are decoded as by MMPose, which blurs the
    heatmaps more (2 pixels of deviation) than transformers (0.8).

    Args:
        folder: has `config.json` and `model.safetensors`; of `preprocessor_config.json`, where
            there is one, the mean and deviation of the pixels are taken.
        skeleton: `Skeleton` or the name of one. Default: "coco" where the labels are COCO's,
            else one that is made of the labels and edges of the config.
        dataset_index: int, the expert of a ViTPose++: 0 COCO, 1 AIC, 2 MPII, 3 AP-10K, 4 APT-36K,
            5 COCO-WholeBody. The head is COCO's.
        load_weights: False: the weights are new, and no file of them is read.
        **overrides: other settings of the `TopdownEstimator`, e.g. `box_padding=1.0`.

    Raises:
        FileNotFoundError: if a file is missing.
        ValueError: if the model is no ViTPose, has a setting without counterpart, or its weights
            do not fit.
    """
    folder = Path(folder)
    config = read_json(folder / CONFIG)
    processor = folder / PROCESSOR
    processor = read_json(processor) if processor.is_file() else {}
    skeleton = _skeleton(config) if skeleton is None else Skeleton.resolve(skeleton)
    translated = huggingface.translate_vitpose(config, processor, skeleton.to_dict(), dataset_index)
    translated["config"].update(overrides)
    if not load_weights:
        return keras.saving.deserialize_keras_object(translated)
    arrays = huggingface.our_arrays(_read_weights(folder))
    with skip_initialization():
        estimator = keras.saving.deserialize_keras_object(translated)
    load_state_dict(estimator, arrays)
    return estimator


def save_to_huggingface(estimator: keras.Model, folder: str | Path) -> Path:
    """Writes a ViTPose so that transformers' `VitPoseForPoseEstimation` reads it.

    `config.json`, `preprocessor_config.json` and `model.safetensors` appear only when all of them
    are written. Settings of training (codec, loss, stochastic depth) have no place in them.

    Args:
        estimator: a ViTPose, with a simple or a classic head.
        folder: where to; made if missing.

    Raises:
        ValueError: if the estimator has a part that the layout cannot hold; it names it.
        ImportError: if safetensors is missing.
    """
    try:
        from safetensors.numpy import save_file
    except ImportError:
        raise ImportError(f"{WEIGHTS} needs safetensors: pip install keras-pose[hub]") from None
    config, processor = _describe(estimator)
    arrays = huggingface.vitpose_arrays(state_dict(estimator))
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".huggingface-") as temporary:
        draft = Path(temporary)
        for name, value in ((CONFIG, config), (PROCESSOR, processor)):
            (draft / name).write_text(json.dumps(value, indent=2) + "\n", "utf-8")
        save_file(arrays, draft / WEIGHTS, metadata={"format": "pt"})
        for path in draft.iterdir():
            shutil.move(path, folder / path.name)
    return folder


def _describe(estimator) -> tuple[dict, dict]:
    """The two configs; refuses what they cannot say."""
    settings = estimator.get_config()
    name = settings["backbone"]["class_name"]
    if name != "VisionTransformer":
        raise ValueError(f"Hugging Face's layout holds a VisionTransformer, not a {name}")
    preprocess = settings["preprocess"]
    if preprocess["class_name"] != "PixelNormalization":
        raise ValueError(
            f"Hugging Face's layout holds a PixelNormalization, not a {preprocess['class_name']}"
        )
    if preprocess["config"]["channels"] != "rgb":
        raise ValueError("Hugging Face's layout holds models that read RGB, not BGR")
    backbone = settings["backbone"]["config"]
    backbone = {**backbone, "arch": estimator.backbone.sizes}
    neck = settings["neck"]
    scale = None
    if neck is not None and not settings["head"]["config"]["deconv_filters"]:
        scale = int(neck["config"].get("scale_factor") or 1)
    skeleton = estimator.skeleton
    config = huggingface.vitpose_config(backbone, scale, skeleton.keypoints, skeleton.links)
    # What comes back from it must be the same network.
    back = huggingface.translate_vitpose(
        config, {}, settings["skeleton"], backbone["dataset_index"]
    )["config"]
    for part in ("backbone", "neck", "head"):
        if _structure(settings[part]) != _structure(serialized(component(back[part]))):
            raise ValueError(f"Hugging Face's layout cannot hold this {part}: {settings[part]}")
    values = preprocess["config"]
    return config, huggingface.processor_config(values["mean"], values["std"], estimator.input_size)


def _structure(part: Mapping | None):
    """A part's settings that make the network, as plain data."""
    if part is None:
        return None
    ignored = ("name", "trainable", "dtype", "drop_path_rate", "codec", "loss_module", "arch")
    kept = {key: value for key, value in part["config"].items() if key not in ignored}
    return part["class_name"], json.loads(json.dumps(kept))


def _skeleton(config: Mapping) -> Skeleton:
    coco = Skeleton.load("coco")
    names = huggingface.keypoint_names(config)
    if [_spelled_out(name) for name in names] == list(coco.keypoints):
        return coco
    return Skeleton("huggingface", names, links=[tuple(edge) for edge in config.get("edges") or ()])


def _spelled_out(name: str) -> str:
    """A keypoint's name as COCO spells it: "L_Eye" is "left_eye"."""
    name = name.lower().replace(" ", "_")
    sides = {"l_": "left_", "r_": "right_"}
    return sides[name[:2]] + name[2:] if name[:2] in sides else name


def _read_weights(folder: Path) -> dict[str, np.ndarray]:
    index = folder / _INDEX
    if (folder / WEIGHTS).is_file() or not index.is_file():
        return read_state_dict(folder / WEIGHTS)
    arrays = {}
    for name in sorted(set(read_json(index)["weight_map"].values())):
        # Only files of this folder, whatever the index says.
        arrays.update(read_state_dict(folder / Path(name).name))
    return arrays
