/*
 * novelty.h - what a peer announced before on a UTC day, as far as is remembered: paths and
 * communities, as hashes in a table of fixed size.  What was forgotten is new again; what
 * never was there is never taken for known (but for one in 2^64 that have the same hash, of a
 * secret that the Internet does not know).
 */
#ifndef NOVELTY_H
#define NOVELTY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct novelty;

/* NULL: no memory */
struct novelty	*novelty_new(void);
void		 novelty_free(struct novelty *);
/* to be called when rows that it was told of may not have been stored */
void		 novelty_forget(struct novelty *);
/*
 * Has the peer announced a route of this family (NULL: unicast of IP version 4 or 6) with these
 * bytes before on the UTC day of this time (microseconds since 1970)?
 */
bool		 novelty_is_known(struct novelty *, int32_t peer_id, int64_t time_us, const char *family, int version,
		    const void *, size_t);

#endif
