"""An HTTP server that drops, truncates, redirects and lies, and a small published model."""

import hashlib
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from keras_pose.preset import download, zoo


class Server:
    """Serves one content under every path, with the faults that are asked for.

    Attributes:
        content: bytes.
        fault: called with the handler before each answer; returns True if it answered itself.
        requests: (path, Range header or None) of every request.
    """

    def __init__(self, content: bytes):
        self.content, self.fault, self.requests = content, lambda handler: False, []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                outer.requests.append((self.path, self.headers.get("Range")))
                if not outer.fault(self):
                    self.answer()

            def answer(self, content=None, length=None, sent=None, ranges=True):
                """Answers; `length` is what the header claims, `sent` how much really comes."""
                content = outer.content if content is None else content
                start, span = 0, self.headers.get("Range")
                if span and ranges:
                    start = int(span.removeprefix("bytes=").rstrip("-"))
                    if start >= len(content):
                        self.send_error(416)
                        return
                part = content[start:]
                self.send_response(206 if span and ranges else 200)
                self.send_header("Content-Length", str(len(part) if length is None else length))
                if span and ranges:
                    whole = f"bytes {start}-{len(content) - 1}/{len(content)}"
                    self.send_header("Content-Range", whole)
                self.end_headers()
                self.wfile.write(part if sent is None else part[:sent])
                self.close_connection = True

            def redirect(self, location):
                self.send_response(302)
                self.send_header("Location", location)
                self.end_headers()

            def log_message(self, *arguments):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.address = f"http://127.0.0.1:{self._server.server_port}"

    def close(self):
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def serve():
    """Starts servers that are closed after the test."""
    servers = []

    def serve(content):
        servers.append(Server(content))
        return servers[-1]

    yield serve
    for server in servers:
        server.close()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache of the test's own."""
    monkeypatch.setenv("KERAS_POSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("KERAS_POSE_MIRROR", raising=False)
    monkeypatch.setattr(download, "_TIMEOUT", 5.0)
    return tmp_path / "cache"


@pytest.fixture(scope="session")
def state():
    """Weights of the small model as MMPose 0.x would have saved them."""
    from keras_pose.layers.naming import state_dict
    from keras_pose.preset import conversion

    arrays = state_dict(conversion.build(state_dict=None, **small_row().settings()))
    random = np.random.default_rng(0)
    return {
        name.replace("head.", "keypoint_head.", 1): random.uniform(0.5, 1, a.shape).astype("f4")
        for name, a in arrays.items()
    }


@pytest.fixture(scope="session")
def checkpoint(state, tmp_path_factory):
    """Those weights as the bytes of a .pth file."""
    torch = pytest.importorskip("torch")
    path = tmp_path_factory.mktemp("published") / "small.pth"
    tensors = {name: torch.from_numpy(array.copy()) for name, array in state.items()}
    torch.save({"meta": {}, "state_dict": tensors}, path, _use_new_zipfile_serialization=False)
    return path.read_bytes()


def small_row():
    """A row like those of the zoo."""
    size = {"input_size": [32, 48], "heatmap_size": [8, 12], "sigma": 2}
    head = {
        "type": "HeatmapHead",
        "in_channels": 8,
        "out_channels": 17,
        "deconv_out_channels": [4],
        "deconv_kernel_sizes": [4],
        "loss": {"type": "KeypointMSELoss", "use_target_weight": True},
        "decoder": {"type": "MSRAHeatmap", **size},
    }
    backbone = {"type": "ResNet", "depth": 18, "base_channels": 4, "out_indices": [1]}
    return zoo.ZooPreset(
        name="small_coco_48x32",
        config="td-hm_small_8xb64-210e_coco-48x32",
        family="topdown_heatmap",
        task="body_2d",
        addresses=("http://127.0.0.1:1/small-00000000_20200101.pth",),
        hashes=("00000000",),
        model={"type": "TopdownPoseEstimator", "backbone": backbone, "head": head},
        skeleton="coco",
        input_size=(32, 48),
        parameters=1,
        training_data={"COCO": "some terms", "Mine": ""},
        box_padding=1.5,
        udp=True,
    )


@pytest.fixture
def published(serve, checkpoint, monkeypatch):
    """A server with the small model's checkpoint; its row is found by its name and config."""
    server = serve(checkpoint)

    def publish(**changes):
        facts = {
            "addresses": (f"{server.address}/small.pth",),
            "hashes": (hashlib.sha256(checkpoint).hexdigest()[:8],),
        }
        server.row = replace(small_row(), **facts | changes)
        find = {server.row.name: server.row, server.row.config: server.row}
        monkeypatch.setattr(zoo, "find", find.get)

    server.publish = publish
    publish()
    return server
