/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A fake of libibverbs and librdmacm, to be linked in their place. Both sides of a
 * connection are in this process, and a READ is a copy. It is as strict as the real
 * ones are where that is documented, and counts what was done wrong: see fake_check().
 * It can fail any call, and say anything that a network or a stranger may.
 */
#ifndef FAKE_VERBS_H
#define FAKE_VERBS_H

#include <infiniband/verbs.h>
#include <rdma/rdma_cma.h>

#include <stddef.h>
#include <stdint.h>

#define FAKE_DEVICES 10
#define FAKE_REJECTED 28 /* by the consumer, as InfiniBand numbers its reasons */

/* Begin anew: every setting as it was, nothing counted; what is there is forgotten. */
void fake_reset(void);

/* Fails the test if an object is still there, an event unacknowledged, or a rule was broken. */
void fake_check(void);

/*
 * Let the @nth call from now on of @call fail with @error; NULL: of any function that can
 * fail, those that take memory included; "ibv_": of any whose name begins so. Of
 * ibv_post_send(), each request is a call.
 */
void fake_fail(const char *call, unsigned int nth, int error);
/* The same for every call from the @nth on. */
void fake_fail_from(const char *call, unsigned int nth, int error);
/* The name of the call that was failed; NULL if none was since fake_fail(). */
const char *fake_failed(void);
/* A request that cannot be posted is not named, as drivers do whose doorbell fails. */
void fake_hide_bad_request(void);

/* How many there are: "id", "qp", "cq", "mr", "pd", "channel", "completion channel", "devices". */
unsigned int fake_count(const char *kind);

/* The device that identifiers are bound to from now on; -1: none has their address. */
void fake_use_device(int number);
/* What devices can do, from now on. */
void fake_limits(int max_qp_wr, int max_cqe);
/* It is gone, with all that is under way on it; another one may get its number. */
void fake_remove_device(unsigned int number);

/* Time goes on by so much, for the library alone. */
void fake_pass(uint64_t us);

/* What happens instead of the next event of this type: another one, or (-1) nothing, ever. */
void fake_instead(enum rdma_cm_event_type type, int other, int status);
/* What the next private data of a connect request, a response or a rejection is instead. */
void fake_say(enum rdma_cm_event_type type, const void *data, uint8_t length);
/* To an identifier; of any but those that are listening, the @nth that is there, newest first. */
struct rdma_cm_id *fake_id(unsigned int nth);
struct rdma_cm_id *fake_listening(void);
void fake_event(struct rdma_cm_id *id, enum rdma_cm_event_type type, int status);
/* The same to one of those that connect or are connected, while others do what they do. */
void fake_disturb(unsigned int nth, enum rdma_cm_event_type type);

/* READs stay under way from now on, or do not any more. */
void fake_hold(int hold);
/* The oldest READ under way on @qp ends. */
void fake_complete(struct ibv_qp *qp, enum ibv_wc_status status);
/* READs under way on @qp. */
unsigned int fake_pending(const struct ibv_qp *qp);
/* READs that were carried out, and completions that told of them, since fake_reset(). */
unsigned int fake_reads(void);
unsigned int fake_completions(void);
/* A completion of no READ that is known. */
void fake_stray(struct ibv_cq *cq, uint64_t wr_id, enum ibv_wc_status status);

#endif
