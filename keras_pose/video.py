"""Reading and writing videos: frames are upright `(H, W, 3)` uint8 RGB arrays.

OpenCV reads (files, streams, webcams); PyAV, which comes with the `[video]` extra, writes H.264.
"""

import contextlib
import importlib.util
import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np

from keras_pose.files import replacing

VIDEO_SUFFIXES = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm", ".wmv")
# Names of H.264 encoders that PyAV builds bring, the best first.
_ENCODERS = ("libx264", "libopenh264", "h264_videotoolbox", "h264")
# Headers of some containers only estimate the number of frames.
_MISSING_TOLERATED = 0.02
_ATTEMPTS = 16


class VideoReader:
    """The frames of a video file, a stream or a webcam, turned upright.

    Iterating yields frames. When a file breaks off or frames in it are damaged, everything that
    can be read is yielded first, then a `ValueError` says how much is missing.

    Example:

    ```python
    with VideoReader("clip.mp4") as video:
        for frame in video:
            print(frame.shape, video.fps)
    ```

    Args:
        source: path of a file, URL of a stream (`rtsp://...`), or index of a webcam (0 is the
            first).

    Attributes:
        fps: frames per second; 30.0 where the source does not say.
        frame_count: number of frames according to the file's header; None if it is not known.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not a video that can be read, or there is no such webcam.
    """

    def __init__(self, source: str | os.PathLike | int):
        import cv2

        self.source = source
        webcam = isinstance(source, int)
        stream = not webcam and "://" in str(source)
        if not webcam and not stream and not Path(source).is_file():
            raise FileNotFoundError(f"there is no video file {str(source)!r}")
        self._capture = cv2.VideoCapture(source if webcam else str(source))
        if not self._capture.isOpened():
            self._capture.release()
            raise ValueError(
                f"webcam {source} cannot be opened" if webcam else f"{source} is not a video"
            )
        self._capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
        fps = self._capture.get(cv2.CAP_PROP_FPS)
        self.fps = float(fps) if 0 < fps < 1000 else 30.0
        count = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        self.frame_count = int(count) if not webcam and not stream and count > 0 else None

    def __iter__(self) -> Iterator[np.ndarray]:
        import cv2

        expected = self.frame_count or 0
        read = failures = 0
        # After damage the decoder still gives out frames that it holds back: ask again.
        while failures <= (_ATTEMPTS if read < expected else 0):
            found, frame = self._capture.read()
            if not found:
                failures += 1
                continue
            read, failures = read + 1, 0
            yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
        if read == 0:
            raise ValueError(f"{self.source} holds no frame that can be read")
        if expected - read > max(2, _MISSING_TOLERATED * expected):
            raise ValueError(
                f"{self.source} is damaged: {read} of about {expected} frames could be read"
            )

    def close(self) -> None:
        """Lets go of the file or webcam."""
        self._capture.release()

    def __enter__(self) -> "VideoReader":
        return self

    def __exit__(self, *_) -> None:
        self.close()


class VideoWriter:
    """Writes frames as an H.264 MP4 file that browsers and phones play.

    Used as a context manager. The file appears under its name when the block ends without an
    error; after an error nothing is left of it. Without any frame no file is written.

    Example:

    ```python
    with VideoWriter("out.mp4", fps=25) as video:
        for frame in frames:
            video.write(frame)
    ```

    Args:
        path: where the finished file shall lie; its suffix must be `.mp4`.
        fps: frames per second.
        quality: x264's constant rate factor, 0 to 51, smaller is better and larger.

    Raises:
        ImportError: PyAV is not installed.
        ValueError: the suffix is not `.mp4` or fps is not positive.
    """

    def __init__(self, path: str | os.PathLike, fps: float = 30.0, quality: int = 23):
        self.path = Path(path)
        if self.path.suffix.lower() != ".mp4":
            raise ValueError(f"a video is written as .mp4, got the path {self.path}")
        if not fps > 0:
            raise ValueError(f"fps must be positive, got {fps}")
        if not can_write_video():
            raise ImportError("writing videos needs PyAV: pip install 'keras-pose[video]'")
        self.fps = fps
        self.quality = quality
        self._size = None
        self._container = self._stream = None

    def __enter__(self) -> "VideoWriter":
        with contextlib.ExitStack() as exit_stack:
            self._partial = exit_stack.enter_context(replacing(self.path))
            exit_stack.callback(self._finish)
            self._exit = exit_stack.pop_all()
        return self

    def write(self, frame: np.ndarray) -> None:
        """Appends a frame.

        Args:
            frame: `(H, W, 3)` uint8 RGB; all frames have the size of the first. An odd width or
                height, which H.264 does not know, is filled up by repeating the edge.

        Raises:
            ValueError: the shape or dtype is wrong.
        """
        import av

        if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8:
            raise ValueError(
                f"frame must be (H, W, 3) uint8, got {frame.shape} {frame.dtype} for {self.path}"
            )
        if self._container is None:
            self._open(frame.shape)
        if frame.shape != self._size:
            raise ValueError(
                f"all frames of {self.path} must have the shape {self._size}, got {frame.shape}"
            )
        height, width = frame.shape[:2]
        if height % 2 or width % 2:
            frame = np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
        # Players take untagged files for BT.709 or BT.601 by their size: say which it is.
        picture = picture.reformat(format="yuv420p", dst_colorspace="ITU709")
        self._container.mux(self._stream.encode(picture))

    def _open(self, shape) -> None:
        import av

        self._size = shape
        self._container = av.open(
            str(self._partial), "w", format="mp4", options={"movflags": "+faststart"}
        )
        encoder = next(name for name in _ENCODERS if name in av.codecs_available)
        stream = self._container.add_stream(
            encoder, rate=Fraction(self.fps).limit_denominator(1001)
        )
        stream.width, stream.height = shape[1] + shape[1] % 2, shape[0] + shape[0] % 2
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.color_primaries = context.color_trc = context.colorspace = 1  # BT.709
        context.color_range = 1  # 16..235
        if encoder == "libx264":
            context.options = {"crf": str(self.quality), "preset": "medium"}
        else:
            stream.bit_rate = int(0.1 * stream.width * stream.height * self.fps)
        self._stream = stream

    def _finish(self) -> None:
        if self._container is None:
            return
        try:
            self._container.mux(self._stream.encode(None))
        finally:
            self._container.close()

    def __exit__(self, *error) -> None:
        self._exit.__exit__(*error)


def can_write_video() -> bool:
    """Whether PyAV, which `VideoWriter` needs, is installed."""
    return importlib.util.find_spec("av") is not None
