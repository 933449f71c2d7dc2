"""CVAT for images 1.1."""

import numpy as np
import pytest

from keras_pose.datasets import import_dataset


def _edit(path, old, new):
    file = path / "annotations.xml"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))
    return path


def test_a_box_belongs_to_the_skeleton_of_its_group(sources, tmp_path):
    path = _edit(sources.cvat(tmp_path), '<box label="mouse"', '<box label="cage"')
    path = _edit(path, 'group_id="7"/>', 'group_id="8"/>')
    report = import_dataset(path).report
    assert report.boxes_made == 2
    assert report.skipped["boxes that no skeleton or points share a group with"][0] == 2


def test_several_points_in_one_shape_and_single_points(sources, tmp_path):
    sources.images(tmp_path)
    shapes = [
        '<points label="dot" points="1,2;3,4"/>',
        '<points label="tip" points="5,6" group_id="1"/>',
        '<points label="end" points="7,8" group_id="1" occluded="1"/>',
        '<points label="tip" points="9,10" group_id="2"/>',
        '<polygon label="x" points="1,1;2,2;3,1"/>',
    ]
    image = '<image id="0" name="a.png" width="40" height="30">' + "".join(shapes) + "</image>"
    path = tmp_path / "annotations.xml"
    path.write_text(f"<annotations>{image}</annotations>")
    imported = import_dataset(path)
    names = {c["id"]: c["name"] for c in imported.coco["categories"]}
    rows = [(names[r["category_id"]], r["keypoints"]) for r in imported.coco["annotations"]]
    assert rows == [
        ("dot", [1, 2, 2, 3, 4, 2]),
        ("object", [7, 8, 1, 5, 6, 2]),
        ("object", [0, 0, 0, 9, 10, 2]),
    ]
    assert imported.report.skipped["shapes that are no keypoints: polygon"] == (1, "a.png")


def test_a_file_without_labels_in_meta(sources, tmp_path):
    path = sources.cvat(tmp_path)
    text = (path / "annotations.xml").read_text()
    start, _, rest = text.partition("<meta>")
    (path / "annotations.xml").write_text(start + rest.partition("</meta>")[2])
    imported = import_dataset(path)
    assert imported.skeleton.keypoints == sources.NAMES
    assert "does not describe the skeleton 'mouse': no links" in str(imported.report)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('<points label="nose"', '<points label="wing"', "has the point 'wing', its label only"),
        ('points="8.5,6"', 'points="8.5"', "points must be a number, got ''"),
        ('points="8.5,6"', 'points="8.5,6;1,2"', "'left_ear' must be one point, got 2"),
        ('points="8.5,6"', 'points="8.5,nan"', "points must be a finite number"),
        ('width="40"', 'width="-40"', "must be 1 to 999999 pixels"),
        ('width="40"', "", "width of .* must be a number, got None"),
        ('xtl="4"', 'xtl="four"', "xtl must be a number, got 'four'"),
        ("</annotations>", "", "is not an XML file that can be read"),
        ("<image id", "<track></track><image id", 'of the format "CVAT for video"'),
    ],
)
def test_damaged_files(sources, tmp_path, old, new, words):
    path = _edit(sources.cvat(tmp_path), old, new)
    with pytest.raises(ValueError, match=words):
        import_dataset(path)


def test_datumaros_sample(shared):
    path = shared / "data/importers/cvat/train.xml"
    if not path.is_file():
        pytest.skip("the importers' samples are not there")
    imported = import_dataset(path)
    assert imported.report.objects == {"skeleton": 2, "label2": 1}
    assert imported.skeletons["skeleton"].keypoints == ("1", "2", "3", "4")
    links = {frozenset(link) for link in imported.skeletons["skeleton"].links.tolist()}
    assert links == {frozenset((2, 1)), frozenset((0, 3))}
    points = np.array(imported.coco["annotations"][0]["keypoints"]).reshape(-1, 3)
    assert points.tolist() == [[0, 0, 0], [2, 2, 2], [3, 3, 2], [4, 4, 2]]
