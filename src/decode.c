#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "decode_internal.h"
#include "dialect.h"

/*
 * An UPDATE of 64 KiB (RFC 8654) cannot need more than some 30 MiB; a made-up line
 * of 16 MiB can.
 */
#define ARENA_LIMIT	((size_t)512 * 1024 * 1024)
/*
 * Each route has the attributes in its row.  The 64 KiB of a message, half of them one
 * AS path of sets and half of them prefixes, make 2 GiB of rows.
 */
#define ROWS_LIMIT	((uint64_t)3 * 1024 * 1024 * 1024)
#define DUMP_FLAGS	(JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY)

static struct arena *json_arena;	/* of the one decoder */

static void *
json_take(size_t size)
{
	return arena_alloc(json_arena, size);
}

static void
json_give_back(void *p)
{
	(void)p;
}

struct decoder *
decoder_new(void)
{
	struct decoder *d = calloc(1, sizeof(*d));

	if (d == NULL || (d->arena = arena_new(ARENA_LIMIT)) == NULL) {
		free(d);
		return NULL;
	}
	json_arena = d->arena;
	json_set_alloc_funcs(json_take, json_give_back);
	return d;
}

void
decoder_free(struct decoder *d)
{
	if (d == NULL)
		return;
	buf_free(&d->repaired);
	arena_free(d->arena);
	free(d);
}

/* --- failing ------------------------------------------------------------------ */

void
decoder_fail(struct decoder *d, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	d->message.reason = arena_vprintf(d->arena, format, ap);
	va_end(ap);
	if (d->message.reason == NULL)
		d->message.reason = "the line needs too much memory to decode";
	longjmp(d->bad_line, 1);
}

void *
decoder_take(struct decoder *d, size_t size)
{
	void *p = arena_alloc(d->arena, size);

	if (p == NULL)
		decoder_fail(d, "the line needs too much memory to decode");
	return p;
}

/* short text of any JSON value, for reasons */
const char *
decoder_shown(struct decoder *d, const json_t *value)
{
	char *text;

	if (value == NULL)
		return "absent";
	text = json_dumps(value, DUMP_FLAGS);
	if (text == NULL)
		return "(unprintable)";
	if (strlen(text) > 80)
		text = arena_printf(d->arena, "%.77s...", text);
	return text != NULL ? text : "(unprintable)";
}

/* --- values ------------------------------------------------------------------- */

const char *
decoder_dump(struct decoder *d, const json_t *value)
{
	const char *text = json_dumps(value, DUMP_FLAGS);

	if (text == NULL)
		decoder_fail(d, "the line needs too much memory to decode");
	return text;
}

/* decimal digits only, at most max */
bool
value_decimal(const char *text, uint64_t max, uint64_t *out)
{
	uint64_t value = 0;

	if (*text == '\0')
		return false;
	for (; *text != '\0'; text++) {
		unsigned int digit = (unsigned int)(*text - '0');

		if (digit > 9 || value > (max - digit) / 10)
			return false;
		value = value * 10 + digit;
	}
	*out = value;
	return true;
}

bool
value_unsigned(const json_t *value, uint64_t max, uint64_t *out)
{
	json_int_t n = json_integer_value(value);

	if (!json_is_integer(value) || n < 0 || (uint64_t)n > max)
		return false;
	*out = (uint64_t)n;
	return true;
}

/* the same where 3.4 writes a string, or dialect.c made one of a number too big for jansson */
bool
value_unsigned_or_text(const json_t *value, uint64_t max, uint64_t *out)
{
	if (json_is_string(value))
		return value_decimal(json_string_value(value), max, out);
	return value_unsigned(value, max, out);
}

uint32_t
value_u32(struct decoder *d, const json_t *value, const char *what)
{
	uint64_t n;

	if (!value_unsigned(value, UINT32_MAX, &n))
		decoder_fail(d, "%s is %s, not a whole number from 0 to 4294967295", what, decoder_shown(d, value));
	return (uint32_t)n;
}

const char *
value_string(struct decoder *d, const json_t *value, const char *what)
{
	if (!json_is_string(value))
		decoder_fail(d, "%s is %s, not a string", what, decoder_shown(d, value));
	return json_string_value(value);
}

json_t *
value_object(struct decoder *d, json_t *value, const char *what)
{
	if (!json_is_object(value))
		decoder_fail(d, "%s is %s, not an object", what, decoder_shown(d, value));
	return value;
}

json_t *
value_array(struct decoder *d, json_t *value, const char *what)
{
	if (!json_is_array(value))
		decoder_fail(d, "%s is %s, not a list", what, decoder_shown(d, value));
	return value;
}

/* --- updates -------------------------------------------------------------------- */

/* main: an End-of-RIB looks like an announcement without next hop (and is mended by dialect.c) */
static json_t *
announced_eor(json_t *announce)
{
	json_t *by_next_hop = json_object_iter_value(json_object_iter(announce));
	json_t *first = json_array_get(json_object_get(by_next_hop, "null"), 0);

	return json_object_get(first, "eor");
}

static const char *
family_name(struct decoder *d, json_t *object)
{
	const char *afi = json_string_value(json_object_get(object, "afi"));
	const char *safi = json_string_value(json_object_get(object, "safi"));
	const char *name;

	if (afi == NULL || safi == NULL)
		decoder_fail(d, "afi and safi are %s and %s", decoder_shown(d, json_object_get(object, "afi")),
		    decoder_shown(d, json_object_get(object, "safi")));
	if (strlen(afi) > 32 || strlen(safi) > 32)
		decoder_fail(d, "afi and safi are too long");
	if ((name = arena_printf(d->arena, "%s %s", afi, safi)) == NULL)
		decoder_fail(d, "the line needs too much memory to decode");
	return name;
}

static void
eor_read(struct decoder *d, json_t *eor)
{
	d->message.kind = MESSAGE_SESSION;
	d->message.event = "eor";
	d->message.family = family_name(d, eor);
}

/* a line that was made up may be small, and its rows fill the disk */
static void
rows_check(struct decoder *d)
{
	uint64_t bytes = 0, each = 0;
	size_t i;

	for (i = 0; i < d->routes_count; i++) {
		const struct attributes *a = d->routes[i].attributes;

		if (a != NULL && (i == 0 || a != d->routes[i - 1].attributes))
			each = a->bytes + (a->others != NULL ? strlen(a->others) : 0);
		bytes += a != NULL ? each : 0;
		if (bytes > ROWS_LIMIT)
			decoder_fail(d, "the routes would take more than 3 GiB, which those of no BGP message do");
	}
}

/*
 * RFC 4271 section 4.3: withdrawals take effect first, and a prefix that is in both
 * is announced.
 */
static void
update_read(struct decoder *d, json_t *update)
{
	json_t *announce = json_object_get(update, "announce"), *withdraw = json_object_get(update, "withdraw");
	struct attribute_state s;
	size_t withdrawn;
	struct family f;
	const char *name;
	json_t *value;

	if (announce != NULL && (value = announced_eor(announce)) != NULL) {
		eor_read(d, value);
		return;
	}
	d->message.kind = MESSAGE_ROUTES;
	if (withdraw != NULL) {
		value_object(d, withdraw, "withdraw");
		json_object_foreach(withdraw, name, value) {
			family_read(d, &f, name);
			nlris_read(d, &f, value, false, NULL, NULL);
		}
	}
	withdrawn = d->routes_count;
	if (announce != NULL) {
		value_object(d, announce, "announce");
		attributes_read(d, &s, json_object_get(update, "attribute"));
		json_object_foreach(announce, name, value) {
			family_read(d, &f, name);
			announce_family(d, &s, &f, value);
		}
	}
	if (d->routes_count == 0)
		decoder_fail(d, "the update announces and withdraws nothing");
	if (withdrawn > 0 && d->routes_count > withdrawn) {
		const struct route **announced = routes_sorted(d, withdrawn, d->routes_count);

		routes_drop(d, 0, withdrawn, announced, d->routes_count - withdrawn);
	}
	rows_check(d);
	d->message.routes = d->routes;
	d->message.routes_count = d->routes_count;
}

/* --- messages --------------------------------------------------------------------- */

static bool
was_sent(json_t *neighbor)
{
	const char *direction = json_string_value(json_object_get(neighbor, "direction"));

	return direction != NULL && (strcmp(direction, "send") == 0 || strcmp(direction, "sent") == 0);
}

/* the hex of a message that is not decoded on this line (option "packets" without "consolidate") */
static void
raw_read(struct decoder *d, json_t *neighbor, json_t *message)
{
	if (was_sent(neighbor) || json_object_get(message, "sent") != NULL) {
		d->message.kind = MESSAGE_IGNORED;
		return;
	}
	decoder_fail(d, "a raw packet that is not decoded: set \"parsed\" and \"consolidate\" beside \"packets\" in the"
	    " api section");
}

static void
update_message(struct decoder *d, json_t *neighbor)
{
	json_t *message = value_object(d, json_object_get(neighbor, "message"), "message"), *value;

	if (was_sent(neighbor)) {
		d->message.kind = MESSAGE_IGNORED;
		return;
	}
	if ((value = json_object_get(message, "eor")) != NULL)
		eor_read(d, value);
	else if ((value = json_object_get(message, "update")) != NULL)
		update_read(d, value_object(d, value, "update"));
	else if (json_object_get(message, "body") != NULL)
		raw_read(d, neighbor, message);
	else
		decoder_fail(d, "the update has neither update nor eor");
}

/* what a session event says besides the peer, or NULL */
static const char *
session_detail(struct decoder *d, json_t *neighbor)
{
	static const char *const known[] = { "address", "asn", "ip", "router-id", "state", NULL };
	json_t *detail = json_copy(neighbor);
	const char *const *key, *reason;

	if (detail == NULL)
		decoder_fail(d, "the line needs too much memory to decode");
	for (key = known; *key != NULL; key++)
		json_object_del(detail, *key);
	reason = json_string_value(json_object_get(detail, "reason"));
	if (reason != NULL && *reason == '\0')
		json_object_del(detail, "reason");
	return json_object_size(detail) == 0 ? NULL : decoder_dump(d, detail);
}

static void
state_message(struct decoder *d, json_t *neighbor)
{
	const char *state = value_string(d, json_object_get(neighbor, "state"), "state");

	if (strcmp(state, "up") == 0)
		d->message.state = PEER_STATE_UP;
	else if (strcmp(state, "down") == 0)
		d->message.state = PEER_STATE_DOWN;
	else if (strcmp(state, "connected") != 0)
		decoder_fail(d, "state is \"%.64s\", not connected, up or down", state);
	d->message.event = state;
}

static void
open_message(struct decoder *d, json_t *neighbor)
{
	json_t *open = json_object_get(neighbor, "open");
	const char *router_id = json_string_value(json_object_get(open, "router_id"));
	json_t *capabilities = json_object_get(open, "capabilities"), *capability;
	const char *code;

	d->message.event = "open";
	if (was_sent(neighbor))
		return;
	if (router_id != NULL && !inet_parse_address(&d->message.router_id, router_id))
		memset(&d->message.router_id, 0, sizeof(d->message.router_id));
	if (!json_is_object(capabilities))
		return;
	d->message.enhanced = MESSAGE_ENHANCED_NO;
	json_object_foreach(capabilities, code, capability) {
		const char *name = json_string_value(json_object_get(capability, "name"));

		if (name != NULL && strcmp(name, "enhanced-route-refresh") == 0)
			d->message.enhanced = MESSAGE_ENHANCED_YES;
	}
}

static void
refresh_message(struct decoder *d, json_t *neighbor)
{
	json_t *refresh = json_object_get(neighbor, "route-refresh");
	const char *subtype;

	d->message.event = "refresh";
	if (!json_is_object(refresh))
		return;
	d->message.family = family_name(d, refresh);
	subtype = json_string_value(json_object_get(refresh, "subtype"));
	if (subtype == NULL || was_sent(neighbor))
		return;
	if (strcmp(subtype, "begin") == 0)
		d->message.refresh = MESSAGE_REFRESH_BEGIN;
	else if (strcmp(subtype, "end") == 0)
		d->message.refresh = MESSAGE_REFRESH_END;
}

static void
fsm_message(struct decoder *d, json_t *neighbor)
{
	json_t *detail = json_object();

	if (detail == NULL || json_object_set(detail, "state", json_object_get(neighbor, "state")) == -1)
		decoder_fail(d, "state is absent");
	d->message.event = "fsm";
	d->message.detail = decoder_dump(d, detail);
}

static void
session_message(struct decoder *d, const char *type, json_t *neighbor)
{
	json_t *message = json_object_get(neighbor, "message");

	if (json_object_get(message, "body") != NULL) {
		raw_read(d, neighbor, message);
		return;
	}
	d->message.kind = MESSAGE_SESSION;
	if (strcmp(type, "state") == 0)
		state_message(d, neighbor);
	else if (strcmp(type, "open") == 0)
		open_message(d, neighbor);
	else if (strcmp(type, "refresh") == 0 || strcmp(type, "route refresh") == 0 ||
	    strcmp(type, "route-refresh") == 0)
		refresh_message(d, neighbor);
	else if (strcmp(type, "fsm") == 0)
		fsm_message(d, neighbor);
	else if (strcmp(type, "notification") == 0)
		d->message.event = "notification";
	else if (strcmp(type, "negotiated") == 0)
		d->message.event = "negotiated";
	else if (strcmp(type, "keepalive") == 0)
		d->message.event = "keepalive";
	else if (strcmp(type, "operational") == 0)
		d->message.event = "operational";
	else if (strcmp(type, "signal") == 0)
		d->message.event = "signal";
	else
		decoder_fail(d, "unknown message type \"%.64s\"", type);
	if (d->message.detail == NULL)
		d->message.detail = session_detail(d, neighbor);
}

/* --- envelope ---------------------------------------------------------------------- */

static void
address_read(struct decoder *d, struct inet *out, json_t *value, const char *what)
{
	if (value == NULL || json_is_null(value))
		return;
	if (!json_is_string(value) || !inet_parse_address(out, json_string_value(value)))
		decoder_fail(d, "%s is %s, not an address", what, decoder_shown(d, value));
}

static int64_t
asn_read(struct decoder *d, json_t *value, const char *what)
{
	uint64_t n;

	if (value == NULL || json_is_null(value))
		return MESSAGE_NO_NUMBER;
	if (!value_unsigned_or_text(value, UINT32_MAX, &n))
		decoder_fail(d, "%s is %s, not a whole number from 0 to 4294967295", what, decoder_shown(d, value));
	return (int64_t)n;
}

static void
peer_read(struct decoder *d, json_t *neighbor)
{
	json_t *address = json_object_get(neighbor, "address"), *asn = json_object_get(neighbor, "asn");
	struct peer_key *k = &d->message.peer;
	json_t *peer = json_object_get(address, "peer");

	address_read(d, &k->address, peer != NULL ? peer : json_object_get(neighbor, "ip"), "neighbor.address.peer");
	if (k->address.family == 0)
		decoder_fail(d, "neighbor.address.peer is absent");
	address_read(d, &k->local_address, json_object_get(address, "local"), "neighbor.address.local");
	k->asn = asn_read(d, json_object_get(asn, "peer"), "neighbor.asn.peer");
	k->local_asn = asn_read(d, json_object_get(asn, "local"), "neighbor.asn.local");
	d->message.has_peer = true;
}

static int64_t
time_read(struct decoder *d, json_t *value)
{
	double seconds;

	if (!json_is_number(value))
		decoder_fail(d, "time is %s, not a number", decoder_shown(d, value));
	seconds = json_number_value(value);
	if (!(seconds >= 0 && seconds < (double)(MESSAGE_TIME_END_US / 1000000)))
		decoder_fail(d, "time is %s, not in the years 1970 to 2099", decoder_shown(d, value));
	if (json_is_integer(value))
		return (int64_t)json_integer_value(value) * 1000000;
	/* apart, since seconds * 1e6 has no bits left to round rightly */
	return (int64_t)floor(seconds) * 1000000 + llround((seconds - floor(seconds)) * 1e6);
}

static int64_t
number_or_none(json_t *value)
{
	uint64_t n;

	return value_unsigned_or_text(value, INT64_MAX, &n) ? (int64_t)n : MESSAGE_NO_NUMBER;
}

static void
root_read(struct decoder *d, json_t *root)
{
	json_t *neighbor = json_object_get(root, "neighbor"), *type = json_object_get(root, "type");
	const char *name;

	if (json_object_get(root, "exabgp") == NULL) {
		/* main's acknowledgements: {"status": "done"}, {"pong": ..}, {"error": ..} */
		if (type == NULL && neighbor == NULL && (json_object_get(root, "status") != NULL ||
		    json_object_get(root, "pong") != NULL || json_object_get(root, "error") != NULL ||
		    json_object_get(root, "answer") != NULL)) {
			d->message.kind = MESSAGE_IGNORED;
			return;
		}
		decoder_fail(d, "not a message of ExaBGP: it has no \"exabgp\"");
	}
	d->message.pid = number_or_none(json_object_get(root, "pid"));
	d->message.counter = number_or_none(json_object_get(root, "counter"));
	d->message.time_us = time_read(d, json_object_get(root, "time"));
	name = value_string(d, type, "type");
	if (neighbor == NULL && strcmp(name, "notification") == 0) {
		/* ExaBGP ends: "notification": "shutdown", of no peer */
		json_t *detail = json_object();

		if (detail == NULL ||
		    json_object_set(detail, "notification", json_object_get(root, "notification")) == -1)
			decoder_fail(d, "a notification without neighbor and notification");
		d->message.kind = MESSAGE_SESSION;
		d->message.event = "notification";
		d->message.detail = decoder_dump(d, detail);
		return;
	}
	peer_read(d, value_object(d, neighbor, "neighbor"));
	if (strcmp(name, "update") == 0)
		update_message(d, neighbor);
	else
		session_message(d, name, neighbor);
}

/* --- lines that do not parse: who and which, so that their counter is no gap -------- */

/* the digits after key, or MESSAGE_NO_NUMBER */
static int64_t
scan_number(const char *line, size_t length, const char *key)
{
	const char *p = memmem(line, length, key, strlen(key)), *end = line + length;
	int64_t n = 0;
	int digits = 0;

	if (p == NULL)
		return MESSAGE_NO_NUMBER;
	for (p += strlen(key); p < end && (*p == ' ' || *p == '"' || *p == ':'); p++)
		continue;
	for (; p < end && *p >= '0' && *p <= '9' && digits < 18; p++, digits++)
		n = n * 10 + (*p - '0');
	return digits > 0 ? n : MESSAGE_NO_NUMBER;
}

static void
scan_address(const char *line, size_t length, const char *key, struct inet *out)
{
	const char *p = memmem(line, length, key, strlen(key)), *end = line + length, *quote;
	char text[INET_TEXT_SIZE];

	if (p == NULL)
		return;
	for (p += strlen(key); p < end && (*p == ' ' || *p == ':'); p++)
		continue;
	if (p == end || *p != '"' || (quote = memchr(p + 1, '"', (size_t)(end - p) - 1)) == NULL ||
	    (size_t)(quote - p) >= sizeof(text))
		return;
	memcpy(text, p + 1, (size_t)(quote - p) - 1);
	text[quote - p - 1] = '\0';
	if (!inet_parse_address(out, text))
		memset(out, 0, sizeof(*out));
}

static void
envelope_scan(struct message *m, const char *line, size_t length)
{
	const char *asn;

	/* ExaBGP writes all of this at the head of the line */
	if (length > 1024)
		length = 1024;
	m->pid = scan_number(line, length, "\"pid\"");
	m->counter = scan_number(line, length, "\"counter\"");
	memset(&m->peer, 0, sizeof(m->peer));
	scan_address(line, length, "\"peer\"", &m->peer.address);
	scan_address(line, length, "\"local\"", &m->peer.local_address);
	m->peer.asn = m->peer.local_asn = MESSAGE_NO_NUMBER;
	if ((asn = memmem(line, length, "\"asn\"", 5)) != NULL) {
		m->peer.asn = scan_number(asn, length - (size_t)(asn - line), "\"peer\"");
		m->peer.local_asn = scan_number(asn, length - (size_t)(asn - line), "\"local\"");
	}
	if (m->peer.asn > UINT32_MAX)
		m->peer.asn = MESSAGE_NO_NUMBER;
	if (m->peer.local_asn > UINT32_MAX)
		m->peer.local_asn = MESSAGE_NO_NUMBER;
	m->has_peer = m->peer.address.family != 0 && m->peer.asn != MESSAGE_NO_NUMBER;
}

/* --- one line ------------------------------------------------------------------------ */

static json_t *
parse(struct decoder *d, const char *line, size_t length)
{
	json_error_t error, again;
	json_t *root;

	root = json_loadb(line, length, JSON_REJECT_DUPLICATES, &error);
	if (root == NULL && dialect_repair(&d->repaired, line, length))
		root = json_loadb((const char *)d->repaired.data, d->repaired.length, JSON_REJECT_DUPLICATES, &again);
	if (root == NULL) {
		envelope_scan(&d->message, line, length);
		if (json_error_code(&error) == json_error_out_of_memory || error.text[0] == '\0')
			decoder_fail(d, "the line needs too much memory to decode");
		decoder_fail(d, "not valid JSON: %s (byte %d)", error.text, error.position);
	}
	return root;
}

static void
line_read(struct decoder *d, const char *line, size_t length)
{
	if (length > MESSAGE_LINE_MAX) {
		envelope_scan(&d->message, line, length);
		decoder_fail(d, "the line is longer than 16 MiB");
	}
	switch (dialect_classify(line, length)) {
	case DIALECT_EMPTY:
	case DIALECT_ANSWER:
		d->message.kind = MESSAGE_IGNORED;
		return;
	case DIALECT_TEXT_ENCODER:
		d->message.text_encoder = true;
		decoder_fail(d, "a line of ExaBGP's text encoder: set \"encoder json\" in the process section");
	case DIALECT_UNKNOWN:
		decoder_fail(d, "not JSON and no answer to a command");
	case DIALECT_JSON:
		break;
	}
	root_read(d, parse(d, line, length));
}

const struct message *
decoder_line(struct decoder *d, const char *line, size_t length)
{
	struct message *m = &d->message;

	arena_reset(d->arena);
	memset(m, 0, sizeof(*m));
	m->time_us = m->pid = m->counter = MESSAGE_NO_NUMBER;
	m->peer.asn = m->peer.local_asn = MESSAGE_NO_NUMBER;
	d->routes = NULL;
	d->routes_count = d->routes_size = 0;
	if (setjmp(d->bad_line) == 0)
		line_read(d, line, length);
	else
		m->kind = MESSAGE_ERROR;
	return m;
}
