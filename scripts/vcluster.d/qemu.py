# SPDX-License-Identifier: BSD-3-Clause
"""QEMU, with Debian's stock kernel, which is unpacked and not installed. Fast with KVM; without it,
programs take many times as long, but everything works that works on a real machine."""

import hashlib
import lzma
import os
import pathlib
import platform
import re
import shutil
import subprocess

import lan
import pmem
from common import HERE, Failure, cache_folder, install, locked, quoted, run_logged, say, tool

NAME = 'qemu'
CPUS = 2
MEMORY = 1024
PROGRAM = 'qemu-system-x86_64'
META_PACKAGE = 'linux-image-amd64'
BOOT = HERE / 'guest' / 'boot-qemu'
# What it takes to see the host's files, and what every node wants. The kernel loads more by itself.
EARLY_MODULES = ('virtio_pci', '9pnet_virtio', '9p', 'overlay', 'virtio_net', 'crc32_generic',
                 'rdma_rxe', 'rdma_ucm')
APPLETS = ('sh', 'mount', 'mkdir', 'insmod', 'switch_root')
# Short of a firmware, and of what costs time when the CPU is an emulated one.
KERNEL_OPTIONS = ('console=ttyS0 quiet loglevel=4 panic=-1 oops=panic mitigations=off nokaslr '
                  'random.trust_cpu=on cryptomgr.notests tsc=reliable no_timer_check '
                  'rcupdate.rcu_expedited=1')
KVM_TRIAL = 10  # seconds


def prepare(renew=False):
    """The folder of the kernel. With renew=True, the newest that apt knows."""
    folder = kept_folder()
    if folder and not renew:
        return folder
    if platform.machine() != 'x86_64':
        raise Failure(f'there is no QEMU engine for {platform.machine()}')
    with locked(NAME):
        install('qemu')
        package, version = newest_kernel()
        folder = cache_folder() / f'qemu-{package.removeprefix("linux-image-")}_{version}'
        if not folder.exists():
            unpack(package, folder)
    return folder


def kept_folder():
    return max(cache_folder().glob('qemu-*_*'), default=None,
               key=lambda folder: folder.stat().st_mtime)


def newest_kernel():
    """The kernel package that apt would install, and its version."""
    depends = apt('apt-cache', 'depends', META_PACKAGE)
    package = re.search(r'Depends: (linux-image-\S+)', depends)
    if not package:
        raise Failure(f'apt knows no {META_PACKAGE}; does it help to run "apt-get update"?')
    show = apt('apt-cache', 'show', '--no-all-versions', package[1])
    return package[1], re.search(r'^Version: (\S+)', show, re.MULTILINE)[1]


def apt(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False,
                              env={**os.environ, 'LC_ALL': 'C'}).stdout
    except FileNotFoundError:
        raise Failure(f'there is no {command[0]}: the kernel comes from Debian') from None


def unpack(package, folder):
    log = cache_folder() / 'qemu-unpack.log'
    draft = cache_folder() / 'qemu-unpack'
    log.unlink(missing_ok=True)
    shutil.rmtree(draft, ignore_errors=True)
    (draft / 'package').mkdir(parents=True)
    say(f'unpacking {package}, which is done once (the log is {log})')
    try:
        run_logged(['apt-get', 'download', package], log, cwd=draft)
        run_logged(['dpkg-deb', '--extract', *draft.glob('*.deb'), draft / 'package'], log)
        kernel, = (draft / 'package' / 'boot').glob('vmlinuz-*')
        release = kernel.name.removeprefix('vmlinuz-')
        (draft / 'vmlinux').write_bytes(uncompressed(kernel))
        # "lib" is the name that modprobe and depmod look for.
        (draft / 'package' / 'lib').rename(draft / 'lib')
        run_logged([tool('depmod'), '-b', draft, release], log)
        shutil.rmtree(draft / 'package')
        for archive in draft.glob('*.deb'):
            archive.unlink()
        draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def uncompressed(kernel):
    """The ELF file within, which starts seconds sooner where the CPU is an emulated one."""
    image = kernel.read_bytes()
    start = image.find(b'\xfd7zXZ\0')
    if start >= 0:
        inner = lzma.LZMADecompressor().decompress(image[start:])
        if inner.startswith(b'\x7fELF'):
            return inner
    return image


# --- the first root -------------------------------------------------------------------------------

def initrd(folder, release, modules):
    """A file with busybox, the modules, and boot-qemu. Made anew if one of these changes."""
    content = BOOT.read_bytes() + repr((modules, APPLETS)).encode()
    path = folder / f'initrd-{hashlib.sha256(content).hexdigest()[:12]}'
    if not path.exists():
        with locked(NAME):
            make_initrd(folder, release, modules, path)
    return path


def make_initrd(folder, release, modules, path):
    log = cache_folder() / 'qemu-initrd.log'
    draft = folder / 'initrd'
    shutil.rmtree(draft, ignore_errors=True)
    for name in ('bin', 'modules', 'host', 'changes', 'root'):
        (draft / name).mkdir(parents=True)
    shutil.copy(tool('busybox'), draft / 'bin' / 'busybox')
    for name in APPLETS:
        (draft / 'bin' / name).symlink_to('busybox')
    # Their names are in the order to load them in.
    for number, module in enumerate(load_order(folder, release, modules)):
        shutil.copy(module, draft / 'modules' / f'{number:02}-{module.name}')
    shutil.copy(BOOT, draft / 'init')
    run_logged(['sh', '-c', 'find . | cpio --quiet --create --format=newc >../initrd.new'], log,
               cwd=draft)
    shutil.rmtree(draft)
    (folder / 'initrd.new').rename(path)


def load_order(folder, release, modules):
    """Module files, each after those that it needs."""
    order = {}
    for module in modules:
        # No configuration of the host's: it is for another machine.
        shown = subprocess.run([tool('modprobe'), '--config', '/dev/null', '--dirname', folder,
                                '--set-version', release, '--show-depends', module],
                               capture_output=True, text=True, check=False)
        if shown.returncode:
            raise Failure(f'modprobe does not find {module}: {shown.stderr.strip()}')
        for line in shown.stdout.splitlines():
            if line.startswith('insmod '):
                order[pathlib.Path(line.split()[1])] = True
    return list(order)


# --- KVM ------------------------------------------------------------------------------------------

def kvm_works(kernel):
    """Whether the kernel starts with KVM: that there is /dev/kvm does not mean so. What came of it
    is kept until the host is booted again."""
    if not os.access('/dev/kvm', os.R_OK | os.W_OK):
        return False
    note = cache_folder() / 'kvm'
    boot = pathlib.Path('/proc/sys/kernel/random/boot_id').read_text(encoding='ascii').strip()
    known = note.read_text(encoding='ascii').split() if note.exists() else []
    if known[:1] != [boot]:
        known = [boot, 'yes' if kvm_starts(kernel) else 'no']
        note.write_text(' '.join(known), encoding='ascii')
        if known[1] == 'no':
            say('/dev/kvm does not work for the kernel: the CPU is emulated, which is slow')
    return known[1] == 'yes'


def kvm_starts(kernel):
    """Without a root the kernel panics, which ends QEMU with status 0."""
    command = [PROGRAM, '-accel', 'kvm', '-cpu', 'max', '-m', '256', '-nodefaults',
               '-no-user-config', '-display', 'none', '-no-reboot', '-kernel', kernel,
               '-append', 'console=ttyS0 panic=-1', '-serial', 'stdio']
    try:
        trial = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False,
                               timeout=KVM_TRIAL)
    except subprocess.TimeoutExpired:
        return False
    return trial.returncode == 0 and b'Linux version' in trial.stdout


# --- nodes ----------------------------------------------------------------------------------------

class Engine:
    """Starts nodes as QEMU processes."""

    name = NAME

    def __init__(self, options, folder):
        kernel_folder = prepare()
        if not shutil.which(PROGRAM):
            install(NAME)
        self.cpus = options.cpus or CPUS
        self.memory = options.memory or MEMORY
        self.shared = options.shared or folder / 'shared'
        self.kernel = kernel_folder / 'vmlinux'
        self.modules, = (kernel_folder / 'lib' / 'modules').iterdir()
        self.pmem = pmem.Images(*options.pmem, folder) if options.pmem else None
        self.initrd = initrd(kernel_folder, self.modules.name,
                             EARLY_MODULES + (pmem.MODULES if self.pmem else ()))
        self.accelerator = 'kvm' if kvm_works(self.kernel) else 'tcg,thread=multi'

    def guest_config(self):
        return {'modules': str(self.modules), 'pmem': 'yes' if self.pmem else ''}

    def port(self, _node):
        return lan.paired_port()

    def command(self, node, folder, connection):
        """Arguments, environment, and descriptors to inherit."""
        inherited = (connection.fileno(),)
        machine, memory, nvdimms = 'pc', str(self.memory), []
        if self.pmem:
            inherited += (self.pmem.lock,)
            machine += ',nvdimm=on,nvdimm-persistence=mem-ctrl'
            memory += self.pmem.memory_options(self.memory)
            nvdimms = self.pmem.device_options(node)
        arguments = [
            PROGRAM, '-accel', self.accelerator, '-cpu', 'max', '-M', machine, '-m', memory,
            '-smp', str(self.cpus), '-nodefaults', '-no-user-config', '-display', 'none',
            '-no-reboot', '-kernel', self.kernel, '-initrd', self.initrd,
            '-append', KERNEL_OPTIONS, '-serial', f'file:{folder}/console',
            '-netdev', f'socket,id=lan,fd={connection.fileno()}',
            '-device', f'virtio-net-pci,netdev=lan,mac={lan.mac_text(node)},romfile=,'
                       'csum=off,guest_csum=off,gso=off',
            *nvdimms,
            *shared_folder('host', '/', 'readonly=on,'),
            *shared_folder('vcluster', folder),
            *shared_folder('shared', self.shared),
        ]
        return arguments, dict(os.environ), inherited

    def cpu(self, _node):
        return None


def shared_folder(tag, path, options=''):
    return ('-fsdev', f'local,id={tag},path={quoted(path)},{options}security_model=none,'
                      'multidevs=remap',
            '-device', f'virtio-9p-pci,fsdev={tag},mount_tag={tag}')
