# SPDX-License-Identifier: BSD-3-Clause
"""User Mode Linux: a kernel that is a program. Built once, from Debian's kernel source; it runs
without any privileges, and programs in it at the speed of the host's CPU, one for each node."""

import contextlib
import hashlib
import os
import shutil

import lan
from common import HERE, Failure, cache_folder, install, installed_version, locked, run_logged, say

NAME = 'uml'
CPUS = 1
MEMORY = 512
SOURCE_PACKAGE = 'linux-source-6.1'
SOURCE = '/usr/src/linux-source-6.1.tar.xz'
CONFIG = HERE / 'uml.config'


def prepare(renew=False):
    """The kernel's path. It is built if it is not there, or with renew=True if what is there is of
    another version than the installed source."""
    version = installed_version(SOURCE_PACKAGE)
    kernel = kept_kernel(version if renew else None)
    if kernel:
        return kernel
    with locked(NAME):
        install('uml')
        version = installed_version(SOURCE_PACKAGE)
        if version is None and not os.path.exists(SOURCE):
            raise Failure(f'the kernel is built from {SOURCE}, of Debian\'s {SOURCE_PACKAGE}')
        return kept_kernel(version or 'unknown') or build(version or 'unknown')


def config_hash():
    return hashlib.sha256(CONFIG.read_bytes()).hexdigest()[:12]


def kernel_path(version):
    return cache_folder() / f'uml-{version}-{config_hash()}'


def kept_kernel(version):
    """The kernel of this version, or the newest of any version."""
    if version:
        kernel = kernel_path(version)
        return kernel if kernel.exists() else None
    return max(cache_folder().glob(f'uml-*-{config_hash()}'), default=None,
               key=lambda kernel: kernel.stat().st_mtime)


def build(version):
    kernel = kernel_path(version)
    log = cache_folder() / 'uml-build.log'
    folder = cache_folder() / 'uml-build'
    log.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    say(f'building the User Mode Linux kernel, which is done once and takes some minutes '
        f'(the log is {log})')
    try:
        build_in(folder, log)
        # Stripped, and there all at once or not at all.
        run_logged(['strip', '-o', folder / 'stripped', folder / 'linux'], log)
        os.rename(folder / 'stripped', kernel)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    say(f'the kernel is {kernel}')
    return kernel


def build_in(folder, log):
    source = folder / 'source'
    source.mkdir()
    run_logged(['tar', '-xf', SOURCE, '-C', source, '--strip-components=1'], log)
    # The build shall not slow down what people are doing meanwhile.
    make = ['nice', '-n', '10', 'make', '-C', source, 'ARCH=um', f'O={folder}',
            f'-j{len(os.sched_getaffinity(0))}']
    environment = {name: value for name, value in os.environ.items()
                   if name not in ('MAKEFLAGS', 'MFLAGS', 'ARCH', 'CFLAGS', 'CROSS_COMPILE')}
    run_logged([*make, 'tinyconfig'], log, env=environment)
    with open(folder / '.config', 'ab') as config:
        config.write(CONFIG.read_bytes())
    run_logged([*make, 'olddefconfig'], log, env=environment)
    check_config((folder / '.config').read_text().splitlines())
    run_logged([*make, 'linux'], log, env=environment,
               progress=lambda: f'{compiled(log)} files compiled, of about 900')


def check_config(config):
    """An option that the kernel's configuration drops for want of another, it drops silently."""
    wanted = [line for line in CONFIG.read_text().splitlines() if line.startswith('CONFIG_')]
    missing = [line for line in wanted if line not in config]
    if missing:
        raise Failure(f'this kernel source does not take from {CONFIG}: {" ".join(missing)}')


def compiled(log):
    with open(log, encoding='utf-8', errors='replace') as lines:
        return sum(line.startswith('  CC ') for line in lines)


class Engine:
    """Starts nodes as User Mode Linux processes."""

    name = NAME

    def __init__(self, options, folder):
        if options.cpus not in (None, CPUS):
            raise Failure('a node of User Mode Linux has one CPU; --engine qemu can have more')
        if options.pmem:
            raise Failure('a node of User Mode Linux has no persistent memory; one of '
                          '--engine qemu can have it')
        self.kernel = prepare()
        self.memory = options.memory or MEMORY
        self.nodes = options.nodes
        self.folder = folder
        self.cpus = sorted(os.sched_getaffinity(0))
        (folder / 'lan').mkdir()

    def guest_config(self):
        return {}

    def port(self, node):
        return lan.listening_port(str(self.folder / 'lan' / str(node)))

    def command(self, node, folder):
        """Arguments, environment, and descriptors to inherit."""
        arguments = [
            self.kernel, f'umid=node{node}', f'uml_dir={self.folder}/umid', f'mem={self.memory}M',
            'rootfstype=hostfs', 'rootflags=/', 'ro', f'init={folder}/boot-uml',
            'quiet', 'loglevel=4', 'panic=-1', 'oops=panic', 'dummy.numdummies=0',
            'con=null', 'con0=null,fd:1', 'ssl=null',
            # The frames' length is the device's: there is no other way to have more than 1500.
            f'vec0:transport=bess,dst={self.folder}/lan/{node},mac={lan.mac_text(node)},'
            f'mtu={lan.MTU},depth=64,gro=0',
        ]
        # The C library's restartable sequences are in the way of the kernel's own threads.
        environment = {'PATH': os.environ.get('PATH', '/usr/bin:/bin'),
                       'TMPDIR': self.memory_folder(),
                       'GLIBC_TUNABLES': 'glibc.pthread.rseq=0'}
        return arguments, environment, ()

    def memory_folder(self):
        """Where the file lies that is the node's memory (it has no name). A container's /dev/shm
        may be tiny."""
        with contextlib.suppress(OSError):
            if shutil.disk_usage('/dev/shm').free > self.nodes * self.memory << 20:
                return '/dev/shm'
        return str(self.folder)

    def cpu(self, node):
        """Each node stays on one CPU: it is a single thread, and its memory is warm there."""
        return {self.cpus[node % len(self.cpus)]}
