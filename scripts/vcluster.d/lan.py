# SPDX-License-Identifier: BSD-3-Clause
"""The virtual LAN: an Ethernet switch, in a process of its own. It needs no privileges.

Each node has a port. User Mode Linux connects to its port's listening socket when the interface is
set up, and closes the connection when it is set down. QEMU inherits one end of a socket pair."""

import collections
import contextlib
import select
import socket

MTU = 4200  # an RDMA MTU of 4096, and the headers
BURST = 64  # frames of one port before it is another's turn
QUEUE = 4096  # frames that wait for a slow node


def mac(node):
    return bytes((0x52, 0x54, 0x00, 0x77, 0x00, node + 1))


def mac_text(node):
    return mac(node).hex(':')


def ipv4(node):
    return f'10.77.0.{node + 1}'


def ipv6(node):
    return f'fd77:e57a:7e::{node + 1}'


class Port:
    def __init__(self, listener=None, connection=None):
        self.listener = listener
        self.connection = connection
        self.waiting = collections.deque()

    def sockets(self):
        return [s for s in (self.listener, self.connection) if s]


def listening_port(path):
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(path)
    listener.listen(1)
    return Port(listener=listener)


def paired_port():
    """A port, and the other end, for whoever shall have it."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    ours.setblocking(False)
    return Port(connection=ours), theirs


class Switch:
    def __init__(self, ports):
        self.ports = ports
        self.by_mac = {mac(i): port for i, port in enumerate(ports)}
        self.by_descriptor = {}
        self.epoll = select.epoll()
        self.buffer = bytearray(1 << 16)
        self.view = memoryview(self.buffer)

    def run(self):
        for port in self.ports:
            for s in port.sockets():
                self.watch(port, s)
        while True:
            for descriptor, events in self.epoll.poll():
                self.handle(descriptor, events)

    def watch(self, port, watched):
        self.by_descriptor[watched.fileno()] = port
        self.epoll.register(watched.fileno(), select.EPOLLIN)

    def handle(self, descriptor, events):
        port = self.by_descriptor.get(descriptor)
        if port is None:
            return
        if port.listener and descriptor == port.listener.fileno():
            self.accept(port)
            return
        if events & select.EPOLLOUT:
            self.send_waiting(port)
        if events & ~select.EPOLLOUT:
            self.forward_from(port)

    def accept(self, port):
        connection, _ = port.listener.accept()
        connection.setblocking(False)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
        self.disconnect(port)
        port.connection = connection
        self.watch(port, connection)

    def disconnect(self, port):
        if port.connection:
            self.epoll.unregister(port.connection.fileno())
            del self.by_descriptor[port.connection.fileno()]
            port.connection.close()
            port.connection = None
        port.waiting.clear()

    def forward_from(self, port):
        for _ in range(BURST):
            try:
                length = port.connection.recv_into(self.buffer)
            except BlockingIOError:
                return
            except OSError:
                length = 0
            if length == 0:
                self.disconnect(port)
                return
            self.forward(port, self.view[:length])

    def forward(self, source, frame):
        known = self.by_mac.get(bytes(frame[:6]))
        if known is not None:
            self.send(known, frame)
            return
        for port in self.ports:
            if port is not source:
                self.send(port, frame)

    def send(self, port, frame):
        if port.connection is None:
            return
        if port.waiting:
            if len(port.waiting) < QUEUE:
                port.waiting.append(bytes(frame))
            return
        # Another error than a full queue is that the node is gone: its frames are lost, as usual.
        with contextlib.suppress(OSError):
            try:
                port.connection.send(frame)
            except BlockingIOError:
                port.waiting.append(bytes(frame))
                self.epoll.modify(port.connection.fileno(), select.EPOLLIN | select.EPOLLOUT)

    def send_waiting(self, port):
        while port.waiting:
            try:
                port.connection.send(port.waiting[0])
            except BlockingIOError:
                return
            except OSError:
                port.waiting.clear()
                break
            port.waiting.popleft()
        self.epoll.modify(port.connection.fileno(), select.EPOLLIN)
