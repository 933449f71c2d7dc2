"""Published checkpoints by name: downloaded, converted and cached once."""

import errno
import logging
import os
import shutil

import numpy as np
import pytest

import keras_pose
from keras_pose.cli import main
from keras_pose.layers.naming import state_dict
from keras_pose.preset import conversion, folders, is_local, read_metadata

NAME = "small_coco_48x32"
CONFIG = "td-hm_small_8xb64-210e_coco-48x32"


def _is_the_published_one(estimator, state):
    for name, array in state_dict(estimator).items():
        np.testing.assert_array_equal(array, state[name.replace("head.", "keypoint_head.", 1)])


def test_a_published_model_is_loaded_by_name_once(published, state, cache, caplog):
    for handle in (NAME, CONFIG):
        estimator = keras_pose.TopdownEstimator.from_preset(handle)
        _is_the_published_one(estimator, state)
        assert estimator.box_padding == 1.5 and estimator.udp is True
        assert estimator.input_size == (32, 48)
    assert len(published.requests) == 1
    assert [path.name for path in (cache / "presets").iterdir()] == [NAME]
    assert list((cache / "checkpoints").iterdir()) == []


def test_the_licence_is_said(published, caplog):
    with caplog.at_level(logging.WARNING, "keras_pose"):
        keras_pose.TopdownEstimator.from_preset(NAME)
    said = [record.message for record in caplog.records]
    assert said == [
        f"{NAME}: licence of the weights: unknown (MMPose's code is Apache-2.0); trained on COCO, "
        "Mine (COCO: some terms)"
    ]


def test_a_missing_hash_is_said(published, caplog):
    published.publish(hashes=())
    with caplog.at_level(logging.WARNING, "keras_pose"):
        keras_pose.TopdownEstimator.from_preset(NAME)
    assert "the file's hash is not published, so not checked" in caplog.text


def test_new_weights_need_no_network(published, state):
    estimator = keras_pose.TopdownEstimator.from_preset(NAME, load_weights=False, box_padding=1.0)
    assert published.requests == [] and estimator.box_padding == 1.0
    kernel = state_dict(estimator)["backbone.conv1.weight"]
    assert kernel.std() > 0 and not np.array_equal(kernel, state["backbone.conv1.weight"])


def test_the_backbone_is_kept_for_other_keypoints(published, state):
    fine_tuned = keras_pose.TopdownEstimator.from_preset(NAME, num_keypoints=3)
    arrays = state_dict(fine_tuned)
    assert fine_tuned.skeleton.num_keypoints == 3
    assert arrays["head.final_layer.weight"].shape[0] == 3
    name = "backbone.layer1.0.conv1.weight"
    np.testing.assert_array_equal(arrays[name], state[name])
    other = keras_pose.TopdownEstimator.from_preset(NAME, skeleton="mpii", num_keypoints=16)
    assert other.skeleton.name == "mpii"
    with pytest.raises(ValueError, match="num_keypoints is 5, the skeleton 'mpii' has 16"):
        keras_pose.TopdownEstimator.from_preset(NAME, skeleton="mpii", num_keypoints=5)
    with pytest.raises(ValueError, match="must be a positive int, got 0"):
        keras_pose.TopdownEstimator.from_preset(NAME, num_keypoints=0)


def test_the_facts_are_there_before_and_after(published):
    before = read_metadata(NAME)
    assert before["mmpose_config"] == CONFIG and not is_local(NAME)
    keras_pose.TopdownEstimator.from_preset(NAME)
    after = read_metadata(NAME)
    assert is_local(NAME) and after["weights"]["sha256"]
    assert before.items() <= after.items()


def test_a_file_put_there_by_hand_is_used_and_kept(published, checkpoint, cache, state):
    place = conversion.checkpoint_place(published.row)
    place.parent.mkdir(parents=True)
    place.write_bytes(checkpoint)
    _is_the_published_one(keras_pose.TopdownEstimator.from_preset(NAME), state)
    assert published.requests == [] and place.is_file()


def test_a_folder_may_be_the_mirror(published, checkpoint, tmp_path, monkeypatch, state):
    monkeypatch.setenv("KERAS_POSE_MIRROR", str(tmp_path))
    (tmp_path / "small.pth").write_bytes(checkpoint)
    _is_the_published_one(keras_pose.TopdownEstimator.from_preset(NAME), state)
    assert published.requests == [] and (tmp_path / "small.pth").is_file()


def test_a_damaged_mirror_is_named_and_left_alone(published, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_POSE_MIRROR", str(tmp_path))
    (tmp_path / "small.pth").write_bytes(b"x")
    with pytest.raises(ValueError, match=r"small\.pth is damaged or another file: its SHA-256"):
        keras_pose.TopdownEstimator.from_preset(NAME)
    assert (tmp_path / "small.pth").is_file()


def test_an_address_may_be_the_mirror(published, serve, checkpoint, monkeypatch):
    mirror = serve(checkpoint)
    monkeypatch.setenv("KERAS_POSE_MIRROR", f"{mirror.address}/models/")
    keras_pose.TopdownEstimator.from_preset(NAME)
    assert mirror.requests == [("/models/small.pth", None)] and published.requests == []


def test_a_wrong_file_leaves_an_empty_cache(published, cache):
    published.content = b"a lie"
    with pytest.raises(OSError, match="the file was removed"):
        keras_pose.TopdownEstimator.from_preset(NAME)
    assert [path for path in cache.rglob("*") if path.is_file()] == []


def test_a_web_page_in_place_of_a_file_without_a_hash_is_removed(published, cache):
    published.publish(hashes=())
    published.content = b"<!DOCTYPE html><html>Not found</html>"
    with pytest.raises(ValueError, match="it is a web page"):
        keras_pose.TopdownEstimator.from_preset(NAME)
    assert [path for path in cache.rglob("*") if path.is_file()] == []


def test_a_full_disk_leaves_no_half_preset(published, cache, monkeypatch):
    def full(*arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(folders, "file_hash", full)
    with pytest.raises(OSError, match="the disk is full: small_coco_48x32 does not fit into"):
        keras_pose.TopdownEstimator.from_preset(NAME)
    assert list((cache / "presets").iterdir()) == []
    monkeypatch.undo()


def test_a_preset_of_an_older_version_is_made_again(published, monkeypatch):
    keras_pose.TopdownEstimator.from_preset(NAME)
    monkeypatch.setattr(conversion, "_VERSION", 1000)
    assert not is_local(NAME)
    keras_pose.TopdownEstimator.from_preset(NAME)
    assert is_local(NAME) and len(published.requests) == 2


def test_weights_of_another_architecture_are_told(published, state):
    row = keras_pose.preset.zoo.row("resnet50_coco_256x192")
    with pytest.raises(ValueError, match=r"220 missing: .* more have another shape;") as error:
        conversion.build(state_dict=state, **row.settings())
    assert "looks like no published architecture" in str(error.value)


def test_the_nearest_published_architecture_is_named(published, shared):
    import json
    import lzma

    with lzma.open(shared / "zoo/state_dicts.json.xz") as file:
        layouts = json.load(file)
    layout = next(
        layout
        for layout in layouts.values()
        if any(name == "backbone.stage4.2.fuse_layers.0.1.0.weight" for name, *_ in layout)
    )
    arrays = {name: np.zeros(shape, "f4") for name, shape, _ in layout}
    with pytest.raises(ValueError, match='looks like the architecture of "hrnet'):
        conversion.build(state_dict=arrays, **published.row.settings())


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "mirror"


def test_the_command_fills_a_folder(published, checkpoint, folder, capsys):
    assert main(["mirror", str(folder), NAME]) == 0
    assert [path.name for path in folder.iterdir()] == ["small.pth"]
    assert (folder / "small.pth").read_bytes() == checkpoint
    assert capsys.readouterr().out == f"{folder / 'small.pth'} (1 of 1)\n"
    assert main(["mirror", str(folder), NAME]) == 0
    assert len(published.requests) == 1


def test_the_command_says_what_failed(published, folder, capsys):
    published.content = b"a lie"
    assert main(["mirror", str(folder), NAME]) == 2
    assert "the file was removed" in capsys.readouterr().err
    assert list(folder.iterdir()) == []


def test_the_command_wants_to_know_what(folder, capsys):
    assert main(["mirror", str(folder)]) == 2
    assert "name presets, give a filter" in capsys.readouterr().err


def test_the_command_fills_a_repository(published, checkpoint, monkeypatch, capsys):
    import sys
    import types

    files = {}

    class HfApi:
        def create_repo(self, repository, exist_ok):
            assert exist_ok

        def file_exists(self, repository, file):
            return (repository, file) in files

        def upload_file(self, path_or_fileobj, path_in_repo, repo_id):
            files[repo_id, path_in_repo] = path_or_fileobj.read_bytes()

    monkeypatch.setitem(sys.modules, "huggingface_hub", types.SimpleNamespace(HfApi=HfApi))
    for _ in range(2):
        assert main(["mirror", "hf://me/poses", NAME]) == 0
    assert files == {("me/poses", "small.pth"): checkpoint} and len(published.requests) == 1
    assert "hf://me/poses/small.pth" in capsys.readouterr().out


def test_a_checkpoint_is_converted_by_command(published, checkpoint, tmp_path, state, capsys):
    (tmp_path / "own.pth").write_bytes(checkpoint)
    arguments = [NAME, str(tmp_path / "own.pth"), str(tmp_path / "out")]
    assert main(["convert", *arguments, "--licence", "mine"]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'out'}\n"
    _is_the_published_one(keras_pose.TopdownEstimator.from_preset(tmp_path / "out"), state)
    facts = read_metadata(tmp_path / "out")
    assert facts["licence"] == "mine" and "metrics" not in facts
    shutil.rmtree(tmp_path / "out")
    assert main(["convert", "no_such_config", *arguments[1:]]) == 2
    assert "neither a file nor a published name" in capsys.readouterr().err
