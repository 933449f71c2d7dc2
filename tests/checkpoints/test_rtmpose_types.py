"""Settings of RTMPose's networks and of SimCC heads; see `checkpoints.mmpose.rtmpose`."""

import pytest

from keras_pose.checkpoints.mmpose import translate_part

CODEC = {"type": "SimCCLabel", "input_size": [32, 48], "sigma": 2.0}
GAU = {"hidden_dims": 16, "s": 8, "expansion_factor": 2, "act_fn": "SiLU", "use_rel_bias": True}
SIZES = {"in_channels": 8, "out_channels": 3, "input_size": [32, 48], "in_featuremap_size": [1, 2]}


def _translated(**config):
    part = translate_part(config, "part")
    return part["class_name"], part["config"]


@pytest.mark.parametrize("kind", ["CSPNeXt", "CSPDarknet", "CSPNeXtPAFPN"])
@pytest.mark.parametrize(
    ("norm", "expected"),
    [
        ({}, (1e-3, 0.97)),  # the defaults of these classes
        ({"norm_cfg": {"type": "SyncBN"}}, (1e-5, 0.9)),  # PyTorch's
        ({"norm_cfg": {"type": "BN", "eps": 1e-4, "momentum": 0.2}}, (1e-4, 0.8)),
    ],
)
def test_normalisation(kind, norm, expected):
    name, settings = _translated(type=kind, **norm)
    assert name == kind
    assert (settings["norm_epsilon"], settings["norm_momentum"]) == expected


def test_rows_replace_a_named_architecture():
    rows = [[8, 16, 1, True, False]]
    _, settings = _translated(type="CSPNeXt", arch="P5", arch_ovewrite=rows)
    assert settings["arch"] == rows


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"norm_cfg": {"type": "GN"}}, "CSPNeXt with norm_cfg=.*GN.* has no counterpart"),
        ({"act_cfg": {"type": "Snake"}}, "activation 'Snake' has no counterpart here; known"),
        ({"conv_cfg": {"type": "DCN"}}, "CSPNeXt with conv_cfg=.* has no counterpart here"),
    ],
)
def test_networks_that_cannot_be_built_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        translate_part({"type": "CSPNeXt", **wrong}, "part")


@pytest.mark.parametrize("kind", ["RTMCCHead", "RTMWHead"])
def test_attending_heads(kind):
    name, settings = _translated(type=kind, gau_cfg=GAU, decoder=CODEC, **SIZES)
    assert name == kind
    assert settings["attention"] == {
        "activation": "silu",
        "key_units": 8,
        "expansion_factor": 2,
        "relative_bias": True,
    }
    assert (settings["hidden"], settings["kernel_size"], settings["num_keypoints"]) == (16, 1, 3)
    assert settings["codec"]["class_name"] == "SimCCLabel"


def test_an_attention_of_another_kind_is_refused():
    with pytest.raises(ValueError, match="gau_cfg has a setting 'attn_type' that is not known"):
        translate_part({"type": "RTMCCHead", "gau_cfg": {"attn_type": "cross-attn"}}, "part")


def test_deconvolutions_become_a_head_of_their_own():
    _, settings = _translated(
        type="SimCCHead", deconv_out_channels=(4,), deconv_kernel_sizes=(2,), decoder=CODEC, **SIZES
    )
    head = settings["deconv_head"]
    assert head["class_name"] == "HeatmapHead"
    assert head["config"]["num_keypoints"] == 3 and head["config"]["codec"] is None


def test_a_simcc_head_may_have_no_deconvolutions():
    _, settings = _translated(
        type="SimCCHead", deconv_out_channels=None, decoder=CODEC, conv_out_channels=None, **SIZES
    )
    assert "deconv_head" not in settings


def test_deconvolutions_of_another_kind_are_refused():
    with pytest.raises(ValueError, match="deconv_type='mspn' has no counterpart here; known"):
        translate_part({"type": "SimCCHead", "deconv_type": "mspn", **SIZES}, "part")
