// SPDX-License-Identifier: BSD-3-Clause
#include "address.h"

#include "error.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static socklen_t address_length(const struct sockaddr *address)
{
	return address->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
					      : sizeof(struct sockaddr_in);
}

/* The network device of an RDMA device's first port, as the kernel shows it. 0 or -ENOENT. */
static int device_netdev(const char *device, char netdev[IF_NAMESIZE])
{
	char path[256];
	FILE *file;
	int found;

	if (strchr(device, '/') || device[0] == '.')
		return -ENOENT;
	snprintf(path, sizeof(path), "/sys/class/infiniband/%.63s/ports/1/gid_attrs/ndevs/0",
		 device);
	file = fopen(path, "re");
	if (!file)
		return -ENOENT;
	found = fscanf(file, "%15s", netdev);
	fclose(file);
	return found == 1 ? 0 : -ENOENT;
}

/* The first address of a network device; IPv4 before IPv6, link-local last of all. */
static int netdev_address(const char *netdev, struct sockaddr_storage *address)
{
	struct ifaddrs *all;
	int best = 0;

	if (getifaddrs(&all))
		return -errno;
	for (struct ifaddrs *a = all; a; a = a->ifa_next) {
		int rank;

		if (!a->ifa_addr || strcmp(a->ifa_name, netdev) ||
		    (a->ifa_addr->sa_family != AF_INET && a->ifa_addr->sa_family != AF_INET6))
			continue;
		if (a->ifa_addr->sa_family == AF_INET)
			rank = 3;
		else if (IN6_IS_ADDR_LINKLOCAL(&((struct sockaddr_in6 *)a->ifa_addr)->sin6_addr))
			rank = 1;
		else
			rank = 2;
		if (rank <= best)
			continue;
		best = rank;
		memcpy(address, a->ifa_addr, address_length(a->ifa_addr));
	}
	freeifaddrs(all);
	return best ? 0 : -EADDRNOTAVAIL;
}

static int split(const char *text, char host[NI_MAXHOST], char port[NI_MAXSERV])
{
	const char *start = strncmp(text, "verbs:", 6) ? text : text + 6;
	const char *colon = strrchr(start, ':');
	size_t length;

	if (!colon || !colon[1])
		return -EINVAL;
	length = (size_t)(colon - start);
	if (length > 2 && start[0] == '[' && start[length - 1] == ']') {
		start++;
		length -= 2;
	} else if (memchr(start, ':', length)) {
		return -EINVAL; /* IPv6 without brackets: which colon is the port's? */
	}
	if (!length || length >= NI_MAXHOST || strlen(colon + 1) >= NI_MAXSERV)
		return -EINVAL;
	memcpy(host, start, length);
	host[length] = 0;
	strcpy(port, colon + 1);
	return 0;
}

int address_parse(const char *text, struct sockaddr_storage *address)
{
	const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
	struct sockaddr_storage made = { 0 };
	struct addrinfo *found;
	char host[NI_MAXHOST];
	char port[NI_MAXSERV];
	char netdev[IF_NAMESIZE];
	char *end;
	unsigned long number;
	int error = split(text, host, port);

	number = error ? 0 : strtoul(port, &end, 10);
	if (error || *end || number > 65535)
		return error_set(-EINVAL,
				 "address \"%s\": must be HOST:PORT, with an IPv6 address in "
				 "brackets",
				 text);
	if (!device_netdev(host, netdev)) {
		error = netdev_address(netdev, &made);
		if (error)
			return error_set(error,
					 "address \"%s\": the network device %s of RDMA device %s "
					 "has no IP address: ip addr add ADDRESS/BITS dev %s",
					 text, netdev, host, netdev);
	} else {
		error = getaddrinfo(host, NULL, &hints, &found);
		if (error)
			return error_set(-EADDRNOTAVAIL, "address \"%s\": %s", text,
					 gai_strerror(error));
		memcpy(&made, found->ai_addr, found->ai_addrlen);
		freeaddrinfo(found);
	}
	if (made.ss_family == AF_INET6)
		((struct sockaddr_in6 *)&made)->sin6_port = htons((uint16_t)number);
	else
		((struct sockaddr_in *)&made)->sin_port = htons((uint16_t)number);
	*address = made;
	return 0;
}

void address_format(const struct sockaddr *address, int only, char *text, size_t size)
{
	char host[NI_MAXHOST] = "?";
	char port[NI_MAXSERV] = "0";
	const char *form = address->sa_family == AF_INET6 ? "%s[%s]:%s" : "%s%s:%s";

	getnameinfo(address, address_length(address), host, sizeof(host), port, sizeof(port),
		    NI_NUMERICHOST | NI_NUMERICSERV);
	/* NOLINTNEXTLINE(clang-diagnostic-format-nonliteral) */
	snprintf(text, size, form, only ? "verbs:" : "", host, port);
}
