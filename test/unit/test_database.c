/* test_database.c - the user's settings win over ours, and what a store adds over the user's; what ends a connection. */
#include "unit.h"

#include "database.h"

static size_t
place(const struct database_parameters *p, const char *keyword)
{
	size_t i;

	for (i = 0; i < COUNT(p->keywords) && p->keywords[i] != NULL; i++)
		if (strcmp(p->keywords[i], keyword) == 0)
			return i;
	fail_msg("there is no %s", keyword);
	return 0;
}

/* of the same keyword, libpq takes the last value */
static void
test_order(void **state)
{
	static const char *const ours[] = { "fallback_application_name", "connect_timeout", "keepalives_idle",
		"keepalives_interval", "keepalives_count", "tcp_user_timeout" };
	struct database_parameters p;
	size_t i;

	(void)state;
	memset(&p, 0xff, sizeof(p));
	database_parameters(&p, "dbname=x", "30");
	for (i = 0; i < COUNT(ours); i++)
		assert_true(place(&p, ours[i]) < place(&p, "dbname"));
	assert_string_equal(p.values[place(&p, "dbname")], "dbname=x");
	assert_string_equal(p.values[place(&p, "connect_timeout")], "30");
	database_parameter_add(&p, "host", "a,b");
	database_parameter_add(&p, "hostaddr", NULL);
	database_parameter_add(&p, "port", "1,2");
	assert_true(place(&p, "host") > place(&p, "dbname"));
	assert_string_equal(p.values[place(&p, "host")], "a,b");
	assert_null(p.values[place(&p, "hostaddr")]);
	assert_int_equal(place(&p, "port"), DATABASE_PARAMETERS - 2);
	assert_null(p.keywords[DATABASE_PARAMETERS - 1]);
	assert_null(p.values[DATABASE_PARAMETERS - 1]);
}

static void
test_gone(void **state)
{
	static const struct {
		const char	*sqlstate;
		bool		 gone;
	} cases[] = { { "08006", true }, { "57P01", true }, { "57P02", true }, { "57P03", true }, { "57014", false },
		{ "53300", false }, { "42883", false }, { "P0001", false }, { "", false } };
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++)
		if (database_is_gone(cases[i].sqlstate) != cases[i].gone)
			fail_msg("%s: wanted %d", cases[i].sqlstate, cases[i].gone);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_order), cmocka_unit_test(test_gone) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
