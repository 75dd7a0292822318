/*
 * intake.h - takes standard input in, whatever happens behind it.
 * A thread of its own reads as soon as there is something to read and cuts the bytes
 * into lines in bounded memory, where one consumer (the journal) fetches them.  If the
 * consumer falls behind by all of that memory, whole lines are dropped and counted.
 */
#ifndef INTAKE_H
#define INTAKE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

struct intake;

/* lines dropped in one go, times in microseconds since 1970 */
struct intake_gap {
	int64_t		from_us;
	int64_t		to_us;
	uint64_t	lines;
	uint64_t	bytes;
};

/*
 * A stall: how long there may have been input that was not read, from when poll said so,
 * or from the read before if there was more at once, to the read.  Not of a file, which
 * can wait.
 */
#define INTAKE_STALL_BOUNDS	10

struct intake_stats {
	uint64_t	lines;
	uint64_t	bytes;
	uint64_t	dropped_lines;
	uint64_t	dropped_bytes;
	uint64_t	held_bytes;				/* now in memory, not consumed */
	uint64_t	stalls[INTAKE_STALL_BOUNDS + 1];	/* of at most the bound; the last: longer ones */
	uint64_t	stalls_us;				/* their sum */
};

extern const int64_t intake_stall_bounds_us[INTAKE_STALL_BOUNDS];

/*
 * lossless: wait for the consumer rather than drop, for input that can wait (a file).
 * on_end, or NULL: called from the thread when nothing more will be read.
 * NULL after logging why.
 */
struct intake	*intake_start(int fd, bool lossless, void (*on_end)(void *), void *arg);
/* end of input by choice: reads on until end of file, at most this long */
void		 intake_finish(struct intake *, unsigned int within_ms);
/* after end of input */
void		 intake_free(struct intake *);

/*
 * For the consumer.  wait: true if there are whole lines, a finished gap or the end of
 * input, false after the time.  peek: whole lines, in at most two pieces, that stay
 * until consumed; returns their bytes.  A line of more than MESSAGE_LINE_MAX bytes is
 * cut to one byte more than that.
 */
bool		 intake_wait(struct intake *, unsigned int ms);
size_t		 intake_peek(struct intake *, struct iovec pieces[2]);
void		 intake_consume(struct intake *, size_t bytes);
bool		 intake_take_gap(struct intake *, struct intake_gap *);
/* nothing more will be read */
bool		 intake_is_over(struct intake *);
/* and all of it is consumed */
bool		 intake_ended(struct intake *);
/* stdin itself ended, as opposed to intake_finish's time */
bool		 intake_saw_eof(struct intake *);
void		 intake_stats(struct intake *, struct intake_stats *);

#endif
