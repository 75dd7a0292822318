/*
 * bench_decode - what decoding costs beside jansson alone, in CPU time per line.
 *
 *	bench_decode FILE [ROUNDS]
 *
 * bare: json_loadb and json_decref with jansson's own malloc; decode: decoder_line;
 * encode: decoder_line and the row of each route in PostgreSQL's binary format.
 * The three take turns.  Each turn is a process of its own, since decoder_new gives
 * jansson another allocator for good.  Prints one line of words: lines, routes, and
 * the medians in microseconds a line.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "batch.h"
#include "decode.h"

enum mode { BARE, DECODE, ENCODE, MODES };

#define ROUNDS_MAX	99

/* a line without its newline */
struct line {
	const char	*text;
	size_t		 length;
};

struct result {
	double		us;	/* of CPU a line */
	unsigned long	routes;
	unsigned long	errors;
};

static struct line *lines;
static size_t lines_count;

static void
die(const char *what)
{
	perror(what);
	exit(1);
}

static void
lines_read(const char *path)
{
	FILE *file = fopen(path, "r");
	size_t room = 0, length;
	struct stat st;
	char *p, *end, *newline;

	if (file == NULL || fstat(fileno(file), &st) == -1)
		die(path);
	length = (size_t)st.st_size;
	if ((p = malloc(length + 1)) == NULL || fread(p, 1, length, file) != length)
		die(path);
	fclose(file);
	for (end = p + length; p < end; p = newline + 1) {
		if ((newline = memchr(p, '\n', (size_t)(end - p))) == NULL)
			newline = end;
		if (lines_count == room &&
		    (lines = reallocarray(lines, room = room * 2 + 1024, sizeof(*lines))) == NULL)
			die(path);
		lines[lines_count].text = p;
		lines[lines_count++].length = (size_t)(newline - p);
	}
}

static double
cpu_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void
pass_bare(struct result *r)
{
	json_error_t error;
	json_t *root;
	size_t i;

	for (i = 0; i < lines_count; i++) {
		if ((root = json_loadb(lines[i].text, lines[i].length, 0, &error)) == NULL)
			r->errors++;
		json_decref(root);
	}
}

static void
pass_decode(struct decoder *d, struct batch *b, struct result *r)
{
	const struct batch_position start = { 0 };
	const struct message *m;
	size_t i, k;

	if (b != NULL)
		batch_begin(b, 1, &start, 0);
	for (i = 0; i < lines_count; i++) {
		m = decoder_line(d, lines[i].text, lines[i].length);
		r->errors += m->kind == MESSAGE_ERROR;
		r->routes += m->routes_count;
		if (b == NULL)
			continue;
		batch_next_message(b);
		for (k = 0; k < m->routes_count; k++)
			batch_route(b, m->time_us, 1, false, &m->routes[k]);
		/* as large as those of the program */
		if (batch_rows(b) >= 20000)
			batch_begin(b, 1, &start, 0);
	}
}

/* the second pass of two: the first one warms caches and takes memory */
static void
turn(enum mode mode, struct result *r)
{
	struct decoder *d = NULL;
	struct batch b = { 0 };
	double begun = 0;
	int pass;

	if (mode != BARE && (d = decoder_new()) == NULL)
		die("decoder_new");
	for (pass = 0; pass < 2; pass++) {
		memset(r, 0, sizeof(*r));
		begun = cpu_us();
		if (mode == BARE)
			pass_bare(r);
		else
			pass_decode(d, mode == ENCODE ? &b : NULL, r);
	}
	r->us = (cpu_us() - begun) / (double)lines_count;
}

static struct result
turn_apart(enum mode mode)
{
	struct result r;
	int ends[2], status;
	pid_t child;

	if (pipe(ends) == -1 || (child = fork()) == -1)
		die("could not start a process");
	if (child == 0) {
		turn(mode, &r);
		_exit(write(ends[1], &r, sizeof(r)) != (ssize_t)sizeof(r));
	}
	close(ends[1]);
	if (read(ends[0], &r, sizeof(r)) != (ssize_t)sizeof(r) || waitpid(child, &status, 0) == -1 || status != 0) {
		fprintf(stderr, "bench_decode: a turn failed\n");
		exit(1);
	}
	close(ends[0]);
	return r;
}

static int
compare_double(const void *a, const void *b)
{
	double x, y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return x < y ? -1 : x > y;
}

static double
median(double *values, int count)
{
	qsort(values, (size_t)count, sizeof(*values), compare_double);
	return count % 2 == 1 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

int
main(int argc, char **argv)
{
	static double us[MODES][ROUNDS_MAX], ratio[MODES][ROUNDS_MAX];
	int rounds = argc > 2 ? atoi(argv[2]) : 5, round, mode;
	struct result r = { 0 };

	if (argc < 2 || rounds < 1 || rounds > ROUNDS_MAX) {
		fprintf(stderr, "usage: bench_decode FILE [ROUNDS]\n");
		return 64;
	}
	lines_read(argv[1]);
	if (lines_count == 0) {
		fprintf(stderr, "bench_decode: \"%s\" is empty\n", argv[1]);
		return 1;
	}
	for (round = 0; round < rounds; round++)
		for (mode = BARE; mode < MODES; mode++) {
			r = turn_apart((enum mode)mode);
			us[mode][round] = r.us;
			ratio[mode][round] = r.us / us[BARE][round];
		}
	printf("lines=%zu routes=%lu errors=%lu bare_us=%.3f decode_us=%.3f encode_us=%.3f decode_ratio=%.3f"
	    " encode_ratio=%.3f\n",
	    lines_count, r.routes, r.errors, median(us[BARE], rounds), median(us[DECODE], rounds),
	    median(us[ENCODE], rounds), median(ratio[DECODE], rounds), median(ratio[ENCODE], rounds));
	return 0;
}
