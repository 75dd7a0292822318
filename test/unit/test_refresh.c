/* which families of a peer are being sent again: refresh.c */
#include "unit.h"

#include "refresh.h"

#define SECOND	INT64_C(1000000)
#define V4	"ipv4 unicast"
#define V6	"ipv6 unicast"

static void
test_enhanced(void **state)
{
	struct refreshes r = { 0 };

	(void)state;
	assert_true(refreshes_complete(&r));
	refreshes_ask(&r, V4, 100);
	refreshes_ask(&r, V6, 100);
	assert_false(refreshes_complete(&r));
	/* one that marks the begin is believed to: what comes before it is news */
	assert_false(refreshes_cover(&r, V4, true));
	refreshes_begin(&r, V4, 200);
	assert_true(refreshes_cover(&r, V4, true));
	assert_false(refreshes_cover(&r, V6, true));
	assert_int_equal(refreshes_find(&r, V4)->phase, REFRESH_ANSWERED);
	assert_int_equal(refreshes_find(&r, V4)->since_us, 200);
	refreshes_end(&r, V4);
	assert_false(refreshes_cover(&r, V4, true));
	assert_false(refreshes_complete(&r));
	refreshes_begin(&r, V6, 300);
	refreshes_end(&r, V6);
	assert_true(refreshes_complete(&r));
	assert_null(r.list);
}

/* one that does not mark it: what comes after the request, for a while */
static void
test_plain(void **state)
{
	struct refreshes r = { 0 };

	(void)state;
	refreshes_ask(&r, V4, SECOND);
	assert_true(refreshes_cover(&r, V4, false));
	assert_false(refreshes_cover(&r, V6, false));
	refreshes_expire(&r, 121 * SECOND);
	assert_true(refreshes_cover(&r, V4, false));
	assert_true(refresh_is_overdue(refreshes_find(&r, V4), 122 * SECOND));
	refreshes_expire(&r, 122 * SECOND);
	assert_int_equal(refreshes_find(&r, V4)->phase, REFRESH_OVERDUE);
	assert_false(refreshes_cover(&r, V4, false));
	/* and for good: it is never complete, and not overdue a second time */
	assert_false(refreshes_complete(&r));
	assert_false(refresh_is_overdue(refreshes_find(&r, V4), 9999 * SECOND));
	refreshes_clear(&r);
	assert_true(refreshes_complete(&r));
}

/* a refresh that we did not ask for is marked, but nothing depends on its end */
static void
test_not_asked(void **state)
{
	struct refreshes r = { 0 };

	(void)state;
	refreshes_begin(&r, V4, SECOND);
	assert_true(refreshes_cover(&r, V4, true));
	assert_true(refreshes_complete(&r));
	refreshes_expire(&r, 3602 * SECOND);
	assert_null(refreshes_find(&r, V4));
	refreshes_end(&r, V4);
	assert_null(r.list);
}

/* lines were missed meanwhile: the routes are marked, and the end completes nothing */
static void
test_missed(void **state)
{
	struct refreshes r = { 0 };
	char text[REFRESH_TEXT_SIZE];

	(void)state;
	refreshes_ask(&r, V4, SECOND);
	refreshes_ask(&r, V6, SECOND);
	refreshes_begin(&r, V4, 2 * SECOND);
	refreshes_miss(&r);
	refreshes_text(&r, text);
	assert_string_equal(text, "m 2000000 " V4 ";a 1000000 " V6);
	refreshes_parse(&r, text);
	assert_true(refreshes_cover(&r, V4, true));
	refreshes_end(&r, V4);
	assert_int_equal(refreshes_find(&r, V4)->phase, REFRESH_OVERDUE);
	assert_false(refreshes_cover(&r, V4, true));
	refreshes_begin(&r, V6, 3 * SECOND);
	refreshes_end(&r, V6);
	assert_false(refreshes_complete(&r));
	/* once more, and whole */
	refreshes_ask(&r, V4, 4 * SECOND);
	refreshes_begin(&r, V4, 5 * SECOND);
	refreshes_end(&r, V4);
	assert_true(refreshes_complete(&r));
	/* one that never ends is given up; one that was not asked for is as before */
	refreshes_ask(&r, V4, SECOND);
	refreshes_begin(&r, V4, SECOND);
	refreshes_begin(&r, V6, SECOND);
	refreshes_miss(&r);
	assert_int_equal(refreshes_find(&r, V6)->phase, REFRESH_BEGUN);
	refreshes_expire(&r, 3602 * SECOND);
	assert_int_equal(refreshes_find(&r, V4)->phase, REFRESH_OVERDUE);
	refreshes_clear(&r);
}

static void
test_text(void **state)
{
	struct refreshes r = { 0 }, copy = { 0 };
	char text[REFRESH_TEXT_SIZE], again[REFRESH_TEXT_SIZE], family[64];
	int i;

	(void)state;
	refreshes_text(&r, text);
	assert_string_equal(text, "");
	refreshes_ask(&r, V4, 1700000000123456);
	refreshes_begin(&r, V6, 2);
	refreshes_text(&r, text);
	assert_string_equal(text, "a 1700000000123456 ipv4 unicast;b 2 ipv6 unicast");
	refreshes_parse(&copy, text);
	refreshes_text(&copy, again);
	assert_string_equal(again, text);
	/* as many as there is room for, and none whose name would not fit or would look like two */
	refreshes_ask(&r, "ipv4 unicast;x", 1);
	refreshes_ask(&r, "a family whose name is longer than any", 1);
	for (i = 0; i < 2 * REFRESH_FAMILIES; i++) {
		snprintf(family, sizeof(family), "abcdefghijklmnop %014d", i);
		refreshes_ask(&r, family, INT64_MAX);
	}
	assert_int_equal(r.count, REFRESH_FAMILIES);
	refreshes_text(&r, text);
	assert_true(strlen(text) < sizeof(text) - 1);
	refreshes_parse(&copy, text);
	refreshes_text(&copy, again);
	assert_string_equal(again, text);
	refreshes_parse(&copy, "q 1 ipv4 unicast;;a x y;a 1;B 7 l2vpn evpn");
	refreshes_text(&copy, again);
	assert_string_equal(again, "B 7 l2vpn evpn");
	refreshes_parse(&copy, "");
	assert_int_equal(copy.count, 0);
	refreshes_clear(&r);
	refreshes_clear(&copy);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_enhanced), cmocka_unit_test(test_plain), cmocka_unit_test(test_not_asked),
		cmocka_unit_test(test_missed), cmocka_unit_test(test_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
