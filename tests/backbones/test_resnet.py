import pytest

from keras_pose.backbones import ResNet


# Table 1 of the paper.
@pytest.mark.parametrize(
    ("depth", "blocks", "width"),
    [
        (18, (2, 2, 2, 2), 1),
        (34, (3, 4, 6, 3), 1),
        (50, (3, 4, 6, 3), 4),
        (101, (3, 4, 23, 3), 4),
        (152, (3, 8, 36, 3), 4),
    ],
)
def test_depths(depth, blocks, width):
    net = ResNet(depth, base_channels=8)
    stages = [net.layer1, net.layer2, net.layer3, net.layer4]
    assert tuple(len(stage) for stage in stages) == blocks
    assert {stage[0].expansion for stage in stages} == {width}


def test_stages_that_nobody_reads_are_not_built():
    assert not hasattr(ResNet(18, out_indices=(0, 1)), "layer3")


def test_an_unknown_depth_is_refused():
    with pytest.raises(ValueError, match="depth must be one of"):
        ResNet(20)


@pytest.mark.parametrize("out_indices", [(4,), (-1,), ()])
def test_an_unknown_stage_is_refused(out_indices):
    with pytest.raises(ValueError, match=r"out_indices must lie in 0\.\.3"):
        ResNet(18, out_indices=out_indices)
