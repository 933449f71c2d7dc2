"""Makes the README's moving picture: the sample clip as `keras-pose predict --track` draws it.

    python tools/make_clip.py [docs/images/walk.webp]

The people are numbered and boxed in the colours of their tracks. An animated WebP file, which
plays by itself in browsers and on GitHub.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import cv2

from keras_pose.video import VideoReader

ROOT = Path(__file__).resolve().parent.parent
CLIP = ROOT / "presets" / "samples" / "walk.mp4"
PREDICT = ("--track", "--draw-boxes", "--preset", "movenet_multipose_coco")
WIDTH, QUALITY = 480, 60


def main(target: Path) -> None:
    """Draws the clip into a folder of its own, and writes it as an animation."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "keras_pose.cli", "predict", CLIP, "--out", folder]
        subprocess.run([*command, *PREDICT], check=True)
        with VideoReader(Path(folder) / f"{CLIP.stem}_pose.mp4") as video:
            frames, milliseconds = list(video), round(1000 / video.fps)
    height = round(frames[0].shape[0] * WIDTH / frames[0].shape[1])
    animation = cv2.Animation()
    animation.frames = [
        cv2.resize(frame[..., ::-1], (WIDTH, height), interpolation=cv2.INTER_AREA)
        for frame in frames
    ]
    animation.durations = [milliseconds] * len(frames)
    cv2.imwriteanimation(str(target), animation, [cv2.IMWRITE_WEBP_QUALITY, QUALITY])
    print(f"{target.stat().st_size:8d}  {target}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "images" / "walk.webp")
