/* SPDX-License-Identifier: BSD-3-Clause */
/* Counts a capture's packets and bytes with libpcap alone: what the monitors are compared with. */
#include <err.h>
#include <inttypes.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
	char reason[PCAP_ERRBUF_SIZE] = "";
	struct pcap_pkthdr *header;
	const u_char *bytes;
	uint64_t packets = 0;
	uint64_t length = 0;
	pcap_t *pcap;
	int result;

	if (argc != 2)
		errx(EXIT_FAILURE, "usage: capture-count FILE");
	pcap = pcap_open_offline(argv[1], reason);
	if (!pcap)
		errx(EXIT_FAILURE, "%s", reason);
	while ((result = pcap_next_ex(pcap, &header, &bytes)) == 1) {
		packets++;
		length += header->len;
	}
	if (result == PCAP_ERROR)
		errx(EXIT_FAILURE, "%s: %s", argv[1], pcap_geterr(pcap));
	pcap_close(pcap);
	printf("%" PRIu64 " packets %" PRIu64 " bytes\n", packets, length);
	return EXIT_SUCCESS;
}
