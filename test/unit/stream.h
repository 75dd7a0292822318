/* stream.h - input for the tests of intake and journal: written by a thread, in pieces. */
#ifndef STREAM_H
#define STREAM_H

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include "unit.h"

#define DEADLINE_SECONDS	60.0

struct stream {
	int		 fds[2];	/* of a pipe; [0] is the reader's */
	pthread_t	 thread;
	const char	*data;
	size_t		 length;
	unsigned int	 seed;		/* 0: as much at once as goes */
	bool		 close;		/* when all is written */
};

static inline void *
stream_run(void *arg)
{
	struct stream *s = arg;
	size_t at = 0;

	while (at < s->length) {
		size_t n = s->length - at, most;
		ssize_t written;

		if (s->seed != 0) {
			/* mostly a few bytes or some lines, at times a lot */
			most = rand_r(&s->seed) % 50 == 0 ? 300000 : rand_r(&s->seed) % 3 == 0 ? 5000 : 700;
			most = (size_t)rand_r(&s->seed) % most + 1;
			if (n > most)
				n = most;
		}
		written = write(s->fds[1], s->data + at, n);
		if (written == -1 && errno == EINTR)
			continue;
		if (written <= 0)
			break;
		at += (size_t)written;
	}
	if (s->close)
		close(s->fds[1]);
	return NULL;
}

static inline void
stream_open(struct stream *s)
{
	memset(s, 0, sizeof(*s));
	assert_int_equal(pipe2(s->fds, O_CLOEXEC), 0);
}

/* data must stay; stream_join before the next */
static inline void
stream_write(struct stream *s, const char *data, size_t length, unsigned int seed, bool and_close)
{
	s->data = data;
	s->length = length;
	s->seed = seed;
	s->close = and_close;
	assert_int_equal(pthread_create(&s->thread, NULL, stream_run, s), 0);
}

static inline void
stream_join(struct stream *s)
{
	pthread_join(s->thread, NULL);
}

/* lines "#N xxxx...\n" numbered from first, of random lengths */
static inline void
add_lines(struct text *t, unsigned int first, unsigned int count, size_t longest, unsigned int seed)
{
	char *padding = malloc(longest + 1);
	unsigned int i;

	assert_non_null(padding);
	memset(padding, 'x', longest);
	for (i = 0; i < count; i++) {
		text_addf(t, "#%u ", first + i);
		text_add(t, padding, (size_t)rand_r(&seed) % (longest + 1));
		text_add(t, "\n", 1);
	}
	free(padding);
}

/* fails when the time is over */
struct deadline {
	double	at;
};

static inline struct deadline
deadline_begin(void)
{
	return (struct deadline){ seconds_now() + DEADLINE_SECONDS };
}

static inline void
deadline_check(const struct deadline *d, const char *what)
{
	if (seconds_now() > d->at)
		fail_msg("%s: nothing happens any more", what);
}

/* a little while, for a condition that nobody signals */
static inline void
deadline_pause(const struct deadline *d, const char *what)
{
	struct timespec ms = { 0, 1000000 };

	deadline_check(d, what);
	nanosleep(&ms, NULL);
}

#endif
