# SPDX-License-Identifier: BSD-3-Clause
"""What the parts of scripts/vcluster share."""

import contextlib
import fcntl
import os
import pathlib
import shutil
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
INSTALL_DEPS = HERE.parent / 'install-deps'


class Failure(Exception):
    """Something that vcluster itself cannot do. The text is for its user."""


class Messages:
    quiet = False


def say(text):
    """Progress, for people."""
    if not Messages.quiet:
        complain(text)


def complain(text):
    """What --quiet does not silence."""
    with contextlib.suppress(OSError):
        print('vcluster:', text, file=sys.stderr, flush=True)


def cache_folder():
    """Where kernels are kept. It may be deleted at any time."""
    base = os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache')
    folder = pathlib.Path(base).absolute() / 'estate' / 'vcluster'
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Failure(f'cannot make the cache folder {folder}: {error.strerror}; '
                      'set XDG_CACHE_HOME to another place') from None
    return folder


@contextlib.contextmanager
def locked(name):
    """Two that need the same kernel at the same time build it once."""
    with open(cache_folder() / f'{name}.lock', 'w', encoding='ascii') as file:
        lock(file, f'prepares {name}')
        yield


def lock(file, purpose):
    """Until the last descriptor of it is closed, in whichever process."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say(f'waiting for another vcluster that {purpose}')
        fcntl.flock(file, fcntl.LOCK_EX)


def installed_version(package):
    """The version of a Debian package, or None if it is not installed."""
    try:
        query = subprocess.run(['dpkg-query', '--show', '--showformat',
                                '${db:Status-Status} ${Version}', package],
                               capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    status, _, version = query.stdout.partition(' ')
    return version if query.returncode == 0 and status == 'installed' else None


def install(profile):
    """The packages of a profile of scripts/install-deps, which says what it installs."""
    if subprocess.run([INSTALL_DEPS, profile], check=False).returncode:
        raise Failure(f'cannot install what it takes: scripts/install-deps {profile}')


def tool(name, profile=None):
    """A program's path, also where only root looks for it. The profile is what it comes with, if it
    is not sure to be there."""
    places = f'{os.environ.get("PATH", "")}:/usr/sbin:/sbin'
    path = shutil.which(name, path=places)
    if not path and profile:
        install(profile)
        path = shutil.which(name, path=places)
    if not path:
        raise Failure(f'there is no {name}')
    return path


def quoted(path):
    """In QEMU's options a comma ends a value, but two are one."""
    return str(path).replace(',', ',,')


def run_logged(command, log, progress=None, **options):
    """Run a long command. Its output goes to a log, which is named if it fails. progress() gives
    a text that is shown from time to time."""
    with open(log, 'ab') as output:
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output,
                              stderr=subprocess.STDOUT, start_new_session=True,
                              **options) as process:
            try:
                await_with_progress(process, progress)
            except BaseException:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, 9)
                raise
    if process.returncode:
        raise Failure(f'"{command[0]}" failed, see the end of {log}')


def await_with_progress(process, progress):
    start = time.monotonic()
    while True:
        try:
            process.wait(30)
            return
        except subprocess.TimeoutExpired:
            if progress:
                elapsed = int(time.monotonic() - start)
                say(f'{elapsed // 60}:{elapsed % 60:02} {progress()}')
