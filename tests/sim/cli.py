#!/usr/bin/env python3
"""cli.py TINYKV-SIM: what the command line promises. Prints TAP."""
import json
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree

SIM = os.path.abspath(sys.argv[1])
FINE, USAGE, TOOL = 0, 2, 3
TESTS = []


def test(fn):
    TESTS.append(fn)
    return fn


def sim(*args, code=FINE):
    r = subprocess.run([SIM, *args], capture_output=True, text=True, timeout=120)
    assert r.returncode == code, f"{args}: exit {r.returncode}, not {code}\n{r.stdout}{r.stderr}"
    return r


def run_json(*args):
    return json.loads(sim(*args, "--json").stdout)


def write(name, text):
    with open(name, "w", encoding="ascii") as f:
        f.write(text)
    return name


@test
def bad_usage_exits_2_and_says_what():
    for args, says in [
        ((), "usage"),
        (("frobnicate",), "frobnicate"),
        (("run",), "which seed"),
        (("run", "--seed"), "--seed: wants a value"),
        (("run", "--seed", "x"), "cannot be 'x'"),
        (("run", "--seed", "-1"), "cannot be '-1'"),
        (("run", "--seed", "18446744073709551616"), "--seed"),
        (("run", "1", "2"), "'2'"),
        (("run", "1", "--bogus"), "--bogus"),
        (("run", "1", "--tail", "700000000000000000"), "--tail"),
        (("run", "1", "--set", "ops"), "--set"),
        (("run", "1", "--set", "ops=x"), "no number"),
        (("run", "1", "--set", "ops=0"), "out of range"),
        (("run", "1", "--set", "nonsense=1"), "nonsense"),
        (("run", "1", "--tape", "/nonexistent"), "/nonexistent"),
        (("replay", "/nonexistent.seed"), "/nonexistent.seed"),
        (("plan", "."), "."),
        (("explore", "nonsense"), "nonsense"),
        (("explore", "--states", "x"), "--states"),
        (("sweep", "100"), "100"),
        (("sweep", "--jobs", "0"), "--jobs"),
        (("sweep", "--seeds", "5..4"), "--seeds"),
        (("sweep", "--seeds", "0"), "--seeds"),
        (("sweep", "--seeds", "0..18446744073709551615"), "--seeds"),
        (("sweep", "--shard", "0/2"), "--shard"),
        (("sweep", "--shard", "3/2"), "--shard"),
        (("sweep", "--shard", "1"), "--shard"),
        (("sweep", "--set", "ops=0"), "out of range"),
        (("run", "1", "--world", "moon"), "moon"),
        (("check",), "no file"),
    ]:
        assert says in sim(*args, code=USAGE).stderr, args


@test
def a_damaged_plan_is_named_with_its_line():
    for text, line, says in [
        ("version = 1\nseed = 1\nops = 0\n", 3, "out of range"),
        ("version = 9\n", 1, "version 9"),
        ("seed = 1\n\n# a comment\nwhat = 3\n", 4, "what"),
        ("seed = 1\nops 5\n", 2, "name = value"),
        ("seed = 1 2\n", 1, "text after"),
        ("skip_op = 0:5-4\n", 1, "ACTOR:FIRST-LAST"),
        ("seed = 18446744073709551616\n", 1, "2^64"),
    ]:
        said = sim("replay", write("bad.seed", text), code=USAGE).stderr
        assert "bad.seed" in said and f"line {line}: " in said and says in said, said


@test
def numbers_are_never_octal():
    assert run_json("run", "010")["seed"] == 10
    assert run_json("run", "0x10")["seed"] == 16


@test
def json_has_what_the_format_says():
    run = run_json("run", "--seed", "3")
    for field in ["seed", "verdict", "trace_hash", "events", "virtual_ns", "operations",
                  "crashes", "shadow_crashes", "wall_ns"]:
        assert field in run, field
    assert run["verdict"] == "ok"
    rows = [json.loads(x) for x in sim("sweep", "--seeds", "0..7", "--json").stdout.splitlines()]
    assert sorted(r["seed"] for r in rows[:-1]) == list(range(8))
    assert rows[-1]["seeds"] == 8 and rows[-1]["failed"] == 0 and "probes" in rows[-1]


@test
def a_plan_and_a_tape_replay_the_run():
    want = run_json("run", "3", "--record", "three.tape")["trace_hash"]
    assert os.path.getsize("three.tape") > 0
    write("three.seed", sim("plan", "3").stdout)
    assert run_json("run", "3")["trace_hash"] == want
    assert run_json("replay", "three.seed")["trace_hash"] == want
    assert run_json("replay", "three.seed", "--tape", "three.tape")["trace_hash"] == want
    assert sim("plan", "three.seed").stdout == sim("plan", "3").stdout
    assert run_json("run", "4")["trace_hash"] != want


@test
def set_changes_the_run_as_an_edited_plan_does():
    text = sim("plan", "3", "--set", "ops=40").stdout
    a = run_json("replay", write("forty.seed", text))
    assert a["trace_hash"] == run_json("run", "3", "--set", "ops=40")["trace_hash"]
    assert a["operations"] == 40


@test
def what_does_not_fail_is_not_shrunk():
    said = sim("shrink", "3", "--quiet", "--out", "none.seed", code=USAGE).stderr
    assert "nothing to shrink" in said
    assert not os.path.exists("none.seed")


@test
def a_plan_says_its_world():
    want = run_json("run", "3", "--world", "store")["trace_hash"]
    text = sim("plan", "3", "--world", "store").stdout
    assert "world = store" in text and "store_workers" in text and "net_reset" not in text
    assert run_json("replay", write("store.seed", text))["trace_hash"] == want
    assert run_json("run", "3")["trace_hash"] != want
    want = run_json("run", "3", "--world", "cluster")["trace_hash"]
    text = sim("plan", "3", "--world", "cluster").stdout
    assert "world = cluster" in text and "group_nodes" in text and "store_" not in text
    assert run_json("replay", write("cluster.seed", text))["trace_hash"] == want
    old = sim("plan", "3").stdout
    assert "world = node" in old and "store_" not in old and "group_" not in old
    older = old.replace("world = node\n", "")
    assert run_json("replay", write("old.seed", older))["trace_hash"] == \
        run_json("run", "3")["trace_hash"]


def hashes(*args):
    out = sim("sweep", "--hashes", "--quiet", *args).stdout
    return {x for x in out.splitlines() if len(x.split()) == 2 and x.split()[0].isdigit()}


@test
def shards_make_the_whole():
    whole = hashes("--seeds", "3..13")
    one = hashes("--seeds", "3..13", "--shard", "1/2")
    two = hashes("--seeds", "3..13", "--shard", "2/2")
    assert len(whole) == 11 and not one & two and one | two == whole
    assert whole == hashes("--seeds", "3..13", "--jobs", "1")


@test
def junit_is_well_formed():
    sim("sweep", "--seeds", "0..4", "--quiet", "--junit", "out.xml")
    cases = ElementTree.parse("out.xml").getroot().findall("testcase")
    assert sorted(c.get("name") for c in cases) == [f"seed {i}" for i in range(5)]


@test
def what_cannot_be_written_is_no_success():
    sim("run", "3", "--record", "/nonexistent/tape", code=TOOL)
    sim("run", "3", "--history", "/nonexistent/history", code=TOOL)
    sim("sweep", "--seeds", "0..1", "--junit", "/nonexistent/x", code=TOOL)
    with open("/dev/full", "w", encoding="ascii") as full:
        r = subprocess.run([SIM, "plan", "3"], stdout=full, stderr=subprocess.DEVNULL, check=False)
    assert r.returncode == TOOL


@test
def a_history_goes_through_check():
    sim("run", "3", "--history", "three.jsonl")
    row = json.loads(sim("check", "--json", "three.jsonl").stdout.splitlines()[0])
    assert row["file"] == "three.jsonl" and "verdict" in row


def main():
    with tempfile.TemporaryDirectory() as there:
        os.chdir(there)
        for n, fn in enumerate(TESTS, 1):
            try:
                fn()
                print(f"ok {n} - {fn.__name__}")
            except Exception as e:  # a test that cannot go on has failed
                for line in (type(e).__name__ + ": " + str(e)).splitlines():
                    print("# " + line)
                print(f"not ok {n} - {fn.__name__}")
        os.chdir("/")
    print(f"1..{len(TESTS)}")


main()
