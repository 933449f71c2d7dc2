import pickle

import numpy as np
import pytest

from keras_pose.datasets import load
from keras_pose.datasets.sequences import PoseSequences
from keras_pose.datasets.transforms.lifting import RandomPoseFlip
from keras_pose.datasets.windows import sliding_windows
from keras_pose.geometry import Camera

CAMERAS = {("S1", "54138969"): {"f": [[1000], [1001]], "c": [[500], [501]], "w": 1000, "h": 1002}}
CAMERAS[("S1", "55011271")] = {"f": [[900], [901]], "c": [[400], [401]]}


def films(frames=6, **changes):
    rng = np.random.default_rng(0)
    fields = dict(
        skeleton="h36m",
        keypoints=rng.uniform(0, 1000, (frames, 17, 2)),
        keypoints_3d=rng.uniform([-1, -1, 3], [1, 1, 5], (frames, 17, 3)),
        cameras=[Camera.from_dict(c) for c in CAMERAS.values()],
        camera_ids=[0, 0, 0, 1, 1, 1][:frames],
        windows=sliding_windows([0, 0, 0, 1, 1, 1], 3, pad_video_seq=True, causal=False),
        name="films",
    )
    return PoseSequences(**{**fields, **changes})


def h36m_file(path, names):
    """A file of H36M in which everything says which frame it is."""
    count = len(names)
    number = np.arange(count, dtype=float)
    np.savez(
        path,
        imgname=names,
        S=np.tile(number[:, None, None], (1, 17, 4)) * 0 + [[[0, 0, 4, 1]]],
        part=np.tile(number[:, None, None], (1, 17, 3)),
        center=np.tile(number[:, None], (1, 2)),
        scale=number,
    )
    return path


def test_a_batch():
    inputs, labels = films().batch([0, 5])
    data = films()
    assert inputs.shape == (2, 3, 17, 2) and inputs.dtype == np.float32
    np.testing.assert_array_equal(inputs[0], data.keypoints[[0, 0, 1]])
    np.testing.assert_array_equal(labels["keypoints_3d"][1], data.keypoints_3d[[5]])
    assert labels["focal"].tolist() == [[1000, 1001], [900, 901]]
    assert labels["image_size"].tolist() == [[1000, 1002], [0, 0]]
    assert {value.dtype for value in labels.values()} == {np.dtype("f4")}


def test_windows_share_the_frames():
    data = films()
    part = data[1:3]
    assert len(part) == 2 and part.keypoints is data.keypoints
    assert part[0]["frames"].tolist() == [0, 1, 2] and part[0]["targets"].tolist() == [1]
    other = data.with_windows(sliding_windows([0] * 6, multiple_target=3))
    assert other.batch([1])[1]["keypoints_3d"].shape == (1, 3, 17, 3)


def test_augmented_batches_repeat():
    flip = RandomPoseFlip(axis_x="root", target_axis_x="root")
    rows = np.arange(6)
    every, _ = films().batch(rows, 2, flip, seed=1)
    some, _ = films().batch(rows[3:], 2, flip, seed=1)
    np.testing.assert_array_equal(every[3:], some)
    assert (every != films().batch(rows)[0]).any()
    assert (films().shuffled(0) != films().shuffled(1)).any()
    assert sorted(films().shuffled(3)) == list(range(6))


def test_a_window_brings_what_belongs_to_its_target(tmp_path):
    """The reference takes centre and scale of the frame with the window's running number."""
    names = [f"S1_Walking.55011271_{i:06d}.jpg" for i in range(3)]
    names += [f"S1_Eating.54138969_{i:06d}.jpg" for i in range(3)]
    path = h36m_file(tmp_path / "h36m.npz", names)
    data = load("h36m", path, "images", windows={"seq_len": 2})
    item = data[0]
    assert item["frames"].tolist() == [3, 4] and item["targets"].tolist() == [4]
    assert item["scales"].tolist() == [3, 4]
    assert item["image_paths"][0] == "images/S1_Eating.54138969_000000.jpg"


def test_published_cameras_are_a_pickle(tmp_path):
    names = ["S1/S1_A.54138969/S1_A.54138969_000001.jpg", "S1/S1_A.55011271_000001.jpg"]
    path = h36m_file(tmp_path / "h36m.npz", names)
    cameras = {
        key: {name: np.array(value) for name, value in camera.items()}
        for key, camera in CAMERAS.items()
    }
    (tmp_path / "cameras.pkl").write_bytes(pickle.dumps(cameras))
    data = load("h36m", path, tmp_path, cameras=tmp_path / "cameras.pkl")
    assert data[1]["camera"].focal.tolist() == [900, 901]
    assert data[0]["camera"].size == (1000, 1002)
    (tmp_path / "cameras.pkl").write_bytes(pickle.dumps({("S1", "54138969"): cameras.popitem()[1]}))
    with pytest.raises(ValueError, match="`cameras` has no camera 55011271 of subject S1"):
        load("h36m", path, tmp_path, cameras=tmp_path / "cameras.pkl")


def test_detected_keypoints_replace_the_labelled_ones(tmp_path):
    path = h36m_file(tmp_path / "h36m.npz", ["S1_A.1_1.jpg", "S1_A.1_2.jpg"])
    np.save(tmp_path / "detected.npy", np.full((2, 17, 3), 0.5))
    data = load("h36m", path, tmp_path, keypoints_2d=tmp_path / "detected.npy")
    assert data.keypoints.max() == 0.5 and data.visible.min() == 0.5
    with pytest.raises(ValueError, match=r"keypoints_2d must be numbers of shape \(2, 17, 3\)"):
        load("h36m", path, tmp_path, keypoints_2d=np.zeros((3, 17, 3)))


def test_what_an_h36m_file_lacks_is_invisible(tmp_path):
    np.savez(tmp_path / "h36m.npz", imgname=["S1_A.1_1.jpg"])
    data = load("h36m", tmp_path / "h36m.npz", tmp_path)
    assert not data.visible.any() and not data.visible_3d.any()


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (dict(S=np.zeros(3)), "h36m.npz needs an array `imgname`"),
        (dict(imgname=["photo.jpg"]), "image names must be like S1_Walking.54138969_000001.jpg"),
        (dict(imgname=["S1_A.1_1.jpg"], S=np.zeros((2, 17, 4))), "`S` must be numbers of shape"),
    ],
)
def test_faulty_h36m_files(tmp_path, arrays, message):
    np.savez(tmp_path / "h36m.npz", **arrays)
    with pytest.raises(ValueError, match=message):
        load("h36m", tmp_path / "h36m.npz", tmp_path)
    with pytest.raises(FileNotFoundError, match="there is no file"):
        load("h36m", tmp_path / "none.npz", tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(keypoints_3d=np.zeros((5, 17, 3))), r"keypoints_3d must have shape \(6, 17, 3\)"),
        (dict(camera_ids=[2] * 6), "camera_ids must be below 2"),
        (dict(keypoints=np.full((6, 17, 2), np.nan)), "frame 0 has a visible point of keypoints"),
        (dict(extras={"boxes": np.zeros((5, 4))}), "boxes must have 6 rows"),
        (dict(windows=sliding_windows("abc")), "windows are over 3 frames, there are 6"),
        (dict(camera_ids=[0, 0, 0, -1, -1, -1]), "frame 3 has no camera, others have"),
        (dict(cameras=[{"f": [1, 1]}] * 2), "cameras must be Camera objects, as Camera.from_dict"),
    ],
)
def test_faults_are_named(changes, message):
    with pytest.raises(ValueError, match=f"films: .*{message}"):
        films(**changes).batch(np.arange(6))


def test_several_people_of_ubody_are_films_of_their_own():
    images = [{"id": i, "file_name": f"a/{i:06d}.png", "width": 9, "height": 9} for i in range(2)]
    annotations = [
        {
            "id": 2 * frame + person,
            "image_id": frame,
            "person_id": person,
            "bbox": [1, 2, 3, 4],
            "keypoints": [[frame, person]] * 137,
            "keypoints_3d": [[frame, person, 1]] * 137,
            "keypoints_valid": [1] * 137,
            "camera_param": {"focal": [1, 1], "princpt": [4, 4]},
        }
        for frame in range(2)
        for person in range(2)
    ]
    data = {"images": images, "annotations": annotations}
    films = load("ubody3d", data, "images", windows={"seq_len": 2})
    assert films.windows.frames().tolist() == [[0, 2], [1, 3]]
    assert films.extras["boxes"][0].tolist() == [1, 2, 4, 6]
    annotations[1]["camera_param"] = {"focal": [1]}
    with pytest.raises(ValueError, match="annotation 1 needs `camera_param`"):
        load("ubody3d", data, "images")
