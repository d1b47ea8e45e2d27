// SPDX-License-Identifier: BSD-3-Clause
/* The README's example: what a user's first program looks like. */
#include <estate/estate.h>

#include <err.h>
#include <inttypes.h>
#include <stdio.h>

int main(void)
{
	struct estate_attr attr = ESTATE_ATTR_INIT;
	struct estate_table_attr flow_attr = ESTATE_TABLE_ATTR_INIT;
	struct estate_answer answer;
	struct estate_table *flows;
	struct estate_view *view;
	struct estate *es;
	const unsigned char key[13] = { 192, 0, 2, 1, 192, 0, 2, 2, 0x1f, 0x90, 0, 80, 6 };
	uint64_t total[2];

	attr.group = "ids";
	attr.name = "ids-1";
	if (estate_open(&attr, &es))
		errx(1, "%s", estate_errormsg());

	flow_attr.key_size = sizeof(key); /* 5-tuple */
	flow_attr.value_type = ESTATE_U64;
	flow_attr.value_count = 2; /* packets, bytes */
	flow_attr.merge = ESTATE_MERGE_SUM;
	flow_attr.capacity = 1 << 16;
	if (estate_table_open(es, "flows", &flow_attr, &flows))
		errx(1, "%s", estate_errormsg());

	/* Per packet, local: no lock shared with readers, no system call. */
	if (estate_add(flows, key, sizeof(key), (uint64_t[]){ 1, 1500 }))
		errx(1, "%s", estate_errormsg());

	/* Any time, any instance: the sum over the group, read from each peer's memory. */
	if (estate_view_open(es, NULL, &view) ||
	    estate_get_global(view, flows, key, sizeof(key), total, sizeof(total), &answer))
		errx(1, "%s", estate_errormsg());
	printf("%" PRIu64 " packets, %" PRIu64 " bytes, from %u of %u instances\n", total[0],
	       total[1], answer.answered, answer.asked);

	estate_view_close(view);
	return estate_close(es) != 0;
}
