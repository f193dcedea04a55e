#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "loop/task.h"
#include "services/metrics_file.h"

#define SECOND_MS	1000
#define MEMORY_EVERY	5u	/* seconds */
#define LOCK_TRIES	50
#define LOCK_PAUSE_NS	5000000L

/* The file: a head, and the places; byte 0 is locked by who looks for a place, byte 1 + n by who has place n. */
struct head { char magic[8]; uint64_t layout, places; };

#define HEAD_BYTES	4096
#define PAGE		4096u
#define PLACE_BYTES	((sizeof(struct metrics) + PAGE - 1) / PAGE * PAGE)

struct metrics_file {
	int		 fd;
	unsigned	 place;
	struct metrics	*board;
	uv_timer_t	 timer;
	unsigned	 seconds;
	uint64_t	 due_ms;		/* when the timer should fire, uv_now() */
	int64_t		 cpu_us;		/* counted so far */
};

static off_t
place_at(unsigned place)
{
	return HEAD_BYTES + (off_t)(place * PLACE_BYTES);
}

/* What makes two boards the same: the words of the tables, and the size they come to. */
static uint64_t
layout(void)
{
	static const char words[] =
#define X(name, family, labels, each, help) family labels
	    METRICS_COUNTERS(X) METRICS_GAUGES(X) METRICS_SPREADS(X)
#undef X
#define X(name, text) text
	    METRICS_PROVIDERS(X) METRICS_OUTCOMES(X) METRICS_BOUNDS(X);
#undef X
	uint64_t hash = 1469598103934665603u ^ sizeof(struct metrics);

	for (size_t i = 0; i < sizeof(words); i++)
		hash = (hash ^ (unsigned char)words[i]) * 1099511628211u;
	return hash;
}

/* ---- locks ---- */

static bool
lock(int fd, int command, short type, off_t at)
{
	struct flock l = { .l_type = type, .l_whence = SEEK_SET, .l_start = at, .l_len = 1 };

	return fcntl(fd, command, &l) == 0;
}

static bool
is_locked(int fd, off_t at)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = at, .l_len = 1 };

	return fcntl(fd, F_OFD_GETLK, &l) == 0 && l.l_type != F_UNLCK;
}

/* Nobody holds it for long, unless he is stopped: then the rest is not to stop, too. */
static bool
lock_head(int fd)
{
	const struct timespec pause = { .tv_nsec = LOCK_PAUSE_NS };

	for (int i = 0; i < LOCK_TRIES; i++) {
		if (lock(fd, F_OFD_SETLK, F_WRLCK, 0))
			return true;
		nanosleep(&pause, NULL);
	}
	errno = EAGAIN;
	return false;
}

/* ---- the file ---- */

static bool
is_at(int fd, const char *path)
{
	struct stat opened, there;

	return fstat(fd, &opened) == 0 && stat(path, &there) == 0 && opened.st_ino == there.st_ino && opened.st_dev == there.st_dev;
}

/* It is ours: new, or one of the same layout.  False: another one has to take its place, or errno says why not. */
static bool
has_head(int fd, bool *ret_other)
{
	const struct head want = { "helplin", layout(), METRICS_PLACES };
	struct head is;
	struct stat st;

	*ret_other = false;
	if (fstat(fd, &st) != 0)
		return false;
	if (st.st_size == 0) {
		if (posix_fallocate(fd, 0, HEAD_BYTES) != 0 || ftruncate(fd, place_at(METRICS_PLACES)) != 0)
			return false;
		return pwrite(fd, &want, sizeof(want), 0) == (ssize_t)sizeof(want);
	}
	*ret_other = pread(fd, &is, sizeof(is), 0) != (ssize_t)sizeof(is) || memcmp(&is, &want, sizeof(is)) != 0 ||
	    st.st_size != place_at(METRICS_PLACES);
	return !*ret_other;
}

/* Opened and its head locked, or -1. */
static int
open_file(const char *path)
{
	bool other;

	for (int i = 0; i < LOCK_TRIES; i++) {
		int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0660);

		if (fd < 0)
			return -1;
		if (!lock_head(fd)) {
			close(fd);
			return -1;
		}
		if (is_at(fd, path)) {
			if (has_head(fd, &other))
				return fd;
			if (!other || unlink(path) != 0) {
				close(fd);
				return -1;
			}
		}
		close(fd);		/* another one is there now */
	}
	errno = EAGAIN;
	return -1;
}

/* ---- a place ---- */

static struct metrics *
map_place(int fd, unsigned place)
{
	void *p;
	int failure = posix_fallocate(fd, place_at(place), (off_t)PLACE_BYTES);

	if (failure) {
		errno = failure;
		return NULL;
	}
	p = mmap(NULL, PLACE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, place_at(place));
	return p == MAP_FAILED ? NULL : p;
}

static bool
same_routes(const struct metrics *m, const char *const *routes, size_t count)
{
	if (m->route_count != count)
		return false;
	for (size_t i = 0; i < count; i++)
		if (strncmp(m->routes[i], routes[i], METRICS_ROUTE_MAX - 1) != 0)
			return false;
	return true;
}

enum fit { FIT_NONE, FIT_ANOTHERS, FIT_UNUSED, FIT_OURS };

/* The lock of a place that is free is taken; of one that does not fit, given back by the caller. */
static enum fit
look_at(int fd, unsigned place, struct metrics *scratch, const char *program, const char *const *routes, size_t count)
{
	if (!lock(fd, F_OFD_SETLK, F_WRLCK, 1 + (off_t)place))
		return FIT_NONE;
	if (pread(fd, scratch, sizeof(*scratch), place_at(place)) != (ssize_t)sizeof(*scratch))
		return FIT_UNUSED;	/* map_place() finds out why */
	if (scratch->program[0] == '\0')
		return FIT_UNUSED;
	return strncmp(scratch->program, program, METRICS_PROGRAM_MAX) == 0 && same_routes(scratch, routes, count) ? FIT_OURS :
	    FIT_ANOTHERS;
}

/* The best of all places, its lock taken; FIT_NONE: all are in use. */
static enum fit
choose(int fd, const char *program, const char *const *routes, size_t count, unsigned *ret)
{
	struct metrics *scratch = malloc(sizeof(*scratch));
	enum fit best = FIT_NONE, fit;

	for (unsigned i = 0; scratch && i < METRICS_PLACES && best != FIT_OURS; i++) {
		fit = look_at(fd, i, scratch, program, routes, count);
		if (fit > best) {
			if (best != FIT_NONE)
				lock(fd, F_OFD_SETLK, F_UNLCK, 1 + (off_t)*ret);
			best = fit;
			*ret = i;
		} else if (fit != FIT_NONE)
			lock(fd, F_OFD_SETLK, F_UNLCK, 1 + (off_t)i);
	}
	free(scratch);
	return best;
}

static void
move_in(struct metrics *m, enum fit fit, const char *program, const char *const *routes, size_t count)
{
	if (fit != FIT_OURS) {
		memset(m, 0, sizeof(*m));
		snprintf(m->program, sizeof(m->program), "%s", program);
		for (size_t i = 0; i < count; i++)
			snprintf(m->routes[i], METRICS_ROUTE_MAX, "%s", routes[i]);
		m->route_count = (uint32_t)count;
	} else if (!m->ended)
		metrics_add(&m->counters[M_PROCESS_CRASHES], 1);
	memset(m->version, 0, sizeof(m->version));
	snprintf(m->version, sizeof(m->version), "%s", PACKAGE_VERSION);
	m->started_ms = m->beat_ms = clock_wall_ms();
	m->ended = 0;
	metrics_add(&m->counters[M_PROCESS_STARTS], 1);
}

static bool
take_place(struct metrics_file *f, const char *path, const char *program, const char *const *routes, size_t count)
{
	enum fit fit;

	f->fd = open_file(path);
	if (f->fd < 0)
		return false;
	fit = choose(f->fd, program, routes, count, &f->place);
	if (fit == FIT_NONE)
		errno = ENOSPC;
	else if ((f->board = map_place(f->fd, f->place)) != NULL)
		move_in(f->board, fit, program, routes, count);
	lock(f->fd, F_OFD_SETLK, F_UNLCK, 0);
	if (f->board == NULL)
		close(f->fd);
	return f->board != NULL;
}

/* ---- what the system says of us ---- */

static int64_t
resident_bytes(void)
{
	long long size, resident = 0;
	FILE *file = fopen("/proc/self/statm", "re");

	if (file == NULL)
		return 0;
	if (fscanf(file, "%lld %lld", &size, &resident) != 2)
		resident = 0;
	fclose(file);
	return resident * sysconf(_SC_PAGESIZE);
}

static int64_t
used_us(void)
{
	struct rusage u;

	if (getrusage(RUSAGE_SELF, &u) != 0)
		return 0;
	return (int64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000 + u.ru_utime.tv_usec + u.ru_stime.tv_usec;
}

static void
on_second(uv_timer_t *timer)
{
	struct metrics_file *f = timer->data;
	uint64_t now = uv_now(timer->loop);
	int64_t cpu_us = used_us();

	metrics_took(M_TOOK_LOOP, now > f->due_ms ? (int64_t)(now - f->due_ms) * 1000 : 0);
	f->due_ms = now + SECOND_MS;
	metrics_count(M_PROCESS_CPU_US, cpu_us - f->cpu_us);
	f->cpu_us = cpu_us;
	metrics_set(M_TASKS_NOW, (int64_t)task_count());
	if (f->seconds++ % MEMORY_EVERY == 0)
		metrics_set(M_MEMORY_BYTES, resident_bytes());
	__atomic_store_n(&f->board->beat_ms, clock_wall_ms(), __ATOMIC_RELAXED);
}

/* ---- the interface ---- */

struct metrics_file *
metrics_file_open(uv_loop_t *loop, const char *path, const char *program, const char *const *routes, size_t count, struct buf *problem)
{
	struct metrics_file *f = calloc(1, sizeof(*f));

	if (count >= METRICS_ROUTES)
		count = METRICS_ROUTES - 1;
	if (f == NULL || !take_place(f, path, program, routes, count)) {
		buf_printf(problem, "%s: %s", path, f ? strerror(errno) : "out of memory");
		move_in(metrics_own, FIT_UNUSED, program, routes, count);
		free(f);
		return NULL;
	}
	metrics_use(f->board);
	uv_timer_init(loop, &f->timer);
	f->timer.data = f;
	f->due_ms = uv_now(loop);
	on_second(&f->timer);
	uv_timer_start(&f->timer, on_second, SECOND_MS, SECOND_MS);
	uv_unref((uv_handle_t *)&f->timer);
	return f;
}

static void
on_timer_closed(uv_handle_t *handle)
{
	free(handle->data);
}

/* The place stays mapped and locked: what still counts until the end of the process counts there. */
void
metrics_file_close(struct metrics_file *f)
{
	if (f == NULL)
		return;
	on_second(&f->timer);
	__atomic_store_n(&f->board->ended, 1, __ATOMIC_RELAXED);
	uv_close((uv_handle_t *)&f->timer, on_timer_closed);
}

size_t
metrics_file_read(const struct metrics_file *f, struct metrics **ret_boards, bool **ret_alive)
{
	struct metrics *boards = NULL, *more;
	bool *alive = calloc(METRICS_PLACES, sizeof(*alive));
	size_t n = 0;

	for (unsigned i = 0; f && alive && i < METRICS_PLACES; i++) {
		char first = '\0';

		if (pread(f->fd, &first, 1, place_at(i) + (off_t)offsetof(struct metrics, program)) != 1 || first == '\0')
			continue;
		if ((more = realloc(boards, (n + 1) * sizeof(*boards))) == NULL)
			break;
		boards = more;
		if (pread(f->fd, &boards[n], sizeof(*boards), place_at(i)) == (ssize_t)sizeof(*boards)) {
			alive[n] = i == f->place || is_locked(f->fd, 1 + (off_t)i);
			n++;
		}
	}
	*ret_boards = boards;
	*ret_alive = alive;
	return n;
}
