"""Settings of RTMPose's networks and of SimCC heads in this package's terms."""

from collections.abc import Mapping

_ACTIVATIONS = {"SiLU": "silu", "Swish": "silu", "ReLU": "relu"}
# MMPose's classes make batch normalisations like this when a config says nothing about them; a
# config that says something has PyTorch's values where it is silent.
_NORM_OF_CLASS = {"type": "BN", "eps": 1e-3, "momentum": 0.03}
_ATTENTION = {
    "s": "key_units",
    "expansion_factor": "expansion_factor",
    "use_rel_bias": "relative_bias",
    "pos_enc": "rotary",
    "dropout_rate": "dropout_rate",
    "drop_path": "drop_path_rate",
}
_DECONV_HEADS = {"heatmap": "HeatmapHead", "vipnas": "ViPNASHead"}


def csp_network(config: Mapping) -> dict:
    """Settings of our CSPNeXt, CSPDarknet or CSPNeXtPAFPN; see `types.Type.prepare`."""
    settings = dict(config)
    norm = settings.pop("norm_cfg", _NORM_OF_CLASS)
    if norm.get("type") not in ("BN", "SyncBN"):
        raise ValueError(f"{config['type']} with norm_cfg={norm!r} has no counterpart here")
    settings["norm_epsilon"] = norm.get("eps", 1e-5)
    # PyTorch's momentum is the part of the new value, Keras' that of the old one.
    settings["norm_momentum"] = round(1 - norm.get("momentum", 0.1), 12)
    settings["activation"] = _activation(settings.pop("act_cfg", {"type": "SiLU"})["type"])
    rows = settings.pop("arch_ovewrite", None)
    return {**settings, "arch": rows} if rows else settings


def simcc_head(config: Mapping) -> dict:
    """Settings of our SimCCHead, whose deconvolutions are a head of their own."""
    settings = dict(config)
    kind = settings.pop("deconv_type", "heatmap")
    filters = settings.pop("deconv_out_channels", (256, 256, 256))
    kernels = settings.pop("deconv_kernel_sizes", (4, 4, 4))
    groups = settings.pop("deconv_num_groups", (16, 16, 16))
    shared = ("conv_out_channels", "conv_kernel_sizes", "final_layer")
    if not filters:
        for key in shared[:2]:  # they are only made behind deconvolutions
            settings.pop(key, None)
        return settings
    if kind not in _DECONV_HEADS:
        raise ValueError(
            f"SimCCHead with deconv_type={kind!r} has no counterpart here; known are "
            f"{', '.join(_DECONV_HEADS)}"
        )
    head = {
        "type": _DECONV_HEADS[kind],
        "out_channels": config["out_channels"],
        "deconv_out_channels": filters,
        "deconv_kernel_sizes": kernels,
        "decoder": None,
        **{key: settings.pop(key) for key in shared if key in settings},
    }
    if kind == "vipnas":
        head["deconv_num_groups"] = groups
    return {**settings, "deconv_head": head}


def attending_head(config: Mapping) -> dict:
    """Settings of our RTMCCHead or RTMWHead."""
    settings = {"final_layer_kernel_size": 1, **config}
    gau = dict(settings.pop("gau_cfg", {}))
    settings["hidden"] = gau.pop("hidden_dims", 256)
    attention = {"activation": _activation(gau.pop("act_fn", "ReLU"))}
    unknown = [key for key in gau if key not in _ATTENTION]
    if unknown:
        raise ValueError(
            f"{config['type']}: gau_cfg has a setting {unknown[0]!r} that is not known here"
        )
    attention.update({_ATTENTION[key]: value for key, value in gau.items()})
    return {**settings, "attention": attention}


def _activation(name: str) -> str:
    if name not in _ACTIVATIONS:
        raise ValueError(
            f"activation {name!r} has no counterpart here; known are {', '.join(_ACTIVATIONS)}"
        )
    return _ACTIVATIONS[name]
