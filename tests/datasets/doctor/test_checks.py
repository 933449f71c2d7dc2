"""Each check finds its fault, and nothing else does."""

import json
import shutil
import time

import cv2
import numpy as np
import pytest

from keras_pose.datasets import check
from keras_pose.datasets.doctor.table import CHECKS, PICTURE_CHECKS, SPLIT_CHECKS, SPLIT_NAME_CHECK


def found(report):
    return {finding.check for finding in report.findings}


def run(sample, **options):
    return check(sample.data, sample.folder, sample.skeleton, **options)


def test_a_data_set_without_faults_has_no_findings(sample):
    report = run(sample)
    assert report.findings == ()
    assert (report.ok, report.exit_code(strict=True), report.not_checked) == (True, 0, ())


def first(key, **values):
    """Sets values of the first image, annotation or category; None removes them."""

    def change(sample):
        entry = sample.data[key][0]
        entry |= values
        for name in [name for name, value in values.items() if value is None]:
            del entry[name]

    return change


def keypoint(**values):
    """Sets x, y or v of the first keypoint of the first annotation."""

    def change(sample):
        points = sample.points(0)
        for name, value in values.items():
            points[0, "xyv".index(name)] = value
        sample.set_points(0, points)
        sample.data["annotations"][0]["num_keypoints"] = int((points[:, 2] > 0).sum())

    return change


def every_point(function):
    def change(sample):
        for place in range(len(sample.data["annotations"])):
            points = sample.points(place)
            box = sample.data["annotations"][place]["bbox"]
            points[:, :2] = function(points[:, :2], np.array(box))
            sample.set_points(place, points)

    return change


def every_box(function):
    def change(sample):
        for annotation in sample.data["annotations"]:
            annotation["bbox"] = [float(v) for v in function(*annotation["bbox"])]

    return change


def both(*changes):
    def change(sample):
        for each in changes:
            each(sample)

    return change


def swap_rows(*pairs, count=4):
    def change(sample):
        for place in range(count):
            points = sample.points(place)
            for a, b in pairs:
                points[[a, b]] = points[[b, a]]
            sample.set_points(place, points)

    return change


def copied_object(sample):
    sample.data["annotations"].append({**sample.data["annotations"][0], "id": 99})


def unlabelled_last(sample):
    for place in range(len(sample.data["annotations"])):
        points = sample.points(place)
        points[5] = 0
        sample.set_points(place, points)
        sample.data["annotations"][place]["num_keypoints"] = 5


def nothing_labelled(sample):
    sample.set_points(0, np.zeros((6, 3)))
    sample.data["annotations"][0]["num_keypoints"] = 0


def two_labelled(sample):
    points = sample.points(0)
    points[2:] = 0
    sample.set_points(0, points)
    sample.data["annotations"][0]["num_keypoints"] = 2


def hidden_meant(sample):
    for place in range(len(sample.data["annotations"])):
        points = sample.points(place)
        points[:, 2] = 1
        points[place % 6, 2] = 0
        sample.set_points(place, points)
        sample.data["annotations"][place]["num_keypoints"] = 5


def pixels(sample, name, change):
    path = str(sample.folder / name)
    picture = cv2.imread(path)
    cv2.imwrite(path, change(picture))


def same_file(sample):
    shutil.copy(sample.folder / "1.png", sample.folder / "2.png")


def similar_file(sample):
    picture = cv2.imread(str(sample.folder / "1.png"))
    cv2.imwrite(str(sample.folder / "2.png"), np.clip(picture.astype(int) + 3, 0, 255))


def cut_file(sample):
    path = sample.folder / "1.png"
    path.write_bytes(path.read_bytes()[:200])


def turned_file(sample):
    """A JPEG whose EXIF data turn it by a quarter; the file names the size before."""
    entry = sample.data["images"][0]
    picture = cv2.imread(str(sample.folder / entry["file_name"]))
    entry["file_name"] = "turned.jpg"
    data = cv2.imencode(".jpg", picture)[1].tobytes()
    tiff = (
        b"II*\x00\x08\x00\x00\x00\x01\x00\x12\x01\x03\x00\x01\x00\x00\x00\x06\x00\x00\x00"
        + bytes(4)
    )
    exif = b"Exif\x00\x00" + tiff
    segment = b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif
    (sample.folder / "turned.jpg").write_bytes(data[:2] + segment + data[2:])


def skeleton(**values):
    return lambda sample: sample.skeleton.update(values)


def one_way_swap(sample):
    del sample.skeleton["swaps"]
    points = [{"name": name} for name in sample.skeleton["keypoints"]]
    for a, b in ((1, 2), (2, 1), (3, 4), (4, 3)):
        points[a]["swap"] = points[b]["name"]
    points[0]["swap"] = "left_ear"
    sample.skeleton["keypoints"] = points


def nameless_sides(sample):
    """Names that tell nothing, so that only the poses contradict the pairs."""
    names = ["a", "b", "c", "d", "e", "f"]
    sample.data["categories"][0]["keypoints"] = names
    sample.skeleton |= {"keypoints": names, "links": [], "swaps": [["b", "e"], ["c", "d"]]}


def bent(sample):
    """All animals curl to their left: mirrored pictures show what is never seen."""
    for place in range(len(sample.data["annotations"])):
        random = np.random.default_rng(place)
        shape = np.array([[40, 0], [30, 3], [20, 8], [-60, 40], [15, -30], [0, 70]], float)
        shape = shape + random.normal(0, 0.5, shape.shape)
        points = sample.points(place)
        points[:, :2] = shape * 0.7 + [100, 60]
        sample.set_points(place, points)
        low, high = points[:, :2].min(axis=0) - 2, points[:, :2].max(axis=0) + 2
        entry = sample.data["annotations"][place]
        box = [*low.tolist(), *(high - low).tolist()]
        entry |= {"bbox": box, "area": box[2] * box[3]}
    sample.skeleton["swaps"] = []
    names = ["a", "b", "c", "d", "e", "f"]
    sample.data["categories"][0]["keypoints"] = names
    sample.skeleton |= {"keypoints": names, "links": []}


# What is done to the data set, and the one check that must find it.
FAULTS = [
    ("entry-type", lambda s: s.data["annotations"].append(3)),
    ("image-id", lambda s: s.data["images"].append({**s.data["images"][0], "id": "x"})),
    ("image-id-twice", lambda s: s.data["images"].append({**s.data["images"][0]})),
    ("annotation-id", first("annotations", id="1")),
    ("annotation-id", first("annotations", id=None)),
    ("annotation-id-twice", first("annotations", id=2)),
    ("annotation-id-zero", first("annotations", id=0)),
    ("image-unknown", first("annotations", image_id=77)),
    ("image-unknown", first("annotations", image_id="1")),
    ("categories-missing", lambda s: s.data.pop("categories")),
    ("category-id", lambda s: s.data["categories"].append({**s.data["categories"][0]})),
    ("category-unknown", first("annotations", category_id=7)),
    ("keypoint-order", lambda s: s.data["categories"][0]["keypoints"].reverse()),
    ("keypoint-order", lambda s: s.data["categories"][0]["keypoints"].pop()),
    ("links", first("categories", skeleton=[[1, 2], [1, 99]])),
    ("keypoints-missing", first("annotations", keypoints=[])),
    ("keypoints-type", first("annotations", keypoints=[[1, 2, 2]] * 6)),
    ("keypoints-type", first("annotations", keypoints=["1"] * 18)),
    ("keypoint-count", first("annotations", keypoints=[1.0] * 12)),
    ("file-name", first("images", file_name=None)),
    ("file-name-twice", lambda s: s.data["images"][1].update(file_name="1.png")),
    ("image-size-missing", first("images", width=None)),
    ("image-size-wrong", first("images", height=-160)),
    ("image-size-wrong", first("images", height="160")),
    ("image-without-object", lambda s: s.data["annotations"].pop()),
    ("coordinate-form", every_box(lambda x, y, w, h: (x, y, x + w, y + h))),
    ("coordinate-form", every_box(lambda x, y, w, h: (x + w / 2, y + h / 2, w, h))),
    ("coordinate-form", every_point(lambda points, box: points / (200, 160))),
    ("coordinate-form", every_point(lambda points, box: points - box[:2])),
    ("coordinate-form", every_point(lambda points, box: (points - box[:2]) / box[2:])),
    ("coordinate-form", every_point(lambda points, box: points[:, ::-1])),
    (
        "coordinate-form",
        both(
            every_point(lambda points, box: points / (200, 160)),
            every_box(lambda x, y, w, h: (x / 200, y / 160, w / 200, h / 160)),
        ),
    ),
    ("keypoint-not-finite", keypoint(x=float("nan"))),
    ("visibility-flag", keypoint(v=3)),
    ("visibility-flag", keypoint(v=0.7)),
    ("keypoint-outside", keypoint(x=230)),
    ("keypoint-outside", keypoint(y=-20)),
    ("keypoint-at-origin", keypoint(x=0, y=0)),
    ("unlabelled-position", keypoint(v=0)),
    ("unlabelled-position", hidden_meant),
    ("never-labelled", unlabelled_last),
    ("few-keypoints", two_labelled),
    ("object-unlabelled", nothing_labelled),
    ("object-twice", copied_object),
    ("num-keypoints-missing", first("annotations", num_keypoints=None)),
    ("num-keypoints-wrong", first("annotations", num_keypoints=2)),
    ("box-missing", first("annotations", bbox=None)),
    ("box-type", first("annotations", bbox=[1, 2, 3])),
    ("box-type", first("annotations", bbox=[1, 2, 3, float("inf")])),
    ("box-empty", lambda s: s.data["annotations"][0]["bbox"].__setitem__(2, 0)),
    ("box-outside", first("annotations", bbox=[300, 10, 50, 50], area=2000)),
    ("box-beyond", first("annotations", bbox=[-80, -80, 400, 400], area=80000)),
    ("box-not-enclosing", first("annotations", bbox=[0, 0, 20, 20], area=300)),
    ("area-missing", first("annotations", area=None)),
    ("area-wrong", first("annotations", area=1e9)),
    ("area-wrong", first("annotations", area=0.4)),
    ("swap-asymmetric", one_way_swap),
    ("swap-names", skeleton(swaps=[["left_ear", "right_foot"], ["left_foot", "right_ear"]])),
    ("swap-data", nameless_sides),
    ("side-alone", lambda s: rename(s, 1, "left_whisker")),
    ("links-one-sided", skeleton(links=[["nose", "left_ear"]])),
    ("mirror-unlike", bent),
    ("sides-swapped", swap_rows((1, 2), (3, 4))),
    ("sides-swapped", swap_rows((3, 4))),
    ("sigmas-missing", skeleton(sigmas=None)),
    ("image-missing", lambda s: (s.folder / "1.png").unlink()),
    ("image-corrupt", cut_file),
    ("image-turned", turned_file),
    ("image-size-differs", lambda s: pixels(s, "1.png", lambda p: p[:, :150])),
    ("image-twice", same_file),
    ("image-similar", similar_file),
]

# What follows from a fault beside the finding itself.
CONSEQUENCES = {
    "annotation-id": set(),
    "image-id": {"file-name-twice", "image-without-object"},
    "image-id-twice": {"file-name-twice"},
    "image-unknown": {"image-without-object"},
    "category-unknown": set(),
    "file-name-twice": set(),
    "keypoint-outside": set(),
    "coordinate-form": {"box-beyond", "box-not-enclosing", "area-wrong", "keypoint-outside"},
    "swap-names": {"swap-data", "sides-swapped", "links-one-sided"},
    "swap-data": {"sides-swapped"},
    "swap-asymmetric": set(),
    "side-alone": {"swap-data"},
    "links-one-sided": set(),
    "keypoint-order": {"links"},
    "box-empty": {"box-not-enclosing"},
    "box-type": {"box-not-enclosing"},
    "box-outside": {"box-not-enclosing"},
    "keypoint-at-origin": {"sides-swapped"},
}


def rename(sample, index, name):
    sample.skeleton["keypoints"][index] = name
    sample.data["categories"][0]["keypoints"][index] = name
    sample.skeleton["swaps"], sample.skeleton["links"] = [["left_foot", "right_foot"]], []


@pytest.mark.parametrize(
    ("name", "change"), FAULTS, ids=[f"{name}-{i}" for i, (name, _) in enumerate(FAULTS)]
)
def test_a_fault_is_found(sample, name, change):
    change(sample)
    report = run(sample)
    assert name in found(report)
    assert found(report) <= {name, *CONSEQUENCES.get(name, ())}
    (finding,) = [finding for finding in report.findings if finding.check == name]
    assert finding.count >= 1
    assert finding.message.endswith(".")
    assert finding.remedy.endswith(".")
    json.dumps(report.to_dict())
    assert max(len(line) for line in str(report).splitlines()) <= 100


def test_every_check_has_a_fault():
    names = {row.name for row in (*CHECKS, *PICTURE_CHECKS)}
    # These need a file without any names, or no skeleton beside it: see below.
    assert {name for name, _ in FAULTS} == names - {"keypoint-names", "category-keypoints"}


def test_keypoints_without_names(sample):
    del sample.data["categories"][0]["keypoints"]
    assert found(check(sample.data, sample.folder)) == {"keypoint-names"}


def test_categories_with_keypoints_of_their_own(sample):
    ant = {"id": 2, "name": "ant", "keypoints": ["head", "tail"]}
    sample.data["categories"].append(ant)
    labels = {"category_id": 2, "num_keypoints": 2, "keypoints": [90.0, 70, 2, 110, 80, 2]}
    sample.data["annotations"].append({**sample.data["annotations"][0], "id": 99, **labels})
    (finding,) = [f for f in check(sample.data, sample.folder).findings if f.severity == "error"]
    assert finding.check == "category-keypoints"
    assert "'mouse' 6, 'ant' 2" in finding.message


def test_boxes_as_corners_are_named_where_some_leave_keypoints_outside(sample):
    every_box(lambda x, y, w, h: (x, y, x + w, y + h))(sample)
    for place in (0, 1):
        x, y, right, bottom = sample.data["annotations"][place]["bbox"]
        middle = [(x + right) / 2, (y + bottom) / 2]
        sample.data["annotations"][place]["bbox"] = [x, y, *middle]
    assert "coordinate-form" in found(run(sample))


def test_one_is_not_plural(sample):
    first("annotations", bbox=[-80, -80, 400, 400], area=80000)(sample)
    assert "1 box reaches beyond its image" in str(run(sample))
    first("annotations", bbox=[-9, 9, 0, 9])(sample)
    report = str(run(sample))
    assert "1 box has no positive width" in report
    assert "14 objects in 14 images" in report


def test_a_stray_box_beyond_its_image_is_a_note(sample):
    sample.data["annotations"] *= 10
    for number, entry in enumerate(sample.data["annotations"], 1):
        sample.data["annotations"][number - 1] = {**entry, "id": number}
    sample.data["annotations"][0]["bbox"] = [-80, -80, 400, 400]
    (finding,) = [f for f in run(sample).findings if f.check == "box-beyond"]
    assert finding.severity == "note"
    for entry in sample.data["annotations"][:2]:
        entry["bbox"] = [-80, -80, 400, 400]
    (finding,) = [f for f in run(sample).findings if f.check == "box-beyond"]
    assert finding.severity == "warning"


def test_long_lists_of_pairs_are_cut_and_whole_in_json(sample):
    nameless_sides(sample)
    (finding,) = [f for f in run(sample).findings if f.check == "swap-data"]
    assert finding.to_dict()["example"]["suggested_swaps"] == [["b", "c"], ["d", "e"]]
    assert "swaps with e in the skeleton" in str(finding)


def test_the_pairs_that_the_data_suggest_are_named(sample):
    nameless_sides(sample)
    (finding,) = [f for f in run(sample).findings if f.check == "swap-data"]
    assert "b - c" in finding.message
    assert "d - e" in finding.message


def test_exchanged_sides_are_named_by_annotation(sample):
    swap_rows((1, 2), (3, 4), count=1)(sample)
    (finding,) = [f for f in run(sample).findings if f.check == "sides-swapped"]
    assert {sample.data["annotations"][p]["id"] for p in finding.annotations} == {1}


@pytest.mark.parametrize(
    ("box", "words"),
    [
        (lambda x, y, w, h: (x, y, x + w, y + h), "corners x1, y1, x2, y2"),
        (lambda x, y, w, h: (x / 200, y / 160, w / 200, h / 160), "boxes are fractions"),
        (lambda x, y, w, h: (y, x, h, w), "are y, x"),
    ],
)
def test_the_form_of_boxes_is_named(sample, box, words):
    every_box(box)(sample)
    (finding,) = [f for f in run(sample).findings if f.check == "coordinate-form"]
    assert words in finding.message


class TestSplits:
    def test_splits_that_share_nothing(self, sample):
        other = sample.copy()
        other.data["images"] = other.data["images"][7:]
        other.data["annotations"] = other.data["annotations"][7:]
        sample.data["images"] = sample.data["images"][:7]
        sample.data["annotations"] = sample.data["annotations"][:7]
        assert found(run(sample, against=[other.data])) <= {"sides-swapped"}
        assert not found(check(sample.data, None, sample.skeleton, [other.data]))

    def test_the_same_file_under_another_name(self, sample):
        shutil.copy(sample.folder / "3.png", sample.folder / "copy.png")
        image = {"id": 1, "file_name": "copy.png", "width": 200, "height": 160}
        other = {"images": [image], "annotations": [], "categories": []}
        report = run(sample, against=[other])
        assert found(report) == {SPLIT_CHECKS[0].name}
        assert report.findings[0].example["file"] == "3.png"
        assert not report.ok

    def test_a_similar_file(self, sample):
        picture = cv2.imread(str(sample.folder / "3.png"))
        cv2.imwrite(str(sample.folder / "copy.jpg"), picture)
        image = {"id": 1, "file_name": "copy.jpg", "width": 200, "height": 160}
        other = {"images": [image], "annotations": [], "categories": []}
        assert found(run(sample, against=[other])) == {SPLIT_CHECKS[1].name}

    def test_names_where_there_are_no_files(self, sample):
        report = check(sample.data, None, sample.skeleton, [sample.data])
        assert found(report) == {SPLIT_NAME_CHECK.name}
        assert report.not_checked


class TestSigmas:
    def test_of_objects_annotated_twice(self, sample):
        """Errors of a known size give the sigma that COCO's definition says."""
        random = np.random.default_rng(0)
        other = sample.copy()
        sigmas = np.array([0.01, 0.02, 0.02, 0.03, 0.03, 0.05])
        for place, annotation in enumerate([*sample.data["annotations"]] * 10):
            source = other.points(place % 14)
            twin = {**annotation, "id": 1000 + place}
            noise = random.normal(0, 1, (2, 6, 2)) / np.sqrt(2) * sigmas[:, None]
            noise *= np.sqrt(annotation["area"])
            for target, error in ((sample, noise[0]), (other, noise[1])):
                points = source.copy()
                points[:, :2] += error
                target.data["annotations"].append({**twin, "keypoints": points.ravel().tolist()})
        sample.data["annotations"] = sample.data["annotations"][14:]
        other.data["annotations"] = other.data["annotations"][14:]
        report = run(sample, against=[other.data], estimate_sigmas=True)
        assert "annotated twice: the root" in report.facts["sigmas_method"]
        np.testing.assert_allclose(report.facts["sigmas"], sigmas, rtol=0.15)

    def test_the_substitute_says_what_it_is(self, sample):
        report = run(sample, estimate_sigmas=True)
        assert report.facts["sigmas_method"].startswith("a substitute")
        assert np.mean(report.facts["sigmas"]) == pytest.approx(0.067, abs=1e-3)

    def test_too_few_objects(self, sample):
        sample.data["annotations"] = sample.data["annotations"][:3]
        report = run(sample, estimate_sigmas=True)
        assert "sigmas" not in report.facts
        assert any("sigmas" in text for text in report.not_checked)


def test_the_sheet_is_a_picture(sample):
    first("annotations", bbox=[0, 0, 20, 20], area=300)(sample)
    (sample.folder / "2.png").unlink()
    run(sample, sheet=sample.folder / "sheet.png")
    picture = cv2.imread(str(sample.folder / "sheet.png"))
    assert picture.shape[0] > 600
    assert picture.std() > 10


def test_broken_files_are_refused_in_one_sentence(tmp_path):
    path = tmp_path / "a.json"
    for text in ('{"images": [', "[]", '{"images": []}', '{"images": {}, "annotations": []}'):
        path.write_text(text)
        with pytest.raises(ValueError, match="is not"):
            check(path)
    with pytest.raises(FileNotFoundError, match="no annotation file"):
        check(tmp_path / "b.json")
    path.write_text('{"images": [], "annotations": []}')
    with pytest.raises(FileNotFoundError, match="no image folder"):
        check(path, tmp_path / "nowhere")
    assert "categories-missing" in found(check(path))


def test_nonsense_never_stops_it(sample):
    """Random damage of single values gives a report."""
    random = np.random.default_rng(0)
    values = [None, "x", -1, 1e300, float("nan"), [], {}, [1, [2]], True, 0]
    original = json.dumps(sample.data)
    for _ in range(60):
        data = json.loads(original)
        for _ in range(4):
            key = ["images", "annotations", "categories"][random.integers(3)]
            entry = data[key][random.integers(len(data[key]))]
            name = list(entry)[random.integers(len(entry))]
            entry[name] = values[random.integers(len(values))]
        report = check(data, None, sample.skeleton, estimate_sigmas=True)
        json.dumps(report.to_dict())
        str(report)


def test_a_file_of_the_size_of_val2017_takes_seconds():
    random = np.random.default_rng(0)
    images = [{"id": i, "file_name": f"{i}.jpg", "width": 640, "height": 480} for i in range(5000)]
    points = random.uniform(100, 300, (11000, 17, 2)).round(2)
    flags = np.repeat(random.integers(0, 2, (11000, 1)), 17, axis=1) * 2
    flat = np.dstack([points, flags[..., None]]).reshape(11000, -1).tolist()
    annotations = [
        {
            "id": i + 1,
            "image_id": i // 3,
            "category_id": 1,
            "area": 3e4,
            "iscrowd": 0,
            "bbox": [90, 90, 220, 220],
            "num_keypoints": int(flags[i, 0] / 2) * 17,
            "keypoints": row,
        }
        for i, row in enumerate(flat)
    ]
    data = {"images": images, "annotations": annotations, "categories": [{"id": 1}]}
    start = time.process_time()
    report = check(data, None, "coco")
    assert report.facts["objects"] == 11000
    assert time.process_time() - start < 60
