/*
 * copy_check.h - reads a batch's binary COPY streams again, as PostgreSQL would, and
 * checks what a row must be whatever the line was (PostgreSQL manual, COPY, "Binary
 * Format"; the receive functions of the types).
 */
#ifndef COPY_CHECK_H
#define COPY_CHECK_H

#include <arpa/inet.h>
#include <inttypes.h>

#include <jansson.h>

#include "batch.h"
#include "fuzz.h"

#define COPY_HEADER_BYTES	19
/* microseconds since 2000: MIN_TIMESTAMP and END_TIMESTAMP of datatype/timestamp.h */
#define COPY_TIME_MIN		INT64_C(-211813488000000000)
#define COPY_TIME_END		INT64_C(9223371331200000000)
#define COPY_COLUMNS_MAX	25

struct copy_field {
	const uint8_t	*data;		/* NULL: NULL */
	size_t		 length;
};

/* columns in the order of batch.c's statements */
enum { R_PEER_ID, R_TS, R_SEQ, R_REFRESHED, R_REPEATED, R_KIND, R_PREFIX, R_PATH_ID, R_FAMILY, R_RD, R_LABELS, R_NLRI,
	R_NEXT_HOP, R_ORIGIN_ASN, R_MED, R_LOCAL_PREF, R_ORIGIN, R_ATOMIC, R_PATH, R_AS_PATH, R_COMMUNITIES, R_LARGE,
	R_EXT, R_AGGREGATOR, R_ATTRIBUTES, R_COLUMNS };

static inline uint64_t
copy_number(const uint8_t *p, size_t n)
{
	uint64_t value = 0;

	while (n-- > 0)
		value = value << 8 | *p++;
	return value;
}

static inline int64_t
copy_int8(const struct copy_field *f)
{
	FUZZ_CHECK(f->data != NULL && f->length == 8);
	return (int64_t)copy_number(f->data, 8);
}

/* one field at *p, which is moved behind it */
static inline struct copy_field
copy_take(const uint8_t **p, const uint8_t *end)
{
	struct copy_field f = { 0 };
	uint32_t length;

	FUZZ_CHECK(end - *p >= 4);
	length = (uint32_t)copy_number(*p, 4);
	*p += 4;
	if (length == UINT32_MAX)
		return f;
	FUZZ_CHECK(length <= INT32_MAX && (size_t)(end - *p) >= length);
	f.data = *p;
	f.length = length;
	*p += length;
	return f;
}

static inline void
copy_check_u32(const struct copy_field *f)
{
	if (f->data != NULL)
		FUZZ_CHECK(copy_int8(f) >= 0 && copy_int8(f) <= UINT32_MAX);
}

static inline void
copy_check_time(const struct copy_field *f)
{
	if (f->data != NULL)
		FUZZ_CHECK(copy_int8(f) >= COPY_TIME_MIN && copy_int8(f) < COPY_TIME_END);
}

static inline void
copy_check_text(const struct copy_field *f)
{
	if (f->data != NULL)
		fuzz_check_text(f->data, f->length);
}

static inline void
copy_check_jsonb(const struct copy_field *f)
{
	json_error_t error;
	json_t *value;

	if (f->data == NULL)
		return;
	FUZZ_CHECK(f->length >= 2 && f->data[0] == 1);
	fuzz_check_text(f->data + 1, f->length - 1);
	value = json_loadb((const char *)f->data + 1, f->length - 1, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &error);
	FUZZ_CHECK(value != NULL || json_error_code(&error) == json_error_out_of_memory);
	json_decref(value);
}

/* inet and cidr: network_recv() of PostgreSQL refuses host bits in a cidr */
static inline void
copy_check_inet(const struct copy_field *f, bool is_cidr)
{
	size_t bytes, bit;

	if (f->data == NULL)
		return;
	FUZZ_CHECK(f->length == 8 || f->length == 20);
	bytes = f->length - 4;
	FUZZ_CHECK(f->data[0] == (bytes == 4 ? 2 : 3) && f->data[2] == is_cidr && f->data[3] == bytes);
	FUZZ_CHECK(f->data[1] <= bytes * 8 && (is_cidr || f->data[1] == bytes * 8));
	for (bit = f->data[1]; is_cidr && bit < bytes * 8; bit++)
		FUZZ_CHECK((f->data[4 + bit / 8] & (0x80 >> bit % 8)) == 0);
}

/* a one-dimensional array without NULLs: its number of elements, *p at the first */
static inline size_t
copy_array(const struct copy_field *f, uint32_t type, const uint8_t **p)
{
	uint32_t dimensions;

	FUZZ_CHECK(f->length >= 12);
	dimensions = (uint32_t)copy_number(f->data, 4);
	FUZZ_CHECK(dimensions <= 1 && copy_number(f->data + 4, 4) == 0 && copy_number(f->data + 8, 4) == type);
	*p = f->data + 12;
	if (dimensions == 0) {
		FUZZ_CHECK(f->length == 12);
		return 0;
	}
	FUZZ_CHECK(f->length >= 20 && copy_number(f->data + 16, 4) == 1);
	*p += 8;
	return (size_t)copy_number(f->data + 12, 4);
}

static inline void
copy_check_labels(const struct copy_field *f)
{
	const uint8_t *p;
	size_t count;

	if (f->data == NULL)
		return;
	count = copy_array(f, 23, &p);
	FUZZ_CHECK(count > 0);
	while (count-- > 0) {
		struct copy_field label = copy_take(&p, f->data + f->length);

		FUZZ_CHECK(label.length == 4 && copy_number(label.data, 4) <= 0xffffff);
	}
	FUZZ_CHECK(p == f->data + f->length);
}

/* "A:B" or "A:B:C" as numbers of at most max */
static inline void
copy_community(const struct copy_field *f, size_t parts, uint64_t max, uint64_t *numbers)
{
	const uint8_t *p = f->data, *end = p + f->length;
	size_t i;

	for (i = 0; i < parts; i++) {
		const uint8_t *start = p;

		for (numbers[i] = 0; p < end && *p >= '0' && *p <= '9'; p++)
			numbers[i] = numbers[i] * 10 + (uint64_t)(*p - '0');
		FUZZ_CHECK(p > start && p - start <= 10 && (*start != '0' || p - start == 1) && numbers[i] <= max);
		if (i + 1 < parts)
			FUZZ_CHECK(p < end && *p++ == ':');
	}
	FUZZ_CHECK(p == end);
}

/* sorted by their numbers, each once */
static inline void
copy_check_communities(const struct copy_field *f, size_t parts, uint64_t max)
{
	uint64_t before[3] = { 0 }, now[3] = { 0 };
	const uint8_t *p;
	size_t count, i, k;

	if (f->data == NULL)
		return;
	count = copy_array(f, 25, &p);
	FUZZ_CHECK(count > 0);
	for (i = 0; i < count; i++) {
		struct copy_field text = copy_take(&p, f->data + f->length);

		FUZZ_CHECK(text.data != NULL);
		copy_community(&text, parts, max, now);
		for (k = 0; k < parts && now[k] == before[k]; k++)
			continue;
		FUZZ_CHECK(i == 0 || (k < parts && now[k] > before[k]));
		memcpy(before, now, sizeof(before));
	}
	FUZZ_CHECK(p == f->data + f->length);
}

static inline void
copy_check_ext(const struct copy_field *f)
{
	struct copy_field before = { 0 };
	const uint8_t *p;
	size_t count, i;

	if (f->data == NULL)
		return;
	count = copy_array(f, 25, &p);
	FUZZ_CHECK(count > 0);
	for (i = 0; i < count; i++) {
		struct copy_field text = copy_take(&p, f->data + f->length);
		size_t shorter = text.length < before.length ? text.length : before.length;
		int c;

		FUZZ_CHECK(text.data != NULL && text.length > 0);
		copy_check_text(&text);
		if (i > 0) {
			c = memcmp(before.data, text.data, shorter);
			FUZZ_CHECK(c < 0 || (c == 0 && before.length < text.length));
		}
		before = text;
	}
	FUZZ_CHECK(p == f->data + f->length);
}

/* one number of as_path; *p is moved behind it */
static inline uint64_t
copy_path_number(const uint8_t **p, const uint8_t *end)
{
	const uint8_t *start = *p;
	uint64_t n = 0;

	for (; *p < end && **p >= '0' && **p <= '9'; (*p)++)
		n = n * 10 + (uint64_t)(**p - '0');
	FUZZ_CHECK(*p > start && *p - start <= 10 && n <= UINT32_MAX);
	return n;
}

/* as_path, path and origin_asn say the same; as_path NULL: path is one AS_SEQUENCE */
static inline void
copy_check_path(const struct copy_field *path, const struct copy_field *as_path, const struct copy_field *origin)
{
	const uint8_t *element, *p = as_path->data, *end;
	size_t count = copy_array(path, 20, &element), seen = 0, i;
	uint64_t last = 0;
	bool sequence = as_path->data == NULL;

	FUZZ_CHECK(path->length == (count == 0 ? 12 : 20 + count * 12));
	for (i = 0; i < count; i++) {
		FUZZ_CHECK(copy_number(element + i * 12, 4) == 8);
		last = copy_number(element + i * 12 + 4, 8);
		FUZZ_CHECK(last <= UINT32_MAX);
	}
	FUZZ_CHECK(p == NULL || as_path->length > 0);
	end = p != NULL ? p + as_path->length : NULL;
	while (p < end) {
		int close = *p == '{' ? '}' : *p == '(' ? ')' : *p == '[' ? ']' : 0;
		bool confederation = *p == '(' || *p == '[', set = *p == '{' || *p == '[';
		uint64_t before = 0, n;

		p += close != 0;
		for (;;) {
			n = copy_path_number(&p, end);
			FUZZ_CHECK(!set || n >= before);
			before = n;
			if (!confederation)
				FUZZ_CHECK(seen < count && n == copy_number(element + seen++ * 12 + 4, 8));
			if (close == 0 || p >= end || *p != (set ? ',' : ' '))
				break;
			p++;
		}
		if (close != 0)
			FUZZ_CHECK(p < end && *p++ == close);
		sequence = close == 0;
		if (p < end)
			FUZZ_CHECK(*p++ == ' ' && p < end);
	}
	FUZZ_CHECK(as_path->data == NULL || seen == count);
	if (sequence && count > 0)
		FUZZ_CHECK(copy_int8(origin) == (int64_t)last);
	else
		FUZZ_CHECK(origin->data == NULL);
}

static inline void
copy_check_aggregator(const struct copy_field *f)
{
	char text[128], *colon;
	struct in6_addr address;

	if (f->data == NULL)
		return;
	FUZZ_CHECK(f->length < sizeof(text));
	memcpy(text, f->data, f->length);
	text[f->length] = '\0';
	colon = strchr(text, ':');
	FUZZ_CHECK(colon != NULL && colon > text);
	FUZZ_CHECK(strtoull(text, NULL, 10) <= UINT32_MAX);
	FUZZ_CHECK(inet_pton(AF_INET, colon + 1, &address) == 1 || inet_pton(AF_INET6, colon + 1, &address) == 1);
}

static inline void
copy_check_route(const struct copy_field *f)
{
	int i;

	FUZZ_CHECK(f[R_PEER_ID].length == 4 && f[R_TS].data != NULL && f[R_SEQ].length == 8);
	copy_check_time(&f[R_TS]);
	FUZZ_CHECK(f[R_REFRESHED].data == NULL || (f[R_REFRESHED].length == 1 && f[R_REFRESHED].data[0] == 1));
	FUZZ_CHECK(f[R_REPEATED].data == NULL || (f[R_REPEATED].length == 1 && f[R_REPEATED].data[0] == 1));
	FUZZ_CHECK(f[R_REPEATED].data == NULL || f[R_KIND].data[0] == 'A');
	FUZZ_CHECK(f[R_KIND].length == 1 && (f[R_KIND].data[0] == 'A' || f[R_KIND].data[0] == 'W'));
	copy_check_inet(&f[R_PREFIX], true);
	copy_check_inet(&f[R_NEXT_HOP], false);
	copy_check_u32(&f[R_PATH_ID]);
	copy_check_u32(&f[R_ORIGIN_ASN]);
	copy_check_u32(&f[R_MED]);
	copy_check_u32(&f[R_LOCAL_PREF]);
	copy_check_text(&f[R_FAMILY]);
	copy_check_text(&f[R_RD]);
	copy_check_labels(&f[R_LABELS]);
	copy_check_jsonb(&f[R_NLRI]);
	/* a family or a prefix tells what it is; what is no prefix is there as a whole */
	FUZZ_CHECK(f[R_PREFIX].data != NULL || (f[R_FAMILY].data != NULL && f[R_NLRI].data != NULL));
	if (f[R_KIND].data[0] == 'W') {
		for (i = R_NEXT_HOP; i < R_COLUMNS; i++)
			FUZZ_CHECK(f[i].data == NULL);
		return;
	}
	FUZZ_CHECK(f[R_ORIGIN].data == NULL ||
	    (f[R_ORIGIN].length == 1 && memchr("ie?", f[R_ORIGIN].data[0], 3) != NULL));
	FUZZ_CHECK(f[R_ATOMIC].length == 1 && f[R_ATOMIC].data[0] <= 1);
	FUZZ_CHECK(f[R_PATH].data != NULL);
	copy_check_path(&f[R_PATH], &f[R_AS_PATH], &f[R_ORIGIN_ASN]);
	copy_check_communities(&f[R_COMMUNITIES], 2, UINT16_MAX);
	copy_check_communities(&f[R_LARGE], 3, UINT32_MAX);
	copy_check_ext(&f[R_EXT]);
	copy_check_aggregator(&f[R_AGGREGATOR]);
	copy_check_jsonb(&f[R_ATTRIBUTES]);
}

/* ts, seq, peer_id, collector, event, family, detail */
static inline void
copy_check_session(const struct copy_field *f)
{
	FUZZ_CHECK(f[0].data != NULL && f[1].length == 8 && (f[2].data == NULL || f[2].length == 4));
	copy_check_time(&f[0]);
	FUZZ_CHECK(f[3].length > 0 && f[4].length > 0);
	copy_check_text(&f[3]);
	copy_check_text(&f[4]);
	copy_check_text(&f[5]);
	copy_check_jsonb(&f[6]);
}

/* ts, seq, collector, line, error */
static inline void
copy_check_error(const struct copy_field *f)
{
	FUZZ_CHECK(f[0].data != NULL && f[1].length == 8 && f[2].length > 0 && f[4].length > 0);
	copy_check_time(&f[0]);
	copy_check_text(&f[2]);
	copy_check_text(&f[3]);
	FUZZ_CHECK(f[3].length <= 4 * MESSAGE_LINE_KEPT);
	copy_check_text(&f[4]);
}

/* collector, from_ts, to_ts, lines, bytes, reason, peer_id */
static inline void
copy_check_gap(const struct copy_field *f)
{
	FUZZ_CHECK(f[0].length > 0 && f[5].data != NULL);
	copy_check_time(&f[1]);
	copy_check_time(&f[2]);
	FUZZ_CHECK(f[3].data == NULL || copy_int8(&f[3]) >= 0);
	FUZZ_CHECK(f[4].data == NULL || copy_int8(&f[4]) >= 0);
	copy_check_text(&f[0]);
	copy_check_text(&f[5]);
	FUZZ_CHECK(f[6].data == NULL || f[6].length == 4);
}

/* all rows of all tables */
static inline void
copy_check(const struct batch *b)
{
	static const struct {
		size_t	columns;
		void	(*check)(const struct copy_field *);
	} tables[BATCH_TABLES] = {
		{ R_COLUMNS, copy_check_route },
		{ 7, copy_check_session },
		{ 5, copy_check_error },
		{ 7, copy_check_gap },
	};
	static const char header[COPY_HEADER_BYTES + 1] = "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0";
	struct copy_field fields[COPY_COLUMNS_MAX];
	size_t rows, i;
	int t;

	for (t = 0; t < BATCH_TABLES; t++) {
		const uint8_t *p = b->copy[t].data, *end = p + b->copy[t].length;

		FUZZ_CHECK(b->copy[t].length >= COPY_HEADER_BYTES && memcmp(p, header, COPY_HEADER_BYTES) == 0);
		p += COPY_HEADER_BYTES;
		for (rows = 0; p < end; rows++) {
			FUZZ_CHECK(end - p >= 2 && copy_number(p, 2) == tables[t].columns);
			p += 2;
			for (i = 0; i < tables[t].columns; i++)
				fields[i] = copy_take(&p, end);
			tables[t].check(fields);
		}
		FUZZ_CHECK(rows == b->rows[t]);
	}
}

#endif
