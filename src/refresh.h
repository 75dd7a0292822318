/*
 * refresh.h - which families of a peer are being sent again: route refresh (RFC 2918)
 * and its marks of begin and end (BoRR and EoRR, RFC 7313).  An announcement that comes
 * in answer may repeat what was known, and the log says so of it.
 */
#ifndef REFRESH_H
#define REFRESH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REFRESH_FAMILIES	16	/* of one peer; more are not followed */
#define REFRESH_FAMILY_SIZE	32
#define REFRESH_TEXT_SIZE	(REFRESH_FAMILIES * (REFRESH_FAMILY_SIZE + 24))

enum refresh_phase {
	REFRESH_ASKED = 'a',	/* by us, not begun */
	REFRESH_BEGUN = 'b',	/* not asked for by us */
	REFRESH_ANSWERED = 'B',	/* asked for, and begun */
	REFRESH_MISSED = 'm',	/* so, but lines of it were missed: its end will not make the state certain */
	REFRESH_OVERDUE = 'x'	/* asked for, and given up */
};

struct refresh {
	enum refresh_phase phase;
	int64_t		 since_us;
	char		 family[REFRESH_FAMILY_SIZE];
};

/* of one peer; all zero: none */
struct refreshes {
	struct refresh	*list;		/* NULL, or REFRESH_FAMILIES */
	size_t		 count;
};

/* forgets all, and frees the memory */
void	refreshes_clear(struct refreshes *);

void	refreshes_ask(struct refreshes *, const char *family, int64_t now_us);
void	refreshes_begin(struct refreshes *, const char *family, int64_t now_us);
void	refreshes_end(struct refreshes *, const char *family);
/* lines were missed: what is being answered cannot be whole */
void	refreshes_miss(struct refreshes *);
/* gives up what is_overdue */
void	refreshes_expire(struct refreshes *, int64_t now_us);

/* NULL if it is not being refreshed */
const struct refresh	*refreshes_find(const struct refreshes *, const char *family);
bool	refresh_is_overdue(const struct refresh *, int64_t now_us);
/* none that we asked for is unanswered */
bool	refreshes_complete(const struct refreshes *);
/*
 * Is an announcement of this family one that was asked for?  A peer that marks
 * the begin (enhanced) is believed to do so.
 */
bool	refreshes_cover(const struct refreshes *, const char *family, bool enhanced);

/* as stored in bgp.peer.refreshing: "PHASE MICROSECONDS FAMILY;..."; size REFRESH_TEXT_SIZE */
void	refreshes_text(const struct refreshes *, char *text);
void	refreshes_parse(struct refreshes *, const char *text);

#endif
