/*
 * peer.h - the BGP peers of this collector, as far as loading must know them.
 */
#ifndef PEER_H
#define PEER_H

#include <stdbool.h>
#include <stdint.h>

#include "message.h"
#include "refresh.h"

struct peers;

#define PEER_READY_DAYS	4	/* late data goes to and fro between days */

struct peer {
	struct peer_key	key;
	int32_t		id;		/* bgp.peer.peer_id; 0: not in the database yet */
	int64_t		pid;		/* of the ExaBGP that counter belongs to, or MESSAGE_NO_NUMBER */
	int64_t		counter;	/* ExaBGP's, of the last line, or MESSAGE_NO_NUMBER */
	int64_t		last_us;	/* time of that line */
	int64_t		ready_days[PEER_READY_DAYS];	/* whose partitions are known to exist, days since 1970 */
	unsigned int	ready_next;	/* of them, to be replaced */
	int64_t		refused_day;	/* which the log will not have, or MESSAGE_NO_NUMBER */
	bool		up;		/* as far as this run knows */
	bool		down;		/* so it was when last heard of */
	bool		stale;		/* lines of it may have been missed */
	enum message_enhanced enhanced;
	struct refreshes refreshes;
	/* what the batch under way is to say of it */
	uint64_t	batch;		/* number of the batch that has it, 0: none */
	enum peer_state	state;
	int64_t		state_us;
	struct inet	router_id;
	int64_t		stale_us;	/* since then; PEER_NOT_STALE: no more; MESSAGE_NO_NUMBER: as before */
	bool		refreshes_changed;
	bool		enhanced_changed;
	int64_t		rows_from_us;	/* times of its rows, MESSAGE_NO_NUMBER: none */
	int64_t		rows_to_us;
};

#define PEER_NOT_STALE	INT64_C(-2)

/* most peers of one collector: bounds memory against made-up lines */
#define PEERS_MAX	65536

struct peers	*peers_new(void);
void		 peers_free(struct peers *);
/* forgets all */
void		 peers_clear(struct peers *);
/* made if new; NULL if there are PEERS_MAX. Stays until cleared */
struct peer	*peers_get(struct peers *, const struct peer_key *);
/* NULL if there is none */
struct peer	*peers_find(struct peers *, const struct peer_key *);
void		 peers_each(struct peers *, void (*)(void *, struct peer *), void *);

/*
 * How many lines of ExaBGP for this peer, between the last one noted and this one,
 * never reached us; 0 if none or if ExaBGP began to count anew.
 */
int64_t		 peer_missed_lines(const struct peer *, int64_t pid, int64_t counter);
void		 peer_note_line(struct peer *, int64_t pid, int64_t counter);

bool		 peer_day_ready(const struct peer *, int64_t day);
void		 peer_day_set_ready(struct peer *, int64_t day);

#endif
