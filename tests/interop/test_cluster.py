"""Three real nodes: any of them serves, leaders are killed, members come and go."""

import os
import random
import shutil
import signal
import subprocess
import tempfile
import threading
import time

from tinykv_server import PROGRAM, Client, ReplyError, Server, Tap, free_ports

ROUNDS = 3
WRITERS = 4


class Group:
    def __init__(self, count):
        self.dir = tempfile.mkdtemp(prefix="tinykv-test-")
        self.ports = dict(zip(range(1, count + 1), free_ports(count)))
        self.nodes = {i: Server(os.path.join(self.dir, str(i))) for i in self.ports}
        for i in self.nodes:
            os.mkdir(self.nodes[i].dir)

    def peers(self):
        return ",".join(f"{i}=127.0.0.1:{p}" for i, p in self.ports.items())

    def start(self, node, *flags):
        self.nodes[node].start("--id", str(node), "--peers", self.peers(), "--election", "300",
                               "--heartbeat", "50", "--lease", "500", *flags)

    def up(self):
        return [n for n in self.nodes.values() if n.process and n.process.poll() is None]

    def ctl(self, *words):
        addresses = ",".join(f"127.0.0.1:{n.port}" for n in self.up())
        return subprocess.run([PROGRAM, "ctl", "--connect", addresses, "--timeout", "20000", *words],
                              capture_output=True, text=True, timeout=60)

    def leader(self):
        """The node that a majority can be asked through; waits for one."""
        end = time.monotonic() + 30
        while time.monotonic() < end:
            for i, n in self.nodes.items():
                if n in self.up() and b"state:leader" in info(n):
                    return i
        raise RuntimeError("no leader")

    def clean(self):
        for n in self.nodes.values():
            n.clean()
        shutil.rmtree(self.dir, ignore_errors=True)


def info(node):
    client = Client(node.port)
    text = client.call("INFO", "raft")
    client.close()
    return text.encode()


def call(group, *words):
    """Through any node, until one says yes or no; only for what may be done twice."""
    end = time.monotonic() + 30
    while True:
        try:
            client = Client(random.choice(group.up()).port)
            try:
                return client.call(*words)
            finally:
                client.close()
        except (ReplyError, OSError) as e:
            if time.monotonic() > end:
                raise RuntimeError(f"{words}: {e}") from e


class Writer(threading.Thread):
    """Counts its key up through whichever node; remembers what was acknowledged."""

    def __init__(self, group, number):
        super().__init__()
        self.group, self.key = group, f"w{number}"
        self.sent = self.acked = 0
        self.over = False

    def run(self):
        while not self.over:
            try:
                client = Client(random.choice(self.group.up()).port, timeout=10)
                while not self.over:
                    self.sent += 1
                    if client.call("SET", self.key, self.sent) == "OK":
                        self.acked = self.sent
            except (ReplyError, OSError, IndexError):
                pass


def founders_are_missed(tap, group):
    group.start(1)
    text = info(group.nodes[1])
    tap.check("INFO names the founders that are missing", b"founders_missing:2,3\r\n" in text, text)
    for i in 2, 3:
        group.start(i)
    group.leader()
    end = time.monotonic() + 30
    while b"founders_missing" in info(group.nodes[1]) and time.monotonic() < end:
        pass
    text = info(group.nodes[1])
    tap.check("until they have come", b"founders_missing" not in text, text)


def any_node_serves(tap, group):
    wrong = []
    clients = [Client(n.port) for n in group.nodes.values()]
    for i in range(60):
        clients[i % 3].call("SET", "k", i)
        got = clients[(i + 1) % 3].call("GET", "k")
        if got != str(i):
            wrong.append((i, got))
    tap.check("what one node acknowledged every other one reads", not wrong, wrong)
    clients[0].call("DEL", "n")
    for c in clients:
        c.send("MULTI")
        c.send("INCR", "n")
        c.send("GET", "k")
        c.send("EXEC")
    got = [[c.receive() for _ in range(4)][3] for c in clients]
    tap.check("transactions through each of them", sorted(g[0] for g in got) == [1, 2, 3], got)
    for c in clients:
        c.close()


def sessions(tap, group):
    session = call(group, "SESSION", "OPEN", 100)
    replies = {call(group, "SESSION", "RUN", session, 1, 0, "INCR", "once") for _ in range(6)}
    tap.check("a number is done once, whichever node it is sent through",
              replies == {1} and call(group, "GET", "once") == "1", replies)


def a_minority_reads_what_it_has(tap, group):
    call(group, "SET", "local", "1")
    kept = group.nodes[1]
    client = Client(kept.port)
    client.call("CONSISTENCY", "local")
    end = time.monotonic() + 30
    while client.call("GET", "local") != "1" and time.monotonic() < end:
        pass  # it may be behind
    for i in 2, 3:
        group.nodes[i].stop(signal.SIGKILL)
    got = [client.call("GET", "local") for _ in range(50)]
    tap.check("one of three alone reads what it has, locally", got == ["1"] * 50, got)
    client.call("CONSISTENCY", "linearizable")
    try:
        got = client.call("GET", "local")
    except ReplyError as e:
        got = str(e)
    tap.check("and nothing else", got.startswith("TRYAGAIN"), got)
    client.close()
    for i in 2, 3:
        group.start(i)
    client = Client(group.nodes[2].port)
    client.call("CONSISTENCY", "lease")
    tap.check("a lease, or the leader's word", call(group, "GET", "local") == "1" and
              client.call("GET", "local") == "1")
    client.close()


def leaders_are_killed(tap, group):
    writers = [Writer(group, i) for i in range(WRITERS)]
    for w in writers:
        w.start()
    for round_number in range(ROUNDS):
        before = sum(w.acked for w in writers)
        while sum(w.acked for w in writers) < before + 200:
            call(group, "PING")
        leader = group.leader()
        group.nodes[leader].stop(signal.SIGKILL)
        stood = sum(w.acked for w in writers)
        while sum(w.acked for w in writers) < stood + 100:
            call(group, "PING")
        tap.check(f"round {round_number}: the others go on without their leader",
                  group.leader() != leader)
        group.start(leader)
    for w in writers:
        w.over = True
    for w in writers:
        w.join()
    lost = [(w.key, w.acked, w.sent, call(group, "GET", w.key)) for w in writers]
    lost = [x for x in lost if not x[1] <= int(x[3] or 0) <= x[2]]
    tap.check("nothing acknowledged is lost", not lost, lost)


def members_change(tap, group):
    shown = group.ctl("members")
    tap.check("ctl members shows three voters", shown.returncode == 0 and
              shown.stdout.count("role voter") == 3, shown.stdout + shown.stderr)
    heir = next(i for i in group.nodes if i != group.leader())
    moved = group.ctl("transfer", str(heir))
    tap.check("ctl transfer hands leadership on", moved.returncode == 0 and
              group.leader() == heir, moved.stdout + moved.stderr)
    moved = group.ctl("transfer")
    tap.check("ctl transfer, to whoever is furthest", moved.returncode == 0 and
              group.leader() != heir, moved.stdout + moved.stderr)
    taken = group.ctl("snapshot")
    tap.check("ctl snapshot: each node says how far its own goes", taken.returncode == 0 and
              taken.stdout.count("snapshot at index") == 3, taken.stdout + taken.stderr)
    port = free_ports(1)[0]
    new = Server(os.path.join(group.dir, "4"))
    os.mkdir(new.dir)
    new.start("--id", "4", "--join", "--peers", group.peers(), "--peer-listen",
              f"127.0.0.1:{port}", "--election", "300", "--heartbeat", "50")
    group.nodes[4] = new
    added = group.ctl("add", f"127.0.0.1:{new.port}")
    tap.check("ctl add: it learns, then it votes", added.returncode == 0 and
              "node 4 votes" in added.stdout, added.stdout + added.stderr)
    gone = next(i for i in (1, 2, 3) if i != group.leader())
    removed = group.ctl("remove", str(gone))
    tap.check("ctl remove", removed.returncode == 0, removed.stdout + removed.stderr)
    tap.check("a removed node stops in good order", group.nodes[gone].stop() == 0)
    del group.nodes[gone]
    call(group, "SET", "after", "x")
    client = Client(new.port)
    tap.check("the new one has it all", client.call("GET", "after") == "x" and
              client.call("GET", "once") == "1")
    client.close()
    again = group.ctl("remove", str(gone))
    tap.check("what cannot be is said", again.returncode == 1 and "is not" in again.stderr,
              again.stderr)


def ctl_says_what_is_wrong(tap):
    for words, code, says in [
        (["--help"], 0, "usage: tinykv ctl"),
        ([], 2, "no such command"),
        (["remove", "x"], 2, "'remove'"),
        (["--timeout", "soon", "members"], 2, "--timeout"),
        (["--bogus", "members"], 2, "'--bogus'"),
        (["--connect", "nowhere", "members"], 2, "nowhere"),
        (["--connect", "127.0.0.1:1", "--timeout", "300", "members"], 1, "refused"),
        (["--connect", "127.0.0.1:1", "--timeout", "300", "snapshot"], 1, "refused"),
        (["snapshot", "now"], 2, "'snapshot'"),
    ]:
        r = subprocess.run([PROGRAM, "ctl", *words], capture_output=True, text=True, timeout=30)
        tap.check(f"ctl {' '.join(words)} exits with {code}",
                  r.returncode == code and says in r.stdout + r.stderr, r.stdout + r.stderr)


def all_stop_and_come_back(tap, group):
    codes = [n.stop() for n in group.nodes.values()]
    tap.check("all stop in good order", codes == [0] * len(codes), codes)
    port = {i: p for i, p in group.ports.items() if i in group.nodes}
    flags = ["--election", "300", "--heartbeat", "50"]
    for i, n in group.nodes.items():
        if i in port:
            group.start(i)
        else:
            n.start("--id", str(i), "--join", "--peers", group.peers(), "--peer-listen",
                    "127.0.0.1:0", *flags)
    tap.check("and come back with everything", call(group, "GET", "after") == "x")


def main():
    tap = Tap()
    group = Group(3)
    try:
        ctl_says_what_is_wrong(tap)
        founders_are_missed(tap, group)
        any_node_serves(tap, group)
        sessions(tap, group)
        a_minority_reads_what_it_has(tap, group)
        leaders_are_killed(tap, group)
        members_change(tap, group)
        all_stop_and_come_back(tap, group)
    finally:
        group.clean()
    tap.end()


main()
