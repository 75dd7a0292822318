/*
 * journal.h - the input on disk, in order, until the database has it.
 *
 * DIR/lock			flock of the helper that owns the journal
 * DIR/id			its UUID: what bgp.ingest_position knows it by
 * DIR/NNNNNNNNNNNN.jsonl	segment: the lines of standard input as they came
 * DIR/NNNNNNNNNNNN.index	what is in it: one text line a block written, see journal.c
 *
 * A thread moves lines from the intake to the newest segment, another has the disk keep
 * them; a segment goes when all of it is committed.  Reading is journal_reader.h's.  A
 * run begins a segment of its own, so that what a crash left is never written to.
 */
#ifndef JOURNAL_H
#define JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct intake;
struct journal;

struct journal_config {
	const char	*directory;	/* created 0700; must outlive the journal */
	uint64_t	 max_bytes;	/* of all segments; above, nothing is taken from the intake */
	unsigned int	 sync_ms;	/* from one sync to the next: what a power failure may cost; not 0 */
	bool		 lossless;	/* the intake waits: keep the backlog small */
	void		(*on_change)(void *);	/* from the journal's thread: more to read, or ended */
	void		*arg;
};

struct journal_position {
	uint64_t	segment;	/* 0: before the first */
	uint64_t	offset;
};

/* what there is to read of a segment */
struct journal_extent {
	uint64_t	number;
	uint64_t	bytes;		/* of lines */
	bool		finished;	/* nothing will be added */
	bool		trusted;	/* of this run: checksums need not be verified */
};

#define JOURNAL_ID_SIZE		37
#define JOURNAL_NAME_SIZE	32
#define JOURNAL_NOTE_SIZE	256

/* starts the thread; the directory may become usable at any time later. NULL after logging why */
struct journal	*journal_start(const struct journal_config *, struct intake *);
/* stops at once, after the block under way */
void		 journal_free(struct journal *);

/* false as long as the directory cannot be used; id has JOURNAL_ID_SIZE bytes */
bool		 journal_id(struct journal *, char *id);
/* the previous helper left without seeing the end of its input: lines may be missing */
bool		 journal_unclean(struct journal *);
/*
 * Has a line about a resync written to the index of the segment under way: text without
 * newline, less than JOURNAL_NOTE_SIZE bytes.  It comes before all lines not yet written.
 */
void		 journal_note(struct journal *, const char *text);
/* how many gaps this run has written: lines that were dropped since there was no room */
uint64_t	 journal_gaps(struct journal *);
/* where the next line will be */
void		 journal_end(struct journal *, struct journal_position *);
/* the first segment of this run; what comes before was left by earlier ones */
uint64_t	 journal_first_of_run(struct journal *);
/* the first segment whose number is at least this; false if there is none that may be read yet */
bool		 journal_extent(struct journal *, uint64_t number, struct journal_extent *);
/* all before this is committed */
void		 journal_release(struct journal *, const struct journal_position *);
/* input has ended and all of it is in the journal */
bool		 journal_ended(struct journal *);
/* lines wait until some of it is released */
bool		 journal_is_full(struct journal *);
/* bytes from this position to the end */
uint64_t	 journal_backlog(struct journal *, const struct journal_position *);
/* bytes on disk, of which max_bytes are the limit */
uint64_t	 journal_disk_bytes(struct journal *);
/* nothing is left to load: gives the disk space back. Only after journal_ended */
void		 journal_clear(struct journal *);

/* file name of a segment, suffix "jsonl" or "index"; JOURNAL_NAME_SIZE bytes */
void		 journal_segment_name(char *, uint64_t number, const char *suffix);

#endif
