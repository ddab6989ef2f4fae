/* addr.c - see addr.h. */
#include "net/addr.h"

#include "base/ck.h"

/* Reads a decimal number of at most `max` from [*at, end), advancing *at. */
static bool decimal(const char *text, size_t *at, size_t end, uint32_t max, uint32_t *value)
{
    size_t from = *at;
    uint32_t v = 0;
    while (*at < end && text[*at] >= '0' && text[*at] <= '9') {
        v = v * 10 + (uint32_t)(text[(*at)++] - '0');
        if (v > max) {
            return false;
        }
    }
    *value = v;
    return *at > from && *at - from <= 5;
}

static bool parse_ip4(const char *text, size_t end, uint8_t *ip)
{
    size_t at = 0;
    for (int i = 0; i < 4; i++) {
        uint32_t part;
        if (i > 0 && (at == end || text[at++] != '.')) {
            return false;
        }
        if (!decimal(text, &at, end, 255, &part)) {
            return false;
        }
        ip[i] = (uint8_t)part;
    }
    return at == end;
}

static int hex_digit(char c)
{
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    const char *hit = c != '\0' ? strchr(digits, c) : NULL;
    return hit != NULL ? (int)((hit - digits) % 16) : -1;
}

/* One group of up to four hexadecimal digits. */
static bool hex_group(const char *text, size_t *at, size_t end, uint8_t *out)
{
    uint32_t v = 0;
    size_t from = *at;
    while (*at < end && *at - from < 4 && hex_digit(text[*at]) >= 0) {
        v = v * 16 + (uint32_t)hex_digit(text[(*at)++]);
    }
    out[0] = (uint8_t)(v >> 8);
    out[1] = (uint8_t)v;
    return *at > from;
}

static bool parse_ip6(const char *text, size_t end, uint8_t *ip)
{
    uint8_t groups[16] = {0};
    size_t at = 0;
    size_t used = 0;
    size_t gap = SIZE_MAX; /* bytes before the "::" */
    if (end >= 2 && text[0] == ':' && text[1] == ':') {
        gap = 0;
        at = 2;
    }
    while (at < end) {
        if (used == 16 || !hex_group(text, &at, end, groups + used)) {
            return false;
        }
        used += 2;
        if (at == end) {
            break;
        }
        if (text[at++] != ':' || at == end) {
            return false;
        }
        if (text[at] == ':') {
            if (gap != SIZE_MAX) {
                return false;
            }
            gap = used;
            at++;
        }
    }
    if (gap == SIZE_MAX ? used != 16 : used > 14) {
        return false;
    }
    size_t head = gap == SIZE_MAX ? 16 : gap;
    memset(ip, 0, 16);
    memcpy(ip, groups, head);
    if (used > head) {
        memcpy(ip + 16 - (used - head), groups + head, used - head);
    }
    return true;
}

enum status addr_parse(const char *text, struct env_addr *addr, struct err *err)
{
    const char *colon = strrchr(text, ':');
    if (colon == NULL) {
        err_set(err, "'%s' is not ADDR:PORT", text);
        return ST_INVAL;
    }
    size_t at = 0;
    size_t host = (size_t)(colon - text);
    uint32_t port;
    if (!decimal(colon + 1, &at, strlen(colon + 1), 65535, &port) || colon[1 + at] != '\0') {
        err_set(err, "'%s' is not a port (0 to 65535)", colon + 1);
        return ST_INVAL;
    }
    *addr = (struct env_addr){.family = 4, .port = (uint16_t)port};
    bool ok;
    if (host >= 2 && text[0] == '[' && text[host - 1] == ']') {
        addr->family = 6;
        ok = parse_ip6(text + 1, host - 2, addr->ip);
    } else {
        ok = parse_ip4(text, host, addr->ip);
    }
    if (!ok) {
        err_set(err, "'%.*s' is not a numeric address", (int)host, text);
        return ST_INVAL;
    }
    return ST_OK;
}

void addr_format(const struct env_addr *addr, char *text)
{
    const uint8_t *ip = addr->ip;
    int n;
    if (addr->family == 4) {
        n = snprintf(text, ADDR_TEXT_MAX, "%u.%u.%u.%u:%u", ip[0], ip[1], ip[2], ip[3], addr->port);
    } else {
        n = snprintf(text, ADDR_TEXT_MAX, "[%x:%x:%x:%x:%x:%x:%x:%x]:%u", ip[0] << 8 | ip[1],
                     ip[2] << 8 | ip[3], ip[4] << 8 | ip[5], ip[6] << 8 | ip[7], ip[8] << 8 | ip[9],
                     ip[10] << 8 | ip[11], ip[12] << 8 | ip[13], ip[14] << 8 | ip[15], addr->port);
    }
    CK(n > 0);
    CK(n < ADDR_TEXT_MAX);
}
