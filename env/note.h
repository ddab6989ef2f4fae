/* note.h - the kinds of env_note(): what the product says about itself.
 *
 * Only sim interprets them, and cross-checks them with what it sees on disk and wire.
 * Fields not named are 0. A note is emitted after the fact it states, before any message that
 * lets others know of it. */
#ifndef ENV_NOTE_H
#define ENV_NOTE_H

enum note_kind {
    NOTE_NONE,
    /* Those of the engine have the directory of the database in data, as it was opened. */
    /* engine: a record's bytes were handed to the log. a: log number, b: offset of its end in
     * the file, c: sequence of its last entry. */
    NOTE_WAL_APPENDED,
    /* engine: a durable manifest names a table, or does so no more. a: number of the table, b: its
     * size in bytes, c: 1 named, 0 not any more. */
    NOTE_TABLE,
    /* engine: the manifest was synced, with its name and CURRENT. a: bytes of it that count, b: its
     * number, c: every change up to this sequence is in the tables that it names. */
    NOTE_FLUSHED,
    /* engine: it was opened. a: sequence of the last change that was found; numbers above it may
     * have been given before, to changes that are lost. */
    NOTE_REPLAYED,
    /* engine: it goes on with a log that was there when it was opened, and with its manifest. a:
     * number of the log, b: bytes of it that count and are durable, as its name is. */
    NOTE_RESUMED,
    /* node: a group of commands is about to be committed as one batch. a: its ordinal in this
     * incarnation, from 1; b: 1 when it will be synced; data: the encoded tkv_batch. */
    NOTE_COMMIT_BEGIN,
    /* node: that commit returned. a: its ordinal, b: status, c: last sequence given (0: none). */
    NOTE_COMMIT_END,
    /* node: a commit could not even begin: what was executed and wrote is refused. */
    NOTE_COMMIT_REFUSED,
    /* node: replies that promise the outcome of commit a leave for the wire now. */
    NOTE_ACK,
    /* node: the database is open and serves. a: last sequence recovered. */
    NOTE_RECOVERED,
    /* node: a connection got a session. a: session, b: descriptor. */
    NOTE_SESSION,
    /* node: a request was executed, or executed again after a failed commit. a: session, b: its
     * number on that connection, from 1, c: 1 when it wrote. The order of these notes is the order
     * of execution. */
    NOTE_EXECUTED,
    /* node: an entry of the replicated log was executed. a: its index, b: its term, c: the digest
     * of all effects up to it, which is the same on every node. data: the envelope, of a command.
     */
    NOTE_APPLIED,
    /* node: a request goes to the replica. a: session, b: its number on that connection, from 1;
     * data: the struct replica_request, whose address is its name until the next one has it. */
    NOTE_SUBMITTED,
    /* node: requests were put into an envelope. a: life of the process, b: ordinal of the envelope;
     * data: array of pointers to its struct replica_requests, by position. */
    NOTE_ENVELOPE,
    /* node: a request that only reads was executed on the state after an entry. a: session, b: its
     * number on that connection, c: index of the entry. */
    NOTE_LOOKED,
    /* node: its database is a snapshot now. a: index, b: term, c: digest, as with NOTE_APPLIED. */
    NOTE_INSTALLED,
    /* node: its role in the group changed. a: term, b: enum raft_state, c: the leader, or 0. */
    NOTE_ROLE,
    /* node: the core was started with what the disk gave back. data: struct replicanote_start. */
    NOTE_CORE_STARTED,
    /* node: the core made a step, and nothing came of it yet. data: struct replicanote_step. */
    NOTE_CORE_STEPPED,
    /* node: writes of its log are durable. a: the node, b: number of the last one. */
    NOTE_CORE_DURABLE,
    /* node: a message leaves for another. data: struct raft_msg. */
    NOTE_CORE_SENT,
};

#endif
