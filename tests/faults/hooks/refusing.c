/* Refuses writes as a disk does that is full, broken or read-only.
 *
 * Preloaded (LD_PRELOAD) into the processes of one command, it sees what every library asks of the
 * kernel, whatever language it is written in. What is to be refused stands in a file that all of
 * them have mapped (`errors.py`, class Plan), so that a count goes on from process to process.
 * Without that file nothing is refused. A refused write leaves half of its bytes behind.
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
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { OPEN, WRITE, RENAME, FSYNC, MKDIR, REMOVE, OPERATIONS };
enum { ONCE, KIND, DISK };
enum { ROOTS = 4, PLACES = 16, PATHS = 400, TOLD = 1 << 16 };

struct plan {
    int32_t place, operation, at, number, spread, fired;
    uint32_t told;
    char fired_at[PATHS];
    char roots[ROOTS][PATHS];
    char places[PLACES][32];
    uint32_t counts[PLACES][OPERATIONS];
    char stored[TOLD]; /* names of runs that came to their places */
};

static struct plan *plan;

void refuse_as(const char *file) {
    int descriptor = syscall(SYS_openat, AT_FDCWD, file, O_RDWR | O_CLOEXEC);
    if (descriptor < 0)
        abort();
    plan = mmap(NULL, sizeof *plan, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    if (plan == MAP_FAILED)
        abort();
    close(descriptor);
}

__attribute__((constructor)) static void begin(void) {
    const char *file = getenv("TARAZU_REFUSING");
    if (file != NULL)
        refuse_as(file);
}

/* Write the absolute path to `whole`; 0 where there is none. */
static int resolve(int folder, const char *path, char *whole) {
    char link[64];
    ssize_t size;
    if (path[0] == '/')
        return snprintf(whole, PATH_MAX, "%s", path) < PATH_MAX;
    if (folder == AT_FDCWD)
        snprintf(link, sizeof link, "/proc/self/cwd");
    else
        snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
    size = readlink(link, whole, PATH_MAX - 1);
    if (size <= 0)
        return 0;
    if (path[0] == 0) {
        whole[size] = 0;
        return 1;
    }
    return snprintf(whole + size, PATH_MAX - size, "/%s", path) < PATH_MAX - size;
}

static int place_of(const char *path) {
    int place, inside = 0;
    for (int i = 0; i < ROOTS && plan->roots[i][0]; i++)
        inside |= !strncmp(path, plan->roots[i], strlen(plan->roots[i]));
    if (!inside)
        return -1;
    for (place = 0; plan->places[place][0]; place++)
        if (strstr(path, plan->places[place]))
            break;
    return place; /* the last one is the rest */
}

/* What a whole disk refuses that has this error. */
static int concerns(int operation) {
    if (plan->number == ENOSPC)
        return operation == OPEN || operation == WRITE || operation == MKDIR;
    return 1;
}

static int refused(int folder, const char *path, int operation) {
    char whole[PATH_MAX];
    int place, hit, same, before;
    uint32_t number;
    if (plan == NULL || path == NULL || !resolve(folder, path, whole))
        return 0;
    if ((place = place_of(whole)) < 0)
        return 0;
    number = __atomic_add_fetch(&plan->counts[place][operation], 1, __ATOMIC_SEQ_CST);
    same = place == plan->place && operation == plan->operation;
    hit = same && number == (uint32_t)plan->at;
    before = plan->fired;
    if (hit) {
        snprintf(plan->fired_at, PATHS, "%.*s", PATHS - 1, whole);
        plan->fired = 1;
    }
    if (hit || (before && ((plan->spread == KIND && same) ||
                           (plan->spread == DISK && concerns(operation))))) {
        errno = plan->number;
        return 1;
    }
    return 0;
}

static int exists(int folder, const char *path) {
    struct stat found;
    int before = errno, is = !fstatat(folder, path, &found, AT_SYMLINK_NOFOLLOW);
    errno = before;
    return is;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int writes(int folder, const char *path, int flags) {
    if (plan == NULL || !(flags & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC)))
        return 0;
    /* A full disk still opens what is there. */
    return plan->number != ENOSPC || ((flags & O_CREAT) && !exists(folder, path));
}

#define OPENS(name, folder, ...)                                                             \
    {                                                                                         \
        mode_t mode = 0;                                                                      \
        if (flags & (O_CREAT | O_TMPFILE)) {                                                  \
            va_list rest;                                                                     \
            va_start(rest, flags);                                                            \
            mode = va_arg(rest, mode_t);                                                      \
            va_end(rest);                                                                     \
        }                                                                                     \
        if (writes(folder, path, flags) && refused(folder, path, OPEN))                       \
            return -1;                                                                        \
        return REAL(name)(__VA_ARGS__, mode);                                                 \
    }
int open(const char *path, int flags, ...) OPENS(open, AT_FDCWD, path, flags)
int open64(const char *path, int flags, ...) OPENS(open64, AT_FDCWD, path, flags)
int openat(int folder, const char *path, int flags, ...)
    OPENS(openat, folder, folder, path, flags)
int openat64(int folder, const char *path, int flags, ...)
    OPENS(openat64, folder, folder, path, flags)

#define FIRST_HALF(call)                                                                      \
    if (refused(descriptor, "", WRITE)) {                                                     \
        int number = errno;                                                                   \
        if (size > 1 && (call) < 0) {                                                         \
        }                                                                                     \
        errno = number;                                                                       \
        return -1;                                                                            \
    }
ssize_t write(int descriptor, const void *bytes, size_t size) {
    FIRST_HALF(REAL(write)(descriptor, bytes, size / 2))
    return REAL(write)(descriptor, bytes, size);
}
ssize_t pwrite(int descriptor, const void *bytes, size_t size, off_t start) {
    FIRST_HALF(REAL(pwrite)(descriptor, bytes, size / 2, start))
    return REAL(pwrite)(descriptor, bytes, size, start);
}
ssize_t pwrite64(int descriptor, const void *bytes, size_t size, off64_t start) {
    FIRST_HALF(REAL(pwrite64)(descriptor, bytes, size / 2, start))
    return REAL(pwrite64)(descriptor, bytes, size, start);
}
ssize_t writev(int descriptor, const struct iovec *parts, int count) {
    size_t size = 0;
    FIRST_HALF(0)
    return REAL(writev)(descriptor, parts, count);
}
ssize_t sendfile(int descriptor, int source, off_t *start, size_t size) {
    FIRST_HALF(0)
    return REAL(sendfile)(descriptor, source, start, size);
}
ssize_t sendfile64(int descriptor, int source, off64_t *start, size_t size) {
    FIRST_HALF(0)
    return REAL(sendfile64)(descriptor, source, start, size);
}
ssize_t copy_file_range(int source, off64_t *from, int descriptor, off64_t *to, size_t size,
                        unsigned flags) {
    FIRST_HALF(0)
    return REAL(copy_file_range)(source, from, descriptor, to, size, flags);
}

int fsync(int descriptor) {
    return refused(descriptor, "", FSYNC) ? -1 : REAL(fsync)(descriptor);
}
int fdatasync(int descriptor) {
    return refused(descriptor, "", FSYNC) ? -1 : REAL(fdatasync)(descriptor);
}

/* Note which run came to its place. */
static void stored(int folder, const char *path) {
    char whole[PATH_MAX], *name;
    uint32_t at, size;
    if (plan == NULL || !resolve(folder, path, whole) || place_of(whole) < 0)
        return;
    name = strstr(whole, "/runs/");
    if (name == NULL || name[6] == '.' || strchr(name + 6, '/'))
        return;
    size = strlen(name + 6) + 1;
    at = __atomic_fetch_add(&plan->told, size, __ATOMIC_SEQ_CST);
    if (at + size <= TOLD)
        snprintf(plan->stored + at, size, "%s", name + 6);
}
int renameat(int from, const char *old, int to, const char *new) {
    int failed;
    if (plan != NULL && exists(from, old) && refused(to, new, RENAME))
        return -1;
    failed = REAL(renameat)(from, old, to, new);
    if (!failed)
        stored(to, new);
    return failed;
}
int rename(const char *old, const char *new) { return renameat(AT_FDCWD, old, AT_FDCWD, new); }

int mkdirat(int folder, const char *path, mode_t mode) {
    if (plan != NULL && !exists(folder, path) && refused(folder, path, MKDIR))
        return -1;
    return REAL(mkdirat)(folder, path, mode);
}
int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }

int unlinkat(int folder, const char *path, int flags) {
    if (plan != NULL && exists(folder, path) && refused(folder, path, REMOVE))
        return -1;
    return REAL(unlinkat)(folder, path, flags);
}
int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }
