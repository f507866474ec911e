/*
 * A disk that fails, for one process: loaded with LD_PRELOAD, it stands between a node and the C library and lets
 * calls fail, be cut short, take long or hang while a rule says so. Only files below SHIM_FOLDER are concerned. RocksDB
 * and the write log pass here; calls that Go makes by itself do not.
 *
 * The rule is in the file SHIM_CONTROL, which is mapped into memory: whoever writes that file (shim.go in
 * bench/cluster, which has the same layout) begins and ends a fault at a moment of its choice. What the process that
 * replaces this one by exec loads finds the same rule.
 *
 * Beside the rule the file has a table of how much of each file has been synced. Who kills the process and then cuts
 * each file back to that has made a power loss. A file whose sync was failed by a rule never counts as synced further:
 * the kernel may have dropped what it could not write (fsync(2); Rebello et al., "Can Applications Recover from fsync
 * Failures?", ATC 2020).
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#undef fread_unlocked

enum { OP_READ = 1, OP_WRITE = 2, OP_SYNC = 4, OP_OPEN = 8, OP_ALLOCATE = 16, OP_RENAME = 32 };
enum { FILE_LOG = 1, FILE_TABLE = 2, FILE_MANIFEST = 4, FILE_CURRENT = 8, FILE_OPTIONS = 16, FILE_OTHER = 32 };
enum { ACTION_FAIL = 1, ACTION_SHORT = 2, ACTION_SLOW = 3, ACTION_HANG = 4 };
enum { TABLE = 8192, HANDLES = 65536, POISON = 1 };

struct entry {
  uint64_t inode, synced, poison;
};

/* All words are of 64 bits, in the machine's order. ops is written last when a fault begins, and first when it ends. */
struct control {
  uint64_t ops, files, action, error, micros, every, most, calls, hits, folder, spare[6];
  struct entry table[TABLE];
};

static struct control *control;
static const char *folder;
static uint8_t kinds[HANDLES];  /* of the file behind a handle; 0 if it is not concerned */
static uint8_t broken[HANDLES]; /* the next write of this handle fails: the one before was cut short */
static uint8_t synced[HANDLES]; /* each write of this handle is synced when it returns (O_DSYNC) */

__attribute__((constructor)) static void attach(void) {
  const char *path = getenv("SHIM_CONTROL");
  folder = getenv("SHIM_FOLDER");
  if (!path || !folder) return;
  int fd = open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0) return;
  void *map = mmap(NULL, sizeof(struct control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  if (map != MAP_FAILED) {
    control = map;
    __atomic_fetch_add(&control->folder, 1, __ATOMIC_SEQ_CST); /* how many processes have loaded it */
  }
}

static int kindOf(const char *path) {
  size_t n = strlen(folder);
  if (strncmp(path, folder, n) != 0 || (path[n] != '/' && path[n] != 0)) return 0;
  const char *name = strrchr(path, '/') + 1;
  size_t length = strlen(name);
  if (length > 4 && strcmp(name + length - 4, ".wal") == 0) return FILE_LOG;
  if (length > 4 && strcmp(name + length - 4, ".sst") == 0) return FILE_TABLE;
  if (strncmp(name, "MANIFEST-", 9) == 0) return FILE_MANIFEST;
  if (strcmp(name, "CURRENT") == 0) return FILE_CURRENT;
  if (strncmp(name, "OPTIONS-", 8) == 0) return FILE_OPTIONS;
  return FILE_OTHER;
}

static int kindAt(int fd) { return control && fd >= 0 && fd < HANDLES ? kinds[fd] : 0; }

/* What to do with a call: 0 nothing, else the action. Slow and hanging calls have waited here, and then go on. */
static int strike(int op, int kind) {
  if (!control || !kind) return 0;
  if (!(__atomic_load_n(&control->ops, __ATOMIC_SEQ_CST) & op) || !(control->files & kind)) return 0;
  uint64_t call = __atomic_fetch_add(&control->calls, 1, __ATOMIC_SEQ_CST), every = control->every;
  if (every > 1 && call % every != every - 1) return 0;
  if (control->most && __atomic_load_n(&control->hits, __ATOMIC_SEQ_CST) >= control->most) return 0;
  __atomic_fetch_add(&control->hits, 1, __ATOMIC_SEQ_CST);
  struct timespec pause = {control->micros / 1000000, (control->micros % 1000000) * 1000};
  switch (control->action) {
    case ACTION_SLOW:
      nanosleep(&pause, NULL);
      return 0;
    case ACTION_HANG:
      pause.tv_sec = 0, pause.tv_nsec = 2000000;
      while ((__atomic_load_n(&control->ops, __ATOMIC_SEQ_CST) & op) && control->action == ACTION_HANG)
        nanosleep(&pause, NULL);
      return 0;
  }
  if (control->action == ACTION_FAIL) errno = (int)control->error;
  return (int)control->action;
}

/* The place of a file in the table, made if it is not there; NULL if the table is full. */
static struct entry *entryOf(uint64_t inode) {
  for (uint64_t i = 0; i < TABLE; i++) {
    struct entry *e = &control->table[(inode + i) % TABLE];
    uint64_t found = __atomic_load_n(&e->inode, __ATOMIC_SEQ_CST);
    if (found == 0 && __atomic_compare_exchange_n(&e->inode, &found, inode, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
      return e;
    if (found == inode) return e;
  }
  return NULL;
}

static void opened(int fd, int kind, int flags) {
  if (fd < 0 || fd >= HANDLES) return;
  kinds[fd] = (uint8_t)kind, broken[fd] = 0, synced[fd] = (flags & O_DSYNC) != 0;
  struct stat now;
  /* a new file, maybe with the inode of one that is gone */
  if (kind && fstat(fd, &now) == 0 && S_ISREG(now.st_mode) && now.st_size == 0) {
    struct entry *e = entryOf(now.st_ino);
    if (e) e->synced = 0, e->poison = 0;
  }
}

#define NEXT(type, name, ...) \
  static type (*next)(__VA_ARGS__); \
  if (!next) next = (type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

static int openAny(const char *path, int flags, mode_t mode, int (*next)(const char *, int, ...)) {
  int kind = control ? kindOf(path) : 0;
  if (strike(OP_OPEN, kind)) return -1;
  if ((flags & O_CREAT) && strike(OP_ALLOCATE, kind)) return -1;
  int fd = next(path, flags, mode);
  if (control) opened(fd, kind, flags);
  return fd;
}

static mode_t modeOf(int flags, va_list more) { return flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0; }

int open(const char *path, int flags, ...) {
  NEXT(int, "open", const char *, int, ...);
  va_list more;
  va_start(more, flags);
  mode_t mode = modeOf(flags, more);
  va_end(more);
  return openAny(path, flags, mode, next);
}

int open64(const char *path, int flags, ...) {
  NEXT(int, "open64", const char *, int, ...);
  va_list more;
  va_start(more, flags);
  mode_t mode = modeOf(flags, more);
  va_end(more);
  return openAny(path, flags, mode, next);
}

int openat(int at, const char *path, int flags, ...) {
  NEXT(int, "openat", int, const char *, int, ...);
  va_list more;
  va_start(more, flags);
  mode_t mode = modeOf(flags, more);
  va_end(more);
  int kind = control && path[0] == '/' ? kindOf(path) : 0;
  if (strike(OP_OPEN, kind) || ((flags & O_CREAT) && strike(OP_ALLOCATE, kind))) return -1;
  int fd = next(at, path, flags, mode);
  if (control) opened(fd, kind, flags);
  return fd;
}

FILE *fopen(const char *path, const char *how) {
  NEXT(FILE *, "fopen", const char *, const char *);
  int kind = control ? kindOf(path) : 0;
  if (strike(OP_OPEN, kind)) return NULL;
  FILE *file = next(path, how);
  if (control && file) opened(fileno(file), kind, 0);
  return file;
}

int close(int fd) {
  NEXT(int, "close", int);
  if (fd >= 0 && fd < HANDLES) kinds[fd] = 0;
  return next(fd);
}

/* A stream's handle is closed inside the C library. */
int fclose(FILE *file) {
  NEXT(int, "fclose", FILE *);
  int fd = fileno(file);
  if (fd >= 0 && fd < HANDLES) kinds[fd] = 0;
  return next(file);
}

ssize_t read(int fd, void *to, size_t n) {
  NEXT(ssize_t, "read", int, void *, size_t);
  int what = strike(OP_READ, kindAt(fd));
  return what == ACTION_FAIL ? -1 : next(fd, to, what == ACTION_SHORT ? n / 2 : n);
}

ssize_t pread(int fd, void *to, size_t n, off_t at) {
  NEXT(ssize_t, "pread", int, void *, size_t, off_t);
  int what = strike(OP_READ, kindAt(fd));
  return what == ACTION_FAIL ? -1 : next(fd, to, what == ACTION_SHORT ? n / 2 : n, at);
}

ssize_t pread64(int fd, void *to, size_t n, off64_t at) { return pread(fd, to, n, at); }

/* RocksDB reads logs, MANIFEST and CURRENT by streams, and tells an error from the end of a file by feof. */
size_t(fread_unlocked)(void *to, size_t size, size_t n, FILE *file) {
  NEXT(size_t, "fread_unlocked", void *, size_t, size_t, FILE *);
  return strike(OP_READ, kindAt(fileno(file))) == ACTION_FAIL ? 0 : next(to, size, n, file);
}

/* How many of n bytes a write writes; -1 for an error. One that is cut short writes half, and the next one of the same
 * handle fails. */
static ssize_t writes(int fd, size_t n) {
  int kind = kindAt(fd);
  if (!kind) return (ssize_t)n;
  if (broken[fd]) {
    broken[fd] = 0, errno = (int)control->error;
    return -1;
  }
  int what = strike(OP_WRITE, kind);
  if (what == ACTION_FAIL) return -1;
  if (what == ACTION_SHORT && n > 1) {
    broken[fd] = 1;
    return (ssize_t)(n / 2);
  }
  return (ssize_t)n;
}

ssize_t write(int fd, const void *from, size_t n) {
  NEXT(ssize_t, "write", int, const void *, size_t);
  ssize_t some = writes(fd, n);
  return some < 0 ? -1 : next(fd, from, (size_t)some);
}

enum { BLOCK = 4096 };

/* A write that is synced when it returns is a sync, too. One whose sync takes long has only its first blocks on the disk
 * meanwhile, as who is killed then leaves a torn write; direct writes are cut at a block. */
ssize_t pwrite(int fd, const void *from, size_t n, off_t at) {
  NEXT(ssize_t, "pwrite", int, const void *, size_t, off_t);
  ssize_t some = writes(fd, n);
  if (some < 0) return -1;
  if (fd < 0 || fd >= HANDLES || !kinds[fd] || !synced[fd]) return next(fd, from, (size_t)some, at);
  if ((size_t)some < n && (some = some / BLOCK * BLOCK) == 0) { /* of one block nothing is done */
    broken[fd] = 0, errno = (int)control->error;
    return -1;
  }
  if (__atomic_load_n(&control->ops, __ATOMIC_SEQ_CST) & OP_SYNC) {
    size_t half = n / 2 / BLOCK * BLOCK;
    if (half && next(fd, from, half, at) != (ssize_t)half) return -1;
    if (strike(OP_SYNC, kinds[fd])) return -1;
  }
  return next(fd, from, (size_t)some, at);
}

ssize_t pwrite64(int fd, const void *from, size_t n, off64_t at) { return pwrite(fd, from, n, at); }

/* What was written before a sync began is on the disk when it has ended well. */
static int syncs(int fd, int (*next)(int)) {
  struct stat before;
  int kind = kindAt(fd), known = kind && fstat(fd, &before) == 0 && S_ISREG(before.st_mode);
  struct entry *e = known ? entryOf(before.st_ino) : NULL;
  if (strike(OP_SYNC, kind)) {
    if (e) e->poison = POISON;
    return -1;
  }
  int result = next(fd);
  if (result == 0 && e && !e->poison && e->synced < (uint64_t)before.st_size) e->synced = (uint64_t)before.st_size;
  return result;
}

int fsync(int fd) {
  NEXT(int, "fsync", int);
  return syncs(fd, next);
}

int fdatasync(int fd) {
  NEXT(int, "fdatasync", int);
  return syncs(fd, next);
}

/* It makes nothing durable (sync_file_range(2)), so it does not count as a sync. Without flags it does nothing and does
   not fail: RocksDB asks so whether it is there, and ends the process by an assertion if the answer is an error. */
int sync_file_range(int fd, off64_t at, off64_t n, unsigned int flags) {
  NEXT(int, "sync_file_range", int, off64_t, off64_t, unsigned int);
  return flags && strike(OP_SYNC, kindAt(fd)) ? -1 : next(fd, at, n, flags);
}

int fallocate(int fd, int mode, off_t at, off_t n) {
  NEXT(int, "fallocate", int, int, off_t, off_t);
  return strike(OP_ALLOCATE, kindAt(fd)) ? -1 : next(fd, mode, at, n);
}

int fallocate64(int fd, int mode, off64_t at, off64_t n) { return fallocate(fd, mode, at, n); }

int posix_fallocate(int fd, off_t at, off_t n) {
  NEXT(int, "posix_fallocate", int, off_t, off_t);
  return strike(OP_ALLOCATE, kindAt(fd)) ? (int)control->error : next(fd, at, n);
}

int rename(const char *from, const char *to) {
  NEXT(int, "rename", const char *, const char *);
  return control && strike(OP_RENAME, kindOf(to)) ? -1 : next(from, to);
}
