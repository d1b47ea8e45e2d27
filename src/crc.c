// SPDX-License-Identifier: BSD-3-Clause
#include "crc.h"

#include <isa-l/crc.h>

uint32_t crc_bytes(uint32_t crc, const void *data, size_t length)
{
	/* ISA-L takes a pointer to non-const bytes and an int, and changes neither. */
	unsigned char *bytes = (unsigned char *)(uintptr_t)data;

	while (length > INT32_MAX) {
		crc = crc32_iscsi(bytes, 1 << 30, crc);
		bytes += 1 << 30;
		length -= 1 << 30;
	}
	return crc32_iscsi(bytes, (int)length, crc);
}

int crc_supported(void)
{
#if defined(__x86_64__)
	return __builtin_cpu_supports("sse4.2");
#else
	return 1;
#endif
}
