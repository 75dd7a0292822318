#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"

#define REPEAT_FIRST_MS	1000
#define REPEAT_LAST_MS	3600000
#define WRITE_MS	10	/* for whoever reads our messages */

static enum log_level threshold = LOG_LEVEL_INFO;

void
log_threshold(enum log_level level)
{
	threshold = level;
}

void
log_message(enum log_level level, const char *format, ...)
{
	static const char *const name[] = { "notice", "error", "warning", "info", "debug" };
	char text[2048], line[PIPE_BUF];	/* a pipe takes so much whole, or can take nothing */
	struct pollfd out = { .fd = STDERR_FILENO, .events = POLLOUT };
	size_t n, i;
	va_list ap;
	int saved = errno, length;

	if (level > threshold)
		return;
	va_start(ap, format);
	errno = saved; /* for %m */
	length = vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	if (length < 0)
		goto out;

	n = (size_t)snprintf(line, sizeof(line), "exabgp-pg[%ld] %s: ", (long)getpid(), name[level]);
	for (i = 0; text[i] != '\0' && n < sizeof(line) - 6; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c < 0x20 || c == 0x7f)
			n += (size_t)snprintf(line + n, sizeof(line) - n, "\\x%02x", c);
		else
			line[n++] = (char)c;
	}
	line[n++] = '\n';
	/*
	 * One write: lines of several threads do not mix.  There is no one to tell of a failure, and nobody
	 * waits for a reader that does not read: loading is more than its log.
	 */
	if (poll(&out, 1, WRITE_MS) == 1 && write(STDERR_FILENO, line, n) == -1)
		goto out;
out:
	errno = saved;
}

int
log_repeat_due(struct log_repeat *r)
{
	long long now = clock_monotonic_ms();

	if (r->count++ > 0 && now < r->next_ms)
		return 0;
	r->interval_ms = r->interval_ms == 0 ? REPEAT_FIRST_MS : r->interval_ms * 2;
	if (r->interval_ms > REPEAT_LAST_MS)
		r->interval_ms = REPEAT_LAST_MS;
	r->next_ms = now + r->interval_ms;
	return 1;
}

void
log_repeat_reset(struct log_repeat *r)
{
	memset(r, 0, sizeof(*r));
}
