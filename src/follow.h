/*
 * follow.h - has the database follow the log: after commits, runs a function of the database
 * on a connection of its own until it says that nothing is left.  A thread that may wait for
 * the database as long as it takes; loading does not depend on it.
 */
#ifndef FOLLOW_H
#define FOLLOW_H

#include <stdbool.h>
#include <stdint.h>

struct follow;

struct follow_config {
	const char	*conninfo;	/* libpq's, may be "" */
	const char	*name;		/* for the figures */
	const char	*target;	/* what is brought up to date, for the log */
	const char	*statement;	/* gives one number: dealt with, 0: nothing is left, -1: others are at it */
	const char	*parameter;	/* its $1, NULL if it has none */
	bool		 optional;	/* the database may have no such function */
	unsigned int	 pause_ms;	/* from one run to the next, so that it has enough to do */
	void		(*on_settled)(void *);	/* from the thread; may call nothing of this interface */
	void		*arg;
};

struct follow_stats {
	const char	*name;
	uint64_t	runs;		/* that had something to do */
	uint64_t	failures;	/* runs, and connections for them */
	int64_t		stalled_us;	/* how long work has waited for a run that succeeds, 0 if there is none */
};

/* the config's strings must outlive the process: the thread ends with it. NULL after logging why */
struct follow	*follow_start(const struct follow_config *);
/* something was committed; connection: a number of that which did it, another one when the server was away */
void		 follow_wake(struct follow *, uint64_t connection);
/* nothing more will be committed: what failed is tried once more at once */
void		 follow_hurry(struct follow *);
/* the process is about to end: on_settled comes no more */
void		 follow_leave(struct follow *);
/* nothing is left to do of what was committed before the last wake, or it cannot be done now */
bool		 follow_is_settled(struct follow *);
void		 follow_stats(struct follow *, struct follow_stats *);

#endif
