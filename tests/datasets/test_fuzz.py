"""Damaged annotation files: a clear error or a correct read, never anything else."""

import copy
import json
import random
import warnings
from pathlib import Path

import numpy as np
import pytest

from keras_pose.datasets import KeypointDataset, load
from keras_pose.skeleton import Skeleton

ROUNDS = 60
SHARED = Path(__file__).resolve().parents[3] / "shared"
RAW = "golden/datasets/raw"
SAMPLES = "data/format_samples"

# catalog name -> (annotations, images) beside this checkout
FILES = {
    "coco": (f"{RAW}/coco/test_coco.json", f"{RAW}/coco"),
    "coco_wholebody": (f"{RAW}/coco/test_coco_wholebody.json", f"{RAW}/coco"),
    "coco_wholebody_hand": (f"{RAW}/coco/test_coco_wholebody.json", f"{RAW}/coco"),
    "mpii": (f"{SAMPLES}/mpii/test_mpii.json", f"{SAMPLES}/mpii"),
    "mpii_trb": (f"{RAW}/mpii/test_mpii_trb.json", f"{RAW}/mpii"),
    "crowdpose": (f"{RAW}/crowdpose/test_crowdpose.json", f"{RAW}/crowdpose"),
    "ochuman": (f"{RAW}/ochuman/test_ochuman.json", f"{RAW}/ochuman"),
    "jhmdb": (f"{RAW}/jhmdb/test_jhmdb_sub1.json", f"{RAW}/jhmdb"),
    "rhd2d": (f"{RAW}/rhd/test_rhd.json", f"{RAW}/rhd"),
    "wflw": (f"{RAW}/wflw/test_wflw.json", f"{RAW}/wflw"),
    "posetrack18": (
        f"{RAW}/posetrack18/annotations/test_posetrack18_val.json",
        f"{RAW}/posetrack18",
    ),
    "ap10k": (f"{RAW}/ap10k/test_ap10k.json", f"{RAW}/ap10k"),
    "humanart21": (f"{RAW}/humanart/test_humanart.json", f"{RAW}/humanart"),
    "macaque": (f"{SAMPLES}/macaque/test_macaque.json", f"{SAMPLES}/macaque"),
}

# What takes the place of a value: other types, other ranges, other sizes.
VALUES = (
    None,
    True,
    "",
    "seven",
    "\x00",
    0,
    -1,
    -3.5,
    0.5,
    1e30,
    1e300,
    -(10**30),
    10**400,
    2**63,
    float("nan"),
    float("inf"),
    [],
    {},
    [[]],
    [[], 1],
    [None],
    ["a", "b"],
    [[1, 2, 3]] * 3,
    {"size": [4, 4], "counts": "x"},
    {"id": 1},
    list(range(51)),
)


def made_up() -> dict:
    """A COCO file with what real ones have, so that the test also runs without any."""
    skeleton = Skeleton.load("coco")
    rng = np.random.default_rng(0)
    images = [{"id": i, "file_name": f"{i}.jpg", "width": 64, "height": 48} for i in (3, 5, 9)]
    annotations = []
    for number in range(1, 9):
        flat = np.column_stack([rng.uniform(1, 45, (17, 2)), rng.integers(0, 3, 17)]).ravel()
        outline = [[1.0, 1.0, 9.0, 1.0, 9.0, 9.0]]
        annotations.append(
            {
                "id": number,
                "image_id": (3, 5)[number % 2],
                "category_id": 1,
                "bbox": rng.uniform(1, 30, 4).tolist(),
                "keypoints": flat.tolist(),
                "num_keypoints": int((flat[2::3] > 0).sum()),
                "area": 99.5,
                "iscrowd": int(number == 4),
                "segmentation": {"size": [48, 64], "counts": [3072]} if number == 4 else outline,
            }
        )
    links = (skeleton.links + 1).tolist()
    category = {"id": 1, "name": "person", "keypoints": list(skeleton.keypoints), "skeleton": links}
    return {"images": images, "annotations": annotations, "categories": [category]}


def places(data) -> list[tuple]:
    """(container, key) of every value; of long lists of numbers only some."""
    found, waiting = [], [data]
    while waiting:
        container = waiting.pop()
        keys = list(container) if isinstance(container, dict) else range(len(container))
        if isinstance(container, list) and len(container) > 12:
            keys = (0, 1, 2, len(container) // 2, len(container) - 1)
        for key in keys:
            found.append((container, key))
            if isinstance(container[key], dict | list):
                waiting.append(container[key])
    return found


def mutate(data, draw: random.Random) -> None:
    """Changes one to three values of the file in place."""
    for _ in range(draw.choice((1, 1, 2, 3))):
        container, key = draw.choice(places(data))
        kind = draw.random()
        if kind < 0.6:
            container[key] = copy.deepcopy(draw.choice(VALUES))
        elif kind < 0.75:
            del container[key]
        elif isinstance(container, list):
            container.insert(key, copy.deepcopy(draw.choice(container)))
        else:
            container[draw.choice(("id", "bbox", "keypoints", "x"))] = container[key]
        if not data:
            return


def damage(text: bytes, draw: random.Random) -> bytes:
    """Cuts a file off, loses a part of it or flips a byte."""
    at = draw.randrange(len(text))
    return draw.choice(
        (
            text[:at],
            text[:at] + text[at + draw.randrange(1, 200) :],
            text[:at] + bytes([draw.randrange(256)]) + text[at + 1 :],
        )
    )


def read(name: str, source, images) -> None:
    """Reads and checks what comes out; ValueError and FileNotFoundError must be sentences."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)
            warnings.simplefilter("ignore", UserWarning)
            if name == "own":
                dataset = KeypointDataset.from_coco(source, images)
            else:
                dataset = load(name, source, images)
    except (ValueError, FileNotFoundError) as error:
        message = str(error)
        assert len(message.split()) >= 4, message
        assert "<class" not in message and "numpy" not in message, message
        return
    skeleton = dataset.skeleton.num_keypoints
    assert dataset.keypoints.shape == (len(dataset), skeleton, 2)
    assert np.isfinite(dataset.keypoints).all() and np.isfinite(dataset.boxes).all()
    assert (dataset.boxes[:, 2:] > dataset.boxes[:, :2]).all()
    assert ((dataset.visible >= 0) & (dataset.visible <= 1)).all()
    assert np.isfinite(dataset.areas).all() and (dataset.image_sizes > 0).all()
    assert sum(map(len, dataset.by_image())) == len(dataset)
    for entry in dataset.annotations["annotations"]:
        assert entry["image_id"] in dataset.images.ids


def fuzz(name: str, file: Path, images: Path, folder: Path, seed: int = 0) -> None:
    draw = random.Random(f"{name} {seed}")
    text = file.read_bytes()
    data = json.loads(text)
    target = folder / "damaged.json"
    for turn in range(ROUNDS):
        if turn % 5 == 4:
            target.write_bytes(damage(text, draw))
            read(name, target, images)
        else:
            mutated = copy.deepcopy(data)
            mutate(mutated, draw)
            read(name, mutated, images)


@pytest.mark.parametrize("name", FILES)
def test_damaged_real_files(name, shared, tmp_path):
    annotations, images = (shared / path for path in FILES[name])
    fuzz(name, annotations, images, tmp_path)


@pytest.mark.parametrize("name", ["own", "coco"])
def test_damaged_files(name, tmp_path):
    file = tmp_path / "whole.json"
    file.write_text(json.dumps(made_up()))
    read(name, file, tmp_path)
    for part in range(4):
        (tmp_path / str(part)).mkdir()
        fuzz(name, file, tmp_path, tmp_path / str(part), seed=part)


def test_damaged_detections(tmp_path):
    draw = random.Random(1)
    people = KeypointDataset.from_coco(made_up(), tmp_path)
    boxes = [
        {"image_id": 3, "category_id": 1, "bbox": [1, 2, 3 + i, 4], "score": i / 9}
        for i in range(9)
    ]
    file = tmp_path / "boxes.json"
    for _ in range(ROUNDS):
        mutated = copy.deepcopy(boxes)
        mutate(mutated, draw)
        file.write_bytes(damage(json.dumps(mutated).encode(), draw))
        for source in (mutated, file):
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", UserWarning)
                    found = people.with_detections(source)
            except (ValueError, FileNotFoundError) as error:
                assert len(str(error).split()) >= 4, error
            else:
                assert len(found) and np.isfinite(found.boxes).all()
