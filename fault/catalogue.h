/* catalogue.h - every knob of a run, one row each; included by plan.h and plan.c with their own
 * PLAN_KNOB. Rows may be added anywhere; names never change their meaning.
 *
 * PLAN_KNOB(id, name, class, min, max, default, draw, on_ppm, doc)
 *   class  SIZE or FAULT; STORE_FAULT …: of that world alone; NODE_…: of that of clusters, too
 *   draw   FIX | LIN(low, high) | LOG(low, high) | PICK(weights…) */

/* clang-format off */
/* ---- the workload ---- */
PLAN_KNOB(CLIENTS, "clients", NODE_SIZE, 1, 64, 3, FIX, 0, "client processes")
PLAN_KNOB(OPS, "ops", SIZE, 1, 1000000000, 500, FIX, 0, "operations of all clients together")
PLAN_KNOB(KEYS, "keys", SIZE, 1, 1000000, 16, LOG(2, 64), 1000000, "different keys")
PLAN_KNOB(VALUE_BYTES, "value_bytes", NODE_SIZE, 0, 1000000, 40, LOG(8, 4000), 1000000, "greatest padding of a value")
PLAN_KNOB(PIPELINE, "pipeline", NODE_SIZE, 1, 64, 4, LIN(1, 8), 1000000, "greatest number of requests sent at once")
PLAN_KNOB(THINK_US, "think_us", NODE_SIZE, 0, 10000000, 500, LOG(1, 3000), 1000000, "greatest pause between a client's requests")
PLAN_KNOB(TIMEOUT_MS, "timeout_ms", NODE_SIZE, 1, 1000000, 300, LOG(60, 1000), 1000000, "how long a client waits for a reply")
PLAN_KNOB(MIX, "mix", NODE_SIZE, 0, 4, 0, PICK(4, 2, 2, 1, 1), 1000000, "0 all kinds, 1 registers, 2 batches and scans, 3 counters and appends, 4 mostly buffered writes")
PLAN_KNOB(GARBAGE, "garbage", NODE_FAULT, 0, 1000000, 0, LOG(2000, 20000), 300000, "a request that is no RESP")
PLAN_KNOB(VANISH, "vanish", NODE_FAULT, 0, 1000000, 0, LOG(2000, 20000), 400000, "a client hangs up without reading its replies")
PLAN_KNOB(SLOW_READ, "slow_read", NODE_FAULT, 0, 1000000, 0, LOG(3000, 30000), 400000, "a client asks for a lot and reads late")

/* ---- the node ---- */
PLAN_KNOB(WRITE_BUFFER, "write_buffer", NODE_SIZE, 1024, 1073741824, 65536, LOG(4096, 131072), 1000000, "bytes of a memtable before its log rotates")
PLAN_KNOB(OUTPUT_LIMIT, "output_limit", NODE_SIZE, 4096, 1073741824, 1048576, LOG(16384, 1048576), 1000000, "bytes of replies a connection may have waiting")
PLAN_KNOB(IDLE_MS, "idle_ms", NODE_SIZE, 0, 100000000, 0, LOG(50, 2000), 300000, "idle timeout of a connection, 0 none")
PLAN_KNOB(INFLIGHT, "inflight", NODE_SIZE, 1, 1000000, 1024, PICK(0, 1, 2, 4, 64), 300000, "requests of a connection that the node takes in at once")
PLAN_KNOB(CURSORS, "cursors", NODE_SIZE, 1, 1000000, 4096, PICK(0, 1, 1, 2), 300000, "SCAN cursors that the node remembers")
PLAN_KNOB(MAX_CLIENTS, "max_clients", NODE_SIZE, 1, 100000, 100, PICK(0, 0, 1, 1, 2, 2, 4, 4, 8), 400000, "connections the node accepts")

/* ---- the engine alone (docs/store.md) ---- */
PLAN_KNOB(STORE_WORKERS, "store_workers", STORE_SIZE, 1, 4, 2, PICK(0, 40, 25, 20, 15), 1000000, "threads that use the database")
PLAN_KNOB(STORE_MIX, "store_mix", STORE_SIZE, 0, 5, 0, PICK(35, 20, 15, 10, 10, 10), 1000000, "0 all kinds, 1 writes, 2 deletes and ranges, 3 snapshots and cursors, 4 flushes and compactions, 5 reads")
PLAN_KNOB(STORE_VALUE_BYTES, "store_value_bytes", STORE_SIZE, 0, 100000, 40, LOG(2, 400), 1000000, "greatest padding of a value")
PLAN_KNOB(STORE_KEY_BYTES, "store_key_bytes", STORE_SIZE, 0, 4096, 0, LOG(1, 200), 300000, "padding of a key")
PLAN_KNOB(STORE_SYNC, "store_sync", STORE_SIZE, 0, 1000000, 300000, LIN(0, 600000), 1000000, "ppm: a write asks to be synced")
PLAN_KNOB(STORE_THINK_US, "store_think_us", STORE_SIZE, 0, 10000000, 200, LOG(1, 3000), 1000000, "greatest pause between a thread's operations")
PLAN_KNOB(STORE_LOG, "store_log", STORE_SIZE, 0, 1, 1, PICK(25, 75), 1000000, "0: a database without a log, whose owner replays by tags")
PLAN_KNOB(STORE_ORDER, "store_order", STORE_SIZE, 0, 1, 0, PICK(75, 25), 1000000, "0 bytewise, 1 reverse")
PLAN_KNOB(STORE_WRITE_BUFFER, "store_write_buffer", STORE_SIZE, 64, 1073741824, 4096, LOG(512, 8192), 1000000, "bytes of a memtable")
PLAN_KNOB(STORE_MEMTABLES, "store_memtables", STORE_SIZE, 1, 64, 4, LIN(1, 4), 1000000, "full memtables that wait before writers do")
PLAN_KNOB(STORE_BLOCK_BYTES, "store_block_bytes", STORE_SIZE, 64, 1048576, 256, LOG(64, 512), 1000000, "bytes of a block")
PLAN_KNOB(STORE_TABLE_BYTES, "store_table_bytes", STORE_SIZE, 64, 1073741824, 2048, LOG(256, 8192), 1000000, "bytes of a table that a compaction writes")
PLAN_KNOB(STORE_LEVEL0, "store_level0", STORE_SIZE, 1, 64, 2, LIN(1, 4), 1000000, "tables in level 0 that start a compaction; writers slow down at twice, stop at three times as many")
PLAN_KNOB(STORE_LEVEL1_BYTES, "store_level1_bytes", STORE_SIZE, 64, 1099511627776, 4096, LOG(512, 16384), 1000000, "bytes of level 1")
PLAN_KNOB(STORE_LEVEL_FACTOR, "store_level_factor", STORE_SIZE, 2, 100, 3, LIN(2, 4), 1000000, "a level holds so many times the last")
PLAN_KNOB(STORE_CACHE_BYTES, "store_cache_bytes", STORE_SIZE, 0, 1073741824, 0, PICK(0, 512, 4096, 65536), 700000, "bytes of the block cache")
PLAN_KNOB(STORE_META_BYTES, "store_meta_bytes", STORE_SIZE, 0, 1073741824, 67108864, PICK(1024, 8192, 67108864), 500000, "bytes of indexes and filters held")
PLAN_KNOB(STORE_FILES_MAX, "store_files_max", STORE_SIZE, 8, 4096, 64, PICK(8, 9, 12, 32), 700000, "tables open at once")
PLAN_KNOB(STORE_FILTER_BITS, "store_filter_bits", STORE_SIZE, 0, 64, 10, PICK(0, 2, 10, 30, 0), 600000, "filter bits a key")
PLAN_KNOB(STORE_PREFIX_BYTES, "store_prefix_bytes", STORE_SIZE, 0, 255, 0, LIN(1, 5), 400000, "prefix in the filters")
PLAN_KNOB(STORE_COMPRESSION, "store_compression", STORE_SIZE, 0, 2, 1, PICK(40, 30, 30), 1000000, "0 none, 1 from level 2 on, 2 everywhere")
PLAN_KNOB(STORE_THREADS, "store_threads", STORE_SIZE, 1, 16, 2, LIN(1, 3), 1000000, "threads of the engine")
PLAN_KNOB(STORE_TWIN, "store_twin", STORE_SIZE, 0, 1, 0, PICK(93, 7), 1000000, "1: one thread, no faults; the same operations with other options must answer alike (E12)")
PLAN_KNOB(STORE_MEDIA, "store_media", STORE_SIZE, 0, 1, 0, PICK(85, 15), 1000000, "1: the seed draws media faults too")
PLAN_KNOB(STORE_STALL_MS, "store_stall_ms", STORE_SIZE, 1, 100000000, 60000, FIX, 0, "virtual ms by which a write has to return when the disk is well (E27)")

/* ---- a group of nodes (docs/group.md) ---- */
PLAN_KNOB(GROUP_NODES, "group_nodes", GROUP_SIZE, 1, 7, 3, PICK(1, 3, 3, 3, 5, 5, 7), 1000000, "nodes")
PLAN_KNOB(GROUP_ELECTION_MS, "group_election_ms", GROUP_SIZE, 10, 100000, 300, LOG(150, 1000), 1000000, "least election timeout of the nodes")
PLAN_KNOB(GROUP_HEARTBEATS, "group_heartbeats", GROUP_SIZE, 2, 100, 10, PICK(3, 5, 10, 20), 1000000, "heartbeats in one election timeout")
PLAN_KNOB(GROUP_SPAN, "group_span", GROUP_SIZE, 1, 10000, 25, LOG(12, 60), 1000000, "election timeouts that misfortune lasts")
PLAN_KNOB(GROUP_COMPACT, "group_compact", GROUP_SIZE, 1024, 1073741824, 65536, PICK(1024, 1024, 4096, 65536), 1000000, "bytes applied until old entries of the replicated log are given up")
PLAN_KNOB(GROUP_SEGMENT, "group_segment", GROUP_SIZE, 32768, 1073741824, 65536, PICK(32768, 65536, 65536, 262144), 1000000, "bytes of a file of the replicated log")
PLAN_KNOB(GROUP_SESSIONS, "group_sessions", GROUP_SIZE, 0, 1, 0, PICK(50, 50), 1000000, "1: clients send single writes in sessions, again and again until they know")
PLAN_KNOB(GROUP_CORE_MORE, "group_core_more", GROUP_SIZE, 0, 1, 0, PICK(50, 50), 1000000, "1: the core that heals first is larger than a quorum where it can be")
PLAN_KNOB(GROUP_SPARES, "group_spares", GROUP_SIZE, 0, 2, 0, PICK(25, 50, 25), 1000000, "hosts that may join; 0 unless members change")
PLAN_KNOB(GROUP_REQUEST_MS, "group_request_ms", GROUP_SIZE, 10, 1000000, 5000, LOG(500, 5000), 1000000, "how long a node works on a request before it gives it up")
PLAN_KNOB(GROUP_TIGHT, "group_tight", GROUP_SIZE, 0, 1, 0, PICK(75, 25), 1000000, "1: nodes have next to no room for what waits (--tight)")
PLAN_KNOB(GROUP_MEDIA, "group_media", GROUP_SIZE, 0, 2, 0, PICK(85, 8, 7), 1000000, "media faults: 1 of one node, 2 of as many nodes as may be damaged; none where members change")
PLAN_KNOB(TRANSFERS, "transfers", GROUP_FAULT, 0, 64, 0, LIN(1, 4), 350000, "an operator has another node lead")
PLAN_KNOB(MEMBER_CHANGES, "member_changes", GROUP_FAULT, 0, 64, 0, LIN(1, 5), 350000, "an operator removes a node, or adds one with an empty disk")
PLAN_KNOB(BLACKOUTS, "blackouts", GROUP_FAULT, 0, 1000, 0, LIN(1, 2), 300000, "power losses of all nodes at once")

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
PLAN_KNOB(RENAME_LIES, "rename_lies", FAULT, 0, 1000000, 0, LOG(5000, 100000), 0, "a rename is done and says that it failed")

/* ---- media: never in the default draw; plan_draw_one switches them on ---- */
PLAN_KNOB(MEDIA_MAX, "media_max", SIZE, 0, 1000000, 3, LIN(1, 4), 0, "media faults of a run, the seven below together")
PLAN_KNOB(MEDIA_EVICT, "media_evict", SIZE, 0, 1000000, 20000, LOG(1000, 200000), 0, "ppm of disk operations: a page that hides a media fault leaves the cache")
PLAN_KNOB(MEDIA_ROT, "media_rot", FAULT, 0, 1000000, 0, LOG(300, 10000), 0, "per disk operation: bytes of a sector rot")
PLAN_KNOB(MEDIA_LSE, "media_lse", FAULT, 0, 1000000, 0, LOG(300, 10000), 0, "per disk operation: a sector cannot be read any more")
PLAN_KNOB(MEDIA_TRANSIENT, "media_transient", FAULT, 0, 1000000, 0, LOG(300, 10000), 0, "per disk operation: the next 1 to 3 reads of a page fail")
PLAN_KNOB(MEDIA_MISREAD, "media_misread", FAULT, 0, 1000000, 0, LOG(300, 10000), 0, "per disk operation: one read of a sector returns another")
PLAN_KNOB(MEDIA_LOST, "media_lost", FAULT, 0, 1000000, 0, LOG(1000, 30000), 0, "a write does not reach media")
PLAN_KNOB(MEDIA_MISDIRECT, "media_misdirect", FAULT, 0, 1000000, 0, LOG(1000, 30000), 0, "a write lands in another place")
PLAN_KNOB(MEDIA_STALE, "media_stale", FAULT, 0, 1000000, 0, LOG(1000, 30000), 0, "after a write, one read returns what was there before")

/* ---- network ---- */
PLAN_KNOB(NET_LATENCY_US, "net_latency_us", NODE_SIZE, 1, 10000000, 100, LOG(30, 5000), 1000000, "median one-way latency")
PLAN_KNOB(NET_BUFFER, "net_buffer", NODE_SIZE, 64, 16777216, 65536, PICK(0, 256, 4096, 65536), 1000000, "bytes a socket buffers each way")
PLAN_KNOB(NET_SPLIT, "net_split", NODE_FAULT, 0, 1000000, 0, LIN(100000, 500000), 800000, "a socket read or write moves fewer bytes than it could")
PLAN_KNOB(NET_TAIL, "net_tail", NODE_FAULT, 0, 1000000, 0, LOG(500, 10000), 500000, "a segment takes 10 to 100 times longer")
PLAN_KNOB(NET_RESET, "net_reset", NODE_FAULT, 0, 1000000, 0, LOG(100, 3000), 400000, "a connection is reset at a read or write")
PLAN_KNOB(NET_INTR, "net_intr", NODE_FAULT, 0, 1000000, 0, LOG(1000, 10000), 400000, "a socket call or a poll is interrupted")
PLAN_KNOB(NET_SPURIOUS, "net_spurious", NODE_FAULT, 0, 1000000, 0, LOG(1000, 10000), 400000, "the poller reports readiness that is not there")
PLAN_KNOB(NET_ACCEPT, "net_accept", NODE_FAULT, 0, 1000000, 0, LOG(10000, 300000), 250000, "accept finds no descriptor or no memory, and leaves the connection queued")
PLAN_KNOB(BACKLOG, "backlog", NODE_SIZE, 1, 4096, 128, PICK(0, 1, 1, 2, 0, 4), 300000, "connections a listener queues")

/* ---- between several hosts: worlds that have them draw these with plan_draw_net ---- */
PLAN_KNOB(NET_PROFILE, "net_profile", NET_SIZE, 0, 3, 0, PICK(25, 40, 20, 15), 1000000, "latency of a link: 0 net_latency_us, 1 LAN, 2 WAN, 3 each link one of them")
PLAN_KNOB(NET_BANDWIDTH, "net_bandwidth", NET_SIZE, 0, 10000000000, 0, LOG(100000, 100000000), 500000, "bytes a second of each directed link, 0 no limit")
PLAN_KNOB(NET_LOSS, "net_loss", NET_FAULT, 0, 1000000, 0, LOG(30, 3000), 400000, "a packet is lost: sent again after 200 ms, 400 ms, ...")
PLAN_KNOB(NET_OVERFLOW, "net_overflow", NET_FAULT, 0, 1000000, 0, LOG(30000, 1000000), 300000, "a connection that finds the accept queue full is there for the client alone")
PLAN_KNOB(NET_OVERFLOW_ABORT, "net_overflow_abort", NET_SIZE, 0, 1, 0, PICK(70, 30), 1000000, "1: it is reset instead (tcp_abort_on_overflow)")
PLAN_KNOB(NET_FLIP, "net_flip", NET_FAULT, 0, 1000000, 0, LOG(10, 1000), 200000, "a bit of bytes that arrive is flipped")
PLAN_KNOB(NET_FLIP_MAX, "net_flip_max", NET_SIZE, 0, 1000000, 1000, FIX, 0, "flipped bits of a run")

PLAN_KNOB(PARTITIONS, "partitions", NET_FAULT, 0, 1000, 0, LIN(1, 4), 700000, "partitions at drawn moments, at most two at a time")
PLAN_KNOB(PART_ISOLATE, "part_isolate", NET_FAULT, 0, 1000, 0, PICK(25), 850000, "weight: one node sees nobody")
PLAN_KNOB(PART_HALVES, "part_halves", NET_FAULT, 0, 1000, 0, PICK(15), 850000, "weight: two groups")
PLAN_KNOB(PART_BRIDGE, "part_bridge", NET_FAULT, 0, 1000, 0, PICK(15), 850000, "weight: two groups and a node that sees both")
PLAN_KNOB(PART_RING, "part_ring", NET_FAULT, 0, 1000, 0, PICK(8), 850000, "weight: every node sees a majority, no two the same")
PLAN_KNOB(PART_HUB, "part_hub", NET_FAULT, 0, 1000, 0, PICK(7), 850000, "weight: every node sees one node only")
PLAN_KNOB(PART_LINK, "part_link", NET_FAULT, 0, 1000, 0, PICK(8), 850000, "weight: one pair of nodes")
PLAN_KNOB(PART_ONEWAY, "part_oneway", NET_FAULT, 0, 1000, 0, PICK(12), 850000, "weight: one way only")
PLAN_KNOB(PART_ROLES, "part_roles", NET_FAULT, 0, 1000, 0, PICK(5), 850000, "weight: connections of nodes are cut and those of clients are not, or the reverse")
PLAN_KNOB(PART_CLASS, "part_class", NET_FAULT, 0, 1000, 0, PICK(3), 850000, "weight: big packets, or single connections")
PLAN_KNOB(PART_FLAP, "part_flap", NET_FAULT, 0, 1000, 0, PICK(2), 850000, "weight: any of these, on and off")
PLAN_KNOB(NET_CLOGS, "net_clogs", NET_FAULT, 0, 1000, 0, LIN(1, 3), 300000, "episodes: a link carries next to nothing")
PLAN_KNOB(NET_SILENCES, "net_silences", NET_FAULT, 0, 1000, 0, LIN(1, 3), 300000, "episodes: one connection falls silent, one way or both, for good")
PLAN_KNOB(NET_BURSTS, "net_bursts", NET_FAULT, 0, 1000, 0, LIN(1, 4), 300000, "episodes: a host is unreachable for a moment, again and again")
PLAN_KNOB(NET_FD_LIMITS, "net_fd_limits", NET_FAULT, 0, 1000, 0, LIN(1, 2), 200000, "episodes: a node has hardly a descriptor left")
PLAN_KNOB(NET_PORT_LIMITS, "net_port_limits", NET_FAULT, 0, 1000, 0, LIN(1, 2), 200000, "episodes: a node has hardly an ephemeral port left")

/* ---- clocks ---- */
PLAN_KNOB(CLOCK_DRIFT, "clock_drift", FAULT, 0, 100000, 0, LOG(10, 50000), 500000, "rate of a host's clocks is off by up to this many ppm")
PLAN_KNOB(WALL_STEP, "wall_step", NODE_FAULT, 0, 1000000, 0, LOG(10000, 500000), 300000, "the wall clock jumps before it is read")

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
