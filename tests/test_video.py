"""Videos: what is written can be read again, damage is reported, nothing is left half-written."""

import struct

import numpy as np
import pytest

from keras_pose.paths import PRESETS
from keras_pose.video import VideoReader, VideoWriter

CLIP = PRESETS / "samples" / "walk.mp4"


def frames(count=12, width=64, height=48):
    """A bright square that moves to the right over a dark ground."""
    for index in range(count):
        image = np.full((height, width, 3), 20, np.uint8)
        image[10:30, 2 * index : 2 * index + 20] = (230, 60, 30)
        yield image


def write(path, **size):
    pytest.importorskip("av")
    with VideoWriter(path, fps=25, quality=10) as video:
        for frame in frames(**size):
            video.write(frame)
    return path


def test_written_frames_are_read_again(tmp_path):
    path = write(tmp_path / "clip.mp4")
    with VideoReader(path) as video:
        assert (video.fps, video.frame_count) == (25.0, 12)
        for wrote, read in zip(frames(), video, strict=True):
            assert np.abs(wrote.astype(int) - read).mean() < 6


def test_written_file_plays_in_browsers(tmp_path):
    path = write(tmp_path / "clip.mp4")
    import av

    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
    data = path.read_bytes()
    assert data.find(b"moov") < data.find(b"mdat")


def test_odd_sizes_are_filled_up(tmp_path):
    path = write(tmp_path / "odd.mp4", count=2, width=65, height=47)
    with VideoReader(path) as video:
        assert next(iter(video)).shape == (48, 66, 3)


def test_rotation_in_the_file_is_applied(tmp_path):
    path = write(tmp_path / "clip.mp4")
    data = bytearray(path.read_bytes())
    upright = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30)
    turned = struct.pack(">9i", 0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30)
    matrix = data.index(upright, data.index(b"tkhd"))
    data[matrix : matrix + len(turned)] = turned
    path.write_bytes(data)
    with VideoReader(path) as video:
        assert next(iter(video)).shape == (64, 48, 3)


def test_broken_video_gives_what_can_be_read_and_then_says_so(tmp_path):
    path = tmp_path / "broken.mp4"
    data = CLIP.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    read = []
    with VideoReader(path) as video, pytest.raises(ValueError, match="of about 44 frames"):
        for frame in video:
            read.append(frame)
    assert 5 < len(read) < 40


def test_sample_clip_is_whole():
    with VideoReader(CLIP) as video:
        assert sum(1 for _ in video) == 44


@pytest.mark.parametrize("content", [b"", b"no video at all"])
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / "text.mp4"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="is not a video"):
        VideoReader(path)


def test_missing_file_and_missing_webcam_are_named():
    with pytest.raises(FileNotFoundError, match=r"nowhere\.mp4"):
        VideoReader("nowhere.mp4")
    with pytest.raises(ValueError, match="webcam 97 cannot be opened"):
        VideoReader(97)


def test_error_while_writing_leaves_the_old_file(tmp_path):
    pytest.importorskip("av")
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"old")
    with pytest.raises(RuntimeError), VideoWriter(path) as video:
        video.write(next(frames()))
        raise RuntimeError
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_no_frame_no_file(tmp_path):
    pytest.importorskip("av")
    with VideoWriter(tmp_path / "clip.mp4"):
        pass
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (np.zeros((48, 64), np.uint8), "must be"),
        (np.zeros((48, 64, 3), np.float32), "must be"),
        (np.zeros((40, 64, 3), np.uint8), "must have the shape"),
    ],
)
def test_wrong_frames_are_refused(tmp_path, frame, message):
    pytest.importorskip("av")
    with pytest.raises(ValueError, match=message), VideoWriter(tmp_path / "clip.mp4") as video:
        video.write(next(frames()))
        video.write(frame)
    assert not list(tmp_path.iterdir())


def test_missing_pyav_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install 'keras-pose\[video\]'"):
        VideoWriter(tmp_path / "clip.mp4")


def test_only_mp4_is_written(tmp_path):
    with pytest.raises(ValueError, match=r"written as \.mp4"):
        VideoWriter(tmp_path / "clip.avi")
