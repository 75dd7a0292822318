/*
 * fuzz.h - what the fuzz targets have in common: an assertion that survives NDEBUG,
 * and the program's log kept out of the way of the fuzzer's.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sanitizer/common_interface_defs.h>

#include "utf8.h"

#pragma weak __sanitizer_set_report_fd	/* AFL++ may go without sanitizers */

#define FUZZ_INPUT_MAX	((size_t)1024 * 1024)

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static int fuzz_stderr = STDERR_FILENO;

#define FUZZ_CHECK(condition) do { \
	if (!(condition)) { \
		dprintf(fuzz_stderr, "%s:%d: %s: does not hold: %s\n", __FILE__, __LINE__, __func__, #condition); \
		abort(); \
	} \
} while (0)

/* the log goes nowhere; what the sanitizers and FUZZ_CHECK say still is shown */
static inline void
fuzz_mute(void)
{
	static int nowhere = -1;

	if (nowhere == -1) {
		nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
		fuzz_stderr = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 100);
		FUZZ_CHECK(nowhere != -1 && fuzz_stderr != -1);
		if (&__sanitizer_set_report_fd != NULL)
			__sanitizer_set_report_fd((void *)(intptr_t)fuzz_stderr);
	}
	dup2(nowhere, STDERR_FILENO);
}

static inline void
fuzz_unmute(void)
{
	dup2(fuzz_stderr, STDERR_FILENO);
}

/* a copy that ends where its memory ends, so that one byte too far is seen */
static inline char *
fuzz_copy(const void *data, size_t n)
{
	char *copy = malloc(n > 0 ? n : 1);

	FUZZ_CHECK(copy != NULL);
	if (n > 0)
		memcpy(copy, data, n);
	return copy;
}

/* text as PostgreSQL takes it: UTF-8 without NUL */
static inline void
fuzz_check_text(const void *text, size_t n)
{
	const unsigned char *p = text, *end = p + n;

	while (p < end) {
		size_t length = utf8_length(p, end);

		FUZZ_CHECK(length > 0 && *p != '\0');
		p += length;
	}
}

#endif
