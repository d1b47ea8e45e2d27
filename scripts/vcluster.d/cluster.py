# SPDX-License-Identifier: BSD-3-Clause
"""The nodes of a cluster while they run: their output, what they ask for, their end."""

import contextlib
import ctypes
import os
import pathlib
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import time

import lan
from common import HERE, Failure, complain, say

LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1

POLL = 0.01  # seconds
CONSOLE_LINES = 60
GUEST_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
# Of the caller's environment, what makes no sense on another machine.
NOT_INHERITED = ('TMPDIR', 'TMP', 'TEMP', 'XDG_RUNTIME_DIR', 'HOSTNAME', 'OLDPWD')
# What a kernel says on its console before it kills a program, and what to do about it.
HINTS = {
    'UML ran out of memory on the host side': 'a program on the node has more memory than the host '
    'lets User Mode Linux map, page by page: on the host, "sysctl -w vm.max_map_count=1000000" '
    'allows for 4 GB',
    'Out of memory: Killed process': 'a node ran out of memory, see --memory',
}
# What udev makes on other machines.
DEVICE_LINKS = {'fd': '/proc/self/fd', 'stdin': 'fd/0', 'stdout': 'fd/1', 'stderr': 'fd/2'}
# Folders of the host that a node has its own of.
NOT_SHOWN = ('/dev', '/proc', '/sys', '/run')

TIMED_OUT = 124
FAILED = 125


class Tail:
    """Reads what is appended to a file."""

    def __init__(self, path):
        self.path = path
        self.file = None
        self.rest = []

    def lines(self):
        """New whole lines, in one piece; b'' if there is none."""
        data = self.read()
        whole, newline, rest = data.rpartition(b'\n')
        if not newline:
            self.rest += [data] if data else []
            return b''
        lines = b''.join((*self.rest, whole, newline))
        self.rest = [rest] if rest else []
        return lines

    def last_lines(self):
        """All that is left. A last line without its end gets one."""
        lines = self.lines()
        rest = b''.join(self.rest)
        self.rest = []
        return lines + (rest + b'\n' if rest else b'')

    def read(self):
        """What is there by now. There may be more of it all the time."""
        if self.file is None:
            try:
                self.file = open(self.path, 'rb', buffering=0)
            except FileNotFoundError:
                return b''
        return self.file.read(os.fstat(self.file.fileno()).st_size - self.file.tell())


class Node:
    def __init__(self, number, folder):
        self.number = number
        self.folder = folder
        self.process = None
        self.status = None  # of the command
        self.killed = False
        self.output = Tail(folder / 'output')
        self.requests = Tail(folder / 'requests')

    @property
    def ended(self):
        return self.killed or self.status is not None

    def answer(self, request_id, text):
        draft = self.folder / 'answers' / f'.{request_id}'
        draft.write_text(text + '\n', encoding='utf-8')
        draft.rename(self.folder / 'answers' / request_id)

    def kill(self):
        """At once, as a loss of power."""
        kill_group(self.process.pid)
        self.process.wait()
        (self.folder.parent / 'pids' / str(self.process.pid)).unlink(missing_ok=True)

    def console(self):
        try:
            text = (self.folder / 'console').read_text(encoding='utf-8', errors='replace')
        except FileNotFoundError:
            return ''
        return '\n'.join(text.splitlines()[-CONSOLE_LINES:])


class Cluster:
    def __init__(self, options, command, folder):
        self.count = options.nodes
        self.timeout = options.timeout
        self.command = command
        self.folder = folder
        self.shared = options.shared or str(folder / 'shared')
        self.nodes = []
        self.switch = None
        self.barriers = {}  # name: [(node, request), ...]
        self.result = 0

    # --- start -----------------------------------------------------------------------------------

    def start(self, engine):
        for name in ('pids', 'shared'):
            (self.folder / name).mkdir()
        ports, sockets = [], []
        for number in range(self.count):
            port = engine.port(number)
            if isinstance(port, tuple):
                port, theirs = port
                sockets.append(theirs)
            ports.append(port)
        self.start_switch(ports)
        for number in range(self.count):
            self.start_node(engine, number, sockets[number] if sockets else None)

    def start_switch(self, ports):
        self.switch = os.fork()
        if self.switch == 0:
            # Nothing of the launcher's may run here, at whatever end.
            try:
                enter_group(self.folder)()
                for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                    signal.signal(number, signal.SIG_DFL)
                lan.Switch(ports).run()
            finally:
                os._exit(1)
        for port in ports:
            for s in port.sockets():
                s.close()

    def start_node(self, engine, number, connection):
        folder = self.folder / f'node{number}'
        shutil.copytree(HERE / 'guest', folder)
        (folder / 'answers').mkdir()
        (folder / 'dev').mkdir()
        for name, target in DEVICE_LINKS.items():
            (folder / 'dev' / name).symlink_to(target)
        node = Node(number, folder)
        self.write_config(node, engine)
        if connection:
            arguments, environment, inherited = engine.command(number, folder, connection)
        else:
            arguments, environment, inherited = engine.command(number, folder)
        with open(folder / 'console', 'wb') as console:
            node.process = subprocess.Popen(
                arguments, env=environment, pass_fds=inherited, stdin=subprocess.DEVNULL,
                stdout=console, stderr=subprocess.STDOUT,
                preexec_fn=enter_group(self.folder, engine.cpu(number)))
        if connection:
            connection.close()
        self.nodes.append(node)

    def write_config(self, node, engine):
        """Variables for guest/node, as bash reads them."""
        numbers = range(self.count)
        values = {
            'engine': engine.name,
            'node': str(node.number),
            'ipv4': lan.ipv4(node.number),
            'ipv6': lan.ipv6(node.number),
            'mtu': str(lan.MTU),
            'working_folder': os.getcwd(),
            'shared': self.shared,
            'shown': shown_folders(self.command),
            'modules': '',
            'pmem': '',
            'environment': self.environment(node.number),
            'command': self.command,
            'hosts': [f'{address(i)} node{i}' for i in numbers for address in (lan.ipv4, lan.ipv6)],
            **engine.guest_config(),
        }
        with open(node.folder / 'config', 'w', encoding='utf-8',
                  errors='surrogateescape') as config:
            for name, value in values.items():
                if isinstance(value, str):
                    config.write(f'{name}={shlex.quote(value)}\n')
                else:
                    config.write(f'{name}=({" ".join(map(shlex.quote, value))})\n')

    def environment(self, number):
        values = {name: value for name, value in os.environ.items() if name not in NOT_INHERITED}
        values['PATH'] = f'/run/vcluster/bin:{values.get("PATH", "")}:{GUEST_PATH}'
        values['NODE'] = str(number)
        values['NODES'] = str(self.count)
        values['VCLUSTER_SHARED'] = self.shared
        for i in range(self.count):
            values[f'IP{i}'] = lan.ipv4(i)
            values[f'IP6_{i}'] = lan.ipv6(i)
        return [f'{name}={value}' for name, value in values.items()]

    # --- run -------------------------------------------------------------------------------------

    def run(self):
        """Until the command has ended on all nodes. The exit code is that of the first that failed.
        A node stays up after its command's end, as a machine would: its peers may have to talk to
        its kernel."""
        end = time.monotonic() + self.timeout if self.timeout else float('inf')
        while not all(node.ended for node in self.nodes):
            if time.monotonic() >= end:
                self.time_out()
                break
            if os.waitpid(self.switch, os.WNOHANG)[0]:
                raise Failure('the virtual LAN\'s switch died')
            time.sleep(POLL)
            for node in self.nodes:
                self.look_at(node)
        for node in self.nodes:
            if not node.killed:
                node.kill()
            self.show(node, node.output.last_lines())
        return self.result

    def look_at(self, node):
        if node.killed:
            return
        dead = node.process.poll() is not None
        self.show(node, node.output.lines())
        for line in node.requests.lines().split(b'\n')[:-1]:
            self.handle(node, *os.fsdecode(line).split(' '))
        if dead and not node.ended:
            self.show(node, node.output.last_lines())
            self.give_up(node, 'died')

    def show(self, node, lines):
        if not lines:
            return
        prefix = b'node%d| ' % node.number
        sys.stdout.buffer.write(b''.join(prefix + line + b'\n' for line in lines[:-1].split(b'\n')))
        sys.stdout.buffer.flush()

    def time_out(self):
        late = ', '.join(str(node.number) for node in self.nodes if not node.ended)
        complain(f'not finished after {self.timeout:g} s on node {late}')
        self.result = TIMED_OUT

    def handle(self, node, what, *arguments):
        if what == 'exit':
            self.note_end(node, int(arguments[0]))
        elif what == 'broken':
            self.give_up(node, ' '.join(arguments))
        elif what == 'barrier':
            name, request = arguments
            self.barriers.setdefault(name, []).append((node, request))
        elif what == 'kill':
            number, request = arguments
            self.kill(node, int(number), request)
        self.release_barriers()

    def give_up(self, node, reason):
        # Of what is only a consequence, the console is of no use.
        console = '' if self.result else f'; the end of its console:\n{node.console()}'
        complain(f'node {node.number} {reason}{console}')
        node.status = FAILED
        self.result = self.result or FAILED
        self.release_barriers()

    def note_end(self, node, status):
        node.status = status
        if status:
            complain(f'node {node.number}: {describe(status)}')
            for said, hint in HINTS.items():
                if said in node.console():
                    complain(f'node {node.number}: {hint}')
            self.result = self.result or status
        self.release_barriers()

    def kill(self, node, number, request):
        if number >= self.count:
            node.answer(request, f'1 there is no node {number}')
            return
        victim = self.nodes[number]
        if not victim.killed:
            victim.kill()
            victim.killed = True
            self.show(victim, victim.output.last_lines())
            say(f'node {number} was killed by node {node.number}')
        if victim is not node:
            node.answer(request, '0')

    def release_barriers(self):
        missing_for_ever = [node for node in self.nodes if node.ended and not node.killed]
        expected = {node.number for node in self.nodes if not node.killed}
        for name, waiting in list(self.barriers.items()):
            waiting = [(node, request) for node, request in waiting if not node.ended]
            there = {node.number for node, _ in waiting}
            if there == expected:
                text = '0'
            elif missing_for_ever:
                text = f'1 "{name}" is in vain, node {missing_for_ever[0].number} has ended'
            else:
                self.barriers[name] = waiting
                continue
            del self.barriers[name]
            for node, request in waiting:
                node.answer(request, text)


def describe(status):
    if status > 128:
        with contextlib.suppress(ValueError):
            return f'the command was ended by {signal.Signals(status - 128).name}'
    return f'the command ended with status {status}'


def shown_folders(command):
    """A node has a /tmp of its own. What the command needs of the host's shows through: the folders
    that the working folder, these scripts, and the arguments lie in."""
    working_folder = os.getcwd()
    for folder in NOT_SHOWN:
        if is_below(working_folder, folder):
            raise Failure(f'nodes do not see the host\'s {folder}, so the working folder cannot '
                          f'be {working_folder}')
    paths = [working_folder, str(HERE), *command]
    paths += [os.path.realpath(path) for path in paths]
    return sorted({'/tmp/' + path.split('/')[2] for path in paths
                   if path.startswith('/tmp/') and path.split('/')[2] not in ('', '.', '..')})


def is_below(path, folder):
    return path == folder or path.startswith(folder + '/')


# --- processes and their end -------------------------------------------------------------------

def enter_group(folder, cpus=None):
    """What a child process does first: it gets a process group of its own, is noted for
    end_processes(), and dies with the launcher."""
    def enter():
        os.setsid()
        (folder / 'pids' / str(os.getpid())).touch()
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if cpus:
            os.sched_setaffinity(0, cpus)
        _, limit = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    return enter


def kill_group(process):
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process, signal.SIGKILL)


def end_processes(folder):
    """All that was started and not waited for."""
    with contextlib.suppress(FileNotFoundError):
        for name in os.listdir(folder / 'pids'):
            kill_group(int(name))


def clean_up(folder):
    end_processes(folder)
    shutil.rmtree(folder, ignore_errors=True)


def start_janitor(folder):
    """A process that cleans up when the launcher ends, however that happens: it may be killed."""
    theirs, ours = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.close(ours)
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
            for descriptor in (0, 1, 2):
                os.close(descriptor)
            os.read(theirs, 1)
            with contextlib.suppress(BaseException):
                clean_up(pathlib.Path(folder))
        os._exit(0)
    os.wait()
    os.close(theirs)
    return ours
