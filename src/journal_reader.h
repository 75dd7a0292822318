/*
 * journal_reader.h - the journal's lines and events in order, live or left by a crash.
 * Blocks of earlier runs are verified: what is damaged or missing becomes a gap, what
 * is whole is read.  For one thread, another one than the journal's.
 */
#ifndef JOURNAL_READER_H
#define JOURNAL_READER_H

#include "journal.h"

enum journal_type {
	JOURNAL_NOTHING,	/* yet */
	JOURNAL_LINE,
	JOURNAL_START,		/* of a helper: text is its process id */
	JOURNAL_RESYNC,		/* a note of resync.h's: text */
	JOURNAL_STOP,		/* of a helper: text says why */
	JOURNAL_GAP,		/* input lost: from, to, lines, bytes; text says why */
	JOURNAL_UNVERIFIED	/* lines follow that have no checksum any more; text says which. Again after a seek */
};

struct journal_record {
	enum journal_type	 type;
	struct journal_position	 position;
	struct journal_position	 next;		/* after it; the same for what is no line */
	int64_t			 time_us;	/* when it was written, since 1970 UTC */
	const char		*line;		/* JOURNAL_LINE: without newline; valid until the next read */
	size_t			 length;
	int64_t			 from_us;	/* JOURNAL_GAP; MESSAGE_NO_NUMBER where not known */
	int64_t			 to_us;
	int64_t			 lines;
	int64_t			 bytes;
	bool			 unclean;	/* JOURNAL_START: the run before did not see its input's end */
	char			 text[256];
};

struct journal_reader;

/* both must outlive the reader; NULL if out of memory */
struct journal_reader	*journal_reader_new(struct journal *, const char *directory);
void	journal_reader_free(struct journal_reader *);
/* where to read next; if that is gone, what comes after it */
void	journal_reader_seek(struct journal_reader *, const struct journal_position *);
/* false if there is nothing yet */
bool	journal_reader_next(struct journal_reader *, struct journal_record *);

/* when the first line on disk was written, be it loaded or not; MESSAGE_NO_NUMBER if there is none */
int64_t	journal_reader_oldest_us(struct journal *, const char *directory);

#endif
