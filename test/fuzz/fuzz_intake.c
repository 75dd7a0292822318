/*
 * fuzz_intake - whatever the pieces in which bytes arrive, the same lines come out.
 * The input is a list of operations: its bytes say what is written to the pipe, in
 * which pieces, and when the consumer fetches lines.  Long lines and a full memory need
 * more bytes than a fuzzer's input has, so that an operation can repeat a byte.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>

#include "fuzz.h"
#include "intake.h"
#include "message.h"

#define WRITTEN_MAX	((size_t)48 * 1024 * 1024)	/* by one input */
#define RUN_UNIT	((size_t)1024)
#define WRITTEN_FEW	((size_t)256 * 1024)		/* by those without FLAG_LONG, which are fast */
#define LONG_PERIOD	256				/* one mutation in so many may have it */
#define FLAG_LOSSLESS	1				/* of the first byte */
#define FLAG_LONG	2
#define DEADLINE_MS	5000

/* what was written and what came out */
struct flow {
	unsigned char	*written;
	size_t		 length;
	size_t		 limit;
	size_t		 at;		/* of written, that has come out or is known to be dropped */
	int		 fd;
	bool		 lossless;
	uint64_t	 lines;		/* that came out */
	uint64_t	 skipped;	/* that did not */
	struct intake	*intake;
};

/* the next line of what was written, as it is to come out: length without newline */
static size_t
next_written(const struct flow *f, size_t *length)
{
	const unsigned char *start = f->written + f->at, *newline;
	size_t left = f->length - f->at;

	FUZZ_CHECK(left > 0);
	newline = memchr(start, '\n', left);
	*length = newline != NULL ? (size_t)(newline - start) : left;
	left = newline != NULL ? *length + 1 : left;
	if (*length > MESSAGE_LINE_MAX)
		*length = MESSAGE_LINE_MAX + 1;
	return left;
}

/* a line that came out is the next one written, or in a lossy intake a later one */
static void
check_line(struct flow *f, const unsigned char *line, size_t length)
{
	size_t expected, step;

	for (;;) {
		step = next_written(f, &expected);
		f->at += step;
		if (expected == length && (length == 0 || memcmp(f->written + f->at - step, line, length) == 0))
			break;
		FUZZ_CHECK(!f->lossless);
		f->skipped++;
	}
	f->lines++;
}

/* fetches up to so many lines */
static void
consume(struct flow *f, size_t most)
{
	struct iovec pieces[2];
	unsigned char *joined, *p, *newline;
	size_t total = intake_peek(f->intake, pieces), taken = 0;

	FUZZ_CHECK(pieces[0].iov_len + pieces[1].iov_len == total);
	if (total == 0)
		return;
	joined = malloc(total);
	FUZZ_CHECK(joined != NULL);
	memcpy(joined, pieces[0].iov_base, pieces[0].iov_len);
	memcpy(joined + pieces[0].iov_len, pieces[1].iov_base, pieces[1].iov_len);
	FUZZ_CHECK(joined[total - 1] == '\n');
	for (p = joined; most > 0 && taken < total; most--) {
		newline = memchr(p, '\n', total - taken);
		check_line(f, p, (size_t)(newline - p));
		taken += (size_t)(newline - p) + 1;
		p = newline + 1;
	}
	free(joined);
	intake_consume(f->intake, taken);
}

/* one write, however much of it the pipe takes at a time */
static void
write_piece(struct flow *f, size_t from)
{
	while (from < f->length) {
		struct pollfd room = { .fd = f->fd, .events = POLLOUT };
		ssize_t n = write(f->fd, f->written + from, f->length - from);

		if (n > 0) {
			from += (size_t)n;
			continue;
		}
		FUZZ_CHECK(n == -1 && errno == EAGAIN);
		/* full: a lossless intake waits for us, another one reads on */
		if (f->lossless)
			consume(f, SIZE_MAX);
		else
			FUZZ_CHECK(poll(&room, 1, DEADLINE_MS) == 1);
	}
}

static void
add(struct flow *f, const uint8_t *data, int repeated, size_t n)
{
	size_t from = f->length;

	if (n > f->limit - f->length)
		n = f->limit - f->length;
	if (data != NULL)
		memcpy(f->written + f->length, data, n);
	else
		memset(f->written + f->length, repeated, n);
	f->length += n;
	write_piece(f, from);
}

/* waits until all that was written has been read */
static void
settle(struct flow *f)
{
	struct intake_stats s;
	int tries;

	if (f->lossless)
		return;
	for (tries = 0; tries < DEADLINE_MS * 20; tries++) {
		intake_stats(f->intake, &s);
		if (s.bytes == f->length)
			return;
		usleep(50);
	}
	FUZZ_CHECK(!"the intake reads all that there is");
}

static void
operate(struct flow *f, const uint8_t *p, const uint8_t *end)
{
	while (p < end) {
		unsigned int op = *p & 7, n = *p >> 3;

		p++;
		switch (op) {
		case 0:		/* fetch a few lines, or all */
			consume(f, n == 31 ? SIZE_MAX : n);
			break;
		case 1:
			settle(f);
			break;
		case 2:		/* an empty line */
			add(f, NULL, '\n', 1);
			break;
		case 3:		/* many bytes of one kind */
			if (end - p >= 3) {
				add(f, NULL, p[0], ((size_t)p[1] << 8 | p[2]) * RUN_UNIT + n);
				p += 3;
			}
			break;
		case 4:		/* lines of one length, all alike */
			if (end - p >= 1) {
				unsigned int i, count = *p++;

				for (i = 0; i < count; i++) {
					add(f, NULL, (int)('a' + i % 26), n);
					add(f, NULL, '\n', 1);
				}
			}
			break;
		default:	/* the bytes that follow */
			n = n * (op - 4) + 1;
			if (n > (size_t)(end - p))
				n = (unsigned int)(end - p);
			add(f, p, 0, n);
			p += n;
			break;
		}
	}
}

/* after end of input: all of the lines, or a gap that says how many are missing */
static void
finish(struct flow *f)
{
	struct intake_stats s;
	struct intake_gap gap;
	uint64_t gap_lines = 0, gap_bytes = 0;
	size_t expected;

	while (!intake_ended(f->intake)) {
		FUZZ_CHECK(intake_wait(f->intake, DEADLINE_MS));
		consume(f, SIZE_MAX);
		if (intake_take_gap(f->intake, &gap)) {
			FUZZ_CHECK(!f->lossless && gap.bytes > 0 && gap.from_us <= gap.to_us);
			gap_lines += gap.lines;
			gap_bytes += gap.bytes;
		}
	}
	while (f->at < f->length) {
		f->at += next_written(f, &expected);
		f->skipped++;
	}
	intake_stats(f->intake, &s);
	FUZZ_CHECK(s.bytes == f->length && s.lines == f->lines && intake_saw_eof(f->intake));
	FUZZ_CHECK(s.dropped_lines == gap_lines && s.dropped_bytes == gap_bytes);
	FUZZ_CHECK(f->skipped == gap_lines && (gap_lines > 0) == (gap_bytes > 0));
}

size_t	LLVMFuzzerMutate(uint8_t *, size_t, size_t) __attribute__((__weak__));	/* AFL++ has none */
size_t	LLVMFuzzerCustomMutator(uint8_t *, size_t, size_t, unsigned int);

size_t
LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned int seed)
{
	if (LLVMFuzzerMutate == NULL)
		return size;
	size = LLVMFuzzerMutate(data, size, max);
	if (size > 0 && seed % LONG_PERIOD != 0)
		data[0] &= (uint8_t)~FLAG_LONG;
	return size;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static unsigned char *memory;
	struct flow f = { 0 };
	int fds[2];

	if (size < 1 || size > FUZZ_INPUT_MAX)
		return 0;
	if (memory == NULL && (memory = malloc(WRITTEN_MAX)) == NULL)
		return 0;
	f.written = memory;
	f.lossless = (data[0] & FLAG_LOSSLESS) != 0;
	f.limit = (data[0] & FLAG_LONG) != 0 ? WRITTEN_MAX : WRITTEN_FEW;
	FUZZ_CHECK(pipe(fds) == 0 && fcntl(fds[1], F_SETFL, O_NONBLOCK) == 0);
	f.fd = fds[1];
	fuzz_mute();
	f.intake = intake_start(fds[0], f.lossless, NULL, NULL);
	FUZZ_CHECK(f.intake != NULL);
	operate(&f, data + 1, data + size);
	close(fds[1]);
	finish(&f);
	intake_free(f.intake);
	fuzz_unmute();
	close(fds[0]);
	return 0;
}
