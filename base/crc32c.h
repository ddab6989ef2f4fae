/* crc32c.h - CRC-32C (Castagnoli), as in iSCSI (RFC 3720): reflected, polynomial 0x1EDC6F41.
 *
 * crc32c(0, "123456789", 9) == 0xE3069283. The portable form takes eight bytes a step from
 * tables; where the processor has the instruction, callers that hold an Env pass
 * env_cpu_features() & ENV_CPU_CRC32C as `hardware`. Both give the same answer. */
#ifndef BASE_CRC32C_H
#define BASE_CRC32C_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Extends crc (0 to start) by the bytes. */
uint32_t crc32c(uint32_t crc, const void *data, size_t size);

/* The same with the CPU's instruction when hardware is set and the build knows it. */
uint32_t crc32c_on(bool hardware, uint32_t crc, const void *data, size_t size);

#endif
