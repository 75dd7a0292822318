/*
 * resync.h - after a start that may have missed lines, asks ExaBGP to have its peers
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
struct resync;
struct uv_loop_s;

/* is there an ExaBGP at the other end of stdout, as far as one can tell? */
bool		 resync_possible(void);

/* begins; directory: of the open journal, both must outlive it. NULL after logging why */
struct resync	*resync_start(struct uv_loop_s *, struct journal *, const char *directory);
/* the journal changed; to be called before what may release it */
void		 resync_wake(struct resync *);
/* before the loop ends; frees itself when the loop has run. Takes NULL */
void		 resync_close(struct resync *);

#endif
