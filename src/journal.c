/*
 * The index of a segment has one line a record, of words separated by spaces:
 *
 *	start OFFSET TIME PID clean|unclean	(how the run before ended)
 *	resync OFFSET TIME TEXT...	(see resync.h)
 *	block OFFSET LENGTH LINES CRC32 TIME
 *	gap OFFSET FROM TO LINES BYTES REASON...
 *	stop OFFSET TIME REASON...
 *	clear OFFSET REASON...		(nothing was left to load)
 *	torn OFFSET SEGMENT BYTES	(that segment ends there: what follows in it was written again here)
 *
 * OFFSET is where in the segment it belongs; times are microseconds since 1970 in
 * UTC; CRC32 is zlib's of the block's bytes, in hexadecimal.  A block is whole lines.
 * Its line is written after its bytes: bytes without one are those of a crash.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <zlib.h>

#include "buf.h"
#include "clock.h"
#include "intake.h"
#include "journal.h"
#include "log.h"
#include "message.h"

#define SEGMENT_BYTES		((uint64_t)16 * 1024 * 1024)
#define SEGMENT_BYTES_MIN	((uint64_t)8 * 1024)
#define BLOCK_BYTES		((size_t)1024 * 1024)	/* written at once, if lines are not longer */
#define BACKLOG_BYTES		((uint64_t)64 * 1024 * 1024)	/* of a file being loaded */
#define END_OF_INPUT		"end of input"
#define RETRY_MS		250
#define TROUBLE_MS		10000	/* without one, and it is over */
#define WAIT_MS			100	/* for lines, before looking whether to stop */
#define SYNC_PATIENCE_MS	1000	/* for the disk, at the end */

struct segment {
	uint64_t	number;
	uint64_t	bytes;		/* of lines that may be read */
	uint64_t	disk_bytes;	/* with the index */
	bool		finished;	/* nothing will be added */
	bool		trusted;	/* written by this run: checksums need not be verified */
	bool		named;		/* its name outlives a power failure: it may be read and committed */
};

struct journal {
	struct journal_config config;
	struct intake	*intake;
	uint64_t	 segment_bytes;
	pthread_t	 thread;

	pthread_t	 sync_thread;
	int		 directory_fd;	/* stays the same number once the journal is open */

	/* the writing thread's own */
	int		 lock_fd;
	int		 data_fd;
	int		 index_fd;
	uint64_t	 last_number;		/* that earlier runs used */
	uint64_t	 torn_segment;		/* has more bytes than it should; 0: none */
	uint64_t	 torn_bytes;		/* so many it should have */
	struct log_repeat trouble;
	long long	 trouble_ms;	/* the last one */
	bool		 gap_held;	/* taken from the intake, not yet written */
	struct intake_gap gap;

	pthread_mutex_t	 lock;		/* what follows */
	pthread_cond_t	 wake;
	bool		 stopping;
	bool		 open;
	bool		 ended;
	bool		 full;		/* lines wait for room */
	uint64_t	 gaps;		/* written */
	bool		 unclean;
	uint64_t	 first_of_run;
	char		 id[JOURNAL_ID_SIZE];
	struct segment	*segments;	/* in order of number */
	size_t		 segments_count;
	size_t		 segments_size;
	struct journal_position released;
	struct buf	 notes;		/* "TIME TEXT" to be written, each with its NUL */
	/* what is not on the disk yet: the segments from this one on */
	pthread_cond_t	 sync_wake;	/* for the syncing thread */
	pthread_cond_t	 sync_done;	/* for the writing thread */
	uint64_t	 sync_from;
	uint64_t	 written;	/* counts what is written */
	uint64_t	 synced;	/* of it, what is on the disk */
	bool		 sync_now;
	bool		 sync_failed;	/* the segment under way is to be written no more */
	bool		 sync_over;	/* the thread is to end */
};

void
journal_segment_name(char *name, uint64_t number, const char *suffix)
{
	snprintf(name, JOURNAL_NAME_SIZE, "%012" PRIu64 ".%s", number, suffix);
}

/* --- the list of segments, under the lock ------------------------------------------ */

static struct segment *
segment_last(struct journal *j)
{
	return j->segments_count > 0 ? &j->segments[j->segments_count - 1] : NULL;
}

static void
segment_add(struct journal *j, const struct segment *s)
{
	j->segments = buf_grow_array(j->segments, j->segments_count, &j->segments_size, sizeof(*s));
	j->segments[j->segments_count++] = *s;
}

static uint64_t
disk_bytes(const struct journal *j)
{
	uint64_t total = 0;
	size_t i;

	for (i = 0; i < j->segments_count; i++)
		total += j->segments[i].disk_bytes;
	return total;
}

static uint64_t
backlog_from(const struct journal *j, const struct journal_position *p)
{
	uint64_t total = 0;
	size_t i;

	for (i = 0; i < j->segments_count; i++) {
		const struct segment *s = &j->segments[i];

		if (s->number > p->segment)
			total += s->bytes;
		else if (s->number == p->segment && s->bytes > p->offset)
			total += s->bytes - p->offset;
	}
	return total;
}

static void
changed(struct journal *j)
{
	j->config.on_change(j->config.arg);
}

/* --- opening ------------------------------------------------------------------------- */

static int
make_directories(const char *path)
{
	char copy[PATH_MAX];
	char *p;

	if (strlen(path) >= sizeof(copy)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(copy, path);
	for (p = copy + 1; *p != '\0'; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		if (mkdir(copy, 0755) == -1 && errno != EEXIST)
			return -1;
		*p = '/';
	}
	return mkdir(copy, 0700) == -1 && errno != EEXIST ? -1 : 0;
}

/* random, version 4 (RFC 9562 section 5.4) */
static int
id_make(char *id)
{
	uint8_t r[16];
	size_t i, n = 0;

	if (getrandom(r, sizeof(r), 0) != (ssize_t)sizeof(r))
		return -1;
	r[6] = (uint8_t)((r[6] & 0x0f) | 0x40);
	r[8] = (uint8_t)((r[8] & 0x3f) | 0x80);
	for (i = 0; i < sizeof(r); i++)
		n += (size_t)snprintf(id + n, JOURNAL_ID_SIZE - n, "%s%02x",
		    i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", r[i]);
	return 0;
}

static bool
id_valid(const char *id)
{
	size_t i;

	for (i = 0; i < JOURNAL_ID_SIZE - 1; i++)
		if (i == 8 || i == 13 || i == 18 || i == 23 ? id[i] != '-' : strchr("0123456789abcdef", id[i]) == NULL)
			return false;
	return true;
}

/* reads the journal's id, or makes one; in the directory before the first segment is */
static int
id_open(int directory_fd, char *id)
{
	int fd = openat(directory_fd, "id", O_RDONLY | O_NONBLOCK | O_CLOEXEC), rc = -1;

	memset(id, 0, JOURNAL_ID_SIZE);
	if (fd != -1) {
		if (read(fd, id, JOURNAL_ID_SIZE - 1) == JOURNAL_ID_SIZE - 1 && id_valid(id))
			rc = 0;
		else
			errno = EINVAL;
		close(fd);
		return rc;
	}
	if (errno != ENOENT || id_make(id) == -1)
		return -1;
	fd = openat(directory_fd, "id.new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd == -1)
		return -1;
	if (write(fd, id, JOURNAL_ID_SIZE - 1) == JOURNAL_ID_SIZE - 1 && write(fd, "\n", 1) == 1 && fsync(fd) == 0)
		rc = 0;
	if (close(fd) == -1 || rc == -1 || renameat(directory_fd, "id.new", directory_fd, "id") == -1)
		return -1;
	return fsync(directory_fd);
}

static int
compare_segments(const void *a, const void *b)
{
	const struct segment *x = a, *y = b;

	return x->number < y->number ? -1 : x->number > y->number;
}

static uint64_t
file_bytes(int directory_fd, uint64_t number, const char *suffix)
{
	char name[JOURNAL_NAME_SIZE];
	struct stat st;

	journal_segment_name(name, number, suffix);
	return fstatat(directory_fd, name, &st, 0) == 0 && S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
}

/* the segments that earlier runs left */
static int
segments_scan(struct journal *j)
{
	int fd = openat(j->directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory;
	struct dirent *entry;

	if (fd == -1 || (directory = fdopendir(fd)) == NULL) {
		if (fd != -1)
			close(fd);
		return -1;
	}
	pthread_mutex_lock(&j->lock);
	j->segments_count = 0;
	while ((entry = readdir(directory)) != NULL) {
		struct segment s = { .finished = true, .named = true };
		char *end;

		s.number = strtoull(entry->d_name, &end, 10);
		if (end != entry->d_name + 12 || s.number == 0)
			continue;
		/* the database may know the number of a segment of which only the index is left */
		if ((strcmp(end, ".jsonl") == 0 || strcmp(end, ".index") == 0) && s.number > j->last_number)
			j->last_number = s.number;
		if (strcmp(end, ".jsonl") != 0)
			continue;
		s.bytes = file_bytes(j->directory_fd, s.number, "jsonl");
		s.disk_bytes = s.bytes + file_bytes(j->directory_fd, s.number, "index");
		segment_add(j, &s);
	}
	if (j->segments_count > 1)
		qsort(j->segments, j->segments_count, sizeof(*j->segments), compare_segments);
	pthread_mutex_unlock(&j->lock);
	closedir(directory);
	return 0;
}

/* true if the index of the last segment ends with the end of input */
static bool
stopped_cleanly(struct journal *j)
{
	struct segment *last = segment_last(j);
	char name[JOURNAL_NAME_SIZE], tail[256];
	bool clean = false;
	ssize_t n;
	int fd;

	if (last == NULL)
		return true;	/* nothing was ever read */
	journal_segment_name(name, last->number, "index");
	if ((fd = openat(j->directory_fd, name, O_RDONLY | O_NONBLOCK | O_CLOEXEC)) == -1)
		return false;
	if (lseek(fd, -(off_t)sizeof(tail) + 1, SEEK_END) == -1)
		lseek(fd, 0, SEEK_SET);
	if ((n = read(fd, tail, sizeof(tail) - 1)) > 0) {
		tail[n] = '\0';
		clean = strstr(tail, " " END_OF_INPUT "\n") != NULL;
	}
	close(fd);
	return clean;
}

static void
segment_remove(struct journal *j, uint64_t number)
{
	char name[JOURNAL_NAME_SIZE];

	journal_segment_name(name, number, "jsonl");
	if (unlinkat(j->directory_fd, name, 0) == -1 && errno != ENOENT)
		log_warn("could not remove \"%s/%s\": %s", j->config.directory, name, strerror(errno));
	journal_segment_name(name, number, "index");
	if (unlinkat(j->directory_fd, name, 0) == -1 && errno != ENOENT)
		log_warn("could not remove \"%s/%s\": %s", j->config.directory, name, strerror(errno));
}

/* removing would give nothing back while the reader has it open, and its number is in use */
static void
segment_empty(struct journal *j, uint64_t number)
{
	static const char *const suffixes[] = { "jsonl", "index" };
	char name[JOURNAL_NAME_SIZE];
	size_t i;
	int fd;

	for (i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
		journal_segment_name(name, number, suffixes[i]);
		fd = openat(j->directory_fd, name, O_WRONLY | O_TRUNC | O_CLOEXEC);
		if (fd == -1)
			log_warn("could not empty \"%s/%s\": %s", j->config.directory, name, strerror(errno));
		else
			close(fd);
	}
}

/* the syncing thread goes by name: it needs no descriptor of ours */
static void
segment_close(struct journal *j)
{
	if (j->data_fd != -1)
		close(j->data_fd);
	if (j->index_fd != -1)
		close(j->index_fd);
	j->data_fd = j->index_fd = -1;
}

static int
write_all(int fd, const char *data, size_t n)
{
	while (n > 0) {
		ssize_t written = write(fd, data, n);

		if (written == -1 && errno == EINTR)
			continue;
		if (written <= 0)
			return -1;
		data += written;
		n -= (size_t)written;
	}
	return 0;
}

/* the directory has been removed or mounted over: makes it again, for the same journal */
static void
directory_renew(struct journal *j)
{
	int directory_fd, lock_fd, id_fd;

	if (make_directories(j->config.directory) == -1 ||
	    (directory_fd = open(j->config.directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) == -1)
		return;
	lock_fd = openat(directory_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	id_fd = openat(directory_fd, "id", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (lock_fd == -1 || id_fd == -1 || flock(lock_fd, LOCK_EX | LOCK_NB) == -1 ||
	    write_all(id_fd, j->id, JOURNAL_ID_SIZE - 1) == -1) {
		if (id_fd != -1)
			unlinkat(directory_fd, "id", 0);	/* for the next try */
		if (lock_fd != -1)
			close(lock_fd);
		close(directory_fd);
	} else {
		close(j->lock_fd);
		j->lock_fd = lock_fd;
		dup3(directory_fd, j->directory_fd, O_CLOEXEC);	/* at once for all threads */
		close(directory_fd);
		log_warn("the journal \"%s\" was gone and is begun again", j->config.directory);
	}
	if (id_fd != -1)
		close(id_fd);
}

/* begins the next segment, with a first index line */
static int
segment_begin(struct journal *j, const char *index_line)
{
	char data[JOURNAL_NAME_SIZE], index[JOURNAL_NAME_SIZE], torn[80] = "";
	struct segment s = { .trusted = true }, *last;
	int error;

	segment_close(j);
	pthread_mutex_lock(&j->lock);
	last = segment_last(j);
	s.number = (last == NULL || last->number < j->last_number ? j->last_number : last->number) + 1;
	pthread_mutex_unlock(&j->lock);
	journal_segment_name(data, s.number, "jsonl");
	journal_segment_name(index, s.number, "index");
	/* the index first: a data file without index would look like that of a crash */
	j->index_fd = openat(j->directory_fd, index, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
	if (j->torn_segment != 0)
		snprintf(torn, sizeof(torn), "torn 0 %" PRIu64 " %" PRIu64 "\n", j->torn_segment, j->torn_bytes);
	if (j->index_fd == -1 || write_all(j->index_fd, torn, strlen(torn)) == -1 ||
	    write_all(j->index_fd, index_line, strlen(index_line)) == -1)
		goto failed;
	/* must be known before anything is written again */
	if (j->torn_segment != 0 && fdatasync(j->index_fd) == -1)
		goto failed;
	j->data_fd = openat(j->directory_fd, data, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
	if (j->data_fd == -1)
		goto failed;
	j->torn_segment = 0;
	s.disk_bytes = strlen(torn) + strlen(index_line);
	pthread_mutex_lock(&j->lock);
	if ((last = segment_last(j)) != NULL)
		last->finished = true;
	segment_add(j, &s);
	if (j->sync_from == 0)
		j->sync_from = s.number;
	j->sync_failed = false;
	j->written++;
	j->sync_now = true;
	pthread_cond_signal(&j->sync_wake);
	pthread_mutex_unlock(&j->lock);
	return 0;
failed:
	error = errno;
	if (j->index_fd != -1)
		unlinkat(j->directory_fd, index, 0);
	if (j->data_fd != -1)
		unlinkat(j->directory_fd, data, 0);
	segment_close(j);
	if (error == ENOENT || error == ESTALE)
		directory_renew(j);
	errno = error;
	return -1;
}

static int
begin_start(struct journal *j)
{
	char line[256];

	snprintf(line, sizeof(line), "start 0 %" PRId64 " %ld %s\n", clock_wall_us(), (long)getpid(),
	    j->unclean ? "unclean" : "clean");
	return segment_begin(j, line);
}

static void
trouble(struct journal *j, const char *what)
{
	j->trouble_ms = clock_monotonic_ms();
	if (log_repeat_due(&j->trouble))
		log_error("could not %s the journal \"%s\": %s; input is kept in memory, %llu tries so far",
		    what, j->config.directory, strerror(errno), j->trouble.count);
}

static void
trouble_over(struct journal *j)
{
	/* a full journal has room again with every segment that is loaded: that is one trouble */
	if (j->trouble.count == 0 || clock_monotonic_ms() - j->trouble_ms < TROUBLE_MS)
		return;
	log_info("the journal \"%s\" has been written without failure again, after %llu of them", j->config.directory,
	    j->trouble.count);
	log_repeat_reset(&j->trouble);
}

/* true once the directory is ours and its first segment of this run is begun */
static bool
journal_open(struct journal *j)
{
	char id[JOURNAL_ID_SIZE];

	if (j->directory_fd == -1) {
		if (make_directories(j->config.directory) == -1 ||
		    (j->directory_fd = open(j->config.directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) == -1) {
			trouble(j, "open");
			return false;
		}
	}
	if (j->lock_fd == -1 &&
	    (j->lock_fd = openat(j->directory_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600)) == -1)
		goto failed;
	if (flock(j->lock_fd, LOCK_EX | LOCK_NB) == -1) {
		if (errno != EWOULDBLOCK)
			goto failed;
		if (log_repeat_due(&j->trouble))
			log_warn("waiting for another helper that owns the journal \"%s\"; input is kept in memory",
			    j->config.directory);
		return false;
	}
	if (segments_scan(j) == -1)
		goto failed;
	/* without segments their numbers would begin anew, below what the database knows of this id */
	if (segment_last(j) == NULL && unlinkat(j->directory_fd, "id", 0) == -1 && errno != ENOENT)
		goto failed;
	if (id_open(j->directory_fd, id) == -1)
		goto failed;
	j->unclean = !stopped_cleanly(j);
	if (begin_start(j) == -1)
		goto failed;
	trouble_over(j);
	pthread_mutex_lock(&j->lock);
	memcpy(j->id, id, sizeof(j->id));
	j->first_of_run = segment_last(j)->number;
	j->open = true;
	pthread_mutex_unlock(&j->lock);
	return true;
failed:
	trouble(j, "open");
	close(j->directory_fd);
	if (j->lock_fd != -1)
		close(j->lock_fd);
	j->directory_fd = j->lock_fd = -1;
	return false;
}

/* --- writing -------------------------------------------------------------------------- */

/* of the bytes there are, how many make whole lines of at most this many, or one line */
static size_t
whole_lines(const struct iovec pieces[2], size_t total, size_t most)
{
	const char *first = pieces[0].iov_base, *second = pieces[1].iov_base, *p;
	size_t within = total < most ? total : most, n;

	if (within == total)
		return total;
	if (within > pieces[0].iov_len) {
		n = within - pieces[0].iov_len;
		if ((p = memrchr(second, '\n', n)) != NULL)
			return pieces[0].iov_len + (size_t)(p - second) + 1;
		within = pieces[0].iov_len;
	}
	if ((p = memrchr(first, '\n', within)) != NULL)
		return (size_t)(p - first) + 1;
	/* one line is longer */
	if ((p = memchr(first, '\n', pieces[0].iov_len)) != NULL)
		return (size_t)(p - first) + 1;
	p = memchr(second, '\n', pieces[1].iov_len);
	return p == NULL ? total : pieces[0].iov_len + (size_t)(p - second) + 1;
}

static uint64_t
count_lines(const char *p, size_t n)
{
	const char *end = p + n;
	uint64_t lines = 0;

	while (p < end && (p = memchr(p, '\n', (size_t)(end - p))) != NULL) {
		lines++;
		p++;
	}
	return lines;
}

/* back to what was there before a block that could not be written */
static void
undo(struct journal *j, uint64_t data_bytes, uint64_t index_bytes)
{
	int saved = errno;

	if (ftruncate(j->data_fd, (off_t)data_bytes) == -1 || ftruncate(j->index_fd, (off_t)index_bytes) == -1) {
		/* a torn block ends this segment: the next try begins another, which says so */
		pthread_mutex_lock(&j->lock);
		j->torn_segment = segment_last(j)->number;
		pthread_mutex_unlock(&j->lock);
		j->torn_bytes = data_bytes;
		segment_close(j);
	}
	errno = saved;
}

static int
write_block(struct journal *j, const struct iovec pieces[2], size_t bytes)
{
	struct iovec parts[2] = { pieces[0], pieces[1] };
	uint64_t offset, index_bytes, lines;
	struct segment *s;
	char line[160];
	uLong crc;
	int n;

	if (parts[0].iov_len > bytes)
		parts[0].iov_len = bytes;
	parts[1].iov_len = bytes - parts[0].iov_len;
	pthread_mutex_lock(&j->lock);
	s = segment_last(j);
	offset = s->bytes;
	index_bytes = s->disk_bytes - s->bytes;
	pthread_mutex_unlock(&j->lock);

	crc = crc32(0, parts[0].iov_base, (uInt)parts[0].iov_len);
	crc = crc32(crc, parts[1].iov_base, (uInt)parts[1].iov_len);
	lines = count_lines(parts[0].iov_base, parts[0].iov_len) + count_lines(parts[1].iov_base, parts[1].iov_len);
	n = snprintf(line, sizeof(line), "block %" PRIu64 " %zu %" PRIu64 " %08lx %" PRId64 "\n", offset, bytes, lines,
	    crc, clock_wall_us());
	if (write_all(j->data_fd, parts[0].iov_base, parts[0].iov_len) == -1 ||
	    write_all(j->data_fd, parts[1].iov_base, parts[1].iov_len) == -1 ||
	    write_all(j->index_fd, line, (size_t)n) == -1) {
		undo(j, offset, index_bytes);
		return -1;
	}
	pthread_mutex_lock(&j->lock);
	s = segment_last(j);
	s->bytes += bytes;
	s->disk_bytes += bytes + (size_t)n;
	j->written++;
	pthread_mutex_unlock(&j->lock);
	return 0;
}

/* ends the segment under way with an index line, or begins one with it */
static int
write_gap(struct journal *j)
{
	char line[256];

	snprintf(line, sizeof(line), "gap 0 %" PRId64 " %" PRId64 " %" PRIu64 " %" PRIu64
	    " the journal could not be written or was full\n",
	    j->gap.from_us, j->gap.to_us, j->gap.lines, j->gap.bytes);
	return segment_begin(j, line);
}

/* one that is lost is no loss of input */
static bool
write_note(struct journal *j, const char *text)
{
	char line[JOURNAL_NOTE_SIZE + 96];
	uint64_t bytes, index_bytes;
	int n;

	pthread_mutex_lock(&j->lock);
	bytes = segment_last(j)->bytes;
	index_bytes = segment_last(j)->disk_bytes - bytes;
	pthread_mutex_unlock(&j->lock);
	n = snprintf(line, sizeof(line), "resync %" PRIu64 " %s\n", bytes, text);
	if (write_all(j->index_fd, line, (size_t)n) == -1) {
		undo(j, bytes, index_bytes);
		log_warn("could not note in the journal: %s", text);
		return false;
	}
	pthread_mutex_lock(&j->lock);
	segment_last(j)->disk_bytes += (size_t)n;
	j->written++;
	pthread_mutex_unlock(&j->lock);
	return true;
}

static void
write_notes(struct journal *j)
{
	struct buf notes;
	size_t at;

	pthread_mutex_lock(&j->lock);
	notes = j->notes;
	if (j->index_fd != -1)
		memset(&j->notes, 0, sizeof(j->notes));
	pthread_mutex_unlock(&j->lock);
	if (notes.length == 0 || j->index_fd == -1)
		return;
	for (at = 0; at < notes.length; at += strlen((const char *)notes.data + at) + 1)
		if (!write_note(j, (const char *)notes.data + at))
			break;
	buf_free(&notes);
	changed(j);
}

/* may this many bytes be added? Logs once if not */
static bool
has_room(struct journal *j, size_t bytes)
{
	uint64_t used, backlog;
	bool fits;

	pthread_mutex_lock(&j->lock);
	used = disk_bytes(j);
	backlog = backlog_from(j, &j->released);
	/* a line that is longer than the journal may be goes alone */
	fits = used + bytes <= j->config.max_bytes || (bytes > j->config.max_bytes && backlog == 0);
	j->full = !fits;
	pthread_mutex_unlock(&j->lock);
	if (j->config.lossless && backlog > BACKLOG_BYTES)
		return false;
	if (fits)
		return true;
	changed(j);
	j->trouble_ms = clock_monotonic_ms();
	if (!j->config.lossless && log_repeat_due(&j->trouble))
		log_error("the journal \"%s\" is full: %" PRIu64 " of %" PRIu64
		    " bytes; input is kept in memory, then dropped",
		    j->config.directory, used, j->config.max_bytes);
	return false;
}

/*
 * There is no room: if all of the last segment is committed, its bytes are given back,
 * which journal_release leaves to the next segment.  True if so.
 */
static bool
reclaim(struct journal *j)
{
	struct segment *last;
	uint64_t number = 0;

	pthread_mutex_lock(&j->lock);
	last = segment_last(j);
	if (last->bytes > 0 && last->disk_bytes > 0 && j->released.segment == last->number &&
	    j->released.offset >= last->bytes) {
		number = last->number;
		last->finished = true;
		last->disk_bytes = 0;
	}
	pthread_mutex_unlock(&j->lock);
	if (number == 0)
		return false;
	segment_close(j);
	segment_empty(j, number);
	changed(j);
	return segment_begin(j, "") == 0;
}

static bool
last_is_empty(struct journal *j)
{
	bool empty;

	pthread_mutex_lock(&j->lock);
	empty = segment_last(j)->bytes == 0;
	pthread_mutex_unlock(&j->lock);
	return empty;
}

/* moves what the intake has; false if it could not */
static bool
move_lines(struct journal *j)
{
	struct iovec pieces[2];
	struct segment *last;
	size_t total, bytes;
	bool over;

	while ((total = intake_peek(j->intake, pieces)) > 0) {
		write_notes(j);
		bytes = whole_lines(pieces, total, BLOCK_BYTES < j->segment_bytes ? BLOCK_BYTES : j->segment_bytes);
		if (!has_room(j, bytes)) {
			if (reclaim(j))
				continue;
			return false;
		}
		pthread_mutex_lock(&j->lock);
		last = segment_last(j);
		over = j->sync_failed || (last->bytes > 0 && last->bytes + bytes > j->segment_bytes);
		pthread_mutex_unlock(&j->lock);
		if (((over || j->data_fd == -1) && segment_begin(j, "") == -1) || write_block(j, pieces, bytes) == -1) {
			trouble(j, "write");
			if ((errno == ENOSPC || errno == EDQUOT) && reclaim(j))
				continue;
			/* a limit of the process's (setrlimit(2)): there is room in the next segment */
			if (errno == EFBIG && !last_is_empty(j) && segment_begin(j, "") == 0)
				continue;
			return false;
		}
		trouble_over(j);
		intake_consume(j->intake, bytes);
		changed(j);
	}
	if (j->gap_held || intake_take_gap(j->intake, &j->gap)) {
		j->gap_held = true;
		if (write_gap(j) == -1) {
			trouble(j, "write");
			return false;
		}
		j->gap_held = false;
		pthread_mutex_lock(&j->lock);
		j->gaps++;
		pthread_mutex_unlock(&j->lock);
		changed(j);
	}
	return true;
}

static bool
is_stopping(struct journal *j)
{
	bool stopping;

	pthread_mutex_lock(&j->lock);
	stopping = j->stopping;
	pthread_mutex_unlock(&j->lock);
	return stopping;
}

/* waits, but not for a journal that is to stop or that got room */
static void
pause_ms(struct journal *j, unsigned int ms)
{
	struct timespec until = clock_monotonic_in_ms(ms);

	pthread_mutex_lock(&j->lock);
	if (!j->stopping)
		pthread_cond_timedwait(&j->wake, &j->lock, &until);
	pthread_mutex_unlock(&j->lock);
}

static void
write_stop(struct journal *j)
{
	struct segment *s;
	char line[160];
	int n;

	if (j->index_fd == -1 && segment_begin(j, "") == -1)
		return;
	pthread_mutex_lock(&j->lock);
	s = segment_last(j);
	n = snprintf(line, sizeof(line), "stop %" PRIu64 " %" PRId64 " %s\n", s->bytes, clock_wall_us(),
	    intake_saw_eof(j->intake) ? END_OF_INPUT : "signal");
	pthread_mutex_unlock(&j->lock);
	if (write_all(j->index_fd, line, (size_t)n) == -1)
		log_warn("could not write the end of the journal: %s", strerror(errno));
	else {
		pthread_mutex_lock(&j->lock);
		segment_last(j)->disk_bytes += (size_t)n;
		j->written++;
		pthread_mutex_unlock(&j->lock);
	}
}

/* --- syncing: a thread of its own, since a disk may take seconds for it ------------------- */

/* 0 also for a file that is gone: all of it was committed */
static int
sync_file(int directory_fd, uint64_t number, const char *suffix)
{
	char name[JOURNAL_NAME_SIZE];
	int fd, rc;

	journal_segment_name(name, number, suffix);
	if ((fd = openat(directory_fd, name, O_RDONLY | O_CLOEXEC)) == -1)
		return errno == ENOENT ? 0 : -1;
	rc = fdatasync(fd);
	close(fd);
	return rc;
}

/* what was written to these segments is on the disk */
static int
sync_segments(struct journal *j, uint64_t from, uint64_t to)
{
	uint64_t n;

	for (n = from; n <= to; n++)
		if (sync_file(j->directory_fd, n, "jsonl") == -1 || sync_file(j->directory_fd, n, "index") == -1)
			return -1;
	return 0;
}

/*
 * The names of all segments so far are.  If the database knew of a segment that a power failure
 * took away with its name, the number would be used again for other lines.  A directory that cannot
 * be synced stops nothing, though.
 */
static int
sync_names(struct journal *j, uint64_t to)
{
	int rc = fsync(j->directory_fd) == -1 && errno != EINVAL ? -1 : 0;	/* not every file system can */
	int error = errno;
	size_t i;

	pthread_mutex_lock(&j->lock);
	for (i = 0; i < j->segments_count; i++)
		if (j->segments[i].number <= to)
			j->segments[i].named = true;
	pthread_mutex_unlock(&j->lock);
	changed(j);
	errno = error;
	return rc;
}

static void
sync_trouble(struct journal *j, struct log_repeat *repeat)
{
	if (log_repeat_due(repeat))
		log_error("could not sync the journal \"%s\": %s; a power failure may lose input, %llu tries so far",
		    j->config.directory, strerror(errno), repeat->count);
}

/*
 * The kernel may forget what it could not write: the segment is to be written no more, and its
 * checksums are to be looked at.
 */
static void
segments_doubt(struct journal *j)
{
	size_t i;

	pthread_mutex_lock(&j->lock);
	j->sync_failed = true;
	for (i = 0; i < j->segments_count; i++)
		if (j->segments[i].number >= j->sync_from)
			j->segments[i].trusted = false;
	pthread_mutex_unlock(&j->lock);
}

static void *
sync_run(void *arg)
{
	struct journal *j = arg;
	struct log_repeat repeat = { 0 };
	uint64_t named = 0;

	pthread_mutex_lock(&j->lock);
	for (;;) {
		struct timespec until = clock_monotonic_in_ms(j->config.sync_ms);
		uint64_t from, to, written;
		int rc;

		/* a block written while a sync is under way waits for the next one */
		while (!j->sync_now && !j->sync_over)
			if (pthread_cond_timedwait(&j->sync_wake, &j->lock, &until) == ETIMEDOUT)
				break;
		if (j->sync_over)
			break;
		j->sync_now = false;
		if (j->sync_from == 0 || j->synced == j->written) {
			pthread_cond_broadcast(&j->sync_done);
			continue;
		}
		from = j->sync_from;
		to = segment_last(j)->number;
		written = j->written;
		pthread_mutex_unlock(&j->lock);
		rc = to > named ? sync_names(j, to) : 0;
		if (rc == 0)
			named = to;
		else
			sync_trouble(j, &repeat);
		if (sync_segments(j, from, to) == -1) {
			sync_trouble(j, &repeat);
			segments_doubt(j);
			rc = -1;
		}
		if (rc == 0 && repeat.count > 0) {
			log_info("the journal \"%s\" can be synced again", j->config.directory);
			log_repeat_reset(&repeat);
		}
		pthread_mutex_lock(&j->lock);
		if (rc == 0) {
			j->synced = written;
			j->sync_from = to;
		}
		pthread_cond_broadcast(&j->sync_done);
	}
	pthread_mutex_unlock(&j->lock);
	return NULL;
}

static void
sync_end(struct journal *j)
{
	pthread_mutex_lock(&j->lock);
	j->sync_over = true;
	pthread_cond_signal(&j->sync_wake);
	pthread_mutex_unlock(&j->lock);
	pthread_join(j->sync_thread, NULL);
}

/* has all that is written synced now; a disk that fails or hangs is not waited for */
static void
sync_all(struct journal *j)
{
	struct timespec until = clock_monotonic_in_ms(SYNC_PATIENCE_MS);

	pthread_mutex_lock(&j->lock);
	j->sync_now = true;
	pthread_cond_signal(&j->sync_wake);
	while (j->synced != j->written && !j->sync_failed)
		if (pthread_cond_timedwait(&j->sync_done, &j->lock, &until) == ETIMEDOUT)
			break;
	pthread_mutex_unlock(&j->lock);
}

static void *
journal_run(void *arg)
{
	struct journal *j = arg;

	while (!is_stopping(j) && !journal_open(j))
		pause_ms(j, RETRY_MS);
	if (is_stopping(j))
		return NULL;
	changed(j);
	while (!is_stopping(j)) {
		write_notes(j);
		if (!intake_wait(j->intake, WAIT_MS))
			continue;
		if (!move_lines(j))
			pause_ms(j, j->config.lossless ? 10 : RETRY_MS);
		else if (intake_ended(j->intake))
			break;
	}
	if (intake_ended(j->intake)) {
		write_stop(j);
		sync_all(j);
		pthread_mutex_lock(&j->lock);
		j->ended = true;
		segment_last(j)->finished = true;
		pthread_mutex_unlock(&j->lock);
		changed(j);
	} else
		sync_all(j);
	return NULL;
}

struct journal *
journal_start(const struct journal_config *config, struct intake *intake)
{
	struct journal *j = calloc(1, sizeof(*j));
	pthread_condattr_t attr;
	int error;

	if (j == NULL) {
		log_error("could not start the journal: out of memory");
		return NULL;
	}
	j->config = *config;
	j->intake = intake;
	j->segment_bytes = config->max_bytes / 8;
	if (j->segment_bytes > SEGMENT_BYTES)
		j->segment_bytes = SEGMENT_BYTES;
	if (j->segment_bytes < SEGMENT_BYTES_MIN)
		j->segment_bytes = SEGMENT_BYTES_MIN;
	j->directory_fd = j->lock_fd = j->data_fd = j->index_fd = -1;
	pthread_mutex_init(&j->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&j->wake, &attr);
	pthread_cond_init(&j->sync_wake, &attr);
	pthread_cond_init(&j->sync_done, &attr);
	pthread_condattr_destroy(&attr);
	if ((error = pthread_create(&j->sync_thread, NULL, sync_run, j)) != 0)
		goto failed;
	if ((error = pthread_create(&j->thread, NULL, journal_run, j)) != 0) {
		sync_end(j);
		goto failed;
	}
	return j;
failed:
	log_error("could not start the journal: %s", strerror(error));
	free(j);
	return NULL;
}

void
journal_free(struct journal *j)
{
	if (j == NULL)
		return;
	pthread_mutex_lock(&j->lock);
	j->stopping = true;
	pthread_cond_signal(&j->wake);
	pthread_mutex_unlock(&j->lock);
	pthread_join(j->thread, NULL);
	sync_end(j);
	segment_close(j);
	if (j->directory_fd != -1)
		close(j->directory_fd);
	if (j->lock_fd != -1)
		close(j->lock_fd);
	free(j->segments);
	buf_free(&j->notes);
	pthread_cond_destroy(&j->wake);
	pthread_cond_destroy(&j->sync_wake);
	pthread_cond_destroy(&j->sync_done);
	pthread_mutex_destroy(&j->lock);
	free(j);
}

bool
journal_id(struct journal *j, char *id)
{
	bool open;

	pthread_mutex_lock(&j->lock);
	open = j->open;
	if (open)
		memcpy(id, j->id, sizeof(j->id));
	pthread_mutex_unlock(&j->lock);
	return open;
}

uint64_t
journal_gaps(struct journal *j)
{
	uint64_t gaps;

	pthread_mutex_lock(&j->lock);
	gaps = j->gaps;
	pthread_mutex_unlock(&j->lock);
	return gaps;
}

void
journal_end(struct journal *j, struct journal_position *end)
{
	pthread_mutex_lock(&j->lock);
	end->segment = segment_last(j)->number;
	end->offset = segment_last(j)->bytes;
	pthread_mutex_unlock(&j->lock);
}

uint64_t
journal_first_of_run(struct journal *j)
{
	uint64_t first;

	pthread_mutex_lock(&j->lock);
	first = j->first_of_run;
	pthread_mutex_unlock(&j->lock);
	return first;
}

bool
journal_unclean(struct journal *j)
{
	return j->unclean;	/* set before journal_id gives true */
}

void
journal_note(struct journal *j, const char *text)
{
	char note[JOURNAL_NOTE_SIZE + 32];
	/* now: what it asks for may be answered before it is written */
	int n = snprintf(note, sizeof(note), "%" PRId64 " %s", clock_wall_us(), text);

	pthread_mutex_lock(&j->lock);
	if (strlen(text) < JOURNAL_NOTE_SIZE)
		buf_add(&j->notes, note, (size_t)n + 1);
	pthread_mutex_unlock(&j->lock);
}

bool
journal_ended(struct journal *j)
{
	bool ended;

	pthread_mutex_lock(&j->lock);
	ended = j->ended;
	pthread_mutex_unlock(&j->lock);
	return ended;
}

bool
journal_is_full(struct journal *j)
{
	bool full;

	pthread_mutex_lock(&j->lock);
	full = j->full;
	pthread_mutex_unlock(&j->lock);
	return full;
}

uint64_t
journal_backlog(struct journal *j, const struct journal_position *p)
{
	uint64_t bytes;

	pthread_mutex_lock(&j->lock);
	bytes = backlog_from(j, p);
	pthread_mutex_unlock(&j->lock);
	return bytes;
}

bool
journal_extent(struct journal *j, uint64_t from, struct journal_extent *extent)
{
	bool found = false;
	size_t i;

	pthread_mutex_lock(&j->lock);
	for (i = 0; i < j->segments_count && !found; i++) {
		const struct segment *s = &j->segments[i];

		if (s->number < from)
			continue;
		if (!s->named)
			break;
		found = true;
		extent->number = s->number;
		extent->bytes = s->bytes;
		extent->finished = s->finished;
		extent->trusted = s->trusted;
	}
	pthread_mutex_unlock(&j->lock);
	return found;
}

/* --- giving space back ------------------------------------------------------------------ */

void
journal_release(struct journal *j, const struct journal_position *p)
{
	uint64_t number;

	for (;;) {
		pthread_mutex_lock(&j->lock);
		j->released = *p;
		number = j->segments_count > 1 && j->segments[0].finished ? j->segments[0].number : 0;
		if (number != 0 && number < p->segment) {
			j->segments_count--;
			memmove(j->segments, j->segments + 1, j->segments_count * sizeof(*j->segments));
		} else
			number = 0;
		pthread_cond_signal(&j->wake);
		pthread_mutex_unlock(&j->lock);
		if (number == 0)
			return;
		segment_remove(j, number);
	}
}

void
journal_clear(struct journal *j)
{
	struct journal_position end;

	/* an empty segment stays, so that numbers go on from here, and how the run ended */
	if (segment_begin(j, intake_saw_eof(j->intake) ? "clear 0 " END_OF_INPUT "\n" : "clear 0 signal\n") == -1)
		return;
	segment_close(j);
	end.segment = segment_last(j)->number;
	end.offset = 0;
	journal_release(j, &end);
}

/* --- figures ------------------------------------------------------------------------------ */

uint64_t
journal_disk_bytes(struct journal *j)
{
	uint64_t bytes;

	pthread_mutex_lock(&j->lock);
	bytes = disk_bytes(j);
	pthread_mutex_unlock(&j->lock);
	return bytes;
}
