"""Three nodes, each in a network namespace of its own where that is allowed (on loopback otherwise):
leaders are killed, links are cut, and the checker finds that nothing was lost or stale."""

import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

from tinykv_server import PROGRAM, Client, ReplyError, Tap, free_ports

SIM = sys.argv[2]
KILLS = 10
CLIENTS = 6
KEYS = 4
ELECTION_MS = 400
INSIDE = "TINYKV_TEST_NETNS"


# ---- the network ----

def ip(*words):
    return subprocess.run(["ip", *words], capture_output=True, text=True, check=True)


class Namespaces:
    """A hub with a bridge, in which this test runs, and a namespace for each node."""

    def __init__(self, prefix):
        self.prefix = prefix
        self.nodes = (1, 2, 3)

    def make(self):
        hub = f"{self.prefix}hub"
        ip("netns", "add", hub)
        ip("-n", hub, "link", "set", "lo", "up")
        ip("-n", hub, "link", "add", "name", "br0", "type", "bridge")
        ip("-n", hub, "addr", "add", "10.0.0.254/24", "dev", "br0")
        ip("-n", hub, "link", "set", "br0", "up")
        for i in self.nodes:
            ns = f"{self.prefix}{i}"
            ip("netns", "add", ns)
            ip("-n", hub, "link", "add", "name", f"v{i}", "type", "veth", "peer", "name", "eth0", "netns", ns)
            ip("-n", hub, "link", "set", f"v{i}", "master", "br0", "up")
            ip("-n", ns, "link", "set", "lo", "up")
            ip("-n", ns, "addr", "add", f"10.0.0.{i}/24", "dev", "eth0")
            ip("-n", ns, "link", "set", "eth0", "up")

    def remove(self):
        for name in [*self.nodes, "hub"]:
            subprocess.run(["ip", "netns", "del", f"{self.prefix}{name}"], check=False,
                           stderr=subprocess.DEVNULL)

    def address(self, node):
        return f"10.0.0.{node}"

    def command(self, node, words):
        return ["ip", "netns", "exec", f"{self.prefix}{node}", *words]

    def cut(self, node, on):
        ip("link", "set", f"v{node}", "down" if on else "up")


class Loopback:
    nodes = (1, 2, 3)

    def address(self, node):
        return "127.0.0.1"

    def command(self, node, words):
        return words

    def cut(self, node, on):
        pass


# ---- the nodes ----

class Cluster:
    def __init__(self, net):
        self.net = net
        self.dir = tempfile.mkdtemp(prefix="tinykv-test-")
        self.process, self.port, self.peer = {}, {}, {}
        ports = free_ports(6)
        for i in net.nodes:
            self.port[i], self.peer[i] = ports[i - 1], ports[i + 2]
            os.mkdir(os.path.join(self.dir, str(i)))

    def start(self, i):
        peers = ",".join(f"{k}={self.net.address(k)}:{p}" for k, p in self.peer.items())
        with open(os.path.join(self.dir, f"{i}.log"), "ab") as log:
            self.process[i] = subprocess.Popen(
                self.net.command(i, [PROGRAM, "serve", "--id", str(i), "--peers", peers, "--listen",
                                     f"{self.net.address(i)}:{self.port[i]}", "--data",
                                     os.path.join(self.dir, str(i)), "--election", str(ELECTION_MS),
                                     "--heartbeat", "50", "--request-timeout", "2000"]),
                stdout=log, stderr=log)

    def client(self, i, timeout=3):
        return Client(self.port[i], timeout, self.net.address(i))

    def leader(self):
        """Who says that it leads, in the latest term; 0: nobody."""
        found = (0, 0)
        for i in self.net.nodes:
            try:
                c = self.client(i, 1)
                text = c.call("INFO", "raft")
                c.close()
            except (OSError, ReplyError):
                continue
            fields = dict(x.split(":", 1) for x in text.split("\r\n") if ":" in x)
            if fields["state"] == "leader":
                found = max(found, (int(fields["term"]), i))
        return found[1]

    def kill(self, i):
        self.process[i].send_signal(signal.SIGKILL)
        self.process[i].wait()

    def end(self):
        for p in self.process.values():
            p.kill()
            p.wait()
        shutil.rmtree(self.dir, ignore_errors=True)


# ---- clients that remember ----

class History:
    def __init__(self):
        self.lock = threading.Lock()
        self.ops = []
        self.events = []
        self.numbers = 0
        self.good = 0           # answered
        self.written = []       # when writes were acknowledged

    def number(self):
        with self.lock:
            self.numbers += 1
            return self.numbers

    def add(self, op):
        with self.lock:
            self.ops.append(op)
            if op["outcome"] == "ok":
                self.good += 1
                if op["op"] != "get":
                    self.written.append((op["call"], op["return"]))

    def event(self, **fields):
        with self.lock:
            self.events.append({"at": time.monotonic_ns(), **fields})

    def save(self, path):
        with open(path, "w", encoding="utf-8") as f:
            f.write(json.dumps({"linhist": 1, "default": None, "ops": len(self.ops)}) + "\n")
            for line in self.ops + self.events:
                f.write(json.dumps(line) + "\n")


def ask(client, op):
    """The request of an operation, and the reply's meaning in the history."""
    kind, key = op["op"], op["key"]
    if kind == "get":
        op["result"] = client.call("GET", key)
    elif kind == "put":
        client.call("SET", key, op["value"])
    elif kind == "incr":
        op["result"] = str(client.call("INCRBY", key, op["value"]))
    else:
        op["result"] = client.call("CAS", key, op["expect"], op["value"]) == 1


class Worker(threading.Thread):
    def __init__(self, cluster, history, seed):
        super().__init__()
        self.cluster, self.history, self.seed = cluster, history, seed
        self.random = random.Random(seed)
        self.seen = {}
        self.count = 0
        self.over = False

    def draw(self):
        r = self.random
        key = f"k{r.randrange(KEYS)}"
        kind = r.choice(["get", "get", "put", "cas", "incr"])
        self.count += 1
        value = f"{self.seed}.{self.count}"
        if kind == "incr":
            return {"op": "incr", "key": "n", "value": "1"}
        if kind == "cas":
            return {"op": "cas", "key": key, "expect": self.seen.get(key), "value": value}
        return {"op": kind, "key": key, **({"value": value} if kind == "put" else {})}

    def one(self, client, number, node):
        """False: the client is not to be used again."""
        op = {"client": number, "node": node, **self.draw(), "call": time.monotonic_ns()}
        try:
            ask(client, op)
            op.update({"return": time.monotonic_ns(), "outcome": "ok"})
            if op["op"] == "get":
                self.seen[op["key"]] = op["result"]
        except ReplyError as e:
            certain = str(e).startswith("TRYAGAIN")
            op.pop("result", None)
            op.update({"return": time.monotonic_ns() if certain else None,
                       "outcome": "fail" if certain else "info"})
        except OSError:
            op.pop("result", None)
            op.update({"return": None, "outcome": "info"})
        self.history.add(op)
        return op["outcome"] != "info"

    def run(self):
        while not self.over:
            node = self.random.choice(self.cluster.net.nodes)
            try:
                client = self.cluster.client(node)
            except OSError:
                continue
            number = self.history.number()
            for _ in range(200):
                if self.over or not self.one(client, number, node):
                    break
            try:
                client.close()
            except OSError:
                pass


# ---- the test ----

def wait_for(what, seconds=40):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = what()
        if value:
            return value
        threading.Event().wait(0.005)
    raise RuntimeError(f"not in {seconds} s: {what}")


def go_on(history, count):
    goal = history.good + count
    wait_for(lambda: history.good >= goal)


def torment(cluster, history):
    """Returns how long it took after each kill until a write that began behind it was acknowledged."""
    took = []
    for kill in range(KILLS):
        go_on(history, 150)
        leader = wait_for(cluster.leader)
        history.event(event="leader", node=leader)
        at = time.monotonic_ns()
        cluster.kill(leader)
        history.event(event="fault", node=leader, text="killed")
        took.append(wait_for(lambda: next((r - at for c, r in reversed(history.written) if c > at),
                                          None)) / 1e9)
        go_on(history, 50)
        cluster.start(leader)
        if kill % 2 == 1:
            node = random.choice(cluster.net.nodes)
            cluster.net.cut(node, True)
            history.event(event="fault", node=node, text="cut off")
            go_on(history, 100)
            cluster.net.cut(node, False)
    go_on(history, 150)
    return took


def run(tap, net):
    cluster, history = Cluster(net), History()
    try:
        for i in net.nodes:
            cluster.start(i)
        wait_for(cluster.leader)
        workers = [Worker(cluster, history, i) for i in range(CLIENTS)]
        for w in workers:
            w.start()
        try:
            took = torment(cluster, history)
        finally:
            for w in workers:
                w.over = True
            for w in workers:
                w.join()
        print(f"# from a kill to the next write: median {statistics.median(took):.2f} s, longest "
              f"{max(took):.2f} s; election timeout {ELECTION_MS / 1000} s", flush=True)
        counts = {o: sum(x["outcome"] == o for x in history.ops) for o in ("ok", "fail", "info")}
        tap.check(f"after {KILLS} kills of leaders the group serves: {counts}", counts["ok"] > 1000)
        path = os.path.join(cluster.dir, "history.jsonl")
        history.save(path)
        r = subprocess.run([SIM, "check", path], capture_output=True, text=True, timeout=120,
                           check=False)
        tap.check("what all clients saw is linearizable", r.returncode == 0, r.stdout + r.stderr)
        lying = [x for x in history.ops if x["op"] == "get" and x.get("result")]
        lying[len(lying) // 2]["result"] = "what nobody wrote"
        history.save(path)
        r = subprocess.run([SIM, "check", path], capture_output=True, text=True, timeout=120,
                           check=False)
        tap.check("and the checker would have said if it were not", r.returncode == 1, r.stdout)
    finally:
        cluster.end()


def namespaces_allowed(prefix):
    if shutil.which("ip") is None or os.geteuid() != 0:
        return False
    net = Namespaces(prefix)
    try:
        net.make()
        return True
    except subprocess.CalledProcessError as e:
        print(f"# no namespaces: {e.stderr.strip()}", flush=True)
        net.remove()
        return False


def main():
    if INSIDE in os.environ:
        tap = Tap()
        run(tap, Namespaces(os.environ[INSIDE]))
        tap.end()
    prefix = f"tkv{os.getpid()}-"
    if not namespaces_allowed(prefix):
        print("# on loopback: links are not cut", flush=True)
        tap = Tap()
        run(tap, Loopback())
        tap.end()
    print("# three network namespaces", flush=True)
    try:
        code = subprocess.run(["ip", "netns", "exec", f"{prefix}hub", sys.executable, *sys.argv],
                              env={**os.environ, INSIDE: prefix}, check=False).returncode
    finally:
        Namespaces(prefix).remove()
    sys.exit(code)


main()
