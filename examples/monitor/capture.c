/* SPDX-License-Identifier: BSD-3-Clause */
#include "capture.h"

#include <pcap/pcap.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "clock.h"
#include "packet.h"

#define INTERFACE_WAIT_MS 10
#define INTERFACE_BUFFER (32 << 20)
#define CATCH_UP (100 * MILLISECOND)

struct capture {
	struct capture_options options;
	pcap_t *pcap;
	int link_type;
	uint64_t loop; /* this time through the file, from 1 */
	uint64_t frames; /* this time through the file */
	uint64_t due; /* the next frame; 0 before the first */
	char error[CAPTURE_ERROR_SIZE];
};

static int open_file(struct capture *capture, char *error)
{
	char reason[PCAP_ERRBUF_SIZE] = "";

	capture->pcap = pcap_open_offline(capture->options.file, reason);
	if (capture->pcap)
		return 0;
	snprintf(error, CAPTURE_ERROR_SIZE, "cannot read the capture: %s", reason);
	return -1;
}

static int open_interface(struct capture *capture, char *error)
{
	const char *name = capture->options.interface;
	char reason[PCAP_ERRBUF_SIZE] = "";
	int result;

	capture->pcap = pcap_create(name, reason);
	if (!capture->pcap) {
		snprintf(error, CAPTURE_ERROR_SIZE, "cannot capture from %s: %s", name, reason);
		return -1;
	}
	pcap_set_snaplen(capture->pcap, CAPTURE_FRAME_MAX);
	pcap_set_promisc(capture->pcap, 1);
	pcap_set_timeout(capture->pcap, INTERFACE_WAIT_MS);
	pcap_set_buffer_size(capture->pcap, INTERFACE_BUFFER);
	result = pcap_activate(capture->pcap);
	if (result >= 0 && pcap_setnonblock(capture->pcap, 1, reason) == 0)
		return 0;
	snprintf(error, CAPTURE_ERROR_SIZE, "cannot capture from %s: %s%s%s", name,
		 result < 0 ? pcap_statustostr(result) : reason, result < 0 ? ": " : "",
		 result < 0 ? pcap_geterr(capture->pcap) : "");
	pcap_close(capture->pcap);
	return -1;
}

struct capture *capture_open(const struct capture_options *options, char error[CAPTURE_ERROR_SIZE])
{
	struct capture *capture = calloc(1, sizeof(*capture));

	if (!capture) {
		snprintf(error, CAPTURE_ERROR_SIZE, "out of memory");
		return NULL;
	}
	capture->options = *options;
	capture->loop = 1;
	if (options->file ? open_file(capture, error) : open_interface(capture, error))
		goto free_capture;
	capture->link_type = pcap_datalink(capture->pcap);
	if (!packet_link_known(capture->link_type)) {
		snprintf(error, CAPTURE_ERROR_SIZE, "%s has link type %d, which is not supported",
			 options->file ? options->file : options->interface, capture->link_type);
		goto close_pcap;
	}
	return capture;

close_pcap:
	pcap_close(capture->pcap);
free_capture:
	free(capture);
	return NULL;
}

void capture_close(struct capture *capture)
{
	if (!capture)
		return;
	if (capture->pcap)
		pcap_close(capture->pcap);
	free(capture);
}

uint64_t capture_due(const struct capture *capture)
{
	return capture->due;
}

/* Who was kept from reading catches up on a little of it only. */
static uint64_t next_due(const struct capture *capture)
{
	uint64_t oldest = clock_now() - CATCH_UP;
	uint64_t due;

	if (!capture->options.rate)
		return 0;
	due = (capture->due ? capture->due : clock_now()) + SECOND / capture->options.rate;
	return due > oldest ? due : oldest;
}

/* Begins the file anew if it is to be read once more. */
static enum capture_result next_loop(struct capture *capture)
{
	if (capture->loop == capture->options.loops)
		return CAPTURE_END;
	if (!capture->frames)
		return CAPTURE_END; /* an empty file, for ever */
	pcap_close(capture->pcap);
	capture->pcap = NULL;
	if (open_file(capture, capture->error))
		return CAPTURE_FAILED;
	capture->frames = 0;
	capture->loop++;
	return CAPTURE_NONE_YET;
}

static void wait_for_interface(const struct capture *capture)
{
	struct pollfd readable = { .fd = pcap_get_selectable_fd(capture->pcap), .events = POLLIN };

	poll(&readable, 1, INTERFACE_WAIT_MS);
}

enum capture_result capture_next(struct capture *capture, struct frame *frame)
{
	struct pcap_pkthdr *header;
	const uint8_t *bytes;
	int result = pcap_next_ex(capture->pcap, &header, &bytes);

	if (result == PCAP_ERROR_BREAK)
		return next_loop(capture);
	if (result < 0) {
		snprintf(capture->error, sizeof(capture->error), "cannot read on: %s",
			 pcap_geterr(capture->pcap));
		return CAPTURE_FAILED;
	}
	if (!result) {
		wait_for_interface(capture);
		return CAPTURE_NONE_YET;
	}
	capture->frames++;
	capture->due = next_due(capture);
	frame->link_type = capture->link_type;
	frame->bytes = bytes;
	frame->captured = header->caplen < CAPTURE_FRAME_MAX ? header->caplen : CAPTURE_FRAME_MAX;
	frame->length = header->len;
	return CAPTURE_FRAME;
}

const char *capture_error(const struct capture *capture)
{
	return capture->error;
}
