/*
 * arena.h - memory for the decoding of one line: taken piece by piece, given back
 * at once.  Nothing in it is freed singly.  Not for use by two threads.
 */
#ifndef ARENA_H
#define ARENA_H

#include <stdarg.h>
#include <stddef.h>

struct arena;

/* limit: bytes that may be taken between two resets; NULL if out of memory */
struct arena	*arena_new(size_t limit);
void		 arena_free(struct arena *);
/* aligned for any object; NULL past the limit or out of memory */
void		*arena_alloc(struct arena *, size_t) __attribute__((__malloc__));
char		*arena_printf(struct arena *, const char *, ...)
		    __attribute__((__format__(__printf__, 2, 3)));
char		*arena_vprintf(struct arena *, const char *, va_list)
		    __attribute__((__format__(__printf__, 2, 0)));
/* gives everything back, keeping some blocks for the next line */
void		 arena_reset(struct arena *);

#endif
