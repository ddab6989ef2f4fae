"""A full disk: writes fail with an error, reads go on, writes resume when there is room."""

import ctypes
import os
import tempfile

from tinykv_server import Client, ReplyError, Server, Tap


def mount_small(path):
    libc = ctypes.CDLL(None, use_errno=True)
    return libc.mount(b"tmpfs", path.encode(), b"tmpfs", 0, b"size=8m") == 0


def main():
    tap = Tap()
    path = tempfile.mkdtemp(prefix="tinykv-full-")
    if not mount_small(path):
        tap.skip("full disk", "mounting a small tmpfs is not permitted")
        os.rmdir(path)
        tap.end()
    server = Server(path)
    try:
        ballast = os.path.join(path, "ballast")
        with open(ballast, "wb") as file:
            file.write(b"x" * (5 << 20))
        server.start()
        client = Client(server.port)
        client.call("SET", "first", "1")
        error = None
        written = 0
        for i in range(200):
            try:
                client.call("SET", f"fill{i}", "y" * 65536)
                written += 1
            except ReplyError as e:
                error = str(e)
                break
        tap.check("writes fail with NOSPC", error is not None and error.startswith("NOSPC"), error)
        tap.check("reads go on", client.call("GET", "first") == "1")
        tap.check("scans go on", client.call("DBSIZE") == written + 1, client.call("DBSIZE"))
        os.remove(ballast)
        resumed = False
        for _ in range(50):
            try:
                resumed = client.call("SET", "after", "2") == "OK"
                break
            except ReplyError as e:
                error = str(e)
        tap.check("writes resume when there is room", resumed, error)
        server.stop()
        server.start()
        client = Client(server.port)
        tap.check("what was answered is there", client.call("MGET", "first", "after",
                  f"fill{written - 1}") == ["1", "2", "y" * 65536])
        server.stop()
    finally:
        server.clean()
        ctypes.CDLL(None).umount(path.encode())
        os.rmdir(path)
    tap.end()


main()
