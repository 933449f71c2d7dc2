import keras
import numpy as np
import pytest
from keras import ops

from keras_pose.training.mmpose_schedule import schedule_row
from keras_pose.training.schedule import ChainedSchedule

WARMUP = {"rule": "linear", "unit": "step", "end": 1000, "start": 1e-5}


def _schedule(case, base):
    settings = case["args"]
    rows = [schedule_row(row) for row in settings["schedulers"]]
    return ChainedSchedule(base, rows, settings["max_epochs"], settings["iters_per_epoch"])


@pytest.mark.cases("training/lr_schedules")
def test_schedule_is_the_reference_s(case, golden):
    stored = np.load(golden / "training/lr_schedules.npz")[f"{case['id']}/out/lr"]
    schedule = _schedule(case, case["args"]["base_lrs"][0])
    rates_of_first = schedule.rates()
    for group, base in enumerate(case["args"]["base_lrs"]):
        rates = schedule.rates(base)
        np.testing.assert_allclose(rates, stored[:, group], rtol=0, atol=1e-9 * base)
        steps = np.linspace(0, len(rates) - 1, 9).astype(int)
        looked_up = [float(schedule(int(i))) for i in steps]
        np.testing.assert_allclose(looked_up, rates_of_first[steps], rtol=1e-6)


def test_a_compiled_step_reads_its_own_rate(compiled):
    schedule = ChainedSchedule(4e-3, [WARMUP, {"rule": "cosine", "begin": 3, "smooth": True}], 6, 9)
    rates = schedule.rates()
    look_up = compiled(lambda step: schedule(step))
    for step in (0, 7, 26, 27, 41, 53):
        assert look_up(np.int32(step)) == pytest.approx(rates[step], rel=1e-6)
    assert look_up(np.int32(99)) == pytest.approx(rates[-1], rel=1e-6)


def test_a_warmup_that_overlaps_the_decay_goes_on():
    rows = [{"rule": "linear", "unit": "step", "end": 9, "start": 0.1}]
    rows.append({"rule": "multistep", "milestones": [1]})
    rates = ChainedSchedule(1.0, rows, 3, 5).rates()
    alone = ChainedSchedule(1.0, rows[:1], 3, 5).rates()
    np.testing.assert_allclose(rates, alone * np.repeat([1, 0.1, 0.1], 5))


def test_offset_completes_the_rates_of_other_bases():
    rows = [{"rule": "cosine", "begin": 1, "smooth": True, "floor": 2e-4}]
    schedule = ChainedSchedule(4e-3, rows, 4, 3)
    scaled = [
        0.05 * float(schedule(i)) + 0.95 * float(schedule.offset(i))
        for i in range(len(schedule.rates()))
    ]
    np.testing.assert_allclose(scaled, schedule.rates(0.05 * 4e-3), rtol=1e-5)


def test_config_round_trip():
    schedule = ChainedSchedule(4e-3, [WARMUP], 2, 3)
    config = keras.saving.serialize_keras_object(schedule)
    again = keras.saving.deserialize_keras_object(config)
    np.testing.assert_array_equal(again.rates(), schedule.rates())


def test_long_runs_are_stored_in_stretches():
    schedule = ChainedSchedule(1e-3, [{"rule": "multistep", "milestones": [170, 200]}], 210, 100)
    assert len(schedule._starts) == 3
    assert ops.shape(schedule(5)) == ()


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"rule": "cosin"}, "unknown rule 'cosin'; did you mean cosine"),
        ({"rule": "linear", "begn": 3}, "unknown setting 'begn'; did you mean begin"),
        ({"rule": "multistep"}, "needs 'milestones'"),
        ({"rule": "linear", "begin": 5, "end": 5}, "begin 5 and end 5"),
        ({"rule": "linear", "start": 0}, "start must be above 0, got 0"),
        ({"rule": "linear", "unit": "iteration"}, '"epoch" or "step", got \'iteration\''),
    ],
)
def test_rows_that_make_no_sense_are_refused(row, message):
    with pytest.raises(ValueError, match=message):
        ChainedSchedule(1.0, [row], 2, 2)


def test_unknown_types_of_mmengine_are_refused():
    with pytest.raises(ValueError, match="unknown type 'PolyLR'; known are ConstantLR"):
        schedule_row({"type": "PolyLR"})
    with pytest.raises(ValueError, match="LinearLR: unknown setting 'start_factr'; did you mean"):
        schedule_row({"type": "LinearLR", "start_factr": 0.1})
