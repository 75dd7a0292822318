/*
 * loader.h - from the journal to the store: decodes lines into batches while the one
 * before is being committed.  Runs in the loop's thread; begins anew from what the
 * database says whenever anything failed.
 */
#ifndef LOADER_H
#define LOADER_H

#include <stdbool.h>
#include <stdint.h>

struct journal;
struct uv_loop_s;
struct loader;

struct loader_config {
	const char	*conninfo;
	const char	*collector;
	const char	*spool;
	unsigned int	 batch_rows;
	unsigned int	 batch_ms;
	void		(*on_commit)(void *, uint64_t connects);	/* connects: so far, as in the stats */
	void		(*on_loaded)(void *);	/* input has ended and all of it is in the database */
	void		*arg;
};

struct loader_stats {
	uint64_t	lines;		/* decoded, those of a batch that failed again */
	uint64_t	batches;	/* committed, as what follows */
	uint64_t	routes;
	uint64_t	sessions;
	uint64_t	errors;
	uint64_t	gaps;
	uint64_t	connects;
	uint64_t	failures;
	uint64_t	backlog_bytes;	/* of the journal that are not committed */
	int64_t		lag_us;		/* age of the oldest line of them, 0 if there is none */
	int64_t		commit_us;	/* time of the last commit, 0 if none */
	int64_t		gap_us;		/* and of the last one that recorded a gap */
	bool		up;		/* the database can be loaded as far as is known */
};

/* NULL after logging why */
struct loader	*loader_new(struct uv_loop_s *, struct journal *, const struct loader_config *);
/* the journal changed */
void		 loader_wake(struct loader *);
/* commits what it has without waiting for more; begins no batch after this if last */
void		 loader_hurry(struct loader *, bool last);
/* no batch is under way */
bool		 loader_is_idle(const struct loader *);
/* before the loop ends; freed when it has */
void		 loader_close(struct loader *);
void		 loader_free(struct loader *);
void		 loader_stats(const struct loader *, struct loader_stats *);

#endif
