/* test_buf.c - buffers that grow, also where there is no memory for a while. */
#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include "unit.h"

#include "buf.h"
#include "log.h"

static void
test_add(void **state)
{
	struct buf b = { 0 };
	size_t i;

	(void)state;
	for (i = 0; i < 100000; i++)
		buf_add(&b, "0123456789", i % 11);
	assert_int_equal(b.length, 499995);
	assert_memory_equal(b.data + b.length - 9, "012345678", 9);
	buf_clear(&b);
	assert_int_equal(b.length, 0);
	buf_free(&b);
	buf_free(&b);
}

#ifndef SANITIZED
static void *
more_memory(void *arg)
{
	usleep(300000);
	setrlimit(RLIMIT_AS, arg);
	return NULL;
}

/* nothing may end the helper: it waits until there is memory */
static void
test_no_memory(void **state)
{
	struct rlimit before, none = { 0, 0 };
	struct buf b = { 0 };
	size_t size = 0;
	pthread_t thread;
	double began;

	(void)state;
	log_threshold(LOG_LEVEL_NOTICE);
	buf_reserve(&b, 10);
	assert_int_equal(getrlimit(RLIMIT_AS, &before), 0);
	none.rlim_max = before.rlim_max;
	assert_int_equal(pthread_create(&thread, NULL, more_memory, &before), 0);
	assert_int_equal(setrlimit(RLIMIT_AS, &none), 0);
	began = seconds_now();
	buf_reserve(&b, (size_t)64 * 1024 * 1024);
	assert_true(seconds_now() - began > 0.2);
	pthread_join(thread, NULL);
	memset(b.data, 1, (size_t)64 * 1024 * 1024);
	free(buf_grow_array(NULL, 0, &size, 8));
	assert_true(size > 0);
	buf_free(&b);
}
#endif

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_add),
#ifndef SANITIZED	/* has an allocator of its own, which aborts */
		cmocka_unit_test(test_no_memory),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
