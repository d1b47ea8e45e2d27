/* SPDX-License-Identifier: BSD-3-Clause */
/* From bytes to flows: what is right, what is cut, and what is nonsense. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs the above. */
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pcap/pcap.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "packet.h"

#define FRAME_MAX 65536

static const char *capture_file;

/*
 * A frame is parsed at the very end of this, where the next byte may not be
 * read: one that is read too many is noticed in every build.
 */
static uint8_t *guarded_end;

static int make_guard(void **state)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint8_t *memory = mmap(NULL, FRAME_MAX + page, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)state;
	if (memory == MAP_FAILED)
		return -1;
	guarded_end = memory + FRAME_MAX;
	return mprotect(guarded_end, page, PROT_NONE);
}

static enum packet_kind parse(int link_type, const void *frame, size_t length,
			      struct packet *packet)
{
	uint8_t *copy = guarded_end - length;
	enum packet_kind kind;

	memcpy(copy, frame, length);
	kind = packet_parse(link_type, copy, length, packet);
	if (kind == PACKET_FLOW) {
		assert_true(packet->flow.version == 4 || packet->flow.version == 6);
		assert_true(packet->payload >= copy);
		assert_true(packet->payload + packet->payload_length <= guarded_end);
	}
	return kind;
}

/* A frame that is put together piece by piece. */
struct builder {
	uint8_t bytes[4096];
	size_t length;
};

static void add(struct builder *frame, const void *bytes, size_t length)
{
	assert_true(frame->length + length <= sizeof(frame->bytes));
	memcpy(frame->bytes + frame->length, bytes, length);
	frame->length += length;
}

static void add16(struct builder *frame, uint16_t number)
{
	number = htons(number);
	add(frame, &number, 2);
}

static void add_ethernet(struct builder *frame, uint16_t type)
{
	add(frame, "\x02\0\0\0\0\x01\x02\0\0\0\0\x02", 12);
	add16(frame, type);
}

static void add_vlan(struct builder *frame, uint16_t tag, uint16_t type)
{
	add16(frame, tag);
	add16(frame, type);
}

/* 192.0.2.1 to 192.0.2.2 */
static void add_ipv4(struct builder *frame, uint8_t protocol, size_t content, uint16_t fragment)
{
	add(frame, "\x45\0", 2);
	add16(frame, (uint16_t)(20 + content));
	add16(frame, 7);
	add16(frame, fragment);
	add(frame, "\x40", 1);
	add(frame, &protocol, 1);
	add16(frame, 0);
	add(frame, "\xc0\0\x02\x01\xc0\0\x02\x02", 8);
}

/* 2001:db8::1 to 2001:db8::2 */
static void add_ipv6(struct builder *frame, uint8_t protocol, size_t content)
{
	uint8_t address[16] = { 0x20, 0x01, 0x0d, 0xb8 };

	add(frame, "\x60\0\0\0", 4);
	add16(frame, (uint16_t)content);
	add(frame, &protocol, 1);
	add(frame, "\x40", 1);
	address[15] = 1;
	add(frame, address, 16);
	address[15] = 2;
	add(frame, address, 16);
}

/* Port 1000 to port 2000. */
static void add_tcp(struct builder *frame, const char *payload)
{
	add16(frame, 1000);
	add16(frame, 2000);
	add(frame, "\0\0\0\x01\0\0\0\x01\x60\x10\x01\0\0\0\0\0", 16);
	add(frame, "\x01\x01\x01\x01", 4); /* an option: the header has 24 bytes */
	add(frame, payload, strlen(payload));
}

static void add_udp(struct builder *frame, const char *payload)
{
	add16(frame, 1000);
	add16(frame, 2000);
	add16(frame, (uint16_t)(8 + strlen(payload)));
	add16(frame, 0);
	add(frame, payload, strlen(payload));
}

static void assert_flow(const struct packet *packet, uint8_t version, uint8_t protocol,
			uint16_t source_port, uint16_t destination_port, const char *payload)
{
	const struct flow *flow = &packet->flow;
	char text[PACKET_FLOW_TEXT];
	const char *prefix = version == 4 ? "192.0.2." : "2001:db8::";
	char wanted[PACKET_FLOW_TEXT];

	snprintf(wanted, sizeof(wanted), "%u\t%s1\t%u\t%s2\t%u", protocol, prefix, source_port,
		 prefix, destination_port);
	assert_string_equal(packet_flow_text(flow, text), wanted);
	if (version == 4) { /* it is a key: what is not used is zero */
		static const uint8_t zeros[12];

		assert_memory_equal(flow->source + 4, zeros, 12);
		assert_memory_equal(flow->destination + 4, zeros, 12);
	}
	assert_int_equal(packet->payload_length, strlen(payload));
	assert_memory_equal(packet->payload, payload, strlen(payload));
}

/*
 * Cut anywhere, a frame is of the same flow, or it is not known of which: but
 * what was in order does not begin to contradict itself.
 */
static void cut_everywhere(int link_type, const uint8_t *bytes, size_t length)
{
	struct packet whole;
	struct packet cut;
	enum packet_kind whole_kind = parse(link_type, bytes, length, &whole);

	for (size_t i = 0; i < length; i++) {
		enum packet_kind kind = parse(link_type, bytes, i, &cut);

		if (kind == PACKET_TRUNCATED)
			continue;
		assert_int_equal(kind, whole_kind);
		if (kind != PACKET_FLOW)
			continue;
		assert_memory_equal(&cut.flow, &whole.flow, sizeof(cut.flow));
		assert_true(cut.payload_length <= whole.payload_length);
	}
}

static void test_tcp_over_ipv4(void **state)
{
	struct builder frame = { .length = 0 };
	struct packet packet;

	(void)state;
	add_ethernet(&frame, 0x0800);
	add_ipv4(&frame, IPPROTO_TCP, 24 + 5, 0x4000 /* don't fragment */);
	add_tcp(&frame, "hello");
	assert_int_equal(parse(DLT_EN10MB, frame.bytes, frame.length, &packet), PACKET_FLOW);
	assert_flow(&packet, 4, IPPROTO_TCP, 1000, 2000, "hello");
}

static void test_padding_is_no_payload(void **state)
{
	struct builder frame = { .length = 0 };
	struct packet packet;

	(void)state;
	add_ethernet(&frame, 0x0800);
	add_ipv4(&frame, IPPROTO_UDP, 8 + 2, 0);
	add_udp(&frame, "hi");
	add(&frame, "padding padding padding", 23);
	assert_int_equal(parse(DLT_EN10MB, frame.bytes, frame.length, &packet), PACKET_FLOW);
	assert_flow(&packet, 4, IPPROTO_UDP, 1000, 2000, "hi");
}

static void test_vlan_and_qinq(void **state)
{
	struct builder frame = { .length = 0 };
	struct packet packet;

	(void)state;
	add_ethernet(&frame, 0x8100);
	add_vlan(&frame, 5, 0x0800);
	add_ipv4(&frame, IPPROTO_UDP, 8 + 2, 0);
	add_udp(&frame, "hi");
	assert_int_equal(parse(DLT_EN10MB, frame.bytes, frame.length, &packet), PACKET_FLOW);
	assert_flow(&packet, 4, IPPROTO_UDP, 1000, 2000, "hi");

	frame.length = 0;
	add_ethernet(&frame, 0x88a8);
	add_vlan(&frame, 7, 0x8100);
	add_vlan(&frame, 5, 0x86dd);
	add_ipv6(&frame, IPPROTO_UDP, 8 + 2);
	add_udp(&frame, "hi");
	assert_int_equal(parse(DLT_EN10MB, frame.bytes, frame.length, &packet), PACKET_FLOW);
	assert_flow(&packet, 6, IPPROTO_UDP, 1000, 2000, "hi");
	cut_everywhere(DLT_EN10MB, frame.bytes, frame.length);
}

static void test_tags_without_end(void **state)
{
	struct builder frame = { .length = 0 };
	struct packet packet;

	(void)state;
	add_ethernet(&frame, 0x8100);
	while (frame.length + 4 <= sizeof(frame.bytes))
		add_vlan(&frame, 5, 0x8100);
	assert_int_equal(parse(DLT_EN10MB, frame.bytes, frame.length, &packet), PACKET_TRUNCATED);
}

static void test_ipv6_extensions(void **state)
{
	struct builder frame = { .length = 0 };
	struct packet packet;

	(void)state;
	add_ethernet(&frame, 0x86dd);
	add_ipv6(&frame, IPPROTO_HOPOPTS, 8 + 24 + 16 + 12 + 24 + 5);
	add(&frame, "\x2b\0\x05\x02\0\0\x01\0", 8); /* then a routing header */
	add(&frame, "\x3c\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 24);
	add(&frame, "\x33\x01\x01\x0c\0\0\0\0\0\0\0\0\0\0\0\0", 16); /* destination options */
	add(&frame, "\x06\x01\0\0\0\0\0\x01\0\0\0\x01", 12); /* AH, counted in words */
	add_tcp(&frame, "hello");
	assert_int_equal(parse(DLT_EN10MB, frame.bytes, frame.length, &packet), PACKET_FLOW);
	assert_flow(&packet, 6, IPPROTO_TCP, 1000, 2000, "hello");
	cut_everywhere(DLT_EN10MB, frame.bytes, frame.length);
}

static void test_ipv6_extensions_without_end(void **state)
{
	struct builder frame = { .length = 0 };
	struct packet packet;

	(void)state;
	add_ethernet(&frame, 0x86dd);
	add_ipv6(&frame, IPPROTO_DSTOPTS, 1600);
	for (int i = 0; i < 200; i++)
		add(&frame, "\x3c\0\0\0\0\0\0\0", 8);
	/* The datagram is whole, and its headers want more. */
	assert_int_equal(parse(DLT_EN10MB, frame.bytes, frame.length, &packet), PACKET_MALFORMED);
	assert_int_equal(parse(DLT_EN10MB, frame.bytes, frame.length - 1, &packet),
			 PACKET_TRUNCATED);
}

static void test_fragments_have_one_flow(void **state)
{
	struct builder frame = { .length = 0 };
	struct packet packet;

	(void)state;
	add_ethernet(&frame, 0x0800);
	add_ipv4(&frame, IPPROTO_UDP, 8 + 8, 0x2000 /* more to come */);
	add_udp(&frame, "fragment");
	assert_int_equal(parse(DLT_EN10MB, frame.bytes, frame.length, &packet), PACKET_FLOW);
	assert_int_equal(packet.flow.source_port, 0);
	assert_int_equal(packet.payload_length, 16);

	frame.length = 0;
	add_ethernet(&frame, 0x0800);
	add_ipv4(&frame, IPPROTO_UDP, 3, 2); /* the last one */
	add(&frame, "end", 3);
	assert_int_equal(parse(DLT_EN10MB, frame.bytes, frame.length, &packet), PACKET_FLOW);
	assert_flow(&packet, 4, IPPROTO_UDP, 0, 0, "end");

	frame.length = 0;
	add_ethernet(&frame, 0x86dd);
	add_ipv6(&frame, IPPROTO_FRAGMENT, 8 + 3);
	add(&frame, "\x11\0\0\x10\0\0\0\x07", 8);
	add(&frame, "end", 3);
	assert_int_equal(parse(DLT_EN10MB, frame.bytes, frame.length, &packet), PACKET_FLOW);
	assert_flow(&packet, 6, IPPROTO_UDP, 0, 0, "end");
	cut_everywhere(DLT_EN10MB, frame.bytes, frame.length);
	frame.bytes[14 + 40 + 2] = 0;
	frame.bytes[14 + 40 + 3] = 1; /* the first one: at offset 0, with more to come */
	assert_int_equal(parse(DLT_EN10MB, frame.bytes, frame.length, &packet), PACKET_FLOW);
	assert_flow(&packet, 6, IPPROTO_UDP, 0, 0, "end");
}

static void test_atomic_fragment_is_whole(void **state)
{
	struct builder frame = { .length = 0 };
	struct packet packet;

	(void)state;
	add_ethernet(&frame, 0x86dd);
	add_ipv6(&frame, IPPROTO_FRAGMENT, 8 + 8 + 2);
	add(&frame, "\x11\0\0\0\0\0\0\x07", 8);
	add_udp(&frame, "hi");
	assert_int_equal(parse(DLT_EN10MB, frame.bytes, frame.length, &packet), PACKET_FLOW);
	assert_flow(&packet, 6, IPPROTO_UDP, 1000, 2000, "hi");
}

static void test_length_zero_is_the_rest(void **state)
{
	struct builder frame = { .length = 0 };
	struct packet packet;

	(void)state;
	add_ethernet(&frame, 0x0800);
	add_ipv4(&frame, IPPROTO_TCP, 24 + 5, 0);
	memset(frame.bytes + 14 + 2, 0, 2);
	add_tcp(&frame, "hello");
	assert_int_equal(parse(DLT_EN10MB, frame.bytes, frame.length, &packet), PACKET_FLOW);
	assert_flow(&packet, 4, IPPROTO_TCP, 1000, 2000, "hello");
}

static void test_other_protocols(void **state)
{
	struct builder frame = { .length = 0 };
	struct packet packet;

	(void)state;
	add_ethernet(&frame, 0x0800);
	add_ipv4(&frame, IPPROTO_ICMP, 8, 0);
	add(&frame, "\x08\0\0\0\0\x01\0\x01", 8);
	assert_int_equal(parse(DLT_EN10MB, frame.bytes, frame.length, &packet), PACKET_FLOW);
	assert_int_equal(packet.flow.protocol, IPPROTO_ICMP);
	assert_int_equal(packet.flow.source_port, 0);
	assert_int_equal(packet.payload_length, 8);

	frame.length = 0;
	add_ethernet(&frame, 0x0806); /* ARP */
	add(&frame, "\0\x01\x08\0\x06\x04\0\x01", 8);
	assert_int_equal(parse(DLT_EN10MB, frame.bytes, frame.length, &packet), PACKET_NOT_IP);

	frame.length = 0;
	add_ethernet(&frame, 38); /* 802.3: a length where the type would be */
	add(&frame, "\x42\x42\x03", 3);
	assert_int_equal(parse(DLT_EN10MB, frame.bytes, frame.length, &packet), PACKET_NOT_IP);
}

static void test_link_types(void **state)
{
	static const struct {
		size_t length;
		int type;
		uint8_t header[20];
	} links[] = {
		{ 0, DLT_RAW, { 0 } },
		{ 0, DLT_IPV4, { 0 } },
		{ 16, DLT_LINUX_SLL, { [14] = 0x08, [15] = 0x00 } },
		{ 20, DLT_LINUX_SLL2, { [0] = 0x08, [1] = 0x00 } },
		{ 4, DLT_NULL, { 2, 0, 0, 0 } },
		{ 4, DLT_NULL, { 0, 0, 0, 2 } },
		{ 4, DLT_LOOP, { 0, 0, 0, 2 } },
	};
	struct packet packet;

	(void)state;
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		struct builder frame = { .length = 0 };

		assert_true(packet_link_known(links[i].type));
		add(&frame, links[i].header, links[i].length);
		add_ipv4(&frame, IPPROTO_UDP, 8 + 2, 0);
		add_udp(&frame, "hi");
		assert_int_equal(parse(links[i].type, frame.bytes, frame.length, &packet),
				 PACKET_FLOW);
		assert_flow(&packet, 4, IPPROTO_UDP, 1000, 2000, "hi");
		cut_everywhere(links[i].type, frame.bytes, frame.length);
	}
	assert_false(packet_link_known(DLT_IEEE802_11));
	assert_int_equal(parse(DLT_IEEE802_11, "12345678", 8, &packet), PACKET_NOT_IP);
}

static void test_ipv6_over_link_types(void **state)
{
	static const uint8_t families[] = { 10, 24, 28, 30 };
	struct packet packet;

	(void)state;
	for (size_t i = 0; i < sizeof(families); i++) {
		struct builder frame = { .length = 0 };

		add(&frame, (uint8_t[4]){ families[i] }, 4);
		add_ipv6(&frame, IPPROTO_UDP, 8 + 2);
		add_udp(&frame, "hi");
		assert_int_equal(parse(DLT_NULL, frame.bytes, frame.length, &packet), PACKET_FLOW);
		assert_flow(&packet, 6, IPPROTO_UDP, 1000, 2000, "hi");
		assert_int_equal(parse(DLT_RAW, frame.bytes + 4, frame.length - 4, &packet),
				 PACKET_FLOW);
		assert_flow(&packet, 6, IPPROTO_UDP, 1000, 2000, "hi");
	}
}

/* Changes one byte of a good TCP frame over IPv4 and says what becomes of it. */
static enum packet_kind with_byte(size_t offset, uint8_t value)
{
	struct builder frame = { .length = 0 };
	struct packet packet;

	add_ethernet(&frame, 0x0800);
	add_ipv4(&frame, IPPROTO_TCP, 24 + 5, 0);
	add_tcp(&frame, "hello");
	frame.bytes[offset] = value;
	return parse(DLT_EN10MB, frame.bytes, frame.length, &packet);
}

static void test_contradictions(void **state)
{
	struct builder frame = { .length = 0 };
	struct packet packet;

	(void)state;
	assert_int_equal(with_byte(14, 0x45), PACKET_FLOW); /* as it was */
	assert_int_equal(with_byte(14, 0x65), PACKET_MALFORMED); /* version 6 in IPv4 */
	assert_int_equal(with_byte(14, 0x44), PACKET_MALFORMED); /* a header of 16 bytes */
	assert_int_equal(with_byte(14, 0x4f), PACKET_MALFORMED); /* 60 bytes, in 49 */
	assert_int_equal(with_byte(14 + 3, 19), PACKET_MALFORMED); /* shorter than its header */
	assert_int_equal(with_byte(14 + 3, 20 + 3), PACKET_MALFORMED); /* no room for ports */
	assert_int_equal(with_byte(14 + 3, 20 + 12), PACKET_MALFORMED); /* nor for TCP */
	assert_int_equal(with_byte(14 + 20 + 12, 0x40), PACKET_MALFORMED); /* TCP of 16 bytes */
	assert_int_equal(with_byte(14 + 20 + 12, 0xf0), PACKET_MALFORMED); /* and of 60, in 29 */

	add_ethernet(&frame, 0x0800);
	add_ipv4(&frame, IPPROTO_UDP, 8 + 2, 0);
	add_udp(&frame, "hi");
	frame.bytes[14 + 20 + 5] = 7; /* UDP shorter than its header */
	assert_int_equal(parse(DLT_EN10MB, frame.bytes, frame.length, &packet), PACKET_MALFORMED);
	assert_int_equal(parse(DLT_RAW, "\x50", 1, &packet), PACKET_MALFORMED);
}

static pcap_t *open_capture(void)
{
	char reason[PCAP_ERRBUF_SIZE] = "";
	pcap_t *pcap = pcap_open_offline(capture_file, reason);

	if (!pcap)
		fail_msg("%s", reason);
	return pcap;
}

static void test_real_frames_cut_everywhere(void **state)
{
	pcap_t *pcap = open_capture();
	struct pcap_pkthdr *header;
	const uint8_t *bytes;
	unsigned int frames = 0;

	(void)state;
	while (pcap_next_ex(pcap, &header, &bytes) == 1) {
		struct packet packet;
		enum packet_kind kind = parse(pcap_datalink(pcap), bytes, header->caplen, &packet);

		assert_true(kind == PACKET_FLOW || kind == PACKET_NOT_IP);
		cut_everywhere(pcap_datalink(pcap), bytes, header->caplen);
		frames++;
	}
	pcap_close(pcap);
	assert_true(frames > 1000);
}

/* As random as is needed, and the same every time. */
static uint32_t random_number(void)
{
	static uint64_t seed = 88172645463325252;

	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 32);
}

static void test_real_frames_with_wrong_bytes(void **state)
{
	pcap_t *pcap = open_capture();
	unsigned int kinds[PACKET_MALFORMED + 1] = { 0 };
	struct pcap_pkthdr *header;
	const uint8_t *bytes;

	(void)state;
	while (pcap_next_ex(pcap, &header, &bytes) == 1) {
		uint8_t frame[2048];
		struct packet packet;

		assert_true(header->caplen <= sizeof(frame));
		for (int round = 0; round < 100; round++) {
			size_t headers = header->caplen < 80 ? header->caplen : 80;

			memcpy(frame, bytes, header->caplen);
			for (uint32_t i = random_number() % 4; i < 4; i++)
				frame[random_number() % headers] = (uint8_t)random_number();
			kinds[parse(pcap_datalink(pcap), frame,
				    random_number() % (header->caplen + 1), &packet)]++;
		}
	}
	pcap_close(pcap);
	for (int kind = 0; kind <= PACKET_MALFORMED; kind++)
		assert_true(kinds[kind] > 0);
}

static void test_random_bytes(void **state)
{
	static const int types[] = { DLT_EN10MB,    DLT_RAW,	    DLT_IPV4, DLT_IPV6,
				     DLT_LINUX_SLL, DLT_LINUX_SLL2, DLT_NULL, DLT_LOOP };
	static const uint16_t ethernet_types[] = { 0x0800, 0x86dd, 0x8100, 0x88a8 };
	uint8_t frame[256];

	(void)state;
	for (int round = 0; round < 500000; round++) {
		uint16_t type = htons(ethernet_types[random_number() % 4]);
		int link_type = types[random_number() % (sizeof(types) / sizeof(types[0]))];
		struct packet packet;

		for (size_t i = 0; i < sizeof(frame); i += 4)
			memcpy(frame + i, &(uint32_t){ random_number() }, 4);
		/* All random, or with a way in. */
		if (round % 2)
			memcpy(frame + (link_type == DLT_LINUX_SLL    ? 14
					: link_type == DLT_LINUX_SLL2 ? 0
								      : 12),
			       &type, 2);
		parse(link_type, frame, random_number() % (sizeof(frame) + 1), &packet);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tcp_over_ipv4),
		cmocka_unit_test(test_padding_is_no_payload),
		cmocka_unit_test(test_vlan_and_qinq),
		cmocka_unit_test(test_tags_without_end),
		cmocka_unit_test(test_ipv6_extensions),
		cmocka_unit_test(test_ipv6_extensions_without_end),
		cmocka_unit_test(test_fragments_have_one_flow),
		cmocka_unit_test(test_atomic_fragment_is_whole),
		cmocka_unit_test(test_length_zero_is_the_rest),
		cmocka_unit_test(test_other_protocols),
		cmocka_unit_test(test_link_types),
		cmocka_unit_test(test_ipv6_over_link_types),
		cmocka_unit_test(test_contradictions),
		cmocka_unit_test(test_real_frames_cut_everywhere),
		cmocka_unit_test(test_real_frames_with_wrong_bytes),
		cmocka_unit_test(test_random_bytes),
	};

	if (argc != 2)
		return 2;
	capture_file = argv[1];
	return cmocka_run_group_tests(tests, make_guard, NULL);
}
