"""Damaged files of films and hands: a clear error or a correct read, never anything else."""

import copy
import json
import random
import runpy
from pathlib import Path

import numpy as np
import pytest

from keras_pose.datasets import KeypointDataset, load

ROUNDS = 100
RAW = "golden/datasets/raw"
mutate = runpy.run_path(str(Path(__file__).parent / "test_fuzz.py"))["mutate"]


def interhand(raw):
    folder = raw / "interhand2.6m"
    names = {"annotations": "data", "cameras": "camera", "joints": "joint_3d"}
    data = {
        key: json.loads((folder / f"test_interhand2.6m_{name}.json").read_text())
        for key, name in names.items()
    }
    data["root_depths"] = [
        {"annot_id": annotation["id"], "bbox": [1, 2, 30, 40], "abs_depth": [1000, 900]}
        for annotation in data["annotations"]["annotations"]
    ]
    return data, lambda data: load("interhand3d", images=folder, **data)


def ubody3d(raw):
    data = {"annotations": json.loads((raw / "ubody3d/ubody3d_train.json").read_text())}
    return data, lambda data: load("ubody3d", images=raw, **data)


def posetrack18_video(raw):
    file = raw / "posetrack18/annotations/test_posetrack18_val.json"
    data = {"annotations": json.loads(file.read_text())}
    return data, lambda data: load("posetrack18_video", images=raw / "posetrack18", **data)


def h36m(raw):
    cameras = json.loads((raw / "h36m/cameras.json").read_text())
    used = ("S1|54138969", "S5|54138969", "S7|55011271", "S8|55011271")
    data = {"cameras": {key: cameras[key] for key in used}}
    return data, lambda data: load("h36m", raw / "h36m/test_h36m_body3d.npz", raw, **data)


def h3wb(raw):
    with np.load(raw / "h3wb/h3wb_converted.npz") as npz:
        arrays = dict(npz)
    data = {"train_data": {}, "metadata": {}, "bbox": {}}
    for key, value in arrays.items():
        *path, last = key.split("|")
        place = data
        for part in path:
            place = place.setdefault(part, {})
        place[last] = value
    sides = dict(x_min=1, y_min=2, x_max=3, y_max=4)
    data["bbox"][("S5", "Directions 1", "60457274", 2190)] = sides
    return {"annotations": data}, lambda data: load("h3wb", images=raw, **data)


@pytest.mark.parametrize("format_", [interhand, ubody3d, posetrack18_video, h36m, h3wb])
def test_damaged_real_files(format_, shared):
    whole, read = format_(shared / RAW)
    draw = random.Random(format_.__name__)
    assert len(read(copy.deepcopy(whole))) >= 1
    for _ in range(ROUNDS):
        data = copy.deepcopy(whole)
        key = draw.choice(list(data))
        if not isinstance(data[key], dict | list):
            continue
        mutate(data[key], draw)
        try:
            dataset = read(data)
        except (ValueError, FileNotFoundError) as error:
            message = str(error)
            assert len(message.split()) >= 4 and "\n" not in message, message
            assert "<class" not in message and "numpy" not in message, message
            continue
        if isinstance(dataset, KeypointDataset):
            assert (dataset.boxes[:, 2:] > dataset.boxes[:, :2]).all()
        elif len(dataset):
            inputs, _ = dataset.batch(np.arange(len(dataset)))
            assert np.isfinite(inputs).all()
