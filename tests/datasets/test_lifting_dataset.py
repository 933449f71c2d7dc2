import keras
import numpy as np
import pytest

from keras_pose.datasets import RandomPoseFlip, lifting_dataset, walking_sequences

pytest.importorskip("tensorflow")


@pytest.fixture(scope="module")
def walks():
    return walking_sequences(
        films=2, frames=50, seq_len=9, causal=False, pad_video_seq=True, seed=1
    )


def epochs(dataset, count=2):
    return [
        [keras.tree.map_structure(np.asarray, batch) for batch in dataset] for _ in range(count)
    ]


def test_batches_in_order(walks):
    dataset = lifting_dataset(walks, batch_size=32)
    assert dataset.cardinality() == 4
    assert dataset.element_spec[0].shape.as_list() == [None, 9, 17, 2]
    ((first, *_), _) = epochs(dataset)
    inputs, labels = walks.batch(np.arange(32))
    np.testing.assert_array_equal(first[0], inputs)
    for key, value in labels.items():
        np.testing.assert_array_equal(first[1][key], value)


def test_epochs_repeat_whatever_the_parallelism(walks):
    arguments = dict(batch_size=16, training=True, augment=RandomPoseFlip(), seed=3)
    one = epochs(lifting_dataset(walks, workers=1, **arguments))
    four = epochs(lifting_dataset(walks, workers=4, **arguments))
    for a, b in zip(one, four, strict=True):
        for (x, _), (y, _) in zip(a, b, strict=True):
            np.testing.assert_array_equal(x, y)
    assert (one[0][0][0] != one[1][0][0]).any()
    again = epochs(lifting_dataset(walks, first_epoch=1, **arguments), 1)
    np.testing.assert_array_equal(again[0][0][0], one[1][0][0])


def test_a_lifter_learns_to_walk(walks):
    """What comes out is what a model can be fitted to."""
    pose = keras.Input((9, 17, 2))
    x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 500, -1)(pose))
    x = keras.layers.Dense(128, "relu")(x)
    model = keras.Model(pose, keras.layers.Reshape((1, 17, 3))(keras.layers.Dense(51)(x)))
    model.compile(keras.optimizers.Adam(3e-3), "mse")

    def rooted(keypoints, labels):
        target = labels["keypoints_3d"]
        return keypoints, target - target[:, :, :1]

    train = lifting_dataset(walks, batch_size=25, training=True).map(rooted)
    losses = model.fit(train, epochs=30, verbose=0).history["loss"]
    assert losses[-1] < 0.1 * losses[0]


def test_what_cannot_be_batches(walks):
    with pytest.raises(ValueError, match="walking has no windows to make batches of"):
        lifting_dataset(walks[:0])
    with pytest.raises(ValueError, match="batch_size must be an integer of at least 1, got 0"):
        lifting_dataset(walks, batch_size=0)
