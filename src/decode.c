#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "arena.h"
#include "buf.h"
#include "decode.h"
#include "dialect.h"

/*
 * An UPDATE of 64 KiB (RFC 8654) cannot need more than some 30 MiB; a made-up line
 * of 16 MiB can.
 */
#define ARENA_LIMIT	((size_t)1024 * 1024 * 1024)
#define TIME_MAX_S	4102444800.0	/* 2100-01-01 */
#define DUMP_FLAGS	(JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY)

struct decoder {
	struct arena	*arena;
	struct buf	 repaired;
	struct message	 message;
	jmp_buf		 bad_line;	/* where fail() goes, message.reason set */
	/* the UPDATE under way */
	struct route	*routes;
	size_t		 routes_count;
	size_t		 routes_size;
};

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

/* the line is quarantined for this reason */
static void fail(struct decoder *, const char *, ...)
    __attribute__((__noreturn__, __format__(__printf__, 2, 3)));

static void
fail(struct decoder *d, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	d->message.reason = arena_vprintf(d->arena, format, ap);
	va_end(ap);
	if (d->message.reason == NULL)
		d->message.reason = "the line needs too much memory to decode";
	longjmp(d->bad_line, 1);
}

static void *
take(struct decoder *d, size_t size)
{
	void *p = arena_alloc(d->arena, size);

	if (p == NULL)
		fail(d, "the line needs too much memory to decode");
	return p;
}

/* short text of any JSON value, for reasons */
static const char *
shown(struct decoder *d, const json_t *value)
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

static const char *
dump(struct decoder *d, const json_t *value)
{
	const char *text = json_dumps(value, DUMP_FLAGS);

	if (text == NULL)
		fail(d, "the line needs too much memory to decode");
	return text;
}

/* decimal digits only, at most max */
static bool
parse_decimal(const char *text, uint64_t max, uint64_t *out)
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

static bool
as_unsigned(const json_t *value, uint64_t max, uint64_t *out)
{
	json_int_t n = json_integer_value(value);

	if (!json_is_integer(value) || n < 0 || (uint64_t)n > max)
		return false;
	*out = (uint64_t)n;
	return true;
}

/* the same where 3.4 writes a string, or dialect.c made one of a number too big for jansson */
static bool
as_unsigned_or_text(const json_t *value, uint64_t max, uint64_t *out)
{
	if (json_is_string(value))
		return parse_decimal(json_string_value(value), max, out);
	return as_unsigned(value, max, out);
}

static uint32_t
get_u32(struct decoder *d, const json_t *value, const char *what)
{
	uint64_t n;

	if (!as_unsigned(value, UINT32_MAX, &n))
		fail(d, "%s is %s, not a whole number from 0 to 4294967295", what, shown(d, value));
	return (uint32_t)n;
}

static const char *
get_string(struct decoder *d, const json_t *value, const char *what)
{
	if (!json_is_string(value))
		fail(d, "%s is %s, not a string", what, shown(d, value));
	return json_string_value(value);
}

static json_t *
get_object(struct decoder *d, json_t *value, const char *what)
{
	if (!json_is_object(value))
		fail(d, "%s is %s, not an object", what, shown(d, value));
	return value;
}

static json_t *
get_array(struct decoder *d, json_t *value, const char *what)
{
	if (!json_is_array(value))
		fail(d, "%s is %s, not a list", what, shown(d, value));
	return value;
}

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

static void
segment_read(struct decoder *d, struct segment *s, enum segment_type type, json_t *list)
{
	size_t i;

	get_array(d, list, "a segment of as-path");
	s->type = type;
	s->count = json_array_size(list);
	s->asns = take(d, s->count * sizeof(*s->asns));
	for (i = 0; i < s->count; i++)
		s->asns[i] = get_u32(d, json_array_get(list, i), "an ASN of as-path");
	if (s->count > 1 && (type == SEGMENT_SET || type == SEGMENT_CONFED_SET))
		qsort(s->asns, s->count, sizeof(*s->asns), compare_u32);
}

static char *
append_u32(char *p, uint32_t n)
{
	char digits[10];
	int i = 0;

	do {
		digits[i++] = (char)('0' + n % 10);
		n /= 10;
	} while (n > 0);
	while (i > 0)
		*p++ = digits[--i];
	return p;
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
		p = append_u32(p, s->asns[i]);
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
	path = take(d, asns * sizeof(*path));
	a->path = path;
	a->path_length = asns;
	for (i = 0; i < count; i++)
		if (segments[i].count > 0 && (segments[i].type == SEGMENT_SEQUENCE || segments[i].type == SEGMENT_SET)) {
			memcpy(path, segments[i].asns, segments[i].count * sizeof(*path));
			path += segments[i].count;
		}
	/* RFC 6811 section 2: the origin is that of a final AS_SEQUENCE */
	if (last != NULL && last->type == SEGMENT_SEQUENCE)
		a->origin_asn = last->asns[last->count - 1];
	if (plain)
		return;
	p = take(d, total * 11 + count * 3 + 1);
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
	fail(d, "a segment of as-path is of the unknown type \"%.64s\"", element);
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
	struct numbered *order = take(d, count * sizeof(*order));
	struct segment *segments = take(d, count * sizeof(*segments));
	const char *key;
	json_t *value;

	json_object_foreach(object, key, value) {
		if (!parse_decimal(key, UINT32_MAX, &order[i].number))
			fail(d, "as-path has the key \"%.64s\", not a number", key);
		order[i++].value = get_object(d, value, "a segment of as-path");
	}
	if (count > 1)
		qsort(order, count, sizeof(*order), compare_numbered);
	for (i = 0; i < count; i++) {
		const char *element = get_string(d, json_object_get(order[i].value, "element"),
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
		fail(d, "%s is %s, not a list of %zu numbers", what, shown(d, value), n);
	for (i = 0; i < n; i++) {
		if (!as_unsigned(json_array_get(value, i), max, &number))
			fail(d, "%s is %s, whose numbers are not all from 0 to %" PRIu64, what, shown(d, value), max);
		numbers[i] = (uint32_t)number;
	}
}

/* RFC 1997 */
static void
communities_read(struct decoder *d, struct attributes *a, json_t *list)
{
	size_t n = json_array_size(get_array(d, list, "community")), i;
	struct community *c = take(d, n * sizeof(*c));
	uint32_t numbers[2];

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
	size_t n = json_array_size(get_array(d, list, "large-community")), i;
	struct large_community *c = take(d, n * sizeof(*c));
	uint32_t numbers[3];

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
	if (!as_unsigned_or_text(bits, UINT64_MAX, &n))
		fail(d, "an extended community is %s", shown(d, value));
	text = arena_printf(d->arena, "0x%016" PRIx64, n);
	if (text == NULL)
		fail(d, "the line needs too much memory to decode");
	return text;
}

static void
ext_read(struct decoder *d, struct attributes *a, json_t *list)
{
	size_t n = json_array_size(get_array(d, list, "extended-community")), i;
	const char **c = take(d, n * sizeof(*c));

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
	bytes = take(d, n / 2);
	for (i = 0; i < n / 2; i++) {
		int high = hex_digit(text[2 + 2 * i]), low = hex_digit(text[3 + 2 * i]);

		if (high < 0 || low < 0)
			return NULL;
		bytes[i] = (uint8_t)(high << 4 | low);
	}
	*length = n / 2;
	return bytes;
}

static uint32_t
read_u32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
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
		return json_object_set_new(others, "otc", json_integer(read_u32(bytes))) == 0;
	if (code != CODE_LARGE_COMMUNITY || length == 0 || length % 12 != 0 || a->large != NULL)
		return false;
	c = take(d, length / 12 * sizeof(*c));
	for (i = 0; i < length / 12; i++) {
		c[i].global = read_u32(bytes + 12 * i);
		c[i].local[0] = read_u32(bytes + 12 * i + 4);
		c[i].local[1] = read_u32(bytes + 12 * i + 8);
	}
	a->large = c;
	a->large_count = sort_unique(c, length / 12, sizeof(*c), compare_large);
	return true;
}

/* --- attributes ----------------------------------------------------------------- */

struct attribute_state {
	struct attributes	attributes;
	json_t			*others;	/* what has no column, or NULL */
	const char		*next_hop;	/* main has it here as well */
};

static char
origin_read(struct decoder *d, json_t *value)
{
	const char *text = get_string(d, value, "origin");

	if (strcmp(text, "igp") == 0)
		return 'i';
	if (strcmp(text, "egp") == 0)
		return 'e';
	if (strcmp(text, "incomplete") == 0)
		return '?';
	fail(d, "origin is \"%.64s\", not igp, egp or incomplete", text);
}

/* ASN:ADDRESS, RFC 4271 section 5.1.7 */
static const char *
aggregator_read(struct decoder *d, json_t *value)
{
	const char *text = get_string(d, value, "aggregator"), *colon = strchr(text, ':');
	struct inet address;
	char asn[11];
	uint64_t n;

	if (colon != NULL && (size_t)(colon - text) < sizeof(asn)) {
		memcpy(asn, text, (size_t)(colon - text));
		asn[colon - text] = '\0';
		if (parse_decimal(asn, UINT32_MAX, &n) && inet_parse_address(&address, colon + 1))
			return text;
	}
	fail(d, "aggregator is \"%.64s\", not ASN:ADDRESS", text);
}

static void
other_add(struct decoder *d, struct attribute_state *s, const char *key, json_t *value)
{
	if ((s->others == NULL && (s->others = json_object()) == NULL) || json_object_set(s->others, key, value) == -1)
		fail(d, "the line needs too much memory to decode");
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
		a->med = get_u32(d, value, "med");
	else if (strcmp(key, "local-preference") == 0)
		a->local_pref = get_u32(d, value, "local-preference");
	else if (strcmp(key, "large-community") == 0)
		large_read(d, a, value);
	else if (strcmp(key, "extended-community") == 0)
		ext_read(d, a, value);
	else if (strcmp(key, "aggregator") == 0)
		a->aggregator = aggregator_read(d, value);
	else if (strcmp(key, "atomic-aggregate") == 0) {
		if (!json_is_boolean(value))
			fail(d, "atomic-aggregate is %s, not true or false", shown(d, value));
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
				fail(d, "the line needs too much memory to decode");
			if (unknown_read(d, a, known, key, value)) {
				if (json_object_size(known) > 0)
					s->others = known;
				return;
			}
		}
		other_add(d, s, key, value);
	}
}

static void
attributes_read(struct decoder *d, struct attribute_state *s, json_t *object)
{
	struct path_lists path = { 0 };
	const char *key;
	json_t *value;

	memset(s, 0, sizeof(*s));
	s->attributes.med = s->attributes.local_pref = s->attributes.origin_asn = MESSAGE_NO_NUMBER;
	if (object != NULL) {
		get_object(d, object, "attribute");
		json_object_foreach(object, key, value)
			attribute_read(d, s, &path, key, value);
	}
	path_read(d, &s->attributes, &path);
	if (s->others != NULL)
		s->attributes.others = dump(d, s->others);
}

/* the attributes of the routes with one next hop: with what that adds to the others */
static const struct attributes *
attributes_for(struct decoder *d, struct attribute_state *s, const char *next_hop, const char *link_local)
{
	struct attributes *a;
	json_t *others;

	/* main repeats the next hop as an attribute; kept only where it says something else */
	if (s->next_hop != NULL && next_hop != NULL && strcmp(s->next_hop, next_hop) == 0)
		next_hop = NULL;
	else
		next_hop = s->next_hop;
	a = take(d, sizeof(*a));
	*a = s->attributes;
	if (next_hop == NULL && link_local == NULL)
		return a;
	others = s->others != NULL ? json_copy(s->others) : json_object();
	if (others == NULL ||
	    (next_hop != NULL && json_object_set_new(others, "next-hop", json_string(next_hop)) == -1) ||
	    (link_local != NULL && json_object_set_new(others, "link-local-next-hop", json_string(link_local)) == -1))
		fail(d, "the line needs too much memory to decode");
	a->others = dump(d, others);
	return a;
}

/* --- NLRI ------------------------------------------------------------------------ */

struct family {
	const char	*name;
	const char	*stored;	/* NULL where the prefix tells */
	int		 version;	/* of addresses, 0 if neither */
	bool		 is_prefix;	/* its NLRI must be prefixes */
};

static void
family_read(struct decoder *d, struct family *f, const char *name)
{
	static const char *const of_prefixes[] = { "unicast", "multicast", "nlri-mpls", "labeled-unicast",
		"mpls-vpn", NULL };
	const char *space = strchr(name, ' '), *const *safi;

	if (space == NULL || strlen(name) > 64)
		fail(d, "\"%.64s\" is not an address family", name);
	f->name = f->stored = name;
	f->version = strncmp(name, "ipv4 ", 5) == 0 ? 4 : strncmp(name, "ipv6 ", 5) == 0 ? 6 : 0;
	f->is_prefix = false;
	for (safi = of_prefixes; *safi != NULL; safi++)
		if (f->version != 0 && strcmp(space + 1, *safi) == 0)
			f->is_prefix = true;
	if (f->version != 0 && strcmp(space + 1, "unicast") == 0)
		f->stored = NULL;
}

static struct route *
route_add(struct decoder *d)
{
	struct route *r;

	if (d->routes_count == d->routes_size) {
		size_t size = d->routes_size == 0 ? 32 : d->routes_size * 2;
		struct route *more = take(d, size * sizeof(*more));

		if (d->routes_count > 0)
			memcpy(more, d->routes, d->routes_count * sizeof(*more));
		d->routes = more;
		d->routes_size = size;
	}
	r = &d->routes[d->routes_count++];
	memset(r, 0, sizeof(*r));
	r->path_id = MESSAGE_NO_NUMBER;
	return r;
}

/* RFC 7911: ExaBGP writes the 32 bits as a dotted quad */
static int64_t
path_id_read(struct decoder *d, json_t *value)
{
	struct inet quad;
	uint64_t n;

	if (json_is_string(value) && inet_parse_address(&quad, json_string_value(value)) && quad.family == 4)
		return read_u32(quad.address);
	if (!as_unsigned(value, UINT32_MAX, &n))
		fail(d, "path-information is %s, not a 32-bit number", shown(d, value));
	return (int64_t)n;
}

/* [16,17] (3.4), [[16],[17]] (4.x), [[16,257],[17,273]] (main: with the 24 bits on the wire) */
static bool
labels_read(struct decoder *d, struct route *r, json_t *value)
{
	size_t n = json_array_size(value), i;
	int32_t *labels;
	uint64_t label;

	if (!json_is_array(value))
		return false;
	labels = take(d, n * sizeof(*labels));
	for (i = 0; i < n; i++) {
		json_t *entry = json_array_get(value, i);

		if (json_is_array(entry))
			entry = json_array_get(entry, 0);
		if (!as_unsigned(entry, 0xffffff, &label))
			return false;
		labels[i] = (int32_t)label;
	}
	r->labels = labels;
	r->labels_count = n;
	return true;
}

static void
prefix_read(struct decoder *d, struct route *r, const struct family *f, const char *text)
{
	if (!inet_parse_prefix(&r->prefix, text))
		fail(d, "\"%.64s\" is not a prefix", text);
	if (f->version != 0 && r->prefix.family != f->version)
		fail(d, "\"%.64s\" is not a prefix of %s", text, f->name);
	r->family = f->stored;
}

/*
 * The members of one NLRI.  Of a prefix family all have columns, else the whole
 * NLRI is kept as JSON, with rd, labels and path_id beside it where they are plain.
 */
static void
nlri_read_members(struct decoder *d, struct route *r, const struct family *f, json_t *object)
{
	bool whole = !f->is_prefix;
	const char *key;
	json_t *value;

	json_object_foreach(object, key, value) {
		if (strcmp(key, "nlri") == 0)
			continue;
		if (strcmp(key, "path-information") == 0)
			r->path_id = path_id_read(d, value);
		else if (strcmp(key, "rd") == 0 || strcmp(key, "route-distinguisher") == 0)
			r->rd = get_string(d, value, "rd");
		else if (strcmp(key, "label") == 0) {
			if (!labels_read(d, r, value) && f->is_prefix)
				fail(d, "label is %s", shown(d, value));
		} else
			whole = true;
	}
	if (whole) {
		r->family = f->name;
		r->nlri = dump(d, object);
	}
}

/* 4.x and later: { "nlri": "192.0.2.0/24", .. }, or the bare string (api.compact) */
static void
nlri_read(struct decoder *d, struct route *r, const struct family *f, json_t *item)
{
	json_t *text = item;

	if (json_is_object(item))
		text = json_object_get(item, "nlri");
	else if (!json_is_string(item))
		fail(d, "an NLRI of %s is %s", f->name, shown(d, item));
	if (f->is_prefix)
		prefix_read(d, r, f, get_string(d, text, "nlri"));
	r->family = f->stored;
	if (json_is_object(item))
		nlri_read_members(d, r, f, item);
	else if (!f->is_prefix) {
		r->family = f->name;
		r->nlri = dump(d, item);
	}
}

/* 3.4: the prefix is the key; of flow and the like the key is a mere number "flow-0" */
static void
nlri_read_keyed(struct decoder *d, struct route *r, const struct family *f, const char *key, json_t *value)
{
	const char *mark = strchr(key, DIALECT_KEY_MARK);

	get_object(d, value, "an NLRI");
	if (f->is_prefix) {
		if (mark != NULL) {
			char *copy = take(d, (size_t)(mark - key) + 1);

			memcpy(copy, key, (size_t)(mark - key));
			copy[mark - key] = '\0';
			key = copy;
		}
		prefix_read(d, r, f, key);
	}
	nlri_read_members(d, r, f, value);
}

/* all NLRI of one family with one next hop, or withdrawn; a list, or an object by prefix in 3.4 */
static void
nlris_read(struct decoder *d, const struct family *f, json_t *container, bool announce,
    const struct inet *next_hop, const struct attributes *attributes)
{
	const char *key;
	json_t *item;
	size_t i;

	if (!json_is_array(container) && !json_is_object(container))
		fail(d, "the NLRI of %s are %s, not a list", f->name, shown(d, container));
	if (json_is_array(container)) {
		json_array_foreach(container, i, item) {
			struct route *r = route_add(d);

			nlri_read(d, r, f, item);
			r->announce = announce;
			r->attributes = attributes;
			if (next_hop != NULL)
				r->next_hop = *next_hop;
		}
		return;
	}
	json_object_foreach(container, key, item) {
		struct route *r = route_add(d);

		nlri_read_keyed(d, r, f, key, item);
		r->announce = announce;
		r->attributes = attributes;
		if (next_hop != NULL)
			r->next_hop = *next_hop;
	}
}

static int
compare_route_key(const void *a, const void *b)
{
	const struct route *x = *(const struct route *const *)a, *y = *(const struct route *const *)b;
	const char *fx = x->family == NULL ? "" : x->family, *fy = y->family == NULL ? "" : y->family;
	const char *rx = x->rd == NULL ? "" : x->rd, *ry = y->rd == NULL ? "" : y->rd;
	int c;

	if ((c = inet_compare(&x->prefix, &y->prefix)) != 0)
		return c;
	if (x->path_id != y->path_id)
		return x->path_id < y->path_id ? -1 : 1;
	if ((c = strcmp(fx, fy)) != 0 || (c = strcmp(rx, ry)) != 0)
		return c;
	if (x->nlri == NULL || y->nlri == NULL)
		return (x->nlri != NULL) - (y->nlri != NULL);
	return strcmp(x->nlri, y->nlri);
}

/* copies of the routes of [from, to), since the array moves while routes are added */
static const struct route **
routes_sorted(struct decoder *d, size_t from, size_t to)
{
	const struct route **sorted = take(d, (to - from) * sizeof(*sorted));
	struct route *copies = take(d, (to - from) * sizeof(*copies));
	size_t i;

	for (i = from; i < to; i++) {
		copies[i - from] = d->routes[i];
		sorted[i - from] = &copies[i - from];
	}
	if (to - from > 1)
		qsort(sorted, to - from, sizeof(*sorted), compare_route_key);
	return sorted;
}

/* drops the routes of [from, to) that are among sorted as well */
static void
routes_drop(struct decoder *d, size_t from, size_t to, const struct route **sorted, size_t count)
{
	struct route *kept;
	size_t i, n = 0;

	kept = take(d, (to - from) * sizeof(*kept));
	for (i = from; i < to; i++) {
		const struct route *key = &d->routes[i];

		if (count == 0 || bsearch(&key, sorted, count, sizeof(*sorted), compare_route_key) == NULL)
			kept[n++] = *key;
	}
	if (n > 0)
		memcpy(&d->routes[from], kept, n * sizeof(*kept));
	memmove(&d->routes[from + n], &d->routes[to], (d->routes_count - to) * sizeof(*d->routes));
	d->routes_count -= (to - from) - n;
}

static bool
next_hop_read(struct decoder *d, struct inet *next_hop, const char *text)
{
	memset(next_hop, 0, sizeof(*next_hop));
	if (strcmp(text, "no-nexthop") == 0 || strcmp(text, "null") == 0 || strcmp(text, "none") == 0 || *text == '\0')
		return false;
	if (!inet_parse_address(next_hop, text))
		fail(d, "next hop \"%.64s\" is not an address", text);
	return true;
}

/*
 * RFC 2545 section 3: an IPv6 route may have a global and a link-local next hop.
 * 3.4, 4.x and 5.x list its prefix under both: one route, with the global one, the
 * other in its attributes.
 */
static void
announce_family(struct decoder *d, struct attribute_state *s, const struct family *f, json_t *by_next_hop)
{
	const char *link_local = NULL, *text;
	const struct route **local_sorted = NULL, **global_sorted;
	size_t local_from = d->routes_count, local_count, global_from;
	struct inet next_hop, local_next_hop = { 0 };
	bool global = false;
	json_t *nlris;

	get_object(d, by_next_hop, "announce");
	json_object_foreach(by_next_hop, text, nlris) {
		next_hop_read(d, &next_hop, text);
		if (inet_is_link_local(&next_hop)) {
			link_local = text;
			local_next_hop = next_hop;
		} else
			global = true;
	}
	if (link_local == NULL || !global) {
		json_object_foreach(by_next_hop, text, nlris) {
			bool some = next_hop_read(d, &next_hop, text);

			nlris_read(d, f, nlris, true, &next_hop, attributes_for(d, s, some ? text : NULL, NULL));
		}
		return;
	}
	nlris_read(d, f, json_object_get(by_next_hop, link_local), true, &local_next_hop,
	    attributes_for(d, s, link_local, NULL));
	local_count = d->routes_count - local_from;
	local_sorted = routes_sorted(d, local_from, d->routes_count);
	global_from = d->routes_count;
	json_object_foreach(by_next_hop, text, nlris) {
		const struct attributes *with, *without;
		size_t from = d->routes_count, i;

		if (strcmp(text, link_local) == 0)
			continue;
		next_hop_read(d, &next_hop, text);
		with = attributes_for(d, s, text, link_local);
		without = attributes_for(d, s, text, NULL);
		nlris_read(d, f, nlris, true, &next_hop, with);
		for (i = from; i < d->routes_count; i++) {
			const struct route *key = &d->routes[i];

			if (bsearch(&key, local_sorted, local_count, sizeof(*local_sorted), compare_route_key) == NULL)
				d->routes[i].attributes = without;
		}
	}
	global_sorted = routes_sorted(d, global_from, d->routes_count);
	routes_drop(d, local_from, global_from, global_sorted, d->routes_count - global_from);
}

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
		fail(d, "afi and safi are %s and %s", shown(d, json_object_get(object, "afi")),
		    shown(d, json_object_get(object, "safi")));
	if ((name = arena_printf(d->arena, "%.32s %.32s", afi, safi)) == NULL)
		fail(d, "the line needs too much memory to decode");
	return name;
}

static void
eor_read(struct decoder *d, json_t *eor)
{
	d->message.kind = MESSAGE_SESSION;
	d->message.event = "eor";
	d->message.family = family_name(d, eor);
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
		get_object(d, withdraw, "withdraw");
		json_object_foreach(withdraw, name, value) {
			family_read(d, &f, name);
			nlris_read(d, &f, value, false, NULL, NULL);
		}
	}
	withdrawn = d->routes_count;
	if (announce != NULL) {
		get_object(d, announce, "announce");
		attributes_read(d, &s, json_object_get(update, "attribute"));
		json_object_foreach(announce, name, value) {
			family_read(d, &f, name);
			announce_family(d, &s, &f, value);
		}
	}
	if (d->routes_count == 0)
		fail(d, "the update announces and withdraws nothing");
	if (withdrawn > 0 && d->routes_count > withdrawn) {
		const struct route **announced = routes_sorted(d, withdrawn, d->routes_count);

		routes_drop(d, 0, withdrawn, announced, d->routes_count - withdrawn);
	}
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
	fail(d, "a raw packet that is not decoded: set \"parsed\" and \"consolidate\" beside \"packets\" in the api section");
}

static void
update_message(struct decoder *d, json_t *neighbor)
{
	json_t *message = get_object(d, json_object_get(neighbor, "message"), "message"), *value;

	if (was_sent(neighbor)) {
		d->message.kind = MESSAGE_IGNORED;
		return;
	}
	if ((value = json_object_get(message, "eor")) != NULL)
		eor_read(d, value);
	else if ((value = json_object_get(message, "update")) != NULL)
		update_read(d, get_object(d, value, "update"));
	else if (json_object_get(message, "body") != NULL)
		raw_read(d, neighbor, message);
	else
		fail(d, "the update has neither update nor eor");
}

/* what a session event says besides the peer, or NULL */
static const char *
session_detail(struct decoder *d, json_t *neighbor)
{
	static const char *const known[] = { "address", "asn", "ip", "router-id", "state", NULL };
	json_t *detail = json_copy(neighbor);
	const char *const *key, *reason;

	if (detail == NULL)
		fail(d, "the line needs too much memory to decode");
	for (key = known; *key != NULL; key++)
		json_object_del(detail, *key);
	reason = json_string_value(json_object_get(detail, "reason"));
	if (reason != NULL && *reason == '\0')
		json_object_del(detail, "reason");
	return json_object_size(detail) == 0 ? NULL : dump(d, detail);
}

static void
state_message(struct decoder *d, json_t *neighbor)
{
	const char *state = get_string(d, json_object_get(neighbor, "state"), "state");

	if (strcmp(state, "up") == 0)
		d->message.state = PEER_STATE_UP;
	else if (strcmp(state, "down") == 0)
		d->message.state = PEER_STATE_DOWN;
	else if (strcmp(state, "connected") != 0)
		fail(d, "state is \"%.64s\", not connected, up or down", state);
	d->message.event = state;
}

static void
open_message(struct decoder *d, json_t *neighbor)
{
	json_t *open = json_object_get(neighbor, "open");
	const char *router_id = json_string_value(json_object_get(open, "router_id"));

	d->message.event = "open";
	if (!was_sent(neighbor) && router_id != NULL && !inet_parse_address(&d->message.router_id, router_id))
		memset(&d->message.router_id, 0, sizeof(d->message.router_id));
}

static void
refresh_message(struct decoder *d, json_t *neighbor)
{
	d->message.event = "refresh";
	if (json_is_object(json_object_get(neighbor, "route-refresh")))
		d->message.family = family_name(d, json_object_get(neighbor, "route-refresh"));
}

static void
fsm_message(struct decoder *d, json_t *neighbor)
{
	json_t *detail = json_object();

	if (detail == NULL || json_object_set(detail, "state", json_object_get(neighbor, "state")) == -1)
		fail(d, "state is absent");
	d->message.event = "fsm";
	d->message.detail = dump(d, detail);
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
	else if (strcmp(type, "refresh") == 0 || strcmp(type, "route refresh") == 0 || strcmp(type, "route-refresh") == 0)
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
		fail(d, "unknown message type \"%.64s\"", type);
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
		fail(d, "%s is %s, not an address", what, shown(d, value));
}

static int64_t
asn_read(struct decoder *d, json_t *value, const char *what)
{
	uint64_t n;

	if (value == NULL || json_is_null(value))
		return MESSAGE_NO_NUMBER;
	if (!as_unsigned_or_text(value, UINT32_MAX, &n))
		fail(d, "%s is %s, not a whole number from 0 to 4294967295", what, shown(d, value));
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
		fail(d, "neighbor.address.peer is absent");
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
		fail(d, "time is %s, not a number", shown(d, value));
	seconds = json_number_value(value);
	if (!(seconds >= 0 && seconds < TIME_MAX_S))
		fail(d, "time is %s, not in the years 1970 to 2099", shown(d, value));
	return json_is_integer(value) ? (int64_t)json_integer_value(value) * 1000000 : llround(seconds * 1e6);
}

static int64_t
number_or_none(json_t *value)
{
	uint64_t n;

	return as_unsigned_or_text(value, INT64_MAX, &n) ? (int64_t)n : MESSAGE_NO_NUMBER;
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
		fail(d, "not a message of ExaBGP: it has no \"exabgp\"");
	}
	d->message.pid = number_or_none(json_object_get(root, "pid"));
	d->message.counter = number_or_none(json_object_get(root, "counter"));
	d->message.time_us = time_read(d, json_object_get(root, "time"));
	name = get_string(d, type, "type");
	if (neighbor == NULL && strcmp(name, "notification") == 0) {
		/* ExaBGP ends: "notification": "shutdown", of no peer */
		json_t *detail = json_object();

		if (detail == NULL || json_object_set(detail, "notification", json_object_get(root, "notification")) == -1)
			fail(d, "a notification without neighbor and notification");
		d->message.kind = MESSAGE_SESSION;
		d->message.event = "notification";
		d->message.detail = dump(d, detail);
		return;
	}
	peer_read(d, get_object(d, neighbor, "neighbor"));
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
		if (json_error_code(&error) == json_error_out_of_memory)
			fail(d, "the line needs too much memory to decode");
		fail(d, "not valid JSON: %s (byte %d)", error.text, error.position);
	}
	return root;
}

static void
line_read(struct decoder *d, const char *line, size_t length)
{
	if (length > MESSAGE_LINE_MAX) {
		envelope_scan(&d->message, line, length);
		fail(d, "the line is longer than 16 MiB");
	}
	switch (dialect_classify(line, length)) {
	case DIALECT_EMPTY:
	case DIALECT_ANSWER:
		d->message.kind = MESSAGE_IGNORED;
		return;
	case DIALECT_TEXT_ENCODER:
		d->message.text_encoder = true;
		fail(d, "a line of ExaBGP's text encoder: set \"encoder json\" in the process section");
	case DIALECT_UNKNOWN:
		fail(d, "not JSON and no answer to a command");
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
