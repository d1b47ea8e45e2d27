/* SPDX-License-Identifier: BSD-3-Clause */
/* From the bytes of a frame to its flow. */
#ifndef MONITOR_PACKET_H
#define MONITOR_PACKET_H

#include <stddef.h>
#include <stdint.h>

/*
 * The 5-tuple, as bytes: it is a key, so it has no padding. An IPv4 address
 * takes the first four bytes of sixteen, the others are zero.
 */
struct flow {
	uint8_t source[16];
	uint8_t destination[16];
	uint16_t source_port; /* network byte order; 0 where there are no ports */
	uint16_t destination_port;
	uint8_t protocol;
	uint8_t version; /* 4 or 6 */
};

_Static_assert(sizeof(struct flow) == 38, "a key must not have padding");

enum packet_kind {
	PACKET_FLOW, /* IP, and it is known which flow */
	PACKET_NOT_IP,
	PACKET_TRUNCATED, /* the capture ends before the headers do */
	PACKET_MALFORMED, /* the headers contradict each other */
};

struct packet {
	struct flow flow;
	const uint8_t *payload; /* of the transport protocol, as far as it was captured */
	size_t payload_length;
};

/* Is this a link type (DLT_...) that packet_parse() knows? */
int packet_link_known(int link_type);

/*
 * Finds the flow of the frame of @captured bytes. Reads these bytes only and
 * believes none of them. Fills @packet in if it returns PACKET_FLOW.
 *
 * All fragments of a datagram, the first too, are of the flow with ports 0:
 * only the first has ports, and all should be counted in the same place.
 */
enum packet_kind packet_parse(int link_type, const uint8_t *frame, size_t captured,
			      struct packet *packet);

#define PACKET_FLOW_TEXT 128

/* "tcp 192.0.2.1 80 192.0.2.2 34567", tab-separated; returns @text. */
const char *packet_flow_text(const struct flow *flow, char text[PACKET_FLOW_TEXT]);

/* An address in the form of struct flow. */
const char *packet_address_text(const uint8_t address[16], uint8_t version,
				char text[PACKET_FLOW_TEXT]);

#endif
