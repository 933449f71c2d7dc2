"""Every head: a row each."""

import keras
import numpy as np
import pytest

from keras_pose.codecs import (
    AssociativeEmbedding,
    CenterNetCodec,
    Hand3DHeatmap,
    HandLandmarkLabel,
    IntegralRegressionLabel,
    MoveNetCodec,
    MSRAHeatmap,
    MultilevelHeatmap,
    RegressionLabel,
    SimCC3DLabel,
    SimCCLabel,
    SKPSHeatmap,
    UDPHeatmap,
    YOLOXPoseCodec,
)
from keras_pose.heads import (
    AssociativeEmbeddingHead,
    CenterNetHead,
    CPMHead,
    HandLandmarkHead,
    HeatmapHead,
    IntegralRegressionHead,
    InterNetHead,
    MoveNetHead,
    MoveNetMultiPoseHead,
    MSPNHead,
    RegressionHead,
    RLEHead,
    RTMCCHead,
    RTMW3DHead,
    RTMWHead,
    SimCCHead,
    SKPSHead,
    VisPredictHead,
    YOLOXPoseHead,
)
from keras_pose.heads.mspn_head import PoseRefineMachine
from keras_pose.layers import serialized
from keras_pose.losses import (
    CombinedTargetMSELoss,
    KeypointMSELoss,
    KLDiscretLoss,
    MoveNetLoss,
    MultilevelLoss,
    RLELoss,
    SmoothL1Loss,
    YOLOXPoseLoss,
)

MSRA = MSRAHeatmap((48, 32), (12, 8))
REGRESSION = RegressionLabel((48, 32))
INTEGRAL = IntegralRegressionLabel((48, 32), (12, 8))
SIMCC = SimCCLabel((48, 32), split_ratio=2.0, sigma=2.0)
SIMCC_3D = SimCC3DLabel((48, 32), depth_size=40, root_index=[0], split_ratio=2.0, sigma=2.0)
HANDS = Hand3DHeatmap((48, 32), (12, 8), depth_size=5, root_size=6)
VECTORS = {"x": (3, 96), "y": (3, 64)}
ATTENTION = {"key_units": 4, "activation": "relu", "relative_bias": True, "drop_path_rate": 0.1}

# The head, its inputs' shapes, its outputs', and what its codec decodes from them.
HEADS = {
    "heatmap_head": (
        lambda: HeatmapHead(3, MSRA, deconv_filters=(4, 5), deconv_kernels=(4, 2)),
        [(9, 9, 2), (2, 3, 6)],
        {"heatmaps": (8, 12, 3)},
        {"keypoints": (1, 3, 2), "scores": (1, 3)},
    ),
    "heatmap_head_without_deconv": (
        lambda: HeatmapHead(3, MSRA, deconv_filters=(), deconv_kernels=()),
        [(8, 12, 6)],
        {"heatmaps": (8, 12, 3)},
        {"keypoints": (1, 3, 2), "scores": (1, 3)},
    ),
    "heatmap_head_with_convolutions": (
        lambda: HeatmapHead(3, MSRA, None, (4,), (4,), (5, 6), (1, 3), final_kernel=3),
        [(4, 6, 5)],
        {"heatmaps": (8, 12, 3)},
        {"keypoints": (1, 3, 2), "scores": (1, 3)},
    ),
    "heatmap_head_without_final_layer": (
        lambda: HeatmapHead(3, MSRA, None, (), (), (3,), (1,), final_kernel=None),
        [(8, 12, 5)],
        {"heatmaps": (8, 12, 3)},
        {"keypoints": (1, 3, 2), "scores": (1, 3)},
    ),
    "heatmap_head_of_three_maps": (
        lambda: HeatmapHead(3, UDPHeatmap((48, 32), (12, 8), "combined"), None, (), ()),
        [(8, 12, 5)],
        {"heatmaps": (8, 12, 9)},
        {"keypoints": (1, 3, 2), "scores": (1, 3)},
    ),
    "associative_embedding_head": (
        lambda: AssociativeEmbeddingHead(3, AssociativeEmbedding(topk=5), tag_dim=2),
        [(8, 12, 5)],
        {"heatmaps": (8, 12, 3), "tags": (8, 12, 6)},
        {
            "values": (3, 5),
            "peaks": (3, 5, 2),
            "peak_tags": (3, 5, 2),
            "heatmaps": (8, 12, 3),
            "tags": (8, 12, 6),
        },
    ),
    "skps_head": (
        lambda: SKPSHead(3, SKPSHeatmap((48, 32), (12, 8)), None, (4,), (1,)),
        [(8, 12, 5)],
        {"heatmaps": (8, 12, 3), "offsets": (8, 12, 6)},
        {"keypoints": (1, 3, 2), "scores": (1, 3)},
    ),
    "vis_predict_head": (
        lambda: VisPredictHead(HeatmapHead(3, MSRA, None, (4,), (4,))),
        [(9, 9, 2), (4, 6, 5)],
        {"heatmaps": (8, 12, 3), "visibility": (3,)},
        {"keypoints": (1, 3, 2), "scores": (1, 3), "visible": (1, 3)},
    ),
    "heatmap_head_in_groups": (
        lambda: HeatmapHead(3, MSRA, None, (4, 6), (4, 2), deconv_groups=(2, 2)),
        [(2, 3, 6)],
        {"heatmaps": (8, 12, 3)},
        {"keypoints": (1, 3, 2), "scores": (1, 3)},
    ),
    "cpm_head": (
        lambda: CPMHead(3, MSRA, num_stages=3),
        [(8, 12, 6)] * 3,
        {"heatmaps": (8, 12, 3), "intermediate_heatmaps": (2, 8, 12, 3)},
        {"keypoints": (1, 3, 2), "scores": (1, 3)},
    ),
    "cpm_head_of_one_stage": (
        lambda: CPMHead(
            3, MSRA, num_stages=1, deconv_filters=(3,), deconv_kernels=(4,), final_kernel=None
        ),
        [(4, 6, 5)],
        {"heatmaps": (8, 12, 3)},
        {"keypoints": (1, 3, 2), "scores": (1, 3)},
    ),
    "mspn_head": (
        lambda: MSPNHead(
            3,
            MultilevelHeatmap([MSRAHeatmap((48, 32), (12, 8), sigma) for sigma in (3.0, 2.0)]),
            MultilevelLoss([KeypointMSELoss(0.25), KeypointMSELoss()] * 2, [0, 1, 0, 1]),
            2,
            2,
            4,
        ),
        [[(4, 6, 5), (8, 12, 5)]] * 2,
        {"heatmaps": (8, 12, 3), "intermediate_heatmaps": (3, 8, 12, 3)},
        {"keypoints": (1, 3, 2), "scores": (1, 3)},
    ),
    "mspn_head_with_prm": (
        lambda: MSPNHead(3, MSRA, None, 1, 1, 4, use_prm=True),
        [[(4, 6, 5)]],
        {"heatmaps": (8, 12, 3)},
        {"keypoints": (1, 3, 2), "scores": (1, 3)},
    ),
    "movenet_multipose_head": (
        lambda: MoveNetMultiPoseHead(3, hidden=4),
        [(8, 12, 6)],
        {
            "center": (8, 12, 1),
            "heatmaps": (8, 12, 3),
            "displacements": (8, 12, 6),
            "offsets": (8, 12, 6),
            "box_sizes": (8, 12, 2),
            "box_offsets": (8, 12, 2),
        },
        {"keypoints": (6, 3, 2), "scores": (6, 3), "boxes": (6, 4), "box_scores": (6,)},
    ),
    "movenet_head": (
        lambda: MoveNetHead(3, MoveNetCodec((48, 32), (12, 8)), hidden=4),
        [(8, 12, 6)],
        {
            "center": (8, 12, 1),
            "heatmaps": (8, 12, 3),
            "displacements": (8, 12, 6),
            "offsets": (8, 12, 6),
        },
        {"keypoints": (1, 3, 2), "scores": (1, 3)},
    ),
    "centernet_head": (
        lambda: CenterNetHead(5, CenterNetCodec(4, max_detections=7)),
        [(8, 12, 6)],
        {"heatmaps": (8, 12, 5), "sides": (8, 12, 4)},
        {"boxes": (7, 4), "scores": (7,), "classes": (7,)},
    ),
    "regression_head": (
        lambda: RegressionHead(3, REGRESSION),
        [(2, 3, 6), (5,)],
        {"coordinates": (3, 2)},
        {"keypoints": (1, 3, 2), "scores": (1, 3)},
    ),
    "hand_landmark_head": (
        lambda: HandLandmarkHead(3, HandLandmarkLabel((48, 32)), unit=48.0),
        [(2, 3, 6), (5,)],
        {
            "coordinates": (3, 2),
            "depths": (3,),
            "presence": (1,),
            "handedness": (1,),
            "world": (3, 3),
        },
        {"keypoints": (1, 3, 2), "scores": (1, 3)},
    ),
    "rle_head": (
        lambda: RLEHead(3, REGRESSION, RLELoss(hidden=4)),
        [(5,)],
        {"coordinates": (3, 2), "sigmas": (3, 2)},
        {"keypoints": (1, 3, 2), "scores": (1, 3)},
    ),
    "integral_regression_head": (
        lambda: IntegralRegressionHead(3, INTEGRAL, None, (4,), (4,), debias=True),
        [(4, 6, 5)],
        {"coordinates": (3, 2), "heatmaps": (8, 12, 3)},
        {"keypoints": (1, 3, 2), "scores": (1, 3)},
    ),
    "integral_regression_head_without_deconv": (
        lambda: IntegralRegressionHead(3, INTEGRAL, None, (), (), beta=10.0),
        [(8, 12, 5)],
        {"coordinates": (3, 2), "heatmaps": (8, 12, 3)},
        {"keypoints": (1, 3, 2), "scores": (1, 3)},
    ),
    "simcc_head": (
        lambda: SimCCHead(3, SIMCC, deconv_head=HeatmapHead(3, None, None, (4,), (4,))),
        [(2, 3, 6)],
        VECTORS,
        {"keypoints": (1, 3, 2), "scores": (1, 3)},
    ),
    "simcc_head_without_deconv": (
        lambda: SimCCHead(3, SimCCLabel((48, 32), decode_visibility=True)),
        [(9, 9, 2), (2, 3, 6)],
        VECTORS,
        {"keypoints": (1, 3, 2), "scores": (1, 3), "visible": (1, 3)},
    ),
    "rtmcc_head": (
        lambda: RTMCCHead(3, SIMCC, hidden=8, attention={"key_units": 4}, kernel_size=3),
        [(9, 9, 2), (2, 3, 6)],
        VECTORS,
        {"keypoints": (1, 3, 2), "scores": (1, 3)},
    ),
    "yolox_pose_head": (
        lambda: YOLOXPoseHead(3, YOLOXPoseCodec(max_people=4), None, (8, 16), 4, 1),
        [(4, 6, 5), (2, 3, 4)],
        {
            "classes": (30, 1),
            "objectness": (30, 1),
            "boxes": (30, 4),
            "offsets": (30, 6),
            "visibility": (30, 3),
            "priors": (30, 3),
        },
        {"keypoints": (4, 3, 2), "scores": (4, 3), "boxes": (4, 4), "box_scores": (4,)},
    ),
    "rtmw_head": (
        lambda: RTMWHead(3, SIMCC, 8, hidden=8, attention=ATTENTION, kernel_size=3),
        [(4, 6, 5), (2, 3, 8)],
        VECTORS,
        {"keypoints": (1, 3, 2), "scores": (1, 3)},
    ),
    "rtmw3d_head": (
        lambda: RTMW3DHead(3, SIMCC_3D, 8, hidden=8, attention=ATTENTION, kernel_size=3),
        [(4, 6, 5), (2, 3, 8)],
        {**VECTORS, "z": (3, 80)},
        {"keypoints": (1, 3, 3), "scores": (1, 3)},
    ),
    "internet_head": (
        lambda: InterNetHead(4, HANDS, None, (4, 5), (4, 4), (6,), (7,)),
        [(9, 9, 2), (2, 3, 6)],
        {"heatmaps": (8, 12, 4, 5), "root": (1,), "hand_type": (2,)},
        {
            "keypoints": (1, 4, 3),
            "scores": (1, 4),
            "visible": (1, 4),
            "root_depth": (1,),
            "hand_type": (2,),
        },
    ),
}
every_head = pytest.mark.parametrize("name", HEADS)


@every_head
def test_values(parts, name):
    make, inputs, outputs, _ = HEADS[name]
    parts.check_values(make(), inputs, outputs)


@every_head
def test_storing(parts, name, tmp_path):
    parts.check_storing(HEADS[name][0](), HEADS[name][1], tmp_path / "a.weights.h5")


@every_head
def test_half_precision(parts, name):
    """Outputs are float32: targets, softmax and decoding need the digits."""
    parts.check_half_precision(HEADS[name][0], HEADS[name][1], "float32")


@every_head
def test_training(parts, name):
    parts.check_training(HEADS[name][0](), HEADS[name][1])


@every_head
def test_the_codec_decodes_the_outputs(parts, compiled, name):
    make, _, outputs, decoded = HEADS[name]
    values = compiled(make().codec.decode)(parts.random_inputs(outputs))
    assert {key: value.shape for key, value in values.items()} == {
        key: (2, *shape) for key, shape in decoded.items()
    }
    assert all(value.dtype == np.float32 for value in values.values())


def test_heads_bring_their_own_loss():
    assert isinstance(HeatmapHead(3, MSRA).loss_module, KeypointMSELoss)
    assert isinstance(MoveNetHead(3).loss_module, MoveNetLoss)
    assert isinstance(RTMCCHead(3, SIMCC, hidden=8).loss_module, KLDiscretLoss)
    assert isinstance(RegressionHead(3, REGRESSION).loss_module, SmoothL1Loss)
    assert isinstance(RLEHead(3, REGRESSION).loss_module, RLELoss)
    assert isinstance(YOLOXPoseHead(3).loss_module, YOLOXPoseLoss)
    assert CenterNetHead().loss_module is None


def test_two_hands_have_an_even_number_of_keypoints():
    with pytest.raises(ValueError, match="an even number of keypoints, got 3"):
        InterNetHead(3, HANDS)


def test_the_root_is_among_the_keypoints():
    with pytest.raises(ValueError, match=r"root_index \(11, 12\) does not fit 3 keypoints"):
        RTMW3DHead(3, SimCC3DLabel((48, 32)), 8)


def test_a_head_keeps_the_settings_of_its_loss_and_codec():
    head = HeatmapHead(3, MSRAHeatmap((48, 32), (12, 8), 1.5, False), KeypointMSELoss(0.25))
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(head))
    assert copy.loss_module.loss_weight == 0.25
    assert copy.codec.get_config() == head.codec.get_config()


def test_deconvolutions_need_a_kernel_each():
    with pytest.raises(ValueError, match="must be equally long"):
        HeatmapHead(3, MSRA, deconv_filters=(4, 4), deconv_kernels=(4,))


def test_convolutions_need_a_kernel_each():
    with pytest.raises(ValueError, match="conv_filters and conv_kernels must be equally long"):
        HeatmapHead(3, MSRA, conv_filters=(4,))


def test_maps_without_a_last_layer_must_be_as_many_as_the_codec_needs():
    head = HeatmapHead(3, MSRA, None, (), (), final_kernel=None)
    with pytest.raises(ValueError, match="the codec needs 3 maps, the head has 5"):
        head([keras.KerasTensor((None, 8, 12, 5))])


def test_three_maps_a_keypoint_bring_their_own_loss():
    head = HeatmapHead(3, UDPHeatmap((48, 32), (12, 8), "combined"))
    assert isinstance(head.loss_module, CombinedTargetMSELoss)


def test_visibility_head_takes_another_number_of_keypoints():
    config = VisPredictHead(HeatmapHead(3, MSRA)).get_config()
    head = VisPredictHead.from_config({**config, "num_keypoints": 4})
    assert head.num_keypoints == head.pose_head.num_keypoints == 4
    assert head.loss_module.terms == ("loss_kpt", "loss_vis")


def test_the_gates_of_a_pose_refine_machine_are_between_a_quarter_and_one():
    machine = PoseRefineMachine(3)
    maps = np.random.default_rng(0).standard_normal((2, 8, 6, 3)).astype("f4")
    refined = keras.ops.convert_to_numpy(machine(maps))
    before = keras.ops.convert_to_numpy(machine.conv_bn_relu_prm_1(maps))
    large = before > 1e-3
    gates = refined[large] / before[large] - 1
    # Each of the two factors is a sigmoid of a number that is not negative.
    assert gates.min() >= 0.25 - 1e-3 and gates.max() <= 1
    assert gates.std() > 0


def test_a_head_of_many_stages_reads_all_of_their_maps():
    with pytest.raises(ValueError, match=r"reads 2 lists of 2 maps, got lists of \[2, 1\]"):
        MSPNHead(3, MSRA, None, 2, 2, 4).build([[(None, 4, 6, 5)] * 2, [(None, 8, 12, 5)]])


@pytest.mark.parametrize("kernel", [2, 3, 4, 5])
def test_every_deconvolution_doubles(kernel):
    head = HeatmapHead(3, MSRA, deconv_filters=(4, 4), deconv_kernels=(kernel, kernel))
    outputs = head([keras.KerasTensor((None, 2, 3, 6))])
    assert outputs["heatmaps"].shape == (None, 8, 12, 3)


def test_the_maps_of_a_simcc_head_are_as_many_as_its_keypoints():
    maps = HeatmapHead(4, None, None, (4,), (4,))
    with pytest.raises(ValueError, match="must make 3 maps, got one that makes 4"):
        SimCCHead(3, SIMCC, deconv_head=maps)
    config = serialized(SimCCHead(4, SIMCC, deconv_head=maps))
    config["config"]["num_keypoints"] = 3
    assert keras.saving.deserialize_keras_object(config).deconv_head.num_keypoints == 3


def test_groups_of_deconvolutions_need_a_number_each():
    with pytest.raises(ValueError, match="deconv_kernels and deconv_groups must be equally long"):
        HeatmapHead(3, MSRA, deconv_filters=(4, 4), deconv_kernels=(4, 4), deconv_groups=(2,))


def test_every_stage_of_a_pose_machine_learns_the_same(compiled):
    random = np.random.default_rng(0)
    maps = [random.standard_normal((2, 8, 12, 3)).astype("float32") for _ in range(3)]
    keypoints = random.uniform(0, 32, (2, 1, 3, 2)).astype("float32")
    labels = {"keypoints": keypoints, "visible": np.ones((2, 1, 3), "float32")}
    head = CPMHead(3, MSRA, num_stages=3, final_kernel=None)

    def losses(labels, *maps):
        targets = head.codec.encode(labels)
        each = [KeypointMSELoss()(targets, {"heatmaps": stage})["loss_kpt"] for stage in maps]
        return head.loss_module(targets, head(maps))["loss_kpt"], sum(each)

    together, apart = compiled(losses)(labels, *maps)
    np.testing.assert_allclose(together, apart, rtol=1e-5)


def test_pose_machines_flip_the_maps_of_every_stage(compiled):
    head = CPMHead(3, MSRA, num_stages=2, final_kernel=None)
    maps = np.random.default_rng(0).standard_normal((2, 2, 8, 12, 3)).astype("float32")
    flipped = compiled(lambda *maps: head.codec.flip(head(maps), [0, 2, 1]))(*maps)
    first = compiled(lambda x: MSRA.flip({"heatmaps": x}, [0, 2, 1]))(maps[0])
    np.testing.assert_array_equal(flipped["intermediate_heatmaps"][:, 0], first["heatmaps"])


@pytest.mark.parametrize(
    ("maps", "message"),
    [
        ([(None, 8, 12, 3)], "reads 2 maps, got 1"),
        ([(None, 8, 12, 4)] * 2, "the codec needs 3 maps, the head has 4"),
    ],
)
def test_pose_machines_read_a_map_per_stage(maps, message):
    with pytest.raises(ValueError, match=message):
        CPMHead(3, MSRA, num_stages=2, final_kernel=None).build(maps)
