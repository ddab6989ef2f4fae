"""Every command through the real redis-cli, and load from the real redis-benchmark."""

import subprocess

from tinykv_server import Server, Tap, has

# command line (as a shell would split it into words), expected output of redis-cli
COMMANDS = [
    (["PING"], "PONG"),
    (["PING", "hello"], "hello"),
    (["ECHO", "a b"], "a b"),
    (["SELECT", "0"], "OK"),
    (["SELECT", "1"], "ERR DB index is out of range"),
    (["SET", "k", "v"], "OK"),
    (["SET", "k", "w", "NX"], ""),
    (["SET", "k", "w", "XX", "GET"], "v"),
    (["GET", "k"], "w"),
    (["GET", "none"], ""),
    (["APPEND", "k", "!"], "2"),
    (["STRLEN", "k"], "2"),
    (["MSET", "a", "1", "b", "2"], "OK"),
    (["MGET", "a", "none", "b"], "1\n\n2"),
    (["EXISTS", "a", "b", "none"], "2"),
    (["INCR", "a"], "2"),
    (["INCRBY", "a", "40"], "42"),
    (["DECR", "a"], "41"),
    (["DECRBY", "a", "41"], "0"),
    (["INCR", "k"], "ERR value is not an integer or out of range"),
    (["CAS", "b", "2", "3"], "1"),
    (["CAS", "b", "2", "4"], "0"),
    (["CAS", "c", "1", "IF", "ABSENT"], "1"),
    (["CAS", "c", "1", "IF", "ABSENT"], "0"),
    (["DBSIZE"], "4"),
    (["RANGE", "-", "+", "LIMIT", "2"], "a\n0\nb\n3"),
    (["RANGE", "b", "k", "REV"], "c\n1\nb\n3"),
    (["PAGE", "b", "k", "KEYS", "LIMIT", "1"], "c\nb"),
    (["PAGE", "c", "k", "REV"], "\nc\n1"),
    (["PAGE", "b", "k", "COUNT", "MATCH", "[cd]"], "1"),
    (["SCAN", "0", "MATCH", "[ab]", "COUNT", "100"], "0\na\nb"),
    (["DEL", "a", "b", "none"], "2"),
    (["MSET", "ra", "1", "rb", "2", "rc", "3"], "OK"),
    (["DELRANGE", "ra", "rc"], "OK"),
    (["RANGE", "r", "s"], "rc\n3"),
    (["DELRANGE", "r", "TO", "END"], "OK"),
    (["DELRANGE", "r", "TO", "s"], "ERR syntax error"),
    (["DBSIZE"], "2"),
    (["CONSISTENCY"], "linearizable"),
    (["CONSISTENCY", "local"], "OK"),
    (["CONSISTENCY", "stale"], "ERR syntax error"),
    (["DURABILITY"], "sync"),
    (["DURABILITY", "buffered"], "OK"),
    (["CONFIG", "GET", "appendonly"], "appendonly\nyes"),
    (["CONFIG", "SET", "idle-timeout", "0"], "OK"),
    (["CONFIG", "SET", "nosuch", "0"],
     "ERR Unknown option or number of arguments for CONFIG SET - 'nosuch'"),
    (["CLIENT", "GETNAME"], ""),
    (["CLIENT", "SETNAME", "x"], "OK"),
    (["COMMAND", "COUNT"], "36"),
    (["EXEC"], "ERR EXEC without MULTI"),
    (["DISCARD"], "ERR DISCARD without MULTI"),
    (["GET"], "ERR wrong number of arguments for 'get' command"),
    (["NOSUCH", "x"], "ERR unknown command 'NOSUCH', with args beginning with: 'x'"),
    (["RESET"], "RESET"),
    (["QUIT"], "OK"),
]


def cli(port, *words, text=None):
    done = subprocess.run(["redis-cli", "-p", str(port), *words], input=text, capture_output=True,
                          text=True, timeout=60)
    return "\n".join(line.rstrip() for line in done.stdout.rstrip("\n").split("\n")).rstrip("\n")


def main():
    tap = Tap()
    if not has("redis-cli") or not has("redis-benchmark"):
        tap.skip("redis tools", "redis-tools is not installed")
        tap.end()
    server = Server().start()
    try:
        for words, want in COMMANDS:
            got = cli(server.port, *words)
            tap.check("redis-cli " + " ".join(words), got == want.rstrip(), f"{got!r} != {want!r}")
        got = cli(server.port, text="MULTI\nSET m 1\nINCR m\nGET m\nEXEC\n")
        tap.check("redis-cli MULTI EXEC", got.split() == "OK QUEUED QUEUED QUEUED OK 2 2".split(), got)
        got = cli(server.port, "-3", "HELLO", "3")
        tap.check("redis-cli -3 HELLO", "tinykv" in got and "proto" in got, got)
        got = cli(server.port, "INFO")
        tap.check("redis-cli INFO", "commits_failed:0" in got and "connected_clients:1" in got, got)
        got = cli(server.port, "--scan")
        tap.check("redis-cli --scan", sorted(got.split()) == ["c", "k", "m"], got)
        got = cli(server.port, "--pipe", text="SET p1 x\r\nSET p2 y\r\n" * 500)
        tap.check("redis-cli --pipe", "errors: 0, replies: 1000" in got, got)
        for flags in (["-P", "16"], ["-P", "1", "-c", "200"]):
            done = subprocess.run(
                ["redis-benchmark", "-p", str(server.port), "-t", "ping,set,get,incr,mset", "-n",
                 "20000", "-r", "1000", "-q", *flags], capture_output=True, text=True, timeout=120)
            rows = done.stdout.count("requests per second")
            tap.check("redis-benchmark " + " ".join(flags), done.returncode == 0 and rows == 6,
                      done.stdout + done.stderr)
        tap.check("SIGTERM stops it with exit code 0", server.stop() == 0)
    finally:
        server.clean()
    tap.end()


main()
