"""A tinykv server for a test, a minimal RESP client, and TAP; standard library only."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

PROGRAM = sys.argv[1]


class Tap:
    def __init__(self):
        self.number = 0
        self.failed = 0

    def check(self, name, good, detail=""):
        self.number += 1
        print(f"{'ok' if good else 'not ok'} {self.number} - {name}", flush=True)
        if not good:
            self.failed += 1
            for line in str(detail).splitlines()[:20]:
                print(f"# {line}", flush=True)

    def skip(self, name, why):
        self.number += 1
        print(f"ok {self.number} - {name} # SKIP {why}", flush=True)

    def end(self):
        print(f"1..{self.number}")
        sys.exit(0)


def free_ports(count):
    """So many ports that nobody has, all taken at once, so that no two are the same."""
    taken = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in taken]
    for s in taken:
        s.close()
    return ports


class Server:
    """Runs `tinykv serve` on a free port; data outlives the process until the object goes."""

    def __init__(self, directory=None):
        self.own = directory is None
        self.dir = directory or tempfile.mkdtemp(prefix="tinykv-test-")
        self.process = None
        self.port = None

    def start(self, *flags, preexec=None):
        self.process = subprocess.Popen(
            [PROGRAM, "serve", "--data", os.path.join(self.dir, "data"),
             "--listen", "127.0.0.1:0", "--log-level", "error", *flags],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=preexec)
        line = self.process.stdout.readline().decode()
        if "listening on" not in line:
            raise RuntimeError(f"no server: {self.process.communicate()[1].decode()}")
        self.port = int(line.rsplit(":", 1)[1])
        return self

    def stop(self, sig=signal.SIGTERM):
        self.process.send_signal(sig)
        code = self.process.wait(timeout=30)
        self.process.stdout.close()
        self.process.stderr.close()
        return code

    def clean(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self.own:
            shutil.rmtree(self.dir, ignore_errors=True)


class ReplyError(Exception):
    pass


class Client:
    """One connection. Replies are str, int, None, lists, or raised ReplyError."""

    def __init__(self, port, timeout=20, host="127.0.0.1"):
        self.socket = socket.create_connection((host, port), timeout=timeout)
        self.file = self.socket.makefile("rb")

    def send(self, *words):
        out = [b"*%d\r\n" % len(words)]
        for word in words:
            data = word if isinstance(word, bytes) else str(word).encode()
            out.append(b"$-1\r\n" if word is None else b"$%d\r\n%s\r\n" % (len(data), data))
        self.socket.sendall(b"".join(out))

    def receive(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("closed")
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return rest.decode()
        if kind == b"-":
            raise ReplyError(rest.decode())
        if kind == b":":
            return int(rest)
        if kind == b"$":
            size = int(rest)
            return None if size < 0 else self.file.read(size + 2)[:-2].decode("latin-1")
        if kind == b"*":
            return None if int(rest) < 0 else [self.receive() for _ in range(int(rest))]
        raise ConnectionError(f"not RESP: {line!r}")

    def call(self, *words):
        self.send(*words)
        return self.receive()

    def close(self):
        self.file.close()
        self.socket.close()


def has(program):
    return shutil.which(program) is not None
