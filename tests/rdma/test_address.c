// SPDX-License-Identifier: BSD-3-Clause
/* Addresses as people write them, and RDMA devices' names, of which the kernel says enough. */
#include "address.h"

#include "check.h"

#include <estate/error.h>

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

/* --- Instead of the kernel's: a device "fake0" with the network device that is said here. --- */

FILE *__real_fopen(const char *path, const char *mode);
FILE *__wrap_fopen(const char *path, const char *mode);
int __wrap_getifaddrs(struct ifaddrs **all);
void __wrap_freeifaddrs(struct ifaddrs *all);

static char netdev[] = "eth7\n";
static struct ifaddrs interfaces[8];
static struct sockaddr_storage addresses[8];
static int count;
static int broken;

FILE *__wrap_fopen(const char *path, const char *mode)
{
	if (!strcmp(path, "/sys/class/infiniband/fake0/ports/1/gid_attrs/ndevs/0"))
		return fmemopen(netdev, strlen(netdev), "r");
	/* The kernel has the file, and it has nothing in it. */
	if (!strcmp(path, "/sys/class/infiniband/fake1/ports/1/gid_attrs/ndevs/0"))
		return fmemopen(netdev + 4, 1, "r");
	return __real_fopen(path, mode);
}

int __wrap_getifaddrs(struct ifaddrs **all)
{
	if (broken) {
		errno = EMFILE;
		return -1;
	}
	*all = count ? interfaces : NULL;
	for (int i = 0; i < count; i++)
		interfaces[i].ifa_next = i + 1 < count ? &interfaces[i + 1] : NULL;
	return 0;
}

void __wrap_freeifaddrs(struct ifaddrs *all)
{
	(void)all;
}

/* An address of a network device; NULL: one of another kind. */
static void add(const char *name, const char *text)
{
	struct ifaddrs *interface = &interfaces[count];
	struct sockaddr_storage *address = &addresses[count++];

	memset(address, 0, sizeof(*address));
	interface->ifa_name = (char *)(uintptr_t)name;
	interface->ifa_addr = (struct sockaddr *)address;
	if (!text) {
		address->ss_family = AF_PACKET;
	} else if (strchr(text, ':')) {
		address->ss_family = AF_INET6;
		inet_pton(AF_INET6, text, &((struct sockaddr_in6 *)address)->sin6_addr);
	} else {
		address->ss_family = AF_INET;
		inet_pton(AF_INET, text, &((struct sockaddr_in *)address)->sin_addr);
	}
}

static void same(const char *text, int only, const char *expected)
{
	struct sockaddr_storage address;
	char back[128];

	assert_ok(address_parse(text, &address));
	address_format((struct sockaddr *)&address, only, back, sizeof(back));
	assert_string_equal(back, expected);
}

static void test_good(void **state)
{
	(void)state;
	same("127.0.0.1:7000", 0, "127.0.0.1:7000");
	same("verbs:127.0.0.1:7000", 1, "verbs:127.0.0.1:7000");
	same("verbs:10.1.2.3:0", 0, "10.1.2.3:0");
	same("[::1]:65535", 0, "[::1]:65535");
	same("verbs:[2001:db8::1]:1", 1, "verbs:[2001:db8::1]:1");
}

static void bad(const char *text, int error, const char *word)
{
	struct sockaddr_storage address = { .ss_family = AF_UNIX };

	assert_error(address_parse(text, &address), error, word);
	if (*text)
		assert_non_null(strstr(estate_errormsg(), text));
	assert_int_equal(address.ss_family, AF_UNIX);
}

static void test_bad(void **state)
{
	char text[1200] = "";

	(void)state;
	bad("", -EINVAL, "HOST:PORT");
	bad(":", -EINVAL, "HOST:PORT");
	bad(":1", -EINVAL, "HOST:PORT");
	bad("verbs::1", -EINVAL, "HOST:PORT");
	bad("host", -EINVAL, "HOST:PORT");
	bad("host:", -EINVAL, "HOST:PORT");
	bad("host:http", -EINVAL, "HOST:PORT");
	bad("host:65536", -EINVAL, "HOST:PORT");
	bad("host:-1", -EINVAL, "HOST:PORT");
	bad("host:1x", -EINVAL, "HOST:PORT");
	bad("2001:db8::1:7000", -EINVAL, "brackets");
	bad("[]:1", -EADDRNOTAVAIL, "[]");
	bad("no.such.host.invalid:1", -EADDRNOTAVAIL, "no.such.host.invalid");
	bad("999.1.1.1:1", -EADDRNOTAVAIL, "999.1.1.1");
	/* Names that would lead somewhere else below /sys. */
	bad("../../..:1", -EADDRNOTAVAIL, "..");
	bad("a/b:1", -EADDRNOTAVAIL, "a/b");
	/* Longer than a name can be, and a port with many digits. */
	memset(text, 'h', 1100);
	strcpy(text + 1100, ":1");
	assert_int_not_equal(address_parse(text, &(struct sockaddr_storage){ 0 }), 0);
	strcpy(text, "host:");
	memset(text + 5, '1', 100);
	text[105] = 0;
	assert_int_equal(address_parse(text, &(struct sockaddr_storage){ 0 }), -EINVAL);
}

static void test_devices(void **state)
{
	(void)state;
	bad("fake0:1", -EADDRNOTAVAIL, "ip addr add");
	assert_non_null(strstr(estate_errormsg(), "eth7"));
	add("eth7", NULL);
	add("eth8", "10.0.0.8");
	interfaces[count++].ifa_name = netdev;
	bad("fake0:1", -EADDRNOTAVAIL, "ip addr add");
	add("eth7", "fe80::7");
	same("fake0:1", 0, "[fe80::7]:1");
	/* What others reach is better, and what most have is best. */
	add("eth7", "2001:db8::7");
	add("eth7", "fe80::8");
	same("verbs:fake0:1", 1, "verbs:[2001:db8::7]:1");
	add("eth7", "10.0.0.7");
	add("eth7", "10.0.0.9");
	same("fake0:7000", 0, "10.0.0.7:7000");
	/* It has no network device: then it is a host's name, if at all. */
	bad("fake1:1", -EADDRNOTAVAIL, "fake1");
	broken = 1;
	bad("fake0:1", -EMFILE, "fake0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_devices),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
