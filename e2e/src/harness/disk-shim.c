/*
 * Stands between a process and its disk (LD_PRELOAD): writes every change below SHIM_ROOT to a log, and makes one
 * call fail. What passes libc is seen, so Node, libuv and SQLite are; a check against strace proves that nothing
 * else changes files there.
 *
 * SHIM_ROOT   folder whose files count; SHIM_LOG  where the log is appended; SHIM_DATA=1  with the written bytes
 * SHIM_FAULT  class:n:action, where class is sync, write, rename, unlink or truncate, n counts its calls over all
 *             threads from 1 on, and action is kill, torn (half of the write, then kill), short (half of it) or an
 *             error number.
 * SHIM_SLOW   a file: while it is there, each sync takes as many milliseconds longer as it says.
 *
 * A record: u32 bytes in all, u8 kind, u8 0, u16 length of path, u16 length of second path, i32 descriptor,
 * i32 error (0 for success), u32 number in its class, u64 CLOCK_MONOTONIC in ns, u64 offset, paths, bytes.
 * A change is logged after it was made, a sync when it begins and when it has ended: what was logged before it
 * began is durable once its end is logged.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define FDS 65536
enum { SYNC, WRITE, RENAME, UNLINK, TRUNCATE, CLASSES };
static const char *names[CLASSES] = {"sync", "write", "rename", "unlink", "truncate"};

/* Files by descriptor. libuv closes behind libc's back, so device and inode tell a stale entry. */
static char *paths[FDS];
static struct stat files[FDS];
static const char *root, *slow;
static size_t root_length;
static int log_fd = -1, with_data, fault_class = -1;
static unsigned long fault_n, counts[CLASSES];
static char action[16];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int (*real_open)(const char *, int, ...);
static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static int (*real_close)(int);

__attribute__((constructor)) static void start(void) {
  real_open = REAL(open);
  real_write = REAL(write);
  real_pwrite = REAL(pwrite);
  real_close = REAL(close);
  const char *file = getenv("SHIM_LOG"), *fault = getenv("SHIM_FAULT");
  with_data = getenv("SHIM_DATA") != NULL;
  if (file != NULL) log_fd = real_open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fault != NULL) {
    char name[16] = "";
    if (sscanf(fault, "%15[a-z]:%lu:%15s", name, &fault_n, action) == 3)
      for (int at = 0; at < CLASSES; at++) if (strcmp(name, names[at]) == 0) fault_class = at;
  }
  root = getenv("SHIM_ROOT");
  slow = getenv("SHIM_SLOW");
  root_length = root == NULL ? 0 : strlen(root);
}

static int below(const char *path) {
  return root != NULL && path != NULL && strncmp(path, root, root_length) == 0 &&
         (path[root_length] == '/' || path[root_length] == 0);
}

static const char *path_of(int fd) {
  struct stat now;
  if (fd < 0 || fd >= FDS || paths[fd] == NULL) return NULL;
  int saved = errno, same = fstat(fd, &now) == 0 && now.st_ino == files[fd].st_ino && now.st_dev == files[fd].st_dev;
  errno = saved;
  return same ? paths[fd] : NULL;
}

struct note {
  char kind;
  int fd, error;
  unsigned long number;
  uint64_t offset;
  const char *path, *other;
  const struct iovec *data;
  int pieces;
  size_t bytes;
};

#define PUT(value, size) (memcpy(to, value, size), to += size)

static void put_log(const struct note *note) {
  if (log_fd < 0) return;
  int saved = errno;
  size_t bytes = with_data ? note->bytes : 0;
  uint16_t first = note->path ? strlen(note->path) : 0, second = note->other ? strlen(note->other) : 0;
  uint32_t total = 38 + first + second + bytes, number = note->number;
  char *record = malloc(total), *to = record, head[2] = {note->kind, 0};
  int32_t fd = note->fd, error = note->error;
  struct timespec now;
  pthread_mutex_lock(&lock);
  clock_gettime(CLOCK_MONOTONIC, &now);
  uint64_t ns = (uint64_t)now.tv_sec * 1000000000ull + now.tv_nsec;
  PUT(&total, 4); PUT(head, 2); PUT(&first, 2); PUT(&second, 2); PUT(&fd, 4); PUT(&error, 4);
  PUT(&number, 4); PUT(&ns, 8); PUT(&note->offset, 8);
  if (first) PUT(note->path, first);
  if (second) PUT(note->other, second);
  for (int at = 0; at < note->pieces && bytes > 0; at++) {
    size_t part = note->data[at].iov_len < bytes ? note->data[at].iov_len : bytes;
    PUT(note->data[at].iov_base, part);
    bytes -= part;
  }
  if (real_write(log_fd, record, total) != (ssize_t)total) abort();
  pthread_mutex_unlock(&lock);
  free(record);
  errno = saved;
}

static void die(int class, const char *path, int fd) {
  struct note note = {.kind = 'K', .fd = fd, .number = counts[class], .path = path};
  put_log(&note);
  raise(SIGKILL);
}

/* Counts a call; true if it is the one to fail. `torn` and `short` are for the caller. */
static int strike(int class, unsigned long *number) {
  *number = __atomic_add_fetch(&counts[class], 1, __ATOMIC_SEQ_CST);
  return class == fault_class && *number == fault_n;
}

/* For a call that cannot be done by half: dies, or returns the error number. */
static int failure(int class, const char *path, int fd) {
  int number = atoi(action);
  if (number == 0) die(class, path, fd);
  return number;
}

/* A disk that takes its time. */
static void dawdle(void) {
  char text[16] = "";
  int fd = slow == NULL ? -1 : real_open(slow, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  ssize_t got = read(fd, text, sizeof text - 1);
  real_close(fd);
  if (got > 0) usleep(1000 * (useconds_t)atoi(text));
}

static int opened(int fd, const char *path, int flags) {
  if (fd < 0 || fd >= FDS) return fd;
  free(paths[fd]);
  paths[fd] = NULL;
  if (!below(path)) return fd;
  paths[fd] = strdup(path);
  fstat(fd, &files[fd]);
  struct note note = {.kind = flags & O_TRUNC ? 'T' : 'O', .fd = fd, .offset = flags & O_CREAT ? 1 : 0, .path = path};
  put_log(&note);
  return fd;
}

#define OPEN(name) \
  int name(const char *path, int flags, ...) { \
    va_list rest; va_start(rest, flags); mode_t mode = va_arg(rest, mode_t); va_end(rest); \
    return opened(real_open(path, flags, mode), path, flags); \
  }
OPEN(open)
OPEN(open64)

#define OPENAT(name) \
  int name(int at, const char *path, int flags, ...) { \
    va_list rest; va_start(rest, flags); mode_t mode = va_arg(rest, mode_t); va_end(rest); \
    return opened(REAL(openat)(at, path, flags, mode), path, flags); \
  }
OPENAT(openat)
OPENAT(openat64)

int close(int fd) {
  if (path_of(fd) != NULL) {
    struct note note = {.kind = 'C', .fd = fd, .path = paths[fd]};
    put_log(&note);
    free(paths[fd]);
    paths[fd] = NULL;
  }
  return real_close(fd);
}

static ssize_t put_all(int fd, const struct iovec *data, int pieces, off_t offset, size_t limit) {
  size_t done = 0;
  for (int at = 0; at < pieces && done < limit; at++) {
    size_t part = data[at].iov_len < limit - done ? data[at].iov_len : limit - done;
    ssize_t now = part == 0 ? 0 : real_pwrite(fd, data[at].iov_base, part, offset + done);
    if (now < 0) return done > 0 ? (ssize_t)done : -1;
    done += now;
    if ((size_t)now < part) break;
  }
  return done;
}

/* All ways of writing come here; offset -1 is the descriptor's own. */
static ssize_t written(int fd, const struct iovec *data, int pieces, off_t offset) {
  size_t bytes = 0;
  ssize_t done;
  struct note note = {.kind = 'W', .fd = fd, .path = paths[fd], .data = data, .pieces = pieces};
  for (int at = 0; at < pieces; at++) bytes += data[at].iov_len;
  off_t from = offset < 0 ? lseek(fd, 0, SEEK_CUR) : offset;
  if (strike(WRITE, &note.number)) {
    int half = strcmp(action, "torn") == 0 || strcmp(action, "short") == 0;
    int error = half ? 0 : failure(WRITE, paths[fd], fd);
    if (half) done = put_all(fd, data, pieces, from, bytes / 2);
    if (strcmp(action, "torn") == 0) die(WRITE, paths[fd], fd);
    if (!half) { note.error = errno = error; put_log(&note); errno = error; return -1; }
    if (offset < 0) lseek(fd, from + done, SEEK_SET);
  } else if (offset >= 0) {
    done = pieces == 1 ? real_pwrite(fd, data[0].iov_base, bytes, offset) : REAL(pwritev)(fd, data, pieces, offset);
  } else {
    done = pieces == 1 ? real_write(fd, data[0].iov_base, bytes) : REAL(writev)(fd, data, pieces);
  }
  note.error = done < 0 ? errno : 0;
  note.bytes = done < 0 ? 0 : done;
  note.offset = offset >= 0 ? offset : done < 0 ? 0 : lseek(fd, 0, SEEK_CUR) - done;
  put_log(&note);
  return done;
}

ssize_t write(int fd, const void *from, size_t bytes) {
  struct iovec one = {(void *)from, bytes};
  return path_of(fd) == NULL ? real_write(fd, from, bytes) : written(fd, &one, 1, -1);
}
#define PWRITE(name) \
  ssize_t name(int fd, const void *from, size_t bytes, off_t offset) { \
    struct iovec one = {(void *)from, bytes}; \
    return path_of(fd) == NULL ? real_pwrite(fd, from, bytes, offset) : written(fd, &one, 1, offset); \
  }
PWRITE(pwrite)
PWRITE(pwrite64)
ssize_t writev(int fd, const struct iovec *data, int pieces) {
  return path_of(fd) == NULL ? REAL(writev)(fd, data, pieces) : written(fd, data, pieces, -1);
}
#define PWRITEV(name) \
  ssize_t name(int fd, const struct iovec *data, int pieces, off_t offset) { \
    return path_of(fd) == NULL ? REAL(pwritev)(fd, data, pieces, offset) : written(fd, data, pieces, offset); \
  }
PWRITEV(pwritev)
PWRITEV(pwritev64)

#define SYNCING(name) \
  int name(int fd) { \
    if (path_of(fd) == NULL) return REAL(name)(fd); \
    struct note note = {.kind = 'S', .fd = fd, .path = paths[fd]}; \
    int hit = strike(SYNC, &note.number); \
    put_log(&note); \
    dawdle(); \
    int error = hit ? failure(SYNC, paths[fd], fd) : 0; \
    int result = hit ? -1 : REAL(name)(fd); \
    if (result < 0 && !hit) error = errno; \
    note.kind = 'E'; \
    note.error = error; \
    put_log(&note); \
    errno = error; \
    return result; \
  }
SYNCING(fsync)
SYNCING(fdatasync)

/* Calls by name: kind, class, whether it concerns us, and the call itself. */
#define CHANGE(kind_, class, ours, fd_, path_, other_, offset_, call) \
  if (!(ours)) return call; \
  struct note note = {.kind = kind_, .fd = fd_, .path = path_, .other = other_, .offset = offset_}; \
  int hit = strike(class, &note.number); \
  note.error = hit ? failure(class, path_, fd_) : 0; \
  int result = hit ? -1 : call; \
  if (result < 0 && !hit) note.error = errno; \
  put_log(&note); \
  if (result < 0) errno = note.error; \
  return result;

int rename(const char *from, const char *to) { CHANGE('R', RENAME, below(from), -1, from, to, 0, REAL(rename)(from, to)) }
/* Gives a name, as a rename does: of the same class. */
int link(const char *from, const char *to) { CHANGE('N', RENAME, below(to), -1, from, to, 0, REAL(link)(from, to)) }
int unlink(const char *path) { CHANGE('U', UNLINK, below(path), -1, path, NULL, 0, REAL(unlink)(path)) }
int ftruncate(int fd, off_t size) {
  CHANGE('L', TRUNCATE, path_of(fd) != NULL, fd, path_of(fd), NULL, (uint64_t)size, REAL(ftruncate)(fd, size))
}
int ftruncate64(int fd, off_t size) { return ftruncate(fd, size); }

static int made(int result, char kind, const char *path) {
  struct note note = {.kind = kind, .fd = -1, .path = path};
  if (result == 0 && below(path)) put_log(&note);
  return result;
}
int mkdir(const char *path, mode_t mode) { return made(REAL(mkdir)(path, mode), 'D', path); }
int rmdir(const char *path) { return made(REAL(rmdir)(path), 'X', path); }
