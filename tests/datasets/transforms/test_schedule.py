import pytest

from keras_pose.datasets.transforms.schedule import AugmentSchedule, augment_at


def test_epochs_choose_the_augmentation():
    schedule = AugmentSchedule("strong", {280: "gentle", 295: None})
    assert [augment_at(schedule, epoch) for epoch in (0, 279, 280, 294, 295, 400)] == [
        "strong",
        "strong",
        "gentle",
        "gentle",
        None,
        None,
    ]


def test_what_is_no_schedule_stays():
    assert augment_at("strong", 300) == "strong"
    assert augment_at(None, 3) is None


@pytest.mark.parametrize("epoch", [0, -1, 1.5, "280", True])
def test_epochs_are_checked(epoch):
    with pytest.raises(ValueError, match="at least 1"):
        AugmentSchedule(None, {epoch: None})
