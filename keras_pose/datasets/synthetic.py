"""Films of a walking figure, made of formulas: for examples and tests of 3D lifting.

The figure has Human3.6M's 17 joints. Thighs, shanks and arms swing as sines with the phases of a
gait; bone lengths are those of an adult and stay the same throughout a film. Nothing is measured
from people: a model that is trained on it knows nothing of the world.
"""

from typing import Any

import numpy as np

from keras_pose.datasets.sequences import PoseSequences
from keras_pose.datasets.windows import sliding_windows
from keras_pose.geometry import Camera
from keras_pose.skeleton import Skeleton

# metres, of a figure of 1.75 m
THIGH, SHANK, HIP_WIDTH = 0.44, 0.43, 0.13
SPINE, CHEST, NECK, HEAD = 0.24, 0.25, 0.11, 0.12
SHOULDER_WIDTH, UPPER_ARM, FOREARM = 0.17, 0.28, 0.25


def walking_pose(
    phase: np.ndarray, stride: float | np.ndarray = 0.5, arms: float | np.ndarray = 0.4
) -> np.ndarray:
    """The joints of a walking figure about its root.

    Args:
        phase: array `(...)`, radians; a step of each leg every 2 pi.
        stride: float or array `(...)`, how far a thigh swings to either side, radians.
        arms: float or array `(...)`, how far an upper arm swings, radians.

    Returns:
        float64 `(..., 17, 3)`, metres, in the order of the skeleton "h36m": x to the figure's left,
        y up, z to where it walks.
    """
    phase = np.asarray(phase, np.float64)
    root = np.zeros((*phase.shape, 3))
    joints = {"root": root}
    twist = 0.12 * np.sin(phase)
    sway = 0.03 * np.sin(2 * phase)
    spine = root + SPINE * _upright(0.04 + sway, 0.0)
    thorax = spine + CHEST * _upright(0.06 + sway, 0.0)
    neck = thorax + NECK * _upright(0.15, 0.0)
    joints |= {"spine": spine, "thorax": thorax, "neck_base": neck}
    joints["head"] = neck + HEAD * _upright(-0.05, 0.0)
    for side, sign, beat in (("left", 1.0, phase), ("right", -1.0, phase + np.pi)):
        across = sign * np.stack([np.cos(twist), 0 * twist, -np.sin(twist)], -1)
        hip = root + HIP_WIDTH * across
        swing = stride * np.sin(beat)
        # the knee bends while the leg comes forward
        bend = 0.1 + 0.9 * np.maximum(0, np.cos(beat)) ** 2
        knee = hip - THIGH * _upright(-swing, 0.0)
        foot = knee - SHANK * _upright(bend - swing, 0.0)
        back = sign * np.stack([np.cos(twist), 0 * twist, np.sin(twist)], -1)
        shoulder = thorax + SHOULDER_WIDTH * back
        swing = -arms * np.sin(beat)
        elbow = shoulder - UPPER_ARM * _upright(-swing, sign * 0.08)
        wrist = elbow - FOREARM * _upright(-swing - 0.35, sign * 0.04)
        joints |= {f"{side}_hip": hip, f"{side}_knee": knee, f"{side}_foot": foot}
        joints |= {f"{side}_shoulder": shoulder, f"{side}_elbow": elbow, f"{side}_wrist": wrist}
    return np.stack([joints[name] for name in Skeleton.load("h36m").keypoints], -2)


def walking_sequences(
    films: int = 4,
    frames: int = 200,
    seed: int = 0,
    noise: float = 0.0,
    frame_rate: float = 50.0,
    labelled: int | None = None,
    **windows: Any,
) -> PoseSequences:
    """Films of figures that walk past cameras.

    Every film has its own figure (size, step length, pace and swing of the arms), path and camera;
    the camera stands 4 to 6 m away at the height of a person's chest and has Human3.6M's resolution
    and focal length, without distortion.

    Args:
        films: int. Default 4.
        frames: int, of each film. Default 200.
        seed: int.
        noise: float, standard deviation of what is added to the 2D keypoints, pixels.
        frame_rate: float, frames a second.
        labelled: int, how many of the films, the first ones, have 3D labels; of the others
            `visible_3d` is 0, for `PoseLifter(semi_loss=...)`. Default: all.
        **windows: arguments of `sliding_windows`, such as `seq_len=27, causal=False`.

    Returns:
        PoseSequences, the same for the same arguments.

    Example:
        >>> walks = walking_sequences(films=8, seq_len=27, causal=False, pad_video_seq=True)
        >>> inputs, labels = walks.batch([0])
    """
    rng = np.random.default_rng(seed)
    cameras, points, pixels = [], [], []
    for _ in range(films):
        world = _walk(rng, frames, frame_rate)
        camera = _camera(rng)
        inside = camera.to_camera(world)
        cameras.append(camera)
        points.append(inside)
        seen = camera.project(inside)
        pixels.append(seen + noise * rng.standard_normal(seen.shape))
    film = np.repeat(np.arange(films), frames)
    known = np.broadcast_to(
        film[:, None] < (films if labelled is None else labelled), (len(film), 17)
    )
    return PoseSequences(
        "h36m",
        np.concatenate(pixels) if films else np.zeros((0, 17, 2)),
        np.concatenate(points) if films else np.zeros((0, 17, 3)),
        visible_3d=known,
        windows=sliding_windows(film.tolist(), **windows),
        cameras=cameras,
        camera_ids=film,
        name="walking",
    )


def _upright(pitch, roll) -> np.ndarray:
    """Unit vectors that point up, tipped forward by `pitch` and to the left by `roll`."""
    pitch, roll = np.broadcast_arrays(np.asarray(pitch, np.float64), roll)
    return np.stack([np.sin(roll), np.cos(roll) * np.cos(pitch), np.cos(roll) * np.sin(pitch)], -1)


def _walk(rng: np.random.Generator, frames: int, frame_rate: float) -> np.ndarray:
    """Joints `(F, 17, 3)` in the world: x and y on the floor, z up, metres."""
    size, stride = rng.uniform(0.85, 1.1), rng.uniform(0.35, 0.55)
    pace = rng.uniform(0.8, 1.1)  # double steps a second
    phase = rng.uniform(0, 2 * np.pi) + 2 * np.pi * pace * np.arange(frames) / frame_rate
    pose = size * walking_pose(phase, stride, rng.uniform(0.2, 0.5))
    # the lower foot is on the floor
    height = -pose[..., 1].min(axis=-1)
    # a circle through the middle of the scene, walked at the pace of the steps
    speed = 4 * stride * (THIGH + SHANK) * size * pace * 0.6
    radius, turn = rng.uniform(0.8, 1.6), rng.choice([-1, 1])
    heading = rng.uniform(0, 2 * np.pi) + turn * speed / radius * np.arange(frames) / frame_rate
    forward = np.stack([np.cos(heading), np.sin(heading)], -1)
    left = np.stack([-forward[:, 1], forward[:, 0]], -1)
    place = -turn * radius * left
    ground = pose[..., :1] * left[:, None] + pose[..., 2:] * forward[:, None] + place[:, None]
    return np.concatenate([ground, pose[..., 1:2] + height[:, None, None]], -1)


def _camera(rng: np.random.Generator) -> Camera:
    """A level camera that looks at the middle of the scene."""
    angle, distance = rng.uniform(0, 2 * np.pi), rng.uniform(4.0, 6.0)
    position = np.array([distance * np.cos(angle), distance * np.sin(angle), rng.uniform(1.2, 1.6)])
    forward = np.array([0, 0, 0.9]) - position
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, [0, 0, 1.0])
    right /= np.linalg.norm(right)
    down = np.cross(forward, right)
    rotation = np.stack([right, down, forward], -1)
    return Camera((1145.0, 1144.0), (512.0, 510.0), rotation, position, size=(1000, 1002))
