// SPDX-License-Identifier: BSD-3-Clause
/* What strangers say when they connect, are connected to, or reject us: any bytes of any length. */
#include "handshake.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct region_identity identity = { .group = "fuzz", .name = "owner" };
	static unsigned char memory[8];
	const struct region region = { .memory = memory, .size = LAYOUT_TABLES };
	struct handshake_hello hello;
	struct handshake_welcome welcome;
	struct handshake_refusal refusal;
	unsigned char bytes[256] = { 0 };
	size_t length;
	int error;

	if (size < 2)
		return 0;
	/* Changes to a good message, or to none. */
	handshake_make_hello(&hello, &identity);
	handshake_make_welcome(&welcome, &identity, &region, 1);
	handshake_check_hello(NULL, 0, &identity, &refusal);
	if (data[0] % 4 == 1)
		memcpy(bytes, &hello, sizeof(hello));
	else if (data[0] % 4 == 2)
		memcpy(bytes, &welcome, sizeof(welcome));
	else if (data[0] % 4 == 3)
		memcpy(bytes, &refusal, sizeof(refusal));
	length = data[1];
	for (size_t i = 2; i + 1 < size; i += 2)
		bytes[data[i]] ^= data[i + 1];

	error = handshake_check_hello(bytes, length, &identity, &refusal);
	if (error > 0 || (error && (refusal.error != error || !refusal.reason[0] ||
				    !memchr(refusal.reason, 0, sizeof(refusal.reason)))))
		abort();
	error = handshake_check_welcome(bytes, length, &welcome);
	if (error > 0 || (!error && (welcome.size < LAYOUT_TABLES ||
				     welcome.address + welcome.size < welcome.address)))
		abort();
	error = handshake_explain_reject(bytes, length, data[0]);
	if (error >= 0 || error <= -4096)
		abort();
	return 0;
}
