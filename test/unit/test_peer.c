#include "peer.h"
#include "unit.h"

static struct peer_key
key(const char *address, const char *local, int64_t asn)
{
	struct peer_key k;

	memset(&k, 0, sizeof(k));
	assert_true(inet_parse_address(&k.address, address));
	if (local != NULL)
		assert_true(inet_parse_address(&k.local_address, local));
	k.asn = asn;
	k.local_asn = 64500;
	return k;
}

/* one line of ExaBGP after another: pid, counter, and how many are missing before it */
static void
test_missed_lines(void **state)
{
	static const struct {
		int64_t	pid, counter, missed;
	} lines[] = {
		{ 42, 7, 0 },		/* the first that we see: what was before it is not known */
		{ 42, 8, 0 },
		{ 42, 11, 2 },
		{ 42, 12, 0 },
		{ 42, MESSAGE_NO_NUMBER, 0 },	/* a line without number changes nothing */
		{ 42, 13, 0 },
		{ 42, 13, 0 },		/* again: a replayed file */
		{ 42, 1, 0 },		/* ExaBGP counts anew */
		{ 42, 2, 0 },
		{ 43, 1, 0 },		/* another ExaBGP */
		{ 43, 3, 1 },
		{ 44, 100, 0 },		/* another one, whose beginning is not known */
		{ 44, INT64_MAX, 0 }, /* no count of ExaBGP: not believed */
		{ 44, 0, 0 },
		{ MESSAGE_NO_NUMBER, 5, 0 },
		{ MESSAGE_NO_NUMBER, 7, 1 },
	};
	struct peers *peers = peers_new();
	struct peer_key k = key("192.0.2.1", NULL, 64501);
	struct peer *p;
	size_t i;

	(void)state;
	assert_non_null(peers);
	p = peers_get(peers, &k);
	assert_non_null(p);
	for (i = 0; i < COUNT(lines); i++) {
		int64_t missed = peer_missed_lines(p, lines[i].pid, lines[i].counter);

		if (missed != lines[i].missed)
			fail_msg("line %zu: %lld missed, not %lld", i, (long long)missed, (long long)lines[i].missed);
		peer_note_line(p, lines[i].pid, lines[i].counter);
	}
	peers_free(peers);
}

/* told apart by address, ASN and local address, not by the local ASN */
static void
test_identity(void **state)
{
	struct peers *peers = peers_new();
	struct peer_key keys[] = { key("192.0.2.1", "192.0.2.2", 64501), key("192.0.2.1", "192.0.2.3", 64501),
		key("192.0.2.1", NULL, 64501), key("192.0.2.1", "192.0.2.2", 64502), key("192.0.2.9", "192.0.2.2", 64501),
		key("192.0.2.1", "192.0.2.2", MESSAGE_NO_NUMBER), key("2001:db8::1", "2001:db8::2", 64501),
		key("::ffff:192.0.2.1", "192.0.2.2", 64501) };
	struct peer *seen[COUNT(keys)];
	size_t i, j;

	(void)state;
	assert_non_null(peers);
	for (i = 0; i < COUNT(keys); i++) {
		assert_null(peers_find(peers, &keys[i]));
		assert_non_null(seen[i] = peers_get(peers, &keys[i]));
		assert_int_equal(seen[i]->id, 0);
		assert_int_equal(seen[i]->counter, MESSAGE_NO_NUMBER);
		for (j = 0; j < i; j++)
			assert_ptr_not_equal(seen[i], seen[j]);
	}
	for (i = 0; i < COUNT(keys); i++) {
		keys[i].local_asn = 64999;
		assert_ptr_equal(peers_get(peers, &keys[i]), seen[i]);
		assert_ptr_equal(peers_find(peers, &keys[i]), seen[i]);
	}
	peers_clear(peers);
	assert_null(peers_find(peers, &keys[0]));
	assert_non_null(peers_get(peers, &keys[0]));
	peers_free(peers);
	peers_free(NULL);
}

static void
count_one(void *arg, struct peer *p)
{
	assert_non_null(p);
	++*(size_t *)arg;
}

/* many peers keep what is theirs while the table grows, and there is an end to it */
static void
test_many(void **state)
{
	struct peers *peers = peers_new();
	struct peer_key k = key("10.0.0.0", NULL, 64501);
	struct peer *p;
	size_t i, n = 0;

	(void)state;
	assert_non_null(peers);
	for (i = 0; i < PEERS_MAX; i++) {
		memcpy(&k.address.address, &(uint32_t){ (uint32_t)i * 2654435761U }, 4);
		assert_non_null(p = peers_get(peers, &k));
		assert_int_equal(p->counter, MESSAGE_NO_NUMBER);
		peer_note_line(p, 1, (int64_t)i);
	}
	peers_each(peers, count_one, &n);
	assert_int_equal(n, PEERS_MAX);
	for (i = 0; i < PEERS_MAX; i++) {
		memcpy(&k.address.address, &(uint32_t){ (uint32_t)i * 2654435761U }, 4);
		assert_non_null(p = peers_find(peers, &k));
		assert_int_equal(p->counter, i);
		assert_ptr_equal(peers_get(peers, &k), p);
	}
	k.asn = 64502;
	assert_null(peers_get(peers, &k));
	peers_free(peers);
}

static void
test_days(void **state)
{
	struct peers *peers = peers_new();
	struct peer_key k = key("10.0.0.0", NULL, 64501);
	struct peer *p;
	int64_t day;

	(void)state;
	assert_non_null(peers);
	assert_non_null(p = peers_get(peers, &k));
	for (day = 0; day < 3 * PEER_READY_DAYS; day++) {
		assert_false(peer_day_ready(p, day));
		peer_day_set_ready(p, day);
		assert_true(peer_day_ready(p, day));
		/* the one before is still known: lines go to and fro around midnight */
		assert_true(day == 0 || peer_day_ready(p, day - 1));
	}
	assert_false(peer_day_ready(p, 0));
	peers_free(peers);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_missed_lines), cmocka_unit_test(test_identity), cmocka_unit_test(test_many),
		cmocka_unit_test(test_days),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
