// SPDX-License-Identifier: BSD-3-Clause
/* What a user of RDMA needs on this host, what of it is missing, and what to do about that. */
#include "command.h"
#include "doctor.h"
#include "format.h"

#include <errno.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define CAPABILITY_IPC_LOCK 14

/* A region as it is by default, and room for what is read. */
#define LOCKED_BYTES ((unsigned long long)80 << 20)

int doctor_line(const char *path, char *line, size_t size)
{
	FILE *file = fopen(path, "re");
	int found = file && fgets(line, (int)size, file);

	if (file)
		fclose(file);
	if (found)
		line[strcspn(line, "\n")] = 0;
	return found;
}

void doctor_netdev(char netdev[IF_NAMESIZE])
{
	struct ifaddrs *all;

	strcpy(netdev, "NETDEV");
	if (getifaddrs(&all))
		return;
	for (const struct ifaddrs *a = all; a; a = a->ifa_next) {
		if (!a->ifa_addr || a->ifa_addr->sa_family != AF_INET ||
		    a->ifa_flags & IFF_LOOPBACK || !(a->ifa_flags & IFF_UP))
			continue;
		snprintf(netdev, IF_NAMESIZE, "%s", a->ifa_name);
		break;
	}
	freeifaddrs(all);
}

/* Whether this process may lock what it likes, whatever the limit is. */
static int may_lock(void)
{
	FILE *file = fopen("/proc/self/status", "re");
	unsigned long long capabilities = 0;
	char line[256];

	while (file && fgets(line, sizeof(line), file))
		if (!strncmp(line, "CapEff:", 7))
			capabilities = strtoull(line + 7, NULL, 16);
	if (file)
		fclose(file);
	return capabilities >> CAPABILITY_IPC_LOCK & 1;
}

static void check_memlock(struct findings *findings)
{
	struct rlimit limit = { 0 };

	getrlimit(RLIMIT_MEMLOCK, &limit);
	if (limit.rlim_cur == RLIM_INFINITY)
		findings_add(findings, FOUND_OK, "memlock", NULL,
			     "a process may lock all of its memory");
	else if (may_lock())
		findings_add(findings, FOUND_OK, "memlock", NULL,
			     "a process may lock %llu bytes, and one with CAP_IPC_LOCK, as this "
			     "is, all that it likes",
			     (unsigned long long)limit.rlim_cur);
	else if (limit.rlim_cur < LOCKED_BYTES)
		findings_add(findings, FOUND_FAILURE, "memlock",
			     "ulimit -l unlimited; in a unit of systemd: LimitMEMLOCK=infinity",
			     "a process may lock %llu bytes: too few for a region of 64 MiB",
			     (unsigned long long)limit.rlim_cur);
	else
		findings_add(findings, FOUND_OK, "memlock", NULL, "a process may lock %llu bytes",
			     (unsigned long long)limit.rlim_cur);
}

/* Regions are shared memory: only with this they get huge pages, which look-ups are faster on. */
static void check_huge_pages(struct findings *findings)
{
	static const char path[] = "/sys/kernel/mm/transparent_hugepage/shmem_enabled";
	char line[128];
	char *chosen;

	if (!doctor_line(path, line, sizeof(line)) || !(chosen = strchr(line, '['))) {
		findings_add(findings, FOUND_WARNING, "hugepages",
			     "a kernel with CONFIG_TRANSPARENT_HUGEPAGE, if speed matters",
			     "this kernel has no huge pages for shared memory: reads are slower");
		return;
	}
	chosen++;
	chosen[strcspn(chosen, "]")] = 0;
	if (!strcmp(chosen, "never") || !strcmp(chosen, "deny"))
		findings_add(findings, FOUND_WARNING, "hugepages",
			     "echo advise > /sys/kernel/mm/transparent_hugepage/shmem_enabled",
			     "shared memory gets no huge pages (\"%s\"): reads are slower", chosen);
	else
		findings_add(findings, FOUND_OK, "hugepages", NULL,
			     "shared memory gets huge pages (\"%s\")", chosen);
}

static void check_connections(struct findings *findings)
{
	static const char path[] = "/dev/infiniband/rdma_cm";

	if (!access(path, R_OK | W_OK))
		findings_add(findings, FOUND_OK, "rdma_cm", NULL, "%s can be opened", path);
	else if (errno == EACCES)
		findings_add(findings, FOUND_FAILURE, "rdma_cm",
			     "chmod 666 /dev/infiniband/rdma_cm; for good: the udev rules of "
			     "rdma-core",
			     "%s: %s", path, strerror(errno));
	else
		findings_add(findings, FOUND_FAILURE, "rdma_cm", "modprobe rdma_ucm",
			     "%s: %s: the module rdma_ucm is not loaded", path, strerror(errno));
}

int command_doctor(struct estate *es, const struct options *options, int argc, char **argv)
{
	struct findings findings = { .all = options->json ? json_array() : NULL };
	struct doctor_device devices[DOCTOR_DEVICES_MAX];
	unsigned int usable;

	(void)es;
	usable = doctor_devices(&findings, devices, DOCTOR_DEVICES_MAX);
	check_connections(&findings);
	check_memlock(&findings);
	check_huge_pages(&findings);
	for (unsigned int i = 0; i < usable; i++)
		doctor_loopback(&findings, &devices[i]);
	if (!usable)
		findings_add(&findings, FOUND_FAILURE, "loopback", "what is said above",
			     "not tried: there is no device that can be used");
	if (argc)
		doctor_peer(&findings, argv[0], options->group);
	if (findings.all)
		format_print_json(
			json_pack("{s:b, s:o}", "ok", !findings.failures, "checks", findings.all));
	return findings.failures > 0;
}
