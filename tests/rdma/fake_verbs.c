// SPDX-License-Identifier: BSD-3-Clause
#include "fake_verbs.h"

#include "check.h"
#include "shared.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define PORT_FIRST 20000

/* Bytes of private data as they arrive, whatever was sent: zeros follow. */
#define HELLO_BYTES 56
#define WELCOME_BYTES 196
#define REFUSAL_BYTES 148

struct fake_device {
	struct ibv_device device;
	struct ibv_context context;
	struct fake_device *next;
	unsigned int references; /* as librdmacm counts: identifiers, and lists of devices */
	unsigned int objects; /* that would be used after the context */
	int removed;
	int max_qp_wr;
	int max_cqe;
};

struct fake_event {
	struct rdma_cm_event event;
	struct fake_event *next;
	unsigned char data[256];
};

struct fake_channel {
	struct rdma_event_channel channel;
	struct fake_event *events;
	unsigned int ids;
};

enum fake_state {
	IDLE,
	LISTENING,
	ASKING,
	ASKED,
	CONNECTED,
	ENDED
};

struct fake_id {
	struct rdma_cm_id id;
	struct fake_id *next;
	struct fake_id *other;
	struct fake_device *device;
	enum fake_state state;
	unsigned int unacknowledged;
	uint16_t port;
};

struct fake_request {
	struct ibv_send_wr request;
	struct ibv_sge place;
};

struct fake_qp {
	struct ibv_qp qp;
	struct fake_qp *next;
	struct fake_id *id;
	struct fake_request *requests;
	uint32_t size;
	uint32_t first; /* under way: [first, last) */
	uint32_t last;
	uint32_t freed; /* whose place in the queue a completion gave back */
	int broken;
};

struct fake_work {
	struct ibv_wc work;
	uint32_t number; /* of the READ among its queue's */
};

struct fake_cq {
	struct ibv_cq cq;
	struct fake_cq *next;
	struct fake_work *work;
	unsigned int count;
	unsigned int users;
	int armed;
	unsigned int got; /* events, to be acknowledged */
	unsigned int events; /* not yet got */
};

struct fake_mr {
	struct ibv_mr mr;
	struct fake_mr *next;
	int access;
};

struct fake_pd {
	struct ibv_pd pd;
	unsigned int users;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
	struct fake_device *devices;
	struct fake_device *slots[FAKE_DEVICES];
	struct fake_id *ids;
	struct fake_qp *qps;
	struct fake_cq *cqs;
	struct fake_mr *mrs;
	unsigned int channels;
	unsigned int completion_channels;
	unsigned int pds;
	unsigned int lists;
	uint32_t next_number;
	uint16_t next_port;
	int use;
	int max_qp_wr;
	int max_cqe;
	int hold;
	int hide_bad;
	unsigned int reads;
	unsigned int completions;

	const char *fail_call;
	unsigned int fail_in;
	int fail_error;
	int fail_always;
	const char *failed;

	int instead; /* of this type; -1: of none */
	int other;
	int other_status;
	int say; /* at this type; -1: at none */
	unsigned char said[256];
	uint8_t said_length;

	unsigned int wrongs;
	char wrong[256];
} fake;
static uint64_t passed_us;

static void lock_fake(void)
{
	pthread_mutex_lock(&lock);
}

static void unlock_fake(void)
{
	pthread_mutex_unlock(&lock);
}

static __attribute__((format(printf, 1, 2))) void wrong(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	if (!fake.wrongs++)
		vsnprintf(fake.wrong, sizeof(fake.wrong), format, arguments);
	va_end(arguments);
}

/* Whether this call is to fail: errno is set. */
static int fails(const char *call)
{
	if (!fake.fail_in ||
	    (fake.fail_call && strncmp(fake.fail_call, call, strlen(fake.fail_call)) != 0))
		return 0;
	if (fake.fail_in > 1) {
		fake.fail_in--;
		return 0;
	}
	if (!fake.fail_always)
		fake.fail_in = 0;
	fake.failed = call;
	errno = fake.fail_error;
	return 1;
}

static int fails_locked(const char *call)
{
	int result;

	lock_fake();
	result = fails(call);
	unlock_fake();
	return result;
}

/* --- Memory and time, of the library as it is linked here. --- */

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
void *__real_mapping_private(size_t size);
void *__wrap_mapping_private(size_t size);
uint64_t __real_clock_monotonic_us(void);
uint64_t __wrap_clock_monotonic_us(void);

/* The fake's own memory. */
static void *take(size_t size)
{
	void *memory = __real_calloc(1, size);

	if (!memory)
		abort();
	return memory;
}

void *__wrap_calloc(size_t count, size_t size)
{
	return fails_locked("calloc") ? NULL : __real_calloc(count, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
	return fails_locked("aligned_alloc") ? NULL : __real_aligned_alloc(alignment, size);
}

void *__wrap_mapping_private(size_t size)
{
	return fails_locked("mapping_private") ? NULL : __real_mapping_private(size);
}

uint64_t __wrap_clock_monotonic_us(void)
{
	return __real_clock_monotonic_us() + __atomic_load_n(&passed_us, __ATOMIC_RELAXED);
}

void fake_pass(uint64_t us)
{
	__atomic_add_fetch(&passed_us, us, __ATOMIC_RELAXED);
}

/* --- What tests say. --- */

unsigned int fake_count(const char *kind)
{
	unsigned int count = 0;

	lock_fake();
	if (!strcmp(kind, "id"))
		for (struct fake_id *id = fake.ids; id; id = id->next)
			count++;
	else if (!strcmp(kind, "qp"))
		for (struct fake_qp *qp = fake.qps; qp; qp = qp->next)
			count++;
	else if (!strcmp(kind, "cq"))
		for (struct fake_cq *cq = fake.cqs; cq; cq = cq->next)
			count++;
	else if (!strcmp(kind, "mr"))
		for (struct fake_mr *mr = fake.mrs; mr; mr = mr->next)
			count++;
	else if (!strcmp(kind, "pd"))
		count = fake.pds;
	else if (!strcmp(kind, "channel"))
		count = fake.channels;
	else if (!strcmp(kind, "completion channel"))
		count = fake.completion_channels;
	else if (!strcmp(kind, "devices"))
		count = fake.lists;
	else
		abort();
	unlock_fake();
	return count;
}

void fake_check(void)
{
	static const char *const kinds[] = {
		"id", "qp", "cq", "mr", "pd", "channel", "completion channel", "devices"
	};

	if (fake.wrongs)
		fail_msg("%u rules of verbs were broken, first: %s", fake.wrongs, fake.wrong);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (fake_count(kinds[i]))
			fail_msg("%u left: %s (after %s failed)", fake_count(kinds[i]), kinds[i],
				 fake.failed ? fake.failed : "nothing");
}

void fake_reset(void)
{
	lock_fake();
	while (fake.devices) {
		struct fake_device *device = fake.devices;

		fake.devices = device->next;
		free(device);
	}
	memset(&fake, 0, sizeof(fake));
	fake.max_qp_wr = 1024;
	fake.max_cqe = 65536;
	fake.instead = -1;
	fake.say = -1;
	unlock_fake();
}

static void set_failure(const char *call, unsigned int nth, int error, int always)
{
	lock_fake();
	fake.fail_call = call;
	fake.fail_in = nth;
	fake.fail_error = error;
	fake.fail_always = always;
	fake.failed = NULL;
	unlock_fake();
}

void fake_fail(const char *call, unsigned int nth, int error)
{
	set_failure(call, nth, error, 0);
}

void fake_fail_from(const char *call, unsigned int nth, int error)
{
	set_failure(call, nth, error, 1);
}

const char *fake_failed(void)
{
	return fake.failed;
}

void fake_hide_bad_request(void)
{
	fake.hide_bad = 1;
}

void fake_use_device(int number)
{
	fake.use = number;
}

void fake_limits(int max_qp_wr, int max_cqe)
{
	fake.max_qp_wr = max_qp_wr;
	fake.max_cqe = max_cqe;
}

void fake_hold(int hold)
{
	lock_fake();
	fake.hold = hold;
	unlock_fake();
}

unsigned int fake_reads(void)
{
	return fake.reads;
}

unsigned int fake_completions(void)
{
	return fake.completions;
}

void fake_instead(enum rdma_cm_event_type type, int other, int status)
{
	lock_fake();
	fake.instead = (int)type;
	fake.other = other;
	fake.other_status = status;
	unlock_fake();
}

void fake_say(enum rdma_cm_event_type type, const void *data, uint8_t length)
{
	lock_fake();
	fake.say = (int)type;
	fake.said_length = length;
	memset(fake.said, 0, sizeof(fake.said));
	if (data)
		memcpy(fake.said, data, length);
	unlock_fake();
}

/* --- Devices. --- */

static int post_send(struct ibv_qp *qp, struct ibv_send_wr *request, struct ibv_send_wr **bad);
static int poll_cq(struct ibv_cq *cq, int max, struct ibv_wc *work);
static int req_notify_cq(struct ibv_cq *cq, int solicited);

static struct fake_device *device_of_context(struct ibv_context *context)
{
	for (struct fake_device *device = fake.devices; device; device = device->next)
		if (&device->context == context)
			return device;
	wrong("a device's context was used after its end");
	return NULL;
}

static struct fake_device *device_at(int number)
{
	struct fake_device *device;

	if (number < 0)
		return NULL;
	if (fake.slots[number])
		return fake.slots[number];
	device = take(sizeof(*device));
	snprintf(device->device.name, sizeof(device->device.name), "fake%d", number);
	device->context.device = &device->device;
	device->context.ops.post_send = post_send;
	device->context.ops.poll_cq = poll_cq;
	device->context.ops.req_notify_cq = req_notify_cq;
	device->max_qp_wr = fake.max_qp_wr;
	device->max_cqe = fake.max_cqe;
	device->next = fake.devices;
	fake.devices = device;
	fake.slots[number] = device;
	return device;
}

/* librdmacm closes the context of a device that is gone when nobody refers to it. */
static void put_device(struct fake_device *device)
{
	if (--device->references || !device->removed)
		return;
	if (device->objects)
		wrong("a device was closed with %u objects", device->objects);
	for (struct fake_device **link = &fake.devices; *link; link = &(*link)->next) {
		if (*link == device) {
			*link = device->next;
			break;
		}
	}
	free(device);
}

static void bind_to(struct fake_id *id)
{
	struct fake_device *device = device_at(fake.use);

	if (id->device || !device)
		return;
	id->device = device;
	id->id.verbs = &device->context;
	device->references++;
}

struct ibv_context **rdma_get_devices(int *count)
{
	struct ibv_context **list;
	int found = 0;

	lock_fake();
	if (fails("rdma_get_devices")) {
		unlock_fake();
		return NULL;
	}
	list = take((FAKE_DEVICES + 1) * sizeof(struct ibv_context *));
	for (int i = 0; i < FAKE_DEVICES; i++) {
		if (!fake.slots[i])
			continue;
		list[found++] = &fake.slots[i]->context;
		fake.slots[i]->references++;
	}
	fake.lists++;
	unlock_fake();
	if (count)
		*count = found;
	return list;
}

void rdma_free_devices(struct ibv_context **list)
{
	lock_fake();
	for (int i = 0; list[i]; i++)
		put_device(device_of_context(list[i]));
	fake.lists--;
	unlock_fake();
	free(list);
}

const char *ibv_get_device_name(struct ibv_device *device)
{
	return device->name;
}

#undef ibv_query_device
int ibv_query_device(struct ibv_context *context, struct ibv_device_attr *attr)
{
	struct fake_device *device;
	int error = 0;

	lock_fake();
	device = device_of_context(context);
	if (fails("ibv_query_device"))
		error = errno;
	else
		*attr = (struct ibv_device_attr){ .max_qp_wr = device->max_qp_wr,
						  .max_cqe = device->max_cqe };
	unlock_fake();
	return error;
}

enum ibv_fork_status ibv_is_fork_initialized(void)
{
	return IBV_FORK_DISABLED;
}

int ibv_fork_init(void)
{
	return fails_locked("ibv_fork_init") ? errno : 0;
}

const char *ibv_wc_status_str(enum ibv_wc_status status)
{
	(void)status;
	return "status";
}

const char *rdma_event_str(enum rdma_cm_event_type event)
{
	(void)event;
	return "event";
}

/* --- Protection domains, memory. --- */

struct ibv_pd *ibv_alloc_pd(struct ibv_context *context)
{
	struct fake_pd *pd = NULL;

	lock_fake();
	if (!fails("ibv_alloc_pd")) {
		pd = take(sizeof(*pd));
		pd->pd.context = context;
		device_of_context(context)->objects++;
		fake.pds++;
	}
	unlock_fake();
	return pd ? &pd->pd : NULL;
}

int ibv_dealloc_pd(struct ibv_pd *base)
{
	struct fake_pd *pd = (struct fake_pd *)base;

	lock_fake();
	if (pd->users)
		wrong("ibv_dealloc_pd: %u use it", pd->users);
	device_of_context(base->context)->objects--;
	fake.pds--;
	unlock_fake();
	free(pd);
	return 0;
}

#undef ibv_reg_mr
struct ibv_mr *ibv_reg_mr(struct ibv_pd *pd, void *memory, size_t length, int access)
{
	return ibv_reg_mr_iova2(pd, memory, length, (uintptr_t)memory, (unsigned int)access);
}

struct ibv_mr *ibv_reg_mr_iova2(struct ibv_pd *pd, void *memory, size_t length, uint64_t iova,
				unsigned int access)
{
	struct fake_mr *mr = NULL;

	(void)iova;
	lock_fake();
	if (!fails("ibv_reg_mr")) {
		mr = take(sizeof(*mr));
		mr->mr = (struct ibv_mr){ .context = pd->context,
					  .pd = pd,
					  .addr = memory,
					  .length = length,
					  .lkey = ++fake.next_number };
		mr->mr.rkey = mr->mr.lkey;
		mr->access = (int)access;
		mr->next = fake.mrs;
		fake.mrs = mr;
		((struct fake_pd *)pd)->users++;
	}
	unlock_fake();
	return mr ? &mr->mr : NULL;
}

static struct fake_mr *mr_of(uint32_t key, const struct ibv_pd *pd, int access, uint64_t at,
			     size_t length)
{
	for (struct fake_mr *mr = fake.mrs; mr; mr = mr->next)
		if (mr->mr.lkey == key && (!pd || mr->mr.pd == pd) && mr->access & access &&
		    at >= (uintptr_t)mr->mr.addr &&
		    at + length <= (uintptr_t)mr->mr.addr + mr->mr.length)
			return mr;
	return NULL;
}

int ibv_dereg_mr(struct ibv_mr *base)
{
	struct fake_mr *mr = (struct fake_mr *)base;

	lock_fake();
	for (struct fake_qp *qp = fake.qps; qp; qp = qp->next)
		for (uint32_t i = qp->first; i != qp->last; i++)
			if (qp->requests[i % qp->size].place.lkey == base->lkey)
				wrong("ibv_dereg_mr: a READ is under way to it");
	for (struct fake_mr **link = &fake.mrs; *link; link = &(*link)->next) {
		if (*link == mr) {
			*link = mr->next;
			break;
		}
	}
	((struct fake_pd *)base->pd)->users--;
	unlock_fake();
	free(mr);
	return 0;
}

/* --- Completions. --- */

struct ibv_comp_channel *ibv_create_comp_channel(struct ibv_context *context)
{
	struct ibv_comp_channel *channel = NULL;

	lock_fake();
	if (!fails("ibv_create_comp_channel")) {
		channel = take(sizeof(*channel));
		channel->context = context;
		channel->fd = eventfd(0, EFD_CLOEXEC | EFD_SEMAPHORE);
		device_of_context(context)->objects++;
		fake.completion_channels++;
	}
	unlock_fake();
	return channel;
}

int ibv_destroy_comp_channel(struct ibv_comp_channel *channel)
{
	lock_fake();
	for (struct fake_cq *cq = fake.cqs; cq; cq = cq->next)
		if (cq->cq.channel == channel)
			wrong("ibv_destroy_comp_channel: a completion queue uses it");
	device_of_context(channel->context)->objects--;
	fake.completion_channels--;
	unlock_fake();
	close(channel->fd);
	free(channel);
	return 0;
}

struct ibv_cq *ibv_create_cq(struct ibv_context *context, int entries, void *cq_context,
			     struct ibv_comp_channel *channel, int vector)
{
	struct fake_cq *cq = NULL;
	struct fake_device *device;

	(void)cq_context;
	(void)vector;
	lock_fake();
	device = device_of_context(context);
	if (entries < 1 || entries > device->max_cqe) {
		errno = EINVAL;
	} else if (!fails("ibv_create_cq")) {
		cq = take(sizeof(*cq));
		cq->cq.context = context;
		cq->cq.channel = channel;
		cq->cq.cqe = entries;
		cq->work = take((size_t)entries * sizeof(*cq->work));
		cq->next = fake.cqs;
		fake.cqs = cq;
		device->objects++;
	}
	unlock_fake();
	return cq ? &cq->cq : NULL;
}

int ibv_resize_cq(struct ibv_cq *base, int entries)
{
	struct fake_cq *cq = (struct fake_cq *)base;
	int error = 0;

	lock_fake();
	if (entries < (int)cq->count || entries > device_of_context(base->context)->max_cqe) {
		error = EINVAL;
	} else if (fails("ibv_resize_cq")) {
		/* Its result alone tells, as the man page says. */
		error = errno;
		errno = 0;
	} else {
		cq->work = realloc(cq->work, (size_t)entries * sizeof(*cq->work));
		base->cqe = entries;
	}
	unlock_fake();
	return error;
}

int ibv_destroy_cq(struct ibv_cq *base)
{
	struct fake_cq *cq = (struct fake_cq *)base;

	lock_fake();
	if (cq->users)
		wrong("ibv_destroy_cq: %u queue pairs use it", cq->users);
	if (cq->got)
		wrong("ibv_destroy_cq: it would wait for %u events", cq->got);
	for (struct fake_cq **link = &fake.cqs; *link; link = &(*link)->next) {
		if (*link == cq) {
			*link = cq->next;
			break;
		}
	}
	device_of_context(base->context)->objects--;
	unlock_fake();
	free(cq->work);
	free(cq);
	return 0;
}

static void count_event(int fd)
{
	const uint64_t one = 1;

	if (write(fd, &one, sizeof(one)) != sizeof(one))
		abort();
}

static void add_work(struct fake_cq *cq, const struct ibv_wc *work, uint32_t number)
{
	if ((int)cq->count == cq->cq.cqe) {
		wrong("a completion queue of %d entries ran over", cq->cq.cqe);
		return;
	}
	cq->work[cq->count++] = (struct fake_work){ *work, number };
	fake.completions++;
	if (!cq->armed || !cq->cq.channel)
		return;
	cq->armed = 0;
	cq->events++;
	count_event(cq->cq.channel->fd);
}

void fake_stray(struct ibv_cq *cq, uint64_t wr_id, enum ibv_wc_status status)
{
	const struct ibv_wc work = { .wr_id = wr_id, .status = status };

	lock_fake();
	add_work((struct fake_cq *)cq, &work, 0);
	unlock_fake();
}

static int poll_cq(struct ibv_cq *base, int max, struct ibv_wc *work)
{
	struct fake_cq *cq = (struct fake_cq *)base;
	int count = 0;

	lock_fake();
	device_of_context(base->context);
	if (cq->count && fails("ibv_poll_cq")) {
		unlock_fake();
		return -1;
	}
	while (count < max && count < (int)cq->count) {
		for (struct fake_qp *qp = fake.qps; qp; qp = qp->next)
			if (qp->qp.qp_num == cq->work[count].work.qp_num)
				qp->freed = cq->work[count].number + 1;
		work[count] = cq->work[count].work;
		count++;
	}
	cq->count -= (unsigned int)count;
	memmove(cq->work, cq->work + count, cq->count * sizeof(*cq->work));
	unlock_fake();
	return count;
}

static int req_notify_cq(struct ibv_cq *base, int solicited)
{
	(void)solicited;
	lock_fake();
	if (fails("ibv_req_notify_cq")) {
		unlock_fake();
		return errno;
	}
	((struct fake_cq *)base)->armed = 1;
	unlock_fake();
	return 0;
}

int ibv_get_cq_event(struct ibv_comp_channel *channel, struct ibv_cq **cq, void **cq_context)
{
	uint64_t one;

	if (!(fcntl(channel->fd, F_GETFL) & O_NONBLOCK))
		wrong("ibv_get_cq_event would wait");
	if (fails_locked("ibv_get_cq_event") || read(channel->fd, &one, sizeof(one)) < 0)
		return -1;
	lock_fake();
	for (struct fake_cq *found = fake.cqs; found; found = found->next) {
		if (found->cq.channel != channel || !found->events)
			continue;
		found->events--;
		found->got++;
		*cq = &found->cq;
		*cq_context = NULL;
		break;
	}
	unlock_fake();
	return 0;
}

void ibv_ack_cq_events(struct ibv_cq *cq, unsigned int events)
{
	lock_fake();
	if (((struct fake_cq *)cq)->got < events)
		wrong("ibv_ack_cq_events: of %u events, not %u", ((struct fake_cq *)cq)->got,
		      events);
	((struct fake_cq *)cq)->got -= events;
	unlock_fake();
}

/* --- Queue pairs. --- */

/* The oldest READ under way ends. */
static void end_read(struct fake_qp *qp, enum ibv_wc_status status)
{
	const struct fake_request *request = &qp->requests[qp->first % qp->size];
	const struct ibv_wc work = { .wr_id = request->request.wr_id,
				     .status = status,
				     .opcode = IBV_WC_RDMA_READ,
				     .qp_num = qp->qp.qp_num };
	const struct ibv_sge *place = &request->place;
	uint64_t from = request->request.wr.rdma.remote_addr;

	if (!status &&
	    !mr_of(place->lkey, qp->qp.pd, IBV_ACCESS_LOCAL_WRITE, place->addr, place->length)) {
		wrong("a READ to memory that is not registered");
		return;
	}
	if (!status) {
		shared_copy_from((void *)(uintptr_t)place->addr, (const void *)(uintptr_t)from,
				 place->length);
		fake.reads++;
	}
	if (status || request->request.send_flags & IBV_SEND_SIGNALED)
		add_work((struct fake_cq *)qp->qp.send_cq, &work, qp->first);
	qp->first++;
}

static void break_qp(struct fake_qp *qp)
{
	qp->broken = 1;
	while (qp->first != qp->last)
		end_read(qp, IBV_WC_WR_FLUSH_ERR);
}

static void carry_out(struct fake_qp *qp, enum ibv_wc_status status)
{
	const struct ibv_send_wr *request = &qp->requests[qp->first % qp->size].request;
	size_t length = qp->requests[qp->first % qp->size].place.length;

	if (!status && (!qp->id->other || !qp->id->other->id.qp ||
			((struct fake_qp *)qp->id->other->id.qp)->broken))
		status = IBV_WC_RETRY_EXC_ERR;
	if (!status && !mr_of(request->wr.rdma.rkey, qp->id->other->id.qp->pd,
			      IBV_ACCESS_REMOTE_READ, request->wr.rdma.remote_addr, length))
		status = IBV_WC_REM_ACCESS_ERR;
	end_read(qp, status);
	if (status)
		break_qp(qp);
}

void fake_complete(struct ibv_qp *qp, enum ibv_wc_status status)
{
	lock_fake();
	if (((struct fake_qp *)qp)->first == ((struct fake_qp *)qp)->last)
		wrong("no READ is under way");
	else
		carry_out((struct fake_qp *)qp, status);
	unlock_fake();
}

unsigned int fake_pending(const struct ibv_qp *qp)
{
	return ((const struct fake_qp *)qp)->last - ((const struct fake_qp *)qp)->first;
}

static int post_one(struct fake_qp *qp, const struct ibv_send_wr *request)
{
	struct fake_request *kept = &qp->requests[qp->last % qp->size];

	if (fails("ibv_post_send"))
		return errno;
	if (device_of_context(qp->qp.context)->removed)
		return EIO;
	if (qp->id->state != CONNECTED && qp->id->state != ENDED) {
		wrong("ibv_post_send: it is not connected");
		return EINVAL;
	}
	/* The place of a READ without a completion is given back by a later one's. */
	if (qp->last - qp->freed == qp->size) {
		wrong("ibv_post_send: the queue is full");
		return ENOMEM;
	}
	if (request->opcode != IBV_WR_RDMA_READ || request->num_sge != 1)
		wrong("ibv_post_send: not a READ to one place");
	kept->request = *request;
	kept->place = request->sg_list[0];
	qp->last++;
	if (qp->broken)
		break_qp(qp);
	else if (!fake.hold)
		carry_out(qp, IBV_WC_SUCCESS);
	return 0;
}

static int post_send(struct ibv_qp *base, struct ibv_send_wr *request, struct ibv_send_wr **bad)
{
	int error = 0;

	lock_fake();
	for (; request && !error; request = request->next) {
		error = post_one((struct fake_qp *)base, request);
		if (error)
			*bad = fake.hide_bad ? NULL : request;
	}
	unlock_fake();
	return error;
}

int rdma_create_qp(struct rdma_cm_id *id, struct ibv_pd *pd, struct ibv_qp_init_attr *attr)
{
	struct fake_qp *qp;

	lock_fake();
	if (fails("rdma_create_qp")) {
		unlock_fake();
		return -1;
	}
	if (id->qp || pd->context != id->verbs || attr->send_cq->context != id->verbs)
		wrong("rdma_create_qp: of another device, or a second one");
	qp = take(sizeof(*qp));
	qp->qp.context = id->verbs;
	qp->qp.pd = pd;
	qp->qp.send_cq = attr->send_cq;
	qp->qp.qp_num = ++fake.next_number;
	qp->size = attr->cap.max_send_wr;
	qp->requests = take(qp->size * sizeof(*qp->requests));
	qp->id = (struct fake_id *)id;
	qp->next = fake.qps;
	fake.qps = qp;
	((struct fake_pd *)pd)->users++;
	((struct fake_cq *)attr->send_cq)->users++;
	id->qp = &qp->qp;
	unlock_fake();
	return 0;
}

void rdma_destroy_qp(struct rdma_cm_id *id)
{
	struct fake_qp *qp = (struct fake_qp *)id->qp;

	lock_fake();
	/* What is under way is no more; completions that were made stay. */
	for (struct fake_qp **link = &fake.qps; *link; link = &(*link)->next) {
		if (*link == qp) {
			*link = qp->next;
			break;
		}
	}
	((struct fake_pd *)qp->qp.pd)->users--;
	((struct fake_cq *)qp->qp.send_cq)->users--;
	id->qp = NULL;
	unlock_fake();
	free(qp->requests);
	free(qp);
}

/* --- Connections. --- */

struct rdma_event_channel *rdma_create_event_channel(void)
{
	struct fake_channel *channel;

	if (fails_locked("rdma_create_event_channel"))
		return NULL;
	channel = take(sizeof(*channel));
	channel->channel.fd = eventfd(0, EFD_CLOEXEC | EFD_SEMAPHORE);
	lock_fake();
	fake.channels++;
	unlock_fake();
	return &channel->channel;
}

void rdma_destroy_event_channel(struct rdma_event_channel *base)
{
	struct fake_channel *channel = (struct fake_channel *)base;

	lock_fake();
	if (channel->ids || channel->events)
		wrong("rdma_destroy_event_channel: %u identifiers use it", channel->ids);
	fake.channels--;
	unlock_fake();
	close(base->fd);
	free(channel);
}

static void push(struct fake_id *id, enum rdma_cm_event_type type, int status, const void *data,
		 uint8_t length, uint8_t padded)
{
	struct fake_channel *channel = (struct fake_channel *)id->id.channel;
	struct fake_event **last = &channel->events;
	struct fake_event *event;

	if (fake.instead == (int)type) {
		fake.instead = -1;
		if (fake.other < 0)
			return;
		type = (enum rdma_cm_event_type)fake.other;
		status = fake.other_status;
		data = NULL;
		length = 0;
	}
	if (fake.say == (int)type) {
		fake.say = -1;
		data = fake.said;
		length = fake.said_length;
		padded = length;
	}
	event = take(sizeof(*event));
	event->event.id = &id->id;
	event->event.event = type;
	event->event.status = status;
	if (data && padded) {
		memcpy(event->data, data, length);
		event->event.param.conn.private_data = event->data;
		event->event.param.conn.private_data_len = padded;
	}
	while (*last)
		last = &(*last)->next;
	*last = event;
	count_event(channel->channel.fd);
}

void fake_event(struct rdma_cm_id *id, enum rdma_cm_event_type type, int status)
{
	lock_fake();
	push((struct fake_id *)id, type, status, NULL, 0, 0);
	unlock_fake();
}

struct rdma_cm_id *fake_id(unsigned int nth)
{
	struct fake_id *id;

	lock_fake();
	for (id = fake.ids; id; id = id->next)
		if (id->state != LISTENING && !nth--)
			break;
	unlock_fake();
	return id ? &id->id : NULL;
}

void fake_disturb(unsigned int nth, enum rdma_cm_event_type type)
{
	struct fake_id *id;

	lock_fake();
	for (id = fake.ids; id; id = id->next)
		if ((id->state == CONNECTED || id->state == ASKING) && !nth--)
			break;
	if (id)
		push(id, type, 0, NULL, 0, 0);
	unlock_fake();
}

struct rdma_cm_id *fake_listening(void)
{
	struct fake_id *id;

	lock_fake();
	for (id = fake.ids; id && id->state != LISTENING;)
		id = id->next;
	unlock_fake();
	return id ? &id->id : NULL;
}

void fake_remove_device(unsigned int number)
{
	struct fake_device *device;

	lock_fake();
	device = fake.slots[number];
	if (!device)
		abort();
	device->removed = 1;
	fake.slots[number] = NULL;
	for (struct fake_id *id = fake.ids; id; id = id->next)
		if (id->device == device)
			push(id, RDMA_CM_EVENT_DEVICE_REMOVAL, 0, NULL, 0, 0);
	unlock_fake();
}

int rdma_get_cm_event(struct rdma_event_channel *base, struct rdma_cm_event **event)
{
	struct fake_channel *channel = (struct fake_channel *)base;
	struct fake_event *first;
	uint64_t one;

	if (!(fcntl(base->fd, F_GETFL) & O_NONBLOCK))
		wrong("rdma_get_cm_event would wait");
	lock_fake();
	first = channel->events;
	if (!first || fails("rdma_get_cm_event") || read(base->fd, &one, sizeof(one)) < 0) {
		if (!first)
			errno = EAGAIN;
		unlock_fake();
		return -1;
	}
	channel->events = first->next;
	((struct fake_id *)first->event.id)->unacknowledged++;
	unlock_fake();
	*event = &first->event;
	return 0;
}

int rdma_ack_cm_event(struct rdma_cm_event *event)
{
	lock_fake();
	((struct fake_id *)event->id)->unacknowledged--;
	unlock_fake();
	free((char *)event - offsetof(struct fake_event, event));
	return 0;
}

static struct fake_id *make_id(struct rdma_event_channel *channel, void *context)
{
	struct fake_id *id = take(sizeof(*id));

	id->id.channel = channel;
	id->id.context = context;
	id->next = fake.ids;
	fake.ids = id;
	((struct fake_channel *)channel)->ids++;
	return id;
}

int rdma_create_id(struct rdma_event_channel *channel, struct rdma_cm_id **id, void *context,
		   enum rdma_port_space space)
{
	(void)space;
	lock_fake();
	if (fails("rdma_create_id")) {
		unlock_fake();
		return -1;
	}
	*id = &make_id(channel, context)->id;
	unlock_fake();
	return 0;
}

/* The other side is told. */
static void leave(struct fake_id *id)
{
	struct fake_id *other = id->other;

	id->other = NULL;
	if (!other)
		return;
	other->other = NULL;
	if (other->state == ASKING)
		push(other, RDMA_CM_EVENT_REJECTED, FAKE_REJECTED, NULL, 0, 0);
	else if (other->state == CONNECTED)
		push(other, RDMA_CM_EVENT_DISCONNECTED, 0, NULL, 0, 0);
	other->state = ENDED;
}

int rdma_destroy_id(struct rdma_cm_id *base)
{
	struct fake_id *id = (struct fake_id *)base;
	struct fake_channel *channel = (struct fake_channel *)base->channel;
	uint64_t one;

	lock_fake();
	if (base->qp)
		wrong("rdma_destroy_id: it has a queue pair");
	if (id->unacknowledged)
		wrong("rdma_destroy_id: it would wait for an event");
	leave(id);
	for (struct fake_event **link = &channel->events; *link;) {
		struct fake_event *event = *link;

		if (event->event.id != base) {
			link = &event->next;
			continue;
		}
		*link = event->next;
		if (read(channel->channel.fd, &one, sizeof(one)) < 0)
			abort();
		free(event);
	}
	for (struct fake_id **link = &fake.ids; *link; link = &(*link)->next) {
		if (*link == id) {
			*link = id->next;
			break;
		}
	}
	channel->ids--;
	if (id->device)
		put_device(id->device);
	unlock_fake();
	free(id);
	return 0;
}

static uint16_t *port_in(struct sockaddr *address)
{
	return address->sa_family == AF_INET6 ? &((struct sockaddr_in6 *)address)->sin6_port
					      : &((struct sockaddr_in *)address)->sin_port;
}

int rdma_bind_addr(struct rdma_cm_id *base, struct sockaddr *address)
{
	struct fake_id *id = (struct fake_id *)base;

	lock_fake();
	if (fails("rdma_bind_addr")) {
		unlock_fake();
		return -1;
	}
	memcpy(&base->route.addr.src_addr, address,
	       address->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
					      : sizeof(struct sockaddr_in));
	id->port = ntohs(*port_in(address));
	if (!id->port)
		id->port = (uint16_t)(PORT_FIRST + fake.next_port++ % 10000);
	*port_in(&base->route.addr.src_addr) = htons(id->port);
	bind_to(id);
	unlock_fake();
	return 0;
}

int rdma_listen(struct rdma_cm_id *id, int backlog)
{
	(void)backlog;
	lock_fake();
	if (fails("rdma_listen")) {
		unlock_fake();
		return -1;
	}
	((struct fake_id *)id)->state = LISTENING;
	unlock_fake();
	return 0;
}

int rdma_resolve_addr(struct rdma_cm_id *base, struct sockaddr *source, struct sockaddr *address,
		      int timeout_ms)
{
	struct fake_id *id = (struct fake_id *)base;

	(void)source;
	(void)timeout_ms;
	lock_fake();
	if (fails("rdma_resolve_addr")) {
		unlock_fake();
		return -1;
	}
	id->port = ntohs(*port_in(address));
	if (fake.use < 0) {
		push(id, RDMA_CM_EVENT_ADDR_ERROR, -ENODEV, NULL, 0, 0);
	} else {
		bind_to(id);
		push(id, RDMA_CM_EVENT_ADDR_RESOLVED, 0, NULL, 0, 0);
	}
	unlock_fake();
	return 0;
}

int rdma_set_option(struct rdma_cm_id *id, int level, int name, void *value, size_t length)
{
	(void)id;
	(void)level;
	(void)name;
	(void)value;
	(void)length;
	return fails_locked("rdma_set_option") ? -1 : 0;
}

int rdma_resolve_route(struct rdma_cm_id *id, int timeout_ms)
{
	(void)timeout_ms;
	lock_fake();
	if (fails("rdma_resolve_route")) {
		unlock_fake();
		return -1;
	}
	push((struct fake_id *)id, RDMA_CM_EVENT_ROUTE_RESOLVED, 0, NULL, 0, 0);
	unlock_fake();
	return 0;
}

int rdma_connect(struct rdma_cm_id *base, struct rdma_conn_param *param)
{
	struct fake_id *id = (struct fake_id *)base;
	struct fake_id *listener;
	struct fake_id *made;

	lock_fake();
	if (fails("rdma_connect")) {
		unlock_fake();
		return -1;
	}
	if (param->private_data_len > HELLO_BYTES)
		wrong("rdma_connect: %u bytes of private data", param->private_data_len);
	id->state = ASKING;
	for (listener = fake.ids; listener; listener = listener->next)
		if (listener->state == LISTENING && listener->port == id->port &&
		    !listener->device->removed)
			break;
	if (listener && fake.instead != RDMA_CM_EVENT_CONNECT_REQUEST) {
		made = make_id(listener->id.channel, listener->id.context);
		made->state = ASKED;
		made->device = listener->device;
		made->device->references++;
		made->id.verbs = &made->device->context;
		made->other = id;
		id->other = made;
		push(made, RDMA_CM_EVENT_CONNECT_REQUEST, 0, param->private_data,
		     param->private_data_len, HELLO_BYTES);
	} else if (listener) {
		/* What the network says instead is said to the one who asked, if it is said. */
		push(id, RDMA_CM_EVENT_CONNECT_REQUEST, 0, NULL, 0, 0);
	} else {
		push(id, RDMA_CM_EVENT_REJECTED, 8, NULL, 0, 0);
	}
	unlock_fake();
	return 0;
}

int rdma_accept(struct rdma_cm_id *base, struct rdma_conn_param *param)
{
	struct fake_id *id = (struct fake_id *)base;

	lock_fake();
	if (fails("rdma_accept")) {
		unlock_fake();
		return -1;
	}
	if (param->private_data_len > WELCOME_BYTES)
		wrong("rdma_accept: %u bytes of private data", param->private_data_len);
	id->state = CONNECTED;
	if (id->other) {
		id->other->state = CONNECTED;
		push(id->other, RDMA_CM_EVENT_ESTABLISHED, 0, param->private_data,
		     param->private_data_len, WELCOME_BYTES);
		push(id, RDMA_CM_EVENT_ESTABLISHED, 0, NULL, 0, 0);
	} else {
		/* The one who asked went away meanwhile. */
		push(id, RDMA_CM_EVENT_REJECTED, FAKE_REJECTED, NULL, 0, 0);
	}
	unlock_fake();
	return 0;
}

int rdma_reject(struct rdma_cm_id *base, const void *data, uint8_t length)
{
	struct fake_id *id = (struct fake_id *)base;

	lock_fake();
	if (fails("rdma_reject")) {
		unlock_fake();
		return -1;
	}
	if (length > REFUSAL_BYTES)
		wrong("rdma_reject: %u bytes of private data", length);
	if (id->other) {
		id->other->state = ENDED;
		id->other->other = NULL;
		push(id->other, RDMA_CM_EVENT_REJECTED, FAKE_REJECTED, data, length, REFUSAL_BYTES);
	}
	id->other = NULL;
	id->state = ENDED;
	unlock_fake();
	return 0;
}

int rdma_disconnect(struct rdma_cm_id *base)
{
	struct fake_id *id = (struct fake_id *)base;

	lock_fake();
	if (id->state != CONNECTED && id->state != ENDED) {
		unlock_fake();
		errno = EINVAL;
		return -1;
	}
	/* Of a device that is gone nothing comes any more. */
	if (id->device->removed || fails("rdma_disconnect")) {
		unlock_fake();
		return -1;
	}
	break_qp((struct fake_qp *)base->qp);
	leave(id);
	if (id->state == CONNECTED)
		push(id, RDMA_CM_EVENT_DISCONNECTED, 0, NULL, 0, 0);
	id->state = ENDED;
	unlock_fake();
	return 0;
}
