#include "inet.h"
#include "unit.h"

static const struct {
	const char	*text;
	const char	*canonical;	/* NULL: not an address */
} addresses[] = {
	{ "192.0.2.1", "192.0.2.1" },
	{ "0.0.0.0", "0.0.0.0" },
	{ "255.255.255.255", "255.255.255.255" },
	{ "2001:db8::1", "2001:db8::1" },
	{ "2001:DB8:0:0:0:0:0:1", "2001:db8::1" },
	{ "::", "::" },
	{ "::ffff:1.2.3.4", "::ffff:1.2.3.4" },
	{ "fe80::1", "fe80::1" },
	{ "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" },
	{ "", NULL },
	{ " 192.0.2.1", NULL },
	{ "192.0.2.1 ", NULL },
	{ "192.0.2", NULL },
	{ "192.0.2.", NULL },
	{ "192.0.2.1.", NULL },
	{ "192.0.2.1.1", NULL },
	{ "192.0.2.256", NULL },
	{ "192.0.2.1000", NULL },
	{ "192.0.2.01", NULL },
	{ "192.0..1", NULL },
	{ "192.0.2.-1", NULL },
	{ "192.0.2.+1", NULL },
	{ "0x7f.0.0.1", NULL },
	{ "3221225985", NULL },
	{ "192.0.2.1/24", NULL },
	{ "2001:db8::1/64", NULL },
	{ "2001:db8::1%eth0", NULL },
	{ "2001:db8::1::2", NULL },
	{ "2001:db8:::1", NULL },
	{ ":1", NULL },
	{ "12345::", NULL },
	{ "g::1", NULL },
	{ "1:2:3:4:5:6:7:8:9", NULL },
	{ "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.2555", NULL },
	{ "0000000000000000000000000000000000000000000000000000000000000000::1", NULL },
	{ "localhost", NULL },
};

static void
test_address(void **state)
{
	char text[INET_TEXT_SIZE];
	struct inet i;
	size_t n;

	(void)state;
	for (n = 0; n < COUNT(addresses); n++) {
		bool good = inet_parse_address(&i, addresses[n].text);

		if (good != (addresses[n].canonical != NULL))
			fail_msg("\"%s\" is taken for %s address", addresses[n].text, good ? "an" : "no");
		if (good) {
			check_text(addresses[n].text, inet_address_text(text, &i), addresses[n].canonical);
			assert_int_equal(i.bits, i.family == 4 ? 32 : 128);
			assert_int_equal(inet_length(&i), i.family == 4 ? 4 : 16);
		}
	}
}

static const struct {
	const char	*text;
	const char	*canonical;
} prefixes[] = {
	{ "192.0.2.0/24", "192.0.2.0/24" },
	{ "0.0.0.0/0", "0.0.0.0/0" },
	{ "192.0.2.1/32", "192.0.2.1/32" },
	/* host bits are cleared */
	{ "192.0.2.255/24", "192.0.2.0/24" },
	{ "255.255.255.255/0", "0.0.0.0/0" },
	{ "255.255.255.255/1", "128.0.0.0/1" },
	{ "255.255.255.255/9", "255.128.0.0/9" },
	{ "255.255.255.255/31", "255.255.255.254/31" },
	{ "2001:db8::/32", "2001:db8::/32" },
	{ "::/0", "::/0" },
	{ "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/0", "::/0" },
	{ "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/10", "ffc0::/10" },
	{ "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/127", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/127" },
	{ "::ffff:1.2.3.4/128", "::ffff:1.2.3.4/128" },
	{ "192.0.2.0/024", "192.0.2.0/24" },
	{ "192.0.2.0", NULL },
	{ "192.0.2.0/", NULL },
	{ "192.0.2.0/33", NULL },
	{ "192.0.2.0/256", NULL },
	{ "192.0.2.0/4294967320", NULL },
	{ "192.0.2.0/-1", NULL },
	{ "192.0.2.0/+24", NULL },
	{ "192.0.2.0/ 24", NULL },
	{ "192.0.2.0/24 ", NULL },
	{ "192.0.2.0/24/24", NULL },
	{ "192.0.2.0/a", NULL },
	{ "192.0.2.0/0x18", NULL },
	{ "192.0.2/24", NULL },
	{ "2001:db8::/129", NULL },
	{ "2001:db8::/48/0", NULL },
	{ "/24", NULL },
	{ "/", NULL },
	{ "", NULL },
};

static void
test_prefix(void **state)
{
	char text[INET_TEXT_SIZE];
	struct inet i;
	size_t n;

	(void)state;
	for (n = 0; n < COUNT(prefixes); n++) {
		bool good = inet_parse_prefix(&i, prefixes[n].text);

		if (good != (prefixes[n].canonical != NULL))
			fail_msg("\"%s\" is taken for %s prefix", prefixes[n].text, good ? "a" : "no");
		if (good)
			check_text(prefixes[n].text, inet_prefix_text(text, &i), prefixes[n].canonical);
	}
}

/* every length of an address of ones and of one with mixed bits */
static void
test_every_length(void **state)
{
	static const char *const bases[] = { "255.255.255.255", "203.87.44.181",
		"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2a5b:9c3d:e17f:8642:a5a5:5a5a:f00f:ba5d" };
	size_t b;

	(void)state;
	for (b = 0; b < COUNT(bases); b++) {
		struct inet base, i;
		unsigned int bits, bit;

		assert_true(inet_parse_address(&base, bases[b]));
		for (bits = 0; bits <= base.bits; bits++) {
			char text[INET_TEXT_SIZE + 8];

			snprintf(text, sizeof(text), "%s/%u", bases[b], bits);
			assert_true(inet_parse_prefix(&i, text));
			assert_int_equal(i.bits, bits);
			for (bit = 0; bit < 128; bit++) {
				unsigned int mask = 0x80 >> (bit % 8);
				unsigned int wanted = bit < bits ? base.address[bit / 8] & mask : 0;

				if ((i.address[bit / 8] & mask) != wanted)
					fail_msg("bit %u of %s", bit, text);
			}
		}
	}
}

static void
test_link_local(void **state)
{
	static const struct {
		const char	*text;
		bool		 local;
	} cases[] = {
		{ "fe80::1", true }, { "febf:ffff::1", true }, { "fe7f::1", false }, { "fec0::1", false },
		{ "ff02::1", false }, { "::1", false }, { "169.254.0.1", false }, { "254.128.0.1", false },
	};
	struct inet i;
	size_t n;

	(void)state;
	for (n = 0; n < COUNT(cases); n++) {
		assert_true(inet_parse_address(&i, cases[n].text));
		if (inet_is_link_local(&i) != cases[n].local)
			fail_msg("%s", cases[n].text);
	}
}

static void
test_compare(void **state)
{
	static const char *const ordered[] = { "0.0.0.0/0", "10.0.0.0/8", "11.0.0.0/8", "10.0.0.0/9", "10.0.0.0/32",
		"::/0", "2001:db8::/32", "2001:db9::/32", "2001:db8::/33" };
	struct inet a, b;
	size_t i, j;

	(void)state;
	for (i = 0; i < COUNT(ordered); i++)
		for (j = 0; j < COUNT(ordered); j++) {
			int c;

			assert_true(inet_parse_prefix(&a, ordered[i]) && inet_parse_prefix(&b, ordered[j]));
			c = inet_compare(&a, &b);
			if ((i < j) != (c < 0) || (i == j) != (c == 0))
				fail_msg("%s and %s: %d", ordered[i], ordered[j], c);
		}
}

static void
test_nothing(void **state)
{
	struct inet none = { 0 };
	char text[INET_TEXT_SIZE] = "left over";

	(void)state;
	check_text("no address", inet_address_text(text, &none), "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_address), cmocka_unit_test(test_prefix), cmocka_unit_test(test_every_length),
		cmocka_unit_test(test_link_local), cmocka_unit_test(test_compare), cmocka_unit_test(test_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
