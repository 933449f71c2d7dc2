"""Configs of MMPose models as configs of this package's classes."""

import copy

import numpy as np
import pytest

import keras_pose
from keras_pose.checkpoints.mmpose import current_names, translate_model
from keras_pose.layers.naming import state_dict

CODEC = {"type": "MSRAHeatmap", "input_size": (32, 48), "heatmap_size": (8, 12), "sigma": 2}
MODEL = {
    "type": "TopdownPoseEstimator",
    "data_preprocessor": {
        "type": "PoseDataPreprocessor",
        "mean": [123.675, 116.28, 103.53],
        "std": [58.395, 57.12, 57.375],
        "bgr_to_rgb": True,
    },
    "backbone": {"type": "ResNet", "depth": 18, "base_channels": 4, "out_indices": (1,)},
    "head": {
        "type": "HeatmapHead",
        "in_channels": 8,
        "out_channels": 17,
        "deconv_out_channels": (4,),
        "deconv_kernel_sizes": (4,),
        "loss": {"type": "KeypointMSELoss", "use_target_weight": True, "loss_weight": 0.5},
        "decoder": CODEC,
    },
    "test_cfg": {"flip_test": True, "flip_mode": "heatmap", "shift_heatmap": True},
}


def _changed(path, value):
    config = copy.deepcopy(MODEL)
    *parents, last = path.split(".")
    target = config
    for name in parents:
        target = target[name]
    target[last] = value
    return config


@pytest.fixture(scope="module")
def weights():
    """A state dict as MMPose would save it."""
    estimator = keras_pose.from_mmpose(MODEL, _zeros())
    arrays = state_dict(estimator)
    random = np.random.default_rng(0)
    return {name: random.uniform(0.1, 1, a.shape).astype("f4") for name, a in arrays.items()}


def _zeros():
    import keras

    model = keras.saving.deserialize_keras_object(translate_model(MODEL, "coco"))
    return state_dict(model)


def test_a_model_is_built_with_its_weights(weights):
    estimator = keras_pose.from_mmpose(MODEL, weights)
    assert isinstance(estimator, keras_pose.TopdownEstimator)
    assert estimator.input_size == (32, 48)
    assert estimator.head.codec.shift_flipped is True
    assert estimator.head.loss_module.loss_weight == 0.5
    assert estimator.skeleton.name == "coco"
    for name, array in state_dict(estimator).items():
        np.testing.assert_array_equal(array, weights[name])


def test_weights_come_from_files_too(weights, tmp_path):
    np.savez(tmp_path / "a.npz", **weights)
    estimator = keras_pose.from_mmpose(MODEL, tmp_path / "a.npz")
    np.testing.assert_array_equal(
        state_dict(estimator)["backbone.conv1.weight"], weights["backbone.conv1.weight"]
    )


def test_old_names_are_understood(weights):
    old = {name.replace("head.", "keypoint_head.", 1): array for name, array in weights.items()}
    old["data_preprocessor.mean"] = np.zeros((3, 1, 1))
    assert set(current_names(old)) == set(weights)
    keras_pose.from_mmpose(MODEL, {"state_dict": old, "meta": {}})


def test_missing_weights_are_listed(weights):
    less = {name: array for name, array in weights.items() if name != "head.final_layer.bias"}
    with pytest.raises(ValueError, match=r"1 missing: head\.final_layer\.bias"):
        keras_pose.from_mmpose(MODEL, less)


def test_the_skeleton_must_have_the_heads_keypoints(weights):
    with pytest.raises(ValueError, match="the head predicts 17 keypoints, the skeleton"):
        keras_pose.from_mmpose(MODEL, weights, skeleton="mpii")


@pytest.mark.parametrize(
    ("path", "value", "settings"),
    [
        ("data_preprocessor.bgr_to_rgb", False, {"channels": "bgr"}),
        ("data_preprocessor.mean", None, {"mean": [0.0, 0.0, 0.0]}),
    ],
)
def test_pixels_are_prepared_as_there(path, value, settings):
    config = translate_model(_changed(path, value), "coco")["config"]["preprocess"]["config"]
    assert settings.items() <= config.items()


def test_shifting_in_flip_tests_is_a_setting_of_the_codec():
    config = translate_model(_changed("test_cfg.shift_heatmap", False), "coco")
    assert config["config"]["head"]["config"]["codec"]["config"]["shift_flipped"] is False


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("type", "EDPose", "only models of the types TopdownPoseEstimator"),
        ("backbone.type", "NoSuchNet", "backbone: MMPose's NoSuchNet has no counterpart here"),
        ("backbone.in_channels", 1, "ResNet with in_channels=1 has no counterpart here"),
        ("backbone.plugins", [], "ResNet has a setting 'plugins' that is not known here"),
        ("head.loss.reduction", "sum", "KeypointMSELoss has a setting 'reduction' that"),
    ],
)
def test_what_has_no_counterpart_is_refused(path, value, message):
    with pytest.raises(ValueError, match=message):
        translate_model(_changed(path, value), "coco")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("backbone.init_cfg", {"type": "Pretrained", "checkpoint": "x"}),
        ("backbone.norm_eval", True),
        ("head.loss.use_target_weight", False),
        ("head.final_layer", {"kernel_size": 1}),
        ("backbone.frozen_stages", 1),
    ],
)
def test_what_only_training_or_loading_reads_changes_nothing(path, value):
    assert translate_model(_changed(path, value), "coco") == translate_model(MODEL, "coco")


def test_a_misspelt_type_is_answered_with_the_nearest():
    with pytest.raises(ValueError, match=r"MMPose's Resnet has no counterpart here; the nearest"):
        translate_model(_changed("backbone.type", "Resnet"), "coco")


def test_keypoints_that_predictions_keep_come_from_the_test_settings(weights):
    config = _changed("test_cfg.output_keypoint_indices", [5, 6, 0])
    estimator = keras_pose.from_mmpose(config, weights)
    assert estimator.output_skeleton.keypoints == ("left_shoulder", "right_shoulder", "nose")
    images = np.zeros((2, 48, 32, 3), "uint8")
    whole = keras_pose.from_mmpose(MODEL, weights).predict_on_batch(images)
    kept = estimator.predict_on_batch(images)
    np.testing.assert_array_equal(kept["keypoints"], whole["keypoints"][:, :, [5, 6, 0]])
    np.testing.assert_array_equal(kept["scores"], whole["scores"][:, :, [5, 6, 0]])
    again = keras_pose.TopdownEstimator.from_config(estimator.get_config())
    assert again.output_skeleton == estimator.output_skeleton


def test_a_config_file_says_all_that_is_needed(weights, tmp_path):
    (tmp_path / "my_config.py").write_text(f"model = {MODEL!r}\n", "utf-8")
    np.savez(tmp_path / "a.npz", **weights)
    estimator = keras_pose.from_mmpose(tmp_path / "my_config.py", tmp_path / "a.npz")
    assert (estimator.udp, estimator.box_padding) == (False, 1.25)
    assert estimator.skeleton.name == "coco"
    wide = keras_pose.from_mmpose(tmp_path / "my_config.py", weights, box_padding=1.5)
    assert wide.box_padding == 1.5


def test_an_unknown_config_is_refused(weights):
    with pytest.raises(ValueError, match="there is no config my_config, neither a file nor"):
        keras_pose.from_mmpose("my_config", weights)
