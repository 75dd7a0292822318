/* unit.h - what the unit tests share. */
#ifndef UNIT_H
#define UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))

/*
 * Of the processor's time: an implementation that is quadratic takes minutes where this is generous
 * for a linear one.
 */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED	1
#define LINEAR_SECONDS	60.0	/* everything is slower */
#else
#define LINEAR_SECONDS	20.0
#endif

/* a growing text */
struct text {
	char	*data;
	size_t	 length;
	size_t	 size;
};

static inline void
text_add(struct text *t, const void *data, size_t n)
{
	if (t->length + n + 1 > t->size) {
		t->size = (t->length + n + 1) * 2;
		t->data = realloc(t->data, t->size);
		assert_non_null(t->data);
	}
	memcpy(t->data + t->length, data, n);
	t->length += n;
	t->data[t->length] = '\0';
}

static inline void __attribute__((__format__(__printf__, 2, 3)))
text_addf(struct text *t, const char *format, ...)
{
	va_list ap;
	char *s;
	int n;

	va_start(ap, format);
	n = vasprintf(&s, format, ap);
	va_end(ap);
	assert_true(n >= 0);
	text_add(t, s, (size_t)n);
	free(s);
}

static inline void
text_free(struct text *t)
{
	free(t->data);
	memset(t, 0, sizeof(*t));
}

/* JSON in C strings: every ' becomes " */
static inline char *
quoted(char *text)
{
	char *p;

	for (p = text; (p = strchr(p, '\'')) != NULL;)
		*p = '"';
	return text;
}

/* fails with the case, what was got and what was wanted */
static inline void
check_text(const char *name, const char *got, const char *wanted)
{
	if (got == NULL || strcmp(got, wanted) != 0)
		fail_msg("%s\n     got: %s\n  wanted: %s", name, got == NULL ? "(null)" : got, wanted);
}

static inline double
seconds_of(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static inline double
seconds_now(void)
{
	return seconds_of(CLOCK_MONOTONIC);
}

/* that this process has been run */
static inline double
seconds_used(void)
{
	return seconds_of(CLOCK_PROCESS_CPUTIME_ID);
}

/* a whole file; NULL if it is not there */
static inline char *
read_file(const char *path, size_t *length)
{
	struct text t = { 0 };
	char piece[65536];
	FILE *f = fopen(path, "re");
	size_t n;

	if (f == NULL)
		return NULL;
	text_add(&t, "", 0);
	while ((n = fread(piece, 1, sizeof(piece), f)) > 0)
		text_add(&t, piece, n);
	fclose(f);
	*length = t.length;
	return t.data;
}

/* the next line of text without its newline; false at the end */
static inline bool
next_line(char **p, char *end, char **line, size_t *length)
{
	char *newline;

	if (*p >= end)
		return false;
	newline = memchr(*p, '\n', (size_t)(end - *p));
	*line = *p;
	*length = (size_t)((newline != NULL ? newline : end) - *p);
	*p = newline != NULL ? newline + 1 : end;
	return true;
}

/* tests run in the top directory of the source */
#define GOLDEN	"test/golden/"

#endif
