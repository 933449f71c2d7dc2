"""ViTPose in Hugging Face's layout: `config.json` and the names of its safetensors. Imports no
model.

The layout is that of `VitPoseForPoseEstimation` of the transformers library, models by this name
at https://huggingface.co/usyd-community.
"""

import re
from collections.abc import Mapping

import numpy as np

from keras_pose.checkpoints.mmpose import translate_model

ARCHITECTURE = "VitPoseForPoseEstimation"
# What a config.json that is silent means.
_DEFAULTS = {
    "image_size": [256, 192],
    "patch_size": [16, 16],
    "num_channels": 3,
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "mlp_ratio": 4,
    "num_experts": 1,
    "part_features": 256,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
    "qkv_bias": True,
}
# Zeros around the image, which no setting changes.
_PADDING = 2
_DECONVOLUTIONS = {"deconv_out_channels": [256, 256], "deconv_kernel_sizes": [4, 4]}
# Of the image processor, on a scale of 0..1: ImageNet's.
_MEAN, _STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
_RESCALE = 1 / 255

# Layers, theirs and ours; a pair of braces is a number.
_BLOCK, _OUR_BLOCK = "backbone.encoder.layer.{}", "backbone.layers.{}"
_LAYERS = (
    ("backbone.embeddings.patch_embeddings.projection", "backbone.patch_embed.projection"),
    (f"{_BLOCK}.layernorm_before", f"{_OUR_BLOCK}.ln1"),
    (f"{_BLOCK}.attention.output.dense", f"{_OUR_BLOCK}.attn.proj"),
    (f"{_BLOCK}.layernorm_after", f"{_OUR_BLOCK}.ln2"),
    (f"{_BLOCK}.mlp.fc1", f"{_OUR_BLOCK}.ffn.layers.0.0"),
    (f"{_BLOCK}.mlp.fc2", f"{_OUR_BLOCK}.ffn.layers.1"),
    (f"{_BLOCK}.mlp.experts.{{}}", f"{_OUR_BLOCK}.ffn.experts.{{}}"),
    ("backbone.layernorm", "backbone.ln1"),
    ("head.deconv1", "head.deconv_layers.0"),
    ("head.batchnorm1", "head.deconv_layers.1"),
    ("head.deconv2", "head.deconv_layers.3"),
    ("head.batchnorm2", "head.deconv_layers.4"),
    ("head.conv", "head.final_layer"),
)
_ATTENTION, _OUR_ATTENTION = f"{_BLOCK}.attention.attention", f"{_OUR_BLOCK}.attn.qkv"
_POSITIONS, _OUR_POSITIONS = "backbone.embeddings.position_embeddings", "backbone.pos_embed"


def translate_vitpose(config: Mapping, processor: Mapping, skeleton, dataset_index: int = 0):
    """The Keras config of the estimator that a ViTPose `config.json` describes.

    Args:
        config: the contents of `config.json`.
        processor: those of `preprocessor_config.json`, or an empty dict.
        skeleton: config of a `Skeleton`, for the keypoints that the head predicts.
        dataset_index: which expert is used where there are several.

    Raises:
        ValueError: if it is the config of another model, or has a setting without counterpart.
    """
    if config.get("model_type") != "vitpose":
        raise ValueError(
            f'only models of the type "vitpose" can be translated, got {config.get("model_type")!r}'
        )
    backbone = config.get("backbone_config")
    if not isinstance(backbone, Mapping) or backbone.get("model_type") != "vitpose_backbone":
        raise ValueError('backbone_config must describe a "vitpose_backbone"')
    backbone = {**_DEFAULTS, **backbone}
    size, patches = _pair(backbone["image_size"]), _pair(backbone["patch_size"])
    depth = backbone["num_hidden_layers"]
    _check("patch_size", backbone["patch_size"], patches[0] == patches[1])
    _check("hidden_act", backbone["hidden_act"], backbone["hidden_act"] == "gelu")
    _check("num_channels", backbone["num_channels"], backbone["num_channels"] == 3)
    indices = backbone.get("out_indices")
    _check("out_indices", indices, indices in (None, [depth], [-1]))
    stages = backbone.get("out_features")
    _check("out_features", stages, stages in (None, [f"stage{depth}"]))
    simple = config.get("use_simple_decoder", True)
    scale = config.get("scale_factor", 4) if simple else 4
    translated = translate_model(
        _mmpose(config, backbone, size, scale, simple, processor), skeleton, udp=True
    )
    settings = translated["config"]["backbone"]["config"]
    settings["epsilon"] = backbone["layer_norm_eps"]
    if backbone["num_experts"] > 1:
        settings["num_experts"] = backbone["num_experts"]
        settings["expert_channels"] = backbone["part_features"]
        settings["dataset_index"] = dataset_index
    elif dataset_index:
        raise ValueError(f"this model has no experts to choose by dataset_index {dataset_index}")
    return translated


def _mmpose(config, backbone, size, scale, simple, processor) -> dict:
    """MMPose's settings of the same model."""
    channels = backbone["hidden_size"]
    strides = _pair(backbone["patch_size"])
    maps = [scale * (length // stride) for length, stride in zip(size, strides, strict=True)]
    # Training is not stored: this is what MMPose's own ViTPose configs say.
    codec = {"type": "UDPHeatmap", "input_size": size[::-1], "heatmap_size": maps[::-1], "sigma": 2}
    head = {
        "type": "HeatmapHead",
        "in_channels": channels,
        "out_channels": len(keypoint_names(config)),
        "loss": {"type": "KeypointMSELoss", "use_target_weight": True},
        "decoder": codec,
        "deconv_out_channels": [],
        "deconv_kernel_sizes": [],
        "final_layer": {"kernel_size": 3, "padding": 1},
    }
    neck = {"type": "FeatureMapProcessor", "scale_factor": float(scale), "apply_relu": True}
    if not simple:
        head |= {**_DECONVOLUTIONS, "final_layer": {"kernel_size": 1}}
    mean, std = _pixels(processor)
    return {
        "type": "TopdownPoseEstimator",
        "data_preprocessor": {"mean": mean, "std": std, "bgr_to_rgb": True},
        "backbone": {
            "type": "VisionTransformer",
            "arch": {
                "embed_dims": channels,
                "num_layers": backbone["num_hidden_layers"],
                "num_heads": backbone["num_attention_heads"],
                "feedforward_channels": int(channels * backbone["mlp_ratio"]),
            },
            "img_size": size,
            "patch_size": strides[0],
            "patch_cfg": {"padding": _PADDING},
            "qkv_bias": backbone["qkv_bias"],
            "out_type": "featmap",
            "with_cls_token": False,
        },
        "neck": neck if simple else None,
        "head": head,
    }


def _pixels(processor) -> tuple[list[float], list[float]]:
    """Mean and deviation that an image processor normalises by, on a scale of 0..255."""
    factor = processor.get("rescale_factor", _RESCALE) if processor.get("do_rescale", True) else 1.0
    mean, std = processor.get("image_mean", _MEAN), processor.get("image_std", _STD)
    if not processor.get("do_normalize", True):
        mean, std = [0.0] * 3, [1.0] * 3
    return [value / factor for value in mean], [value / factor for value in std]


def _pair(value) -> list[int]:
    return [value] * 2 if isinstance(value, int) else list(value)


def _check(name, value, holds):
    if not holds:
        raise ValueError(f"a ViTPose with {name}={value!r} has no counterpart here")


def keypoint_names(config: Mapping) -> list[str]:
    """The names of the keypoints that a model's `config.json` states, in order."""
    labels = config.get("id2label") or {str(i): f"LABEL_{i}" for i in range(2)}
    return [labels[key] for key in sorted(labels, key=int)]


def vitpose_config(backbone: Mapping, scale: int | None, keypoints, links) -> dict:
    """The `config.json` of a model of ours.

    Args:
        backbone: settings of a `VisionTransformer` whose `arch` is a dict.
        scale: how much its map is enlarged before the only convolution of the head; None for a
            head with transposed convolutions.
        keypoints: names.
        links: pairs of indices.

    Raises:
        ValueError: if the MLPs' width is no multiple of the channels.
    """
    arch = backbone["arch"]
    ratio, rest = divmod(arch["feedforward_channels"], arch["embed_dims"])
    if rest:
        raise ValueError(
            f"feedforward_channels must be a multiple of the {arch['embed_dims']} channels in "
            f"Hugging Face's layout, got {arch['feedforward_channels']}"
        )
    depth = arch["num_layers"]
    return {
        "architectures": [ARCHITECTURE],
        "model_type": "vitpose",
        "backbone_config": {
            **_DEFAULTS,
            "model_type": "vitpose_backbone",
            "image_size": list(backbone["image_size"]),
            "patch_size": [backbone["patch_size"]] * 2,
            "hidden_size": arch["embed_dims"],
            "num_hidden_layers": depth,
            "num_attention_heads": arch["num_heads"],
            "mlp_ratio": ratio,
            # One expert means none.
            "num_experts": backbone["num_experts"] or 1,
            "part_features": backbone["expert_channels"],
            "layer_norm_eps": backbone["epsilon"],
            "qkv_bias": backbone["qkv_bias"],
            "out_features": [f"stage{depth}"],
            "out_indices": [depth],
        },
        "scale_factor": scale or 4,
        "use_simple_decoder": scale is not None,
        "id2label": {str(i): name for i, name in enumerate(keypoints)},
        "label2id": {name: i for i, name in enumerate(keypoints)},
        "edges": [list(map(int, link)) for link in links],
    }


def processor_config(mean, std, size) -> dict:
    """The `preprocessor_config.json` of a model of ours.

    Args:
        mean, std: per channel, on a scale of 0..255.
        size: (width, height) of the input in pixels.
    """
    return {
        "image_processor_type": "VitPoseImageProcessor",
        "do_affine_transform": True,
        "do_normalize": True,
        "do_rescale": True,
        "image_mean": [value * _RESCALE for value in mean],
        "image_std": [value * _RESCALE for value in std],
        "normalize_factor": 200.0,
        "rescale_factor": _RESCALE,
        "size": {"height": size[1], "width": size[0]},
    }


def our_arrays(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """A ViTPose's arrays under the names of this package; unknown names stay as they are."""
    found, parts = {}, {}
    for name, value in arrays.items():
        stem, _, leaf = name.rpartition(".")
        # Early versions numbered the experts one level deeper.
        stem = stem.replace(".experts.experts.", ".experts.")
        attention, _, role = stem.rpartition(".")
        if name == _POSITIONS:
            # The class token is gone, its position is added to all others.
            found[_OUR_POSITIONS] = value[:, 1:] + value[:, :1]
        elif role in ("query", "key", "value"):
            parts.setdefault(f"{_renamed(attention, 0)}.{leaf}", {})[role] = value
        else:
            found[f"{_renamed(stem, 0)}.{leaf}" if stem else name] = value
    for name, three in parts.items():
        roles = [three[role] for role in ("query", "key", "value") if role in three]
        found[name] = np.concatenate(roles)
    return found


def vitpose_arrays(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Arrays of this package's ViTPose (as `state_dict` names them) under Hugging Face's names."""
    found = {}
    for name, value in arrays.items():
        stem, _, leaf = name.rpartition(".")
        renamed = _renamed(stem, 1)
        if name == _OUR_POSITIONS:
            found[_POSITIONS] = np.concatenate([np.zeros_like(value[:, :1]), value], axis=1)
        elif stem.endswith(".qkv"):
            for role, part in zip(("query", "key", "value"), np.split(value, 3), strict=True):
                found[f"{renamed}.{role}.{leaf}"] = part
        else:
            found[f"{renamed}.{leaf}"] = value
            if leaf == "running_var":
                found[f"{renamed}.num_batches_tracked"] = np.zeros((), np.int64)
    return {name: np.asarray(value, order="C") for name, value in found.items()}


def _renamed(stem: str, side: int) -> str:
    """A layer's name in the other convention; `side` 0 is theirs, 1 ours."""
    for pattern, names in _PATTERNS[side]:
        if match := pattern.fullmatch(stem):
            return names[1 - side].format(*match.groups())
    return stem


def _pattern(template: str) -> re.Pattern:
    return re.compile(re.escape(template).replace(r"\{\}", r"(\d+)"))


_PATTERNS = [
    [(_pattern(names[side]), names) for names in (*_LAYERS, (_ATTENTION, _OUR_ATTENTION))]
    for side in (0, 1)
]
