"""MSPN and RSN."""

import json

import pytest

from keras_pose.backbones import MSPN, RSN, mspn, rsn
from keras_pose.checkpoints.mmpose import translate_part

PUBLISHED = [(MSPN, mspn, name) for name in mspn.VARIANTS] + [
    (RSN, rsn, name) for name in rsn.VARIANTS
]


@pytest.mark.parametrize(("kind", "module", "name"), PUBLISHED)
def test_variants_are_the_published_networks(parts, golden, kind, module, name):
    entries = json.loads((golden / "models/index.json").read_text("utf-8"))["models"]
    start = f"td-hm_{name}_"
    model = next(entry["model"] for entry in entries if entry["config"].startswith(start))
    published = translate_part(model["backbone"])["config"]
    assert parts.settings(kind, **module.VARIANTS[name]) == parts.settings(kind, **published)


def test_the_parts_of_a_block_follow_the_width_that_comes_in():
    net = RSN(1, (2, 2))
    widths = [
        [block.conv_bn_relu2_1_1.conv.filters for block in level]
        for level in (
            net.multi_stage_rsn[0].downsample.layer1,
            net.multi_stage_rsn[0].downsample.layer2,
        )
    ]
    assert widths == [[26, 26], [26, 52]]


def test_only_the_last_stage_has_nothing_for_a_next_one():
    net = MSPN(2, (1, 1), 8, 2)
    first, last = (stage.upsample for stage in net.multi_stage_mspn)
    assert first.up1.cross_conv is None and first.up2.cross_conv is not None
    assert first.up1.out_skip1 is not None
    assert last.up2.cross_conv is None and last.up2.out_skip1 is None


@pytest.mark.parametrize(
    "settings", [{"num_stages": 0}, {"num_blocks": ()}, {"num_blocks": (1, 0)}]
)
def test_empty_stages_are_refused(settings):
    with pytest.raises(ValueError, match="num_stages and every entry of num_blocks must be 1"):
        MSPN(**settings)
