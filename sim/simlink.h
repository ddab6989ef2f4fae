/* simlink.h - the wires of the simulated network: one directed link from each host to each other.
 *
 * A world steers them: cut and heal, how long bytes take, how many fit through. What a link does to
 * a connection is TCP's answer to it (docs/simnet.md): lost packets are sent again, later and
 * later, so what was written before and during a cut arrives after its end, late, on a connection
 * that both sides still believe in.
 *
 * A link has any number of cuts at once, each with a number of its own, and passes when none of
 * them applies: partitions may overlap and end one by one. A host's link to itself is always well.
 *
 * Invariants: I1 nothing that arrives by a link crossed a cut of it   I2 a cut of a->b alone leaves
 * b->a as it is   I3 the bytes of all connections on a link share its bandwidth   I4 healing clears
 * nothing that is on its way (tests/sim/test_simlink.c).
 * Failure: none; the testbed's memory does not run out. Determinism: a link draws from its own
 * stream once it has a profile; before that, from the network's. */
#ifndef SIM_SIMLINK_H
#define SIM_SIMLINK_H

#include "sim/world.h"

enum simlink_mode {
    SIMLINK_PASS,
    SIMLINK_DROP,   /* packets vanish */
    SIMLINK_REJECT, /* a router says that there is no way: known to a connect at once */
    SIMLINK_RESET,  /* a firewall answers each packet with RST */
};

/* Which packets a cut is about. */
enum simlink_what {
    SIMLINK_ALL,
    SIMLINK_PORT,     /* of connections to that port, both directions of them */
    SIMLINK_NOT_PORT, /* of all others */
    SIMLINK_CONN,     /* of one connection */
    SIMLINK_BIGGER,   /* with more than so many bytes: a path MTU that nobody tells */
};

struct simlink_cut {
    enum simlink_mode mode;
    enum simlink_what what;
    uint64_t value; /* the port, the connection's id, the bytes */
    /* Acknowledgements get through, so that what comes the other way keeps coming. Without it TCP
     * falls silent that way too, after its first retransmission timeout. */
    bool acks_pass;
};

/* How a link is when nobody cuts it. A field that is 0 takes the plan's value. */
struct simlink_profile {
    uint64_t latency_ns; /* median, one way */
    uint64_t jitter_ns;  /* up to so much more, uniform */
    uint32_t tail_ppm;   /* a packet takes 10 to 100 times longer */
    uint32_t loss_ppm;   /* a packet is lost: it arrives 200 ms * 2^k later */
    uint64_t bandwidth;  /* bytes a second, at most 10^10 */
};

/* Values of the knob net_profile. */
enum simlink_kind { SIMLINK_PLAIN, SIMLINK_LAN, SIMLINK_WAN, SIMLINK_MIXED };

/* Draws one: LAN 50 to 500 us, WAN 1 to 80 ms. */
struct simlink_profile simlink_draw(struct chooser_stream *s, enum simlink_kind kind);
void simlink_set_profile(struct world *w, const struct host *from, const struct host *to,
                         const struct simlink_profile *p);

/* Returns the cut's number, never 0. */
uint64_t simlink_cut(struct world *w, const struct host *from, const struct host *to,
                     const struct simlink_cut *cut);
/* Ends one cut; harmless when it ended before. */
void simlink_heal(struct world *w, const struct host *from, const struct host *to, uint64_t cut);
/* Ends every cut and clog on every link; and on the links between these hosts alone. */
void simlink_heal_all(struct world *w);
void simlink_heal_among(struct world *w, struct host *const *hosts, size_t count);

/* No more than so many bytes a second, whatever the profile says, until it is called with 0. Bytes
 * that wait are sent at the new rate. */
void simlink_clog(struct world *w, const struct host *from, const struct host *to, uint64_t rate);
/* A bit is flipped in each of the next n runs of bytes that arrive, beyond the plan's rate. */
void simlink_flip_next(struct world *w, const struct host *from, const struct host *to, uint64_t n);

/* ---- questions ---- */

struct simlink_state {
    unsigned cuts;
    uint64_t in_flight;  /* bytes written and not yet in the receiver's buffer */
    uint64_t waiting_ns; /* a byte written now would wait so long for bandwidth */
    uint64_t delivered;  /* bytes, ever */
    uint64_t lost;       /* packets, ever: by loss, not by cuts */
    uint64_t flipped;    /* bits, ever */
};

/* A packet of a connection to that port passes now; port 0 is no port that a cut names. */
bool simlink_passes(struct world *w, const struct host *from, const struct host *to, uint16_t port);
struct simlink_state simlink_state(struct world *w, const struct host *from, const struct host *to);

#endif
