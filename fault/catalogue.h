/* catalogue.h - every knob of a run, one row each; included by plan.h and plan.c with their own
 * PLAN_KNOB. Rows may be added anywhere; names never change their meaning.
 *
 * PLAN_KNOB(id, name, class, min, max, default, draw, on_ppm, doc)
 *   class  SIZE or FAULT
 *   draw   FIX | LIN(low, high) | LOG(low, high) | PICK(weights…) */

/* clang-format off */
/* ---- the workload ---- */
PLAN_KNOB(CLIENTS, "clients", SIZE, 1, 64, 3, FIX, 0, "client processes")
PLAN_KNOB(OPS, "ops", SIZE, 1, 1000000000, 500, FIX, 0, "operations of all clients together")
PLAN_KNOB(KEYS, "keys", SIZE, 1, 1000000, 16, LOG(2, 64), 1000000, "different keys")
PLAN_KNOB(VALUE_BYTES, "value_bytes", SIZE, 0, 1000000, 40, LOG(8, 4000), 1000000, "greatest padding of a value")
PLAN_KNOB(PIPELINE, "pipeline", SIZE, 1, 64, 4, LIN(1, 8), 1000000, "greatest number of requests sent at once")
PLAN_KNOB(THINK_US, "think_us", SIZE, 0, 10000000, 500, LOG(1, 3000), 1000000, "greatest pause between a client's requests")
PLAN_KNOB(TIMEOUT_MS, "timeout_ms", SIZE, 1, 1000000, 300, LOG(60, 1000), 1000000, "how long a client waits for a reply")
PLAN_KNOB(MIX, "mix", SIZE, 0, 4, 0, PICK(4, 2, 2, 1, 1), 1000000, "0 all kinds, 1 registers, 2 batches and scans, 3 counters and appends, 4 mostly buffered writes")
PLAN_KNOB(GARBAGE, "garbage", FAULT, 0, 1000000, 0, LOG(2000, 20000), 300000, "a request that is no RESP")
PLAN_KNOB(VANISH, "vanish", FAULT, 0, 1000000, 0, LOG(2000, 20000), 400000, "a client hangs up without reading its replies")
PLAN_KNOB(SLOW_READ, "slow_read", FAULT, 0, 1000000, 0, LOG(3000, 30000), 400000, "a client asks for a lot and reads late")

/* ---- the node ---- */
PLAN_KNOB(WRITE_BUFFER, "write_buffer", SIZE, 1024, 1073741824, 65536, LOG(4096, 131072), 1000000, "bytes of a memtable before its log rotates")
PLAN_KNOB(OUTPUT_LIMIT, "output_limit", SIZE, 4096, 1073741824, 1048576, LOG(16384, 1048576), 1000000, "bytes of replies a connection may have waiting")
PLAN_KNOB(IDLE_MS, "idle_ms", SIZE, 0, 100000000, 0, LOG(50, 2000), 300000, "idle timeout of a connection, 0 none")
PLAN_KNOB(INFLIGHT, "inflight", SIZE, 1, 1000000, 1024, PICK(0, 1, 2, 4, 64), 300000, "requests of a connection that the node takes in at once")
PLAN_KNOB(CURSORS, "cursors", SIZE, 1, 1000000, 4096, PICK(0, 1, 1, 2), 300000, "SCAN cursors that the node remembers")
PLAN_KNOB(MAX_CLIENTS, "max_clients", SIZE, 1, 100000, 100, PICK(0, 0, 1, 1, 2, 2, 4, 4, 8), 400000, "connections the node accepts")

/* ---- the machine ---- */
PLAN_KNOB(STEP_NS, "step_ns", SIZE, 1, 1000000, 1000, LOG(100, 20000), 1000000, "virtual time of one scheduler step")
PLAN_KNOB(POLICY, "policy", SIZE, 0, 5, 0, PICK(40, 30, 10, 10, 5, 5), 1000000, "scheduler: 0 random, 1 PCT, 2 run to block, 3 starve one, 4 last woken first, 5 at labels")
PLAN_KNOB(PCT_CHANGES, "pct_changes", SIZE, 1, 8, 3, LIN(1, 5), 1000000, "priority changes of a PCT run")
PLAN_KNOB(SPURIOUS_WAKE, "spurious_wake", FAULT, 0, 1000000, 0, LOG(300, 30000), 500000, "a condition variable wakes without cause")

/* ---- disk ---- */
PLAN_KNOB(DISK_MODEL, "disk_model", SIZE, 0, 1, 0, PICK(85, 15), 1000000, "0 P (POSIX at its weakest), 1 E (ext4-like)")
PLAN_KNOB(TEAR, "tear", SIZE, 0, 3, 1, PICK(30, 50, 15, 5), 1000000, "atomic unit of a write: 0 4096 B, 1 512 B, 2 8 B in one sector, 3 none")
PLAN_KNOB(FSYNC_FAIL, "fsync_fail", SIZE, 0, 3, 0, PICK(60, 0, 25, 15), 1000000, "what a failing sync does: 0 F1, 1 F2 (lies), 2 F3, 3 F4")
PLAN_KNOB(CAPACITY, "capacity", SIZE, 65536, 1099511627776, 1073741824, FIX, 0, "bytes of each disk")
PLAN_KNOB(DISK_SLOW, "disk_slow", SIZE, 1, 100000, 1, LOG(1, 100), 300000, "every disk operation takes so many times longer")
PLAN_KNOB(DISK_TAIL, "disk_tail", FAULT, 0, 1000000, 0, LOG(300, 3000), 500000, "a disk operation takes 10 to 100 times longer")
PLAN_KNOB(SHORT_READ, "short_read", FAULT, 0, 1000000, 0, LOG(1000, 30000), 500000, "a file read returns fewer bytes")
PLAN_KNOB(SHORT_WRITE, "short_write", FAULT, 0, 1000000, 0, LOG(1000, 30000), 500000, "a file write takes fewer bytes")
PLAN_KNOB(WRITE_EIO, "write_eio", FAULT, 0, 1000000, 0, LOG(100, 3000), 200000, "a file write fails")
PLAN_KNOB(SYNC_EIO, "sync_eio", FAULT, 0, 1000000, 0, LOG(500, 10000), 250000, "a sync fails, and what it should have saved is lost")
PLAN_KNOB(META_EIO, "meta_eio", FAULT, 0, 1000000, 0, LOG(3000, 50000), 200000, "create, rename, link, remove or directory sync fails")
PLAN_KNOB(DISK_FULL, "disk_full", FAULT, 0, 100, 0, LIN(1, 3), 250000, "episodes in which the disk is full")

/* ---- network ---- */
PLAN_KNOB(NET_LATENCY_US, "net_latency_us", SIZE, 1, 10000000, 100, LOG(30, 5000), 1000000, "median one-way latency")
PLAN_KNOB(NET_BUFFER, "net_buffer", SIZE, 64, 16777216, 65536, PICK(0, 256, 4096, 65536), 1000000, "bytes a socket buffers each way")
PLAN_KNOB(NET_SPLIT, "net_split", FAULT, 0, 1000000, 0, LIN(100000, 500000), 800000, "a socket read or write moves fewer bytes than it could")
PLAN_KNOB(NET_TAIL, "net_tail", FAULT, 0, 1000000, 0, LOG(500, 10000), 500000, "a segment takes 10 to 100 times longer")
PLAN_KNOB(NET_RESET, "net_reset", FAULT, 0, 1000000, 0, LOG(100, 3000), 400000, "a connection is reset at a read or write")
PLAN_KNOB(NET_INTR, "net_intr", FAULT, 0, 1000000, 0, LOG(1000, 10000), 400000, "a socket call or a poll is interrupted")
PLAN_KNOB(NET_SPURIOUS, "net_spurious", FAULT, 0, 1000000, 0, LOG(1000, 10000), 400000, "the poller reports readiness that is not there")
PLAN_KNOB(NET_ACCEPT, "net_accept", FAULT, 0, 1000000, 0, LOG(10000, 300000), 250000, "accept finds no descriptor or no memory, and leaves the connection queued")
PLAN_KNOB(BACKLOG, "backlog", SIZE, 1, 4096, 128, PICK(0, 1, 1, 2, 0, 4), 300000, "connections a listener queues")

/* ---- clocks ---- */
PLAN_KNOB(CLOCK_DRIFT, "clock_drift", FAULT, 0, 100000, 0, LOG(10, 50000), 500000, "rate of a host's clocks is off by up to this many ppm")
PLAN_KNOB(WALL_STEP, "wall_step", FAULT, 0, 1000000, 0, LOG(10000, 500000), 300000, "the wall clock jumps before it is read")

/* ---- memory ---- */
PLAN_KNOB(REFUSE, "refuse", FAULT, 0, 1000000, 0, LOG(30, 2000), 250000, "an allocation of the node is refused")
PLAN_KNOB(REFUSE_AT, "refuse_at", SIZE, 0, 1000000000000, 0, FIX, 0, "the n-th allocation of the first node is refused, 0 none")

/* ---- the nemesis ---- */
PLAN_KNOB(KILLS, "kills", FAULT, 0, 1000, 0, LIN(1, 4), 700000, "process deaths at a drawn moment")
PLAN_KNOB(POWERS, "powers", FAULT, 0, 1000, 0, LIN(1, 4), 700000, "power losses at a drawn moment")
PLAN_KNOB(PAUSES, "pauses", FAULT, 0, 1000, 0, LIN(1, 3), 400000, "pauses of the node")
PLAN_KNOB(STOPS, "stops", FAULT, 0, 1000, 0, LIN(1, 2), 400000, "orderly restarts under load")
PLAN_KNOB(KILL_AT_OP, "kill_at_op", FAULT, 0, 1000000, 0, LOG(100, 3000), 300000, "the node dies at a disk operation")
PLAN_KNOB(POWER_AT_OP, "power_at_op", FAULT, 0, 1000000, 0, LOG(100, 3000), 300000, "the power goes at a disk operation")

/* ---- shadow crashes ---- */
PLAN_KNOB(SHADOW_MAX, "shadow_max", SIZE, 0, 100000, 16, FIX, 0, "shadow recoveries of a run, nested ones apart")
PLAN_KNOB(SHADOW_META, "shadow_meta", SIZE, 0, 1000000, 500000, FIX, 0, "ppm: shadow crash at a create, rename, remove, truncate or directory sync")
PLAN_KNOB(SHADOW_DATA, "shadow_data", SIZE, 0, 1000000, 30000, LOG(10000, 60000), 1000000, "ppm: shadow crash at a write or sync")
PLAN_KNOB(SHADOW_DEPTH, "shadow_depth", SIZE, 0, 5, 2, LIN(1, 3), 1000000, "crashes within recoveries, one inside the other")
PLAN_KNOB(SHADOW_ACK, "shadow_ack", SIZE, 0, 1000000, 10000, FIX, 0, "ppm: shadow crash that drops everything unsynced when a promise leaves")
/* clang-format on */
