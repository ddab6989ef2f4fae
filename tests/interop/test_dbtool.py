"""tinykv dump, verify, repair and stats on a directory that a real server made."""

import os
import re
import subprocess

from tinykv_server import PROGRAM, Client, Server, Tap


def tool(*words):
    done = subprocess.run([PROGRAM, *words], capture_output=True, text=True, timeout=60,
                          errors="replace")
    return done.returncode, done.stdout, done.stderr


def fill(server):
    """Values that fill a few tables, an end, and then some writes that stay in a log."""
    server.start("--write-buffer", "65536")
    client = Client(server.port)
    for i in range(1500):
        client.call("SET", f"key{i:05}", f"{i:0100}")
    client.call("DEL", "key00007")
    client.close()
    server.stop()
    server.start()
    client = Client(server.port)
    client.call("SET", "last", "word")
    client.call("DEL", "key00008")
    client.close()
    server.process.kill()  # so that the log keeps them
    server.process.wait()


def flip(path, offset):
    with open(path, "r+b") as f:
        f.seek(offset)
        byte = f.read(1)[0]
        f.seek(offset)
        f.write(bytes([byte ^ 1]))


def check_usage(tap, data):
    for words in (["dump"], ["dump", "wal"], ["dump", "what", "x"], ["verify"], ["repair"], ["stats"],
                  ["dump", "wal", os.path.join(data, "CURRENT")], ["verify", data, "more"]):
        code, out, err = tool(*words)
        tap.check("usage: " + " ".join(os.path.basename(w) for w in words),
                  code == 2 and not out and err, (code, out, err))
    for words in (["verify", data + "-none"], ["stats", data + "-none"],
                  ["dump", "wal", os.path.join(data, "999999.log")]):
        code, out, err = tool(*words)
        tap.check("not there: " + words[0], code == 1 and err.startswith("tinykv: "), (code, out, err))


def check_dump(tap, data, kind, names, says):
    shown = ""
    for name in names:
        code, out, err = tool("dump", kind, os.path.join(data, name))
        tap.check(f"dump {kind} exits with 0", code == 0 and not err, (name, code, err))
        shown += out
    for text in says:
        tap.check(f"dump {kind} says {text!r}", re.search(text, shown), shown[-2000:])


def check_damage(tap, data, tables):
    name = tables[0]
    path = os.path.join(data, name)
    flip(path, 100)
    code, out, err = tool("verify", data)
    place = name in out + err and re.search(r"(offset|block at) \d+", out + err)
    tap.check("verify names the damaged file and the place", code == 1 and place, (code, out, err))
    code, out, err = tool("dump", "sst", path)
    tap.check("dump of the damaged table exits with 1", code == 1 and name in err, (code, err))
    code, out, err = tool("repair", data)
    tap.check("repair exits with 0", code == 0, (code, out, err))
    tap.check("repair names the file", name in out, out)
    tap.check("repair keeps the original",
              os.path.exists(os.path.join(data, "lost", name)), os.listdir(data))
    code, out, err = tool("verify", data)
    tap.check("what was repaired is right", code == 0, (code, out, err))


def main():
    tap = Tap()
    server = Server()
    data = os.path.join(server.dir, "data")
    try:
        fill(server)
        names = sorted(os.listdir(data))
        # of those that are there, a table that was being made when the server died does not count
        code, out, err = tool("verify", data)
        tables = re.findall(r"^(\d+\.sst): level", out, re.M)
        tap.check("verify exits with 0", code == 0 and not err, (code, out, err))
        tap.check("verify names tables that are there",
                  tables and all(n in names for n in tables), (out, names))
        logs = [n for n in names if n.endswith(".log")]
        manifests = [n for n in names if n.startswith("MANIFEST-")]
        tap.check("there are tables, logs and a manifest", tables and logs and manifests, names)
        check_usage(tap, data)
        check_dump(tap, data, "wal", logs, ["header of log", "put 'last' = 'word'", "delete 'key00008'"])
        check_dump(tap, data, "sst", tables, ["key01499"])
        check_dump(tap, data, "manifest", manifests, ["header of manifest", "tkv.bytewise"])
        code, out, err = tool("stats", data)
        tap.check("stats exits with 0", code == 0 and "level" in out, (code, out, err))
        check_damage(tap, data, tables)
        server.start()
        client = Client(server.port)
        tap.check("the server serves what was left", client.call("GET", "last") == "word")
        tap.check("and what was deleted stays so", client.call("GET", "key00008") is None)
        code, out, err = tool("verify", data)
        tap.check("a directory in use is told", code == 1 and "in use" in err, (code, err))
        client.close()
        tap.check("a clean stop", server.stop() == 0)
    finally:
        server.clean()
    tap.end()


main()
