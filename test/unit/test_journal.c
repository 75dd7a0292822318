#include <dirent.h>
#include <ftw.h>
#include <inttypes.h>
#include <sys/stat.h>

#include "intake.h"
#include "journal.h"
#include "journal_reader.h"
#include "log.h"
#include "message.h"
#include "stream.h"

/* one life of the helper: intake, journal and reader, on a pipe */
struct helper {
	struct stream		 stream;
	struct intake		*intake;
	struct journal		*journal;
	struct journal_reader	*reader;
	pthread_mutex_t		 lock;
	pthread_cond_t		 changed;
	unsigned int		 changes;
};

static char directory[64];

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int
setup(void **state)
{
	(void)state;
	strcpy(directory, "/tmp/exabgp-pg-journal.XXXXXX");
	return mkdtemp(directory) == NULL;
}

static int
teardown(void **state)
{
	(void)state;
	return nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* for a test that needs more than one */
static void
fresh_directory(void)
{
	assert_int_equal(teardown(NULL), 0);
	assert_int_equal(setup(NULL), 0);
}

static void
on_change(void *arg)
{
	struct helper *h = arg;

	pthread_mutex_lock(&h->lock);
	h->changes++;
	pthread_cond_signal(&h->changed);
	pthread_mutex_unlock(&h->lock);
}

static void
helper_start_in(struct helper *h, const char *spool, uint64_t max_bytes, bool lossless)
{
	struct journal_config config = { .directory = spool, .sync_ms = 1000, .max_bytes = max_bytes, .lossless = lossless,
		.on_change = on_change, .arg = h };

	memset(h, 0, sizeof(*h));
	pthread_mutex_init(&h->lock, NULL);
	pthread_cond_init(&h->changed, NULL);
	stream_open(&h->stream);
	assert_non_null(h->intake = intake_start(h->stream.fds[0], lossless, NULL, NULL));
	assert_non_null(h->journal = journal_start(&config, h->intake));
	assert_non_null(h->reader = journal_reader_new(h->journal, spool));
}

static void
helper_start(struct helper *h)
{
	helper_start_in(h, directory, 1024 * 1024 * 1024, false);
}

/* at once, whatever is under way: what kill -9 leaves but for the order of things */
static void
helper_kill(struct helper *h, bool closed)
{
	journal_reader_free(h->reader);
	journal_free(h->journal);
	if (!closed)
		close(h->stream.fds[1]);
	intake_free(h->intake);
	close(h->stream.fds[0]);
	pthread_mutex_destroy(&h->lock);
	pthread_cond_destroy(&h->changed);
}

/* until the journal changes, or a little while */
static void
helper_wait(struct helper *h, unsigned int seen, const struct deadline *d, const char *what)
{
	struct timespec until;

	deadline_check(d, what);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += 20000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_mutex_lock(&h->lock);
	if (h->changes == seen)
		pthread_cond_timedwait(&h->changed, &h->lock, &until);
	pthread_mutex_unlock(&h->lock);
}

static unsigned int
helper_changes(struct helper *h)
{
	unsigned int changes;

	pthread_mutex_lock(&h->lock);
	changes = h->changes;
	pthread_mutex_unlock(&h->lock);
	return changes;
}

static void
helper_opened(struct helper *h)
{
	struct deadline d = deadline_begin();
	char id[JOURNAL_ID_SIZE];

	while (!journal_id(h->journal, id))
		helper_wait(h, helper_changes(h), &d, "opening the journal");
}

/* writes whole lines and waits until the journal has them: a block of their own, at least */
static void
helper_feed(struct helper *h, const char *data, size_t length)
{
	struct deadline d = deadline_begin();
	struct journal_position begin = { 0, 0 };
	uint64_t had;

	helper_opened(h);
	had = journal_backlog(h->journal, &begin);
	stream_write(&h->stream, data, length, 0, false);
	stream_join(&h->stream);
	while (journal_backlog(h->journal, &begin) < had + length)
		helper_wait(h, helper_changes(h), &d, "feeding the journal");
}

/* what was read: lines in order, and the rest as "[start]", "[gap lines bytes]" ... */
struct seen {
	struct text	lines;
	struct text	events;
	size_t		count;
	struct journal_position next;
};

static void
see(struct seen *s, const struct journal_record *r)
{
	static const char *const names[] = { [JOURNAL_START] = "start", [JOURNAL_RESYNC] = "resync",
		[JOURNAL_UNVERIFIED] = "unverified" };

	if (r->type == JOURNAL_LINE) {
		text_add(&s->lines, r->line, r->length);
		text_add(&s->lines, "\n", 1);
		s->count++;
	} else if (r->type == JOURNAL_GAP)
		text_addf(&s->events, "[gap %" PRId64 " %" PRId64 "]", r->lines, r->bytes);
	else if (r->type == JOURNAL_STOP)
		text_addf(&s->events, "[stop: %s]", r->text);
	else
		text_addf(&s->events, "[%s]", names[r->type]);
	s->next = r->next;
}

static void
seen_begin(struct seen *s)
{
	memset(s, 0, sizeof(*s));
	text_add(&s->lines, "", 0);
	text_add(&s->events, "", 0);
}

static void
seen_free(struct seen *s)
{
	text_free(&s->lines);
	text_free(&s->events);
}

enum release { KEEP, RELEASE };

/* all there is until the input has ended and all of it was read */
static void
read_all(struct helper *h, struct seen *s, enum release release)
{
	struct deadline d = deadline_begin();
	struct journal_record r;

	helper_opened(h);
	for (;;) {
		unsigned int changes = helper_changes(h);
		bool ended = journal_ended(h->journal);

		while (journal_reader_next(h->reader, &r)) {
			see(s, &r);
			if (release == RELEASE && s->count % 16 == 0)
				journal_release(h->journal, &r.next);
		}
		if (release == RELEASE)
			journal_release(h->journal, &s->next);
		if (ended)
			return;
		helper_wait(h, changes, &d, "reading the journal");
	}
}

/* some of it: at least so many lines, if there are */
static void
read_some(struct helper *h, struct seen *s, size_t lines)
{
	struct deadline d = deadline_begin();
	struct journal_record r;
	size_t until = s->count + lines;

	helper_opened(h);
	while (s->count < until) {
		unsigned int changes = helper_changes(h);

		if (journal_reader_next(h->reader, &r))
			see(s, &r);
		else
			helper_wait(h, changes, &d, "reading some of the journal");
	}
}

static void
check_lines(const char *name, const struct text *got, const char *wanted, size_t length)
{
	size_t i, n = got->length < length ? got->length : length, line = 0;

	for (i = 0; i < n && got->data[i] == wanted[i]; i++)
		line += wanted[i] == '\n';
	if (i < n || got->length != length)
		fail_msg("%s: %zu bytes, not %zu; the first difference is in line %zu, at %zu", name, got->length, length, line, i);
}

/* files of the directory with this suffix */
static size_t
count_files(const char *suffix)
{
	DIR *d = opendir(directory);
	struct dirent *e;
	size_t count = 0, n = strlen(suffix);

	assert_non_null(d);
	while ((e = readdir(d)) != NULL)
		count += strlen(e->d_name) > n && strcmp(e->d_name + strlen(e->d_name) - n, suffix) == 0;
	closedir(d);
	return count;
}

static void
path_of(char *path, uint64_t segment, const char *suffix)
{
	char name[JOURNAL_NAME_SIZE];

	journal_segment_name(name, segment, suffix);
	snprintf(path, PATH_MAX, "%s/%s", directory, name);
}

/* --- whole runs ------------------------------------------------------------------- */

static void
test_round_trip(void **state)
{
	unsigned int seed;

	(void)state;
	for (seed = 1; seed <= 6; seed++) {
		struct text input = { 0 };
		struct helper h;
		struct seen s;
		char id[JOURNAL_ID_SIZE];

		fresh_directory();
		seen_begin(&s);
		add_lines(&input, 0, 3000, 600, seed);
		add_lines(&input, 3000, 20, 200000, seed);
		text_add(&input, "\n\n\0\n\r\n\xff\n", 8);
		add_lines(&input, 4000, 3000, 20, seed);
		helper_start(&h);
		stream_write(&h.stream, input.data, input.length, seed, true);
		read_all(&h, &s, KEEP);
		stream_join(&h.stream);
		check_lines("round trip", &s.lines, input.data, input.length);
		check_text("events", s.events.data, "[start][stop: end of input]");
		assert_false(journal_unclean(h.journal));
		assert_true(journal_id(h.journal, id));
		assert_int_equal(strlen(id), 36);
		assert_int_equal(journal_backlog(h.journal, &s.next), 0);
		helper_kill(&h, true);
		seen_free(&s);
		text_free(&input);
	}
}

/* segments follow each other, and go when all of them is committed */
static void
test_segments(void **state)
{
	struct text input = { 0 };
	struct helper h;
	struct seen s;

	(void)state;
	seen_begin(&s);
	add_lines(&input, 0, 6000, 300, 1);
	/* segments of 64 KiB */
	helper_start_in(&h, directory, 512 * 1024, true);
	stream_write(&h.stream, input.data, input.length, 3, true);
	/* it is full, and gets room only from what is released */
	read_all(&h, &s, RELEASE);
	stream_join(&h.stream);
	check_lines("segments", &s.lines, input.data, input.length);
	check_text("events", s.events.data, "[start][stop: end of input]");
	assert_true(s.next.segment > 8);
	assert_true(count_files(".jsonl") <= 2);
	assert_true(count_files(".index") <= 2);
	helper_kill(&h, true);
	seen_free(&s);
	text_free(&input);
}

/* never more on disk than was allowed, nor less read than was written */
static void
test_bounded(void **state)
{
	struct text input = { 0 };
	struct deadline d = deadline_begin();
	struct intake_stats stats;
	struct helper h;
	struct seen s;
	uint64_t lost = 0;
	char *p, *q, *line, *other;
	size_t n, m;

	(void)state;
	seen_begin(&s);
	add_lines(&input, 0, 60000, 1200, 1);
	helper_start_in(&h, directory, 256 * 1024, false);
	/* nothing is released: the journal is full, then memory is, then lines are dropped */
	stream_write(&h.stream, input.data, input.length, 0, true);
	stream_join(&h.stream);
	for (intake_stats(h.intake, &stats); stats.bytes < input.length; intake_stats(h.intake, &stats))
		deadline_pause(&d, "filling a bounded journal");
	assert_true(stats.dropped_lines > 0);
	assert_true(journal_backlog(h.journal, &(struct journal_position){ 0, 0 }) <= 256 * 1024);
	read_all(&h, &s, RELEASE);
	assert_int_equal(s.count + stats.dropped_lines, 60000);
	/* all that was dropped is in a gap, all else in its place */
	for (p = s.lines.data, q = input.data; next_line(&p, s.lines.data + s.lines.length, &line, &n);) {
		while (next_line(&q, input.data + input.length, &other, &m) && (n != m || memcmp(line, other, n) != 0))
			lost += m + 1;
	}
	while (next_line(&q, input.data + input.length, &other, &m))
		lost += m + 1;
	text_free(&input);
	text_addf(&input, "[start][gap %" PRIu64 " %" PRIu64 "][stop: end of input]", stats.dropped_lines, lost);
	check_text("events", s.events.data, input.data);
	helper_kill(&h, true);
	seen_free(&s);
	text_free(&input);
}

/* --- the next helper --------------------------------------------------------------- */

/* wherever the first one was ended and however far it had committed: nothing lost, nothing twice */
static void
test_reopened(void **state)
{
	static const struct {
		const char	*name;
		bool		 ended;		/* the first one saw the end of its input */
		size_t		 committed;	/* lines */
	} cases[] = {
		{ "killed, nothing committed", false, 0 },
		{ "killed, some committed", false, 777 },
		{ "killed, all committed", false, 2000 },
		{ "ended, nothing committed", true, 0 },
		{ "ended, some committed", true, 1234 },
		{ "ended, all committed", true, 2000 },
	};
	size_t i, release;

	(void)state;
	for (i = 0; i < COUNT(cases); i++)
		for (release = 0; release < 2; release++) {
			struct text first = { 0 }, second = { 0 }, both = { 0 };
			struct journal_position committed = { 0, 0 };
			char id[2][JOURNAL_ID_SIZE];
			struct helper h;
			struct seen s;
			size_t part;

			fresh_directory();
			add_lines(&first, 0, 2000, 300, (unsigned int)i + 1);
			add_lines(&second, 2000, 1000, 300, (unsigned int)i + 9);
			seen_begin(&s);
			helper_start_in(&h, directory, release != 0 ? 512 * 1024 : 1024 * 1024 * 1024, false);
			part = (size_t)(strstr(first.data, "\n#700 ") + 1 - first.data);
			helper_feed(&h, first.data, part);
			stream_write(&h.stream, first.data + part, first.length - part, 3, cases[i].ended);
			stream_join(&h.stream);
			if (cases[i].committed > 0) {
				read_some(&h, &s, cases[i].committed);
				committed = s.next;
				if (release != 0)
					journal_release(h.journal, &committed);
			}
			if (cases[i].ended) {
				struct deadline d = deadline_begin();

				while (!journal_ended(h.journal))
					helper_wait(&h, helper_changes(&h), &d, "end of input");
			} else {
				struct deadline d = deadline_begin();
				struct intake_stats stats;

				/* all of it is on disk: what is not is lost with a process that is killed */
				for (intake_stats(h.intake, &stats); stats.bytes < first.length; intake_stats(h.intake, &stats))
					deadline_pause(&d, "reading before the kill");
				while (intake_peek(h.intake, (struct iovec[2]){ { 0 } }) > 0)
					deadline_pause(&d, "writing before the kill");
			}
			assert_true(journal_id(h.journal, id[0]));
			helper_kill(&h, cases[i].ended);

			helper_start_in(&h, directory, 1024 * 1024 * 1024, false);
			journal_reader_seek(h.reader, &committed);
			stream_write(&h.stream, second.data, second.length, 5, true);
			read_all(&h, &s, KEEP);
			stream_join(&h.stream);
			text_add(&both, first.data, first.length);
			text_add(&both, second.data, second.length);
			check_lines(cases[i].name, &s.lines, both.data, both.length);
			if (strstr(s.events.data, "gap") != NULL)
				fail_msg("%s: %s", cases[i].name, s.events.data);
			assert_int_equal(journal_unclean(h.journal), !cases[i].ended);
			assert_true(journal_id(h.journal, id[1]));
			check_text("id", id[1], id[0]);
			helper_kill(&h, true);
			seen_free(&s);
			text_free(&first);
			text_free(&second);
			text_free(&both);
		}
}

/* a position within a block, at its ends, and past all */
static void
test_seek(void **state)
{
	struct text input = { 0 };
	struct journal_position at[101];
	struct helper h;
	struct seen s;
	size_t i;

	(void)state;
	add_lines(&input, 0, 100, 50, 1);
	seen_begin(&s);
	helper_start(&h);
	i = (size_t)(strstr(input.data, "\n#50 ") + 1 - input.data);
	helper_feed(&h, input.data, i);
	helper_feed(&h, input.data + i, input.length - i);
	close(h.stream.fds[1]);
	for (i = 0; i < 100; i++) {
		at[i] = s.next;
		read_some(&h, &s, 1);
	}
	at[100] = s.next;
	read_all(&h, &s, KEEP);
	for (i = 0; i <= 100; i++) {
		size_t skipped = 0, n;
		char *p = input.data;

		for (n = 0; n < i; n++)
			p = strchr(p, '\n') + 1;
		skipped = (size_t)(p - input.data);
		seen_free(&s);
		seen_begin(&s);
		journal_reader_seek(h.reader, &at[i]);
		read_all(&h, &s, KEEP);
		check_lines("seek", &s.lines, input.data + skipped, input.length - skipped);
		if (strstr(s.events.data, "gap") != NULL)
			fail_msg("seek to line %zu: %s", i, s.events.data);
	}
	helper_kill(&h, true);
	seen_free(&s);
	text_free(&input);
}

/* the second one waits for the first, keeping its input in memory */
static void
test_owned(void **state)
{
	struct text input = { 0 };
	struct helper first, second;
	struct seen s;
	char id[JOURNAL_ID_SIZE];

	(void)state;
	add_lines(&input, 0, 100, 50, 1);
	seen_begin(&s);
	helper_start(&first);
	helper_feed(&first, input.data, input.length);
	helper_start(&second);
	stream_write(&second.stream, input.data, input.length, 0, true);
	stream_join(&second.stream);
	while (!intake_saw_eof(second.intake))
		intake_wait(second.intake, 100);
	assert_false(journal_id(second.journal, id));
	helper_kill(&first, false);
	read_all(&second, &s, KEEP);
	text_add(&input, input.data, 0);
	assert_int_equal(s.count, 200);
	assert_memory_equal(s.lines.data, input.data, input.length);
	assert_memory_equal(s.lines.data + input.length, input.data, input.length);
	assert_true(journal_unclean(second.journal));
	helper_kill(&second, true);
	seen_free(&s);
	text_free(&input);
}

/* the directory cannot be made for a while */
static void
test_unusable(void **state)
{
	struct text input = { 0 };
	char file[128], spool[160], id[JOURNAL_ID_SIZE];
	struct stat st;
	struct helper h;
	struct seen s;
	int fd;

	(void)state;
	snprintf(file, sizeof(file), "%s/in-the-way", directory);
	snprintf(spool, sizeof(spool), "%s/in-the-way/a/spool", directory);
	fd = open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd != -1);
	close(fd);
	add_lines(&input, 0, 100, 50, 1);
	seen_begin(&s);
	helper_start_in(&h, spool, 1024 * 1024, false);
	stream_write(&h.stream, input.data, input.length, 1, true);
	stream_join(&h.stream);
	while (!intake_saw_eof(h.intake))
		intake_wait(h.intake, 100);
	assert_false(journal_id(h.journal, id));
	assert_false(journal_ended(h.journal));
	assert_int_equal(unlink(file), 0);
	read_all(&h, &s, KEEP);
	check_lines("unusable", &s.lines, input.data, input.length);
	assert_int_equal(stat(spool, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	helper_kill(&h, true);
	seen_free(&s);
	text_free(&input);
}

/* whoever asks while the directory is being read is told nothing or the truth */
static void
test_opening(void **state)
{
	struct deadline d = deadline_begin();
	struct journal_extent extent;
	char path[PATH_MAX], id[JOURNAL_ID_SIZE];
	struct helper h;
	uint64_t i;
	bool opened;

	(void)state;
	for (i = 2000; i > 0; i--) {
		int fd;

		path_of(path, i, "jsonl");
		fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
		assert_true(fd != -1);
		assert_int_equal(write(fd, "x\n", 2), 2);
		close(fd);
	}
	helper_start(&h);
	do {
		uint64_t backlog = journal_backlog(h.journal, &(struct journal_position){ 0, 0 });

		opened = journal_id(h.journal, id);
		if (backlog != 0 && backlog != 4000)
			fail_msg("%" PRIu64 " bytes while the directory is being read", backlog);
		if (journal_extent(h.journal, 0, &extent) && extent.number != 1)
			fail_msg("segment %" PRIu64 " is the first while the directory is being read", extent.number);
		deadline_check(&d, "opening");
	} while (!opened);
	helper_kill(&h, false);
}

/* nothing is left to load: the space is given back, and the next one goes on after it */
static void
test_clear(void **state)
{
	struct text input = { 0 };
	struct journal_position committed;
	struct helper h;
	struct seen s;

	(void)state;
	add_lines(&input, 0, 3000, 300, 1);
	seen_begin(&s);
	helper_start_in(&h, directory, 2 * 1024 * 1024, false);
	stream_write(&h.stream, input.data, input.length, 1, true);
	read_all(&h, &s, KEEP);
	stream_join(&h.stream);
	committed = s.next;
	journal_clear(h.journal);
	assert_int_equal(count_files(".jsonl"), 1);
	helper_kill(&h, true);
	seen_free(&s);

	seen_begin(&s);
	helper_start(&h);
	journal_reader_seek(h.reader, &committed);
	stream_write(&h.stream, input.data, input.length, 1, true);
	read_all(&h, &s, KEEP);
	stream_join(&h.stream);
	check_lines("clear", &s.lines, input.data, input.length);
	check_text("events", s.events.data, "[start][stop: end of input]");
	assert_false(journal_unclean(h.journal));
	helper_kill(&h, true);
	seen_free(&s);
	text_free(&input);
}

/* --- damage -------------------------------------------------------------------------- */

#define BLOCKS		12
#define BLOCK_LINES	100
#define PER_SEGMENT	4	/* of the blocks */

static struct text original_blocks[BLOCKS];
static char original[64];	/* directory */

/* made once: each life of a helper begins a segment, and ending one takes a while */
static void
make_original(void)
{
	struct helper h;
	size_t i, b;

	for (i = 0; i < BLOCKS; i += PER_SEGMENT) {
		helper_start(&h);
		for (b = i; b < i + PER_SEGMENT; b++) {
			struct text *block = &original_blocks[b];

			add_lines(block, (unsigned int)(b * BLOCK_LINES), BLOCK_LINES, 100, (unsigned int)b + 1);
			helper_feed(&h, block->data, block->length);
		}
		helper_kill(&h, false);
	}
	strcpy(original, directory);
	assert_int_equal(setup(NULL), 0);
}

/* blocks of 100 lines in three segments that a crash left: block b is lines b * 100 ... */
static void
make_journal(struct text blocks[BLOCKS])
{
	char command[256];
	size_t b;

	if (original[0] == '\0')
		make_original();
	snprintf(command, sizeof(command), "cp -p %s/* %s", original, directory);
	assert_int_equal(system(command), 0);
	for (b = 0; b < BLOCKS; b++) {
		memset(&blocks[b], 0, sizeof(blocks[b]));
		text_add(&blocks[b], original_blocks[b].data, original_blocks[b].length);
	}
}

static int
remove_original(void **state)
{
	size_t b;

	for (b = 0; b < BLOCKS; b++)
		text_free(&original_blocks[b]);
	strcpy(directory, original);
	return original[0] == '\0' ? 0 : teardown(state);
}

static void
overwrite(uint64_t segment, const char *suffix, off_t at, const char *bytes, size_t n)
{
	char path[PATH_MAX];
	int fd;

	path_of(path, segment, suffix);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_true(fd != -1);
	assert_int_equal(pwrite(fd, bytes, n, at), n);
	close(fd);
}

static void
append(uint64_t segment, const char *suffix, const char *text)
{
	char path[PATH_MAX];
	struct stat st;

	path_of(path, segment, suffix);
	assert_int_equal(stat(path, &st), 0);
	overwrite(segment, suffix, st.st_size, text, strlen(text));
}

static void
cut(uint64_t segment, const char *suffix, size_t length)
{
	char path[PATH_MAX];

	path_of(path, segment, suffix);
	assert_int_equal(truncate(path, (off_t)length), 0);
}

static void
delete(uint64_t segment, const char *suffix)
{
	char path[PATH_MAX];

	path_of(path, segment, suffix);
	assert_int_equal(unlink(path), 0);
}

/*
 * Reads a damaged journal with a new helper: but for the blocks of which lost has the
 * bit, all lines are there in order, then those in extra; and the events are these,
 * after the starts are taken out.
 */
static void
check_damaged(const char *name, struct text blocks[BLOCKS], unsigned int lost, size_t extra_after, const char *extra,
    const char *events)
{
	struct text wanted = { 0 }, got = { 0 };
	struct helper h;
	struct seen s;
	size_t i;
	char *p;

	text_add(&wanted, "", 0);
	for (i = 0; i < BLOCKS; i++) {
		if ((lost & 1U << i) == 0)
			text_add(&wanted, blocks[i].data, blocks[i].length);
		if (i + 1 == extra_after)
			text_add(&wanted, extra, strlen(extra));
	}
	seen_begin(&s);
	helper_start(&h);
	close(h.stream.fds[1]);
	read_all(&h, &s, KEEP);
	check_lines(name, &s.lines, wanted.data, wanted.length);
	text_add(&got, "", 0);
	for (p = s.events.data; *p != '\0';) {
		if (strncmp(p, "[start]", 7) == 0)
			p += 7;
		else
			text_add(&got, p++, 1);
	}
	check_text(name, got.data, events);
	helper_kill(&h, true);
	seen_free(&s);
	text_free(&wanted);
	text_free(&got);
	for (i = 0; i < BLOCKS; i++)
		text_free(&blocks[i]);
}

#define END	"[stop: end of input]"

static void
test_undamaged(void **state)
{
	struct text blocks[BLOCKS];

	(void)state;
	make_journal(blocks);
	assert_int_equal(count_files(".jsonl"), 3);
	check_damaged("undamaged", blocks, 0, 0, "", END);
}

/* power failed while a block was written: its whole lines are there, the torn one is a gap */
static void
test_torn_tail(void **state)
{
	struct text blocks[BLOCKS];

	(void)state;
	make_journal(blocks);
	append(2, "jsonl", "whole 1\nwhole 2\ntorn");
	check_damaged("torn tail", blocks, 0, 2 * PER_SEGMENT, "whole 1\nwhole 2\n", "[unverified][gap 1 4]" END);
}

/* the index line was cut off: the block's lines are read all the same */
static void
test_torn_index(void **state)
{
	struct text blocks[BLOCKS];
	char path[PATH_MAX];
	struct stat st;

	(void)state;
	make_journal(blocks);
	path_of(path, 2, "index");
	assert_int_equal(stat(path, &st), 0);
	cut(2, "index", (size_t)st.st_size - 7);
	check_damaged("torn index", blocks, 0, 0, "", "[unverified]" END);
}

/* power failed: zeroes are in place of what was written last, also in the index */
static void
test_zeroes(void **state)
{
	struct text blocks[BLOCKS];
	char path[PATH_MAX], zeroes[5000] = { 0 };
	struct stat st;

	(void)state;
	make_journal(blocks);
	append(2, "jsonl", "whole 1\ntorn");
	path_of(path, 2, "jsonl");
	assert_int_equal(stat(path, &st), 0);
	overwrite(2, "jsonl", st.st_size, zeroes, sizeof(zeroes));
	append(2, "jsonl", "torn\nwhole 2\n");
	append(2, "index", "block 3");
	path_of(path, 2, "index");
	assert_int_equal(stat(path, &st), 0);
	overwrite(2, "index", st.st_size, zeroes, sizeof(zeroes));
	append(2, "index", "1 2 3\n");
	check_damaged("zeroes", blocks, 0, 2 * PER_SEGMENT, "whole 1\nwhole 2\n", "[unverified][gap -1 5009]" END);
}

static void
test_flipped_bit(void **state)
{
	struct text blocks[BLOCKS];
	char events[256];
	char c;

	(void)state;
	make_journal(blocks);
	c = blocks[5].data[1000] ^ 0x10;
	snprintf(events, sizeof(events), "[gap %d %zu]" END, BLOCK_LINES, blocks[5].length);
	overwrite(2, "jsonl", (off_t)(blocks[4].length + 1000), &c, 1);
	check_damaged("flipped bit", blocks, 1U << 5, 0, "", events);
}

/* two damaged blocks in two segments */
static void
test_two_flipped_bits(void **state)
{
	struct text blocks[BLOCKS];
	char events[256];

	(void)state;
	make_journal(blocks);
	snprintf(events, sizeof(events), "[gap %d %zu][gap %d %zu]" END, BLOCK_LINES, blocks[0].length, BLOCK_LINES,
	    blocks[11].length);
	overwrite(1, "jsonl", 0, "\n", 1);
	overwrite(3, "jsonl", (off_t)(blocks[8].length + blocks[9].length + blocks[10].length + blocks[11].length - 1), "x", 1);
	check_damaged("two flipped bits", blocks, 1U << 0 | 1U << 11, 0, "", events);
}

static void
test_truncated(void **state)
{
	struct text blocks[BLOCKS];
	char events[256];

	(void)state;
	make_journal(blocks);
	snprintf(events, sizeof(events), "[gap %d %zu][gap %d %zu]" END, BLOCK_LINES, blocks[6].length, BLOCK_LINES,
	    blocks[7].length);
	cut(2, "jsonl", blocks[4].length + blocks[5].length + 500);
	check_damaged("truncated", blocks, 1U << 6 | 1U << 7, 0, "", events);
}

static void
test_empty_segment(void **state)
{
	struct text blocks[BLOCKS];
	struct text events = { 0 };
	size_t i;

	(void)state;
	make_journal(blocks);
	for (i = 4; i < 8; i++)
		text_addf(&events, "[gap %d %zu]", BLOCK_LINES, blocks[i].length);
	text_addf(&events, END);
	cut(2, "jsonl", 0);
	check_damaged("empty segment", blocks, 0xf0, 0, "", events.data);
	text_free(&events);
}

static void
test_missing_segment(void **state)
{
	struct text blocks[BLOCKS];

	(void)state;
	make_journal(blocks);
	delete(2, "jsonl");
	delete(2, "index");
	check_damaged("missing segment", blocks, 0xf0, 0, "", "[gap -1 -1]" END);
}

static void
test_missing_data(void **state)
{
	struct text blocks[BLOCKS];

	(void)state;
	make_journal(blocks);
	delete(2, "jsonl");
	check_damaged("missing data", blocks, 0xf0, 0, "", "[gap -1 -1]" END);
}

static void
test_missing_index(void **state)
{
	struct text blocks[BLOCKS];

	(void)state;
	make_journal(blocks);
	delete(2, "index");
	check_damaged("missing index", blocks, 0, 0, "", "[unverified]" END);
}

/* nothing can tell what was changed, but that nothing can is said, and where */
static void
test_missing_index_flipped_bit(void **state)
{
	struct text blocks[BLOCKS];

	(void)state;
	make_journal(blocks);
	delete(2, "index");
	blocks[5].data[1000] ^= 0x10;
	overwrite(2, "jsonl", (off_t)(blocks[4].length + 1000), &blocks[5].data[1000], 1);
	check_damaged("missing index, flipped bit", blocks, 0, 0, "", "[unverified]" END);
}

/* what is no file of ours at all, in the place of a segment or an index */
static void
test_no_file(void **state)
{
	static const char *const suffixes[] = { "jsonl", "index" };
	size_t i;
	int kind;

	(void)state;
	for (i = 0; i < COUNT(suffixes); i++) {
		for (kind = 0; kind < 3; kind++) {
			struct text blocks[BLOCKS];
			struct text events = { 0 };
			char path[PATH_MAX];
			size_t b;

			fresh_directory();
			make_journal(blocks);
			delete(2, suffixes[i]);
			path_of(path, 2, suffixes[i]);
			assert_int_equal(kind == 0 ? mkfifo(path, 0600) : kind == 1 ? mkdir(path, 0700) :
			    symlink(path, path), 0);
			for (b = 4; b < 8 && i == 0; b++)
				text_addf(&events, "[gap %d %zu]", BLOCK_LINES, blocks[b].length);
			text_addf(&events, "%s" END, i == 0 ? "" : "[unverified]");
			/* lines of which there is no index are not lost */
			check_damaged(suffixes[i], blocks, i == 0 ? 0xf0 : 0, 0, "", events.data);
			text_free(&events);
		}
	}
}

/* a FIFO in the place of the first index keeps nobody waiting for a writer */
static void
test_oldest_no_file(void **state)
{
	struct text blocks[BLOCKS];
	char path[PATH_MAX];
	struct helper h;
	size_t b;

	(void)state;
	make_journal(blocks);
	delete(1, "index");
	path_of(path, 1, "index");
	assert_int_equal(mkfifo(path, 0600), 0);
	helper_start(&h);
	helper_opened(&h);
	assert_true(journal_reader_oldest_us(h.journal, directory) == MESSAGE_NO_NUMBER);
	helper_kill(&h, false);
	for (b = 0; b < BLOCKS; b++)
		text_free(&blocks[b]);
}

/* the number of a segment that was lost but for its index is not used again */
static void
test_last_data_missing(void **state)
{
	struct text blocks[BLOCKS];
	struct helper h;
	size_t b;

	(void)state;
	make_journal(blocks);
	delete(3, "jsonl");
	helper_start(&h);
	helper_opened(&h);
	assert_int_equal(journal_first_of_run(h.journal), 4);
	helper_kill(&h, false);
	for (b = 0; b < BLOCKS; b++)
		text_free(&blocks[b]);
}

/* lines of the index that mean nothing, or what is not so */
static void
test_damaged_index(void **state)
{
	static const char *const garbage[] = { "garbage\n", "\n", "block\n", "block x y z\n", "block 1\n",
		"block 18446744073709551615 18446744073709551615 1 0 0\n", "block 0 18446744073709551615 1 0 0\n",
		"block 99999999 10 1 0 0\n", "start 99999999 1 1\n", "\xff\xfe\n", "gap\n", "stop -1\n" };
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(garbage); i++) {
		struct text blocks[BLOCKS], wanted = { 0 };
		struct helper h;
		struct seen s;
		size_t b;

		fresh_directory();
		make_journal(blocks);
		append(2, "index", garbage[i]);
		seen_begin(&s);
		text_add(&wanted, "", 0);
		for (b = 0; b < BLOCKS; b++) {
			text_add(&wanted, blocks[b].data, blocks[b].length);
			text_free(&blocks[b]);
		}
		helper_start(&h);
		close(h.stream.fds[1]);
		read_all(&h, &s, KEEP);
		/* it may be called a gap, but all lines are there */
		check_lines(garbage[i], &s.lines, wanted.data, wanted.length);
		helper_kill(&h, true);
		seen_free(&s);
		text_free(&wanted);
	}
}

/* any byte of the index wrong, anywhere: no crash, no line twice, none that was not written */
static void
test_random_damage(void **state)
{
	unsigned int seed = 1;
	int round;

	(void)state;
	for (round = 0; round < 30; round++) {
		struct text blocks[BLOCKS];
		char path[PATH_MAX], *p, *line;
		struct stat st;
		struct helper h;
		struct seen s;
		long last = -1;
		size_t n, b;
		int i;

		fresh_directory();
		make_journal(blocks);
		path_of(path, 2, "index");
		assert_int_equal(stat(path, &st), 0);
		for (i = 0; i < 3; i++) {
			char c = (char)rand_r(&seed);

			overwrite(2, "index", rand_r(&seed) % st.st_size, &c, 1);
		}
		seen_begin(&s);
		helper_start(&h);
		close(h.stream.fds[1]);
		read_all(&h, &s, KEEP);
		for (p = s.lines.data; next_line(&p, s.lines.data + s.lines.length, &line, &n);) {
			long number = strtol(line + 1, NULL, 10);

			/* a block whose beginning is not known may begin with a piece of a line: no message */
			if (line[0] != '#')
				continue;
			if (number <= last)
				fail_msg("round %d: line %ld after %ld", round, number, last);
			last = number;
		}
		/* the other segments are whole */
		assert_non_null(memmem(s.lines.data, s.lines.length, blocks[0].data, blocks[0].length));
		assert_non_null(memmem(s.lines.data, s.lines.length, blocks[11].data, blocks[11].length));
		helper_kill(&h, true);
		seen_free(&s);
		for (b = 0; b < BLOCKS; b++)
			text_free(&blocks[b]);
	}
}

/* the longest lines there are, in their place */
static void
test_longest_lines(void **state)
{
	struct text input = { 0 };
	char *filler = malloc(MESSAGE_LINE_MAX);
	struct helper h;
	struct seen s;
	int i;

	(void)state;
	assert_non_null(filler);
	memset(filler, 'x', MESSAGE_LINE_MAX);
	for (i = 0; i < 2; i++) {
		add_lines(&input, 0, 10, 50, 1);
		text_add(&input, filler, MESSAGE_LINE_MAX);
		text_add(&input, "\n", 1);
		text_add(&input, filler, MESSAGE_LINE_MAX - 1);
		text_add(&input, "\n", 1);
	}
	seen_begin(&s);
	helper_start_in(&h, directory, 1024 * 1024 * 1024, true);
	stream_write(&h.stream, input.data, input.length, 0, true);
	read_all(&h, &s, RELEASE);
	stream_join(&h.stream);
	check_lines("longest lines", &s.lines, input.data, input.length);
	helper_kill(&h, true);
	seen_free(&s);
	text_free(&input);
	free(filler);
}

#define EACH(test)	cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(test_round_trip), EACH(test_segments), EACH(test_bounded), EACH(test_reopened), EACH(test_seek),
		EACH(test_owned), EACH(test_unusable), EACH(test_opening), EACH(test_clear), EACH(test_undamaged), EACH(test_torn_tail),
		EACH(test_torn_index), EACH(test_zeroes), EACH(test_flipped_bit), EACH(test_two_flipped_bits), EACH(test_truncated),
		EACH(test_empty_segment), EACH(test_missing_segment), EACH(test_missing_data), EACH(test_missing_index),
		EACH(test_missing_index_flipped_bit),
		EACH(test_no_file), EACH(test_oldest_no_file), EACH(test_last_data_missing), EACH(test_damaged_index), EACH(test_random_damage), EACH(test_longest_lines),
	};

	log_threshold(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, remove_original);
}
