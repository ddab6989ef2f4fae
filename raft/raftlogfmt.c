/* raftlogfmt.c - see raftlogfmt.h. */
#include "raft/raftlogfmt.h"

#include "base/ck.h"
#include "base/code.h"
#include "base/crc32c.h"

_Static_assert(RAFTLOGFMT_BLOCK + 2 * RAFTLOG_CONFIG_MAX + RAFTLOGFMT_RUNS * RAFTLOGFMT_RUN <=
                   RAFTLOGFMT_PAGE,
               "a block fits a page");
_Static_assert(RAFT_WRITE_RUNS <= RAFTLOGFMT_RUNS, "the runs of a write can be told");
_Static_assert(RAFTLOGFMT_GROUP % RAFTLOGFMT_ALIGN == 0, "records follow one another aligned");

#define AT_CHAIN 4
#define AT_FLAGS 14

uint32_t raftlogfmt_seed(uint64_t number, uint32_t epoch)
{
    char at[12];
    code_put64(at, number);
    code_put32(at + 8, epoch);
    return crc32c(0, at, sizeof at);
}

/* CRC of bytes that lie at offset. */
static uint32_t place_crc(bool hardware, uint32_t seed, uint64_t offset, const char *p, size_t size)
{
    char at[8];
    code_put64(at, offset);
    return crc32c_on(hardware, crc32c_on(hardware, seed, at, sizeof at), p, size);
}

void raftlogfmt_put(char *p, const struct raftlogfmt_record *r)
{
    code_put32(p, 0);
    code_put32(p + AT_CHAIN, 0);
    code_put32(p + 8, r->size);
    p[12] = (char)r->type;
    p[13] = (char)r->kind;
    code_put16(p + AT_FLAGS, r->flags);
    code_put64(p + 16, r->sequence);
    code_put64(p + 24, r->index);
    code_put64(p + 32, r->term);
    if (r->size > 0 && r->payload != NULL) {
        memcpy(p + RAFTLOGFMT_RECORD, r->payload, r->size);
    }
    size_t end = RAFTLOGFMT_RECORD + (size_t)r->size;
    memset(p + end, 0, (size_t)raftlogfmt_size(r->size) - end);
}

void raftlogfmt_head(const char *p, struct raftlogfmt_record *r)
{
    r->crc = code_get32(p);
    r->chain = code_get32(p + AT_CHAIN);
    r->size = code_get32(p + 8);
    r->type = (uint8_t)p[12];
    r->kind = (uint8_t)p[13];
    r->flags = code_get16(p + AT_FLAGS);
    r->sequence = code_get64(p + 16);
    r->index = code_get64(p + 24);
    r->term = code_get64(p + 32);
    r->payload = p + RAFTLOGFMT_RECORD;
}

uint32_t raftlogfmt_seal(bool hardware, uint32_t seed, uint64_t offset, uint32_t chain, bool last,
                         char *p)
{
    uint16_t flags = code_get16(p + AT_FLAGS);
    code_put16(p + AT_FLAGS, (uint16_t)(last ? flags | RAFTLOGFMT_LAST : flags & ~RAFTLOGFMT_LAST));
    code_put32(p + AT_CHAIN, chain);
    size_t size = RAFTLOGFMT_RECORD + (size_t)code_get32(p + 8);
    uint32_t crc = place_crc(hardware, seed, offset, p + 4, size - 4);
    code_put32(p, crc);
    return crc;
}

bool raftlogfmt_get(bool hardware, uint32_t seed, uint64_t offset, const char *p, uint64_t left,
                    struct raftlogfmt_record *r)
{
    if (left < RAFTLOGFMT_RECORD) {
        return false;
    }
    raftlogfmt_head(p, r);
    if (r->type == RAFTLOGFMT_NONE || r->type >= RAFTLOGFMT_TYPES ||
        raftlogfmt_size(r->size) > left) {
        return false;
    }
    return r->crc == place_crc(hardware, seed, offset, p + 4, RAFTLOGFMT_RECORD - 4 + r->size);
}

void raftlogfmt_put_info(char *p, const struct raftlogfmt_info *i)
{
    const uint64_t words[] = {
        i->bytes,        i->synced,     i->hard.term,  i->hard.vote,      i->before.index,
        i->before.term,  i->last.index, i->last.term,  i->before_run,     i->last_run,
        i->base.index,   i->base.term,  i->floor,      i->snapshot.index, i->snapshot.term,
        i->cut_sequence, i->cut_from,   i->cut_before, i->config_index,
    };
    for (size_t n = 0; n < sizeof words / sizeof *words; n++) {
        code_put64(p + 8 * n, words[n]);
    }
    code_put32(p + 152, i->records);
    code_put32(p + 156, i->epoch);
}

void raftlogfmt_get_info(const char *p, struct raftlogfmt_info *i)
{
    uint64_t *const words[] = {
        &i->bytes,        &i->synced,     &i->hard.term,  &i->hard.vote,      &i->before.index,
        &i->before.term,  &i->last.index, &i->last.term,  &i->before_run,     &i->last_run,
        &i->base.index,   &i->base.term,  &i->floor,      &i->snapshot.index, &i->snapshot.term,
        &i->cut_sequence, &i->cut_from,   &i->cut_before, &i->config_index,
    };
    for (size_t n = 0; n < sizeof words / sizeof *words; n++) {
        *words[n] = code_get64(p + 8 * n);
    }
    i->records = code_get32(p + 152);
    i->epoch = code_get32(p + 156);
}

void raftlogfmt_put_run(char *p, const struct raft_run *run)
{
    code_put64(p, run->first);
    code_put64(p + 8, run->term);
}

struct raft_run raftlogfmt_get_run(const char *p)
{
    return (struct raft_run){code_get64(p), code_get64(p + 8)};
}

/* What every writer keeps to; bytes that pass their CRC and break it are damage all the same. */
static bool info_good(const struct raftlogfmt_info *i)
{
    return i->before.index < UINT64_MAX / 2 && i->last.index < UINT64_MAX / 2 &&
           i->base.index <= i->last.index && i->base.index <= i->snapshot.index &&
           i->snapshot.index <= i->last.index && i->before_run <= i->before.index &&
           i->last_run <= i->last.index && i->config_index <= i->last.index;
}

bool raftlogfmt_get_group(bool hardware, uint32_t seed, uint64_t offset, const char *p,
                          uint64_t left, struct raftlogfmt_record *r, struct raftlogfmt_info *info)
{
    /* the cheap half first: most sectors begin with something else */
    if (left < RAFTLOGFMT_GROUP || (uint8_t)p[12] != RAFTLOGFMT_MARK ||
        code_get32(p + 8) != RAFTLOGFMT_INFO ||
        !raftlogfmt_get(hardware, seed, offset, p, left, r)) {
        return false;
    }
    raftlogfmt_get_info(r->payload, info);
    return info_good(info) && info->bytes >= RAFTLOGFMT_GROUP;
}

void raftlogfmt_put_block(bool hardware, char page[RAFTLOGFMT_PAGE],
                          const struct raftlogfmt_block *b, uint64_t at)
{
    size_t runs = RAFTLOGFMT_BLOCK + b->snapshot.size + b->config.size;
    size_t size = runs + b->runs.size;
    CK(b->runs.size <= (size_t)RAFTLOGFMT_RUNS * RAFTLOGFMT_RUN);
    CK(b->snapshot.size <= RAFTLOG_CONFIG_MAX);
    CK(b->config.size <= RAFTLOG_CONFIG_MAX);
    memset(page, 0, RAFTLOGFMT_PAGE);
    code_put32(page + 4, (uint32_t)size);
    code_put64(page + 8, RAFTLOGFMT_MAGIC);
    code_put32(page + 16, RAFTLOGFMT_VERSION);
    page[20] = (char)b->kind;
    page[21] = b->chained;
    code_put16(page + 22, (uint16_t)(b->told ? b->runs.size / RAFTLOGFMT_RUN : RAFTLOGFMT_UNTOLD));
    code_put64(page + 24, b->number);
    code_put32(page + 32, b->epoch);
    code_put32(page + 36, b->sector);
    code_put64(page + 40, b->identity.cluster);
    code_put64(page + 48, b->identity.node);
    code_put64(page + 56, b->identity.incarnation);
    code_put64(page + 64, b->identity.database);
    code_put64(page + 72, b->sequence);
    code_put64(page + 80, b->offset);
    code_put32(page + 88, b->chain);
    code_put64(page + 96, b->previous);
    raftlogfmt_put_info(page + 104, &b->info);
    code_put32(page + 92, (uint32_t)b->snapshot.size);
    code_put64(page + 264, b->config_term);
    if (b->snapshot.size > 0) {
        memcpy(page + RAFTLOGFMT_BLOCK, b->snapshot.data, b->snapshot.size);
    }
    if (b->config.size > 0) {
        memcpy(page + RAFTLOGFMT_BLOCK + b->snapshot.size, b->config.data, b->config.size);
    }
    if (b->runs.size > 0) {
        memcpy(page + runs, b->runs.data, b->runs.size);
    }
    code_put32(page,
               place_crc(hardware, raftlogfmt_seed(b->number, b->epoch), at, page + 4, size - 4));
}

/* Bytes of the runs behind the configurations. */
static size_t runs_size(const char *page, uint32_t version)
{
    size_t n = version > 1 ? code_get16(page + 22) : RAFTLOGFMT_UNTOLD;
    return n != RAFTLOGFMT_UNTOLD ? n * RAFTLOGFMT_RUN : 0;
}

/* The fields of a block whose CRC is right, and which is as long as it says. */
static void block_fields(const char *page, size_t size, struct raftlogfmt_block *b)
{
    size_t runs = runs_size(page, b->version);
    size_t snapshot = code_get32(page + 92);
    b->kind = (uint8_t)page[20];
    b->chained = page[21] != 0;
    b->number = code_get64(page + 24);
    b->epoch = code_get32(page + 32);
    b->sector = code_get32(page + 36);
    b->identity = (struct raftlog_identity){code_get64(page + 40), code_get64(page + 48),
                                            code_get64(page + 56), code_get64(page + 64)};
    b->sequence = code_get64(page + 72);
    b->offset = code_get64(page + 80);
    b->chain = code_get32(page + 88);
    b->previous = code_get64(page + 96);
    raftlogfmt_get_info(page + 104, &b->info);
    b->config_term = code_get64(page + 264);
    b->snapshot = slice_of(page + RAFTLOGFMT_BLOCK, snapshot);
    size_t at = RAFTLOGFMT_BLOCK + snapshot;
    b->config = slice_of(page + at, size - at - runs);
    b->told = b->version > 1 && code_get16(page + 22) != RAFTLOGFMT_UNTOLD;
    b->runs = slice_of(page + size - runs, runs);
}

/* Runs ascend, and end with the one of the group's last entry. */
static bool runs_good(const struct raftlogfmt_block *b)
{
    struct raft_run before = {0, 0};
    for (size_t at = 0; at < b->runs.size; at += RAFTLOGFMT_RUN) {
        struct raft_run run = raftlogfmt_get_run(b->runs.data + at);
        if (run.first <= before.first || run.term <= before.term) {
            return false;
        }
        before = run;
    }
    return b->runs.size == 0 ||
           (before.first == b->info.last_run && before.term == b->info.last.term);
}

static bool block_good(const struct raftlogfmt_block *b)
{
    if (b->kind == RAFTLOGFMT_OWNER) {
        return true;
    }
    return (b->kind == RAFTLOGFMT_HEADER || b->kind == RAFTLOGFMT_IDENTITY) &&
           info_good(&b->info) && b->sector >= 512 && b->sector <= RAFTLOGFMT_PAGE &&
           (b->sector & (b->sector - 1)) == 0 && b->offset >= RAFTLOGFMT_DATA_AT &&
           b->offset % b->sector == 0 && b->sequence > 0 && b->config.size <= RAFTLOG_CONFIG_MAX &&
           b->snapshot.size <= RAFTLOG_CONFIG_MAX && runs_good(b);
}

enum status raftlogfmt_get_block(bool hardware, const char page[RAFTLOGFMT_PAGE], uint64_t number,
                                 uint64_t at, struct raftlogfmt_block *b)
{
    size_t size = code_get32(page + 4);
    b->version = code_get32(page + 16);
    if (code_get64(page + 8) != RAFTLOGFMT_MAGIC || size < 24 || size > RAFTLOGFMT_PAGE) {
        return ST_CORRUPT;
    }
    uint32_t seed = raftlogfmt_seed(number, code_get32(page + 32));
    if (code_get32(page) != place_crc(hardware, seed, at, page + 4, size - 4)) {
        return ST_CORRUPT;
    }
    if (b->version > RAFTLOGFMT_VERSION) {
        return ST_UNSUPPORTED;
    }
    if (size < RAFTLOGFMT_BLOCK ||
        code_get32(page + 92) + runs_size(page, b->version) > size - RAFTLOGFMT_BLOCK) {
        return ST_CORRUPT;
    }
    block_fields(page, size, b);
    return b->number == number && block_good(b) ? ST_OK : ST_CORRUPT;
}

void raftlogfmt_path_of(char path[ENV_PATH_MAX], const char *dir, const char *name)
{
    int n = snprintf(path, ENV_PATH_MAX, "%s/%s", dir, name);
    CK(n > 0);
    CK(n < ENV_PATH_MAX);
}

void raftlogfmt_path(char path[ENV_PATH_MAX], const char *dir, uint64_t number)
{
    int n = snprintf(path, ENV_PATH_MAX, "%s/raft-%06" PRIu64 ".log", dir, number);
    CK(n > 0);
    CK(n < ENV_PATH_MAX);
}

bool raftlogfmt_number(const char *name, uint64_t *number)
{
    uint64_t v = 0;
    const char *p = name;
    if (strncmp(p, "raft-", 5) != 0) {
        return false;
    }
    for (p += 5; *p >= '0' && *p <= '9'; p++) {
        if (v > (UINT64_MAX - 9) / 10) {
            return false;
        }
        v = v * 10 + (uint64_t)(*p - '0');
    }
    char same[RAFTLOGFMT_NAME];
    (void)snprintf(same, sizeof same, "raft-%06" PRIu64 ".log", v); /* compared whole below */
    *number = v;
    return v > 0 && strcmp(p, ".log") == 0 && strcmp(name, same) == 0;
}
