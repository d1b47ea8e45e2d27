// SPDX-License-Identifier: BSD-3-Clause
/* What strangers say when they ask us to leave, or are asked: any bytes of any length. */
#include "ask.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int ends(const char *text, size_t room)
{
	return memchr(text, 0, room) != NULL;
}

static int is_name(const char field[ESTATE_NAME_MAX])
{
	return ends(field, ESTATE_NAME_MAX) && (!*field || region_name_valid(field));
}

static void check_request(const void *bytes, size_t length, const struct region_identity *identity)
{
	struct ask_wish wish = { "before", "before" };
	struct ask_reply reply = { 0 };
	int error = ask_check_request(bytes, length, identity, &wish, &reply);

	if (error > 0)
		abort();
	if (!error ? !is_name(wish.to) || !is_name(wish.dead)
		   : strcmp(wish.to, "before") != 0 || strcmp(wish.dead, "before") != 0)
		abort();
	/* What we refuse, we say in order. */
	if (error && reply.state && ask_check_reply(&reply, sizeof(reply), &reply))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct region_identity identity = { .group = "fuzz", .name = "owner" };
	struct ask_request request;
	struct ask_reply reply;
	unsigned char bytes[512] = { 0 };
	size_t length;

	if (size < 3)
		return 0;
	/* Changes to a good message, or to none. */
	ask_make_request(&request, &identity, "adopter", "another");
	ask_make_reply(&reply, ASK_FAILED, -1, "a reason");
	if (data[0] % 3 == 1)
		memcpy(bytes, &request, sizeof(request));
	else if (data[0] % 3 == 2)
		memcpy(bytes, &reply, sizeof(reply));
	length = (data[1] + 256u * (data[0] >> 7)) % (sizeof(bytes) + 1);
	if (data[0] & 64)
		length = data[0] % 3 == 1 ? sizeof(request) : sizeof(reply);
	for (size_t i = 2; i + 1 < size; i += 2)
		bytes[data[i]] ^= data[i + 1];

	check_request(bytes, length, &identity);
	if (!ask_check_reply(bytes, length, &reply) &&
	    (!ends(reply.reason, sizeof(reply.reason)) || !reply.state || reply.error > 0))
		abort();
	return 0;
}
