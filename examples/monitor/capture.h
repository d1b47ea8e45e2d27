/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames from a network interface, or from a file as often and as fast as is asked for. */
#ifndef MONITOR_CAPTURE_H
#define MONITOR_CAPTURE_H

#include <stdint.h>

#define CAPTURE_FRAME_MAX 65536 /* bytes of a frame that are looked at */
#define CAPTURE_FOREVER 0

struct capture_options {
	const char *interface; /* either this */
	const char *file; /* or this */
	uint64_t loops; /* of the file; CAPTURE_FOREVER */
	uint64_t rate; /* frames of the file per second; 0 for as fast as possible */
};

struct frame {
	int link_type;
	const uint8_t *bytes; /* valid until the next call */
	uint32_t captured; /* bytes that are there */
	uint32_t length; /* bytes that were on the wire */
};

enum capture_result {
	CAPTURE_FRAME,
	CAPTURE_NONE_YET,
	CAPTURE_END,
	CAPTURE_FAILED, /* see capture_error() */
};

struct capture;

/* Returns NULL with a sentence in @error. */
#define CAPTURE_ERROR_SIZE 512
struct capture *capture_open(const struct capture_options *options, char error[CAPTURE_ERROR_SIZE]);
void capture_close(struct capture *capture);

/* When the next frame of a file is due, on the clock of clock_now(); 0 for at once. */
uint64_t capture_due(const struct capture *capture);

/* The next frame, whether or not it is due. Waits for an interface some milliseconds at most. */
enum capture_result capture_next(struct capture *capture, struct frame *frame);

const char *capture_error(const struct capture *capture);

#endif
