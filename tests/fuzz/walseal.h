/* walseal.h - makes any bytes a file of fragments whose checksums are right, for fuzz targets: a
 * fuzzer cannot guess a checksum. */
#ifndef TESTS_FUZZ_WALSEAL_H
#define TESTS_FUZZ_WALSEAL_H

#include <stddef.h>
#include <stdint.h>

/* Bits of `how`: the checksums of all fragments are put right; the file's number and the first
 * fragment's epoch are put into all of them; each whole record gets the next sequence, from 1. */
enum { WALSEAL_CRC = 1, WALSEAL_FILE = 2, WALSEAL_SEQUENCE = 4 };

/* Walks the fragments as a reader would, up to the first whose size does not fit. */
void walseal_run(uint8_t *data, size_t size, uint64_t number, unsigned how);

#endif
