/*
 * resync.h - after lines may have been missed, asks ExaBGP to have its peers
 * send their tables again (route refresh, RFC 2918), on stdout.
 *
 * "show neighbor extensive" of ExaBGP 4.x and 5.x tells which sessions are up, with
 * which families, and whether the peer can refresh: one that cannot would end the
 * session.  The answer is read from the journal, so this works without the database.
 * What was asked for is noted in the journal, for the loader:
 *
 *	asked PEER LOCAL ASN FAMILY		(PEER, LOCAL: addresses, LOCAL "-" if not told)
 *	impossible PEER LOCAL ASN REASON...
 *	impossible all - - REASON...
 */
#ifndef RESYNC_H
#define RESYNC_H

#include <stdbool.h>

struct journal;
struct journal_position;
struct resync;
struct uv_loop_s;

/* is there an ExaBGP at the other end of stdout, as far as one can tell? */
bool		 resync_possible(void);

/*
 * Begins; directory: of the open journal, both must outlive it; from: where the answer cannot be
 * before; why: for the log, a literal.  NULL after logging why not.
 */
struct resync	*resync_start(struct uv_loop_s *, struct journal *, const char *directory,
		    const struct journal_position *from, const char *why);
/* nothing is awaited any more. True of NULL */
bool		 resync_is_over(const struct resync *);
/* the journal changed; to be called before what may release it */
void		 resync_wake(struct resync *);
/* before the loop ends; frees itself when the loop has run. Takes NULL */
void		 resync_close(struct resync *);

#endif
