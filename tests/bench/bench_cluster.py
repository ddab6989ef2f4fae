#!/usr/bin/env python3
"""bench_cluster.py TINYKV [OPTIONS]: three nodes of TinyKV beside three of etcd, on this machine.

The same load in turns: one key, values of 100 bytes, so many clients with one request each at a
time, writes and linearizable reads, always through the leader; redis-benchmark drives TinyKV, h2load
drives etcd (gRPC: its KV/Put and KV/Range). Then TinyKV alone with 16 requests in a pipeline, through
the leader and through a follower. Prints a table of medians, and TSV with --tsv FILE.

Options: --clients 1,16,100,1000, --rounds N (3), --seconds S of each run, about (3), --tsv FILE,
--no-etcd. What is not installed (etcd, h2load, redis-benchmark) is said and left out.
"""
import argparse
import os
import re
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time

KEY = b"key:__rand_int__"
VALUE = b"x" * 100


def free_ports(count):
    taken = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in taken]
    for s in taken:
        s.close()
    return ports


class Cluster:
    """Three processes; ends them, and only them."""

    def __init__(self, name):
        self.name = name
        self.dir = tempfile.mkdtemp(prefix=f"bench-{name}-", dir=os.getcwd())
        self.processes = []

    def run(self, number, command):
        with open(os.path.join(self.dir, f"{number}.log"), "wb") as log:
            self.processes.append(subprocess.Popen(command, stdout=log, stderr=log))

    def cpu(self):
        """Seconds of processor time that the nodes have had."""
        total = 0
        for p in self.processes:
            with open(f"/proc/{p.pid}/stat", encoding="ascii") as f:
                fields = f.read().rsplit(")", 1)[1].split()
            total += int(fields[11]) + int(fields[12])
        return total / os.sysconf("SC_CLK_TCK")

    def end(self):
        for p in self.processes:
            p.terminate()
        for p in self.processes:
            p.wait(timeout=30)
        shutil.rmtree(self.dir, ignore_errors=True)


class TinyKV(Cluster):
    def __init__(self, program):
        super().__init__("tinykv")
        ports = free_ports(6)
        self.clients = ports[:3]
        self.program = program
        peers = ",".join(f"{i + 1}=127.0.0.1:{p}" for i, p in enumerate(ports[3:]))
        for i in range(3):
            data = os.path.join(self.dir, str(i))
            os.mkdir(data)
            self.run(i, [program, "serve", "--id", str(i + 1), "--peers", peers, "--listen",
                         f"127.0.0.1:{self.clients[i]}", "--data", data])
        self.leader = self.find_leader()
        self.follower = next(p for p in self.clients if p != self.leader)

    def find_leader(self):
        end = time.monotonic() + 30
        while time.monotonic() < end:
            for port in self.clients:
                r = subprocess.run([self.program, "ctl", "--connect", f"127.0.0.1:{port}",
                                    "--timeout", "1000", "status"], capture_output=True, text=True,
                                   check=False)
                if "state leader" in r.stdout:
                    return port
            time.sleep(0.1)
        raise SystemExit("bench_cluster: TinyKV finds no leader")

    def load(self, what, clients, count, pipeline=1, port=None):
        """Requests a second."""
        r = subprocess.run(["redis-benchmark", "-p", str(port or self.leader), "-c", str(clients),
                            "-P", str(pipeline), "-n", str(max(count, clients)), "-d",
                            str(len(VALUE)), "-t", what, "--csv"], capture_output=True, text=True,
                           check=True)
        return float(r.stdout.strip().splitlines()[-1].split(",")[1].strip('"'))


def varint_field(number, data):
    return bytes([number << 3 | 2, len(data)]) + data


class Etcd(Cluster):
    CALLS = {"set": ("Put", varint_field(1, KEY) + varint_field(2, VALUE)),
             "get": ("Range", varint_field(1, KEY))}

    def __init__(self):
        super().__init__("etcd")
        ports = free_ports(6)
        self.clients = ports[:3]
        initial = ",".join(f"n{i}=http://127.0.0.1:{p}" for i, p in enumerate(ports[3:]))
        for i in range(3):
            client, peer = (f"http://127.0.0.1:{p}" for p in (ports[i], ports[3 + i]))
            self.run(i, ["etcd", "--name", f"n{i}", "--data-dir", os.path.join(self.dir, str(i)),
                         "--listen-client-urls", client, "--advertise-client-urls", client,
                         "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
                         "--initial-cluster", initial, "--log-level", "error"])
        for what, (_, message) in self.CALLS.items():
            with open(os.path.join(self.dir, what), "wb") as f:
                f.write(struct.pack(">BI", 0, len(message)) + message)
        self.leader = self.find_leader()

    def find_leader(self):
        end = time.monotonic() + 30
        while time.monotonic() < end:
            for port in self.clients:
                r = subprocess.run(["etcdctl", "--endpoints", f"127.0.0.1:{port}", "endpoint",
                                    "status", "-w", "fields"], capture_output=True, text=True,
                                   env={**os.environ, "ETCDCTL_API": "3"}, check=False)
                ids = dict(re.findall(r'"(MemberID|Leader)" : (\d+)', r.stdout))
                if len(ids) == 2 and ids["MemberID"] == ids["Leader"]:
                    return port
            time.sleep(0.1)
        raise SystemExit("bench_cluster: etcd finds no leader")

    def load(self, what, clients, count):
        method, _ = self.CALLS[what]
        r = subprocess.run(["h2load", "-c", str(clients), "-m", "1", "-n", str(max(count, clients)),
                            "-d", os.path.join(self.dir, what), "-H", "content-type: application/grpc",
                            "-H", "te: trailers",
                            f"http://127.0.0.1:{self.leader}/etcdserverpb.KV/{method}"],
                           capture_output=True, text=True, check=True)
        rate = re.search(r"finished in .*?, ([0-9.]+) req/s", r.stdout)
        done = re.search(r"(\d+) succeeded, (\d+) failed", r.stdout)
        if not rate or done.group(2) != "0":
            raise SystemExit(f"bench_cluster: h2load: {r.stdout}{r.stderr}")
        return float(rate.group(1))


def measure(cluster, seconds, *how):
    """A short run finds out how many requests take that long."""
    rate = cluster.load(how[0], how[1], max(2000, how[1] * 50), *how[2:])
    before, start = cluster.cpu(), time.monotonic()
    count = int(rate * seconds)
    rate = cluster.load(how[0], how[1], count, *how[2:])
    took = time.monotonic() - start
    return rate, (cluster.cpu() - before) / took


def main():
    p = argparse.ArgumentParser(add_help=False)
    p.add_argument("tinykv", nargs="?")
    p.add_argument("--clients", default="1,16,100,1000")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--seconds", type=float, default=3)
    p.add_argument("--tsv")
    p.add_argument("--no-etcd", action="store_true")
    p.add_argument("-h", "--help", action="store_true")
    a = p.parse_args()
    if a.help or a.tinykv is None:
        print(__doc__)
        sys.exit(0 if a.help else 2)
    if shutil.which("redis-benchmark") is None:
        raise SystemExit("bench_cluster: redis-benchmark is not installed (Debian: redis-tools)")
    missing = [x for x in ("etcd", "etcdctl", "h2load") if shutil.which(x) is None]
    clusters = [TinyKV(os.path.abspath(a.tinykv))]
    try:
        if missing or a.no_etcd:
            print("without etcd" + (f": {', '.join(missing)} not installed" if missing else ""))
        else:
            clusters.append(Etcd())
        compare(a, clusters)
    finally:
        for c in clusters:
            c.end()


def compare(a, clusters):
    kv = clusters[0]
    rows = [(what, int(c), [(x, (what, int(c))) for x in clusters])
            for c in a.clients.split(",") for what in ("set", "get")]
    for what in ("set", "get"):
        for where, port in (("leader", kv.leader), ("follower", kv.follower)):
            rows.append((f"{what}, 16 in a pipeline, {where}", 50,
                         [(kv, (what, 50, 16, port))]))
    figures = {}
    for _ in range(a.rounds):
        for n, row in enumerate(rows):
            for cluster, how in row[2]:
                figures.setdefault((n, cluster.name), []).append(measure(cluster, a.seconds, *how))
    tsv = ["what\tclients\tserver\trequests_per_s\tleast\tmost\tcores"]
    print(f"{'':32}{'clients':>8}{'tinykv/s':>11}{'etcd/s':>9}{'ratio':>7}{'cores':>13}")
    for n, (what, count, _) in enumerate(rows):
        mid = {}
        for c in clusters:
            got = figures.get((n, c.name))
            if got:
                rates = [x[0] for x in got]
                mid[c.name] = (statistics.median(rates), statistics.median(x[1] for x in got))
                tsv.append(f"{what}\t{count}\t{c.name}\t{mid[c.name][0]:.0f}\t{min(rates):.0f}\t"
                           f"{max(rates):.0f}\t{mid[c.name][1]:.2f}")
        other = mid.get("etcd")
        print(f"{what:32}{count:8}{mid['tinykv'][0]:11.0f}"
              + (f"{other[0]:9.0f}{mid['tinykv'][0] / other[0]:7.1f}" if other else f"{'':16}")
              + f"{mid['tinykv'][1]:7.2f}" + (f"{other[1]:6.2f}" if other else ""))
    if a.tsv:
        with open(a.tsv, "w", encoding="ascii") as f:
            f.write("\n".join(tsv) + "\n")


main()
