/* utf8.h - whether bytes are UTF-8: shortest forms only, no surrogates, nothing over U+10FFFF. */
#ifndef NET_UTF8_H
#define NET_UTF8_H

#include "base/slice.h"

bool utf8_valid(struct slice s);

#endif
