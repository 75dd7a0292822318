/*
 * fuzz_journal - a journal of any content, as a crash, a bad disk or an editor may
 * leave it, is read to its end: positions only rise, a line is delivered at most once
 * and as it stands in the file, what is not delivered is a gap, events can be stored,
 * and reading may stop and go on after any line.
 *
 * The input is text: lines "==N" begin a file, where N is a letter: a to d segments 1,
 * 2, 3 and 5, A to D their indexes.  The first byte chooses where reading stops.  In an
 * index, "!" in place of a checksum becomes the right one.
 */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <semaphore.h>
#include <sys/stat.h>
#include <time.h>

#include <zlib.h>

#include "copy_check.h"
#include "intake.h"
#include "journal_reader.h"

#define FILES		4
#define FILE_MAX	((size_t)128 * 1024)
#define DEADLINE_S	8

static const uint64_t numbers[FILES] = { 1, 2, 3, 5 };
static const char input[] = "new line 1\nnew line 2\n";
#define INPUT_LINES	2

struct content {
	unsigned char	*data;		/* NULL: no such file */
	size_t		 length;
	size_t		 dealt_with;	/* a segment: up to here delivered or in a gap */
};

/* a line that was delivered */
struct seen {
	struct journal_position position;
	struct journal_position next;
};

struct run {
	struct content	 segments[FILES];
	struct content	 indexes[FILES];
	struct journal_position at;	/* nothing may come from before it */
	struct seen	*lines;
	size_t		 lines_count;
	size_t		 lines_size;
	size_t		 records;
	size_t		 new_lines;
	size_t		 most;		/* records there can be */
};

static char directory[1024];
static sem_t changes;
static struct batch batch;

static void
remove_files(void)
{
	DIR *d = opendir(directory);
	struct dirent *e;

	FUZZ_CHECK(d != NULL);
	while ((e = readdir(d)) != NULL)
		if (e->d_name[0] != '.')
			unlinkat(dirfd(d), e->d_name, 0);
	closedir(d);
}

static void
remove_directory(void)
{
	remove_files();
	rmdir(directory);
}

static void
make_directory(void)
{
	const char *parent = getenv("TMPDIR");

	if (parent == NULL)
		parent = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
	FUZZ_CHECK(snprintf(directory, sizeof(directory), "%s/exabgp-pg-fuzz.XXXXXX", parent) < (int)sizeof(directory));
	FUZZ_CHECK(mkdtemp(directory) != NULL);
	atexit(remove_directory);
	sem_init(&changes, 0, 0);
}

static void
on_change(void *arg)
{
	(void)arg;
	sem_post(&changes);
}

static void
put(struct content *c, const void *data, size_t n)
{
	if (c->data == NULL) {
		c->data = malloc(FILE_MAX);
		FUZZ_CHECK(c->data != NULL);
	}
	if (n > FILE_MAX - c->length)
		n = FILE_MAX - c->length;
	memcpy(c->data + c->length, data, n);
	c->length += n;
}

/* an index line, with its checksum if it asks for one */
static void
put_index(struct content *index, const struct content *segment, const uint8_t *line, size_t n)
{
	char text[256], crc[9];
	uint64_t offset, length;
	int before = 0, after = 0;

	if (n >= sizeof(text) || memchr(line, '!', n) == NULL) {
		put(index, line, n);
		return;
	}
	memcpy(text, line, n);
	text[n] = '\0';
	if (sscanf(text, "block %" SCNu64 " %" SCNu64 " %*u %n!%n", &offset, &length, &before, &after) != 2 ||
	    after == 0 || segment->data == NULL || offset > segment->length || length > segment->length - offset) {
		put(index, line, n);
		return;
	}
	put(index, text, (size_t)before);
	snprintf(crc, sizeof(crc), "%08lx", crc32(0, segment->data + offset, (uInt)length));
	put(index, crc, sizeof(crc) - 1);
	put(index, line + after, n - (size_t)after);
}

static void
write_file(uint64_t number, const char *suffix, const struct content *c)
{
	char name[JOURNAL_NAME_SIZE], path[sizeof(directory) + JOURNAL_NAME_SIZE];
	int fd;

	if (c->data == NULL)
		return;
	journal_segment_name(name, number, suffix);
	snprintf(path, sizeof(path), "%s/%s", directory, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	FUZZ_CHECK(fd != -1 && write(fd, c->data, c->length) == (ssize_t)c->length);
	close(fd);
}

/* segments first, since an index needs their bytes */
static void
make_files(struct run *r, const uint8_t *data, const uint8_t *end)
{
	int pass, i;

	for (pass = 0; pass < 2; pass++) {
		const uint8_t *p = data, *newline;
		struct content *segment = NULL, *index = NULL;

		for (; p < end; p = newline) {
			newline = memchr(p, '\n', (size_t)(end - p));
			newline = newline != NULL ? newline + 1 : end;
			if (newline - p == 4 && p[0] == '=' && p[1] == '=') {
				segment = p[2] >= 'a' && p[2] < 'a' + FILES ? &r->segments[p[2] - 'a'] : NULL;
				index = p[2] >= 'A' && p[2] < 'A' + FILES ? &r->indexes[p[2] - 'A'] : NULL;
				if (pass == 0 && segment != NULL)
					put(segment, "", 0);
				if (pass == 1 && index != NULL)
					put(index, "", 0);
			} else if (pass == 0 && segment != NULL)
				put(segment, p, (size_t)(newline - p));
			else if (pass == 1 && index != NULL) {
				put_index(index, &r->segments[index - r->indexes], p, (size_t)(newline - p));
				r->most++;
			}
		}
	}
	for (i = 0; i < FILES; i++) {
		write_file(numbers[i], "jsonl", &r->segments[i]);
		write_file(numbers[i], "index", &r->indexes[i]);
		/* at worst each byte is a line, and a gap of its own */
		r->most += 2 * r->segments[i].length + 2;
	}
	r->most += 16;
}

static int
compare(const struct journal_position *a, const struct journal_position *b)
{
	if (a->segment != b->segment)
		return a->segment < b->segment ? -1 : 1;
	return a->offset < b->offset ? -1 : a->offset > b->offset;
}

/* a segment that was there at the start, or NULL */
static struct content *
find_segment(struct run *r, uint64_t number)
{
	int i;

	for (i = 0; i < FILES; i++)
		if (numbers[i] == number && r->segments[i].data != NULL)
			return &r->segments[i];
	return NULL;
}

static void
check_line(struct run *r, const struct journal_record *rec)
{
	struct content *c = find_segment(r, rec->position.segment);
	const char *expected = r->new_lines == 0 ? "new line 1" : "new line 2";
	uint64_t bytes = rec->next.offset - rec->position.offset;

	FUZZ_CHECK(rec->next.segment == rec->position.segment);
	FUZZ_CHECK(memchr(rec->line, '\n', rec->length) == NULL);
	if (c == NULL) {
		FUZZ_CHECK(bytes == rec->length + 1 && rec->length == strlen(expected));
		FUZZ_CHECK(memcmp(rec->line, expected, rec->length) == 0);
		r->new_lines++;
		return;
	}
	FUZZ_CHECK(rec->position.offset == c->dealt_with);
	FUZZ_CHECK(rec->next.offset <= c->length);
	FUZZ_CHECK(memcmp(rec->line, c->data + rec->position.offset, rec->length) == 0);
	/* a block is whole lines; one with a right checksum that is not is nothing to lose over */
	FUZZ_CHECK(bytes == rec->length || (bytes == rec->length + 1 && c->data[rec->next.offset - 1] == '\n'));
	c->dealt_with = rec->next.offset;
}

/* the loader stores it like this */
static void
check_gap(struct run *r, const struct journal_record *rec)
{
	struct content *c = find_segment(r, rec->position.segment);
	static const struct batch_position nowhere;

	batch_begin(&batch, 1, &nowhere, 0);
	batch_gap(&batch, "fuzz", rec->from_us, rec->to_us, rec->lines, rec->bytes, rec->text, 0);
	copy_check(&batch);
	if (c == NULL || rec->next.segment != rec->position.segment || rec->next.offset <= c->dealt_with)
		return;
	FUZZ_CHECK(rec->position.offset <= c->dealt_with || c->dealt_with == c->length);
	/* an index may tell of more than a power failure left */
	c->dealt_with = rec->next.offset < c->length ? rec->next.offset : c->length;
}

static void
check_record(struct run *r, const struct journal_record *rec)
{
	struct copy_field time = { 0 };
	uint8_t big_endian[8];
	int i;

	FUZZ_CHECK(++r->records <= r->most);
	FUZZ_CHECK(compare(&rec->position, &r->at) >= 0 && compare(&rec->next, &rec->position) >= 0);
	r->at = rec->next;
	FUZZ_CHECK(memchr(rec->text, '\0', sizeof(rec->text)) != NULL);
	if (rec->time_us != MESSAGE_NO_NUMBER) {
		/* as a timestamp it is one of PostgreSQL's */
		FUZZ_CHECK(rec->time_us >= COPY_TIME_MIN && rec->time_us < COPY_TIME_END);
		for (i = 0; i < 8; i++)
			big_endian[i] = (uint8_t)((uint64_t)(rec->time_us - INT64_C(946684800000000)) >> (56 - 8 * i));
		time.data = big_endian;
		time.length = 8;
		copy_check_time(&time);
	}
	switch (rec->type) {
	case JOURNAL_LINE:
		check_line(r, rec);
		break;
	case JOURNAL_GAP:
		check_gap(r, rec);
		break;
	case JOURNAL_START:
	case JOURNAL_RESYNC:
	case JOURNAL_STOP:
	case JOURNAL_UNVERIFIED:
		break;
	case JOURNAL_NOTHING:
		FUZZ_CHECK(!"a record of nothing");
	}
}

static void
note_line(struct run *r, const struct journal_record *rec)
{
	if (r->lines_count == r->lines_size) {
		r->lines_size = r->lines_size == 0 ? 64 : r->lines_size * 2;
		r->lines = realloc(r->lines, r->lines_size * sizeof(*r->lines));
		FUZZ_CHECK(r->lines != NULL);
	}
	r->lines[r->lines_count].position = rec->position;
	r->lines[r->lines_count++].next = rec->next;
}

static void
wait_change(const struct timespec *until)
{
	while (sem_timedwait(&changes, until) == -1)
		FUZZ_CHECK(errno == EINTR);
}

/* reads while the journal is being written, to its end */
static void
read_all(struct run *r, struct journal *j)
{
	struct journal_reader *reader = journal_reader_new(j, directory);
	struct journal_record rec;
	char id[JOURNAL_ID_SIZE];
	struct timespec until;
	bool ended;

	FUZZ_CHECK(reader != NULL);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += DEADLINE_S;
	while (!journal_id(j, id))	/* there is nothing to read before it is open */
		wait_change(&until);
	do {
		ended = journal_ended(j);
		while (journal_reader_next(reader, &rec)) {
			check_record(r, &rec);
			if (rec.type == JOURNAL_LINE)
				note_line(r, &rec);
		}
		FUZZ_CHECK(rec.type == JOURNAL_NOTHING);
		if (!ended)
			wait_change(&until);
	} while (!ended);
	journal_reader_free(reader);
}

/* from behind one line: the same lines follow */
static void
read_again(const struct run *r, struct journal *j, size_t after)
{
	struct journal_reader *reader = journal_reader_new(j, directory);
	struct journal_record rec;
	size_t line = after + 1, records = 0;

	FUZZ_CHECK(reader != NULL);
	journal_reader_seek(reader, &r->lines[after].next);
	while (journal_reader_next(reader, &rec)) {
		FUZZ_CHECK(++records <= r->most);
		if (rec.type != JOURNAL_LINE)
			continue;
		FUZZ_CHECK(line < r->lines_count);
		FUZZ_CHECK(compare(&rec.position, &r->lines[line].position) == 0);
		FUZZ_CHECK(compare(&rec.next, &r->lines[line].next) == 0);
		line++;
	}
	FUZZ_CHECK(line == r->lines_count);
	journal_reader_free(reader);
}

static void
check_nothing_lost(const struct run *r)
{
	int i;

	FUZZ_CHECK(r->new_lines == INPUT_LINES);
	for (i = 0; i < FILES; i++)
		FUZZ_CHECK(r->segments[i].dealt_with == r->segments[i].length);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct journal_config config = { .directory = directory, .sync_ms = 1000,
		.max_bytes = (uint64_t)1 << 30,
		.on_change = on_change };
	struct run r = { 0 };
	struct intake *intake;
	struct journal *j;
	int fds[2], i;

	if (size < 1 || size > FUZZ_INPUT_MAX)
		return 0;
	if (directory[0] == '\0')
		make_directory();
	remove_files();
	make_files(&r, data + 1, data + size);
	FUZZ_CHECK(pipe(fds) == 0 && write(fds[1], input, sizeof(input) - 1) == (ssize_t)sizeof(input) - 1);
	close(fds[1]);
	fuzz_mute();
	while (sem_trywait(&changes) == 0)
		continue;
	FUZZ_CHECK((intake = intake_start(fds[0], false, NULL, NULL)) != NULL);
	FUZZ_CHECK((j = journal_start(&config, intake)) != NULL);
	read_all(&r, j);
	check_nothing_lost(&r);
	read_again(&r, j, data[0] % r.lines_count);
	journal_free(j);
	intake_free(intake);
	fuzz_unmute();
	close(fds[0]);
	for (i = 0; i < FILES; i++) {
		free(r.segments[i].data);
		free(r.indexes[i].data);
	}
	free(r.lines);
	return 0;
}
