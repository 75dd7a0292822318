/*
 * resync.h - asks ExaBGP to have its peers send their tables again.
 */
#ifndef RESYNC_H
#define RESYNC_H

#include <stdbool.h>

/* is there an ExaBGP at the other end of stdout, as far as one can tell? */
bool	resync_possible(void);

/*
 * Writes the commands for a route refresh (RFC 2918) of each established peer to
 * stdout.  4.x and 5.x answer "done", or "error" where no session is up.
 */
void	resync_ask(void);

#endif
