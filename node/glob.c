/* glob.c - see glob.h. */
#include "node/glob.h"

#include <stdint.h>

/* Matches c against the class that begins after '[' at *at; steps over it. As in Redis an
 * unclosed class ends with the pattern. */
static bool class_match(struct slice p, size_t *at, unsigned char c)
{
    size_t i = *at;
    bool negate = i < p.size && p.data[i] == '^';
    bool hit = false;
    i += negate;
    while (i < p.size && p.data[i] != ']') {
        if (p.data[i] == '\\' && i + 1 < p.size) {
            i++;
        }
        unsigned char low = (unsigned char)p.data[i];
        unsigned char high = low;
        if (i + 2 < p.size && p.data[i + 1] == '-') {
            high = (unsigned char)p.data[i + 2];
            i += 2;
        }
        if (low > high) {
            unsigned char t = low;
            low = high;
            high = t;
        }
        hit = hit || (c >= low && c <= high);
        i++;
    }
    *at = i < p.size ? i + 1 : i;
    return hit != negate;
}

/* Matches one character against the element at *at (not a star); steps over it. */
static bool one_match(struct slice p, size_t *at, unsigned char c)
{
    char e = p.data[(*at)++];
    if (e == '?') {
        return true;
    }
    if (e == '[') {
        return class_match(p, at, c);
    }
    if (e == '\\' && *at < p.size) {
        e = p.data[(*at)++];
    }
    return (unsigned char)e == c;
}

bool glob_match(struct slice pattern, struct slice text)
{
    size_t p = 0;
    size_t t = 0;
    size_t star = SIZE_MAX; /* where to go on in the pattern after a mismatch */
    size_t star_text = 0;   /* and in the text */
    while (t < text.size || p < pattern.size) {
        if (p < pattern.size && pattern.data[p] == '*') {
            star = ++p;
            star_text = t;
            continue;
        }
        if (p < pattern.size && t < text.size &&
            one_match(pattern, &p, (unsigned char)text.data[t])) {
            t++;
            continue;
        }
        if (star == SIZE_MAX || star_text == text.size) {
            return false;
        }
        p = star;
        t = ++star_text;
    }
    return true;
}
