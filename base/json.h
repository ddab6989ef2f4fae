/* json.h - writes JSON into a buffer: commas, escapes and nesting are its business.
 *
 * An error (ST_NOMEM) sticks in `st` and later calls do nothing, so a caller checks once. Bytes
 * that are not UTF-8 are written as U+FFFD, so the text is always valid. */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

struct json {
    struct buf *out; /* borrowed; text is appended */
    enum status st;
    bool comma; /* the next item needs one before it */
};

void json_init(struct json *j, struct buf *out);

/* With key == NULL the item is an array element (or the outermost value). */
void json_object(struct json *j, const char *key);
void json_object_end(struct json *j);
void json_array(struct json *j, const char *key);
void json_array_end(struct json *j);
void json_text(struct json *j, const char *key, const char *value); /* NULL writes null */
void json_bytes(struct json *j, const char *key, struct slice value);
void json_u64(struct json *j, const char *key, uint64_t value);
void json_i64(struct json *j, const char *key, int64_t value);
void json_bool(struct json *j, const char *key, bool value);
void json_null(struct json *j, const char *key);

#endif
