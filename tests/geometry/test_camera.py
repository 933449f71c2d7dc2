import numpy as np
import pytest

from keras_pose.geometry import Camera, image_coordinates

FILE = "geometry/camera"
CASES = [f"cam{i}" for i in range(6)]


@pytest.fixture(scope="module")
def values(golden):
    with np.load(golden / f"{FILE}.npz") as npz:
        return dict(npz)


def _camera(values, case):
    names = ("R", "T", "K", "f", "c", "k", "p")
    return Camera.from_dict({n: values[f"{case}_{n}"] for n in names if f"{case}_{n}" in values})


def lens(coefficients=6, **changes):
    radial = [-0.2, 0.24, -0.003, 0.02, 0.01, -0.001][:coefficients]
    fields = dict(focal=[1145, 1143], center=[512, 515], radial=radial, tangential=[-0.01, 0.02])
    return Camera(**{**fields, **changes})


def cloud(seed=0):
    return np.random.default_rng(seed).uniform([-1, -1, 3], [1, 1, 6], (5, 17, 3))


@pytest.mark.parity
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{FILE}/{case}")
def test_equals_the_reference(values, case):
    camera, points = _camera(values, case), values[f"{case}_X_camera"]
    wanted = {
        "X_world": camera.to_world(points),
        "world_to_camera": camera.to_camera(values[f"{case}_X_world"]),
        "camera_to_pixel": camera.project(points),
        "camera_to_pixel_batch": camera.project(values[f"{case}_X_camera_batch"]),
        "world_to_pixel": camera.project(camera.to_camera(values[f"{case}_X_world"])),
        # the reference leaves the lens's distortion in
        "pixel_to_camera": camera.unproject(
            values[f"{case}_pixel_depth"][:, :2], values[f"{case}_pixel_depth"][:, 2], False
        ),
    }
    for name, value in wanted.items():
        np.testing.assert_allclose(
            value, values[f"{case}_{name}"], rtol=1e-5, atol=1e-3, err_msg=name
        )


@pytest.mark.parity
@pytest.mark.parametrize("case", ["lift"], ids=lambda case: f"{FILE}/{case}")
def test_image_coordinates_equal_the_reference(values, case):
    points, factors = image_coordinates(
        values["lift_keypoints_cam"], values["lift_f"], values["lift_c"]
    )
    np.testing.assert_allclose(points, values["lift_image_coord"], atol=1e-6)
    np.testing.assert_allclose(factors, values["lift_factor"], rtol=1e-6)


@pytest.mark.parity
@pytest.mark.parametrize("case", ["proj", "unproj"], ids=lambda case: f"{FILE}/{case}")
def test_plain_pinhole_equals_the_reference(values, case):
    camera = Camera(values["lift_f"], values["lift_c"])
    if case == "proj":
        pixels = camera.project(values["lift_keypoints_cam"])
        np.testing.assert_allclose(pixels, values["proj_pixel"], atol=1e-3)
        np.testing.assert_allclose(pixels, values["proj_pixel_shift"], atol=1e-3)
    else:
        seen = values["unproj_in"]
        points = camera.unproject(seen[..., :2], seen[..., 2])
        np.testing.assert_allclose(points, values["unproj_out"], atol=1e-5)


def test_image_coordinates_with_a_camera_a_pose():
    points, focal = cloud(), np.linspace(900, 1100, 10).reshape(5, 2)
    together, factors = image_coordinates(points, focal, np.full((5, 2), 500.0))
    for i in range(5):
        alone, factor = image_coordinates(points[i], focal[i], np.full(2, 500.0))
        np.testing.assert_allclose(together[i], alone)
        np.testing.assert_allclose(factors[i], factor)


@pytest.mark.parametrize("coefficients", [3, 6])
def test_unproject_undoes_the_lens(coefficients):
    camera, points = lens(coefficients), cloud()
    again = camera.unproject(camera.project(points), points[..., 2])
    np.testing.assert_allclose(again, points, atol=1e-9)
    bent = camera.unproject(camera.project(points), points[..., 2], undistort=False)
    assert np.abs(bent - points).max() > 1e-3


def test_a_lens_needs_radial_and_tangential():
    plain = lens(radial=(), tangential=()).project(cloud())
    np.testing.assert_array_equal(lens(tangential=()).project(cloud()), plain)
    np.testing.assert_array_equal(lens(radial=()).project(cloud()), plain)


def test_the_mirrored_camera_sees_the_mirror_image():
    """p2 changes its sign; the reference changes p1's, which bends the picture."""
    camera, points = lens(size=(1000, 1002)), cloud()
    seen = camera.project(points)
    mirrored = camera.mirrored().project(points * [-1, 1, 1])
    np.testing.assert_allclose(mirrored, np.stack([999 - seen[..., 0], seen[..., 1]], -1))
    assert camera.mirrored(0.0).center.tolist() == [-512, 515]


def test_points_in_the_lens_plane_have_no_pixel():
    assert not np.isfinite(lens(3).project(np.array([[0.1, 0.2, 0.0]]))).any()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(focal=[1, 2, 3]), "focal of a camera must be finite numbers of shape \\(2,\\)"),
        (dict(center=[np.nan, 1]), "center of a camera must be finite"),
        (dict(rotation=np.eye(2)), "rotation of a camera.*\\(3, 3\\)"),
        (dict(radial=[1, 2]), "radial of a camera.*\\(0,\\) or \\(3,\\) or \\(6,\\)"),
        (dict(focal="abc"), "focal of a camera must be numbers"),
        (dict(focal=[0, 1143]), r"focal of a camera must not be 0, got \[0.0, 1143.0\]"),
        (dict(size=(0, 9)), r"size of a camera must be \(width, height\), got \(0, 9\)"),
    ],
)
def test_faults_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        lens(**changes)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ([1, 2], r"a camera must be a dict of parameters, got \[1, 2\]"),
        ({"K": "abc"}, "K of a camera must be numbers, got 'abc'"),
        ({"K": [[1, 2, 3], [4, 5]]}, "K of a camera must be numbers, got "),
        ({"K": np.zeros((2, 2))}, r"K of a camera must be \(2, 3\) or \(3, 3\), got \(2, 2\)"),
        ({"K": np.zeros((3, 3))}, "focal of a camera must not be 0"),
    ],
)
def test_faults_of_a_dict_are_named(parameters, message):
    with pytest.raises(ValueError, match=message):
        Camera.from_dict(parameters)


def test_what_a_dict_lacks_is_named():
    with pytest.raises(ValueError, match=r"a camera needs `K`, or `f` and `c`.*'f'"):
        Camera.from_dict({"f": [1, 1]})
    with pytest.raises(ValueError, match="a camera without a size needs axis_x"):
        lens().mirrored()
