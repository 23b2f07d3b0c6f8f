/** Most capture threads: each has a ring and a heap of its own, and the kernel's fan-out groups end at 256. */
export const MAX_WORKERS = 64;
