#include "buf.h"
#include "dialect.h"
#include "unit.h"

static const char *const kinds[] = { "JSON", "empty", "answer", "text encoder", "unknown" };

static const struct {
	const char		*line;
	enum dialect_line	 kind;
} lines[] = {
	{ "{ \"exabgp\": \"4.0.1\" }", DIALECT_JSON },
	{ "  { }", DIALECT_JSON },
	{ "{", DIALECT_JSON },
	{ "", DIALECT_EMPTY },
	{ " \t\r", DIALECT_EMPTY },
	/* answers of 4.2.21 and 5.0.13 */
	{ "done", DIALECT_ANSWER },
	{ "error", DIALECT_ANSWER },
	{ "done\r", DIALECT_ANSWER },
	{ "exabgp 4.2.21", DIALECT_ANSWER },
	{ "Peer            AS        up/down state       |     #sent     #recvd", DIALECT_ANSWER },
	{ "127.0.0.1       65010     0:00:07 established           2          24", DIALECT_ANSWER },
	{ "2001:db8::1     65010     down    connect               0           0", DIALECT_ANSWER },
	{ "neighbor 127.0.0.1 ipv4 unicast 10.6.0.0/16 next-hop 127.0.0.1", DIALECT_ANSWER },
	{ "neighbor 2001:db8::1 ipv6 unicast 2001:db8:1::/48 next-hop 2001:db8::1", DIALECT_ANSWER },
	{ "127.0.0.1 ipv4 unicast 10.6.0.0/16 next-hop 127.0.0.1", DIALECT_ANSWER },
	{ "neighbor 127.0.0.1 local-ip 127.0.0.2 local-as 65020 peer-as 65010 router-id 10.0.0.2 family-allowed "
	  "in-open ipv4 unicast 10.6.0.0/16 next-hop 127.0.0.1 origin igp as-path [ 65010 ]", DIALECT_ANSWER },
	/* "show neighbor extensive" */
	{ "Neighbor 127.0.0.1", DIALECT_ANSWER },
	{ "Neighbor 2001:db8::1", DIALECT_ANSWER },
	{ "Neighbor watch", DIALECT_UNKNOWN },
	{ "  Session                         Local", DIALECT_ANSWER },
	{ "  Families                        Local          Remote        Add-Path", DIALECT_ANSWER },
	{ "   local                     127.0.0.2                                ", DIALECT_ANSWER },
	{ "   state                   ESTABLISHED", DIALECT_ANSWER },
	{ "   up for                      0:00:07", DIALECT_ANSWER },
	{ "   route-refresh:              enabled         enabled                ", DIALECT_ANSWER },
	{ "   ipv4 unicast:               enabled         enabled        disabled", DIALECT_ANSWER },
	{ "   update:                           2               4                ", DIALECT_ANSWER },
	{ "   anything else", DIALECT_UNKNOWN },
	{ " Session", DIALECT_UNKNOWN },
	/* the text encoder of 4.2, reactor/api/response/text.py */
	{ "neighbor 127.0.0.1 up", DIALECT_TEXT_ENCODER },
	{ "neighbor 127.0.0.1 connected", DIALECT_TEXT_ENCODER },
	{ "neighbor 127.0.0.1 down - peer reset, message () error()", DIALECT_TEXT_ENCODER },
	{ "neighbor 127.0.0.1 receive update start", DIALECT_TEXT_ENCODER },
	{ "neighbor 127.0.0.1 receive update announced 10.0.0.0/24 next-hop 192.0.2.1 origin igp", DIALECT_TEXT_ENCODER },
	{ "neighbor 127.0.0.1 receive update withdrawn 10.0.0.0/24", DIALECT_TEXT_ENCODER },
	{ "neighbor 127.0.0.1 receive update end", DIALECT_TEXT_ENCODER },
	{ "neighbor 2001:db8::1 send notification code 6 subcode 2 data ", DIALECT_TEXT_ENCODER },
	/* anything else */
	{ "done it", DIALECT_ANSWER },
	{ "donex", DIALECT_UNKNOWN },
	{ "neighbor", DIALECT_UNKNOWN },
	{ "neighbor x up", DIALECT_UNKNOWN },
	{ "neighbor 127.0.0.1", DIALECT_UNKNOWN },
	{ "neighbor 127.0.0.1 dances", DIALECT_UNKNOWN },
	{ "[ 1 ]", DIALECT_UNKNOWN },
	{ "\"exabgp\"", DIALECT_UNKNOWN },
	{ "xabgp\": \"4.0.1\", \"time\": 1 }", DIALECT_UNKNOWN },
	{ "Traceback (most recent call last):", DIALECT_UNKNOWN },
	{ "\xff\xfe", DIALECT_UNKNOWN },
};

static void
test_classify(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(lines); i++) {
		enum dialect_line kind = dialect_classify(lines[i].line, strlen(lines[i].line));

		if (kind != lines[i].kind)
			fail_msg("\"%s\"\n     got: %s\n  wanted: %s", lines[i].line, kinds[kind], kinds[lines[i].kind]);
	}
	/* a zero byte is nothing special */
	assert_int_equal(dialect_classify("\0{", 2), DIALECT_UNKNOWN);
	/* no byte past the end is looked at */
	assert_int_equal(dialect_classify("donex", 4), DIALECT_ANSWER);
	assert_int_equal(dialect_classify("neighbor 127.0.0.1 upper", 21), DIALECT_TEXT_ENCODER);
}

/* every line of a recorded dialogue is JSON or an answer to us */
static void
test_recorded(void **state)
{
	static const char *const files[] = { GOLDEN "v4-resync.input", GOLDEN "v5-resync.input" };
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(files); i++) {
		size_t length, n, answers = 0;
		char *text = read_file(files[i], &length), *p = text, *line;

		if (text == NULL)
			fail_msg("could not read %s", files[i]);
		while (next_line(&p, text + length, &line, &n)) {
			enum dialect_line kind = dialect_classify(line, n);

			if (kind != (line[0] == '{' ? DIALECT_JSON : DIALECT_ANSWER))
				fail_msg("%s: \"%.*s\" is %s", files[i], (int)n, line, kinds[kind]);
			answers += kind == DIALECT_ANSWER;
		}
		assert_true(answers > 8);
		free(text);
	}
}

static const struct {
	const char	*name;
	const char	*line;		/* ' for " */
	const char	*mended;	/* NULL: nothing to mend */
} defects[] = {
	{ "refresh of 4.2", "{ 'route-refresh': { 'afi': ''ipv4'', 'safi': ''nlri-mpls'', 'subtype': ''query'' } }",
	  "{ 'route-refresh': { 'afi': 'ipv4', 'safi': 'nlri-mpls', 'subtype': 'query' } }" },
	{ "empty strings", "{ 'a': '', 'b': [ '', '' ], '': '' }", NULL },
	{ "second aggregator of 4.2", "{ 'aggregator': '23456:10.1.1.1', 'aggregator': '3:10.1.1.1' }",
	  "{ 'aggregator': '23456:10.1.1.1', 'aggregator-duplicate': '3:10.1.1.1' }" },
	{ "one aggregator", "{ 'aggregator': '23456:10.1.1.1' }", NULL },
	{ "End-of-RIB of main", "{ 'announce': { 'ipv4 unicast': { 'null': [ 'eor': { 'afi' : 'ipv4', 'safi' : 'unicast' } ] } } }",
	  "{ 'announce': { 'ipv4 unicast': { 'null': [ { 'eor': { 'afi' : 'ipv4', 'safi' : 'unicast' } } ] } } }" },
	{ "prefix keys of 3.4", "{ 'exabgp': '3.4.8', 'x': { '10.0.0.0/8': { 'label': [ 1 ] }, '10.0.0.0/8': { } } }",
	  "{ 'exabgp': '3.4.8', 'x': { '10.0.0.0/8#0': { 'label': [ 1 ] }, '10.0.0.0/8#1': { } } }" },
	{ "a prefix as value in 3.4", "{ 'exabgp': '3.4.8', 'x': [ '10.0.0.0/8' ] }", NULL },
	{ "a key with a slash in 4.x", "{ 'exabgp': '4.0.1', '10.0.0.0/8': 1 }", NULL },
	{ "control byte in a reason of 3.4", "{ 'reason': 'a\vb\1' }", "{ 'reason': 'a\\u000bb\\u0001' }" },
	{ "backslash in a reason of 4.x", "{ 'reason': 'a\\b \\x \\ y' }", "{ 'reason': 'a\\b \\\\x \\\\ y' }" },
	{ "escapes in a reason", "{ 'reason': 'a\\n\\u00e9\\\\ \\/' }", NULL },
	{ "bytes that are no UTF-8 in a reason", "{ 'reason': '\xff\xc3\xa9\xc3' }", "{ 'reason': '\\ufffd\xc3\xa9\\ufffd' }" },
	{ "64-bit integer", "[ 9223372036854775807, 9223372036854775808, 18446744073709551615 ]",
	  "[ 9223372036854775807, '9223372036854775808', '18446744073709551615' ]" },
	{ "160-bit integer", "[ 47389442064591062288541496103088308189462628 ]",
	  "[ '47389442064591062288541496103088308189462628' ]" },
	{ "times are no integers", "{ 'time': 1795376367.2345678901234567890 }", NULL },
	{ "digits in a string", "{ 'a': '18446744073709551615', 'attribute-0x20-0xE0': '0xff' }", NULL },
};

static void
test_mended(void **state)
{
	struct buf out = { 0 };
	char line[512], wanted[512];
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(defects); i++) {
		bool changed;

		snprintf(line, sizeof(line), "%s", defects[i].line);
		quoted(line);
		changed = dialect_repair(&out, line, strlen(line));
		if (changed != (defects[i].mended != NULL))
			fail_msg("%s: %s", defects[i].name, changed ? "changed" : "not changed");
		if (changed) {
			snprintf(wanted, sizeof(wanted), "%s", defects[i].mended);
			quoted(wanted);
			buf_add(&out, "", 1);
			check_text(defects[i].name, (const char *)out.data, wanted);
		}
	}
	buf_free(&out);
}

/* what a JSON parser takes as it is stays byte for byte as it is */
static void
test_clean_lines(void **state)
{
	static const char *const files[] = { GOLDEN "v4-unicast.input", GOLDEN "v4-ipv6.input", GOLDEN "v5-unicast.input",
		GOLDEN "main-unicast.input" };
	struct buf out = { 0 };
	size_t i, clean = 0;

	(void)state;
	for (i = 0; i < COUNT(files); i++) {
		size_t length, n;
		char *text = read_file(files[i], &length), *p = text, *line;

		if (text == NULL)
			fail_msg("could not read %s", files[i]);
		while (next_line(&p, text + length, &line, &n)) {
			/* numbers of 64 bits are the one thing that is mended in lines like these */
			if (memmem(line, n, "extended-community", 18) != NULL)
				continue;
			if (dialect_repair(&out, line, n))
				fail_msg("%s: changed: %.*s", files[i], (int)(n < 400 ? n : 400), line);
			assert_int_equal(out.length, n);
			assert_memory_equal(out.data, line, n);
			clean++;
		}
		free(text);
	}
	assert_true(clean > 60);
	buf_free(&out);
}

/* a piece of line over and over, and the time for MiBs of it */
static void
test_linear(void **state)
{
	static const char *const pieces[] = { "[", "{", "\"", "\"\"", "\"\"a", "\"a", "\\\"", "\"a\":", "{\"a\":", " ", "\"a\" ",
		"1", "-", "1-", "1e", "\"\"ipv4", "[ \"eor\":", "[ \"eor\": {", "\"reason\": \"\\", "\\u", "\"reason\": \"\xff",
		"\"aggregator\":", "{ \"exabgp\": \"3.4\", \"1/\":", "\"1/\":", "done ", "neighbor ", "neighbor 1", "\0" };
	size_t length = DIALECT_REPAIR_MAX, i, n, at;
	char *line = malloc(length);
	struct buf out = { 0 };
	double began = seconds_used();

	(void)state;
	assert_non_null(line);
	for (i = 0; i < COUNT(pieces); i++) {
		n = pieces[i][0] == '\0' ? 1 : strlen(pieces[i]);
		for (at = 0; at + n <= length; at += n)
			memcpy(line + at, pieces[i], n);
		memset(line + at, ' ', length - at);
		dialect_classify(line, length);
		dialect_repair(&out, line, length);
		if (seconds_used() - began > LINEAR_SECONDS)
			fail_msg("\"%s\" over and over is slow", pieces[i]);
	}
	/* longer ones are not worth it */
	buf_free(&out);
	free(line);
}

static void
test_longest(void **state)
{
	size_t length = DIALECT_REPAIR_MAX + 1;
	char *line = malloc(length);
	struct buf out = { 0 };

	(void)state;
	assert_non_null(line);
	memset(line, '9', length);
	assert_false(dialect_repair(&out, line, length));
	assert_true(dialect_repair(&out, line, length - 1));
	assert_false(dialect_repair(&out, line, 0));
	buf_free(&out);
	free(line);
}

/* a line cut off anywhere: nothing past its end is read (the sanitizers see to that) */
static void
test_cut(void **state)
{
	struct buf out = { 0 };
	size_t i, n;

	(void)state;
	for (i = 0; i < COUNT(defects); i++) {
		char line[512];

		snprintf(line, sizeof(line), "%s", defects[i].line);
		quoted(line);
		for (n = 0; n <= strlen(line); n++) {
			char *cut = malloc(n + 1);	/* exactly as long: an overrun shows */

			assert_non_null(cut);
			memcpy(cut, line, n);
			cut = realloc(cut, n > 0 ? n : 1);
			dialect_repair(&out, cut, n);
			dialect_classify(cut, n);
			free(cut);
		}
	}
	buf_free(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_classify), cmocka_unit_test(test_recorded), cmocka_unit_test(test_mended),
		cmocka_unit_test(test_clean_lines), cmocka_unit_test(test_linear), cmocka_unit_test(test_longest),
		cmocka_unit_test(test_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
