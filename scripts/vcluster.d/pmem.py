# SPDX-License-Identifier: BSD-3-Clause
"""Persistent memory of QEMU's nodes. Each has two NVDIMMs, whose content is two files of the host's.
They are made here, one with a file system and one as a DAX device, so that a node takes what is
there as it is: it may be what a loss of power left."""

import os
import pathlib

from common import Failure, cache_folder, lock, quoted, run_logged, tool

# What an NVDIMM may have for its user, in MB: a file system with its journal, and whole huge pages.
LEAST = 16
HUGE_PAGE = 2
KINDS = ('fsdax', 'devdax')
# Modules, in the order to load them in. It is nfit that finds NVDIMMs, and this takes some time.
MODULES = ('nd_pmem', 'dax_pmem', 'device_dax', 'nfit', 'ext4')


class Images:
    """The files of all nodes' NVDIMMs, in a folder that is kept, or the run's."""

    def __init__(self, size, kept, folder):
        self.size = size
        self.folder = pathlib.Path(kept or folder)
        # Nodes inherit it: who gets the lock knows that they are gone.
        try:
            self.lock = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise Failure(f'cannot open {self.folder}: {error.strerror}') from None
        lock(self.lock, f'has persistent memory in {self.folder}')

    def memory_options(self, memory):
        """What "-m" says after the node's other memory, in MB."""
        return f',slots={len(KINDS)},maxmem={memory + len(KINDS) * self.file_size()}M'

    def device_options(self, node):
        options = []
        for kind in KINDS:
            options += ['-object', f'memory-backend-file,id={kind},share=on,pmem=off,'
                                   f'align={HUGE_PAGE}M,size={self.file_size()}M,'
                                   f'mem-path={quoted(self.image(node, kind))}',
                        '-device', f'nvdimm,memdev={kind}']
        return options

    def file_size(self):
        """An NVDIMM begins with a huge page that says what it is."""
        return self.size + HUGE_PAGE

    def image(self, node, kind):
        path = self.folder / f'node{node}.{kind}'
        try:
            if not path.exists():
                self.make(path, kind)
            size = path.stat().st_size >> 20
        except OSError as error:
            raise Failure(f'cannot make {path}: {error.strerror}') from None
        if size != self.file_size():
            raise Failure(f'{path} is of a run with {size - HUGE_PAGE} MB of persistent memory for '
                          f'each node, not {self.size}')
        return path

    def make(self, path, kind):
        """There it is as a whole, or not at all."""
        draft = path.with_name(f'{path.name}.new')
        log = cache_folder() / 'pmem.log'
        with open(draft, 'wb') as file:
            file.truncate(self.file_size() << 20)
        run_logged([tool('ndctl', 'qemu'), 'write-infoblock', '--mode', kind, '--map', 'mem',
                    '--align', f'{HUGE_PAGE}M', '--output', draft], log)
        if kind == 'fsdax':
            run_logged([tool('mkfs.ext4', 'qemu'), '-q', '-b', '4096', '-E',
                        f'offset={HUGE_PAGE << 20},nodiscard,assume_storage_prezeroed=1', draft,
                        str(self.size << 8)], log)
        draft.rename(path)
