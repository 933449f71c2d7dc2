"""What a user may name as input: photos, folders, globs, videos, streams, webcams."""

import glob
from dataclasses import dataclass
from pathlib import Path

from keras_pose.video import VIDEO_SUFFIXES

PHOTO_SUFFIXES = (
    *(".avif", ".bmp", ".jp2", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".ppm"),
    *(".tif", ".tiff", ".webp"),
)


@dataclass(frozen=True)
class Source:
    """One photo or video.

    Args:
        target: path of a file, URL of a stream, or index of a webcam.
        is_video: whether it has frames.
    """

    target: Path | str | int
    is_video: bool

    @property
    def name(self) -> str:
        """How messages and results call it."""
        return f"webcam {self.target}" if isinstance(self.target, int) else str(self.target)

    @property
    def stem(self) -> str:
        """The beginning of the names of files made from it."""
        if isinstance(self.target, int):
            return f"webcam_{self.target}"
        return Path(self.target).stem or "stream"

    @property
    def is_live(self) -> bool:
        """Whether it goes on until somebody stops it."""
        return self.is_video and not isinstance(self.target, Path)


def find_sources(words: list[str]) -> tuple[list[Source], list[str]]:
    """The photos and videos that the words of a command line mean.

    Args:
        words: paths of files, folders (their photos and videos, not those of folders inside),
            globs, URLs, indices of webcams.

    Returns:
        The sources in order, each once, and a sentence for each word that means none.
    """
    sources, problems = {}, []
    for word in words:
        path = Path(word)
        if word.isdigit() and not path.exists():
            found = [Source(int(word), True)]
        elif "://" in word:
            found = [Source(word, True)]
        elif path.is_dir():
            found = [s for s in map(_from_file, sorted(path.iterdir())) if s]
            if not found:
                problems.append(f"the folder {word} holds no photo or video")
        elif path.exists():
            found = [_from_file(path) or Source(path, False)]
        elif glob.has_magic(word):
            files = sorted(Path(name) for name in glob.glob(word, recursive=True))
            found = [s for s in map(_from_file, files) if s]
            if not found:
                problems.append(f"no photo or video matches {word}")
        else:
            found = []
            problems.append(f"there is no file or folder {word}")
        sources.update(dict.fromkeys(found))
    return list(sources), problems


def _from_file(path: Path) -> Source | None:
    suffix = path.suffix.lower()
    known = suffix in PHOTO_SUFFIXES or suffix in VIDEO_SUFFIXES
    if not known or path.name.startswith(".") or not path.is_file():
        return None
    return Source(path, suffix in VIDEO_SUFFIXES)
