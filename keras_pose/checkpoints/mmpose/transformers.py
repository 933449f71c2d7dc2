"""MMPose's transformer backbones; see `types.Type`."""

from keras_pose.checkpoints.mmpose.types import Type, same

_SIZES = ("embed_dims", "num_layers", "num_heads", "feedforward_channels")
# MMPretrain's names of sizes; None where they are those that we have under the last name.
_ARCHES = {
    ("b", "deit-b", "deit-base", "base"): None,
    ("l", "large"): None,
    ("h", "huge"): None,
    ("s", "small"): (768, 8, 8, 2304),
    ("deit-t", "deit-tiny"): (192, 12, 3, 768),
    ("deit-s", "deit-small", "dinov2-s", "dinov2-small"): (384, 12, 6, 1536),
    ("eva-g", "eva-giant"): (1408, 40, 16, 6144),
    ("dinov2-g", "dinov2-giant"): (1536, 40, 24, 6144),
}
# What the class does where a config is silent and which has no counterpart here.
_SILENT = {"with_cls_token": True, "out_type": "cls_token", "img_size": 224}
_PLAIN = {
    "in_channels": (3,),
    "drop_rate": (0.0,),
    "attn_drop_rate": (0.0,),
    "act_cfg": ({"type": "GELU"},),
    "convert_weights": None,
}


def _vision_transformer(config):
    config = {**_SILENT, **config}
    # MMClassification's way to ask for a map.
    if config.pop("output_cls_token", True) is False:
        config["out_type"] = "featmap"
    for names, sizes in _ARCHES.items():
        if isinstance(config.get("arch"), str) and config["arch"] in names:
            config["arch"] = dict(zip(_SIZES, sizes, strict=True)) if sizes else names[-1]
    config["patch_padding"] = 0
    if set(config.get("patch_cfg", {})) <= {"padding"}:
        config["patch_padding"] = config.pop("patch_cfg", {}).get("padding", 0)
    for key, length in (("img_size", 2), ("out_indices", 1)):
        if isinstance(config.get(key), int):
            config[key] = [config[key]] * length
    return config


def _pyramid(version, patch_sizes, paddings):
    newer = version == 2
    return Type(
        "PyramidVisionTransformer",
        {
            **same("embed_dims", "num_layers", "num_heads", "sr_ratios", "mlp_ratios"),
            **same("out_indices", "drop_path_rate"),
            "pretrain_img_size": "pretrain_image_size",
        },
        {
            **_PLAIN,
            "num_stages": (4,),
            "patch_sizes": (patch_sizes,),
            "strides": ((4, 2, 2, 2),),
            "paddings": (paddings,),
            "qkv_bias": (True,),
            "norm_after_stage": (newer,),
            "use_conv_ffn": (newer,),
            "use_abs_pos_embed": (not newer,),
        },
        fixed={"version": version},
    )


TYPES = {
    "VisionTransformer": Type(
        "VisionTransformer",
        {
            **same("arch", "patch_size", "patch_padding", "out_indices"),
            **same("drop_path_rate", "qkv_bias", "final_norm"),
            "img_size": "image_size",
        },
        {
            **_PLAIN,
            "out_type": ("featmap",),
            "with_cls_token": (False,),
            "interpolate_mode": None,
            "layer_cfgs": ({},),
            "patch_cfg": (),
            "layer_scale_init_value": (0.0,),
            "pre_norm": (False,),
        },
        prepare=_vision_transformer,
    ),
    "SwinTransformer": Type(
        "SwinTransformer",
        {
            **same("embed_dims", "depths", "num_heads", "window_size", "mlp_ratio"),
            **same("patch_size", "out_indices", "qkv_bias", "qk_scale", "drop_path_rate"),
        },
        {
            **_PLAIN,
            "strides": ((4, 2, 2, 2),),
            "patch_norm": (True,),
            "use_abs_pos_embed": (False,),
            "pretrain_img_size": None,
        },
    ),
    "PyramidVisionTransformer": _pyramid(1, (4, 2, 2, 2), (0, 0, 0, 0)),
    "PyramidVisionTransformerV2": _pyramid(2, (7, 3, 3, 3), (3, 1, 1, 1)),
    "UniFormer": Type(
        "UniFormer",
        same(
            *("depths", "embed_dims", "head_dim", "mlp_ratio", "qkv_bias", "qk_scale"),
            "drop_path_rate",
        ),
        {
            **_PLAIN,
            "use_window": (False,),
            "use_hybrid": (False,),
            "representation_size": (None,),
            "img_size": None,
            "num_classes": None,
            "norm_layer": None,
            "window_size": None,
            "use_checkpoint": None,
            "checkpoint_num": None,
        },
    ),
}
