"""Which frames of which video make a training sample: windows as arithmetic, never as copies."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True, eq=False)
class Windows:
    """Windows of frames, worked out when they are asked for.

    Frames are put in the order of their videos. Window `s` is the frames at `anchors[s] + offsets`
    of that order, clipped to its video at `first[s]` and `last[s]`: three numbers, however long.

    Args:
        order: int64 `(F,)`, frame numbers, video after video.
        anchors: int64 `(S,)`, positions in `order`.
        first, last: int64 `(S,)`, the video's first and last position in `order`.
        offsets: int64 `(T,)`, of a window's frames from its anchor.
        target_offsets: int64 `(N,)`, of the frames whose 3D pose is to be found.
    """

    order: np.ndarray
    anchors: np.ndarray
    first: np.ndarray
    last: np.ndarray
    offsets: np.ndarray
    target_offsets: np.ndarray

    def __len__(self) -> int:
        return len(self.anchors)

    def frames(self, rows=slice(None)) -> np.ndarray:
        """Frame numbers `(B, T)` of some windows (default: all)."""
        return self._frames(rows, self.offsets)

    def targets(self, rows=slice(None)) -> np.ndarray:
        """Frame numbers `(B, N)` of the targets of some windows (default: all)."""
        return self._frames(rows, self.target_offsets)

    def subset(self, rows) -> "Windows":
        """Some of the windows: slice, boolean mask or indices."""
        return replace(
            self, anchors=self.anchors[rows], first=self.first[rows], last=self.last[rows]
        )

    def _frames(self, rows, offsets: np.ndarray) -> np.ndarray:
        positions = self.anchors[rows][:, None] + offsets
        first, last = self.first[rows][:, None], self.last[rows][:, None]
        return self.order[np.clip(positions, first, last)]


def sliding_windows(
    videos: Sequence[Hashable],
    seq_len: int = 1,
    seq_step: int = 1,
    causal: bool = True,
    pad_video_seq: bool = False,
    multiple_target: int = 0,
    multiple_target_step: int | None = None,
    stride: int = 1,
    fraction: float = 1.0,
    seed: int = 0,
) -> Windows:
    """Windows over videos, as MMPose 1.3.2's data sets of 3D poses cut them.

    Args:
        videos: what tells the videos apart, one key a frame, e.g. (subject, action, camera). Videos
            come in the order of their sorted keys, frames of a video in the order of the file.
        seq_len: int, frames of a window. Default 1.
        seq_step: int, distance between a window's frames. Default 1.
        causal: bool, the target is a window's last frame (default), else the one at `seq_len // 2`.
        pad_video_seq: bool, a window for every frame of a video, as its target; what lies outside
            the video is its first or last frame again. Default off: only windows that fit.
        multiple_target: int, instead of all that: blocks of so many frames, all of them targets.
        multiple_target_step: int, distance between blocks. Default `multiple_target`.
        stride: int, distance between windows that fit. Default 1.
        fraction: float in 0..1, keep a part of the windows that hang together. Default all.
        seed: int, draws that part.

    Raises:
        ValueError: for settings that contradict each other.

    Example:
        >>> sliding_windows(["a"] * 5, seq_len=3, causal=False).frames()
        array([[0, 1, 2],
               [1, 2, 3],
               [2, 3, 4]])
    """
    for name, value in (("seq_len", seq_len), ("seq_step", seq_step), ("stride", stride)):
        _check_positive(name, value)
    if multiple_target:
        _check_positive("multiple_target", multiple_target)
        if seq_len != 1 or pad_video_seq:
            raise ValueError(
                f"multiple_target={multiple_target} makes windows by itself: leave seq_len at 1 "
                f"and pad_video_seq off, got seq_len={seq_len}, pad_video_seq={pad_video_seq}"
            )
        stride = multiple_target if multiple_target_step is None else multiple_target_step
        _check_positive("multiple_target_step", stride)
        offsets = targets = np.arange(multiple_target)
    else:
        middle = seq_len - 1 if causal else seq_len // 2
        offsets = np.arange(seq_len) * seq_step
        if pad_video_seq:
            offsets, stride = offsets - middle * seq_step, 1
            middle = int(np.flatnonzero(offsets == 0)[0])
        targets = offsets[middle : middle + 1]
    if not 0 < fraction <= 1:
        raise ValueError(f"fraction must be above 0 and at most 1, got {fraction}")
    numbers = {key: number for number, key in enumerate(sorted(set(videos)))}
    video = np.array([numbers[key] for key in videos], np.int64)
    order = np.argsort(video, kind="stable")
    starts = np.searchsorted(video[order], np.arange(len(numbers)))
    ends = np.append(starts, len(order))[1:]
    reach = 0 if pad_video_seq else int(offsets[-1])
    counts = np.maximum(0, -(-(ends - starts - reach) // stride))
    firsts = np.repeat(starts, counts)
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    windows = Windows(
        order, firsts + stride * within, firsts, np.repeat(ends - 1, counts), offsets, targets
    )
    if fraction == 1:
        return windows
    size = int(len(windows) * fraction)
    begin = int(np.random.default_rng(seed).integers(len(windows) - size + 1))
    return windows.subset(slice(begin, begin + size))


def _check_positive(name: str, value) -> None:
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name} must be an integer of at least 1, got {value!r}")
