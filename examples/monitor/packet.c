/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pcap/dlt.h>
#include <stdio.h>
#include <string.h>

#define TYPE_IPV4 0x0800
#define TYPE_IPV6 0x86dd
#define TYPE_VLAN 0x8100 /* 802.1Q */
#define TYPE_SERVICE_VLAN 0x88a8 /* 802.1ad, the outer tag of QinQ */
#define TYPE_OLD_QINQ 0x9100

#define PROTOCOL_SHIM6 140
#define PROTOCOL_HIP 139

/* What is left to read. */
struct cursor {
	const uint8_t *at;
	size_t left;
	int whole; /* @left ends where a header says so, not where the capture was cut */
};

static uint16_t get16(const uint8_t *bytes)
{
	return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

/* The next @count bytes, or NULL if there are fewer. */
static const uint8_t *take(struct cursor *cursor, size_t count)
{
	const uint8_t *bytes = cursor->at;

	if (cursor->left < count)
		return NULL;
	cursor->at += count;
	cursor->left -= count;
	return bytes;
}

/* Why something did not fit into what is left. */
static enum packet_kind too_short(const struct cursor *cursor)
{
	return cursor->whole ? PACKET_MALFORMED : PACKET_TRUNCATED;
}

/* What follows is @length bytes long, whatever the capture has beyond (padding). */
static void end_after(struct cursor *cursor, size_t length)
{
	if (length > cursor->left)
		return;
	cursor->left = length;
	cursor->whole = 1;
}

static int has_ports(uint8_t protocol)
{
	switch (protocol) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
	case IPPROTO_SCTP:
	case IPPROTO_DCCP:
		return 1;
	default:
		return 0;
	}
}

static void set_payload(struct packet *packet, const struct cursor *cursor)
{
	packet->payload = cursor->at;
	packet->payload_length = cursor->left;
}

static enum packet_kind parse_tcp(struct cursor *cursor, struct packet *packet)
{
	size_t header;

	/* The ports make the flow; the payload needs the rest of the header. */
	packet->payload = cursor->at;
	packet->payload_length = 0;
	if (cursor->left < 13)
		return cursor->whole ? PACKET_MALFORMED : PACKET_FLOW;
	header = (size_t)(cursor->at[12] >> 4) * 4;
	if (header < 20)
		return PACKET_MALFORMED;
	if (!take(cursor, header))
		return cursor->whole ? PACKET_MALFORMED : PACKET_FLOW;
	set_payload(packet, cursor);
	return PACKET_FLOW;
}

static enum packet_kind parse_udp(struct cursor *cursor, struct packet *packet)
{
	size_t length;

	packet->payload = cursor->at;
	packet->payload_length = 0;
	if (cursor->left < 8)
		return cursor->whole ? PACKET_MALFORMED : PACKET_FLOW;
	length = get16(cursor->at + 4);
	if (length && length < 8) /* 0 is a jumbogram's */
		return PACKET_MALFORMED;
	if (length)
		end_after(cursor, length);
	take(cursor, 8);
	set_payload(packet, cursor);
	return PACKET_FLOW;
}

static enum packet_kind parse_transport(struct cursor *cursor, struct packet *packet, int fragment)
{
	struct flow *flow = &packet->flow;

	set_payload(packet, cursor);
	if (fragment || !has_ports(flow->protocol))
		return PACKET_FLOW;
	if (cursor->left < 4)
		return too_short(cursor);
	memcpy(&flow->source_port, cursor->at, 2);
	memcpy(&flow->destination_port, cursor->at + 2, 2);
	if (flow->protocol == IPPROTO_TCP)
		return parse_tcp(cursor, packet);
	if (flow->protocol == IPPROTO_UDP)
		return parse_udp(cursor, packet);
	return PACKET_FLOW;
}

static enum packet_kind parse_ipv4(struct cursor *cursor, struct packet *packet)
{
	struct flow *flow = &packet->flow;
	const uint8_t *header;
	size_t header_length;
	size_t total;

	if (cursor->left < 20)
		return too_short(cursor);
	header = cursor->at;
	header_length = (size_t)(header[0] & 15) * 4;
	total = get16(header + 2);
	if (header[0] >> 4 != 4 || header_length < 20)
		return PACKET_MALFORMED;
	if (total) { /* 0: the kernel left it to the card to cut the segments */
		if (total < header_length)
			return PACKET_MALFORMED;
		end_after(cursor, total);
	}
	if (!take(cursor, header_length))
		return too_short(cursor);
	flow->version = 4;
	flow->protocol = header[9];
	memcpy(flow->source, header + 12, 4);
	memcpy(flow->destination, header + 16, 4);
	return parse_transport(cursor, packet, (get16(header + 6) & 0x3fff) != 0);
}

/* The length of an extension header; 0 if @protocol is none, -1 if it is cut off. */
static long extension_length(const struct cursor *cursor, uint8_t protocol)
{
	switch (protocol) {
	case IPPROTO_HOPOPTS:
	case IPPROTO_ROUTING:
	case IPPROTO_DSTOPTS:
	case IPPROTO_MH:
	case PROTOCOL_HIP:
	case PROTOCOL_SHIM6:
		return cursor->left < 2 ? -1 : (cursor->at[1] + 1) * 8L;
	case IPPROTO_AH:
		return cursor->left < 2 ? -1 : (cursor->at[1] + 2) * 4L;
	case IPPROTO_FRAGMENT:
		return 8;
	default:
		return 0;
	}
}

static enum packet_kind parse_ipv6(struct cursor *cursor, struct packet *packet)
{
	struct flow *flow = &packet->flow;
	const uint8_t *header = take(cursor, 40);
	const uint8_t *extension;
	int fragment = 0;
	size_t length;

	if (!header)
		return too_short(cursor);
	if (header[0] >> 4 != 6)
		return PACKET_MALFORMED;
	length = get16(header + 4);
	if (length || header[6] == IPPROTO_NONE) /* 0: a jumbogram, or as in parse_ipv4() */
		end_after(cursor, length);
	flow->version = 6;
	flow->protocol = header[6];
	memcpy(flow->source, header + 8, 16);
	memcpy(flow->destination, header + 24, 16);
	while (!fragment) {
		long skip = extension_length(cursor, flow->protocol);

		if (!skip)
			break;
		extension = skip < 0 ? NULL : take(cursor, (size_t)skip);
		if (!extension)
			return too_short(cursor);
		/* A whole datagram may carry a fragment header (RFC 6946). */
		if (flow->protocol == IPPROTO_FRAGMENT)
			fragment = (get16(extension + 2) & 0xfff9) != 0;
		flow->protocol = extension[0];
	}
	return parse_transport(cursor, packet, fragment);
}

static enum packet_kind parse_ip(struct cursor *cursor, struct packet *packet)
{
	if (!cursor->left)
		return too_short(cursor);
	switch (cursor->at[0] >> 4) {
	case 4:
		return parse_ipv4(cursor, packet);
	case 6:
		return parse_ipv6(cursor, packet);
	default:
		return PACKET_MALFORMED;
	}
}

static enum packet_kind parse_type(struct cursor *cursor, uint16_t type, struct packet *packet)
{
	while (type == TYPE_VLAN || type == TYPE_SERVICE_VLAN || type == TYPE_OLD_QINQ) {
		const uint8_t *tag = take(cursor, 4);

		if (!tag)
			return too_short(cursor);
		type = get16(tag + 2);
	}
	if (type == TYPE_IPV4)
		return parse_ipv4(cursor, packet);
	if (type == TYPE_IPV6)
		return parse_ipv6(cursor, packet);
	return PACKET_NOT_IP;
}

/* A link header of @size bytes with the Ethernet type of its content at @type. */
static enum packet_kind parse_link(struct cursor *cursor, size_t size, size_t type,
				   struct packet *packet)
{
	const uint8_t *header = take(cursor, size);

	if (!header)
		return too_short(cursor);
	return parse_type(cursor, get16(header + type), packet);
}

/* DLT_NULL: the address family, in the byte order of the host that captured. */
static enum packet_kind parse_null(struct cursor *cursor, struct packet *packet)
{
	const uint8_t *header = take(cursor, 4);
	unsigned int family;

	if (!header)
		return too_short(cursor);
	family = get16(header) ? get16(header) : get16(header + 2);
	if (family > 255)
		family >>= 8;
	switch (family) {
	case 2:
		return parse_ipv4(cursor, packet);
	case 10: /* AF_INET6 of Linux */
	case 24: /* NetBSD */
	case 28: /* FreeBSD */
	case 30: /* macOS */
		return parse_ipv6(cursor, packet);
	default:
		return PACKET_NOT_IP;
	}
}

int packet_link_known(int link_type)
{
	switch (link_type) {
	case DLT_EN10MB:
	case DLT_RAW:
	case DLT_IPV4:
	case DLT_IPV6:
	case DLT_LINUX_SLL:
	case DLT_LINUX_SLL2:
	case DLT_NULL:
	case DLT_LOOP:
		return 1;
	default:
		return 0;
	}
}

enum packet_kind packet_parse(int link_type, const uint8_t *frame, size_t captured,
			      struct packet *packet)
{
	struct cursor cursor = { .at = frame, .left = captured };
	struct packet parsed = { .payload_length = 0 };
	enum packet_kind kind;

	switch (link_type) {
	case DLT_EN10MB:
		kind = parse_link(&cursor, 14, 12, &parsed);
		break;
	case DLT_LINUX_SLL:
		kind = parse_link(&cursor, 16, 14, &parsed);
		break;
	case DLT_LINUX_SLL2:
		kind = parse_link(&cursor, 20, 0, &parsed);
		break;
	case DLT_RAW:
	case DLT_IPV4:
	case DLT_IPV6:
		kind = parse_ip(&cursor, &parsed);
		break;
	case DLT_NULL:
	case DLT_LOOP:
		kind = parse_null(&cursor, &parsed);
		break;
	default:
		return PACKET_NOT_IP;
	}
	if (kind == PACKET_FLOW)
		*packet = parsed;
	return kind;
}

const char *packet_address_text(const uint8_t address[16], uint8_t version,
				char text[PACKET_FLOW_TEXT])
{
	inet_ntop(version == 4 ? AF_INET : AF_INET6, address, text, PACKET_FLOW_TEXT);
	return text;
}

const char *packet_flow_text(const struct flow *flow, char text[PACKET_FLOW_TEXT])
{
	char source[INET6_ADDRSTRLEN];
	char destination[INET6_ADDRSTRLEN];
	int family = flow->version == 4 ? AF_INET : AF_INET6;

	inet_ntop(family, flow->source, source, sizeof(source));
	inet_ntop(family, flow->destination, destination, sizeof(destination));
	snprintf(text, PACKET_FLOW_TEXT, "%u\t%s\t%u\t%s\t%u", flow->protocol, source,
		 ntohs(flow->source_port), destination, ntohs(flow->destination_port));
	return text;
}
