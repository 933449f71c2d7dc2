"""Downloads from a server that drops, truncates, redirects and lies."""

import errno
import hashlib
import os
import sys
import threading
import types

import pytest

from keras_pose.preset import download
from keras_pose.preset.download import fetch

CONTENT = bytes(range(256)) * 4000
HASH = hashlib.sha256(CONTENT).hexdigest()[:8]


@pytest.fixture
def place(tmp_path):
    return tmp_path / "folder" / "a.pth"


@pytest.fixture
def server(serve):
    return serve(CONTENT)


def _complete(place):
    assert place.read_bytes() == CONTENT
    assert [path.name for path in place.parent.iterdir()] == ["a.pth"]


def test_a_file_is_downloaded_once(server, place):
    for _ in range(2):
        assert fetch([f"{server.address}/a.pth"], place, [HASH]) == place
    _complete(place)
    assert server.requests == [("/a.pth", None)]


def test_what_broke_off_is_continued(server, place):
    def drop(handler):
        """The first three answers claim more than comes."""
        if len(server.requests) > 3:
            return False
        start = int((handler.headers.get("Range") or "bytes=0-")[6:-1])
        handler.answer(sent=300_000 if start < 600_000 else 100_000)
        return True

    server.fault = drop
    fetch([server.address], place, [HASH])
    _complete(place)
    assert [span for _, span in server.requests] == [
        *(None, "bytes=300000-", "bytes=600000-", "bytes=700000-")
    ]


def test_a_later_call_continues_too(server, place):
    server.fault = lambda handler: handler.answer(sent=0) or True
    place.parent.mkdir()
    place.with_name("a.pth.partial").write_bytes(CONTENT[:1000])
    with pytest.raises(OSError, match="the connection broke off"):
        fetch([server.address], place, [HASH])
    server.fault = lambda handler: False
    fetch([server.address], place, [HASH])
    _complete(place)
    assert server.requests[-1] == ("/", "bytes=1000-")


def test_a_server_without_parts_starts_again(server, place):
    server.fault = lambda handler: handler.answer(ranges=False) or True
    place.parent.mkdir()
    place.with_name("a.pth.partial").write_bytes(CONTENT[:1000])
    fetch([server.address], place, [HASH])
    _complete(place)


def test_a_beginning_that_is_too_long_starts_again(server, place):
    place.parent.mkdir()
    place.with_name("a.pth.partial").write_bytes(CONTENT * 2)
    fetch([server.address], place, [HASH])
    _complete(place)


def test_the_beginning_of_another_file_is_given_up(server, place):
    place.parent.mkdir()
    place.with_name("a.pth.partial").write_bytes(b"x" * 1000)
    fetch([server.address], place, [HASH])
    _complete(place)


def test_without_a_hash_nothing_is_continued(server, place):
    place.parent.mkdir()
    place.with_name("a.pth.partial").write_bytes(b"x" * 1000)
    fetch([server.address], place)
    _complete(place)


def test_redirects_are_followed(server, serve, place):
    first = serve(b"")
    first.fault = lambda handler: handler.redirect(f"{server.address}/b") or True
    fetch([first.address], place, [HASH])
    _complete(place)


def test_redirects_to_files_of_this_machine_are_not(serve, place, tmp_path):
    (tmp_path / "secret").write_bytes(CONTENT)
    first = serve(b"")
    first.fault = lambda handler: handler.redirect(f"file://{tmp_path}/secret") or True
    with pytest.raises(OSError, match="cannot download"):
        fetch([first.address], place, [HASH])


def test_a_wrong_file_is_removed_and_said(serve, place):
    liar = serve(b"something else")
    with pytest.raises(OSError, match=r"SHA-256 begins with .*, the file was removed"):
        fetch([liar.address], place, [HASH])
    assert list(place.parent.iterdir()) == []


def test_addresses_are_tried_in_turn(serve, server, place):
    liar, lost = serve(b"something else"), serve(b"")
    lost.fault = lambda handler: handler.send_error(404) or True
    nowhere = "http://127.0.0.1:1/a.pth"
    fetch([nowhere, lost.address, liar.address, server.address], place, [HASH])
    _complete(place)
    assert len(lost.requests) == 1


def test_a_server_in_trouble_is_asked_again(server, place):
    server.fault = lambda handler: len(server.requests) < 2 and not handler.send_error(503)
    fetch([server.address], place, [HASH])
    _complete(place)


def test_without_a_network_it_says_where_to_put_the_file(place):
    with pytest.raises(OSError, match="Connection refused") as error:
        fetch(["http://127.0.0.1:1/a.pth"], place, [HASH])
    message = str(error.value)
    assert f"put the file by hand at {place}" in message and "KERAS_POSE_MIRROR" in message
    assert "\n" not in message


def test_a_file_put_there_by_hand_is_checked(server, place):
    place.parent.mkdir()
    place.write_bytes(CONTENT)
    fetch([server.address], place, [HASH])
    assert server.requests == []
    place.write_bytes(b"another")
    fetch([server.address], place, [HASH])
    _complete(place)


def test_any_of_several_hashes_will_do(server, place):
    fetch([server.address], place, ["00000000", HASH])
    _complete(place)


def test_a_full_disk_leaves_nothing(server, place, monkeypatch):
    def write(file, chunk):
        file.write(chunk[:10])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(download, "_write", write)
    with pytest.raises(OSError, match=r"the disk is full: a\.pth does not fit into") as error:
        fetch([server.address] * 2, place, [HASH])
    assert error.value.errno == errno.ENOSPC and len(server.requests) == 1
    assert list(place.parent.iterdir()) == []


def test_a_disk_with_too_little_room_is_noticed_first(server, place, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda folder: types.SimpleNamespace(free=1000))
    with pytest.raises(OSError, match="KERAS_POSE_CACHE"):
        fetch([server.address], place, [HASH])
    assert list(place.parent.iterdir()) == []


def test_two_at_once_download_once(server, place):
    threads = [
        threading.Thread(target=fetch, args=([server.address], place, [HASH])) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    _complete(place)
    if sys.platform != "win32":
        assert len(server.requests) == 1


def test_the_hub_has_files_too(place, tmp_path, monkeypatch):
    (tmp_path / "blob").write_bytes(CONTENT)
    asked = []

    def hf_hub_download(repository, file):
        asked.append((repository, file))
        return str(tmp_path / "blob")

    hub = types.SimpleNamespace(hf_hub_download=hf_hub_download)
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    fetch(["hf://me/mirror/a.pth"], place, [HASH])
    _complete(place)
    assert asked == [("me/mirror", "a.pth")]


def test_other_kinds_of_addresses_are_refused(place):
    with pytest.raises(OSError, match="must begin with http"):
        fetch(["file:///etc/passwd"], place)
