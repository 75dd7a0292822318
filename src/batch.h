/*
 * batch.h - rows of one transaction, already in PostgreSQL's binary COPY format
 * (PostgreSQL manual, COPY, "Binary Format"), and what the commit says besides.
 */
#ifndef BATCH_H
#define BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "journal.h"
#include "message.h"

struct novelty;
struct peer;

enum batch_table { BATCH_ROUTES, BATCH_SESSIONS, BATCH_ERRORS, BATCH_GAPS, BATCH_TABLES };

/* a place in the journal, to the event: a line may give several rows */
struct batch_position {
	struct journal_position	journal;
	int32_t			events;	/* at that place that are before it */
};

/* what the commit says of a peer, as it was when the batch was sealed */
struct batch_peer {
	struct peer	*peer;
	int32_t		 id;
	int64_t		 last_us;
	int64_t		 pid;
	int64_t		 counter;
	enum peer_state	 state;
	int64_t		 state_us;
	struct inet	 router_id;
	int64_t		 stale_us;	/* PEER_NOT_STALE: no more; MESSAGE_NO_NUMBER: as before */
	enum message_enhanced enhanced;	/* UNKNOWN: as before */
	char		*refreshing;	/* refresh.h's text; NULL: as before */
	int64_t		 rows_from_us;	/* times of its rows, MESSAGE_NO_NUMBER: none */
	int64_t		 rows_to_us;
};

struct batch {
	struct buf	 copy[BATCH_TABLES];
	size_t		 rows[BATCH_TABLES];
	uint64_t	 number;	/* tells batches apart, never 0 */
	struct batch_position from;
	struct batch_position to;
	bool		 sealed;	/* complete */
	int64_t		 seq;		/* of the last row */
	size_t		 lines;
	long long	 first_ms;	/* monotonic, when its first line came */
	int64_t		 first_us;	/* when that was journaled, or MESSAGE_NO_NUMBER */
	int64_t		 pending_us;	/* when what comes after it was journaled, or MESSAGE_NO_NUMBER */
	uint64_t	 backlog_bytes;	/* after it */
	struct batch_peer *peers;	/* that its lines are of */
	size_t		 peers_count;
	size_t		 peers_size;
	/* attributes as encoded for the row before: one UPDATE has many prefixes */
	struct buf	 tail;
	size_t		 tail_novel;	/* where path and communities begin and end in it */
	size_t		 tail_novel_end;
	const struct attributes *tail_of;
	const char	*tail_family;	/* and IP version: of the last row with it */
	int		 tail_version;
	bool		 tail_valid;
	struct novelty	*novelty;	/* the caller's; NULL: rows do not say whether they repeat others */
};

/* empties it; position: where it begins, seq: of the last row before it */
void	batch_begin(struct batch *, uint64_t number, const struct batch_position *, int64_t seq);
void	batch_free(struct batch *);
size_t	batch_rows(const struct batch *);
size_t	batch_bytes(const struct batch *);
/* nothing in it, not even a line that gave no row */
bool	batch_is_empty(const struct batch *);

/* the commit is to say this of a peer */
void	batch_peer(struct batch *, struct peer *);
/* the batch gets a row of this peer and time, a route or an event of its session */
void	batch_peer_row(struct batch *, struct peer *, int64_t time_us);
/* complete: what it says of peers is what they are now */
void	batch_seal(struct batch *);
/* memory behind attributes may be used again: forget what was encoded */
void	batch_next_message(struct batch *);

/* one row each; times in microseconds since 1970 UTC, or MESSAGE_NO_NUMBER for NULL */
void	batch_route(struct batch *, int64_t time_us, int32_t peer_id, bool refreshed, const struct route *);
/* peer_id 0: of no peer */
void	batch_session(struct batch *, int64_t time_us, int32_t peer_id, const char *collector, const char *event,
	    const char *family, const char *detail);
/* line: the first MESSAGE_LINE_KEPT bytes are stored, made valid text */
void	batch_error(struct batch *, int64_t time_us, const char *collector, const char *line, size_t length,
	    const char *error);
void	batch_gap(struct batch *, const char *collector, int64_t from_us, int64_t to_us, int64_t lines, int64_t bytes,
	    const char *reason, int32_t peer_id);

/* the statement that takes copy[table] */
const char	*batch_copy_statement(enum batch_table);

#endif
