#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include <zlib.h>

#include "buf.h"
#include "clock.h"
#include "journal_reader.h"
#include "log.h"
#include "message.h"

#define KEPT_BYTES	((size_t)2 * 1024 * 1024)	/* of the buffer, after a longer line */
#define BLOCK_MAX	(MESSAGE_LINE_MAX + 2)
#define OFFSET_MAX	(UINT64_MAX / 4)	/* more is damage */
#define PATIENCE_MS	5000	/* with a disk that cannot be read, before what is there counts as lost */
#define RAW_BYTES	((size_t)1024 * 1024)		/* read at once where there is no index */

struct journal_reader {
	struct journal	*journal;
	const char	*directory;
	struct journal_position cursor;		/* of what is read next */
	bool		 sought;		/* and the place may be gone */
	uint64_t	 segment;		/* open one, 0 if none */
	bool		 trusted;
	uint64_t	 end;			/* of its lines, if the segment after it says so */
	int		 fd;
	FILE		*index;
	char		*index_line;
	size_t		 index_size;
	bool		 index_held;		/* index_line is to be looked at again */
	uint64_t	 covered;		/* bytes of the segment that are dealt with */
	bool		 later;			/* a segment could not be opened or read for now */
	long long	 unreadable_ms;		/* since when, 0: it was read last */
	bool		 unverified_told;	/* of the bytes being read that have no checksum */
	struct log_repeat trouble;
	struct buf	 block;			/* whole lines */
	size_t		 block_at;		/* of the next one */
	uint64_t	 block_offset;		/* in the segment */
	int64_t		 block_time_us;
};

struct journal_reader *
journal_reader_new(struct journal *journal, const char *directory)
{
	struct journal_reader *r = calloc(1, sizeof(*r));

	if (r != NULL) {
		r->journal = journal;
		r->directory = directory;
		r->fd = -1;
	}
	return r;
}

static void
segment_close(struct journal_reader *r)
{
	if (r->fd != -1)
		close(r->fd);
	if (r->index != NULL)
		fclose(r->index);
	r->fd = -1;
	r->index = NULL;
	r->index_held = false;
	r->segment = 0;
	r->covered = 0;
	r->unverified_told = false;
	buf_clear(&r->block);
	r->block_at = 0;
}

void
journal_reader_free(struct journal_reader *r)
{
	if (r == NULL)
		return;
	segment_close(r);
	free(r->index_line);
	buf_free(&r->block);
	free(r);
}

void
journal_reader_seek(struct journal_reader *r, const struct journal_position *p)
{
	segment_close(r);
	r->cursor = *p;
	r->sought = true;
}

static void
record_init(struct journal_reader *r, struct journal_record *rec, enum journal_type type)
{
	memset(rec, 0, offsetof(struct journal_record, text));
	rec->text[0] = '\0';
	rec->type = type;
	rec->position = rec->next = r->cursor;
	rec->time_us = rec->from_us = rec->to_us = rec->lines = rec->bytes = MESSAGE_NO_NUMBER;
}

/* numbers of a damaged index are not known */
static void
record_check(struct journal_record *rec)
{
	int64_t *times[] = { &rec->time_us, &rec->from_us, &rec->to_us };
	size_t i;

	for (i = 0; i < sizeof(times) / sizeof(times[0]); i++)
		if (*times[i] < 0 || *times[i] >= MESSAGE_TIME_END_US)
			*times[i] = MESSAGE_NO_NUMBER;
	if (rec->lines < 0)
		rec->lines = MESSAGE_NO_NUMBER;
	if (rec->bytes < 0)
		rec->bytes = MESSAGE_NO_NUMBER;
}

/* a gap up to here in the segment */
static void
gap(struct journal_reader *r, struct journal_record *rec, uint64_t end, const char *why)
{
	record_init(r, rec, JOURNAL_GAP);
	rec->bytes = (int64_t)(end - r->cursor.offset);
	snprintf(rec->text, sizeof(rec->text), "%s: segment %" PRIu64 " of the journal, bytes %" PRIu64 " to %" PRIu64,
	    why, r->segment, r->cursor.offset, end);
	r->cursor.offset = end;
	r->covered = end;
	rec->next = r->cursor;
	log_error("%s", rec->text);
}

/* a file of a segment; -1 with ENOENT if what is there is no file: a FIFO would keep us waiting */
static int
open_regular(const char *directory, uint64_t segment, const char *suffix, char path[PATH_MAX])
{
	char name[JOURNAL_NAME_SIZE];
	struct stat st;
	int fd;

	journal_segment_name(name, segment, suffix);
	snprintf(path, PATH_MAX, "%.*s/%s", PATH_MAX - JOURNAL_NAME_SIZE - 2, directory, name);
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd != -1 && (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode))) {
		close(fd);
		fd = -1;
		errno = ENOENT;
	}
	return fd;
}

static FILE *
open_file(struct journal_reader *r, const char *suffix, int *fd)
{
	char path[PATH_MAX];
	FILE *file = NULL;

	*fd = open_regular(r->directory, r->segment, suffix, path);
	if (*fd != -1 && suffix[0] == 'i' && (file = fdopen(*fd, "r")) == NULL)
		close(*fd);
	if (*fd == -1 && errno != ENOENT && errno != ELOOP && errno != ENXIO) {
		r->later = true;	/* no descriptors, no memory: that passes */
		if (log_repeat_due(&r->trouble))
			log_error("could not open \"%s\": %s", path, strerror(errno));
	}
	return file;
}

/* a block that could be neither written whole nor taken back was written again in the next segment */
static uint64_t
segment_end(struct journal_reader *r)
{
	uint64_t segment, bytes, end = UINT64_MAX;
	char line[80];
	FILE *index;
	int fd;

	r->segment++;
	index = open_file(r, "index", &fd);
	r->segment--;
	if (index == NULL)
		return end;
	if (fgets(line, sizeof(line), index) != NULL && strchr(line, '\n') != NULL &&
	    sscanf(line, "torn 0 %" SCNu64 " %" SCNu64, &segment, &bytes) == 2 && segment == r->segment)
		end = bytes;
	fclose(index);
	return end;
}

/* opens the segment of the cursor or the one after it; a missing one in between is a gap, true */
static bool
segment_open(struct journal_reader *r, const struct journal_extent *extent, struct journal_record *rec)
{
	uint64_t expected = r->cursor.segment;
	int index_fd;

	r->segment = extent->number;
	r->later = false;
	r->end = segment_end(r);
	open_file(r, "jsonl", &r->fd);
	r->index = open_file(r, "index", &index_fd);
	if (r->later) {
		segment_close(r);
		return false;
	}
	log_repeat_reset(&r->trouble);
	if (extent->number != expected) {
		r->cursor.segment = extent->number;
		r->cursor.offset = 0;
	}
	r->trusted = extent->trusted;
	/* the segment that was committed last may be gone, as all before it */
	if (r->sought && expected != 0)
		expected++;
	r->sought = false;
	if (expected != 0 && extent->number > expected) {
		record_init(r, rec, JOURNAL_GAP);
		snprintf(rec->text, sizeof(rec->text), "segments %" PRIu64 " to %" PRIu64 " of the journal are missing",
		    expected, extent->number - 1);
		log_error("%s", rec->text);
		return true;
	}
	return false;
}

/* the disk failed, which may pass: true if it is to be tried again */
static bool
is_patient(struct journal_reader *r)
{
	long long now = clock_monotonic_ms();

	if (r->unreadable_ms == 0)
		r->unreadable_ms = now;
	if (log_repeat_due(&r->trouble))
		log_error("could not read segment %" PRIu64 " of the journal: %s", r->segment, strerror(errno));
	return now - r->unreadable_ms < PATIENCE_MS;
}

/* reads part of the segment into block; false if it is not all there, or later says to try again */
static bool
load(struct journal_reader *r, uint64_t offset, size_t length)
{
	size_t done = 0;

	if (r->block.size > KEPT_BYTES && length <= KEPT_BYTES)
		buf_free(&r->block);
	buf_clear(&r->block);
	r->block_at = 0;
	buf_reserve(&r->block, length);
	while (done < length) {
		ssize_t n = pread(r->fd, r->block.data + done, length - done, (off_t)(offset + done));

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1 && r->fd != -1)
			r->later = is_patient(r);
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	r->block_offset = offset;
	if (done < length)
		return false;
	r->unreadable_ms = 0;
	r->block.length = length;
	return true;
}

/* next whole line of the index; false at its end, which may be for now */
static bool
index_next(struct journal_reader *r)
{
	long at;
	ssize_t n;

	if (r->index == NULL)
		return false;
	if (r->index_held) {
		r->index_held = false;
		return true;
	}
	at = ftell(r->index);
	n = getline(&r->index_line, &r->index_size, r->index);
	if (n > 0 && r->index_line[n - 1] == '\n') {
		r->index_line[n - 1] = '\0';
		if (memchr(r->index_line, '\0', (size_t)n - 1) != NULL)	/* where power failed; no line then */
			r->index_line[0] = '\0';
		return true;
	}
	clearerr(r->index);
	fseek(r->index, at, SEEK_SET);
	return false;
}

/* does a line begin here? Not if an index that is damaged says so */
static bool
line_begins(struct journal_reader *r, uint64_t offset)
{
	char before = '\n';

	return offset == 0 || pread(r->fd, &before, 1, (off_t)(offset - 1)) != 1 || before == '\n';
}

/* bytes that nothing can tell to be as they were written, but for the form of their lines */
static void
unverified(struct journal_reader *r, struct journal_record *rec, uint64_t end)
{
	r->unverified_told = true;
	record_init(r, rec, JOURNAL_UNVERIFIED);
	snprintf(rec->text, sizeof(rec->text), "loaded without a checksum, which is missing: segment %" PRIu64
	    " of the journal, bytes %" PRIu64 " to %" PRIu64, r->segment, r->cursor.offset, end);
	log_warn("%s", rec->text);
}

/*
 * Bytes of which the index says nothing, written just before a crash or with the index
 * damaged: lines, and a gap where one is cut off.  After a power failure zeroes may be in
 * place of bytes that were written; ExaBGP writes none.
 */
static bool
raw_next(struct journal_reader *r, uint64_t end, struct journal_record *rec)
{
	unsigned char *newline, *zero, *last;
	uint64_t left;
	size_t length;

	if (r->cursor.offset > r->covered)	/* dealt with before a seek */
		r->covered = r->cursor.offset < end ? r->cursor.offset : end;
	if (r->covered == end)
		return false;
	left = end - r->covered;
	length = left < RAW_BYTES ? (size_t)left : RAW_BYTES;
	r->cursor.offset = r->covered;
	for (;;) {
		if (!load(r, r->covered, length)) {
			if (r->later)
				return false;
			gap(r, rec, end, "could not be read");
			return true;
		}
		newline = memrchr(r->block.data, '\n', length);
		if (newline != NULL || length == left || length >= BLOCK_MAX)
			break;
		length = left < BLOCK_MAX ? (size_t)left : BLOCK_MAX;
	}
	r->block_time_us = MESSAGE_NO_NUMBER;
	zero = line_begins(r, r->covered) ? memchr(r->block.data, '\0', length) : r->block.data;
	if (newline == NULL) {
		buf_clear(&r->block);
		gap(r, rec, end, "a line cut off when it was written");
		rec->lines = zero == NULL ? 1 : MESSAGE_NO_NUMBER;
		return true;
	}
	length = (size_t)(newline - r->block.data) + 1;
	if (zero != NULL && zero < newline) {
		last = memrchr(r->block.data, '\n', (size_t)(zero - r->block.data));
		if (last == NULL) {
			newline = memchr(zero, '\n', length - (size_t)(zero - r->block.data));
			length = (size_t)(newline - r->block.data) + 1;
			buf_clear(&r->block);
			gap(r, rec, r->covered + length, "not whole when it was written");
			return true;
		}
		length = (size_t)(last - r->block.data) + 1;
	}
	r->block.length = length;
	r->covered += length;
	if (r->trusted || r->unverified_told)
		return false;
	unverified(r, rec, end);
	return true;
}

/* the block that an index line tells of; true if it is a gap instead */
static bool
block_next(struct journal_reader *r, uint64_t offset, uint64_t length, int64_t lines, unsigned long crc,
    int64_t time_us, struct journal_record *rec)
{
	uint64_t end = offset + length;
	unsigned char *newline;
	bool rest, is_there;

	if (end <= r->cursor.offset) {	/* dealt with before a seek */
		r->covered = end;
		return false;
	}
	is_there = length <= BLOCK_MAX && load(r, offset, (size_t)length);
	if (r->later) {
		r->index_held = true;
		return false;
	}
	if (!is_there || (!r->trusted && crc32(0, r->block.data, (uInt)length) != crc)) {
		buf_clear(&r->block);
		if (r->cursor.offset < offset)
			r->cursor.offset = offset;
		rest = r->cursor.offset > offset;
		gap(r, rec, end, "damaged or missing");
		rec->lines = rest ? MESSAGE_NO_NUMBER : lines;
		rec->from_us = rec->to_us = rec->time_us = time_us;
		return true;
	}
	r->block_time_us = time_us;
	r->unverified_told = false;
	if (r->cursor.offset > offset) {
		r->block_at = (size_t)(r->cursor.offset - offset);
		/* a damaged line of the index led into the middle of a line */
		if (r->block.data[r->block_at - 1] != '\n') {
			newline = memchr(r->block.data + r->block_at, '\n', (size_t)length - r->block_at);
			length = newline == NULL ? length : (size_t)(newline - r->block.data) + 1;
			gap(r, rec, offset + length, "not whole when it was written");
			r->block_at = (size_t)length;
			r->covered = end;
			return true;
		}
	}
	r->cursor.offset = offset + r->block_at;
	r->covered = end;
	return false;
}

/* start, resync, stop and gap */
static bool
event_next(struct journal_reader *r, const char *line, struct journal_record *rec)
{
	int at = 0;
	uint64_t offset;
	char *text;

	if (sscanf(line, "start %" SCNu64, &offset) == 1) {
		record_init(r, rec, JOURNAL_START);
		sscanf(line, "start %*u %" SCNd64 " %n", &rec->time_us, &at);
		rec->unclean = strstr(line, " unclean") != NULL;
	} else if (sscanf(line, "resync %" SCNu64, &offset) == 1) {
		record_init(r, rec, JOURNAL_RESYNC);
		sscanf(line, "resync %*u %" SCNd64 " %n", &rec->time_us, &at);
	} else if (sscanf(line, "stop %" SCNu64, &offset) == 1) {
		record_init(r, rec, JOURNAL_STOP);
		sscanf(line, "stop %*u %" SCNd64 " %n", &rec->time_us, &at);
	} else if (sscanf(line, "gap %" SCNu64, &offset) == 1) {
		record_init(r, rec, JOURNAL_GAP);
		sscanf(line, "gap %*u %" SCNd64 " %" SCNd64 " %" SCNd64 " %" SCNd64 " %n", &rec->from_us, &rec->to_us,
		    &rec->lines, &rec->bytes, &at);
	} else
		return false;
	if (offset < r->cursor.offset)
		return false;
	r->cursor.offset = offset;
	rec->position = rec->next = r->cursor;
	snprintf(rec->text, sizeof(rec->text), "%s", line + at);
	/* our own words, but read from a disk that may be damaged */
	for (text = rec->text; *text != '\0'; text++)
		if ((unsigned char)*text < 0x20 || (unsigned char)*text >= 0x7f || *text == '"' || *text == '\\')
			*text = '?';
	if (rec->type == JOURNAL_START)
		rec->text[strspn(rec->text, "0123456789")] = '\0';
	return true;
}

struct index_line {
	uint64_t	offset;
	uint64_t	length;		/* of a block, 0 for what else there is */
	int64_t		lines;
	unsigned long	crc;
	int64_t		time_us;
};

/* false if it is not one as the journal writes them */
static bool
index_parse(const char *text, struct index_line *line)
{
	memset(line, 0, sizeof(*line));
	if (strncmp(text, "block ", 6) == 0) {
		if (sscanf(text, "block %" SCNu64 " %" SCNu64 " %" SCNd64 " %lx %" SCNd64, &line->offset, &line->length,
		    &line->lines, &line->crc, &line->time_us) != 5)
			return false;
	} else if (sscanf(text, "%*[a-z] %" SCNu64, &line->offset) != 1)
		return false;
	return line->offset <= OFFSET_MAX && line->length <= OFFSET_MAX;
}

/* one step: true if it gave a record */
static bool
index_step(struct journal_reader *r, const struct journal_extent *extent, struct journal_record *rec, bool *more)
{
	struct index_line line;

	*more = true;
	if (!index_next(r)) {
		if (!extent->finished) {
			*more = false;
			return false;
		}
		if (r->covered < extent->bytes)
			return raw_next(r, extent->bytes, rec);
		segment_close(r);
		r->cursor.segment = extent->number + 1;
		r->cursor.offset = 0;
		return false;
	}
	if (!index_parse(r->index_line, &line)) {
		log_warn("segment %" PRIu64 " of the journal has a damaged index line", r->segment);
		return false;
	}
	if (line.offset + line.length > extent->bytes && !extent->finished) {
		r->index_held = true;	/* its bytes are about to be published */
		*more = false;
		return false;
	}
	/* a block that was taken back, whatever is left of it */
	if (line.offset + line.length > extent->bytes && (r->trusted || r->end != UINT64_MAX))
		return false;
	if (line.offset > r->covered && r->covered < extent->bytes) {
		r->index_held = true;
		return raw_next(r, line.offset < extent->bytes ? line.offset : extent->bytes, rec);
	}
	if (line.length == 0)
		return event_next(r, r->index_line, rec);
	return block_next(r, line.offset, line.length, line.lines, line.crc, line.time_us, rec);
}

bool
journal_reader_next(struct journal_reader *r, struct journal_record *rec)
{
	struct journal_extent extent;
	const unsigned char *line, *newline;
	bool more = true;

	while (more) {
		if (r->block_at < r->block.length) {
			line = r->block.data + r->block_at;
			newline = memchr(line, '\n', r->block.length - r->block_at);
			record_init(r, rec, JOURNAL_LINE);
			rec->line = (const char *)line;
			rec->length = newline == NULL ? r->block.length - r->block_at : (size_t)(newline - line);
			rec->time_us = r->block_time_us;
			record_check(rec);
			r->block_at += rec->length + (newline != NULL);
			r->cursor.offset = r->block_offset + r->block_at;
			rec->next = r->cursor;
			return true;
		}
		if (!journal_extent(r->journal, r->segment != 0 ? r->segment : r->cursor.segment, &extent))
			break;
		if (r->segment == 0 && segment_open(r, &extent, rec))
			return true;
		if (r->later)
			break;
		r->trusted = extent.trusted;	/* no more, if it could not be synced */
		if (r->end < extent.bytes)
			extent.bytes = r->end;
		if (index_step(r, &extent, rec, &more)) {
			record_check(rec);
			return true;
		}
		if (r->later) {
			r->later = false;
			break;
		}
	}
	record_init(r, rec, JOURNAL_NOTHING);
	return false;
}

int64_t
journal_reader_oldest_us(struct journal *j, const char *directory)
{
	struct journal_extent extent = { .number = 0 };
	char path[PATH_MAX], line[256];
	int64_t time_us = MESSAGE_NO_NUMBER;
	FILE *index;
	int fd;

	do
		if (!journal_extent(j, extent.number + 1, &extent))
			return MESSAGE_NO_NUMBER;
	while (extent.bytes == 0);
	if ((fd = open_regular(directory, extent.number, "index", path)) == -1)
		return MESSAGE_NO_NUMBER;
	if ((index = fdopen(fd, "r")) == NULL) {
		close(fd);
		return MESSAGE_NO_NUMBER;
	}
	while (fgets(line, sizeof(line), index) != NULL)
		if (sscanf(line, "block %*u %*u %*u %*x %" SCNd64, &time_us) == 1)
			break;
	fclose(index);
	return time_us < 0 || time_us >= MESSAGE_TIME_END_US ? MESSAGE_NO_NUMBER : time_us;
}
