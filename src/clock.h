/* clock.h - the two clocks in the units that are used here. */
#ifndef CLOCK_H
#define CLOCK_H

#include <stdint.h>
#include <stdio.h>
#include <time.h>

#define CLOCK_DAY_US	INT64_C(86400000000)

/* wall clock, microseconds since 1970 in UTC */
static inline int64_t
clock_wall_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* "2026-11-22T23:59:59.000000Z"; size: at least CLOCK_TEXT_SIZE. Returns text */
#define CLOCK_TEXT_SIZE	64

static inline char *
clock_utc_text(char *text, size_t size, int64_t us)
{
	time_t seconds = (time_t)(us / 1000000);
	struct tm tm;
	size_t n;

	gmtime_r(&seconds, &tm);
	n = strftime(text, size, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text + n, size - n, ".%06dZ", (int)(us % 1000000));
	return text;
}

/* never steps back: for deadlines and ages, milliseconds */
static inline long long
clock_monotonic_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (long long)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* the same, microseconds */
static inline int64_t
clock_monotonic_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* that long from now, for pthread_cond_timedwait on CLOCK_MONOTONIC */
static inline struct timespec
clock_monotonic_in_ms(unsigned int ms)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += ms / 1000;
	t.tv_nsec += (long)(ms % 1000) * 1000000;
	if (t.tv_nsec >= 1000000000) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000;
	}
	return t;
}

#endif
