"""Damaged label files: one clear error or a correct read, whatever is wrong with them."""

import json
import random
import re

import numpy as np
import pytest

from keras_pose.datasets import KeypointDataset, import_dataset

# Places where a mutation says more than a random byte does.
_WORDS = (
    *("nan", "inf", "-1", "1e309", "99999999999999999999", "0", "2.5", "null", "true", "[]", "{}"),
    *('""', "", ",", ";", "<", "/>", "[", "}", ":", "\x00", "\ufffd", "é", "a.png", "nose", "-"),
)
TEXTS = {
    "deeplabcut": ["labeled-data/clip/CollectedData_me.csv", "config.yaml"],
    "lightning_pose": ["CollectedData.csv"],
    "yolo": ["mice.yaml", "labels/train/a.txt"],
    "cvat": ["annotations.xml"],
    "label_studio": ["export.json"],
    "dlib": ["mice.xml"],
    "coco": ["annotations/mice.json"],
}
BINARIES = {"deeplabcut_h5": "CollectedData_me.h5", "sleap": "mice.pkg.slp", "mpii": "mpii.mat"}
COUNT = 60


def _mutated(text: str, draw: random.Random) -> str:
    kind = draw.randrange(6)
    at = draw.randrange(len(text))
    if kind == 0:
        return text[:at]
    if kind == 1:  # a number or a word becomes something else
        tokens = list(re.finditer(r"[A-Za-z_]+|-?\d+(\.\d+)?", text))
        if not tokens:
            return text
        token = draw.choice(tokens)
        return text[: token.start()] + draw.choice(_WORDS) + text[token.end() :]
    if kind == 2:  # a piece is lost
        return text[:at] + text[at + draw.randrange(1, 40) :]
    if kind == 3:  # a piece comes twice
        return text[:at] + text[at : at + draw.randrange(1, 60)] + text[at:]
    if kind == 4:
        return text[:at] + draw.choice(_WORDS) + text[at:]
    lines = text.splitlines(keepends=True)
    draw.shuffle(lines)
    return "".join(lines)


def _check(path, folder, name):
    """Imports; an error must be one of the announced ones, a result must be sound."""
    try:
        imported = import_dataset(path, images=folder)
    except (ValueError, OSError) as error:
        text = str(error)
        assert text and "\n" not in text.strip() and len(text) < 1000, text
        return False
    coco = imported.coco
    json.dumps(coco, allow_nan=False)
    sizes = {image["id"]: (image["width"], image["height"]) for image in coco["images"]}
    counts = {entry["id"]: len(entry["keypoints"]) for entry in coco["categories"]}
    for row in coco["annotations"]:
        x, y, width, height = row["bbox"]
        wide, high = sizes[row["image_id"]]
        assert width >= 0 and height >= 0 and x >= 0 and y >= 0
        assert x + width <= wide + 1e-3 and y + height <= high + 1e-3
        points = np.array(row["keypoints"], float).reshape(counts[row["category_id"]], 3)
        assert np.isfinite(points).all() and set(points[:, 2]) <= {0, 1, 2}
        assert row["num_keypoints"] == (points[:, 2] > 0).sum()
    for category in imported.skeletons:
        assert isinstance(imported.dataset(category), KeypointDataset)
    return True


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", TEXTS)
def test_texts(sources, tmp_path, name):
    path = sources.SOURCES[name][0](tmp_path)
    read = 0
    for file in TEXTS[name]:
        original = (tmp_path / file).read_text()
        for seed in range(COUNT):
            draw = random.Random(f"{name} {file} {seed}")
            text = original
            for _ in range(draw.choice((1, 1, 2, 5))):
                text = _mutated(text, draw) or original
            (tmp_path / file).write_bytes(text.encode("utf-8", "surrogatepass"))
            read += _check(path, tmp_path, f"{file} {seed}")
        (tmp_path / file).write_text(original)
    assert _check(path, tmp_path, "as it was")
    assert 0 < read < COUNT * len(TEXTS[name])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", BINARIES)
def test_binaries(sources, tmp_path, name):
    make = sources.SOURCES[name][0] if name in sources.SOURCES else sources.mpii
    path = make(tmp_path)
    original = path.read_bytes()
    # A .mat file is read by a process of its own, as wrong bytes can crash SciPy.
    for seed in range(12 if name == "mpii" else COUNT):
        draw = random.Random(f"{name} {seed}")
        data = bytearray(original)
        if seed % 3 == 0:
            data = data[: draw.randrange(len(data))]
        for _ in range(draw.choice((1, 4, 30))):
            if data:
                data[draw.randrange(len(data))] = draw.randrange(256)
        path.write_bytes(bytes(data))
        _check(path, tmp_path, seed)
    path.write_bytes(original)
    assert _check(path, tmp_path, "as it was")


@pytest.mark.filterwarnings("ignore")
def test_slp_tables(sources, tmp_path):
    """What a byte seldom hits: the JSON texts and tables inside."""
    import h5py

    path = sources.sleap(tmp_path)
    original = path.read_bytes()
    for seed in range(COUNT):
        draw = random.Random(f"slp {seed}")
        path.write_bytes(original)
        with h5py.File(path, "r+") as file:
            if draw.random() < 0.5:
                texts = str(file["metadata"].attrs["json"].astype(str))
                file["metadata"].attrs["json"] = np.bytes_(_mutated(texts, draw).encode())
            else:
                table = draw.choice([t for t in ("points", "instances", "frames") if len(file[t])])
                rows = file[table][:]
                field = draw.choice(rows.dtype.names)
                rows[field][draw.randrange(len(rows))] = draw.choice((0, 1, 77))
                file[table][:] = rows
        _check(path, tmp_path, seed)
