#include <sys/stat.h>

#include "intake.h"
#include "log.h"
#include "message.h"
#include "stream.h"

/* all that the intake gives until it ends; gaps in order */
struct collected {
	struct text		 bytes;
	struct intake_gap	 gaps[64];
	size_t			 gaps_count;
};

/* what there is; false if the input has ended */
static bool
collect_some(struct intake *in, struct collected *c, unsigned int wait_ms)
{
	struct iovec pieces[2];
	size_t n;

	if (intake_ended(in))
		return false;
	intake_wait(in, wait_ms);
	while ((n = intake_peek(in, pieces)) > 0) {
		assert_int_equal(n, pieces[0].iov_len + pieces[1].iov_len);
		/* whole lines: nothing else is ever given */
		assert_int_equal(pieces[1].iov_len > 0 ? ((char *)pieces[1].iov_base)[pieces[1].iov_len - 1] :
		    ((char *)pieces[0].iov_base)[n - 1], '\n');
		text_add(&c->bytes, pieces[0].iov_base, pieces[0].iov_len);
		text_add(&c->bytes, pieces[1].iov_base, pieces[1].iov_len);
		intake_consume(in, n);
	}
	if (intake_take_gap(in, &c->gaps[c->gaps_count]))
		assert_true(++c->gaps_count < COUNT(c->gaps));
	return !intake_ended(in);
}

static void
collect(struct intake *in, struct collected *c)
{
	struct deadline d = deadline_begin();

	while (collect_some(in, c, 1000))
		deadline_check(&d, "intake");
}

/* bytes differ: says where */
static void
check_bytes(const char *name, const struct text *got, const struct text *wanted)
{
	size_t i, n = got->length < wanted->length ? got->length : wanted->length;

	for (i = 0; i < n && got->data[i] == wanted->data[i]; i++)
		continue;
	if (i < n || got->length != wanted->length)
		fail_msg("%s: %zu bytes, not %zu; the first difference is at %zu", name, got->length, wanted->length, i);
}

/* any content in any pieces comes out as it went in */
static void
test_pieces(void **state)
{
	unsigned int seed;

	(void)state;
	for (seed = 1; seed <= 12; seed++) {
		struct text wanted = { 0 };
		struct collected c = { 0 };
		struct intake_stats stats;
		struct stream s;
		struct intake *in;

		add_lines(&wanted, 0, 200, 10, seed);
		add_lines(&wanted, 200, 50, 40000, seed);
		text_add(&wanted, "\n\n\0\n\r\n\xff\n", 8);
		add_lines(&wanted, 300, 2000, 300, seed);
		stream_open(&s);
		assert_non_null(in = intake_start(s.fds[0], seed % 2, NULL, NULL));
		stream_write(&s, wanted.data, wanted.length, seed, true);
		collect(in, &c);
		stream_join(&s);
		check_bytes("pieces", &c.bytes, &wanted);
		assert_int_equal(c.gaps_count, 0);
		assert_true(intake_saw_eof(in));
		intake_stats(in, &stats);
		assert_int_equal(stats.lines, 200 + 50 + 5 + 2000);
		assert_int_equal(stats.bytes, wanted.length);
		assert_int_equal(stats.dropped_lines, 0);
		intake_free(in);
		close(s.fds[0]);
		text_free(&wanted);
		text_free(&c.bytes);
	}
}

static void
test_small(void **state)
{
	static const struct {
		const char	*name, *input, *output;
	} cases[] = {
		{ "nothing", "", "" },
		{ "one line", "a\n", "a\n" },
		{ "no newline at the end", "a\nb", "a\nb\n" },
		{ "no newline at all", "a", "a\n" },
		{ "an empty line", "\n", "\n" },
		{ "empty lines", "\n\na\n\n", "\n\na\n\n" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < 2 * COUNT(cases); i++) {
		struct collected c = { 0 };
		struct text wanted = { 0 };
		struct stream s;
		struct intake *in;

		text_add(&wanted, cases[i / 2].output, strlen(cases[i / 2].output));
		stream_open(&s);
		stream_write(&s, cases[i / 2].input, strlen(cases[i / 2].input), 0, true);
		assert_non_null(in = intake_start(s.fds[0], i % 2, NULL, NULL));
		collect(in, &c);
		stream_join(&s);
		check_bytes(cases[i / 2].name, &c.bytes, &wanted);
		intake_free(in);
		close(s.fds[0]);
		text_free(&c.bytes);
		text_free(&wanted);
	}
}

static void
test_file(void **state)
{
	char path[] = "/tmp/exabgp-pg-intake.XXXXXX";
	struct text wanted = { 0 };
	struct collected c = { 0 };
	struct intake *in;
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd != -1);
	unlink(path);
	/* more than is ever held in memory */
	add_lines(&wanted, 0, 60000, 1200, 5);
	assert_true(wanted.length > 30 * 1024 * 1024);
	assert_int_equal(write(fd, wanted.data, wanted.length), wanted.length);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_non_null(in = intake_start(fd, true, NULL, NULL));
	collect(in, &c);
	check_bytes("a file", &c.bytes, &wanted);
	assert_int_equal(c.gaps_count, 0);
	intake_free(in);
	close(fd);
	text_free(&wanted);
	text_free(&c.bytes);
}

/* a line that is too long is cut to one byte more than the maximum; its neighbours are whole */
static void
test_overlong(void **state)
{
	static const struct {
		size_t	length, kept;
	} cases[] = {
		{ MESSAGE_LINE_MAX - 1, MESSAGE_LINE_MAX - 1 },
		{ MESSAGE_LINE_MAX, MESSAGE_LINE_MAX },
		{ MESSAGE_LINE_MAX + 1, MESSAGE_LINE_MAX + 1 },
		{ MESSAGE_LINE_MAX + 2, MESSAGE_LINE_MAX + 1 },
		{ 3 * MESSAGE_LINE_MAX, MESSAGE_LINE_MAX + 1 },
	};
	struct text input = { 0 }, wanted = { 0 };
	struct collected c = { 0 };
	char *filler = malloc(3 * MESSAGE_LINE_MAX);
	struct stream s;
	struct intake *in;
	size_t i;

	(void)state;
	assert_non_null(filler);
	memset(filler, '{', 3 * MESSAGE_LINE_MAX);
	for (i = 0; i < COUNT(cases); i++) {
		text_addf(&input, "before %zu\n", i);
		text_addf(&wanted, "before %zu\n", i);
		text_add(&input, filler, cases[i].length);
		text_add(&wanted, filler, cases[i].kept);
		text_add(&input, "\n", 1);
		text_add(&wanted, "\n", 1);
	}
	/* and one at the end without newline */
	text_add(&input, filler, 2 * MESSAGE_LINE_MAX);
	text_add(&wanted, filler, MESSAGE_LINE_MAX + 1);
	text_add(&wanted, "\n", 1);
	stream_open(&s);
	stream_write(&s, input.data, input.length, 0, true);
	assert_non_null(in = intake_start(s.fds[0], true, NULL, NULL));
	collect(in, &c);
	stream_join(&s);
	check_bytes("overlong", &c.bytes, &wanted);
	assert_int_equal(c.gaps_count, 0);
	intake_free(in);
	close(s.fds[0]);
	free(filler);
	text_free(&input);
	text_free(&wanted);
	text_free(&c.bytes);
}

static void
wait_until_read(struct intake *in, uint64_t bytes)
{
	struct deadline d = deadline_begin();
	struct intake_stats stats;

	for (intake_stats(in, &stats); stats.bytes < bytes; intake_stats(in, &stats))
		deadline_pause(&d, "input that nobody consumes is read all the same");
}

/* the numbers of the lines in c are a run from 0, then, after what is missing, a run to the end */
static void
check_runs(const struct collected *c, const struct text *input, unsigned int lines)
{
	char *p = c->bytes.data, *q = input->data, *line, *other = NULL;
	unsigned int expected = 0, holes = 0;
	uint64_t lost_lines = 0, lost_bytes = 0, gap_lines = 0, gap_bytes = 0;
	size_t n, m = 0, i;

	while (next_line(&p, c->bytes.data + c->bytes.length, &line, &n)) {
		unsigned int number = (unsigned int)strtoul(line + 1, NULL, 10);

		holes += number != expected;
		for (; expected <= number; expected++) {
			assert_true(next_line(&q, input->data + input->length, &other, &m));
			if (expected < number) {
				lost_lines++;
				lost_bytes += m + 1;
			}
		}
		if (n != m || memcmp(line, other, n) != 0)
			fail_msg("line %u is not as it was", number);
	}
	for (; expected < lines; expected++) {
		assert_true(next_line(&q, input->data + input->length, &other, &m));
		lost_lines++;
		lost_bytes += m + (q[-1] == '\n');
	}
	for (i = 0; i < c->gaps_count; i++) {
		gap_lines += c->gaps[i].lines;
		gap_bytes += c->gaps[i].bytes;
		assert_true(c->gaps[i].from_us <= c->gaps[i].to_us);
		assert_true(c->gaps[i].from_us > INT64_C(1500000000000000));
	}
	assert_true(holes <= c->gaps_count);
	if (lost_lines != gap_lines || lost_bytes != gap_bytes)
		fail_msg("%llu lines of %llu bytes are missing, the gaps say %llu of %llu", (unsigned long long)lost_lines,
		    (unsigned long long)lost_bytes, (unsigned long long)gap_lines, (unsigned long long)gap_bytes);
}

/* nobody consumes: lines are dropped whole, counted, and what comes later is there again */
static void
test_drop(void **state)
{
	struct text input = { 0 };
	struct collected c = { 0 };
	struct intake_stats stats;
	struct deadline d = deadline_begin();
	struct stream s;
	struct intake *in;
	unsigned int lines = 0;
	size_t parts[4], i, from = 0;

	(void)state;
	for (i = 0; i < COUNT(parts); i++) {
		/* the first and the third are more than there is room for */
		add_lines(&input, lines, i % 2 == 0 ? 60000 : 2000, 1200, (unsigned int)i + 1);
		lines += i % 2 == 0 ? 60000 : 2000;
		parts[i] = input.length;
	}
	stream_open(&s);
	assert_non_null(in = intake_start(s.fds[0], false, NULL, NULL));
	for (i = 0; i < COUNT(parts); i++) {
		stream_write(&s, input.data + from, parts[i] - from, 0, i == COUNT(parts) - 1);
		stream_join(&s);
		wait_until_read(in, parts[i]);
		if (i == 0) {
			intake_stats(in, &stats);
			assert_true(stats.dropped_lines > 5000);
			/* not finished while there is no room */
			assert_false(intake_take_gap(in, &c.gaps[0]));
		}
		if (i < COUNT(parts) - 1)
			collect_some(in, &c, 0);
		from = parts[i];
	}
	while (collect_some(in, &c, 1000))
		deadline_check(&d, "drop");
	assert_true(c.gaps_count >= 2);
	check_runs(&c, &input, lines);
	intake_stats(in, &stats);
	assert_int_equal(stats.lines + stats.dropped_lines, lines);
	assert_int_equal(stats.bytes, input.length);
	intake_free(in);
	close(s.fds[0]);
	text_free(&input);
	text_free(&c.bytes);
}

/* the input ends while lines are dropped, its last line without newline */
static void
test_drop_to_end(void **state)
{
	struct text input = { 0 };
	struct collected c = { 0 };
	struct stream s;
	struct intake *in;

	(void)state;
	add_lines(&input, 0, 60000, 1200, 1);
	text_addf(&input, "#60000 the last one");
	stream_open(&s);
	assert_non_null(in = intake_start(s.fds[0], false, NULL, NULL));
	stream_write(&s, input.data, input.length, 0, true);
	stream_join(&s);
	wait_until_read(in, input.length);
	collect(in, &c);
	assert_int_equal(c.gaps_count, 1);
	check_runs(&c, &input, 60001);
	intake_free(in);
	close(s.fds[0]);
	text_free(&input);
	text_free(&c.bytes);
}

/* lossless: nothing is read that there is no room for, nothing is dropped */
static void
test_lossless(void **state)
{
	struct text input = { 0 };
	struct collected c = { 0 };
	struct deadline d = deadline_begin();
	struct intake_stats stats;
	struct stream s;
	struct intake *in;

	(void)state;
	add_lines(&input, 0, 80000, 1200, 1);
	stream_open(&s);
	assert_non_null(in = intake_start(s.fds[0], true, NULL, NULL));
	stream_write(&s, input.data, input.length, 7, true);
	for (intake_stats(in, &stats); stats.bytes < 23 * 1024 * 1024; intake_stats(in, &stats))
		deadline_pause(&d, "filling");
	collect(in, &c);
	stream_join(&s);
	check_bytes("lossless", &c.bytes, &input);
	assert_int_equal(c.gaps_count, 0);
	intake_free(in);
	close(s.fds[0]);
	text_free(&input);
	text_free(&c.bytes);
}

/* SIGTERM: what comes until end of file is still read, but no longer than the time */
static void
test_finish(void **state)
{
	struct collected c = { 0 };
	struct text wanted = { 0 };
	struct stream s;
	struct intake *in;
	double began;

	(void)state;
	/* ExaBGP closes */
	text_addf(&wanted, "1\n2\n3\n");
	stream_open(&s);
	assert_int_equal(write(s.fds[1], "1\n", 2), 2);
	assert_non_null(in = intake_start(s.fds[0], false, NULL, NULL));
	intake_finish(in, 30000);
	assert_int_equal(write(s.fds[1], "2\n3", 3), 3);
	close(s.fds[1]);
	began = seconds_now();
	collect(in, &c);
	assert_true(seconds_now() - began < 25);
	check_bytes("finish", &c.bytes, &wanted);
	assert_true(intake_saw_eof(in));
	intake_free(in);
	close(s.fds[0]);
	text_free(&c.bytes);

	/* it does not: whole lines are there, and that this was not the end is known */
	stream_open(&s);
	assert_int_equal(write(s.fds[1], "1\n2\n3\n", 6), 6);
	assert_non_null(in = intake_start(s.fds[0], false, NULL, NULL));
	wait_until_read(in, 6);
	intake_finish(in, 50);
	collect(in, &c);
	check_bytes("finish without end", &c.bytes, &wanted);
	assert_false(intake_saw_eof(in));
	intake_free(in);
	close(s.fds[0]);
	close(s.fds[1]);
	text_free(&c.bytes);
	text_free(&wanted);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_small), cmocka_unit_test(test_pieces), cmocka_unit_test(test_file),
		cmocka_unit_test(test_overlong), cmocka_unit_test(test_drop), cmocka_unit_test(test_drop_to_end),
		cmocka_unit_test(test_lossless), cmocka_unit_test(test_finish),
	};

	log_threshold(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
