import json

import cv2
import numpy as np
import pytest

from keras_pose.datasets import KeypointDataset, TopdownAugment, TopdownCrops
from keras_pose.datasets.damaged import DamagedImages
from keras_pose.geometry import apply_affine, warp
from keras_pose.images import read_image
from keras_pose.skeleton import Skeleton

MOUSE = Skeleton("mouse", ["nose", "left_ear", "right_ear"], joint_weights=[2, 1, 1])


@pytest.fixture
def mice(tmp_path):
    """Four objects in two pictures; the nose of each is a white dot."""
    paths = [str(tmp_path / "a.png"), str(tmp_path / "b.png")]
    noses = np.array([[20, 30], [60, 25], [33, 44], [70, 70]], np.float32)
    for number, path in enumerate(paths):
        image = np.full((90, 100, 3), 40, np.uint8)
        for x, y in noses[2 * number : 2 * number + 2].astype(int):
            image[y - 1 : y + 2, x - 1 : x + 2] = 255
        cv2.imwrite(path, image)
    keypoints = noses[:, None] + np.array([[0, 0], [-6, 5], [6, 5]], np.float32)
    return KeypointDataset(
        MOUSE,
        [paths[0], paths[0], paths[1], paths[1]],
        [1, 1, 2, 2],
        [[100, 90]] * 4,
        np.concatenate([noses - 12, noses + 14], axis=1),
        keypoints,
        np.ones((4, 3)),
    )


@pytest.mark.parametrize(
    ("recipe", "size", "udp", "padding"),
    [
        ("td_192x256", (192, 256), False, 1.25),
        ("td_udp_288x384", (288, 384), True, 1.25),
        ("td_256x256", (256, 256), False, 1.5),
    ],
)
def test_crops_equal_reference(golden, recipe, size, udp, padding):
    raw, folder = golden / "datasets" / "raw", golden / "transforms"
    dataset = KeypointDataset.from_coco(raw / "coco/test_coco.json", raw / "coco", "coco")
    crops = TopdownCrops(dataset, size, box_padding=padding, udp=udp)
    arrays = np.load(folder / "pipelines.npz")
    index = json.loads((folder / "pipelines.json").read_text())["cases"]
    cases = [case for case in index if case["id"].startswith(f"{recipe}.")]
    assert cases
    for case in cases:
        name = case["id"]
        row = dataset.ids.tolist().index(case["instance_id"])
        image, labels = crops.crop(row)
        expected = arrays[f"{name}.transformed_keypoints"][0]
        np.testing.assert_allclose(labels["keypoints"], expected, atol=1e-2)
        pixels = image[..., ::-1].reshape(-1)
        places = np.sort(np.random.default_rng(pixels.size).choice(pixels.size, 2048, False))
        difference = np.abs(pixels[places].astype(int) - arrays[f"{name}.img"])
        assert difference.mean() <= 0.4 and difference.max() <= 8, name
        # back in the image as the reference does it: x / w * scale + centre - scale / 2
        if not udp:
            center, scale = arrays[f"{name}.input_center"], arrays[f"{name}.input_scale"]
            points = np.array([[0, 0], [17, 200]], np.float32)
            np.testing.assert_allclose(
                apply_affine(labels["affine"], points),
                points / size * scale + center - scale / 2,
                atol=1e-3,
            )


def test_batch_has_the_documented_shapes(mice):
    images, labels = TopdownCrops(mice, (48, 64)).batch(np.array([2, 0, 1]))
    assert images.shape == (3, 64, 48, 3) and images.dtype == np.uint8
    shapes = {key: (value.shape, value.dtype.name) for key, value in labels.items()}
    assert shapes == {
        "keypoints": ((3, 1, 3, 2), "float32"),
        "visible": ((3, 1, 3), "float32"),
        "affine": ((3, 2, 3), "float32"),
        "boxes": ((3, 1, 4), "float32"),
        "areas": ((3, 1), "float32"),
        "ids": ((3,), "int64"),
        "image_ids": ((3,), "int64"),
    }
    assert labels["ids"].tolist() == [3, 1, 2]


def test_joint_weights_are_a_label(mice):
    _, labels = TopdownCrops(mice, (48, 64), joint_weights=True).batch(np.arange(2))
    assert labels["weights"].tolist() == [[[2, 1, 1]]] * 2


@pytest.mark.parametrize("udp", [False, True])
def test_keypoints_sit_on_their_pixels_under_augmentation(mice, udp):
    augment = TopdownAugment()
    crops = TopdownCrops(mice, (96, 96), udp=udp, augment=augment)
    seen = 0
    for epoch in range(20):
        images, labels = crops.batch(np.arange(4), epoch)
        noses = labels["keypoints"][:, 0, 0]
        for image, (x, y) in zip(images, np.rint(noses).astype(int), strict=True):
            if 4 <= x < 92 and 4 <= y < 92:
                seen += 1
                assert image[y, x].min() > 180
        back = apply_affine(labels["affine"], labels["keypoints"][:, 0])
        np.testing.assert_allclose(back[:, 0], mice.keypoints[:, 0], atol=1e-2)
        mirrored = np.linalg.det(labels["affine"][:, :, :2]) < 0
        ears = np.where(mirrored[:, None, None], mice.keypoints[:, [2, 1]], mice.keypoints[:, 1:])
        np.testing.assert_allclose(back[:, 1:], ears, atol=1e-2)
    assert seen > 40


def test_crop_depends_on_seed_epoch_and_index_only(mice):
    def make(seed, epoch, index):
        return TopdownCrops(mice, (48, 64), augment=TopdownAugment(), seed=seed).crop(index, epoch)

    image, labels = make(1, 2, 3)
    again, _ = make(1, 2, 3)
    np.testing.assert_array_equal(image, again)
    for other in ((0, 2, 3), (1, 0, 3)):
        assert not np.allclose(make(*other)[1]["affine"], labels["affine"])


def test_shuffled_rows_are_a_permutation_of_every_epoch(mice):
    crops = TopdownCrops(mice, (48, 64))
    orders = {tuple(crops.rows(epoch, shuffle=True)) for epoch in range(20)}
    assert len(orders) > 5
    assert all(sorted(order) == [0, 1, 2, 3] for order in orders)
    assert crops.rows(3, True).tolist() == TopdownCrops(mice, (48, 64)).rows(3, True).tolist()


def test_people_of_an_image_stay_near_when_memory_is_short(mice):
    crops = TopdownCrops(mice, (48, 64), cache_bytes=2 * 100 * 90 * 4 - 1)
    for epoch in range(10):
        image_ids = mice.image_ids[crops.rows(epoch, shuffle=True)]
        assert image_ids[0] == image_ids[1] and image_ids[2] == image_ids[3]
    firsts = {int(mice.image_ids[crops.rows(epoch, shuffle=True)[0]]) for epoch in range(10)}
    assert firsts == {1, 2}


def test_picture_of_another_size_is_refused(mice):
    mice.image_sizes[:] = [90, 100]
    with pytest.raises(ValueError, match=r"a\.png has 100x90 pixels .* say 90x100"):
        TopdownCrops(mice, (48, 64)).crop(0)


def test_model_with_other_keypoints_is_refused(mice):
    with pytest.raises(ValueError, match="has 3 keypoints, the model has 17"):
        TopdownCrops(mice, (48, 64), skeleton=Skeleton.load("coco"))


def test_pixels_are_those_of_a_plain_warp(mice):
    crops = TopdownCrops(mice, (48, 64), augment=TopdownAugment())
    images, labels = crops.batch(np.arange(4))
    for row in range(4):
        expected = warp(read_image(mice.image_paths[row]), labels["affine"][row], (48, 64))
        np.testing.assert_array_equal(images[row], expected)


def test_every_image_is_decoded_once_an_epoch_though_few_fit(tmp_path):
    rng = np.random.default_rng(0)
    paths = [str(tmp_path / f"{i}.png") for i in range(24)]
    for path in paths:
        cv2.imwrite(path, rng.integers(0, 255, (20, 30, 3), np.uint8))
    count = 24 * 4
    data = KeypointDataset(
        MOUSE,
        np.repeat(paths, 4),
        np.repeat(np.arange(24), 4),
        [[30, 20]] * count,
        [[2, 2, 20, 18]] * count,
        np.ones((count, 3, 2)),
        np.ones((count, 3)),
    )
    crops = TopdownCrops(data, (8, 8), cache_bytes=8 * 20 * 30 * 4)
    for epoch in range(3):
        rows = crops.rows(epoch, shuffle=True)
        neighbours = data.image_ids[rows[:-1]] == data.image_ids[rows[1:]]
        assert neighbours.mean() < 0.5  # shuffled beyond the image
        for first in range(0, count, 8):
            crops.batch(rows[first : first + 8], epoch)
        # an image of a window may still be there when it comes again in the next epoch
        assert 24 * epoch + 16 <= crops.cache.decoded <= 24 * (epoch + 1)


def test_repeated_rows_have_draws_of_their_own(mice):
    crops = TopdownCrops(mice, (48, 64), augment=TopdownAugment())
    _, labels = crops.batch(np.array([1, 5, 9]))
    assert labels["ids"].tolist() == [2, 2, 2]
    assert len(np.unique(labels["affine"].round(3), axis=0)) == 3


def test_damaged_image_is_an_error_unless_somebody_counts(mice, tmp_path):
    (tmp_path / "b.png").write_bytes(b"no picture")
    crops = TopdownCrops(mice, (48, 64))
    with pytest.raises(ValueError, match=r"b\.png is corrupt"):
        crops.batch(np.arange(4))
    crops.damaged = DamagedImages("mice", 2, 1)
    images, labels = crops.batch(np.arange(4))
    assert images.any(axis=(1, 2, 3)).tolist() == [True, True, False, False]
    assert labels["visible"].any(axis=(1, 2)).tolist() == [True, True, False, False]
    with pytest.warns(UserWarning, match="1 of 2 images"):
        crops.damaged.end_batch(0)
