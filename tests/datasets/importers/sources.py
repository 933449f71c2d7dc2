"""One small scene in every format: two images of 40x30 with an animal of three keypoints each."""

import json
from pathlib import Path

import cv2
import numpy as np

SIZE = (40, 30)
NAMES = ("nose", "left_ear", "right_ear")
LINKS = ((0, 1), (0, 2))
# x, y and COCO's visibility; a hidden keypoint in the first image, one without label in the second.
POINTS = {
    "a.png": [(10, 12, 2), (8.5, 6, 1), (20, 5, 2)],
    "b.png": [(5, 5, 2), (12, 20, 2), (0, 0, 0)],
}
BOXES = {"a.png": (4, 2, 24, 18), "b.png": (1, 2, 16, 24)}  # xyxy


def images(folder: Path) -> None:
    """Writes the two pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    for i, name in enumerate(POINTS):
        picture = np.full((SIZE[1], SIZE[0], 3), 60 + 80 * i, np.uint8)
        assert cv2.imwrite(str(folder / name), picture)


def table(folder: str = "labeled-data/clip", empty: str = "") -> str:
    """The scene as a label table of DeepLabCut."""
    rows = [
        "scorer" + 6 * ",me",
        "bodyparts," + ",".join(name for name in NAMES for _ in "xy"),
        "coords" + 3 * ",x,y",
    ]
    for name, points in POINTS.items():
        cells = [f"{x},{y}" if v else f"{empty},{empty}" for x, y, v in points]
        rows.append(",".join([f"{folder}/{name}", *cells]))
    return "\n".join(rows) + "\n"


CONFIG = """
Task: mouse
scorer: me
bodyparts:
- nose
- left_ear
- right_ear
skeleton:
- - nose
  - left_ear
- - nose
  - right_ear
"""


def deeplabcut(root: Path) -> Path:
    clip = root / "labeled-data/clip"
    images(clip)
    (root / "config.yaml").write_text(CONFIG)
    (clip / "CollectedData_me.csv").write_text(table())
    return root


def lightning_pose(root: Path) -> Path:
    images(root / "labeled-data/clip")
    (root / "CollectedData.csv").write_text(table(empty="NaN"))
    return root / "CollectedData.csv"


def deeplabcut_h5(root: Path) -> Path:
    """As pandas writes a table in its fixed form, rows in three levels."""
    import h5py

    images(root / "labeled-data/clip")
    path = root / "CollectedData_me.h5"
    values = np.array([[c for x, y, v in p for c in ((x, y) if v else (np.nan, np.nan))]
                       for p in POINTS.values()])  # fmt: skip
    with h5py.File(path, "w") as file:
        group = file.create_group("df_with_missing")
        group.attrs["pandas_type"] = "frame"
        axes = {
            "axis0": [["me"] * 6, [n for n in NAMES for _ in "xy"], list("xy") * 3],
            "axis1": [["labeled-data"] * 2, ["clip"] * 2, list(POINTS)],
        }
        levels = {"axis0": ["scorer", "bodyparts", "coords"], "axis1": ["N.", "N.", "N."]}
        axes["block0_items"], levels["block0_items"] = axes["axis0"], levels["axis0"]
        for axis, entries in axes.items():
            group.attrs[f"{axis}_variety"] = "multi"
            group.attrs[f"{axis}_nlevels"] = 3
            for i, texts in enumerate(entries):
                known = sorted(set(texts))
                data = np.array([text.encode() for text in known])
                level = group.create_dataset(f"{axis}_level{i}", data=data)
                level.attrs["name"] = levels[axis][i]
                codes = [known.index(text) for text in texts]
                group.create_dataset(f"{axis}_label{i}", data=np.array(codes, np.int8))
        group.create_dataset("block0_values", data=values)
    return path


def sleap(root: Path) -> Path:
    """Frames are embedded; sleap-io writes the file."""
    import sleap_io

    images(root / "frames")
    video = sleap_io.Video.from_filename([str(root / "frames" / name) for name in POINTS])
    skeleton = sleap_io.Skeleton(nodes=list(NAMES), edges=list(LINKS), name="mouse")
    skeleton.add_symmetry("left_ear", "right_ear")
    frames = []
    for i, points in enumerate(POINTS.values()):
        xy = [(x, y) if v else (np.nan, np.nan) for x, y, v in points]
        animal = sleap_io.Instance.from_numpy(np.array(xy), skeleton)
        animal.points["visible"] = [v == 2 for _, _, v in points]
        guess = sleap_io.PredictedInstance.from_numpy(np.array(xy) + 1, skeleton=skeleton)
        frames.append(sleap_io.LabeledFrame(video, i, [animal, guess]))
    labels = sleap_io.Labels(frames, videos=[video], skeletons=[skeleton])
    path = root / "mice.pkg.slp"
    labels.save(str(path), embed="all", verbose=False)
    return path


def yolo(root: Path) -> Path:
    """Three numbers a keypoint, an image a split."""
    (root / "mice.yaml").write_text(
        "path: .\ntrain: images/train\nval: images/val\nkpt_shape: [3, 3]\n"
        "flip_idx: [0, 2, 1]\nnames:\n  0: mouse\n  1: rat\n"
        "kpt_names:\n  0: [nose, left_ear, right_ear]\n  1: [nose, left_ear, right_ear]\n"
    )
    images(root / "pictures")
    for split, (name, points) in zip(("train", "val"), POINTS.items(), strict=True):
        for kind in ("images", "labels"):
            (root / kind / split).mkdir(parents=True)
        (root / "pictures" / name).rename(root / "images" / split / name)
        x1, y1, x2, y2 = BOXES[name]
        box = [(x1 + x2) / 80, (y1 + y2) / 60, (x2 - x1) / 40, (y2 - y1) / 30]
        numbers = [*box, *(n for x, y, v in points for n in (x / 40, y / 30, v))]
        label = root / "labels" / split / name.replace(".png", ".txt")
        label.write_text("0 " + " ".join(f"{n:.8f}" for n in numbers) + "\n")
    (root / "pictures").rmdir()
    return root


def cvat(root: Path) -> Path:
    edges = "".join(
        f'<line data-type="edge" data-node-from="{a + 1}" data-node-to="{b + 1}"></line>'
        for a, b in LINKS
    ) + "".join(
        f'<circle data-type="element node" data-node-id="{i + 1}" data-label-name="{name}">'
        "</circle>"
        for i, name in enumerate(NAMES)
    )
    labels = "".join(
        f"<label><name>{name}</name><type>points</type><parent>mouse</parent></label>"
        for name in NAMES
    )
    svg = edges.replace("<", "&lt;").replace(">", "&gt;")
    text = (
        "<annotations><version>1.1</version><meta><task><labels><label><name>mouse</name>"
        f"<type>skeleton</type><svg>{svg}</svg></label>{labels}</labels></task></meta>"
    )
    for i, (name, points) in enumerate(POINTS.items()):
        x1, y1, x2, y2 = BOXES[name]
        text += f'<image id="{i}" name="{name}" width="40" height="30">'
        text += f'<box label="mouse" xtl="{x1}" ytl="{y1}" xbr="{x2}" ybr="{y2}" group_id="7"/>'
        text += '<skeleton label="mouse" group_id="7">'
        for part, (x, y, v) in zip(NAMES, points, strict=True):
            text += (
                f'<points label="{part}" outside="{int(v == 0)}" occluded="{int(v == 1)}" '
                f'points="{x},{y}"></points>'
            )
        text += "</skeleton></image>"
    images(root / "images")
    (root / "annotations.xml").write_text(text + "</annotations>")
    return root


def label_studio(root: Path) -> Path:
    tasks = []
    for i, (name, points) in enumerate(POINTS.items()):
        x1, y1, x2, y2 = BOXES[name]
        common = {"original_width": 40, "original_height": 30, "image_rotation": 0}
        results = [
            {
                "id": f"box{i}",
                "type": "rectanglelabels",
                **common,
                "value": {
                    "x": x1 / 0.4,
                    "y": y1 / 0.3,
                    "width": (x2 - x1) / 0.4,
                    "height": (y2 - y1) / 0.3,
                    "rotation": 0,
                    "rectanglelabels": ["mouse"],
                },
            }
        ]
        for part, (x, y, v) in zip(NAMES, points, strict=True):
            if not v:
                continue
            region = {"id": f"{part}{i}", "parentID": f"box{i}", **common}
            value = {"x": x / 0.4, "y": y / 0.3, "width": 0.5, "keypointlabels": [part]}
            results.append({**region, "type": "keypointlabels", "value": value})
            if v == 1:
                value = {**value, "choices": ["Hidden"]}
                results.append({**region, "type": "choices", "value": value})
        image = f"/data/upload/3/0123abcd-{name}"
        tasks.append({"id": i + 1, "data": {"image": image}, "annotations": [{"result": results}]})
    images(root / "images")
    path = root / "export.json"
    path.write_text(json.dumps(tasks))
    return path


def dlib(root: Path) -> Path:
    text = "<?xml version='1.0' encoding='ISO-8859-1'?><dataset><images>"
    for name, points in POINTS.items():
        x1, y1, x2, y2 = BOXES[name]
        text += f'<image file="{name}" width="40" height="30">'
        text += f'<box left="{x1}" top="{y1}" width="{x2 - x1}" height="{y2 - y1}">'
        text += "<label>mouse</label>"
        parts = [(part, *p) for part, p in zip(NAMES, points, strict=True) if p[2]]
        text += "".join(f'<part name="{part}" x="{x}" y="{y}"/>' for part, x, y, _ in parts)
        text += "</box></image>"
    images(root)
    (root / "mice.xml").write_text(text + "</images></dataset>")
    return root / "mice.xml"


def coco(root: Path) -> Path:
    """As tools write it: links from 0, a category without keypoints, no sizes and areas."""
    document = {
        "images": [{"id": 7 + i, "file_name": name} for i, name in enumerate(POINTS)],
        "categories": [
            {"id": 4, "name": "cage"},
            {
                "id": 5,
                "name": "mouse",
                "keypoints": list(NAMES),
                "skeleton": list(map(list, LINKS)),
            },
        ],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 4, "bbox": [0, 0, 40, 30]},
        ],
    }
    for i, (name, points) in enumerate(POINTS.items()):
        x1, y1, x2, y2 = BOXES[name]
        document["annotations"].append(
            {
                "id": 10 + i,
                "image_id": 7 + i,
                "category_id": 5,
                "track_id": 3,
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "keypoints": [n for point in points for n in point],
            }
        )
    images(root / "images")
    (root / "annotations").mkdir()
    path = root / "annotations/mice.json"
    path.write_text(json.dumps(document))
    return path


def mpii(root: Path) -> Path:
    """Two people with three of the sixteen joints each; MATLAB counts pixels from 1."""
    from scipy.io import savemat

    entries = []
    for name, points in POINTS.items():
        joints = [
            {"id": i, "x": x + 1.0, "y": y + 1.0, "is_visible": v - 1}
            for i, (x, y, v) in enumerate(points)
            if v
        ]
        person = {
            "x1": 3.0,
            "y1": 4.0,
            "x2": 9.0,
            "y2": 12.0,
            "scale": 0.1,
            "objpos": {"x": 16.0, "y": 13.0},
            "annopoints": {"point": _structs(joints)},
        }
        entries.append({"image": {"name": name}, "annorect": person})
    release = {"annolist": _structs(entries), "img_train": [1, 0]}
    images(root / "images")
    savemat(root / "mpii.mat", {"RELEASE": release})
    return root / "mpii.mat"


def _structs(entries: list[dict]) -> np.ndarray:
    """A MATLAB array of structs."""
    array = np.empty(len(entries), [(key, object) for key in entries[0]])
    for i, entry in enumerate(entries):
        array[i] = tuple(entry.values())
    return array


# What each format can say, beside the keypoints: hidden ones, boxes, links, names of keypoints.
SOURCES = {
    "deeplabcut": (deeplabcut, {"links"}),
    "lightning_pose": (lightning_pose, set()),
    "deeplabcut_h5": (deeplabcut_h5, set()),
    "sleap": (sleap, {"hidden", "links"}),
    "yolo": (yolo, {"hidden", "boxes"}),
    "cvat": (cvat, {"hidden", "boxes", "links"}),
    "label_studio": (label_studio, {"hidden", "boxes"}),
    "dlib": (dlib, {"boxes"}),
    "coco": (coco, {"hidden", "boxes", "links"}),
}
