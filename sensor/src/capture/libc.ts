/** The system calls of a packet socket, through libc by `koffi`. Constants are those of Linux. */

import { createRequire } from 'node:module';
import { CaptureError } from './engine.js';

type Koffi = typeof import('koffi');

/** Answers are those of libc: -1 is an error, whose number `errno` then gives. */
export interface Libc {
  socket(domain: number, type: number, protocol: number): number;
  bind(descriptor: number, address: Uint8Array, length: number): number;
  close(descriptor: number): number;
  poll(descriptors: Int32Array, count: number, timeoutMs: number): number;
  setsockopt(
    descriptor: number,
    level: number,
    option: number,
    value: Uint32Array | Int32Array,
    length: number,
  ): number;
  getsockopt(
    descriptor: number,
    level: number,
    option: number,
    value: Uint32Array,
    length: Uint32Array,
  ): number;
  /** setsockopt of an option that takes a struct sock_fprog; `instructions` are struct sock_filter. */
  setProgram(
    descriptor: number,
    level: number,
    option: number,
    instructions: Uint8Array,
    count: number,
  ): number;
  mmap(
    address: null,
    length: number,
    protection: number,
    flags: number,
    descriptor: number,
    offset: number,
  ): unknown;
  munmap(address: unknown, length: number): number;
  /** What mmap mapped; not to be touched after munmap. */
  view(address: unknown, length: number): ArrayBuffer;
  isMapFailed(address: unknown): boolean;
  errno(): number;
}

export const SocketLevel = { SOCKET: 1, PACKET: 263 } as const;
export const SO_ERROR = 4;
export const SO_ATTACH_FILTER = 26;

export const Errno = {
  EPERM: 1,
  EINTR: 4,
  ENXIO: 6,
  ENOMEM: 12,
  EACCES: 13,
  ENODEV: 19,
  ENOPROTOOPT: 92,
  EAFNOSUPPORT: 97,
  ENETDOWN: 100,
} as const;

let loaded: Libc | undefined;

/** Loads the functions, once. Throws `NOT_SUPPORTED` where there are none. */
export function loadLibc(): Libc {
  loaded ??= bindLibc();
  return loaded;
}

function bindLibc(): Libc {
  if (process.platform !== 'linux') {
    throw new CaptureError(
      'NOT_SUPPORTED',
      `packet sockets are of Linux, not of ${process.platform}; use the engine 'cap'`,
    );
  }
  let koffi: Koffi;
  try {
    koffi = createRequire(import.meta.url)('koffi');
  } catch (cause) {
    throw new CaptureError(
      'NOT_SUPPORTED',
      `the package 'koffi' does not run on ${process.platform} ${process.arch}; use the engine 'cap'`,
      { cause },
    );
  }
  const library = koffi.load(null);
  const program = koffi.struct({ len: 'uint16_t', filter: 'void *' });
  const setProgram = library.func('setsockopt', 'int', [
    'int',
    'int',
    'int',
    koffi.pointer(program),
    'uint32_t',
  ]);
  const programBytes = koffi.sizeof(program);
  return {
    socket: library.func('int socket(int domain, int type, int protocol)'),
    bind: library.func('int bind(int descriptor, const void *address, uint32_t length)'),
    close: library.func('int close(int descriptor)'),
    poll: library.func('int poll(_Inout_ void *descriptors, unsigned long count, int timeout)'),
    setsockopt: library.func(
      'int setsockopt(int descriptor, int level, int option, const void *value, uint32_t length)',
    ),
    getsockopt: library.func(
      'int getsockopt(int descriptor, int level, int option, _Out_ void *value, _Inout_ void *length)',
    ),
    setProgram: (descriptor, level, option, filter, len) =>
      setProgram(descriptor, level, option, { len, filter }, programBytes),
    mmap: library.func(
      'void *mmap(void *address, size_t length, int protection, int flags, int descriptor, long offset)',
    ),
    munmap: library.func('int munmap(void *address, size_t length)'),
    view: (address, length) => koffi.view(address, length),
    // MAP_FAILED is (void *) -1.
    isMapFailed: (address) => BigInt.asIntN(64, koffi.address(address)) === -1n,
    errno: () => koffi.errno(),
  };
}
