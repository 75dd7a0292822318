#include <inttypes.h>

#include "decode.h"
#include "unit.h"

/* the line under test is made from these, ' for " */
#define HEAD	"{ 'exabgp': '4.0.1', 'time': 1700000000.25, 'host' : 'h', 'pid' : 42, 'ppid' : 1, 'counter': 7, 'type': "
#define PEER	"'neighbor': { 'address': { 'local': '192.0.2.2', 'peer': '192.0.2.1' }, 'asn': { 'local': 64500, 'peer': 64501 } "
#define UPDATE(text)		HEAD "'update', " PEER ", 'direction': 'receive', 'message': { 'update': { " text " } } } }"
#define ANNOUNCE		"'announce': { 'ipv4 unicast': { '192.0.2.9': [ { 'nlri': '10.0.0.0/8' } ] } }"
#define ATTRIBUTE(text)		UPDATE("'attribute': { " text " }, " ANNOUNCE)
#define ROUTES(text)		UPDATE("'attribute': { 'origin': 'igp', 'as-path': [ 1 ], 'confederation-path': [] }, " text)
#define OLD(text)		"{ 'exabgp': '3.4.8', 'time': 1700000000, 'host' : 'h', 'pid' : '42', 'ppid' : '1', 'counter': 7, " \
				"'type': 'update', 'neighbor': { 'ip': '192.0.2.1', 'address': { 'local': '192.0.2.2', " \
				"'peer': '192.0.2.1'}, 'asn': { 'local': '64500', 'peer': '64501'}, 'message': { 'update': { " text " } }} }"
#define SESSION(type, text)	HEAD "'" type "', " PEER ", " text " } }"

static struct decoder *decoder;

static void
add_number(struct text *t, const char *name, int64_t n)
{
	if (n != MESSAGE_NO_NUMBER)
		text_addf(t, " %s=%" PRId64, name, n);
}

static void
add_attributes(struct text *t, const struct attributes *a)
{
	size_t i;

	text_addf(t, " path=");
	for (i = 0; i < a->path_length; i++)
		text_addf(t, "%s%" PRIu32, i > 0 ? "," : "", a->path[i]);
	if (a->as_path != NULL)
		text_addf(t, " as_path=\"%s\"", a->as_path);
	add_number(t, "from", a->origin_asn);
	if (a->origin != 0)
		text_addf(t, " origin=%c", a->origin);
	add_number(t, "med", a->med);
	add_number(t, "local_pref", a->local_pref);
	for (i = 0; i < a->communities_count; i++)
		text_addf(t, "%s%" PRIu32 ":%" PRIu32, i > 0 ? "," : " communities=", a->communities[i].asn,
		    a->communities[i].value);
	for (i = 0; i < a->large_count; i++)
		text_addf(t, "%s%" PRIu32 ":%" PRIu32 ":%" PRIu32, i > 0 ? "," : " large=", a->large[i].global,
		    a->large[i].local[0], a->large[i].local[1]);
	for (i = 0; i < a->ext_count; i++)
		text_addf(t, "%s%s", i > 0 ? "," : " ext=", a->ext[i]);
	if (a->aggregator != NULL)
		text_addf(t, " aggregator=%s", a->aggregator);
	if (a->atomic_aggregate)
		text_addf(t, " atomic");
	if (a->others != NULL)
		text_addf(t, " others=%s", a->others);
}

static void
add_route(struct text *t, const struct route *r)
{
	char text[INET_TEXT_SIZE];
	size_t i;

	text_addf(t, "%c", r->announce ? '+' : '-');
	if (r->family != NULL)
		text_addf(t, " (%s)", r->family);
	if (r->prefix.family != 0)
		text_addf(t, " %s", inet_prefix_text(text, &r->prefix));
	add_number(t, "id", r->path_id);
	if (r->rd != NULL)
		text_addf(t, " rd=%s", r->rd);
	for (i = 0; i < r->labels_count; i++)
		text_addf(t, "%s%" PRId32, i > 0 ? "," : " labels=", r->labels[i]);
	if (r->nlri != NULL)
		text_addf(t, " nlri=%s", r->nlri);
	if (r->next_hop.family != 0)
		text_addf(t, " via %s", inet_address_text(text, &r->next_hop));
	if (r->announce != (r->attributes != NULL))
		fail_msg("an announcement without attributes, or a withdrawal with");
}

/* "+ 10.0.0.0/8 via 192.0.2.9; - 10.1.0.0/16", "up", "! reason", "ignored" */
static char *
rendered(const struct message *m, bool attributes)
{
	struct text t = { 0 };
	size_t i;

	text_add(&t, "", 0);
	switch (m->kind) {
	case MESSAGE_IGNORED:
		text_addf(&t, "ignored");
		break;
	case MESSAGE_ROUTES:
		assert_true(m->routes_count > 0);
		for (i = 0; i < m->routes_count; i++) {
			text_addf(&t, "%s", i > 0 ? "; " : "");
			add_route(&t, &m->routes[i]);
			if (attributes && m->routes[i].attributes != NULL)
				add_attributes(&t, m->routes[i].attributes);
		}
		break;
	case MESSAGE_SESSION:
		text_addf(&t, "%s", m->event);
		if (m->family != NULL)
			text_addf(&t, " (%s)", m->family);
		if (m->detail != NULL)
			text_addf(&t, " %s", m->detail);
		break;
	case MESSAGE_ERROR:
		assert_non_null(m->reason);
		text_addf(&t, "! %s", m->reason);
		break;
	}
	return t.data;
}

static const struct message *
decoded(const char *line)
{
	static char copy[65536];
	char *exact;
	const struct message *m;
	size_t n;

	assert_true(strlen(line) < sizeof(copy));
	quoted(strcpy(copy, line));
	/* an array exactly as long, without a zero after it: an overrun shows */
	n = strlen(copy);
	exact = malloc(n > 0 ? n : 1);
	assert_non_null(exact);
	memcpy(exact, copy, n);
	m = decoder_line(decoder, exact, n);
	free(exact);	/* the message must not point into it */
	return m;
}

struct test_case {
	const char	*line;
	const char	*wanted;	/* ' for " as well; of an error: beginning or part of the reason */
};

static void
check_cases(const struct test_case *cases, size_t count, bool attributes)
{
	char wanted[4096];
	size_t i;

	for (i = 0; i < count; i++) {
		const struct message *m = decoded(cases[i].line);
		char *got = rendered(m, attributes);

		quoted(strcpy(wanted, cases[i].wanted));
		if (wanted[0] == '!' ? got[0] != '!' || strstr(got, wanted + 2) == NULL : strcmp(got, wanted) != 0)
			fail_msg("%s\n     got: %s\n  wanted: %s", cases[i].line, got, wanted);
		free(got);
	}
}

/* --- envelope ------------------------------------------------------------------- */

static void
test_envelope(void **state)
{
	const struct message *m;
	char text[INET_TEXT_SIZE];

	(void)state;
	m = decoded(ROUTES(ANNOUNCE));
	assert_int_equal(m->kind, MESSAGE_ROUTES);
	assert_int_equal(m->time_us, INT64_C(1700000000250000));
	assert_int_equal(m->pid, 42);
	assert_int_equal(m->counter, 7);
	assert_true(m->has_peer);
	check_text("peer", inet_address_text(text, &m->peer.address), "192.0.2.1");
	check_text("local", inet_address_text(text, &m->peer.local_address), "192.0.2.2");
	assert_int_equal(m->peer.asn, 64501);
	assert_int_equal(m->peer.local_asn, 64500);

	/* 3.4: numbers are strings, whole seconds */
	m = decoded(OLD("'withdraw': { 'ipv4 unicast': { '10.0.0.0/8': {  } } }"));
	assert_int_equal(m->kind, MESSAGE_ROUTES);
	assert_int_equal(m->time_us, INT64_C(1700000000000000));
	assert_int_equal(m->pid, 42);
	assert_int_equal(m->counter, 7);
	assert_int_equal(m->peer.asn, 64501);
	check_text("peer of 3.4", inet_address_text(text, &m->peer.address), "192.0.2.1");

	/* ExaBGP ends: no neighbor, no counter */
	m = decoded("{ 'exabgp': '4.0.1', 'time': 1700000000.5, 'host' : 'h', 'pid' : 42, 'ppid' : 1, "
	    "'type': 'notification', 'notification': 'shutdown' }");
	assert_int_equal(m->kind, MESSAGE_SESSION);
	assert_false(m->has_peer);
	assert_int_equal(m->counter, MESSAGE_NO_NUMBER);
	check_text("shutdown", m->event, "notification");
}

/* microseconds, as near as they can be */
static void
test_time(void **state)
{
	static const struct {
		const char	*time;
		int64_t		 us;	/* -1: quarantined */
	} cases[] = {
		{ "0", 0 }, { "1", 1000000 }, { "0.000001", 1 }, { "1e3", 1000000000 }, { "1795376348.9359868", INT64_C(1795376348935987) },
		{ "1795376355.8587794", INT64_C(1795376355858779) }, { "1795376367.5", INT64_C(1795376367500000) },
		{ "4102444799.999999", INT64_C(4102444799999999) }, { "-1", -1 }, { "-0.5", -1 }, { "4102444800", -1 },
		{ "1e18", -1 }, { "1e308", -1 }, { "1e309", -1 }, { "9223372036854775807", -1 }, { "99999999999999999999", -1 },
		{ "'1700000000'", -1 }, { "null", -1 }, { "[]", -1 }, { "NaN", -1 }, { "true", -1 },
	};
	char line[1024];
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++) {
		const struct message *m;

		snprintf(line, sizeof(line), "{ 'exabgp': '4.0.1', 'time': %s, 'pid' : 42, 'counter': 7, 'type': 'update', " PEER
		    ", 'message': { 'update': { 'withdraw': { 'ipv4 unicast': [ { 'nlri': '10.0.0.0/8' } ] } } } } }", cases[i].time);
		m = decoded(line);
		if (m->kind != (cases[i].us == -1 ? MESSAGE_ERROR : MESSAGE_ROUTES) || m->time_us != cases[i].us)
			fail_msg("time %s: kind %d, %" PRId64, cases[i].time, (int)m->kind, m->time_us);
	}
}

/* --- attributes ------------------------------------------------------------------- */

#define PLAIN	"+ 10.0.0.0/8 via 192.0.2.9 "

static const struct test_case attribute_cases[] = {
	{ ATTRIBUTE("'origin': 'igp'"), PLAIN "path= origin=i" },
	{ ATTRIBUTE("'origin': 'egp'"), PLAIN "path= origin=e" },
	{ ATTRIBUTE("'origin': 'incomplete'"), PLAIN "path= origin=?" },
	{ ATTRIBUTE(""), PLAIN "path=" },
	{ UPDATE(ANNOUNCE), PLAIN "path=" },
	{ ATTRIBUTE("'med': 0"), PLAIN "path= med=0" },
	{ ATTRIBUTE("'med': 4294967295, 'local-preference': 0"), PLAIN "path= med=4294967295 local_pref=0" },
	{ ATTRIBUTE("'local-preference': 4294967295"), PLAIN "path= local_pref=4294967295" },
	{ ATTRIBUTE("'atomic-aggregate': true, 'aggregator': '4294967295:10.1.1.1'"),
	  PLAIN "path= aggregator=4294967295:10.1.1.1 atomic" },
	{ ATTRIBUTE("'atomic-aggregate': false"), PLAIN "path=" },
	{ ATTRIBUTE("'aggregator': '23456:10.1.1.1', 'aggregator': '3:10.1.1.1'"), PLAIN "path= aggregator=23456:10.1.1.1" },
	/* AS path of 3.4 and 4.x: sets come last */
	{ ATTRIBUTE("'as-path': [ 3, 2, 2, 1 ], 'confederation-path': []"), PLAIN "path=3,2,2,1 from=1" },
	{ ATTRIBUTE("'as-path': [ 0, 4294967295 ]"), PLAIN "path=0,4294967295 from=4294967295" },
	{ ATTRIBUTE("'as-path': [ 5, 4 ], 'as-set': [ 9, 7, 8 ], 'confederation-path': []"),
	  PLAIN "path=5,4,7,8,9 as_path='5 4 {7,8,9}'" },
	{ ATTRIBUTE("'as-path': [ 5, 4 ], 'as-set': []"), PLAIN "path=5,4 from=4" },
	{ ATTRIBUTE("'as-path': [], 'as-set': [ 2, 1 ]"), PLAIN "path=1,2 as_path='{1,2}'" },
	{ ATTRIBUTE("'as-set': [ 1 ]"), PLAIN "path=1 as_path='{1}'" },
	{ ATTRIBUTE("'as-path': [ 1, 2 ], 'confederation-path': [ 65100, 65101 ]"),
	  PLAIN "path=1,2 as_path='(65100 65101) 1 2' from=2" },
	{ ATTRIBUTE("'as-path': [ 1 ], 'as-set': [ 8, 7 ], 'confederation-path': [ 65100 ], 'confederation-set': [ 65103, 65102 ]"),
	  PLAIN "path=1,7,8 as_path='(65100) [65102,65103] 1 {7,8}'" },
	{ ATTRIBUTE("'as-path': [], 'confederation-path': [ 65100 ]"), PLAIN "path= as_path='(65100)'" },
	/* of 5.x and main */
	{ ATTRIBUTE("'as-path': {'0': {'element': 'as-sequence', 'value': [3, 2, 1]}}"), PLAIN "path=3,2,1 from=1" },
	{ ATTRIBUTE("'as-path': {}"), PLAIN "path=" },
	{ ATTRIBUTE("'as-path': {'0': {'element': 'as-sequence', 'value': []}}"), PLAIN "path=" },
	{ ATTRIBUTE("'as-path': {'0': {'element': 'as-sequence', 'value': [1]}, '1': {'element': 'as-set', 'value': [3, 2]}, "
	    "'2': {'element': 'as-sequence', 'value': [4, 5]}, '3': {'element': 'as-set', 'value': [6]}}"),
	  PLAIN "path=1,2,3,4,5,6 as_path='1 {2,3} 4 5 {6}'" },
	{ ATTRIBUTE("'as-path': {'0': {'element': 'as-set', 'value': [3, 2]}, '1': {'element': 'as-sequence', 'value': [1]}}"),
	  PLAIN "path=2,3,1 as_path='{2,3} 1' from=1" },
	{ ATTRIBUTE("'as-path': {'0': {'element': 'as-confed-sequence', 'value': [65101, 65100]}, "
	    "'1': {'element': 'as-confed-set', 'value': [65103, 65102]}, '2': {'element': 'as-sequence', 'value': [1, 2]}}"),
	  PLAIN "path=1,2 as_path='(65101 65100) [65102,65103] 1 2' from=2" },
	/* keys are the order, as numbers */
	{ ATTRIBUTE("'as-path': {'10': {'element': 'as-sequence', 'value': [4]}, '9': {'element': 'as-set', 'value': [3]}, "
	    "'0': {'element': 'as-sequence', 'value': [1]}}"), PLAIN "path=1,3,4 as_path='1 {3} 4' from=4" },
	/* two sequences: more than 255 ASNs (RFC 4271 section 5.1.2) */
	{ ATTRIBUTE("'as-path': {'0': {'element': 'as-sequence', 'value': [1, 2]}, '1': {'element': 'as-sequence', 'value': [3]}}"),
	  PLAIN "path=1,2,3 from=3" },
	/* an origin in a set after all, RFC 6811: none */
	{ ATTRIBUTE("'as-path': {'0': {'element': 'as-sequence', 'value': [1]}, '1': {'element': 'as-set', 'value': []}}"),
	  PLAIN "path=1 from=1" },
	{ ATTRIBUTE("'as-path': {'0': {'element': 'as-sequence', 'value': [1]}, '1': {'element': 'as-confed-sequence', 'value': [2]}}"),
	  PLAIN "path=1 as_path='1 (2)'" },
	/* communities: sorted as numbers, once */
	{ ATTRIBUTE("'community': [ [ 65000, 9 ], [ 65000, 10 ], [ 9, 1 ], [ 65000, 9 ], [ 65535, 65281 ], [ 0, 0 ] ]"),
	  PLAIN "path= communities=0:0,9:1,65000:9,65000:10,65535:65281" },
	{ ATTRIBUTE("'community': []"), PLAIN "path=" },
	{ ATTRIBUTE("'community': [ [ 1, 2 ], [ 1, 2 ] ]"), PLAIN "path= communities=1:2" },
	{ ATTRIBUTE("'large-community': [ [ 206479, 100 , 0 ], [ 4294967295, 4294967295, 4294967295 ], [ 9, 2, 1 ], [ 9, 10, 1 ], [ 9, 2, 1 ] ]"),
	  PLAIN "path= large=9:2:1,9:10:1,206479:100:0,4294967295:4294967295:4294967295" },
	{ ATTRIBUTE("'attribute-0x20-0xE0': '0x0000fde900000001000000020000fde90000000100000001'"),
	  PLAIN "path= large=65001:1:1,65001:1:2" },
	{ ATTRIBUTE("'attribute-0x20-0xE0': '0x0000fde9'"), PLAIN "path= others={'attribute-0x20-0xE0':'0x0000fde9'}" },
	{ ATTRIBUTE("'extended-community': [ { 'value': 842127122628708, 'string': 'target:65001:100' }, "
	    "{ 'value': 2, 'string': '' }, { 'value': 842127122628708, 'string': 'target:65001:100' } ]"),
	  PLAIN "path= ext=0x0000000000000002,target:65001:100" },
	{ ATTRIBUTE("'extended-community': [ { 'value': 18446744073709551615, 'string': '' }, { 'value': 9223372036854775808 } ]"),
	  PLAIN "path= ext=0x8000000000000000,0xffffffffffffffff" },
	{ ATTRIBUTE("'extended-community': [ 842127122628708, 9225060887947387904, 18446744073709551615 ]"),
	  PLAIN "path= ext=0x0002fde900000064,0x8006000049742400,0xffffffffffffffff" },
	/* the rest is kept */
	{ ATTRIBUTE("'originator-id': '10.9.9.9', 'cluster-list': [ '10.8.8.8', '10.7.7.7' ]"),
	  PLAIN "path= others={'cluster-list':['10.8.8.8','10.7.7.7'],'originator-id':'10.9.9.9'}" },
	{ ATTRIBUTE("'attribute-0x23-0xE0': '0x0000fde9'"), PLAIN "path= others={'otc':65001}" },
	{ ATTRIBUTE("'attribute-0x23-0xE0': '0xffffffff'"), PLAIN "path= others={'otc':4294967295}" },
	{ ATTRIBUTE("'attribute-0x23-0xE0': '0x00fde9'"), PLAIN "path= others={'attribute-0x23-0xE0':'0x00fde9'}" },
	{ ATTRIBUTE("'attribute-0x63-0xE0': '0xdeadbeef', 'aigp': 100, 'x': null"),
	  PLAIN "path= others={'aigp':100,'attribute-0x63-0xE0':'0xdeadbeef','x':null}" },
	{ ATTRIBUTE("'extended-community-ipv6': [ { 'value': 47389442064591062288541496103088308189462628, 'string': '' } ]"),
	  PLAIN "path= others={'extended-community-ipv6':[{'string':'','value':'47389442064591062288541496103088308189462628'}]}" },
	/* main has the next hop twice */
	{ ATTRIBUTE("'next-hop': '192.0.2.9'"), PLAIN "path=" },
	{ ATTRIBUTE("'next-hop': '192.0.2.8'"), PLAIN "path= others={'next-hop':'192.0.2.8'}" },
};

static void
test_attributes(void **state)
{
	(void)state;
	check_cases(attribute_cases, COUNT(attribute_cases), true);
}

/* --- NLRI ------------------------------------------------------------------------- */

static const struct test_case route_cases[] = {
	{ ROUTES("'announce': { 'ipv4 unicast': { '192.0.2.9': [ { 'nlri': '10.1.2.3/8' }, { 'nlri': '10.1.0.0/16' } ] } }"),
	  "+ 10.0.0.0/8 via 192.0.2.9; + 10.1.0.0/16 via 192.0.2.9" },
	{ ROUTES("'announce': { 'ipv4 unicast': { '192.0.2.9': [ '10.0.0.0/8' ] } }"), "+ 10.0.0.0/8 via 192.0.2.9" },
	{ UPDATE("'withdraw': { 'ipv4 unicast': [ { 'nlri': '0.0.0.0/0' }, '10.0.0.0/8' ] }"), "- 0.0.0.0/0; - 10.0.0.0/8" },
	{ ROUTES("'announce': { 'ipv4 unicast': { '192.0.2.9': [ { 'nlri': '10.0.0.0/8' } ], '192.0.2.8': [ { 'nlri': '10.1.0.0/16' } ] }, "
	    "'ipv6 unicast': { '2001:db8::1': [ { 'nlri': '2001:db8::/32' } ] } }"),
	  "+ 10.0.0.0/8 via 192.0.2.9; + 10.1.0.0/16 via 192.0.2.8; + 2001:db8::/32 via 2001:db8::1" },
	/* withdrawals first; the same prefix in both is announced (RFC 4271 section 4.3) */
	{ ROUTES(ANNOUNCE ", 'withdraw': { 'ipv4 unicast': [ { 'nlri': '10.1.0.0/16' } ] }"),
	  "- 10.1.0.0/16; + 10.0.0.0/8 via 192.0.2.9" },
	{ ROUTES(ANNOUNCE ", 'withdraw': { 'ipv4 unicast': [ { 'nlri': '10.0.0.0/8' } ] }"), "+ 10.0.0.0/8 via 192.0.2.9" },
	{ ROUTES(ANNOUNCE ", 'withdraw': { 'ipv4 multicast': [ { 'nlri': '10.0.0.0/8' } ] }"),
	  "- (ipv4 multicast) 10.0.0.0/8; + 10.0.0.0/8 via 192.0.2.9" },
	{ ROUTES(ANNOUNCE ", 'withdraw': { 'ipv4 unicast': [ { 'nlri': '10.0.0.0/8', 'path-information': '0.0.0.1' } ] }"),
	  "- 10.0.0.0/8 id=1; + 10.0.0.0/8 via 192.0.2.9" },
	/* ADD-PATH, RFC 7911 */
	{ ROUTES("'announce': { 'ipv4 unicast': { '192.0.2.9': [ { 'nlri': '10.0.0.0/8', 'path-information': '0.0.0.2' }, "
	    "{ 'nlri': '10.0.0.0/8', 'path-information': '255.255.255.255' } ] } }"),
	  "+ 10.0.0.0/8 id=2 via 192.0.2.9; + 10.0.0.0/8 id=4294967295 via 192.0.2.9" },
	{ UPDATE("'withdraw': { 'ipv4 unicast': [ { 'nlri': '10.0.0.0/8', 'path-information': '0.0.0.0' } ] }"), "- 10.0.0.0/8 id=0" },
	/* RFC 2545: one route with two next hops */
	{ ROUTES("'announce': { 'ipv6 unicast': { '2001:db8::1': [ { 'nlri': '2001:db8::/32' } ], 'fe80::1': [ { 'nlri': '2001:db8::/32' } ] } }"),
	  "+ 2001:db8::/32 via 2001:db8::1" },
	{ ROUTES("'announce': { 'ipv6 unicast': { 'fe80::1': [ { 'nlri': '2001:db8::/32' } ], '2001:db8::1': [ { 'nlri': '2001:db8::/32' } ] } }"),
	  "+ 2001:db8::/32 via 2001:db8::1" },
	{ ROUTES("'announce': { 'ipv6 unicast': { 'fe80::1': [ { 'nlri': '2001:db8::/32' } ] } }"), "+ 2001:db8::/32 via fe80::1" },
	/* labels and distinguishers */
	{ ROUTES("'announce': { 'ipv4 nlri-mpls': { '192.0.2.9': [ { 'nlri': '10.0.0.0/8', 'label': [ [100], [1048575] ] } ] } }"),
	  "+ (ipv4 nlri-mpls) 10.0.0.0/8 labels=100,1048575 via 192.0.2.9" },
	{ ROUTES("'announce': { 'ipv4 labeled-unicast': { '192.0.2.9': [ { 'nlri': '10.0.0.0/8', 'label': [ [100, 1601] ] } ] } }"),
	  "+ (ipv4 labeled-unicast) 10.0.0.0/8 labels=100 via 192.0.2.9" },
	{ ROUTES("'announce': { 'ipv4 mpls-vpn': { '192.0.2.9': [ { 'nlri': '10.0.0.0/8', 'label': [ [16] ], 'rd': '65001:100' }, "
	    "{ 'nlri': '10.0.0.0/8', 'label': [ [16] ], 'rd': '192.0.2.1:10' } ] } }"),
	  "+ (ipv4 mpls-vpn) 10.0.0.0/8 rd=65001:100 labels=16 via 192.0.2.9; "
	  "+ (ipv4 mpls-vpn) 10.0.0.0/8 rd=192.0.2.1:10 labels=16 via 192.0.2.9" },
	{ UPDATE("'withdraw': { 'ipv6 mpls-vpn': [ { 'nlri': '2001:db8::/32', 'label': [ [524288, 8388608] ], 'rd': '0x0005010203040506' } ] }"),
	  "- (ipv6 mpls-vpn) 2001:db8::/32 rd=0x0005010203040506 labels=524288" },
	{ ROUTES("'announce': { 'ipv4 multicast': { '192.0.2.9': [ { 'nlri': '10.0.0.0/8' } ] } }"),
	  "+ (ipv4 multicast) 10.0.0.0/8 via 192.0.2.9" },
	/* 3.4: prefixes are keys, two distinguishers make a key twice */
	{ OLD("'announce': { 'ipv4 unicast': { '192.0.2.9': { '10.0.0.0/8': {  }, '10.1.0.0/16': {  } } } }"),
	  "+ 10.0.0.0/8 via 192.0.2.9; + 10.1.0.0/16 via 192.0.2.9" },
	{ OLD("'announce': { 'ipv4 mpls-vpn': { '192.0.2.9': { '10.0.0.0/8': { 'label': [ 16, 17 ], 'route-distinguisher': '65001:100' }, "
	    "'10.0.0.0/8': { 'label': [ 18 ], 'route-distinguisher': '65001:200' } } } }"),
	  "+ (ipv4 mpls-vpn) 10.0.0.0/8 rd=65001:100 labels=16,17 via 192.0.2.9; "
	  "+ (ipv4 mpls-vpn) 10.0.0.0/8 rd=65001:200 labels=18 via 192.0.2.9" },
	{ OLD("'withdraw': { 'ipv4 mpls-vpn': { '10.0.0.0/8': { 'route-distinguisher': '65001:100' }, "
	    "'10.0.0.0/8': { 'route-distinguisher': '65001:200' } } }"),
	  "- (ipv4 mpls-vpn) 10.0.0.0/8 rd=65001:100; - (ipv4 mpls-vpn) 10.0.0.0/8 rd=65001:200" },
	{ OLD("'announce': { 'ipv6 unicast': { 'fe80::1': { '2001:db8::/32': {  } }, '2001:db8::1': { '2001:db8::/32': {  } } } }"),
	  "+ 2001:db8::/32 via 2001:db8::1" },
	{ OLD("'announce': { 'ipv4 flow': { 'none': { 'flow-0': { 'destination': [ '192.0.2.0/24' ], 'string': 's' } } } }"),
	  "+ (ipv4 flow) nlri={'destination':['192.0.2.0/24'],'string':'s'}" },
	/* families whose NLRI are no prefixes are kept whole */
	{ ROUTES("'announce': { 'ipv4 flow': { 'no-nexthop': [ { 'destination-ipv4': [ '192.0.2.0/24' ], 'string': 's' } ] } }"),
	  "+ (ipv4 flow) nlri={'destination-ipv4':['192.0.2.0/24'],'string':'s'}" },
	{ ROUTES("'announce': { 'ipv4 flow-vpn': { 'no-nexthop': [ { 'rd': '65001:100', 'string': 's' } ] } }"),
	  "+ (ipv4 flow-vpn) rd=65001:100 nlri={'rd':'65001:100','string':'s'}" },
	{ ROUTES("'announce': { 'l2vpn evpn': { '192.0.2.9': [ { 'code': 1, 'parsed': true, 'raw': '01', 'rd': '192.0.2.1:10', "
	    "'label': [ [100, 1601] ] }, { 'code': 9, 'parsed': false, 'raw': '09' } ] } }"),
	  "+ (l2vpn evpn) rd=192.0.2.1:10 labels=100 nlri={'code':1,'label':[[100,1601]],'parsed':true,'raw':'01','rd':'192.0.2.1:10'} "
	  "via 192.0.2.9; + (l2vpn evpn) nlri={'code':9,'parsed':false,'raw':'09'} via 192.0.2.9" },
	{ ROUTES("'announce': { 'l2vpn vpls': { '192.0.2.9': [ { 'rd': '65001:100', 'endpoint': 5, 'base': 10500 } ] } }"),
	  "+ (l2vpn vpls) rd=65001:100 nlri={'base':10500,'endpoint':5,'rd':'65001:100'} via 192.0.2.9" },
	{ ROUTES("'announce': { 'bgp-ls bgp-ls': { '192.0.2.9': [ { 'ls-nlri-type': 'bgpls-link', 'descriptors': [ { 'a': 1 } ] } ] } }"),
	  "+ (bgp-ls bgp-ls) nlri={'descriptors':[{'a':1}],'ls-nlri-type':'bgpls-link'} via 192.0.2.9" },
	{ ROUTES("'announce': { 'ipv4 mup': { '192.0.2.9': [ { 'name': 'n', 'rd': '65001:100', 'raw': '01' } ] } }"),
	  "+ (ipv4 mup) rd=65001:100 nlri={'name':'n','raw':'01','rd':'65001:100'} via 192.0.2.9" },
	{ ROUTES("'announce': { 'ipv4 some-day': { 'null': [ { 'a': 1 } ] } }"), "+ (ipv4 some-day) nlri={'a':1}" },
	/* End-of-RIB, that of main is no JSON */
	{ HEAD "'update', " PEER ", 'direction': 'receive', 'message': { 'eor': { 'afi' : 'ipv4', 'safi' : 'unicast' } } } }",
	  "eor (ipv4 unicast)" },
	{ ROUTES("'announce': { 'ipv6 flow-vpn': { 'null': [ 'eor': { 'afi' : 'ipv6', 'safi' : 'flow-vpn' } ] } }"),
	  "eor (ipv6 flow-vpn)" },
	/* what ExaBGP itself sends gives no route */
	{ HEAD "'update', " PEER ", 'direction': 'send', 'message': { 'update': { " ANNOUNCE " } } } }", "ignored" },
	{ HEAD "'update', " PEER ", 'direction': 'send', 'message': { 'eor': { 'afi' : 'ipv4', 'safi' : 'unicast' } } } }", "ignored" },
	/* with the packet beside it (packets and consolidate), and what was negotiated */
	{ HEAD "'update', 'header': 'FFFF', 'body': '0000', " PEER ", 'direction': 'receive', 'message': { 'update': { "
	  "'withdraw': { 'ipv4 unicast': [ '10.0.0.0/8' ] } } }, 'negotiated': { 'asn4': true } } }", "- 10.0.0.0/8" },
};

static void
test_routes(void **state)
{
	(void)state;
	check_cases(route_cases, COUNT(route_cases), false);
}

/* the link-local next hop is an attribute of exactly the routes that have it */
static void
test_link_local(void **state)
{
	static const struct test_case cases[] = {
		{ UPDATE("'announce': { 'ipv6 unicast': { 'fe80::1': [ { 'nlri': '2001:db8:1::/48' }, { 'nlri': '2001:db8:3::/48' } ], "
		    "'2001:db8::1': [ { 'nlri': '2001:db8:1::/48' }, { 'nlri': '2001:db8:2::/48' } ] } }, 'attribute': { 'x': 1 }"),
		  "+ 2001:db8:3::/48 via fe80::1 path= others={'x':1}; "
		  "+ 2001:db8:1::/48 via 2001:db8::1 path= others={'link-local-next-hop':'fe80::1','x':1}; "
		  "+ 2001:db8:2::/48 via 2001:db8::1 path= others={'x':1}" },
		{ UPDATE("'announce': { 'ipv6 unicast': { '2001:db8::1': [ { 'nlri': '2001:db8:1::/48', 'path-information': '0.0.0.1' } ], "
		    "'fe80::1': [ { 'nlri': '2001:db8:1::/48', 'path-information': '0.0.0.2' } ] } }"),
		  "+ 2001:db8:1::/48 id=2 via fe80::1 path=; + 2001:db8:1::/48 id=1 via 2001:db8::1 path=" },
	};

	(void)state;
	check_cases(cases, COUNT(cases), true);
}

/* --- sessions --------------------------------------------------------------------- */

static const struct test_case session_cases[] = {
	{ SESSION("state", "'state': 'up'"), "up" },
	{ SESSION("state", "'state': 'connected'"), "connected" },
	{ SESSION("state", "'state': 'down', 'reason': 'peer reset, message () error()'"), "down {'reason':'peer reset, message () error()'}" },
	{ SESSION("state", "'state': 'down', 'reason': ''"), "down" },
	{ SESSION("state", "'state': 'down', 'reason': 'a\vb'"), "down {'reason':'a\\u000Bb'}" },
	{ SESSION("state", "'state': 'down', 'reason': 'a\\x'"), "down {'reason':'a\\\\x'}" },
	{ SESSION("open", "'direction': 'receive', 'open': { 'version': 4, 'router_id': '10.255.0.1' }"),
	  "open {'direction':'receive','open':{'router_id':'10.255.0.1','version':4}}" },
	{ SESSION("notification", "'direction': 'send', 'notification': { 'code': 3, 'subcode': 0, 'data': '0x00', 'message': 'a \\'b\\'' }"),
	  "notification {'direction':'send','notification':{'code':3,'data':'0x00','message':'a \\'b\\'','subcode':0}}" },
	{ SESSION("refresh", "'direction': 'receive', 'route-refresh': { 'afi': ''ipv4'', 'safi': ''unicast'', 'subtype': ''query'' }"),
	  "refresh (ipv4 unicast) {'direction':'receive','route-refresh':{'afi':'ipv4','safi':'unicast','subtype':'query'}}" },
	{ SESSION("refresh", "'direction': 'receive', 'route-refresh': { 'afi': 'ipv6', 'safi': 'nlri-mpls', 'subtype': 'end' }"),
	  "refresh (ipv6 nlri-mpls) {'direction':'receive','route-refresh':{'afi':'ipv6','safi':'nlri-mpls','subtype':'end'}}" },
	{ SESSION("fsm", "'state': 'OPENCONFIRM'"), "fsm {'state':'OPENCONFIRM'}" },
	{ SESSION("keepalive", "'direction': 'send' "), "keepalive {'direction':'send'}" },
	{ "{ 'exabgp': '5.0.0', 'time': 1700000000.5, 'pid' : 42, 'type': 'notification', 'notification': 'shutdown' }",
	  "notification {'notification':'shutdown'}" },
};

static void
test_sessions(void **state)
{
	const struct message *m;
	char text[INET_TEXT_SIZE];

	(void)state;
	check_cases(session_cases, COUNT(session_cases), false);
	assert_int_equal(decoded(SESSION("state", "'state': 'up'"))->state, PEER_STATE_UP);
	assert_int_equal(decoded(SESSION("state", "'state': 'down', 'reason': 'x'"))->state, PEER_STATE_DOWN);
	assert_int_equal(decoded(SESSION("state", "'state': 'connected'"))->state, PEER_STATE_SAME);
	assert_int_equal(decoded(SESSION("fsm", "'state': 'IDLE'"))->state, PEER_STATE_SAME);
	/* the peer's router id, not ours */
	m = decoded(SESSION("open", "'direction': 'receive', 'open': { 'router_id': '10.255.0.1' }"));
	check_text("router id", inet_address_text(text, &m->router_id), "10.255.0.1");
	m = decoded(SESSION("open", "'direction': 'send', 'open': { 'router_id': '10.255.0.2' }"));
	assert_int_equal(m->router_id.family, 0);
}

/* --- not for us -------------------------------------------------------------------- */

static const struct test_case ignored_cases[] = {
	{ "", "ignored" },
	{ " \r", "ignored" },
	{ "done", "ignored" },
	{ "error", "ignored" },
	{ "{ 'status': 'done' }", "ignored" },
	{ "{'pong': '1'}", "ignored" },
	{ "neighbor 127.0.0.1 ipv4 unicast 10.6.0.0/16 next-hop 127.0.0.1", "ignored" },
	{ "127.0.0.1 ipv4 unicast 10.6.0.0/16 next-hop 127.0.0.1", "ignored" },
};

static void
test_ignored(void **state)
{
	(void)state;
	check_cases(ignored_cases, COUNT(ignored_cases), false);
	assert_int_equal(decoded(ROUTES(ANNOUNCE) "\r")->kind, MESSAGE_ROUTES);
	assert_int_equal(decoded("  " ROUTES(ANNOUNCE) "  ")->kind, MESSAGE_ROUTES);
}

/* --- theirs is broken: each is quarantined with a reason that tells a person what --- */

static const struct test_case error_cases[] = {
	{ "neighbor 127.0.0.1 up", "! encoder json" },
	{ "what", "! not JSON" },
	{ "{", "! JSON" },
	{ "{}", "! exabgp" },
	{ "[]", "! JSON" },
	{ "{ 'exabgp': '4.0.1' ", "! JSON" },
	{ "{ 'exabgp': '4.0.1' } x", "! JSON" },
	{ "{ 'exabgp': '4.0.1' }", "! time" },
	{ HEAD "'sing', " PEER " } }", "! unknown message type 'sing'" },
	{ HEAD "default, " PEER " } }", "! JSON" },
	{ HEAD "7, " PEER " } }", "! type" },
	{ HEAD "'update', 'neighbor': 7 }", "! neighbor" },
	{ HEAD "'update' }", "! neighbor" },
	{ HEAD "'update', 'neighbor': { } }", "! address" },
	{ HEAD "'update', 'neighbor': { 'address': { 'peer': '192.0.2.256' } } }", "! 192.0.2.256" },
	{ HEAD "'update', 'neighbor': { 'address': { 'peer': 7 } } }", "! address" },
	{ HEAD "'update', 'neighbor': { 'address': { 'peer': '192.0.2.1' }, 'asn': { 'peer': -1 } } }", "! asn" },
	{ HEAD "'update', 'neighbor': { 'address': { 'peer': '192.0.2.1' }, 'asn': { 'peer': 4294967296 } } }", "! asn" },
	{ HEAD "'update', 'neighbor': { 'address': { 'peer': '192.0.2.1' }, 'asn': { 'peer': 1.5 } } }", "! asn" },
	{ HEAD "'update', " PEER " } }", "! message" },
	{ HEAD "'update', " PEER ", 'message': [] } }", "! message" },
	{ HEAD "'update', " PEER ", 'message': { 'update': 7 } } }", "! update" },
	{ HEAD "'update', " PEER ", 'message': { 'eor': { 'afi' : 'ipv4' } } } }", "! safi" },
	{ UPDATE(""), "! nothing" },
	{ UPDATE("'attribute': { 'origin': 'igp' }"), "! nothing" },
	{ UPDATE("'announce': []"), "! announce" },
	{ UPDATE("'announce': { 'ipv4 unicast': [ '10.0.0.0/8' ] }"), "! announce" },
	{ UPDATE("'announce': { 'unicast': { '192.0.2.9': [] } }"), "! address family" },
	{ UPDATE("'withdraw': 7"), "! withdraw" },
	{ UPDATE("'withdraw': { 'ipv4 unicast': 7 }"), "! ipv4 unicast" },
	{ UPDATE("'withdraw': { 'ipv4 unicast': [ 7 ] }"), "! ipv4 unicast" },
	{ UPDATE("'withdraw': { 'ipv4 unicast': [ { } ] }"), "! nlri" },
	{ UPDATE("'withdraw': { 'ipv4 unicast': [ { 'nlri': 7 } ] }"), "! nlri" },
	{ UPDATE("'withdraw': { 'ipv4 unicast': [ '10.0.0.0' ] }"), "! '10.0.0.0' is not a prefix" },
	{ UPDATE("'withdraw': { 'ipv4 unicast': [ '10.0.0.0/33' ] }"), "! '10.0.0.0/33' is not a prefix" },
	{ UPDATE("'withdraw': { 'ipv4 unicast': [ '2001:db8::/32' ] }"), "! not a prefix of ipv4 unicast" },
	{ UPDATE("'withdraw': { 'ipv6 unicast': [ '10.0.0.0/8' ] }"), "! not a prefix of ipv6 unicast" },
	{ UPDATE("'withdraw': { 'ipv4 unicast': [ { 'nlri': '10.0.0.0/8', 'path-information': 'x' } ] }"), "! path-information" },
	{ UPDATE("'withdraw': { 'ipv4 unicast': [ { 'nlri': '10.0.0.0/8', 'path-information': 4294967296 } ] }"), "! path-information" },
	{ UPDATE("'withdraw': { 'ipv4 mpls-vpn': [ { 'nlri': '10.0.0.0/8', 'rd': 7 } ] }"), "! rd" },
	{ UPDATE("'withdraw': { 'ipv4 mpls-vpn': [ { 'nlri': '10.0.0.0/8', 'label': [ -1 ] } ] }"), "! label" },
	{ UPDATE("'withdraw': { 'ipv4 mpls-vpn': [ { 'nlri': '10.0.0.0/8', 'label': [ 16777216 ] } ] }"), "! label" },
	{ UPDATE("'withdraw': { 'ipv4 mpls-vpn': [ { 'nlri': '10.0.0.0/8', 'label': [ [] ] } ] }"), "! label" },
	{ UPDATE("'announce': { 'ipv4 unicast': { '192.0.2.999': [ '10.0.0.0/8' ] } }"), "! next hop '192.0.2.999'" },
	/* one bad NLRI: the whole line is quarantined, nothing of it is stored */
	{ ROUTES("'announce': { 'ipv4 unicast': { '192.0.2.9': [ '10.0.0.0/8', '10.0.0.0/99' ] } }"), "! '10.0.0.0/99'" },
	{ ATTRIBUTE("'origin': 'IGP'"), "! origin" },
	{ ATTRIBUTE("'origin': 0"), "! origin" },
	{ ATTRIBUTE("'as-path': 7"), "! as-path" },
	{ ATTRIBUTE("'as-path': '1 2 3'"), "! as-path" },
	{ ATTRIBUTE("'as-path': [ -1 ]"), "! -1" },
	{ ATTRIBUTE("'as-path': [ 4294967296 ]"), "! 4294967296" },
	{ ATTRIBUTE("'as-path': [ 1.5 ]"), "! 1.5" },
	{ ATTRIBUTE("'as-path': [ '1' ]"), "! as-path" },
	{ ATTRIBUTE("'as-path': [ [ 1 ] ]"), "! as-path" },
	{ ATTRIBUTE("'as-path': [ 99999999999999999999999999 ]"), "! 99999999999999999999999999" },
	{ ATTRIBUTE("'as-path': { 'x': { 'element': 'as-sequence', 'value': [] } }"), "! as-path" },
	{ ATTRIBUTE("'as-path': { '0': { 'element': 'as-circle', 'value': [] } }"), "! as-circle" },
	{ ATTRIBUTE("'as-path': { '0': { 'element': 'as-set' } }"), "! as-path" },
	{ ATTRIBUTE("'as-path': { '0': [] }"), "! as-path" },
	{ ATTRIBUTE("'as-set': { }"), "! as-path" },
	{ ATTRIBUTE("'med': -1"), "! med is -1" },
	{ ATTRIBUTE("'med': 4294967296"), "! med is 4294967296" },
	{ ATTRIBUTE("'med': 1.0"), "! med is 1.0" },
	{ ATTRIBUTE("'med': '1'"), "! med" },
	{ ATTRIBUTE("'local-preference': null"), "! local-preference" },
	{ ATTRIBUTE("'atomic-aggregate': 1"), "! atomic-aggregate" },
	{ ATTRIBUTE("'aggregator': 7"), "! aggregator" },
	{ ATTRIBUTE("'aggregator': '1'"), "! aggregator" },
	{ ATTRIBUTE("'aggregator': '4294967296:10.0.0.1'"), "! aggregator" },
	{ ATTRIBUTE("'community': 7"), "! community" },
	{ ATTRIBUTE("'community': [ 7 ]"), "! community" },
	{ ATTRIBUTE("'community': [ [ 1 ] ]"), "! community" },
	{ ATTRIBUTE("'community': [ [ 1, 2, 3 ] ]"), "! community" },
	{ ATTRIBUTE("'community': [ [ 1, 65536 ] ]"), "! community" },
	{ ATTRIBUTE("'community': [ [ -1, 2 ] ]"), "! community" },
	{ ATTRIBUTE("'community': [ [ 1, 'x' ] ]"), "! community" },
	{ ATTRIBUTE("'large-community': [ [ 1, 2 ] ]"), "! large community" },
	{ ATTRIBUTE("'large-community': [ [ 1, 2, 4294967296 ] ]"), "! large community" },
	{ ATTRIBUTE("'extended-community': [ 'x' ]"), "! extended community" },
	{ ATTRIBUTE("'extended-community': [ { 'value': -1, 'string': '' } ]"), "! extended community" },
	{ ATTRIBUTE("'extended-community': [ 18446744073709551616 ]"), "! extended community" },
	{ UPDATE("'attribute': [], " ANNOUNCE), "! attribute" },
	{ ATTRIBUTE("'x': '\xff'"), "! JSON" },
	{ ATTRIBUTE("'x': '\\u0000'"), "! JSON" },
	{ ATTRIBUTE("'x': '\\ud800'"), "! JSON" },
	{ ATTRIBUTE("'med': 1, 'med': 2"), "! JSON" },
	{ SESSION("state", "'state': 'sideways'"), "! sideways" },
	{ SESSION("state", "'x': 1"), "! state" },
};

static void
test_errors(void **state)
{
	(void)state;
	check_cases(error_cases, COUNT(error_cases), false);
	assert_true(decoded("neighbor 127.0.0.1 up")->text_encoder);
	assert_false(decoded("what")->text_encoder);
}

/* a line that is no JSON still tells whose it is, so that its number is not missed */
static void
test_error_envelope(void **state)
{
	const struct message *m = decoded(HEAD "'update', " PEER ", 'direction': 'rec");
	char text[INET_TEXT_SIZE];

	(void)state;
	assert_int_equal(m->kind, MESSAGE_ERROR);
	assert_true(m->has_peer);
	assert_int_equal(m->pid, 42);
	assert_int_equal(m->counter, 7);
	assert_int_equal(m->peer.asn, 64501);
	assert_int_equal(m->peer.local_asn, 64500);
	check_text("peer", inet_address_text(text, &m->peer.address), "192.0.2.1");
	check_text("local", inet_address_text(text, &m->peer.local_address), "192.0.2.2");
	/* and so does one that is, but of wrong content */
	m = decoded(ATTRIBUTE("'med': -1"));
	assert_int_equal(m->kind, MESSAGE_ERROR);
	assert_true(m->has_peer);
	assert_int_equal(m->counter, 7);
	assert_int_equal(m->time_us, INT64_C(1700000000250000));
	/* nothing is made up */
	m = decoded("{ 'exabgp");
	assert_false(m->has_peer);
	assert_int_equal(m->counter, MESSAGE_NO_NUMBER);
}

/* one line leaves nothing behind for the next */
static void
test_independent(void **state)
{
	static const struct test_case cases[] = {
		{ ATTRIBUTE("'med': 1, 'community': [ [ 1, 2 ] ], 'x': 1"), PLAIN "path= med=1 communities=1:2 others={'x':1}" },
		{ "{ 'exabgp", "! JSON" },
		{ ATTRIBUTE(""), PLAIN "path=" },
		{ SESSION("state", "'state': 'down', 'reason': 'x'"), "down {'reason':'x'}" },
		{ SESSION("state", "'state': 'up'"), "up" },
		{ "neighbor 127.0.0.1 up", "! encoder json" },
		{ "done", "ignored" },
	};
	int i;

	(void)state;
	for (i = 0; i < 3; i++)
		check_cases(cases, COUNT(cases), true);
	assert_false(decoded("done")->has_peer);
	assert_int_equal(decoded("done")->counter, MESSAGE_NO_NUMBER);
}

/* --- size ---------------------------------------------------------------------------- */

static char *
repeated(const char *head, const char *piece, const char *tail, size_t length)
{
	size_t at = strlen(head), n = strlen(piece), last = strlen(tail);
	char *line = malloc(length + 1);

	assert_non_null(line);
	memcpy(line, head, at);
	for (; at + n + last <= length; at += n)
		memcpy(line + at, piece, n);
	memset(line + at, ' ', length - at);
	memcpy(line + length - last, tail, last);
	line[length] = '\0';
	return quoted(line);
}

/* the longest line there may be, of all kinds of content, and one byte more */
static void
test_longest_lines(void **state)
{
	static const struct {
		const char	*head, *piece, *tail;
		enum message_kind kind;
	} cases[] = {
		{ "{ 'exabgp': '4.0.1'", " ", "}", MESSAGE_ERROR },
		{ "{", "'a':", "}", MESSAGE_ERROR },
		{ "", "{'a':", "", MESSAGE_ERROR },
		{ "", "[", "", MESSAGE_ERROR },
		{ "{ 'exabgp': ", "[", "", MESSAGE_ERROR },
		{ "{ 'exabgp': '", "\\'", "", MESSAGE_ERROR },
		{ "{ 'exabgp': '", "\\", "", MESSAGE_ERROR },
		{ "{ 'exabgp': ", "9", "}", MESSAGE_ERROR },
		{ "{ 'exabgp': 0.", "9", "}", MESSAGE_ERROR },
		{ "{ 'exabgp': [ ", "'a", "", MESSAGE_ERROR },
		{ "", " ", "", MESSAGE_IGNORED },
		{ "done", " done", "", MESSAGE_IGNORED },
		{ "x", "x", "", MESSAGE_ERROR },
		{ HEAD "'update', " PEER ", 'message': { 'update': { 'attribute': { 'as-path': [ 1", ",2",
		  " ] }, " ANNOUNCE " } } } }", MESSAGE_ERROR },	/* more than a message has room for */
		{ HEAD "'update', " PEER ", 'message': { 'update': { 'attribute': { 'community': [ [1,2]", ",[2,1],[1,2]",
		  " ] }, " ANNOUNCE " } } } }", MESSAGE_ERROR },	/* four million lists: too much memory */
		{ HEAD "'update', " PEER ", 'message': { 'update': { 'withdraw': { 'ipv4 unicast': [ '10.0.0.0/8'", ",'10.1.0.0/16'",
		  " ] } } } } }", MESSAGE_ROUTES },
		{ HEAD "'update', " PEER ", 'message': { 'update': { 'withdraw': { 'ipv4 unicast': [ '10.0.0.0/8'", ",'10.1.0.0/99'",
		  " ] } } } } }", MESSAGE_ERROR },
	};
	double began = seconds_used();
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++) {
		char *line = repeated(cases[i].head, cases[i].piece, cases[i].tail, MESSAGE_LINE_MAX + 1);
		const struct message *m;

		m = decoder_line(decoder, line, MESSAGE_LINE_MAX + 1);
		if (m->kind != MESSAGE_ERROR || strstr(m->reason, "16 MiB") == NULL)
			fail_msg("%s%s...: one byte too long, but kind %d", cases[i].head, cases[i].piece, (int)m->kind);
		free(line);
		line = repeated(cases[i].head, cases[i].piece, cases[i].tail, MESSAGE_LINE_MAX);
		m = decoder_line(decoder, line, MESSAGE_LINE_MAX);
		if (m->kind != cases[i].kind)
			fail_msg("%s%s...: kind %d (%s), not %d", cases[i].head, cases[i].piece, (int)m->kind,
			    m->reason == NULL ? "" : m->reason, (int)cases[i].kind);
		if (m->kind == MESSAGE_ERROR)
			assert_true(strlen(m->reason) < 1024);
		free(line);
		if (seconds_used() - began > 3 * LINEAR_SECONDS)
			fail_msg("%s%s...: slow", cases[i].head, cases[i].piece);
	}
}

/* head, count pieces and tail; a piece is a format: a comma but for the first, its number twice. The caller frees it */
static char *
numbered(const char *head, const char *piece, unsigned int count, const char *tail)
{
	char *line = malloc(strlen(head) + (strlen(piece) + 20) * count + strlen(tail) + 1), *p = line;
	unsigned int i;

	assert_non_null(line);
	p += sprintf(p, "%s", head);
	for (i = 0; i < count; i++)
		p += sprintf(p, piece, i == 0 ? "" : ",", i, i);
	strcpy(p, tail);
	return quoted(line);
}

/* what has many of two things at a time: not as much as their product */
static void
test_products(void **state)
{
	static const struct {
		const char	*others;	/* the attributes, before what follows */
		const char	*piece;
		unsigned int	 count;
		const char	*announced;
		unsigned int	 announced_count;
		const char	*reason;	/* NULL: routes */
	} cases[] = {
		/* main says the next hop among the attributes as well */
		{ "'next-hop': '192.0.2.1'", "%s'attribute-0x%x-0xe0': '0x0123456789abcdef0123456789abcdef'", 5000,
		  "%s '2001:db8::%x': [ { 'nlri': '2001:db8::/32' } ]", 5000, NULL },
		{ "'next-hop': '192.0.2.1'", "%s'attribute-0x%x-0xe0': '0x0123456789abcdef0123456789abcdef'", 100000,
		  "%s '2001:db8::%x': [ { 'nlri': '2001:db8::/32' } ]", 60000, "more than 3 GiB" },
		{ "'med': 1", "%s'attribute-0x%x-0xe0': '0x0123456789abcdef0123456789abcdef'", 5000,
		  "%s 'fe80::%x': [ { 'nlri': '2001:db8::/32' } ]", 5000, NULL },
		{ "'med': 1, 'as-path': [ 64500 ], 'community': [ [ 1, 2 ] ]", "%s 'attribute-0x%x-0xe0': '0x00'", 1,
		  "%s '2001:db8::%x': [ { 'nlri': '2001:db8::/32' } ]", 60000, NULL },
	};
	char head[1024], *attributes, *line;
	double began = seconds_used();
	const struct message *m;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++) {
		snprintf(head, sizeof(head), HEAD "'update', " PEER ", 'message': { 'update': { 'attribute': { %s, ", cases[i].others);
		attributes = numbered(head, cases[i].piece, cases[i].count, " }, 'announce': { 'ipv6 unicast': {");
		line = numbered(attributes, cases[i].announced, cases[i].announced_count, "} } } } } }");
		m = decoder_line(decoder, line, strlen(line));
		if (cases[i].reason == NULL && (m->kind != MESSAGE_ROUTES || m->routes_count != cases[i].announced_count))
			fail_msg("case %zu: kind %d, %zu routes, %s", i, (int)m->kind, m->routes_count,
			    m->reason == NULL ? "" : m->reason);
		if (cases[i].reason != NULL && (m->kind != MESSAGE_ERROR || strstr(m->reason, cases[i].reason) == NULL))
			fail_msg("case %zu: kind %d, %s", i, (int)m->kind, m->reason == NULL ? "" : m->reason);
		free(attributes);
		free(line);
		if (seconds_used() - began > LINEAR_SECONDS)
			fail_msg("case %zu: slow", i);
	}
	/* a path of 30000 hops, before 100000 prefixes; and a link-local next hop in each of many families */
	attributes = numbered(HEAD "'update', " PEER ", 'message': { 'update': { 'attribute': { 'as-path': [ ", "%s%u", 30000,
	    " ] }, 'announce': { 'ipv4 unicast': { '192.0.2.1': [");
	line = numbered(attributes, "%s { 'nlri': '10.0.0.0/8', 'path-information': %u }", 100000, "] } } } } } }");
	m = decoder_line(decoder, line, strlen(line));
	assert_int_equal(m->kind, MESSAGE_ERROR);
	assert_non_null(strstr(m->reason, "more than 3 GiB"));
	free(attributes);
	free(line);
	attributes = numbered(HEAD "'update', " PEER ", 'message': { 'update': { 'attribute': { ",
	    "%s'attribute-0x%x-0xe0': '0x0123456789abcdef0123456789abcdef'", 5000, "}, 'announce': {");
	line = numbered(attributes, "%s'ipv6 f%u': { 'fe80::%x': [ { 'nlri': '2001:db8::/32' } ],"
	    " '2001:db8::1': [ { 'nlri': '2001:db8::/32' } ] }", 5000, "} } } } }");
	m = decoder_line(decoder, line, strlen(line));
	assert_int_equal(m->kind, MESSAGE_ERROR);
	assert_non_null(strstr(m->reason, "too many link-local next hops"));
	free(attributes);
	free(line);
	assert_true(seconds_used() - began < LINEAR_SECONDS);
}

/* as many as a message has room for, and one more */
static void
test_room(void **state)
{
	static const struct {
		const char	*name, *piece;
		unsigned int	 most;
	} cases[] = {
		{ "as-path", "%s%u", 32767 }, { "community", "%s[ %u, 7 ]", 16383 }, { "large-community", "%s[ %u, %u, 7 ]", 5461 },
	};
	char head[1024], *line;
	const struct message *m;
	unsigned int i, more;

	(void)state;
	for (i = 0; i < COUNT(cases); i++)
		for (more = 0; more < 2; more++) {
			snprintf(head, sizeof(head), HEAD "'update', " PEER ", 'message': { 'update': { 'attribute': { '%s': [ ", cases[i].name);
			line = numbered(head, cases[i].piece, cases[i].most + more, " ] }, " ANNOUNCE " } } } }");
			m = decoder_line(decoder, line, strlen(line));
			assert_int_equal(m->kind, more ? MESSAGE_ERROR : MESSAGE_ROUTES);
			assert_true(!more || strstr(m->reason, "more than a message has room for") != NULL);
			free(line);
		}
}

/* a real line cut off at each byte: never taken for something else, never read past its end */
static void
test_every_cut(void **state)
{
	static char line[] = ROUTES("'announce': { 'ipv4 unicast': { '192.0.2.9': [ { 'nlri': '10.0.0.0/8' } ] } }, "
	    "'withdraw': { 'ipv6 unicast': [ { 'nlri': '2001:db8::/32' } ] }");
	size_t length = strlen(quoted(line)), n;

	(void)state;
	for (n = 1; n < length; n++) {
		char *cut = malloc(n);
		const struct message *m;

		assert_non_null(cut);
		memcpy(cut, line, n);
		m = decoder_line(decoder, cut, n);
		free(cut);
		if (m->kind != MESSAGE_ERROR)
			fail_msg("cut off after %zu of %zu bytes: kind %d", n, length, (int)m->kind);
		assert_true(strlen(m->reason) > 10);
	}
	assert_int_equal(decoder_line(decoder, line, length)->kind, MESSAGE_ROUTES);
}

/* each byte of a real line replaced by others: routes or an error, and no crash */
static void
test_every_byte(void **state)
{
	static const char bytes[] = { '\0', '"', '\\', '{', '}', '[', ']', ',', ':', '-', '9', 'e', ' ', '\n', '\xff' };
	static char line[] = ROUTES("'announce': { 'ipv4 unicast': { '192.0.2.9': [ { 'nlri': '10.0.0.0/8' } ] } }");
	size_t length = strlen(quoted(line)), at, b;

	(void)state;
	for (at = 0; at < length; at++)
		for (b = 0; b < COUNT(bytes); b++) {
			char was = line[at];
			const struct message *m;

			line[at] = bytes[b];
			m = decoder_line(decoder, line, length);
			if (m->kind == MESSAGE_ERROR)
				assert_true(m->reason != NULL && *m->reason != '\0');
			line[at] = was;
		}
}

static int
setup(void **state)
{
	(void)state;
	return (decoder = decoder_new()) == NULL;
}

static int
teardown(void **state)
{
	(void)state;
	decoder_free(decoder);
	decoder_free(NULL);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_envelope), cmocka_unit_test(test_time), cmocka_unit_test(test_attributes),
		cmocka_unit_test(test_routes), cmocka_unit_test(test_link_local), cmocka_unit_test(test_sessions),
		cmocka_unit_test(test_ignored), cmocka_unit_test(test_errors), cmocka_unit_test(test_error_envelope),
		cmocka_unit_test(test_independent), cmocka_unit_test(test_longest_lines), cmocka_unit_test(test_products), cmocka_unit_test(test_room),
		cmocka_unit_test(test_every_cut),
		cmocka_unit_test(test_every_byte),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
