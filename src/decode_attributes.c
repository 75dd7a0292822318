/* decode_attributes.c - the path attributes of an UPDATE, RFC 4271 section 5 and later. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "decimal.h"
#include "decode_internal.h"
#include "dialect.h"

#define ADDED_LIMIT	((size_t)64 * 1024 * 1024)	/* of texts that differ in a next hop */

/* --- AS path, RFC 4271 section 5.1.2, RFC 5065 --------------------------------- */

enum segment_type { SEGMENT_SEQUENCE, SEGMENT_SET, SEGMENT_CONFED_SEQUENCE, SEGMENT_CONFED_SET };

struct segment {
	enum segment_type	type;
	uint32_t		*asns;
	size_t			count;
};

static int
compare_u32(const void *a, const void *b)
{
	uint32_t x, y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return x < y ? -1 : x > y;
}

/*
 * A message has 65535 bytes at most (RFC 8654): no real list is longer than it has room for, with so many bytes an
 * element, and what the database makes of the lists (016) has limits.
 */
static void
room_check(struct decoder *d, size_t count, size_t bytes, const char *name)
{
	if (count > UINT16_MAX / bytes)
		decoder_fail(d, "%s has %zu elements, more than a message has room for", name, count);
}

static void
segment_read(struct decoder *d, struct segment *s, enum segment_type type, json_t *list)
{
	size_t i;

	value_array(d, list, "a segment of as-path");
	s->type = type;
	s->count = json_array_size(list);
	s->asns = decoder_take(d, s->count * sizeof(*s->asns));
	for (i = 0; i < s->count; i++)
		s->asns[i] = value_u32(d, json_array_get(list, i), "an ASN of as-path");
	if (s->count > 1 && (type == SEGMENT_SET || type == SEGMENT_CONFED_SET))
		qsort(s->asns, s->count, sizeof(*s->asns), compare_u32);
}

static char *
segment_text(char *p, const struct segment *s)
{
	static const char open[] = { 0, '{', '(', '[' }, close[] = { 0, '}', ')', ']' };
	char separator = s->type == SEGMENT_SET || s->type == SEGMENT_CONFED_SET ? ',' : ' ';
	size_t i;

	if (open[s->type] != 0)
		*p++ = open[s->type];
	for (i = 0; i < s->count; i++) {
		if (i > 0)
			*p++ = separator;
		p = decimal_put(p, s->asns[i]);
	}
	if (close[s->type] != 0)
		*p++ = close[s->type];
	return p;
}

/* path, as_path and origin_asn from the segments in order */
static void
path_set(struct decoder *d, struct attributes *a, const struct segment *segments, size_t count)
{
	const struct segment *last = NULL;
	size_t i, asns = 0, total = 0;
	bool plain = true;
	uint32_t *path;
	char *p;

	for (i = 0; i < count; i++) {
		total += segments[i].count;
		if (segments[i].type == SEGMENT_SEQUENCE || segments[i].type == SEGMENT_SET)
			asns += segments[i].count;
		if (segments[i].count > 0)
			last = &segments[i];
		if (segments[i].type != SEGMENT_SEQUENCE && segments[i].count > 0)
			plain = false;
	}
	room_check(d, total, 2, "as-path");
	path = decoder_take(d, asns * sizeof(*path));
	a->path = path;
	a->path_length = asns;
	for (i = 0; i < count; i++)
		if (segments[i].count > 0 &&
		    (segments[i].type == SEGMENT_SEQUENCE || segments[i].type == SEGMENT_SET)) {
			memcpy(path, segments[i].asns, segments[i].count * sizeof(*path));
			path += segments[i].count;
		}
	/* RFC 6811 section 2: the origin is that of a final AS_SEQUENCE */
	if (last != NULL && last->type == SEGMENT_SEQUENCE)
		a->origin_asn = last->asns[last->count - 1];
	if (plain)
		return;
	p = decoder_take(d, total * 11 + count * 3 + 1);
	a->as_path = p;
	for (i = 0; i < count; i++) {
		if (segments[i].count == 0)
			continue;
		if (p > a->as_path)
			*p++ = ' ';
		p = segment_text(p, &segments[i]);
	}
	*p = '\0';
}

static enum segment_type
segment_type_named(struct decoder *d, const char *element)
{
	static const char *const names[] = { "as-sequence", "as-set", "as-confed-sequence", "as-confed-set" };
	unsigned int i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(element, names[i]) == 0)
			return (enum segment_type)i;
	decoder_fail(d, "a segment of as-path is of the unknown type \"%.64s\"", element);
}

struct numbered {
	uint64_t	number;
	json_t		*value;
};

static int
compare_numbered(const void *a, const void *b)
{
	const struct numbered *x = a, *y = b;

	return x->number < y->number ? -1 : x->number > y->number;
}

/* 5.x and main: { "0": { "element": "as-sequence", "value": [ .. ] }, "1": .. } */
static void
path_read_object(struct decoder *d, struct attributes *a, json_t *object)
{
	size_t count = json_object_size(object), i = 0;
	struct numbered *order = decoder_take(d, count * sizeof(*order));
	struct segment *segments = decoder_take(d, count * sizeof(*segments));
	const char *key;
	json_t *value;

	json_object_foreach(object, key, value) {
		if (!value_decimal(key, UINT32_MAX, &order[i].number))
			decoder_fail(d, "as-path has the key \"%.64s\", not a number", key);
		order[i++].value = value_object(d, value, "a segment of as-path");
	}
	if (count > 1)
		qsort(order, count, sizeof(*order), compare_numbered);
	for (i = 0; i < count; i++) {
		const char *element = value_string(d, json_object_get(order[i].value, "element"),
		    "element of a segment of as-path");

		segment_read(d, &segments[i], segment_type_named(d, element), json_object_get(order[i].value, "value"));
	}
	path_set(d, a, segments, count);
}

/* the four keys that 3.4 and 4.x have instead; where a set stood is lost, so sets come last */
struct path_lists {
	json_t	*sequence, *set, *confed_sequence, *confed_set;
};

static void
path_read(struct decoder *d, struct attributes *a, const struct path_lists *lists)
{
	struct segment segments[4];
	size_t n = 0;

	if (json_is_object(lists->sequence)) {
		path_read_object(d, a, lists->sequence);
		return;
	}
	if (lists->confed_sequence != NULL)
		segment_read(d, &segments[n++], SEGMENT_CONFED_SEQUENCE, lists->confed_sequence);
	if (lists->confed_set != NULL)
		segment_read(d, &segments[n++], SEGMENT_CONFED_SET, lists->confed_set);
	if (lists->sequence != NULL)
		segment_read(d, &segments[n++], SEGMENT_SEQUENCE, lists->sequence);
	if (lists->set != NULL)
		segment_read(d, &segments[n++], SEGMENT_SET, lists->set);
	path_set(d, a, segments, n);
}

/* --- communities --------------------------------------------------------------- */

static int
compare_community(const void *a, const void *b)
{
	const struct community *x = a, *y = b;

	if (x->asn != y->asn)
		return x->asn < y->asn ? -1 : 1;
	return x->value < y->value ? -1 : x->value > y->value;
}

static int
compare_large(const void *a, const void *b)
{
	const struct large_community *x = a, *y = b;

	if (x->global != y->global)
		return x->global < y->global ? -1 : 1;
	if (x->local[0] != y->local[0])
		return x->local[0] < y->local[0] ? -1 : 1;
	return x->local[1] < y->local[1] ? -1 : x->local[1] > y->local[1];
}

static int
compare_text(const void *a, const void *b)
{
	const char *x, *y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return strcmp(x, y);
}

/* sorts in place and drops duplicates; returns how many are left */
static size_t
sort_unique(void *base, size_t count, size_t size, int (*compare)(const void *, const void *))
{
	unsigned char *p = base;
	size_t i, kept = 1;
	bool sorted = true;

	if (count < 2)
		return count;
	for (i = 1; i < count && sorted; i++)
		sorted = compare(p + (i - 1) * size, p + i * size) < 0;
	if (sorted)
		return count;
	qsort(base, count, size, compare);
	for (i = 1; i < count; i++)
		if (compare(p + (kept - 1) * size, p + i * size) != 0)
			memmove(p + kept++ * size, p + i * size, size);
	return kept;
}

/* the n numbers of a community, "a:b" or [ a, b ] */
static void
community_numbers(struct decoder *d, json_t *value, uint32_t *numbers, size_t n, uint64_t max, const char *what)
{
	uint64_t number;
	size_t i;

	if (!json_is_array(value) || json_array_size(value) != n)
		decoder_fail(d, "%s is %s, not a list of %zu numbers", what, decoder_shown(d, value), n);
	for (i = 0; i < n; i++) {
		if (!value_unsigned(json_array_get(value, i), max, &number))
			decoder_fail(d, "%s is %s, whose numbers are not all from 0 to %" PRIu64, what,
			    decoder_shown(d, value), max);
		numbers[i] = (uint32_t)number;
	}
}

/* RFC 1997 */
static void
communities_read(struct decoder *d, struct attributes *a, json_t *list)
{
	size_t n = json_array_size(value_array(d, list, "community")), i;
	struct community *c = decoder_take(d, n * sizeof(*c));
	uint32_t numbers[2];

	room_check(d, n, 4, "community");
	for (i = 0; i < n; i++) {
		community_numbers(d, json_array_get(list, i), numbers, 2, UINT16_MAX, "a community");
		c[i].asn = numbers[0];
		c[i].value = numbers[1];
	}
	a->communities = c;
	a->communities_count = sort_unique(c, n, sizeof(*c), compare_community);
}

/* RFC 8092 */
static void
large_read(struct decoder *d, struct attributes *a, json_t *list)
{
	size_t n = json_array_size(value_array(d, list, "large-community")), i;
	struct large_community *c = decoder_take(d, n * sizeof(*c));
	uint32_t numbers[3];

	room_check(d, n, 12, "large-community");
	for (i = 0; i < n; i++) {
		community_numbers(d, json_array_get(list, i), numbers, 3, UINT32_MAX, "a large community");
		c[i].global = numbers[0];
		c[i].local[0] = numbers[1];
		c[i].local[1] = numbers[2];
	}
	a->large = c;
	a->large_count = sort_unique(c, n, sizeof(*c), compare_large);
}

/* RFC 4360: 3.4 gives the 64 bits, later ones an object with them and a text that may be empty */
static const char *
ext_text(struct decoder *d, json_t *value)
{
	json_t *bits = value;
	const char *text;
	uint64_t n;

	if (json_is_object(value)) {
		text = json_string_value(json_object_get(value, "string"));
		if (text != NULL && *text != '\0')
			return text;
		bits = json_object_get(value, "value");
	}
	if (!value_unsigned_or_text(bits, UINT64_MAX, &n))
		decoder_fail(d, "an extended community is %s", decoder_shown(d, value));
	text = arena_printf(d->arena, "0x%016" PRIx64, n);
	if (text == NULL)
		decoder_fail(d, "the line needs too much memory to decode");
	return text;
}

static void
ext_read(struct decoder *d, struct attributes *a, json_t *list)
{
	size_t n = json_array_size(value_array(d, list, "extended-community")), i;
	const char **c = decoder_take(d, n * sizeof(*c));

	for (i = 0; i < n; i++)
		c[i] = ext_text(d, json_array_get(list, i));
	a->ext = c;
	a->ext_count = sort_unique(c, n, sizeof(*c), compare_text);
}

/* --- attributes that ExaBGP does not know: "attribute-0xCODE-0xFLAGS": "0x.." ----- */

#define CODE_LARGE_COMMUNITY	32	/* RFC 8092, unknown to 3.4 */
#define CODE_OTC		35	/* RFC 9234, unknown to all */

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* bytes of "0x..", an even number of digits; NULL if it is not that */
static uint8_t *
hex_bytes(struct decoder *d, const char *text, size_t *length)
{
	size_t n, i;
	uint8_t *bytes;

	if (text == NULL || text[0] != '0' || text[1] != 'x' || (n = strlen(text + 2)) % 2 != 0)
		return NULL;
	bytes = decoder_take(d, n / 2);
	for (i = 0; i < n / 2; i++) {
		int high = hex_digit(text[2 + 2 * i]), low = hex_digit(text[3 + 2 * i]);

		if (high < 0 || low < 0)
			return NULL;
		bytes[i] = (uint8_t)(high << 4 | low);
	}
	*length = n / 2;
	return bytes;
}

static int
unknown_code(const char *key)
{
	char *end;
	long code;

	if (strncmp(key, "attribute-0x", 12) != 0)
		return -1;
	code = strtol(key + 12, &end, 16);
	return end > key + 12 && code >= 0 && code <= 255 ? (int)code : -1;
}

/* true if it was one that we know although ExaBGP does not */
static bool
unknown_read(struct decoder *d, struct attributes *a, json_t *others, const char *key, json_t *value)
{
	int code = unknown_code(key);
	size_t length, i;
	struct large_community *c;
	uint8_t *bytes;

	if ((code != CODE_LARGE_COMMUNITY && code != CODE_OTC) ||
	    (bytes = hex_bytes(d, json_string_value(value), &length)) == NULL)
		return false;
	if (code == CODE_OTC && length == 4)
		return json_object_set_new(others, "otc", json_integer(wire_u32(bytes))) == 0;
	if (code != CODE_LARGE_COMMUNITY || length == 0 || length % 12 != 0 ||
	    length > UINT16_MAX || a->large != NULL)
		return false;
	c = decoder_take(d, length / 12 * sizeof(*c));
	for (i = 0; i < length / 12; i++) {
		c[i].global = wire_u32(bytes + 12 * i);
		c[i].local[0] = wire_u32(bytes + 12 * i + 4);
		c[i].local[1] = wire_u32(bytes + 12 * i + 8);
	}
	a->large = c;
	a->large_count = sort_unique(c, length / 12, sizeof(*c), compare_large);
	return true;
}

/* --- attributes ----------------------------------------------------------------- */

static char
origin_read(struct decoder *d, json_t *value)
{
	const char *text = value_string(d, value, "origin");

	if (strcmp(text, "igp") == 0)
		return 'i';
	if (strcmp(text, "egp") == 0)
		return 'e';
	if (strcmp(text, "incomplete") == 0)
		return '?';
	decoder_fail(d, "origin is \"%.64s\", not igp, egp or incomplete", text);
}

/* ASN:ADDRESS, RFC 4271 section 5.1.7 */
static const char *
aggregator_read(struct decoder *d, json_t *value)
{
	const char *text = value_string(d, value, "aggregator"), *colon = strchr(text, ':');
	struct inet address;
	char asn[11];
	uint64_t n;

	if (colon != NULL && (size_t)(colon - text) < sizeof(asn)) {
		memcpy(asn, text, (size_t)(colon - text));
		asn[colon - text] = '\0';
		if (value_decimal(asn, UINT32_MAX, &n) && inet_parse_address(&address, colon + 1))
			return text;
	}
	decoder_fail(d, "aggregator is \"%.64s\", not ASN:ADDRESS", text);
}

static void
other_add(struct decoder *d, struct attribute_state *s, const char *key, json_t *value)
{
	if ((s->others == NULL && (s->others = json_object()) == NULL) || json_object_set(s->others, key, value) == -1)
		decoder_fail(d, "the line needs too much memory to decode");
}

static void
attribute_read(struct decoder *d, struct attribute_state *s, struct path_lists *path, const char *key, json_t *value)
{
	struct attributes *a = &s->attributes;

	if (strcmp(key, "origin") == 0)
		a->origin = origin_read(d, value);
	else if (strcmp(key, "as-path") == 0)
		path->sequence = value;
	else if (strcmp(key, "confederation-path") == 0)
		path->confed_sequence = value;
	else if (strcmp(key, "community") == 0)
		communities_read(d, a, value);
	else if (strcmp(key, "med") == 0)
		a->med = value_u32(d, value, "med");
	else if (strcmp(key, "local-preference") == 0)
		a->local_pref = value_u32(d, value, "local-preference");
	else if (strcmp(key, "large-community") == 0)
		large_read(d, a, value);
	else if (strcmp(key, "extended-community") == 0)
		ext_read(d, a, value);
	else if (strcmp(key, "aggregator") == 0)
		a->aggregator = aggregator_read(d, value);
	else if (strcmp(key, "atomic-aggregate") == 0) {
		if (!json_is_boolean(value))
			decoder_fail(d, "atomic-aggregate is %s, not true or false", decoder_shown(d, value));
		a->atomic_aggregate = json_is_true(value);
	} else if (strcmp(key, "as-set") == 0)
		path->set = value;
	else if (strcmp(key, "confederation-set") == 0)
		path->confed_set = value;
	else if (strcmp(key, "next-hop") == 0 && json_is_string(value))
		s->next_hop = json_string_value(value);
	else if (strcmp(key, DIALECT_DUPLICATE_AGGREGATOR) != 0) {
		if (strncmp(key, "attribute-0x", 12) == 0) {
			json_t *known = s->others != NULL ? s->others : json_object();

			if (known == NULL)
				decoder_fail(d, "the line needs too much memory to decode");
			if (unknown_read(d, a, known, key, value)) {
				if (json_object_size(known) > 0)
					s->others = known;
				return;
			}
		}
		other_add(d, s, key, value);
	}
}

/* of the columns of a row, others apart: as bigint[] and text[] */
static size_t
attributes_bytes(const struct attributes *a)
{
	size_t bytes = a->path_length * 12 + a->communities_count * 15 + a->large_count * 28, i;

	if (a->as_path != NULL)
		bytes += strlen(a->as_path);
	for (i = 0; i < a->ext_count; i++)
		bytes += 4 + strlen(a->ext[i]);
	return bytes;
}

void
attributes_read(struct decoder *d, struct attribute_state *s, json_t *object)
{
	struct path_lists path = { 0 };
	const char *key;
	json_t *value;

	memset(s, 0, sizeof(*s));
	s->attributes.med = s->attributes.local_pref = s->attributes.origin_asn = MESSAGE_NO_NUMBER;
	if (object != NULL) {
		value_object(d, object, "attribute");
		json_object_foreach(object, key, value)
			attribute_read(d, s, &path, key, value);
	}
	path_read(d, &s->attributes, &path);
	s->attributes.bytes = attributes_bytes(&s->attributes);
	if (s->others != NULL)
		s->attributes.others = decoder_dump(d, s->others);
}

/*
 * The others and a next hop that is not the routes' own.  There are few different ones, but a line
 * that was made up may have thousands of next hops, and others of megabytes.
 */
static const char *
others_with(struct decoder *d, struct attribute_state *s, const char *next_hop, const char *link_local)
{
	const char **added = &s->added[next_hop != NULL][link_local != NULL];
	json_t *others;

	if (link_local != NULL && (s->link_local == NULL || strcmp(link_local, s->link_local) != 0)) {
		s->added[0][1] = s->added[1][1] = NULL;
		s->link_local = link_local;
	}
	if (*added != NULL)
		return *added;
	others = s->others != NULL ? json_copy(s->others) : json_object();
	if (others == NULL ||
	    (next_hop != NULL && json_object_set_new(others, "next-hop", json_string(next_hop)) == -1) ||
	    (link_local != NULL && json_object_set_new(others, "link-local-next-hop", json_string(link_local)) == -1))
		decoder_fail(d, "the line needs too much memory to decode");
	*added = decoder_dump(d, others);
	s->added_bytes += strlen(*added);
	if (s->added_bytes > ADDED_LIMIT)
		decoder_fail(d, "too many link-local next hops for attributes of this size");
	return *added;
}

/* the attributes of the routes with one next hop: with what that adds to the others */
const struct attributes *
attributes_for(struct decoder *d, struct attribute_state *s, const char *next_hop, const char *link_local)
{
	struct attributes *a;

	/* main repeats the next hop as an attribute; kept only where it says something else */
	if (s->next_hop != NULL && next_hop != NULL && strcmp(s->next_hop, next_hop) == 0)
		next_hop = NULL;
	else
		next_hop = s->next_hop;
	a = decoder_take(d, sizeof(*a));
	*a = s->attributes;
	if (next_hop != NULL || link_local != NULL)
		a->others = others_with(d, s, next_hop, link_local);
	return a;
}
