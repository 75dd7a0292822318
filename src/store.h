/*
 * store.h - batches into PostgreSQL, each exactly once.
 * With follow.h the only module that sees libpq.  A store owns one connection, does one thing at a
 * time and goes on trying for ever; every failure ends in on_open, which tells where
 * the database really is.  Whoever fills batches begins anew from there, so nothing
 * has to be remembered of a batch whose fate was unknown.
 */
#ifndef STORE_H
#define STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "batch.h"

struct uv_loop_s;
struct peer;
struct store;

/* a peer as the last commit left it; MESSAGE_NO_NUMBER where there is none */
struct store_peer {
	struct peer_key	 key;
	int32_t		 id;
	int64_t		 pid;
	int64_t		 counter;
	int64_t		 last_us;
	bool		 down;
	bool		 stale;
	enum message_enhanced enhanced;
	const char	*refreshing;	/* refresh.h's text, "" for none */
};

struct store_config {
	const char	*conninfo;	/* libpq's, may be "" */
	const char	*collector;
	/* all callbacks come from the loop, never from within a call of this interface */
	void		(*on_peer)(void *, const struct store_peer *);
	/* after on_peer for each peer there is: ready, the journal is loaded up to here */
	void		(*on_open)(void *, const struct batch_position *, int64_t seq);
	void		(*on_ready)(void *);	/* what was asked for is done */
	/* PostgreSQL refused a row of the batch for what it says: on_open comes next */
	void		(*on_rejected)(void *, const char *why);
	void		*arg;
};

struct store_stats {
	uint64_t	batches;
	uint64_t	rows;
	uint64_t	connects;
	uint64_t	failures;
	bool		up;	/* connected, and the database can be loaded as far as is known */
};

/* is the string one that libpq takes? Logs why not */
bool		 store_conninfo_valid(const char *);

/* NULL after logging why; the config's strings must outlive it */
struct store	*store_new(struct uv_loop_s *, const struct store_config *);
/* connects, and goes on until on_open; journal_id: of the journal to be loaded */
void		 store_open(struct store *, const char *journal_id);
/* drops the connection; frees itself when the loop has run */
void		 store_close(struct store *);
/* on_open has come, and what was asked for since is done */
bool		 store_is_ready(const struct store *);

/*
 * Only when ready, one at a time; on_ready tells, and of a day that the log will not have the
 * peer's refused_day.  A batch must stay as it is until
 * then, or until on_open.
 */
void		 store_ensure_peer(struct store *, struct peer *);
void		 store_ensure_partition(struct store *, struct peer *, int64_t day);
void		 store_load(struct store *, const struct batch *);
/* a batch that has a route may be given before it is sealed: it has more now, or is sealed */
void		 store_more(struct store *);

void		 store_stats(const struct store *, struct store_stats *);

#endif
