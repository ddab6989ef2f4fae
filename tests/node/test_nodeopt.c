/* test_nodeopt.c - the command line: what a member of a group is told by it. What every node is
 * told is in test_node.c. */
#include "node/nodeopt.h"
#include "tests/tap.h"

#define ARGS_MAX 8

/* `line` holds the arguments behind "serve --data=d", separated by blanks. */
static enum status parse(struct nodeopt *o, const char *line, struct err *err)
{
    static char text[512];
    static char data[] = "--data=d";
    char *argv[ARGS_MAX] = {data};
    int argc = 1;
    (void)snprintf(text, sizeof text, "%s", line);
    for (char *at = strtok(text, " "); at != NULL && argc < ARGS_MAX; at = strtok(NULL, " ")) {
        argv[argc++] = at;
    }
    *err = (struct err){.text = ""};
    return nodeopt_parse(o, argc, argv, err);
}

#define THREE "--peers=1=10.0.0.1:70,2=10.0.0.2:71,3=10.0.0.3:72"

static void nodeopt__without_an_id_it_is_no_member(void)
{
    struct nodeopt o;
    struct err err;
    EXPECT(parse(&o, "", &err) == ST_OK);
    EXPECT(o.id == 0 && o.peers.count == 0 && o.peer_listen.family == 0);
}

static void nodeopt__a_founder(void)
{
    struct nodeopt o;
    struct err err;
    EXPECT(parse(&o, "--id 2 " THREE, &err) == ST_OK);
    EXPECT(o.id == 2 && o.peers.count == 3 && o.join == 0);
    EXPECT(o.peer_listen.port == 71 && o.peer_listen.ip[3] == 2); /* its own entry */
    EXPECT(strcmp(o.cluster, "tinykv") == 0);
    EXPECT(o.election_ms == 1000 && o.heartbeat_ms == 100);
    EXPECT(o.connect_ms == 3000);
    EXPECT(parse(&o, "--id=2 --peer-listen=:9 --cluster=x --election=50 --heartbeat=25 " THREE,
                 &err) == ST_OK);
    EXPECT(o.peer_listen.port == 9 && o.peer_listen.ip[0] == 0);
    EXPECT(o.peer_address.port == 71 && o.peer_address.ip[3] == 2);
    EXPECT(strcmp(o.cluster, "x") == 0);
    EXPECT(o.election_ms == 50 && o.heartbeat_ms == 25 && o.lease_ppm == 0);
    EXPECT(o.connect_ms == 1000);
    EXPECT(parse(&o, "--id 1 --lease 500", &err) == ST_OK && o.lease_ppm == 500);
    EXPECT(parse(&o, "--id=2 --connect-timeout=70 " THREE, &err) == ST_OK);
    EXPECT(o.connect_ms == 70);
}

static void nodeopt__alone_and_joining(void)
{
    struct nodeopt o;
    struct err err;
    EXPECT(parse(&o, "--id 1", &err) == ST_OK);
    EXPECT(o.id == 1 && o.peers.count == 0 && o.peer_listen.family == 0);
    EXPECT(parse(&o, "--id 1 --peer-listen 10.0.0.1:5", &err) == ST_OK);
    EXPECT(o.peer_listen.port == 5);
    EXPECT(parse(&o, "--id 4 --join --peer-listen 10.0.0.4:5 " THREE, &err) == ST_OK);
    EXPECT(o.join == 1 && o.peer_listen.ip[3] == 4);
    EXPECT(parse(&o, "--id 3 --join " THREE, &err) == ST_OK);
    EXPECT(o.peer_listen.ip[3] == 3);
}

static void nodeopt__errors_name_option_and_cause(void)
{
    static const struct {
        const char *line;
        const char *says;
    } rows[] = {
        {THREE, "--peers needs --id"},
        {"--join", "--join needs --id"},
        {"--peer-listen=:1", "--peer-listen needs --id"},
        {"--cluster=x", "--cluster needs --id"},
        {"--lease=500", "--lease needs --id"},
        {"--id=1 --lease=200001", "lease must be a number from 0 to 200000"},
        {"--id=0", "id must be a number from 1"},
        {"--id=9223372036854775808", "id must be a number from 1"},
        {"--id=4 " THREE, "--id 4 is not in --peers"},
        {"--id=1 --peers=1=10.0.0.1:7,1=10.0.0.1:8", "--peers: '1=10.0.0.1:8': this id is there"},
        {"--id=1 --peers=1=10.0.0.1", "--peers: '1=10.0.0.1': "},
        {"--id=1 --peer-listen=x:1", "--peer-listen: "},
        {"--id=4 --join " THREE, "--id 4 with --join needs --peer-listen"},
        {"--id=4 --join --peer-listen=:5", "--id 4 with --join needs --peers"},
        {"--id=1 --join --peers=1=10.0.0.1:7", "--id 1 with --join needs --peers, with other"},
        {"--id=1 --election=100 --heartbeat=51", "--heartbeat 51 must be at most half"},
        {"--id=1 --election=9", "election must be a number from 10"},
        {"--id=1 --connect-timeout=9", "connect-timeout must be a number from 10"},
        {"--id=1 --cluster=", "--cluster must not be empty"},
        {"--listen=host:1", "--listen: "},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct nodeopt o;
        struct err err;
        EXPECT(parse(&o, rows[i].line, &err) == ST_INVAL);
        bool says = strncmp(err.text, rows[i].says, strlen(rows[i].says)) == 0;
        EXPECT(says);
        if (!says) {
            printf("# %s: %s\n", rows[i].line, err.text);
        }
    }
}

/* CONFIG cannot touch any of it. */
static void nodeopt__a_member_is_not_changed_as_it_runs(void)
{
    static const char *const names[] = {"id", "peers", "cluster", "election"};
    struct nodeopt o;
    struct err err;
    EXPECT(parse(&o, "--id=1", &err) == ST_OK);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        EXPECT(nodeopt_set(&o.live, slice_text(names[i]), slice_text("7"), &err) == NODEOPT_FIXED);
    }
}

TAP_MAIN({
    RUN(nodeopt__without_an_id_it_is_no_member);
    RUN(nodeopt__a_founder);
    RUN(nodeopt__alone_and_joining);
    RUN(nodeopt__errors_name_option_and_cause);
    RUN(nodeopt__a_member_is_not_changed_as_it_runs);
})
