"""The rows of MMPose's published models."""

import gzip
import json

import numpy as np
import pytest

from keras_pose.estimators import PoseLifter
from keras_pose.preset import preset_names, read_metadata, zoo
from keras_pose.preset.fingerprints import fingerprint, nearest
from keras_pose.preset.handles import load_preset
from keras_pose.skeleton import Skeleton


@pytest.mark.parametrize(
    ("handle", "name"),
    [
        ("rtmpose_m_coco_256x192", "rtmpose_m_coco_256x192"),
        ("rtmpose-m_8xb256-420e_coco-256x192", "rtmpose_m_coco_256x192"),
        ("td-hm_ViTPose-base-simple_8xb64-210e_coco-256x192", "vitpose_base_simple_coco_256x192"),
        ("VitPose-B", "vitpose_base_simple_coco_256x192"),
        ("human", "rtmpose_m_body8_256x192"),
        ("face", "rtmpose_m_face6_256x256"),
        ("wholebody", "rtmpose_m_coco_wholebody_256x192"),
        ("topdown_heatmap_scnet50_coco_384x288", "scnet50_coco_384x288"),
        # The metafile calls the crowdpose model by the name of this one.
        ("rtmpose-t_8xb256-420e_coco-256x192", "rtmpose_t_coco_256x192"),
        (
            "td-hm_ViTPose-huge_8xb64-210e_coco-256x192@5b738c8e",
            "vitpose_huge_coco_256x192_5b738c8e",
        ),
        ("td-hm_ViTPose-huge_8xb64-210e_coco-256x192", "vitpose_huge_coco_256x192"),
        # Published twice, under two configs: the file's name says which it is.
        ("cspnext-m_udp_8xb256-210e_coco-256x192@f2f7d6f6", "cspnext_m_udp_aic_coco_256x192"),
    ],
)
def test_names_configs_and_aliases_are_found(handle, name):
    assert zoo.find(handle).name == name


def test_a_row_knows_its_model():
    row = zoo.row("hrnet_w32_udp_coco_256x192")
    assert row.udp is True and row.box_padding == 1.25 and row.skeleton == "coco"
    assert row.model["backbone"]["type"] == "HRNet" and row.model["test_cfg"]["flip_test"]
    assert row.input_size == (192, 256) and row.hashes == ("73ede547",)
    assert row.file.endswith("73ede547_20220914.pth")
    assert row.metadata()["metrics"][0]["protocol"].startswith("COCO val2017; boxes of a detector")


def test_levels_of_targets_have_their_codecs():
    codec = zoo.row("mspn50_coco_256x192").codec
    assert [one["kernel_size"] for one in codec] == [11, 9, 7, 5]


def test_models_that_learn_more_than_they_report_have_the_longer_skeleton():
    row = zoo.row("hrnet_w32_coco_aic_combine_256x192")
    assert (
        row.skeleton == "coco_aic" and len(row.model["test_cfg"]["output_keypoint_indices"]) == 17
    )


def test_every_row_is_complete():
    files = set()
    for name in zoo.names():
        row = zoo.row(name)
        count = Skeleton.load(row.skeleton).num_keypoints
        if row.model["type"] == "TopdownPoseEstimator" and row.task.endswith("_2d"):
            head = row.model["head"]
            head = head.get("pose_cfg", head)
            assert head.get("out_channels", head.get("num_joints")) in (count, 3 * count), name
        assert (row.input_size is None) == (row.model["type"] == "PoseLifter"), name
        assert (row.resize is None) == (row.model["type"] != "BottomupPoseEstimator"), name
        assert row.parameters > 0 and row.training_data and row.metadata()["metrics"], name
        files.add(row.file)
    assert len(zoo.names()) == 391 and len(files) == 390
    assert sorted(name for name in zoo.names() if not zoo.row(name).hashes) == [
        *("hrnet_w32_exlpose_256x192", "hrnetv2_w18_skps_cofw_256x256"),
        "hrnetv2_w18_skps_wflw_256x256",
    ]


def test_rows_are_those_of_the_facts(shared):
    rows = json.loads(gzip.decompress((shared / "zoo/zoo.json.gz").read_bytes()))["rows"]
    for facts in rows:
        if facts["kind"] != "pose" or zoo.missing(facts["id"]):
            continue
        row = zoo.find(facts["id"])
        assert facts["weights"] in row.addresses
        if facts["id"] not in row.aliases or row.config == facts["config"]:
            assert row.parameters == facts["params"]["parameters"]
            for part in row.model:
                assert row.model[part] == facts["model"][part]
            for part in ("backbone", "neck", "head", "traj_backbone", "traj_head"):
                assert row.model.get(part) == facts["model"].get(part)


def test_whole_photos_are_resized_as_the_test_pipeline_does():
    resize = zoo.row("dekr_hrnet_w48_coco_640x640").resize
    assert (resize["resize_mode"], resize["size_factor"], resize["fill"]) == ("expand", 32, 0)
    assert zoo.row("ae_hrnet_w32_coco_512x512").resize["size_factor"] == 64
    # Its codec says 640.
    tiny = zoo.row("yoloxpose_tiny_coco_416")
    assert tiny.resize["input_size"] == [416, 416] == list(tiny.input_size)
    assert (tiny.resize["resize_mode"], tiny.resize["fill"]) == ("fit", 114)


@pytest.mark.parametrize(
    ("name", "kind", "said"),
    [
        ("rtmo", "bottom-up pose", "COCO val2017; whole images; no flip test"),
        ("human3d", "pose lifting", "Human3.6M; annotated 2D poses; flip test"),
        ("rtmw3d_l_cocktail14_384x288", "top-down pose", "COCO-Wholebody; boxes not stated"),
    ],
)
def test_facts_of_other_kinds_of_models(name, kind, said):
    facts = read_metadata(name)
    assert facts["task"] == kind and facts["metrics"][0]["protocol"].startswith(said)


def test_lifters_are_built_without_a_network():
    lifter = PoseLifter.from_preset("motionbert_dstformer_243frm_h36m", load_weights=False)
    # Targets of training are those of its own codec.
    assert lifter.head.codec.mode == "train"
    assert sum(int(np.prod(v.shape)) for v in lifter.trainable_variables) == 42466317


def test_models_of_other_libraries_say_so():
    with pytest.raises(ValueError, match="needs mmyolo"):
        load_preset("yolox-pose_s_8xb32-300e_coco")
    with pytest.raises(ValueError, match="ED-Pose is not in this package"):
        load_preset("edpose_res50_8xb2-50e_coco-800x1333")


def test_presets_are_listed_and_described_without_a_network():
    assert "swin_b_coco_256x192" in preset_names()
    assert read_metadata("swin_b_coco_256x192")["family"] == "topdown_heatmap"


def test_unknown_names_suggest_near_ones():
    with pytest.raises(ValueError, match='did you mean "hrnet_w32_coco_256x192"'):
        load_preset("hrnet_w32_coco_256x193")
    with pytest.raises(ValueError, match='did you mean "rtmpose-m_8xb256-420e_coco-256x192"'):
        load_preset("rtmpose-m_8xb256-420e_coco-256x191")


def test_published_models_without_a_config_say_so():
    with pytest.raises(ValueError, match=r"cannot be loaded: no config in MMPose 1\.3\.2"):
        load_preset("swin_b_p4_w7_fpn_coco_256x192")


def test_fingerprints_tell_what_is_alike():
    layout = [(f"layer{i}.weight", (i, 3)) for i in range(100)]
    known = {"same": fingerprint(layout), "other": fingerprint([("a", (1,)), ("b", (2,))])}
    assert nearest(layout[:80], known) == "same"
    assert nearest([*layout, ("layer1.num_batches_tracked", ())], known) == "same"
    assert nearest([("c", (3,))], known) is None
    assert nearest([], known) is None
