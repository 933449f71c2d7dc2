"""SLEAP's .slp files."""

import json
import shutil

import cv2
import numpy as np
import pytest

from keras_pose.datasets import import_dataset
from keras_pose.images import read_image


def test_frames_are_written_without_loss_and_predictions_left_out(sources, tmp_path):
    imported = import_dataset(sources.sleap(tmp_path), tmp_path / "mice.json")
    assert imported.images == tmp_path / "mice_images"
    names = [image["file_name"] for image in imported.coco["images"]]
    assert names == ["mice/frame_000000.png", "mice/frame_000001.png"]
    for name, original in zip(names, ("a.png", "b.png"), strict=True):
        frame = read_image(imported.images / name)
        np.testing.assert_array_equal(frame, read_image(tmp_path / "frames" / original))
    assert imported.report.skipped["predictions that nobody corrected"][0] == 2
    assert "left_ear-right_ear (from its symmetries)" in str(imported.report)


def test_a_video_is_found_beside_the_file(tmp_path, sources):
    import sleap_io

    frames = [np.full((32, 48, 3), 20 * i, np.uint8) for i in range(5)]
    writer = cv2.VideoWriter(
        str(tmp_path / "clip.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 10, (48, 32)
    )
    for frame in frames:
        writer.write(frame)
    writer.release()
    skeleton = sleap_io.Skeleton(["nose", "tail"], name="mouse")
    video = sleap_io.Video("/somebody/else/clip.avi", open_backend=False)
    animal = sleap_io.Instance.from_numpy(np.array([[4.0, 5], [20, 21]]), skeleton)
    labels = sleap_io.Labels([sleap_io.LabeledFrame(video, 3, [animal])], [video], [skeleton])
    labels.save(str(tmp_path / "labels.slp"), verbose=False)
    imported = import_dataset(tmp_path / "labels.slp", images=tmp_path / "frames")
    (image,) = imported.coco["images"]
    assert image["file_name"] == "clip/frame_000003.png"
    assert abs(read_image(tmp_path / "frames" / image["file_name"]).mean() - 60) < 4
    (tmp_path / "clip.avi").unlink()
    with pytest.raises(ValueError, match="no labelled objects"):
        import_dataset(tmp_path / "labels.slp", images=tmp_path / "frames")


def test_the_samples_equal_what_was_stored(shared, tmp_path):
    data = shared / "data/importers/slp"
    if not data.is_dir():
        pytest.skip("the importers' samples are not there")
    expected = json.loads((data / "expected.json").read_text())
    for name, facts in expected.items():
        imported = import_dataset(data / name, tmp_path / f"{name}.json")
        assert list(imported.skeleton.keypoints) == facts["nodes"]
        assert imported.skeleton.links.tolist() == facts["edges"]
        rows = iter(imported.coco["annotations"])
        for frame in facts["frames"]:
            for instance in frame["instances"]:
                points = np.array(next(rows)["keypoints"]).reshape(-1, 3)
                np.testing.assert_allclose(points[:, :2], instance["xy"], atol=1e-4)
                assert (points[:, 2] == 2).tolist() == instance["visible"]
        assert next(rows, None) is None
        numbers = [f"frame_{frame['frame_idx']:06d}.png" for frame in facts["frames"]]
        names = [image["file_name"] for image in imported.coco["images"]]
        assert [each.split("/")[-1] for each in names] == numbers
        if "embedded_frame" in facts:
            frame = read_image(imported.images / names[0])
            assert list(frame.shape[:2]) == facts["embedded_frame"]["shape"][:2]
            assert frame.mean() == pytest.approx(facts["embedded_frame"]["mean"], abs=1e-3)


def test_without_its_video_a_sample_says_so(shared, tmp_path):
    path = shared / "data/importers/slp/small_robot_minimal.slp"
    if not path.is_file():
        pytest.skip("the importers' samples are not there")
    shutil.copy(path, tmp_path / "robot.slp")
    with pytest.raises(ValueError, match="no labelled objects"):
        import_dataset(tmp_path / "robot.slp", tmp_path / "robot.json")
