/* addr.c - see addr.h. */
#include "env/addr.h"

#include <stdio.h>
#include <string.h>

/* Reads a decimal number of at most max at *p and steps over it; false when there is none. */
static bool read_decimal(const char **p, unsigned max, unsigned *value)
{
    unsigned v = 0;
    const char *at = *p;
    while (*at >= '0' && *at <= '9') {
        v = v * 10 + (unsigned)(*at - '0');
        if (v > max) {
            return false;
        }
        at++;
    }
    bool zeros = **p == '0' && at - *p > 1; /* "010": octal to some, so refused */
    if (at == *p || zeros) {
        return false;
    }
    *p = at;
    *value = v;
    return true;
}

static bool read_v4(const char **p, uint8_t ip[4])
{
    for (int i = 0; i < 4; i++) {
        unsigned v;
        if (i > 0 && *(*p)++ != '.') {
            return false;
        }
        if (!read_decimal(p, 255, &v)) {
            return false;
        }
        ip[i] = (uint8_t)v;
    }
    return true;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    char lower = (char)(c | 32);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* Reads one group of one to four hexadecimal digits into two bytes. */
static bool read_group(const char **p, uint8_t out[2])
{
    unsigned v = 0;
    int digits = 0;
    while (digits < 5 && hex_digit(**p) >= 0) {
        v = v << 4 | (unsigned)hex_digit(**p);
        (*p)++;
        digits++;
    }
    out[0] = (uint8_t)(v >> 8);
    out[1] = (uint8_t)v;
    return digits >= 1 && digits <= 4;
}

/* True when an IPv4 tail ("::ffff:1.2.3.4") starts here rather than a group. */
static bool at_v4_tail(const char *p)
{
    return p[strspn(p, "0123456789")] == '.';
}

static bool read_v6(const char **p, uint8_t ip[16])
{
    uint8_t got[16];
    int size = 0;
    int gap = -1; /* where "::" stands */
    if ((*p)[0] == ':' && (*p)[1] == ':') {
        gap = 0;
        *p += 2;
    }
    while (**p != ']' && **p != '\0') {
        if (at_v4_tail(*p) && size <= 12) {
            if (!read_v4(p, got + size)) {
                return false;
            }
            size += 4;
            break;
        }
        if (size == 16 || !read_group(p, got + size)) {
            return false;
        }
        size += 2;
        if (**p != ':') {
            break;
        }
        (*p)++;
        if (**p == ':') {
            if (gap >= 0) {
                return false;
            }
            gap = size;
            (*p)++;
        } else if (**p == ']') {
            return false; /* a lone colon at the end */
        }
    }
    if (gap < 0 ? size != 16 : size > 14) {
        return false;
    }
    memset(ip, 0, 16);
    int head = gap < 0 ? 16 : gap;
    memcpy(ip, got, (size_t)head);
    memcpy(ip + 16 - (size - head), got + head, (size_t)(size - head));
    return true;
}

static enum status refuse(struct err *err, const char *text, const char *why)
{
    err_set(err, "address \"%.100s\": %s", text, why);
    return ST_INVAL;
}

enum status addr_parse(const char *text, struct env_addr *addr, struct err *err)
{
    struct env_addr a = {.family = 4};
    const char *p = text;
    if (*p == '[') {
        p++;
        a.family = 6;
        if (!read_v6(&p, a.ip) || *p++ != ']') {
            return refuse(err, text, "not an IPv6 address in brackets");
        }
    } else if (*p != ':' && !read_v4(&p, a.ip)) {
        return refuse(err, text, "the host must be a numeric address, as in 127.0.0.1:6379");
    }
    if (*p++ != ':') {
        return refuse(err, text, "the host must be followed by :port");
    }
    unsigned port;
    if (!read_decimal(&p, 65535, &port) || *p != '\0') {
        return refuse(err, text, "the port must be a number from 0 to 65535");
    }
    a.port = (uint16_t)port;
    *addr = a;
    return ST_OK;
}

static unsigned group_at(const uint8_t ip[16], int i)
{
    return (unsigned)ip[2 * i] << 8 | ip[2 * i + 1];
}

/* The first of the longest runs of two or more zero groups; returns its length, or 0. */
static int longest_zeros(const uint8_t ip[16], int *start)
{
    int best = 0;
    for (int i = 0; i < 8; i++) {
        int n = 0;
        while (i + n < 8 && group_at(ip, i + n) == 0) {
            n++;
        }
        if (n >= 2 && n > best) {
            best = n;
            *start = i;
        }
    }
    return best;
}

static void format_v6(const struct env_addr *addr, char text[ADDR_TEXT_MAX])
{
    int start = 8;
    int zeros = longest_zeros(addr->ip, &start);
    size_t at = 0;
    text[at++] = '[';
    for (int i = 0; i < 8; i++) {
        if (i == start) {
            text[at++] = ':';
            i += zeros - 1;
            if (i == 7) {
                text[at++] = ':';
            }
            continue;
        }
        int n = snprintf(text + at, ADDR_TEXT_MAX - at, "%s%x", i > 0 ? ":" : "",
                         group_at(addr->ip, i));
        at += n > 0 ? (size_t)n : 0;
    }
    (void)snprintf(text + at, ADDR_TEXT_MAX - at, "]:%u", (unsigned)addr->port); /* fits */
}

const char *addr_format(const struct env_addr *addr, char text[ADDR_TEXT_MAX])
{
    if (addr->family == 6) {
        format_v6(addr, text);
    } else {
        const uint8_t *ip = addr->ip;
        (void)snprintf(text, ADDR_TEXT_MAX, "%u.%u.%u.%u:%u", (unsigned)ip[0], (unsigned)ip[1],
                       (unsigned)ip[2], (unsigned)ip[3], (unsigned)addr->port); /* fits */
    }
    return text;
}
