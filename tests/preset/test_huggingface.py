"""ViTPose in Hugging Face's layout. What needs transformers stands at the end."""

import json

import keras
import numpy as np
import pytest

import keras_pose
from keras_pose.backbones import ResNet, VisionTransformer
from keras_pose.checkpoints.huggingface import our_arrays, vitpose_arrays
from keras_pose.codecs import UDPHeatmap
from keras_pose.heads import HeatmapHead
from keras_pose.layers.naming import load_state_dict, state_dict
from keras_pose.necks import FeatureMapProcessor
from keras_pose.preset.huggingface import (
    from_huggingface,
    is_huggingface,
    save_to_huggingface,
)

pytest.importorskip("safetensors", reason="the weights are safetensors")

SIZE = (32, 48)
ARCH = {"embed_dims": 16, "num_layers": 2, "num_heads": 2, "feedforward_channels": 32}
EXPERTS = {"num_experts": 3, "expert_channels": 4, "dataset_index": 2}
POINTS = keras_pose.Skeleton("points", ["L_Eye", "R_Eye", "tail"], links=[(0, 1), (1, 2)])


def vitpose(simple=True, backbone=None, neck=None, head=None, skeleton=POINTS, **settings):
    """A tiny ViTPose of ours with weights that are not small."""
    backbone = backbone or VisionTransformer(ARCH, SIZE[::-1], **settings)
    codec = UDPHeatmap(SIZE, (8, 12))
    if simple:
        neck = neck or FeatureMapProcessor(scale_factor=4.0, apply_relu=True)
        head = head or {"deconv_filters": (), "deconv_kernels": (), "final_kernel": 3}
    else:
        head = head or {"deconv_filters": (256, 256), "deconv_kernels": (4, 4)}
    head = HeatmapHead(skeleton.num_keypoints, codec, **head)
    estimator = keras_pose.TopdownEstimator(
        backbone, head, neck=neck, skeleton=skeleton, input_size=SIZE, udp=True
    )
    random = np.random.default_rng(0)
    arrays = {
        name: random.uniform(0.5, 1.5, value.shape)
        if name.endswith("running_var")
        else random.normal(0, 0.3, value.shape)
        for name, value in state_dict(estimator).items()
    }
    load_state_dict(estimator, arrays)
    return estimator


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(1).integers(0, 256, (2, SIZE[1], SIZE[0], 3), dtype=np.uint8)


def test_a_folder_is_a_handle_of_from_preset(tmp_path, images):
    estimator = vitpose()
    save_to_huggingface(estimator, tmp_path / "vitpose")
    again = keras_pose.TopdownEstimator.from_preset(tmp_path / "vitpose", box_padding=1.0)
    np.testing.assert_allclose(heatmaps(again, images), heatmaps(estimator, images), atol=1e-5)
    assert again.box_padding == 1.0
    mouse = keras_pose.Skeleton("mouse", ["snout", "tail"])
    tuned = keras_pose.TopdownEstimator.from_preset(tmp_path / "vitpose", skeleton=mouse)
    assert heatmaps(tuned, images).shape[-1] == 2
    new = keras_pose.TopdownEstimator.from_preset(tmp_path / "vitpose", load_weights=False)
    assert np.abs(heatmaps(new, images) - heatmaps(estimator, images)).max() > 1e-3


def heatmaps(estimator, images):
    return keras.ops.convert_to_numpy(estimator(images)["heatmaps"])


KINDS = {
    "simple": {},
    "classic": {"simple": False},
    "experts": EXPERTS,
    "no_bias": {"qkv_bias": False},
}
every_kind = pytest.mark.parametrize("kind", KINDS)


@every_kind
def test_what_was_saved_is_read_again(kind, images, tmp_path):
    estimator = vitpose(**KINDS[kind])
    folder = save_to_huggingface(estimator, tmp_path / "model")
    assert is_huggingface(folder)
    copy = from_huggingface(
        folder, dataset_index=EXPERTS["dataset_index"] if kind == "experts" else 0
    )
    np.testing.assert_array_equal(heatmaps(copy, images), heatmaps(estimator, images))
    arrays = state_dict(estimator)
    assert state_dict(copy).keys() == arrays.keys()
    for name, value in state_dict(copy).items():
        np.testing.assert_array_equal(value, arrays[name])
    assert copy.skeleton.keypoints == POINTS.keypoints
    np.testing.assert_array_equal(copy.skeleton.links, POINTS.links)
    np.testing.assert_array_equal(copy.skeleton.flip_indices, [1, 0, 2])
    np.testing.assert_allclose(copy.preprocess.mean, estimator.preprocess.mean)
    np.testing.assert_allclose(copy.preprocess.std, estimator.preprocess.std)
    assert (copy.udp, copy.box_padding, copy.input_size) == (True, 1.25, SIZE)


def test_labels_of_coco_mean_its_skeleton(tmp_path):
    coco = keras_pose.Skeleton.load("coco")
    names = [n.replace("left_", "L_").replace("right_", "R_").title() for n in coco.keypoints]
    estimator = vitpose(skeleton=keras_pose.Skeleton("theirs", names))
    assert estimator.skeleton != coco
    assert from_huggingface(save_to_huggingface(estimator, tmp_path)).skeleton == coco


def test_the_position_of_the_class_token_is_added_to_all_others():
    positions = np.random.default_rng(0).normal(size=(1, 5, 2))
    ours = our_arrays({"backbone.embeddings.position_embeddings": positions})
    np.testing.assert_allclose(
        ours["backbone.pos_embed"], positions[:, 1:] + positions[:, :1], rtol=1e-12
    )


def test_experts_of_early_versions_are_found():
    stem = "backbone.encoder.layer.3.mlp.experts"
    arrays = {f"{stem}.experts.1.bias": np.zeros(2)}
    assert set(our_arrays(arrays)) == {"backbone.layers.3.ffn.experts.1.bias"}
    assert set(vitpose_arrays(our_arrays(arrays))) == {f"{stem}.1.bias"}


def test_weights_may_lie_in_several_files(images, tmp_path):
    from safetensors.numpy import load_file, save_file

    estimator = vitpose()
    folder = save_to_huggingface(estimator, tmp_path)
    arrays = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(arrays)
    parts = {"a.safetensors": names[::2], "b.safetensors": names[1::2]}
    for file, part in parts.items():
        save_file({name: arrays[name] for name in part}, folder / file)
    where = {name: file for file, part in parts.items() for name in part}
    index = {"weight_map": where}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), "utf-8")
    copy = from_huggingface(folder)
    np.testing.assert_array_equal(heatmaps(copy, images), heatmaps(estimator, images))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "vit"}, "only models of the type \"vitpose\" can be translated, got 'vit'"),
        ({"backbone_config": None}, 'backbone_config must describe a "vitpose_backbone"'),
        ({"hidden_act": "relu"}, "a ViTPose with hidden_act='relu' has no counterpart"),
        ({"out_indices": [1]}, r"a ViTPose with out_indices=\[1\] has no counterpart"),
        ({"out_features": ["stage1"]}, "with out_features=.* has no counterpart"),
        ({"patch_size": [16, 8]}, "with patch_size=.* has no counterpart"),
        ({"num_hidden_layers": 1, "out_indices": [1], "out_features": None}, "12 unused"),
    ],
)
def test_what_does_not_fit_is_refused(change, message, tmp_path):
    path = save_to_huggingface(vitpose(), tmp_path) / "config.json"
    config = json.loads(path.read_text("utf-8"))
    for key, value in change.items():
        place = config if key in config else config["backbone_config"]
        place[key] = value
    path.write_text(json.dumps(config), "utf-8")
    with pytest.raises(ValueError, match=message):
        from_huggingface(tmp_path)


def test_a_dataset_index_without_experts_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no experts to choose by dataset_index 1"):
        from_huggingface(save_to_huggingface(vitpose(), tmp_path), dataset_index=1)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"config\.json"):
        from_huggingface(tmp_path)
    assert not is_huggingface(tmp_path)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"backbone": ResNet(18, (2,), base_channels=4)},
            "layout holds a VisionTransformer, not a ResNet",
        ),
        ({"patch_padding": 0}, "cannot hold this backbone"),
        ({"out_indices": (0, 1)}, "cannot hold this backbone"),
        ({"neck": FeatureMapProcessor(scale_factor=4.0)}, "cannot hold this neck"),
        (
            {"simple": False, "head": {"deconv_filters": (8, 8), "deconv_kernels": (4, 4)}},
            "cannot hold this head",
        ),
    ],
)
def test_what_the_layout_cannot_hold_is_refused(settings, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        save_to_huggingface(vitpose(**settings), tmp_path / "model")
    assert not (tmp_path / "model").exists()


def transformers_model(**settings):
    """transformers' own model with weights that are not small."""
    transformers = pytest.importorskip("transformers", reason="it is what we compare with")
    import torch

    backbone = {
        "image_size": SIZE[::-1],
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "mlp_ratio": 2,
        "out_indices": [2],
        **settings.pop("backbone", {}),
    }
    config = transformers.VitPoseConfig(
        backbone_config=transformers.VitPoseBackboneConfig(**backbone), num_labels=3, **settings
    )
    model = transformers.VitPoseForPoseEstimation(config).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if value.is_floating_point():
                value.normal_(0, 0.3, generator=generator)
            if name.endswith("running_var"):
                value.abs_().add_(0.5)
    return model


def their_heatmaps(model, images, dataset_index=None):
    import torch

    mean, std = np.float32([123.675, 116.28, 103.53]), np.float32([58.395, 57.12, 57.375])
    pixels = torch.from_numpy(((images - mean) / std).transpose(0, 3, 1, 2))
    index = None if dataset_index is None else torch.tensor([dataset_index] * len(images))
    with torch.no_grad():
        maps = model(pixels, dataset_index=index).heatmaps
    return maps.numpy().transpose(0, 2, 3, 1)


THEIRS = {
    "simple": {},
    "classic": {"use_simple_decoder": False},
    "twice_as_large": {"scale_factor": 2},
    "experts": {"backbone": {"num_experts": 3, "part_features": 4}, "use_simple_decoder": False},
    "no_bias": {"backbone": {"qkv_bias": False}},
}


@pytest.mark.parametrize("kind", THEIRS)
def test_heatmaps_are_those_of_transformers(kind, images, tmp_path):
    model = transformers_model(**THEIRS[kind])
    model.save_pretrained(tmp_path)
    for index in (0, 2) if kind == "experts" else (None,):
        estimator = from_huggingface(tmp_path, dataset_index=index or 0)
        expected = their_heatmaps(model, images, index)
        actual = heatmaps(estimator, images)
        assert actual.shape == expected.shape
        np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-4 * expected.std())


@every_kind
def test_transformers_reads_what_we_save(kind, images, tmp_path):
    transformers = pytest.importorskip("transformers", reason="it is what we compare with")
    estimator = vitpose(**KINDS[kind])
    folder = save_to_huggingface(estimator, tmp_path)
    model, report = transformers.VitPoseForPoseEstimation.from_pretrained(
        folder, output_loading_info=True
    )
    assert not any(report[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    expected = heatmaps(estimator, images)
    index = EXPERTS["dataset_index"] if kind == "experts" else None
    actual = their_heatmaps(model.eval(), images, index)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-4 * expected.std())
    assert model.config.id2label == dict(enumerate(POINTS.keypoints))


def test_transformers_reads_our_image_processor(tmp_path):
    transformers = pytest.importorskip("transformers", reason="it is what we compare with")
    folder = save_to_huggingface(vitpose(), tmp_path)
    settings, _ = transformers.VitPoseImageProcessor.get_image_processor_dict(folder)
    assert settings["size"] == {"height": SIZE[1], "width": SIZE[0]}
    np.testing.assert_allclose(settings["image_mean"], [0.485, 0.456, 0.406])


def test_a_model_of_theirs_learns_and_is_theirs_again(images, tmp_path):
    transformers = pytest.importorskip("transformers", reason="it is what we compare with")
    transformers_model().save_pretrained(tmp_path / "before")
    estimator = from_huggingface(tmp_path / "before")
    labels = {
        "keypoints": np.random.default_rng(2).uniform(4, 28, (2, 1, 3, 2)).astype("f4"),
        "visible": np.ones((2, 1, 3), "f4"),
    }
    before = heatmaps(estimator, images)
    estimator.compile(optimizer="adam")
    estimator.fit(images, labels, batch_size=2, verbose=0)
    after = heatmaps(estimator, images)
    assert np.abs(after - before).max() > 1e-3
    folder = save_to_huggingface(estimator, tmp_path / "after")
    model = transformers.VitPoseForPoseEstimation.from_pretrained(folder).eval()
    np.testing.assert_allclose(
        their_heatmaps(model, images), after, rtol=0, atol=1e-4 * after.std()
    )
