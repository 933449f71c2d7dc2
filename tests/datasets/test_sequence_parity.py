"""Films, pairs of hands and frames around frames are read as the reference reads them."""

import json
from pathlib import Path

import numpy as np
import pytest

from keras_pose.checkpoints.pickled_arrays import read_npz
from keras_pose.datasets import load
from keras_pose.datasets.readers.posetrack_video import draw_support_frames
from keras_pose.datasets.transforms.draws import Draws
from keras_pose.geometry import Camera, match_aspect

DATASETS = Path(__file__).resolve().parents[3] / "shared" / "golden" / "datasets"
NAMES = ("h36m", "h3wb", "ubody3d", "interhand2d", "interhand3d", "posetrack18_video")
# The reference's window settings that are ours, by the same name.
WINDOWS = (
    *("seq_len", "seq_step", "causal", "pad_video_seq"),
    *("multiple_target", "multiple_target_step"),
)
LEFT_OUT: dict[str, str] = {}

pytestmark = pytest.mark.parity


def variants() -> list[str]:
    return [
        f"datasets/parsed/{name}/{variant}"
        for name in NAMES
        if DATASETS.is_dir()
        for variant in json.loads((DATASETS / f"parsed/{name}.json").read_text())["variants"]
    ]


def items_of(name, variant):
    """Stored values of a variant as columns, and the reference's arguments."""
    stored = json.loads((DATASETS / f"parsed/{name}.json").read_text())["variants"]
    arguments = stored[variant].get("arguments", {})
    variant = stored[variant].get("same_as", variant)
    arrays = np.load(DATASETS / f"parsed/{name}.npz")
    columns = {
        key: arrays[entry["npz"]] if "npz" in entry else entry.get("values")
        for key, entry in stored[variant].get("items", {}).items()
    }
    return stored[variant]["n"], columns, arguments


@pytest.fixture(scope="module")
def h3wb(golden):
    """H3WB's content in its own layout, of the sample that was converted from it."""
    raw = golden / "datasets/raw/h3wb"
    arrays = np.load(raw / "h3wb_converted.npz")
    data = {"train_data": {}, "metadata": {}, "bbox": {}}
    for key in arrays:
        *path, last = key.split("|")
        place = data
        for part in path:
            place = place.setdefault(part, {})
        place[last] = arrays[key]
    for box in json.loads((raw / "h3wb_converted.json").read_text())["bbox"]:
        sides = {side: box[side] for side in ("x_min", "y_min", "x_max", "y_max")}
        data["bbox"][tuple(box["key"])] = sides
    return data


def read(name, arguments, h3wb):
    row = json.loads((DATASETS / "index.json").read_text())[name]
    raw = DATASETS / row["raw"]
    settings = {"windows": {key: arguments[key] for key in WINDOWS if key in arguments}}
    annotations, images = raw / row["annotation"], raw
    if name == "h36m":
        if "camera_param_file" in arguments:
            settings["cameras"] = raw / "cameras.json"
        if "keypoint_2d_det_file" in arguments:
            settings["keypoints_2d"] = raw / arguments["keypoint_2d_det_file"]
    elif name == "h3wb":
        annotations, images = h3wb, raw / "original"
        if arguments.get("test_mode"):
            settings["subjects"] = ["S7"]
    elif name == "ubody3d":
        images = raw / "images"
    elif name.startswith("interhand"):
        settings = {
            "cameras": raw / arguments["camera_param_file"],
            "joints": raw / arguments["joint_file"],
        }
    else:
        frames = arguments.get("frame_range") or arguments["frame_indices"]
        settings = {"frame_offsets": range(min(frames), max(frames) + 1)}
        if "frame_range" not in arguments:
            settings["frame_weights"] = arguments["frame_weights"]
        if "bbox_file" in arguments:
            settings["detections"] = DATASETS / "raw" / arguments["bbox_file"]
            settings["score_threshold"] = arguments["filter_cfg"]["bbox_score_thr"]
    return load(name, annotations, images, **settings)


def relative(paths, root):
    return [Path(path).relative_to(root).as_posix() for path in paths]


@pytest.mark.parametrize("case", variants() or ["absent"])
def test_samples_equal_the_reference(case, golden, h3wb):
    if case in LEFT_OUT:
        pytest.skip(LEFT_OUT[case])
    _, _, name, variant = case.split("/")
    count, columns, arguments = items_of(name, variant)
    dataset = read(name, arguments, h3wb)
    assert len(dataset) == count
    if not count:
        return
    if arguments.get("data_mode") == "bottomup":  # the same rows, each a list of one
        columns = {key: _without_lists(key, value) for key, value in columns.items()}
    check = check_frames if name in ("h36m", "h3wb", "ubody3d") else check_objects
    unchecked = check(name, variant, dataset, columns, arguments)
    assert not unchecked - {"sample_idx", "id", "category_id", "iscrowd", "invalid_segs"}


def _without_lists(key, value):
    if isinstance(value, list) and all(isinstance(v, list) and len(v) == 1 for v in value):
        return [v[0] for v in value] if key not in ("img_ids", "img_paths") else value
    return value


def check_frames(name, variant, dataset, columns, arguments):
    """Every window against an item; returns the stored keys that were not looked at."""
    frames, targets = dataset.windows.frames(), dataset.windows.targets()
    last = frames[:, -1:]
    root = DATASETS / "raw" / ("h36m" if name == "h36m" else "")
    paths = [relative(dataset.image_paths[row], root) for row in frames]
    ids = dataset.image_ids if name == "ubody3d" else np.arange(dataset.num_frames)
    inputs, labels = dataset.batch(np.arange(len(dataset)))
    ours = {
        "keypoints": inputs,
        "keypoints_visible": labels["visible"],
        "lifting_target": labels["keypoints_3d"],
        "lifting_target_visible": labels["visible_3d"],
        "keypoints_3d": dataset.keypoints_3d[frames],
        "keypoints_3d_visible": dataset.visible_3d[frames],
        "num_keypoints": np.full(len(dataset), inputs.shape[2]),
        "bbox_scores": np.ones(frames.shape),
        "bbox_score": np.ones(frames.shape),
        "img_ids": ids[frames],
    }
    if name == "h36m":
        ours["center"] = dataset.extras["centers"][targets]
        ours["scale"] = dataset.extras["scales"][targets[:, 0]]
        ours["factor"] = dataset.extras["factors"][frames]
    elif name == "h3wb":
        ours["bbox"] = dataset.extras["boxes"][last]
        # nothing but zeros in the reference
        ours |= {key: np.zeros(np.shape(columns[key])) for key in ("center", "scale", "factor")}
    else:
        ours["factor"] = np.zeros(frames.shape)
        boxes = dataset.extras["boxes"][frames]
        sides = boxes[..., 2:] - boxes[..., :2]
        # the reference takes xywh for xyxy
        ours["bbox"] = np.concatenate([boxes[..., :2], sides], -1)
        ours["center"] = (boxes[..., :2] + boxes[..., 2:]) / 2
        ours["scale"] = match_aspect(1.25 * sides / 200, (3, 4))
        ours["bbox_scales"] = np.ones((*frames.shape, 2))
    for key in ours.keys() & columns.keys():
        theirs = np.array(columns[key], np.float64)
        np.testing.assert_allclose(
            np.reshape(ours[key], theirs.shape), theirs, atol=1e-3, rtol=1e-6, err_msg=key
        )
    assert paths == columns["img_paths"]
    wanted = [relative(dataset.image_paths[row], root) for row in targets]
    for key in ("target_img_path", "target_img_paths"):
        if key in columns:
            assert np.ravel(columns[key]).tolist() == np.ravel(wanted).tolist()
    if "img_path" in columns:
        assert np.ravel(columns["img_path"]).tolist() == np.ravel(wanted).tolist()
    if "target_idx" in columns:
        at = np.ravel(columns["target_idx"]) % frames.shape[1]
        np.testing.assert_array_equal(frames[np.arange(len(at)), at], targets[:, 0])
    if "camera_param" in columns:
        for row, parameters in enumerate(columns["camera_param"]):
            check_camera(name, dataset[row]["camera"], parameters)
    paths = {"img_paths", "img_path", "target_img_path", "target_img_paths", "target_idx"}
    return columns.keys() - ours.keys() - paths - {"camera_param"}


def check_camera(name, camera, parameters):
    while isinstance(parameters, list):
        (parameters,) = parameters
    np.testing.assert_allclose(camera.focal, np.ravel(parameters["f"]), rtol=1e-6)
    np.testing.assert_allclose(camera.center, np.ravel(parameters["c"]), rtol=1e-6)
    if name == "h36m":
        np.testing.assert_allclose(camera.rotation, parameters["R"])
        np.testing.assert_allclose(camera.translation, np.ravel(parameters["T"]))
        np.testing.assert_allclose(camera.radial, np.ravel(parameters["k"]))
        np.testing.assert_allclose(camera.tangential, np.ravel(parameters["p"]))
        assert camera.size == (parameters["w"], parameters["h"])
    if name == "h3wb":  # the reference passes on what leads from the world to the camera
        rotation, translation = np.array(parameters["R"]), np.ravel(parameters["T"])
        np.testing.assert_allclose(camera.rotation, rotation.T)
        np.testing.assert_allclose(camera.to_camera(np.zeros(3)), translation, atol=1e-6)


def test_h3wb_has_the_cameras_of_human36m(golden, h3wb):
    """Its metadata say the same of the same camera, once they are turned round."""
    table = json.loads((golden / "datasets/raw/h36m/cameras.json").read_text())
    ours = load("h3wb", h3wb, golden)[0]["camera"]
    theirs = Camera.from_dict(table["S5|60457274"])
    for field in ("focal", "center", "rotation", "translation", "radial", "tangential"):
        np.testing.assert_allclose(
            getattr(ours, field), getattr(theirs, field), atol=1e-6, rtol=1e-6, err_msg=field
        )


def check_objects(name, variant, dataset, columns, arguments):
    """Every object against an item; returns the stored keys that were not looked at."""
    root = DATASETS / "raw"
    ours = {
        "bbox": dataset.boxes,
        "bbox_score": dataset.box_scores,
        "keypoints": dataset.keypoints,
        "keypoints_visible": dataset.visible,
        "id": dataset.ids - ("bbox_file" in arguments),
        "img_id": dataset.image_ids,
        "num_keypoints": dataset.num_keypoints,
        "iscrowd": dataset.iscrowd,
    }
    extras = dataset.extras
    if name.startswith("interhand"):
        ours["hand_type"] = extras["hand_type"]
        ours["hand_type_valid"] = extras["hand_type_valid"]
    if name == "interhand3d":
        depths = extras["joint_depths"][..., None]
        ours |= {
            "keypoints": np.concatenate([dataset.keypoints, depths], -1),
            "keypoints_cam": extras["keypoints_3d"],
            "rel_root_depth": extras["root_depth"],
            "rel_root_valid": extras["root_depth_valid"],
            "abs_depth": extras["wrist_depths"],
            "focal": extras["focal"],
            "principal_pt": extras["center"],
            "rotation": np.zeros(len(dataset)),
        }
    for key in ours.keys() & columns.keys():
        theirs = np.array(columns[key], np.float64)
        np.testing.assert_allclose(
            np.reshape(ours[key], theirs.shape), theirs, atol=1e-3, rtol=1e-4, err_msg=key
        )
    if name == "posetrack18_video":
        check_support(variant, extras, columns)
    else:
        assert relative(dataset.image_paths, root) == columns["img_path"]
    texts = {"img_path", "frame_weights", "dataset", "raw_ann_info"}
    return columns.keys() - ours.keys() - texts


def check_support(variant, extras, columns):
    paths = [relative(row, DATASETS / "raw") for row in extras["frame_paths"]]
    if variant == "random":  # the stored draws are for the format
        assert all(
            theirs[0] == ours[0] and set(theirs) <= set(ours)
            for ours, theirs in zip(paths, columns["img_path"], strict=True)
        )
        return
    np.testing.assert_allclose(extras["frame_weights"], columns["frame_weights"])
    for ours, theirs in zip(paths, columns["img_path"], strict=True):
        if variant == "fixed":  # in training the reference has the object's own frame twice
            assert theirs[3] == theirs[0]
            theirs = theirs[:3] + theirs[4:]
        assert ours == theirs


def test_support_frames_are_drawn_in_every_epoch():
    paths = np.array([[f"{row}/{frame}.jpg" for frame in (2, 0, 1, 3, 4)] for row in range(500)])
    first, again, other = (
        draw_support_frames(paths, 2, Draws(0, epoch, range(500))) for epoch in (0, 0, 1)
    )
    assert first.shape == (500, 3)
    np.testing.assert_array_equal(first, again)
    assert (first != other).any() and (first[:, 0] == paths[:, 0]).all()
    drawn = {path.split("/")[1] for path in np.ravel(first[:, 1:])}
    assert drawn == {f"{frame}.jpg" for frame in (0, 1, 3, 4)}


def test_rootnet_estimates_replace_boxes_and_depths(golden):
    """The reference fails."""
    raw = golden / "datasets/raw/interhand2.6m"
    annotations = json.loads((raw / "test_interhand2.6m_data.json").read_text())
    estimates = [
        {"annot_id": a["id"], "bbox": [1, 2, 30, 40], "abs_depth": [1000 + i, 900]}
        for i, a in enumerate(annotations["annotations"])
    ]
    files = {
        "cameras": raw / "test_interhand2.6m_camera.json",
        "joints": raw / "test_interhand2.6m_joint_3d.json",
    }
    hands = load("interhand3d", annotations, raw, **files, root_depths=estimates)
    assert hands.boxes[0].tolist() == [1, 2, 31, 42]
    assert hands.extras["root_depth"].tolist() == [-100, -101, -102, -103]
    labelled = load("interhand3d", annotations, raw, **files)
    np.testing.assert_array_equal(hands.extras["joint_depths"], labelled.extras["joint_depths"])
    with pytest.raises(ValueError, match="1 of 4 annotations have no estimate, for example"):
        load("interhand3d", annotations, raw, **files, root_depths=estimates[1:])


def test_the_published_form_of_h3wb_is_a_pickle(tmp_path, h3wb):
    path = tmp_path / "h3wb_train.npz"
    np.savez(path, **{key: np.array(value, object) for key, value in h3wb.items()})
    assert read_npz(path).keys() == h3wb.keys()
    films = load("h3wb", path, tmp_path)
    assert len(films) == 1 and films.name == "h3wb_train.npz"
    np.testing.assert_array_equal(films.keypoints, load("h3wb", h3wb, tmp_path).keypoints)
