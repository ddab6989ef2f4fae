"""kill -9 under load: what was acknowledged is there afterwards, round after round."""

import os
import signal
import threading

from tinykv_server import Client, Server, Tap

ROUNDS = 6
WRITERS = 4


class Writer(threading.Thread):
    """Counts up its own keys, several requests in flight; remembers what was acknowledged."""

    def __init__(self, number):
        super().__init__()
        self.number = number
        self.acked = {}
        self.sent = {}
        self.next = 1

    def begin(self, port):
        threading.Thread.__init__(self)
        self.port = port
        self.start()

    def run(self):
        try:
            client = Client(self.port)
            while True:
                burst = []
                for _ in range(8):
                    key, value = f"w{self.number}:{self.next % 50}", self.next
                    self.next += 1
                    self.sent[key] = value
                    burst.append((key, value))
                    client.send("SET", key, value)
                for key, value in burst:
                    if client.receive() == "OK":
                        self.acked[key] = value
        except (OSError, ConnectionError):
            pass


def check_round(tap, name, server, writers):
    client = Client(server.port)
    lost = []
    for w in writers:
        for key, acked in w.acked.items():
            got = client.call("GET", key)
            # an unacknowledged later write may be there; an earlier value or nothing may not
            if got is None or not acked <= int(got) <= w.sent[key]:
                lost.append((key, acked, got))
    client.close()
    total = sum(len(w.acked) for w in writers)
    tap.check(f"{name}: nothing acknowledged is lost", total > 0 and not lost, lost[:5])


def main():
    tap = Tap()
    server = Server()
    try:
        writers = [Writer(i) for i in range(WRITERS)]
        for round_number in range(ROUNDS):
            server.start("--write-buffer", "64k", "--durability",
                         "buffered" if round_number % 2 else "sync")
            check = Client(server.port)
            before = int(check.call("INCR", "rounds"))
            tap.check(f"round {round_number}: the count of rounds goes on",
                      before == round_number + 1, before)
            for w in writers:
                w.begin(server.port)
            goal = sum(w.next for w in writers) + 4000
            while sum(w.next for w in writers) < goal:
                check.call("PING")
            server.stop(signal.SIGKILL)
            for w in writers:
                w.join()
            server.start()
            check_round(tap, f"round {round_number}", server, writers)
            tap.check(f"round {round_number}: a clean stop", server.stop() == 0)
        server.start()
        check_round(tap, "after a clean stop", server, writers)
        other = Server(server.dir)
        try:
            other.start()
            tap.check("the directory is in use", False, "a second server started")
            other.stop()
        except RuntimeError as error:
            tap.check("the directory is in use", "in use by another process" in str(error), error)
        server.stop()
        logs = [n for n in os.listdir(os.path.join(server.dir, "data")) if n.endswith(".log")]
        tap.check("old logs are removed", len(logs) < 10, logs)
    finally:
        server.clean()
    tap.end()


main()
