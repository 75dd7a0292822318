#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "clock.h"
#include "intake.h"
#include "log.h"
#include "message.h"

#define RING_BYTES	((size_t)24 * 1024 * 1024)	/* holds the longest line and half as much */
#define RESUME_BYTES	(RING_BYTES / 4)		/* free before lines are kept again */
#define REWIND_BYTES	((size_t)1024 * 1024)		/* of the ring that an idle intake holds */
#define PATIENCE_MS	80				/* far below what a BGP session or ExaBGP would notice */
#define PIPE_BYTES	(1024 * 1024)			/* what the kernel may hold for us */
#define READ_BYTES	((size_t)PIPE_BYTES)		/* all of it: a kill leaves whole lines behind */

const int64_t intake_stall_bounds_us[INTAKE_STALL_BOUNDS] = { 1000, 5000, 10000, 25000, 50000, 100000, 250000, 500000,
	1000000, 2500000 };

enum line_fate {
	LINE_KEPT,
	LINE_CUT,	/* too long: what is past the maximum is skipped */
	LINE_DROPPED	/* no room: skipped whole */
};

struct intake {
	int		 fd;
	int		 wake_fd;
	bool		 lossless;
	void		(*on_end)(void *);
	void		*on_end_arg;
	pthread_t	 thread;
	unsigned char	*scratch;

	/* the thread's own */
	bool		 readable;
	int64_t		 since_us;	/* monotonic: there may be input to read since */

	pthread_mutex_t	 lock;		/* all below */
	pthread_cond_t	 more;		/* for the consumer */
	pthread_cond_t	 room;		/* for the reader, if lossless */
	unsigned char	*ring;
	size_t		 head;		/* where the whole lines begin */
	size_t		 whole;		/* bytes of whole lines */
	size_t		 partial;	/* bytes of the line that has not ended */
	size_t		 touched;	/* end of the ring's part in use since the last rewind */
	enum line_fate	 fate;		/* of that line */
	bool		 dropping;	/* it has begun, and is dropped */
	struct intake_gap gap;
	bool		 gap_open;
	bool		 finishing;
	long long	 deadline_ms;
	bool		 eof;		/* nothing will be read any more */
	bool		 saw_eof;
	struct intake_stats stats;
};

/* --- the ring, under the lock --------------------------------------------------- */

/* one byte is kept for the newline of a line that was cut */
static size_t
ring_free(const struct intake *in)
{
	return RING_BYTES - 1 - in->whole - in->partial;
}

static void
ring_append(struct intake *in, const unsigned char *data, size_t n)
{
	size_t at = (in->head + in->whole + in->partial) % RING_BYTES, first = RING_BYTES - at;

	if (first > n)
		first = n;
	memcpy(in->ring + at, data, first);
	memcpy(in->ring, data + first, n - first);
	in->partial += n;
	if (in->touched < at + first)
		in->touched = at + first;
}

static void
ring_end_line(struct intake *in)
{
	in->whole += in->partial;
	in->partial = 0;
	in->stats.lines++;
}

/* an idle ring goes back to its beginning, so that its memory stays small */
static void
ring_rewind(struct intake *in)
{
	if (in->whole > 0 || in->head < REWIND_BYTES || in->head + in->partial > RING_BYTES)
		return;
	memmove(in->ring, in->ring + in->head, in->partial);
	in->head = 0;
	if (in->touched > 4 * REWIND_BYTES && in->partial < REWIND_BYTES) {
		madvise(in->ring + REWIND_BYTES, RING_BYTES - REWIND_BYTES, MADV_DONTNEED);
		in->touched = 0;
	}
}

static void
drop_begin(struct intake *in)
{
	if (!in->gap_open) {
		memset(&in->gap, 0, sizeof(in->gap));
		in->gap.from_us = clock_wall_us();
		in->gap_open = true;
	}
	in->gap.bytes += in->partial;
	in->stats.dropped_bytes += in->partial;
	in->partial = 0;
	in->fate = LINE_DROPPED;
	in->dropping = true;
}

/* lines are kept again from the next one on */
static void
resume_if_room(struct intake *in)
{
	if (in->fate == LINE_DROPPED && !in->dropping && ring_free(in) >= RESUME_BYTES)
		in->fate = LINE_KEPT;
}

/* a writer that is faster than the disk is held up a little before anything is dropped */
static bool
wait_for_room(struct intake *in, size_t length)
{
	struct timespec until = clock_monotonic_in_ms(PATIENCE_MS);

	while (ring_free(in) < length)
		if (pthread_cond_timedwait(&in->room, &in->lock, &until) == ETIMEDOUT)
			return ring_free(in) >= length;
	return true;
}

/* what was read becomes lines */
static void
feed(struct intake *in, const unsigned char *p, size_t n)
{
	in->stats.bytes += n;
	while (n > 0) {
		const unsigned char *newline = memchr(p, '\n', n);
		size_t length = newline != NULL ? (size_t)(newline - p) + 1 : n;
		size_t left = MESSAGE_LINE_MAX + 1 - in->partial;	/* of the line, newline aside */

		if (in->fate == LINE_KEPT && ring_free(in) < length) {
			if (!in->lossless) {
				if (!wait_for_room(in, length))
					drop_begin(in);
			} else if (in->finishing) {
				in->partial = 0;	/* what is not taken is still in the file */
				return;
			} else {
				pthread_cond_wait(&in->room, &in->lock);
				continue;
			}
		}
		switch (in->fate) {
		case LINE_KEPT:
			if (length - (newline != NULL) > left) {
				ring_append(in, p, left);
				in->fate = LINE_CUT;
				continue;	/* its end is looked at again */
			}
			ring_append(in, p, length);
			if (newline != NULL)
				ring_end_line(in);
			break;
		case LINE_CUT:
			if (newline != NULL) {
				ring_append(in, newline, 1);
				ring_end_line(in);
				in->fate = LINE_KEPT;
			}
			break;
		case LINE_DROPPED:
			in->gap.bytes += length;
			in->stats.dropped_bytes += length;
			in->dropping = newline == NULL;
			if (newline != NULL) {
				in->gap.lines++;
				in->gap.to_us = clock_wall_us();
				in->stats.dropped_lines++;
				resume_if_room(in);
			}
			break;
		}
		p += length;
		n -= length;
	}
}

static void
note_stall(struct intake *in, int64_t us)
{
	size_t i;

	for (i = 0; i < INTAKE_STALL_BOUNDS && us > intake_stall_bounds_us[i]; i++)
		;
	in->stats.stalls[i]++;
	in->stats.stalls_us += (uint64_t)us;
}

/* --- the thread ------------------------------------------------------------------ */

/* false when there is nothing more to wait for */
static bool
wait_readable(struct intake *in)
{
	struct pollfd fds[2] = { { .fd = in->fd, .events = POLLIN }, { .fd = in->wake_fd, .events = POLLIN } };
	long long left = -1;
	nfds_t count = 2;
	int ready;

	in->readable = false;
	pthread_mutex_lock(&in->lock);
	if (in->finishing) {
		count = 1;
		left = in->deadline_ms - clock_monotonic_ms();
		if (left < 0 || in->lossless)
			left = 0;
	}
	pthread_mutex_unlock(&in->lock);
	if (left == 0 && in->lossless)
		return false;
	ready = poll(fds, 1, 0);
	if (ready == 0) {
		ready = poll(fds, count, (int)left);
		in->since_us = clock_monotonic_us();
	}
	if (ready == -1)
		return errno == EINTR;
	in->readable = fds[0].revents != 0;
	return in->readable || left != 0;	/* if not, woken, or nothing came within the time */
}

static void *
intake_run(void *arg)
{
	struct intake *in = arg;
	ssize_t n = 1;
	int64_t now_us;
	bool late;

	in->since_us = clock_monotonic_us();
	while (wait_readable(in)) {
		if (!in->readable)
			continue;
		n = read(in->fd, in->scratch, READ_BYTES);
		if (n == -1 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n == -1)
			log_error("could not read standard input: %s", strerror(errno));
		if (n <= 0)
			break;
		now_us = clock_monotonic_us();
		pthread_mutex_lock(&in->lock);
		if (!in->lossless)
			note_stall(in, now_us - in->since_us);
		in->since_us = now_us;
		feed(in, in->scratch, (size_t)n);
		pthread_cond_signal(&in->more);
		late = in->finishing && clock_monotonic_ms() >= in->deadline_ms;
		pthread_mutex_unlock(&in->lock);
		if (late)
			break;
	}
	pthread_mutex_lock(&in->lock);
	/* a last line without newline is a line; but not if only our time was over */
	if (in->partial > 0 && n <= 0) {
		ring_append(in, (const unsigned char *)"\n", 1);
		ring_end_line(in);
	} else if (in->partial > 0 && !in->lossless)
		drop_begin(in);
	if (in->fate == LINE_DROPPED && in->dropping) {
		in->gap.lines++;
		in->gap.to_us = clock_wall_us();
		in->stats.dropped_lines++;
	}
	in->eof = true;
	in->saw_eof = n == 0;
	pthread_cond_signal(&in->more);
	pthread_mutex_unlock(&in->lock);
	if (in->on_end != NULL)
		in->on_end(in->on_end_arg);
	return NULL;
}

struct intake *
intake_start(int fd, bool lossless, void (*on_end)(void *), void *arg)
{
	struct intake *in = calloc(1, sizeof(*in));
	pthread_condattr_t attr;
	int error;

	if (in == NULL || (in->scratch = malloc(READ_BYTES)) == NULL) {
		log_error("could not start reading standard input: out of memory");
		free(in);
		return NULL;
	}
	in->fd = fd;
	in->on_end = on_end;
	in->on_end_arg = arg;
	in->lossless = lossless;
	in->wake_fd = eventfd(0, EFD_CLOEXEC);
	in->ring = mmap(NULL, RING_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (in->ring == MAP_FAILED || in->wake_fd == -1) {
		log_error("could not start reading standard input: %s", strerror(errno));
		goto failed;
	}
	/* a larger pipe gives us time; not being allowed to is no error */
	(void)fcntl(fd, F_SETPIPE_SZ, PIPE_BYTES);
	pthread_mutex_init(&in->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&in->more, &attr);
	pthread_cond_init(&in->room, &attr);
	pthread_condattr_destroy(&attr);
	if ((error = pthread_create(&in->thread, NULL, intake_run, in)) != 0) {
		log_error("could not start reading standard input: %s", strerror(error));
		goto failed;
	}
	return in;
failed:
	if (in->ring != MAP_FAILED)
		munmap(in->ring, RING_BYTES);
	if (in->wake_fd != -1)
		close(in->wake_fd);
	free(in->scratch);
	free(in);
	return NULL;
}

void
intake_finish(struct intake *in, unsigned int within_ms)
{
	uint64_t one = 1;

	pthread_mutex_lock(&in->lock);
	in->finishing = true;
	in->deadline_ms = clock_monotonic_ms() + within_ms;
	pthread_cond_signal(&in->room);
	pthread_mutex_unlock(&in->lock);
	if (write(in->wake_fd, &one, sizeof(one)) == -1)
		log_error("could not wake the reader of standard input: %s", strerror(errno));
}

void
intake_free(struct intake *in)
{
	if (in == NULL)
		return;
	pthread_join(in->thread, NULL);
	munmap(in->ring, RING_BYTES);
	close(in->wake_fd);
	pthread_cond_destroy(&in->more);
	pthread_cond_destroy(&in->room);
	pthread_mutex_destroy(&in->lock);
	free(in->scratch);
	free(in);
}

/* --- the consumer ------------------------------------------------------------------ */

static bool
gap_finished(const struct intake *in)
{
	return in->gap_open && (in->fate != LINE_DROPPED || in->eof);
}

bool
intake_wait(struct intake *in, unsigned int ms)
{
	struct timespec until = clock_monotonic_in_ms(ms);
	bool ready;

	pthread_mutex_lock(&in->lock);
	while (!(ready = in->whole > 0 || gap_finished(in) || in->eof))
		if (pthread_cond_timedwait(&in->more, &in->lock, &until) == ETIMEDOUT)
			break;
	pthread_mutex_unlock(&in->lock);
	return ready;
}

size_t
intake_peek(struct intake *in, struct iovec pieces[2])
{
	size_t whole, head, first;

	pthread_mutex_lock(&in->lock);
	whole = in->whole;
	head = in->head;
	pthread_mutex_unlock(&in->lock);
	first = RING_BYTES - head < whole ? RING_BYTES - head : whole;
	pieces[0].iov_base = in->ring + head;
	pieces[0].iov_len = first;
	pieces[1].iov_base = in->ring;
	pieces[1].iov_len = whole - first;
	return whole;
}

void
intake_consume(struct intake *in, size_t bytes)
{
	pthread_mutex_lock(&in->lock);
	in->head = (in->head + bytes) % RING_BYTES;
	in->whole -= bytes;
	ring_rewind(in);
	resume_if_room(in);
	pthread_cond_signal(&in->room);
	pthread_mutex_unlock(&in->lock);
}

bool
intake_take_gap(struct intake *in, struct intake_gap *gap)
{
	bool taken;

	pthread_mutex_lock(&in->lock);
	taken = gap_finished(in);
	if (taken) {
		*gap = in->gap;
		if (gap->to_us == 0)
			gap->to_us = clock_wall_us();
		in->gap_open = false;
	}
	pthread_mutex_unlock(&in->lock);
	return taken;
}

bool
intake_ended(struct intake *in)
{
	bool ended;

	pthread_mutex_lock(&in->lock);
	ended = in->eof && in->whole == 0 && !in->gap_open;
	pthread_mutex_unlock(&in->lock);
	return ended;
}

bool
intake_is_over(struct intake *in)
{
	bool eof;

	pthread_mutex_lock(&in->lock);
	eof = in->eof;
	pthread_mutex_unlock(&in->lock);
	return eof;
}

bool
intake_saw_eof(struct intake *in)
{
	bool saw;

	pthread_mutex_lock(&in->lock);
	saw = in->saw_eof;
	pthread_mutex_unlock(&in->lock);
	return saw;
}

void
intake_stats(struct intake *in, struct intake_stats *stats)
{
	pthread_mutex_lock(&in->lock);
	*stats = in->stats;
	stats->held_bytes = in->whole + in->partial;
	pthread_mutex_unlock(&in->lock);
}
