#include <inttypes.h>

#include "batch.h"
#include "novelty.h"
#include "peer.h"
#include "unit.h"

/*
 * PostgreSQL's binary COPY format read again, written from its manual and from the
 * functions *_recv of the types, not from batch.c.
 */
struct reader {
	const unsigned char	*p;
	const unsigned char	*end;
};

static uint64_t
take(struct reader *r, size_t bytes)
{
	uint64_t n = 0;

	if ((size_t)(r->end - r->p) < bytes)
		fail_msg("the COPY data ends within a number");
	while (bytes-- > 0)
		n = n << 8 | *r->p++;
	return n;
}

static void
add_bytes(struct text *t, struct reader *r, size_t n)
{
	if ((size_t)(r->end - r->p) < n)
		fail_msg("the COPY data ends within a field");
	text_add(t, r->p, n);
	r->p += n;
}

static void
add_inet(struct text *t, struct reader *r, bool is_cidr)
{
	struct inet i;
	char text[INET_TEXT_SIZE];
	uint64_t family = take(r, 1), n;

	memset(&i, 0, sizeof(i));
	i.family = family == 2 ? 4 : family == 3 ? 6 : 0;
	i.bits = (uint8_t)take(r, 1);
	assert_int_equal(take(r, 1), is_cidr);
	n = take(r, 1);
	assert_int_equal(n, i.family == 4 ? 4 : i.family == 6 ? 16 : 0);
	assert_true(i.bits <= n * 8);
	memcpy(i.address, r->p, n);
	r->p += n;
	text_addf(t, "%s", inet_prefix_text(text, &i));
}

static void
add_array(struct text *t, struct reader *r, uint32_t element, char type)
{
	uint64_t dimensions = take(r, 4), count = 0, i, n;

	assert_int_equal(take(r, 4), 0);	/* no NULLs */
	assert_int_equal(take(r, 4), element);
	assert_in_range(dimensions, 0, 1);
	if (dimensions == 1) {
		count = take(r, 4);
		assert_int_equal(take(r, 4), 1);	/* lower bound */
		assert_true(count > 0);
	}
	text_addf(t, "{");
	for (i = 0; i < count; i++) {
		text_addf(t, "%s", i > 0 ? "," : "");
		n = take(r, 4);
		if (type == 't')
			add_bytes(t, r, n);
		else {
			assert_int_equal(n, type - '0');
			text_addf(t, "%" PRIu64, take(r, n));
		}
	}
	text_addf(t, "}");
}

/* 4, 8: integers; T: time; c: "char"; b: boolean; I, C: inet, cidr; t: text; j: jsonb; s, l, p: text[], int4[], int8[] */
static void
add_field(struct text *t, struct reader *r, char type)
{
	uint64_t length = take(r, 4), n;
	const unsigned char *end;

	if (length == UINT32_MAX) {
		text_addf(t, "~");
		return;
	}
	if (length > (uint64_t)(r->end - r->p))
		fail_msg("the COPY data ends within a field");
	end = r->p + length;
	switch (type) {
	case '4':
		assert_int_equal(length, 4);
		text_addf(t, "%" PRId32, (int32_t)take(r, 4));
		break;
	case '8':
		assert_int_equal(length, 8);
		text_addf(t, "%" PRId64, (int64_t)take(r, 8));
		break;
	case 'T':
		assert_int_equal(length, 8);
		text_addf(t, "%" PRId64, (int64_t)take(r, 8) + INT64_C(946684800000000));
		break;
	case 'c':
		assert_int_equal(length, 1);
		add_bytes(t, r, 1);
		break;
	case 'b':
		assert_int_equal(length, 1);
		n = take(r, 1);
		assert_in_range(n, 0, 1);
		text_addf(t, "%s", n == 1 ? "true" : "false");
		break;
	case 'I':
	case 'C':
		add_inet(t, r, type == 'C');
		break;
	case 'j':
		assert_int_equal(take(r, 1), 1);
		add_bytes(t, r, length - 1);
		break;
	case 't':
		add_bytes(t, r, length);
		break;
	case 's':
		add_array(t, r, 25, 't');
		break;
	case 'l':
		add_array(t, r, 23, '4');
		break;
	case 'p':
		add_array(t, r, 20, '8');
		break;
	}
	assert_ptr_equal(r->p, end);
}

static const char *const types[BATCH_TABLES] = {
	[BATCH_ROUTES] = "4T8bbcC8ttljI888cbptssstj",
	[BATCH_SESSIONS] = "T84tttj",
	[BATCH_ERRORS] = "T8ttt",
	[BATCH_GAPS] = "tTT88t4",
};

/* the rows of a table: fields separated by |, ~ for NULL, a newline after each row */
static char *
copy_text(const struct batch *b, enum batch_table table)
{
	static const char header[] = "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0";
	struct reader r = { b->copy[table].data, b->copy[table].data + b->copy[table].length };
	struct text t = { 0 };
	size_t rows = 0, i;

	text_add(&t, "", 0);
	assert_true(b->copy[table].length >= 19);
	assert_memory_equal(r.p, header, 19);
	for (r.p += 19; r.p < r.end; rows++) {
		assert_int_equal(take(&r, 2), strlen(types[table]));
		for (i = 0; types[table][i] != '\0'; i++) {
			text_addf(&t, "%s", i > 0 ? "|" : "");
			add_field(&t, &r, types[table][i]);
		}
		text_addf(&t, "\n");
	}
	assert_int_equal(rows, b->rows[table]);
	return t.data;
}

static void
check_table(const char *name, const struct batch *b, enum batch_table table, const char *wanted)
{
	char *got = copy_text(b, table);

	check_text(name, got, wanted);
	free(got);
}

/* as many columns are named as are written */
static void
test_statements(void **state)
{
	int table;

	(void)state;
	for (table = 0; table < BATCH_TABLES; table++) {
		const char *s = batch_copy_statement((enum batch_table)table), *p;
		size_t columns = 1;

		assert_non_null(strstr(s, "binary"));
		for (p = strchr(s, '('); *p != ')'; p++)
			columns += *p == ',';
		if (columns != strlen(types[table]))
			fail_msg("%s: %zu columns, not %zu", s, columns, strlen(types[table]));
	}
}

static const struct batch_position nowhere;

static struct route
route(const char *prefix, const char *next_hop, const struct attributes *a)
{
	struct route r;

	memset(&r, 0, sizeof(r));
	r.path_id = MESSAGE_NO_NUMBER;
	r.announce = a != NULL;
	r.attributes = a;
	if (prefix != NULL)
		assert_true(inet_parse_prefix(&r.prefix, prefix));
	if (next_hop != NULL)
		assert_true(inet_parse_address(&r.next_hop, next_hop));
	return r;
}

#define NO_ATTRIBUTES	{ .origin_asn = MESSAGE_NO_NUMBER, .med = MESSAGE_NO_NUMBER, .local_pref = MESSAGE_NO_NUMBER }

static void
test_routes(void **state)
{
	static const uint32_t path[] = { 64500, 4294967295, 0 };
	static const struct community communities[] = { { 0, 0 }, { 65535, 65281 } };
	static const struct large_community large[] = { { 4294967295, { 1, 4294967295 } } };
	static const char *const ext[] = { "0xffffffffffffffff", "target:65001:100" };
	static const int32_t labels[] = { 16, 1048575 };
	struct attributes none = NO_ATTRIBUTES, all = {
		.path = path, .path_length = 3, .as_path = "64500 4294967295 {0}", .origin_asn = 4294967295, .origin = '?',
		.atomic_aggregate = true, .med = 0, .local_pref = 4294967295, .communities = communities,
		.communities_count = 2, .large = large, .large_count = 1, .ext = ext, .ext_count = 2,
		.aggregator = "4294967295:10.1.1.1", .others = "{\"otc\":65001}",
	};
	struct batch b = { 0 };
	struct route r;

	(void)state;
	batch_begin(&b, 1, &nowhere, 100);
	assert_true(batch_is_empty(&b));
	r = route("10.0.0.0/8", "192.0.2.9", &all);
	batch_route(&b, INT64_C(1700000000123456), 7, false, &r);
	r = route("2001:db8::/32", "2001:db8::1", &all);
	r.path_id = 4294967295;
	r.rd = "65001:100";
	r.labels = labels;
	r.labels_count = 2;
	r.family = "ipv6 mpls-vpn";
	batch_route(&b, INT64_C(1700000000123456), 7, true, &r);
	/* a withdrawal has no attributes, whatever was before it */
	r = route("0.0.0.0/0", NULL, NULL);
	batch_route(&b, 0, INT32_MAX, false, &r);
	r = route(NULL, NULL, &none);
	r.family = "ipv4 flow";
	r.nlri = "{\"string\":\"\xc3\xa9\"}";
	batch_route(&b, INT64_C(946684800000000), 1, false, &r);
	check_table("routes", &b, BATCH_ROUTES,
	    "7|1700000000123456|101|~|~|A|10.0.0.0/8|~|~|~|~|~|192.0.2.9/32|4294967295|0|4294967295|?|true|{64500,4294967295,0}|"
	    "64500 4294967295 {0}|{0:0,65535:65281}|{4294967295:1:4294967295}|{0xffffffffffffffff,target:65001:100}|4294967295:10.1.1.1|{\"otc\":65001}\n"
	    "7|1700000000123456|102|true|~|A|2001:db8::/32|4294967295|ipv6 mpls-vpn|65001:100|{16,1048575}|~|2001:db8::1/128|4294967295|0|"
	    "4294967295|?|true|{64500,4294967295,0}|64500 4294967295 {0}|{0:0,65535:65281}|{4294967295:1:4294967295}|"
	    "{0xffffffffffffffff,target:65001:100}|4294967295:10.1.1.1|{\"otc\":65001}\n"
	    "2147483647|0|103|~|~|W|0.0.0.0/0|~|~|~|~|~|~|~|~|~|~|~|~|~|~|~|~|~|~\n"
	    "1|946684800000000|104|~|~|A|~|~|ipv4 flow|~|~|{\"string\":\"\xc3\xa9\"}|~|~|~|~|~|false|{}|~|~|~|~|~|~\n");
	assert_int_equal(b.seq, 104);
	assert_int_equal(batch_rows(&b), 4);
	assert_false(batch_is_empty(&b));
	batch_free(&b);
}

/* attributes at the same place in memory are another message's after batch_next_message */
static void
test_next_message(void **state)
{
	struct attributes a = NO_ATTRIBUTES;
	struct batch b = { 0 };
	struct route r = route("10.0.0.0/8", NULL, &a);
	int round;

	(void)state;
	for (round = 0; round < 2; round++) {	/* begun again, it is as new */
		a.med = 1;
		batch_begin(&b, 1, &nowhere, 0);
		batch_route(&b, 0, 1, false, &r);
		batch_route(&b, 0, 1, false, &r);
		batch_next_message(&b);
		a.med = 2;
		batch_route(&b, 0, 1, false, &r);
		check_table("next message", &b, BATCH_ROUTES,
		    "1|0|1|~|~|A|10.0.0.0/8|~|~|~|~|~|~|~|1|~|~|false|{}|~|~|~|~|~|~\n"
		    "1|0|2|~|~|A|10.0.0.0/8|~|~|~|~|~|~|~|1|~|~|false|{}|~|~|~|~|~|~\n"
		    "1|0|3|~|~|A|10.0.0.0/8|~|~|~|~|~|~|~|2|~|~|false|{}|~|~|~|~|~|~\n");
	}
	batch_free(&b);
}

/* "repeated" of the rows, in order: t or - for NULL */
static void
check_repeated(const struct batch *b, const char *wanted)
{
	char *text = copy_text(b, BATCH_ROUTES), *line, *rest = text, got[64];
	size_t n = 0;

	while ((line = strsep(&rest, "\n")) != NULL && *line != '\0') {
		char *field = NULL;
		int i;

		for (i = 0; i < 5; i++)
			field = strsep(&line, "|");
		got[n++] = strcmp(field, "true") == 0 ? 't' : '-';
	}
	got[n] = '\0';
	free(text);
	assert_string_equal(got, wanted);
}

/* a row says whether the same peer had the same path and communities before on the same day */
static void
test_repeated(void **state)
{
	static const uint32_t path[] = { 64500, 64501 }, other_path[] = { 64500, 64502 };
	static const struct community communities[] = { { 64500, 1 } };
	static const struct large_community large[] = { { 64500, { 1, 2 } } };
	const int64_t day = INT64_C(86400000000);
	struct attributes a = NO_ATTRIBUTES, b = NO_ATTRIBUTES, set = NO_ATTRIBUTES, tagged = NO_ATTRIBUTES, large_tagged = NO_ATTRIBUTES;
	struct attributes *const all[] = { &a, &b, &set, &tagged, &large_tagged };
	struct batch batch = { 0 };
	struct route r = route("10.0.0.0/8", NULL, NULL), other = route("10.0.0.0/9", NULL, NULL);
	size_t i;
	int round;

	(void)state;
	batch.novelty = novelty_new();
	assert_non_null(batch.novelty);
	for (i = 0; i < 5; i++) {
		all[i]->path = i == 1 ? other_path : path;
		all[i]->path_length = 2;
	}
	set.as_path = "64500 {64501}";
	tagged.communities = communities;
	tagged.communities_count = 1;
	large_tagged.large = large;
	large_tagged.large_count = 1;
	for (round = 0; round < 2; round++) {
		batch_begin(&batch, 1, &nowhere, 0);
		for (i = 0; i < 5; i++) {
			r.attributes = other.attributes = all[i];
			r.announce = other.announce = true;
			batch_next_message(&batch);
			batch_route(&batch, day, 1, false, &r);
			batch_route(&batch, day, 1, false, &other);
			all[i]->med = round + 1;	/* what else there is does not count */
		}
		check_repeated(&batch, round == 0 ? "-t-t-t-t-t" : "tttttttttt");
	}
	/* another family */
	batch_begin(&batch, 2, &nowhere, 0);
	batch_next_message(&batch);
	for (i = 0; i < 6; i++) {
		struct route families[3] = { r, route("2001:db8::/32", NULL, &a), r };

		families[0].attributes = &a;
		families[2].attributes = &a;
		families[2].family = "ipv4 multicast";
		batch_route(&batch, day, 1, false, &families[i % 3]);
	}
	check_repeated(&batch, "t--ttt");
	/* another peer, another day, and what was forgotten */
	batch_begin(&batch, 2, &nowhere, 0);
	for (i = 0; i < 8; i++) {
		batch_next_message(&batch);
		if (i == 6)
			novelty_forget(batch.novelty);
		r.attributes = &a;
		batch_route(&batch, i < 2 ? day : i < 4 ? 2 * day - 1 : 2 * day, i < 2 ? 2 : 1, false, &r);
		r.attributes = NULL;
		r.announce = false;
		batch_route(&batch, day, 1, false, &r);
		r.announce = true;
	}
	check_repeated(&batch, "--t-t-t---t---t-");
	novelty_free(batch.novelty);
	batch_free(&batch);
}

/* what does not fit is forgotten, that of longest ago first, and never the other way round */
static void
test_novelty_full(void **state)
{
	struct novelty *n = novelty_new();
	const uint32_t count = 3000000;
	uint32_t i, known = 0;

	(void)state;
	assert_non_null(n);
	for (i = 0; i < count; i++) {
		assert_false(novelty_is_known(n, 1, 0, NULL, 4, &i, sizeof(i)));
		if (i % 1000 == 0)
			assert_true(novelty_is_known(n, 1, 0, NULL, 4, &i, sizeof(i)));
	}
	for (i = count - 1000000; i < count; i++)
		known += novelty_is_known(n, 1, 0, NULL, 4, &i, sizeof(i));
	assert_in_range(known, 950000, 1000000);
	novelty_free(n);
}

/* what cannot be stored as text is written as \xNN, and no more than 64 KiB of a line is kept */
static void
test_errors(void **state)
{
	static const struct {
		const char	*name, *line;
		size_t		 length;
		const char	*stored;
	} cases[] = {
		{ "plain", "abc", 3, "abc" },
		{ "empty", "", 0, "" },
		{ "zero bytes", "a\0b\0", 4, "a\\x00b\\x00" },
		{ "control bytes", "a\tb\rc\x01\x7f", 7, "a\tb\rc\x01\x7f" },
		{ "UTF-8", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 9, "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80" },
		{ "stray bytes", "\xff\xfe\x80", 3, "\\xff\\xfe\\x80" },
		{ "overlong", "\xc0\xaf\xe0\x80\xaf", 5, "\\xc0\\xaf\\xe0\\x80\\xaf" },
		{ "surrogate", "\xed\xa0\x80", 3, "\\xed\\xa0\\x80" },
		{ "beyond Unicode", "\xf4\x90\x80\x80", 4, "\\xf4\\x90\\x80\\x80" },
		{ "cut off", "a\xe2\x82", 3, "a\\xe2\\x82" },
	};
	struct batch b = { 0 };
	char wanted[512], *line, *got;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++) {
		batch_begin(&b, 1, &nowhere, 0);
		batch_error(&b, 5, "c", cases[i].line, cases[i].length, "why");
		snprintf(wanted, sizeof(wanted), "5|1|c|%s|why\n", cases[i].stored);
		check_table(cases[i].name, &b, BATCH_ERRORS, wanted);
	}
	line = malloc(MESSAGE_LINE_KEPT + 10);
	assert_non_null(line);
	memset(line, 'x', MESSAGE_LINE_KEPT + 10);
	/* the limit falls within a character */
	memcpy(line + MESSAGE_LINE_KEPT - 1, "\xc3\xa9", 2);
	batch_begin(&b, 1, &nowhere, 0);
	batch_error(&b, MESSAGE_NO_NUMBER, "c", line, MESSAGE_LINE_KEPT + 10, "\xff");
	got = copy_text(&b, BATCH_ERRORS);
	assert_int_equal(strlen(got), strlen("~|1|c|") + MESSAGE_LINE_KEPT - 1 + strlen("\\xc3|\\xff\n"));
	check_text("cut off at the limit", got + strlen(got) - 11, &"xx\\xc3|\\xff\n"[1]);
	free(got);
	free(line);
	batch_free(&b);
}

static void
test_sessions_and_gaps(void **state)
{
	struct batch b = { 0 };

	(void)state;
	batch_begin(&b, 1, &nowhere, 9);
	batch_session(&b, 5, 7, "c", "eor", "ipv4 unicast", NULL);
	batch_session(&b, 6, 0, "c", "start", NULL, "{\"a\":1}");
	batch_gap(&b, "c", MESSAGE_NO_NUMBER, 7, 3, MESSAGE_NO_NUMBER, "why", 0);
	batch_gap(&b, "c", 1, 2, 3, 4, "why not", 7);
	check_table("sessions", &b, BATCH_SESSIONS, "5|10|7|c|eor|ipv4 unicast|~\n6|11|~|c|start|~|{\"a\":1}\n");
	check_table("gaps", &b, BATCH_GAPS, "c|~|7|3|~|why|~\nc|1|2|3|4|why not|7\n");
	check_table("no routes", &b, BATCH_ROUTES, "");
	assert_int_equal(batch_rows(&b), 4);
	assert_true(batch_bytes(&b) > 4 * 19);
	batch_free(&b);
}

/* a peer is in a batch once, with what it is when the batch is sealed */
static void
test_peers(void **state)
{
	struct peer peers[100];
	struct batch b = { 0 };
	size_t i;

	(void)state;
	memset(peers, 0, sizeof(peers));
	batch_begin(&b, 5, &nowhere, 0);
	for (i = 0; i < 3 * COUNT(peers); i++)
		batch_peer(&b, &peers[i % COUNT(peers)]);
	assert_int_equal(b.peers_count, COUNT(peers));
	for (i = 0; i < COUNT(peers); i++) {
		peers[i].id = (int32_t)i + 1;
		peers[i].counter = (int64_t)i * 10;
		peers[i].state = PEER_STATE_UP;
	}
	batch_seal(&b);
	for (i = 0; i < COUNT(peers); i++) {
		assert_ptr_equal(b.peers[i].peer, &peers[i]);
		assert_int_equal(b.peers[i].id, i + 1);
		assert_int_equal(b.peers[i].counter, i * 10);
		assert_int_equal(b.peers[i].state, PEER_STATE_UP);
	}
	batch_begin(&b, 6, &nowhere, 0);
	assert_int_equal(b.peers_count, 0);
	batch_peer(&b, &peers[3]);
	assert_int_equal(b.peers_count, 1);
	assert_int_equal(peers[3].state, PEER_STATE_SAME);
	batch_free(&b);
}

/* the times of a peer's rows: from the earliest to the latest, in whatever order they come */
static void
test_peer_rows(void **state)
{
	static const struct {
		const char	*name;
		int64_t		 times[4];
		size_t		 count;
		int64_t		 from;
		int64_t		 to;
	} cases[] = {
		{ "none", { 0 }, 0, MESSAGE_NO_NUMBER, MESSAGE_NO_NUMBER },
		{ "one", { 7 }, 1, 7, 7 },
		{ "1970", { 0 }, 1, 0, 0 },
		{ "in order", { 7, 8, 8, 9 }, 4, 7, 9 },
		{ "backwards", { 9, 8, 7, 0 }, 4, 0, 9 },
		{ "to and fro", { 8, 7, 9, 8 }, 4, 7, 9 },
	};
	struct peer p, other;
	struct batch b = { 0 };
	size_t i, j;

	(void)state;
	memset(&p, 0, sizeof(p));
	memset(&other, 0, sizeof(other));
	for (i = 0; i < COUNT(cases); i++) {
		/* as the batches before left it; a number of its own makes each forget */
		batch_begin(&b, i + 1, &nowhere, 0);
		batch_peer(&b, &p);
		for (j = 0; j < cases[i].count; j++) {
			batch_peer_row(&b, &p, cases[i].times[j]);
			batch_peer_row(&b, &other, 100);
		}
		batch_peer(&b, &p);
		batch_seal(&b);
		assert_int_equal(b.peers_count, cases[i].count == 0 ? 1 : 2);
		if (b.peers[0].rows_from_us != cases[i].from || b.peers[0].rows_to_us != cases[i].to)
			fail_msg("%s: got %" PRId64 " to %" PRId64 ", wanted %" PRId64 " to %" PRId64, cases[i].name,
			    b.peers[0].rows_from_us, b.peers[0].rows_to_us, cases[i].from, cases[i].to);
		if (cases[i].count > 0)
			assert_int_equal(b.peers[1].rows_from_us, 100);
	}
	batch_free(&b);
}

/* random routes of all shapes: what goes in comes out */
static void
test_random(void **state)
{
	struct batch b = { 0 };
	struct text wanted = { 0 };
	char *got;
	int i;

	(void)state;
	srand(1);
	batch_begin(&b, 1, &nowhere, 0);
	for (i = 0; i < 3000; i++) {
		struct attributes a = NO_ATTRIBUTES;
		struct community communities[300];
		uint32_t path[300];
		char text[INET_TEXT_SIZE];
		struct route r;
		size_t n;

		snprintf(text, sizeof(text), rand() % 2 ? "%d.%d.%d.%d/%d" : "%x:%x:%x::%x/%d", rand() % 256, rand() % 256,
		    rand() % 256, rand() % 256, rand() % 33);
		r = route(text, rand() % 2 ? "192.0.2.9" : "2001:db8::1", &a);
		a.path = path;
		a.path_length = (size_t)(rand() % (rand() % 10 == 0 ? 300 : 6));
		a.communities = communities;
		a.communities_count = (size_t)(rand() % (rand() % 10 == 0 ? 300 : 3));
		a.med = rand() % 3 == 0 ? MESSAGE_NO_NUMBER : (int64_t)(uint32_t)rand();
		text_addf(&wanted, "1|5|%d|~|~|A|%s|~|~|~|~|~|", i + 1, inet_prefix_text(text, &r.prefix));
		text_addf(&wanted, "%s/%d|~|", inet_address_text(text, &r.next_hop), r.next_hop.bits);
		if (a.med == MESSAGE_NO_NUMBER)
			text_addf(&wanted, "~|~|~|false|{");
		else
			text_addf(&wanted, "%" PRId64 "|~|~|false|{", a.med);
		for (n = 0; n < a.path_length; n++) {
			path[n] = (uint32_t)rand() * 2 + 1;
			text_addf(&wanted, "%s%" PRIu32, n > 0 ? "," : "", path[n]);
		}
		text_addf(&wanted, "}|~|%s", a.communities_count == 0 ? "~" : "{");
		for (n = 0; n < a.communities_count; n++) {
			communities[n] = (struct community){ (uint32_t)rand() % 65536, (uint32_t)rand() % 65536 };
			text_addf(&wanted, "%s%" PRIu32 ":%" PRIu32, n > 0 ? "," : "", communities[n].asn, communities[n].value);
		}
		text_addf(&wanted, "%s|~|~|~|~\n", a.communities_count == 0 ? "" : "}");
		batch_next_message(&b);
		batch_route(&b, 5, 1, false, &r);
	}
	got = copy_text(&b, BATCH_ROUTES);
	assert_true(strcmp(got, wanted.data) == 0);
	free(got);
	text_free(&wanted);
	batch_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_statements), cmocka_unit_test(test_routes), cmocka_unit_test(test_next_message),
		cmocka_unit_test(test_repeated),
		cmocka_unit_test(test_novelty_full),
		cmocka_unit_test(test_errors), cmocka_unit_test(test_sessions_and_gaps), cmocka_unit_test(test_peers),
		cmocka_unit_test(test_peer_rows), cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
