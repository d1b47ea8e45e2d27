// SPDX-License-Identifier: BSD-3-Clause
/* RDMA devices, as libibverbs and the kernel show them. */
#include "doctor.h"

#ifndef ESTATE_RDMA

unsigned int doctor_devices(struct findings *findings, struct doctor_device *devices,
			    unsigned int max)
{
	(void)devices;
	(void)max;
	findings_add(findings, FOUND_FAILURE, "library", "cmake -DESTATE_RDMA=ON",
		     "estate was built without RDMA");
	return 0;
}

#else

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <ifaddrs.h>
#include <infiniband/verbs.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#define HEADERS_BYTES 80 /* of RoCE, at most */
#define INFINIBAND_NETDEV 32 /* ARPHRD_INFINIBAND */

/* A port of an open device. */
struct port {
	struct ibv_context *context;
	const char *device;
	unsigned int number;
	struct ibv_port_attr attr;
	char netdev[IF_NAMESIZE]; /* "" if it has none */
};

static int has_word(const char *path, const char *word)
{
	FILE *file = fopen(path, "re");
	char line[4096];
	int found = 0;

	while (file && !found && fgets(line, sizeof(line), file))
		found = strstr(line, word) != NULL;
	if (file)
		fclose(file);
	return found;
}

static int has_softroce(void)
{
	struct utsname name;
	char path[512];

	if (!access("/sys/module/rdma_rxe", F_OK))
		return 1;
	uname(&name);
	for (int builtin = 0; builtin < 2; builtin++) {
		snprintf(path, sizeof(path), "/lib/modules/%s/modules.%s", name.release,
			 builtin ? "builtin" : "dep");
		if (has_word(path, "/rdma_rxe.ko"))
			return 1;
	}
	return 0;
}

static void no_device(struct findings *findings, int error)
{
	char netdev[IF_NAMESIZE];
	char mend[256];

	doctor_netdev(netdev);
	snprintf(mend, sizeof(mend),
		 "modprobe rdma_rxe; rdma link add rxe0 type rxe netdev %s; or the module of the "
		 "card that there is",
		 netdev);
	findings_add(findings, FOUND_FAILURE, "device", mend, "this host has no RDMA device%s%s%s",
		     error == ENOSYS ? ", and ib_uverbs is not loaded" : "",
		     has_softroce() ? ""
				    : ", and its kernel does not seem to have SoftRoCE (rdma_rxe)",
		     has_softroce() ? ": SoftRoCE (rdma_rxe) makes one of a network device" : "");
}

/* May it be opened? */
static struct ibv_context *open_device(struct findings *findings, struct ibv_device *device)
{
	struct ibv_context *context = ibv_open_device(device);
	int error = errno;
	char mend[160];

	snprintf(mend, sizeof(mend),
		 "chmod 666 /dev/infiniband/%s; for good: the udev rules of rdma-core",
		 device->dev_name);
	if (!context)
		findings_add(findings, FOUND_FAILURE, "device",
			     error == EACCES || error == EPERM ? mend
							       : "dmesg: what does its driver say?",
			     "%s: /dev/infiniband/%s cannot be opened: %s",
			     ibv_get_device_name(device), device->dev_name, strerror(error));
	return context;
}

static const char *layer_name(const struct port *port)
{
	if (port->context->device->transport_type == IBV_TRANSPORT_IWARP)
		return "iWARP";
	return port->attr.link_layer == IBV_LINK_LAYER_ETHERNET ? "RoCE" : "InfiniBand";
}

/* The network device whose addresses are the port's. */
static void find_netdev(struct port *port)
{
	char path[300];
	DIR *folder;
	const struct dirent *entry;

	snprintf(path, sizeof(path), "/sys/class/infiniband/%s/ports/%u/gid_attrs/ndevs/0",
		 port->device, port->number);
	if (doctor_line(path, port->netdev, sizeof(port->netdev)))
		return;
	/* IPoIB's is beside the device. */
	port->netdev[0] = 0;
	snprintf(path, sizeof(path), "/sys/class/infiniband/%s/device/net", port->device);
	folder = opendir(path);
	while (folder && (entry = readdir(folder))) {
		char type[16];

		snprintf(path, sizeof(path), "/sys/class/net/%.64s/type", entry->d_name);
		if (entry->d_name[0] == '.' || !doctor_line(path, type, sizeof(type)))
			continue;
		if (atoi(type) == INFINIBAND_NETDEV ||
		    port->attr.link_layer == IBV_LINK_LAYER_ETHERNET)
			snprintf(port->netdev, sizeof(port->netdev), "%.15s", entry->d_name);
	}
	if (folder)
		closedir(folder);
}

static int port_is_active(struct findings *findings, const struct port *port)
{
	char mend[160];

	if (port->attr.state == IBV_PORT_ACTIVE) {
		findings_add(findings, FOUND_OK, "port", NULL, "%s/%u: ACTIVE, %s, %s%s",
			     port->device, port->number, layer_name(port),
			     *port->netdev ? "network device " : "no network device", port->netdev);
		return 1;
	}
	if (port->attr.link_layer == IBV_LINK_LAYER_ETHERNET)
		snprintf(mend, sizeof(mend), "ip link set %s up, and is its cable plugged in?",
			 *port->netdev ? port->netdev : "NETDEV");
	else
		snprintf(mend, sizeof(mend), "%s",
			 port->attr.state == IBV_PORT_INIT ? "start a subnet manager: opensm"
							   : "is its cable plugged in?");
	findings_add(findings, FOUND_WARNING, "port", mend, "%s/%u: %s, not ACTIVE: it is not used",
		     port->device, port->number, ibv_port_state_str(port->attr.state));
	return 0;
}

static void check_mtu(struct findings *findings, const struct port *port)
{
	unsigned int active = 128u << port->attr.active_mtu;
	unsigned int fits = 4096;
	unsigned int netdev;
	char path[128];
	char line[32];
	char mend[192];

	snprintf(path, sizeof(path), "/sys/class/net/%s/mtu", port->netdev);
	if (port->attr.link_layer != IBV_LINK_LAYER_ETHERNET || !*port->netdev ||
	    !doctor_line(path, line, sizeof(line))) {
		findings_add(findings, FOUND_OK, "mtu", NULL, "%s/%u: %u bytes", port->device,
			     port->number, active);
		return;
	}
	netdev = (unsigned int)strtoul(line, NULL, 10);
	while (fits > 256 && fits + HEADERS_BYTES > netdev)
		fits /= 2;
	snprintf(
		mend, sizeof(mend),
		"ip link set %s mtu %u once more; for SoftRoCE: rdma link delete %s; rdma link add "
		"%s type rxe netdev %s",
		port->netdev, netdev, port->device, port->device, port->netdev);
	if (active < fits)
		findings_add(findings, FOUND_WARNING, "mtu", mend,
			     "%s/%u: %u bytes, though %u fit into the %u of %s", port->device,
			     port->number, active, fits, netdev, port->netdev);
	else
		findings_add(findings, FOUND_OK, "mtu", NULL, "%s/%u: %u bytes, as %s has %u%s",
			     port->device, port->number, active, port->netdev, netdev,
			     active < 4096 ? " (4200 on all hosts would make it 4096)" : "");
}

/* The IP address that a GID of RoCE is made of, and its netdev; 0 if nobody here has it. */
static int address_of_gid(const union ibv_gid *gid, char address[INET6_ADDRSTRLEN],
			  char netdev[IF_NAMESIZE])
{
	const struct in6_addr *raw = (const struct in6_addr *)gid->raw;
	struct ifaddrs *all;
	int found = 0;

	if (IN6_IS_ADDR_V4MAPPED(raw))
		inet_ntop(AF_INET, &raw->s6_addr[12], address, INET6_ADDRSTRLEN);
	else
		inet_ntop(AF_INET6, raw, address, INET6_ADDRSTRLEN);
	if (getifaddrs(&all))
		return 0;
	for (const struct ifaddrs *a = all; a && !found; a = a->ifa_next) {
		char text[INET6_ADDRSTRLEN] = "";

		if (a->ifa_addr && a->ifa_addr->sa_family == AF_INET)
			inet_ntop(AF_INET, &((struct sockaddr_in *)a->ifa_addr)->sin_addr, text,
				  sizeof(text));
		else if (a->ifa_addr && a->ifa_addr->sa_family == AF_INET6)
			inet_ntop(AF_INET6, &((struct sockaddr_in6 *)a->ifa_addr)->sin6_addr, text,
				  sizeof(text));
		found = !strcmp(text, address);
		if (found)
			snprintf(netdev, IF_NAMESIZE, "%s", a->ifa_name);
	}
	freeifaddrs(all);
	return found;
}

/* RoCE's GIDs are made of IP addresses: those that somebody here has, by which version. */
static int check_roce_gids(struct findings *findings, const struct port *port)
{
	unsigned int of_addresses = 0;
	unsigned int second = 0;
	char mend[160];

	for (uint32_t i = 0; i < (uint32_t)port->attr.gid_tbl_len; i++) {
		struct ibv_gid_entry entry;
		char address[INET6_ADDRSTRLEN];
		char netdev[IF_NAMESIZE] = "nobody";
		int known;

		if (ibv_query_gid_ex(port->context, port->number, i, &entry, 0))
			continue;
		known = address_of_gid(&entry.gid, address, netdev);
		if (entry.ndev_ifindex)
			if_indextoname(entry.ndev_ifindex, netdev);
		if (known && !IN6_IS_ADDR_LINKLOCAL((const struct in6_addr *)entry.gid.raw)) {
			of_addresses++;
			second += entry.gid_type == IBV_GID_TYPE_ROCE_V2;
		}
		findings_add(findings, FOUND_OK, "gid", NULL, "%s/%u[%u]: RoCE v%d, %s of %s%s",
			     port->device, port->number, i,
			     entry.gid_type == IBV_GID_TYPE_ROCE_V2 ? 2 : 1, address, netdev,
			     known ? "" : ": no IP address of this host");
	}
	snprintf(mend, sizeof(mend), "ip addr add ADDRESS/BITS dev %s",
		 *port->netdev ? port->netdev : "NETDEV");
	if (!of_addresses)
		findings_add(findings, FOUND_WARNING, "gid", mend,
			     "%s/%u: no GID is of an IP address: it is not used", port->device,
			     port->number);
	else if (!second)
		findings_add(findings, FOUND_WARNING, "gid",
			     "the card's setting for RoCE v2; then cma_roce_mode",
			     "%s/%u: RoCE v1 alone, which no router forwards", port->device,
			     port->number);
	return of_addresses > 0;
}

/* Where connections are made by the addresses of a network device. */
static int netdev_has_address(struct findings *findings, const struct port *port, char listen[96])
{
	struct ifaddrs *all;
	char mend[160];
	int found = 0;

	if (*port->netdev && !getifaddrs(&all)) {
		for (const struct ifaddrs *a = all; a && !found; a = a->ifa_next) {
			char text[INET_ADDRSTRLEN];

			if (!a->ifa_addr || a->ifa_addr->sa_family != AF_INET ||
			    strcmp(a->ifa_name, port->netdev))
				continue;
			inet_ntop(AF_INET, &((struct sockaddr_in *)a->ifa_addr)->sin_addr, text,
				  sizeof(text));
			snprintf(listen, 96, "verbs:%s:0", text);
			findings_add(findings, FOUND_OK, "address", NULL, "%s/%u: %s of %s",
				     port->device, port->number, text, port->netdev);
			found = 1;
		}
		freeifaddrs(all);
	}
	snprintf(mend, sizeof(mend), "modprobe ib_ipoib; ip addr add ADDRESS/BITS dev %s",
		 *port->netdev ? port->netdev : "ib0");
	if (!found)
		findings_add(findings, FOUND_WARNING, "address", mend,
			     "%s/%u: no IPv4 address is of it, by which it could be reached",
			     port->device, port->number);
	return found;
}

/* Whether it can be used, and how to listen on it. */
static int check_port(struct findings *findings, struct port *port, char listen[96])
{
	if (ibv_query_port(port->context, (uint8_t)port->number, &port->attr)) {
		findings_add(findings, FOUND_WARNING, "port", "dmesg: what does its driver say?",
			     "%s/%u: ibv_query_port: %m", port->device, port->number);
		return 0;
	}
	find_netdev(port);
	if (!port_is_active(findings, port))
		return 0;
	check_mtu(findings, port);
	if (strcmp(layer_name(port), "RoCE") != 0)
		return netdev_has_address(findings, port, listen);
	snprintf(listen, 96, "verbs:%s:0", port->device);
	return check_roce_gids(findings, port);
}

static int check_device(struct findings *findings, struct ibv_device *device,
			struct doctor_device *usable)
{
	struct port port = { .device = ibv_get_device_name(device) };
	struct ibv_device_attr attr;
	int works = 0;

	port.context = open_device(findings, device);
	if (!port.context)
		return 0;
	if (ibv_query_device(port.context, &attr)) {
		findings_add(findings, FOUND_FAILURE, "device", "dmesg: what does its driver say?",
			     "%s: ibv_query_device failed", port.device);
		ibv_close_device(port.context);
		return 0;
	}
	findings_add(findings, FOUND_OK, "device", NULL,
		     "%s: /dev/infiniband/%s opens; %d READs at a time to a peer", port.device,
		     device->dev_name, attr.max_qp_rd_atom);
	snprintf(usable->name, sizeof(usable->name), "%s", port.device);
	for (port.number = 1; port.number <= attr.phys_port_cnt; port.number++) {
		char listen[96];

		if (!check_port(findings, &port, listen))
			continue;
		if (!works++)
			memcpy(usable->listen, listen, sizeof(listen));
	}
	ibv_close_device(port.context);
	return works > 0;
}

unsigned int doctor_devices(struct findings *findings, struct doctor_device *devices,
			    unsigned int max)
{
	struct ibv_device **list = ibv_get_device_list(NULL);
	int error = errno;
	unsigned int usable = 0;

	if (!list || !list[0])
		no_device(findings, list ? 0 : error);
	for (int i = 0; list && list[i]; i++)
		if (usable < max && check_device(findings, list[i], &devices[usable]))
			usable++;
	if (list)
		ibv_free_device_list(list);
	return usable;
}

#endif
