"""SLEAP's `.slp` files, read by sleap-io; frames come from inside the file or from its videos."""

import re
from pathlib import Path

import numpy as np

from keras_pose.datasets.importers.content import HDF5_SIGNATURE, beginning
from keras_pose.datasets.importers.labels import (
    HIDDEN,
    SEEN,
    Kind,
    LabelledImage,
    LabelledObject,
    Labels,
)


def detects(path: Path) -> bool:
    """Whether this is an HDF5 file with SLEAP's tables."""
    if beginning(path, 8) != HDF5_SIGNATURE:
        return False
    import h5py

    try:
        with h5py.File(path) as file:
            return {"metadata", "frames", "instances"} <= set(file)
    except Exception:  # h5py does not say which errors damaged files raise
        return path.suffix == ".slp"


def read(path: Path) -> Labels:
    """Reads what people labelled; predictions that nobody corrected are left out and counted.

    Points that SLEAP calls not visible although they have a position are hidden. A video is looked
    for where the file says, then beside the file by its name.
    """
    try:
        import sleap_io
    except ImportError:
        raise ImportError("reading .slp needs sleap-io: pip install 'keras-pose[import]'") from None
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    try:
        file = sleap_io.load_slp(str(path), open_videos=False)
        return _Reader(path, file).labels
    except Exception as error:  # sleap-io does not say which errors damaged files raise
        reason = f"{type(error).__name__} {' '.join(str(error).split()):.200}"
        raise ValueError(f"{path} is not a SLEAP file that sleap-io can read: {reason}") from None


class _Reader:
    def __init__(self, path: Path, file):
        self.path = path
        self.labels = Labels(roots=[path.resolve().parent])
        self.skeletons = list(file.skeletons)
        self.videos = {id(video): self._opened(video) for video in file.videos}
        for skeleton in self.skeletons:
            self._add_kind(skeleton)
        names = _folders(file.videos)
        for frame in file.labeled_frames:
            self._add_frame(frame, names[id(frame.video)])

    def _opened(self, video):
        """The video with frames that can be read, or None where it is not here."""
        if isinstance(video.filename, list):  # files of their own, looked up with all others
            return None
        name = str(video.filename)
        if "://" in name or not Path(name).is_file():  # nothing is fetched from anywhere
            name = str(self.path.resolve().parent / re.split(r"[\\/]", name)[-1])
            if not Path(name).is_file():
                return None
            video.replace_filename(name, open=False)
        video.open_backend = True
        try:
            video.open()
        except Exception:  # of whichever library reads this kind of video
            return None
        return video if video.backend is not None else None

    def _add_kind(self, skeleton) -> None:
        names = list(skeleton.node_names)
        swaps = [
            tuple(sorted(skeleton.index(node) for node in symmetry.nodes))
            for symmetry in skeleton.symmetries
        ]
        links = [tuple(map(int, edge)) for edge in skeleton.edge_inds]
        name = skeleton.name or "animal"
        if name in {kind.name for kind in self.labels.kinds}:
            name = f"{name}_{len(self.labels.kinds) + 1}"
        kind = Kind(name, names, links, sorted(set(swaps)) or None, "its symmetries")
        self.labels.kinds.append(kind)

    def _add_frame(self, frame, folder: str) -> None:
        index = int(frame.frame_idx)
        name = f"{folder}/frame_{index:06d}.png"
        video = self.videos[id(frame.video)]
        image = LabelledImage(name)
        if isinstance(frame.video.filename, list):
            if not 0 <= index < len(frame.video.filename):
                self.labels.skipped.add("frames beyond the end of their video", name)
                return
            image.path = str(frame.video.filename[index])
        elif video is None:
            self.labels.skipped.add("frames whose video is not here", frame.video.filename)
            return
        else:
            image.frame = lambda: _picture(video, index)
        for instance in frame.instances:
            if type(instance).__name__ == "PredictedInstance":
                self.labels.skipped.add("predictions that nobody corrected", name)
                continue
            points = instance.points
            position = np.array(points["xy"], float).reshape(-1, 2)
            labelled = np.isfinite(position).all(-1)
            visible = np.where(points["visible"], SEEN, HIDDEN) * labelled
            keypoints = np.column_stack([np.where(labelled[:, None], position, 0), visible])
            kind = next(i for i, s in enumerate(self.skeletons) if s is instance.skeleton)
            fields = {"track": instance.track.name} if instance.track else {}
            image.objects.append(LabelledObject(kind, keypoints, fields=fields))
        self.labels.images.append(image)


def _picture(video, index: int) -> np.ndarray:
    """A frame of a video."""
    try:
        frame = np.asarray(video[index], np.uint8)
        if frame.ndim != 3 or frame.shape[2] not in (1, 3) or not frame.size:
            raise ValueError(f"it has the shape {frame.shape}")
        return frame
    except Exception as error:  # of whichever library reads this kind of video
        raise ValueError(f"frame {index} of {video.filename} cannot be read: {error}") from None


def _folders(videos) -> dict[int, str]:
    """A folder name of its own for each video."""
    names: dict[int, str] = {}
    for number, video in enumerate(videos):
        file = video.filename[0] if isinstance(video.filename, list) else video.filename
        stem = Path(str(file).replace("\\", "/")).name.split(".")[0] or "video"
        embedded = any(stem == name for name in names.values())
        names[id(video)] = f"{stem}_{number}" if embedded else stem
    return names
