import json
import os
import resource
import shutil
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from keras_pose.datasets import KeypointDataset, PreparedShards, ShardSettings, prepare_shards

SETTINGS = ShardSettings(input_sizes=((48, 64),))
COLUMN = {"image_ids": ((), "int64")}


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_shards_hold_everything_that_the_data_set_has(people, shards):
    assert len(shards) == len(people) == 16 and len(shards.shards) == 3
    read = shards.dataset()
    for field in (*people.FIELDS,):
        np.testing.assert_array_equal(getattr(read, field), getattr(people, field), field)
    for name, values in people.extras.items():
        np.testing.assert_allclose(read.extras[name], values, rtol=1e-6)
    assert read.image_paths.tolist() == [path.rpartition("/")[2] for path in people.image_paths]
    assert shards.skeleton == people.skeleton and read.name == people.name


def test_objects_of_an_image_are_in_one_shard(people, shards):
    seen = [
        {int(record["image_ids"]) for record in shards.records(shards.folder, [shard], COLUMN)}
        for shard in shards.shards
    ]
    assert sum(len(each) for each in seen) == len(set.union(*seen)) == 8


def test_tensorflow_datasets_opens_them(shards):
    import tensorflow_datasets as tfds

    builder = tfds.builder_from_directory(shards.folder)
    assert builder.info.splits["train"].num_examples == 16
    example = next(iter(builder.as_dataset(split="train")))
    assert example["image"].shape[-1] == 3 and example["keypoints"].shape == (17, 2)


def test_the_same_again_writes_nothing(people, shards):
    before = files_of(shards)
    again = prepare_shards(people, shards.folder, SETTINGS, objects_per_shard=5)
    assert again.fingerprint == shards.fingerprint and files_of(shards) == before


def files_of(shards):
    return {
        name: os.stat(f"{shards.folder}/{name}").st_mtime_ns for name in os.listdir(shards.folder)
    }


def test_beam_writes_the_same_bytes(people, shards, tmp_path):
    pytest.importorskip("apache_beam", reason="needs keras-pose[scale]")
    prepare_shards(
        people, tmp_path / "b", SETTINGS, objects_per_shard=5, beam_runner="DirectRunner"
    )
    assert files(tmp_path / "b") == files(Path(shards.folder))


def test_other_settings_are_refused_unless_overwritten(people, tmp_path):
    prepare_shards(people, tmp_path / "s", SETTINGS)
    other = ShardSettings(input_sizes=((24, 32),))
    with pytest.raises(ValueError, match="holds shards of other data or settings"):
        prepare_shards(people, tmp_path / "s", other)
    assert prepare_shards(people, tmp_path / "s", other, overwrite=True).settings == other


def test_a_folder_with_other_files_is_left_alone(people, tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(ValueError, match=r"holds files that are no shards, such as thesis\.tex"):
        prepare_shards(people, tmp_path, SETTINGS, overwrite=True)


@pytest.mark.skipif(sys.platform != "linux", reason="limits the size of files as Linux does")
@pytest.mark.parametrize("limit", [100, 8_000])
def test_a_disk_that_fills_leaves_nothing(people, tmp_path, limit):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
        with pytest.raises(
            OSError, match=r"writing shards to .*/s failed, nothing is left"
        ) as error:
            prepare_shards(people, tmp_path / "s", SETTINGS, objects_per_shard=5)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "File too large" in str(error.value)
    assert not list(tmp_path.iterdir())


def test_an_index_that_cannot_be_written_leaves_nothing(people, tmp_path, monkeypatch):
    import tensorflow as tf

    def full(*_, **__):
        raise tf.errors.ResourceExhaustedError(None, None, "No space left on device")

    monkeypatch.setattr(tf.io.gfile, "rename", full)
    with pytest.raises(OSError, match="No space left"):
        prepare_shards(people, tmp_path / "s", SETTINGS)
    assert not list(tmp_path.iterdir())


def broken(shards, index, name, shard, tmp_path):
    """A copy of shards without its index, without a shard, or with a shard cut off."""
    folder = tmp_path / "s"
    shutil.copytree(shards.folder, folder)
    file = folder / shards.shards[1]["file"]
    if index:
        (folder / "keras_pose.json").unlink()
    if name:
        file.unlink()
    if shard:
        file.write_bytes(file.read_bytes()[:-10])
    return folder


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ((1, 0, 0), "not complete, the index keras_pose.json is missing"),
        ((0, 1, 0), "not complete, keypoint_crops-train.tfrecord-00001-of-00003 is missing"),
        ((0, 0, 1), "bytes, its index says"),
    ],
)
def test_half_a_folder_is_refused_and_written_again(people, shards, tmp_path, what, message):
    folder = broken(shards, *what, tmp_path)
    with pytest.raises(ValueError, match=message) as error:
        PreparedShards(folder)
    assert "run keras-pose prepare again" in str(error.value)
    again = prepare_shards(people, folder, SETTINGS, objects_per_shard=5)
    assert not again.damage() and len(again.dataset()) == 16


def test_the_rest_of_a_killed_run_goes(people, tmp_path):
    (tmp_path / "incomplete.A1B2C3_s").mkdir()
    (tmp_path / "incomplete.A1B2C3_s" / "half").touch()
    prepare_shards(people, tmp_path / "s", SETTINGS)
    assert [path.name for path in tmp_path.iterdir()] == ["s"]


@pytest.mark.parametrize("text", ["", "[]", "{", '{"format": 99}', '{"format": 1}'])
def test_an_index_that_is_none_is_refused(tmp_path, text):
    (tmp_path / "keras_pose.json").write_text(text)
    with pytest.raises(ValueError, match=r"keras_pose\.json is"):
        PreparedShards(tmp_path)


def test_no_shards_is_one_sentence(tmp_path):
    with pytest.raises(FileNotFoundError, match="make them with keras-pose prepare"):
        PreparedShards(tmp_path)


def photos(folder, count, damaged):
    for number in range(count):
        path = folder / f"{number}.png"
        cv2.imwrite(str(path), np.full((40, 50, 3), number, np.uint8))
        if number < damaged:
            path.write_bytes(path.read_bytes()[:40])
    return KeypointDataset(
        {"name": "dot", "keypoints": ["dot"]},
        [folder / f"{number}.png" for number in range(count)],
        np.arange(count),
        [(50, 40)] * count,
        [(5, 5, 30, 30)] * count,
        np.full((count, 1, 2), 10),
        np.ones((count, 1)),
        name="dots",
    )


def test_images_that_do_not_decode_are_left_out_and_named(tmp_path):
    dots = photos(tmp_path, 10, damaged=1)
    made = prepare_shards(dots, tmp_path / "s", SETTINGS, max_broken=0.1)
    assert len(made) == 9 and made.left_out == [str(tmp_path / "0.png")]
    assert json.loads((tmp_path / "s/keras_pose.json").read_text())["objects"] == 9


def test_too_many_of_them_stop_the_run(tmp_path):
    dots = photos(tmp_path, 10, damaged=2)
    with pytest.raises(ValueError, match=r"2 images with 2 of 10 objects do not decode, .*0\.png"):
        prepare_shards(dots, tmp_path / "s", SETTINGS, max_broken=0.1)
    assert not (tmp_path / "s").exists()


def test_images_of_another_size_are_errors(tmp_path):
    dots = photos(tmp_path, 3, damaged=0)
    cv2.imwrite(str(tmp_path / "1.png"), np.zeros((9, 9, 3), np.uint8))
    with pytest.raises(ValueError, match=r"1\.png has 9x9 pixels .* say 50x40"):
        prepare_shards(dots, tmp_path / "s", SETTINGS)


def test_an_empty_data_set_is_refused(people, tmp_path):
    with pytest.raises(ValueError, match="people is empty"):
        prepare_shards(people[:0], tmp_path / "s")


def test_columns_of_words_are_refused(people, tmp_path):
    people = people[:2]
    people.extras = {"place": np.array(["street", "park"])}
    with pytest.raises(ValueError, match="'place' must be numbers"):
        prepare_shards(people, tmp_path / "s")
