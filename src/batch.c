#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "batch.h"
#include "decimal.h"
#include "novelty.h"
#include "peer.h"
#include "utf8.h"

#define EPOCH_US	INT64_C(946684800000000)	/* PostgreSQL counts from 2000-01-01 */
#define OID_INT4	23
#define OID_INT8	20
#define OID_TEXT	25
#define FAMILY_INET	2	/* PGSQL_AF_INET, PGSQL_AF_INET6 of utils/inet.h */
#define FAMILY_INET6	3

static const char header[] = "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0";	/* flags and extension are 0 */
#define HEADER_BYTES	19

/* columns in the order in which rows are encoded; the tail is the same for all prefixes of an UPDATE */
static const char *const statements[BATCH_TABLES] = {
	"COPY bgp.route_event (peer_id, ts, seq, refreshed, repeated, kind, prefix, path_id, family, rd, labels, nlri,"
	" next_hop, origin_asn, med, local_pref, origin, atomic_aggregate, path, as_path, communities,"
	" large_communities, ext_communities, aggregator, attributes) FROM STDIN (FORMAT binary)",
	"COPY bgp.session_log (ts, seq, peer_id, collector, event, family, detail) FROM STDIN (FORMAT binary)",
	"COPY bgp.ingest_error (ts, seq, collector, line, error) FROM STDIN (FORMAT binary)",
	"COPY bgp.ingest_gap (collector, from_ts, to_ts, lines, bytes, reason, peer_id) FROM STDIN (FORMAT binary)",
};

#define ROUTE_COLUMNS	25
#define TAIL_COLUMNS	12
#define SESSION_COLUMNS	7
#define ERROR_COLUMNS	5
#define GAP_COLUMNS	7

const char *
batch_copy_statement(enum batch_table table)
{
	return statements[table];
}

static void
peers_forget(struct batch *b)
{
	while (b->peers_count > 0)
		free(b->peers[--b->peers_count].refreshing);
}

void
batch_begin(struct batch *b, uint64_t number, const struct batch_position *from, int64_t seq)
{
	int i;

	for (i = 0; i < BATCH_TABLES; i++) {
		buf_clear(&b->copy[i]);
		buf_add(&b->copy[i], header, HEADER_BYTES);
		b->rows[i] = 0;
	}
	b->number = number;
	b->sealed = false;
	b->from = b->to = *from;
	b->seq = seq;
	b->lines = 0;
	b->first_ms = 0;
	b->first_us = MESSAGE_NO_NUMBER;
	b->pending_us = MESSAGE_NO_NUMBER;
	b->backlog_bytes = 0;
	peers_forget(b);
	b->tail_valid = false;
}

void
batch_free(struct batch *b)
{
	int i;

	for (i = 0; i < BATCH_TABLES; i++)
		buf_free(&b->copy[i]);
	peers_forget(b);
	buf_free(&b->tail);
	free(b->peers);
	memset(b, 0, sizeof(*b));
}

size_t
batch_rows(const struct batch *b)
{
	size_t rows = 0;
	int i;

	for (i = 0; i < BATCH_TABLES; i++)
		rows += b->rows[i];
	return rows;
}

size_t
batch_bytes(const struct batch *b)
{
	size_t bytes = 0;
	int i;

	for (i = 0; i < BATCH_TABLES; i++)
		bytes += b->copy[i].length;
	return bytes;
}

bool
batch_is_empty(const struct batch *b)
{
	return b->lines == 0 && batch_rows(b) == 0;
}

void
batch_peer(struct batch *b, struct peer *p)
{
	if (p->batch == b->number)
		return;
	b->peers = buf_grow_array(b->peers, b->peers_count, &b->peers_size, sizeof(*b->peers));
	b->peers[b->peers_count].refreshing = NULL;
	b->peers[b->peers_count++].peer = p;
	p->batch = b->number;
	p->state = PEER_STATE_SAME;
	memset(&p->router_id, 0, sizeof(p->router_id));
	p->stale_us = MESSAGE_NO_NUMBER;
	p->refreshes_changed = false;
	p->enhanced_changed = false;
	p->rows_from_us = p->rows_to_us = MESSAGE_NO_NUMBER;
}

void
batch_peer_row(struct batch *b, struct peer *p, int64_t time_us)
{
	batch_peer(b, p);
	if (p->rows_from_us == MESSAGE_NO_NUMBER || time_us < p->rows_from_us)
		p->rows_from_us = time_us;
	if (time_us > p->rows_to_us)
		p->rows_to_us = time_us;
}

void
batch_seal(struct batch *b)
{
	char text[REFRESH_TEXT_SIZE];
	size_t i;

	b->sealed = true;
	for (i = 0; i < b->peers_count; i++) {
		struct batch_peer *note = &b->peers[i];
		const struct peer *p = note->peer;

		note->id = p->id;
		note->last_us = p->last_us;
		note->pid = p->pid;
		note->counter = p->counter;
		note->state = p->state;
		note->state_us = p->state_us;
		note->router_id = p->router_id;
		note->stale_us = p->stale_us;
		note->rows_from_us = p->rows_from_us;
		note->rows_to_us = p->rows_to_us;
		note->enhanced = p->enhanced_changed ? p->enhanced : MESSAGE_ENHANCED_UNKNOWN;
		if (p->refreshes_changed) {
			refreshes_text(&p->refreshes, text);
			note->refreshing = strdup(text);
		}
	}
}

void
batch_next_message(struct batch *b)
{
	b->tail_valid = false;
}

/* --- fields -------------------------------------------------------------------- */

static unsigned char *
put_u16(unsigned char *p, uint16_t n)
{
	p[0] = (unsigned char)(n >> 8);
	p[1] = (unsigned char)n;
	return p + 2;
}

static unsigned char *
put_u32(unsigned char *p, uint32_t n)
{
	p[0] = (unsigned char)(n >> 24);
	p[1] = (unsigned char)(n >> 16);
	p[2] = (unsigned char)(n >> 8);
	p[3] = (unsigned char)n;
	return p + 4;
}

static unsigned char *
put_u64(unsigned char *p, uint64_t n)
{
	return put_u32(put_u32(p, (uint32_t)(n >> 32)), (uint32_t)n);
}

static unsigned char *
field_null(unsigned char *p)
{
	return put_u32(p, UINT32_MAX);
}

static unsigned char *
field_int4(unsigned char *p, int32_t n)
{
	return put_u32(put_u32(p, 4), (uint32_t)n);
}

static unsigned char *
field_int8(unsigned char *p, int64_t n)
{
	return put_u64(put_u32(p, 8), (uint64_t)n);
}

static unsigned char *
field_number(unsigned char *p, int64_t n)
{
	return n == MESSAGE_NO_NUMBER ? field_null(p) : field_int8(p, n);
}

static unsigned char *
field_time(unsigned char *p, int64_t us)
{
	return us == MESSAGE_NO_NUMBER ? field_null(p) : field_int8(p, us - EPOCH_US);
}

static unsigned char *
field_char(unsigned char *p, char c)
{
	p = put_u32(p, 1);
	*p = (unsigned char)c;
	return p + 1;
}

static unsigned char *
field_inet(unsigned char *p, const struct inet *i, bool is_cidr)
{
	size_t n = inet_length(i);

	if (i->family == 0)
		return field_null(p);
	p = put_u32(p, (uint32_t)(4 + n));
	*p++ = i->family == 4 ? FAMILY_INET : FAMILY_INET6;
	*p++ = i->bits;
	*p++ = is_cidr;
	*p++ = (unsigned char)n;
	memcpy(p, i->address, n);
	return p + n;
}

#define FIELD_FIXED_MAX	32	/* bytes of any of the fields above */

/* room for so many of them; the caller says with done() how far it came */
static unsigned char *
room(struct buf *b, size_t fields)
{
	buf_reserve(b, fields * FIELD_FIXED_MAX);
	return b->data + b->length;
}

static void
done(struct buf *b, const unsigned char *p)
{
	b->length = (size_t)(p - b->data);
}

static void
add_text_of(struct buf *b, const char *text, size_t n)
{
	unsigned char *p;

	buf_reserve(b, 4 + n);
	p = put_u32(b->data + b->length, (uint32_t)n);
	memcpy(p, text, n);
	b->length += 4 + n;
}

static void
add_text(struct buf *b, const char *text)
{
	if (text == NULL)
		done(b, field_null(room(b, 1)));
	else
		add_text_of(b, text, strlen(text));
}

/* text with what UTF-8 or PostgreSQL does not allow written as \xNN */
static void
add_safe_text(struct buf *b, const char *text, size_t n)
{
	const unsigned char *p = (const unsigned char *)text, *end = p + n;
	size_t start, length;
	char hex[5];

	buf_reserve(b, 4 + n);
	b->length += 4;
	start = b->length;
	while (p < end) {
		length = utf8_length(p, end);
		if (length == 0 || *p == '\0') {
			snprintf(hex, sizeof(hex), "\\x%02x", *p++);
			buf_add(b, hex, 4);
		} else {
			buf_add(b, p, length);
			p += length;
		}
	}
	put_u32(b->data + start - 4, (uint32_t)(b->length - start));
}

static void
add_jsonb(struct buf *b, const char *json)
{
	size_t n;
	unsigned char *p;

	if (json == NULL) {
		add_text(b, NULL);
		return;
	}
	n = strlen(json);
	buf_reserve(b, 5 + n);
	p = put_u32(b->data + b->length, (uint32_t)(n + 1));
	*p++ = 1;	/* version of the format */
	memcpy(p, json, n);
	b->length += 5 + n;
}

/* the head of a one-dimensional array; its length is set by array_end */
static size_t
array_begin(struct buf *b, uint32_t element_type, size_t count)
{
	unsigned char *p;
	size_t start;

	buf_reserve(b, 24);
	start = b->length;
	p = put_u32(b->data + b->length, 0);
	p = put_u32(p, count > 0);	/* dimensions */
	p = put_u32(p, 0);		/* no NULLs */
	p = put_u32(p, element_type);
	if (count > 0) {
		p = put_u32(p, (uint32_t)count);
		p = put_u32(p, 1);	/* lower bound */
	}
	done(b, p);
	return start;
}

static void
array_end(struct buf *b, size_t start)
{
	put_u32(b->data + start, (uint32_t)(b->length - start - 4));
}

/* --- rows ------------------------------------------------------------------------ */

static void
add_path(struct buf *b, const struct attributes *a)
{
	size_t start = array_begin(b, OID_INT8, a->path_length), i;
	unsigned char *p;

	buf_reserve(b, a->path_length * 12);
	p = b->data + b->length;
	for (i = 0; i < a->path_length; i++)
		p = put_u64(put_u32(p, 8), a->path[i]);
	done(b, p);
	array_end(b, start);
}

static void
add_communities(struct buf *b, const struct attributes *a)
{
	size_t start, i;
	char text[24], *p;

	if (a->communities_count == 0) {
		add_text(b, NULL);
		return;
	}
	start = array_begin(b, OID_TEXT, a->communities_count);
	for (i = 0; i < a->communities_count; i++) {
		p = decimal_put(text, a->communities[i].asn);
		*p++ = ':';
		p = decimal_put(p, a->communities[i].value);
		add_text_of(b, text, (size_t)(p - text));
	}
	array_end(b, start);
}

static void
add_large_communities(struct buf *b, const struct attributes *a)
{
	size_t start, i;
	char text[36], *p;

	if (a->large_count == 0) {
		add_text(b, NULL);
		return;
	}
	start = array_begin(b, OID_TEXT, a->large_count);
	for (i = 0; i < a->large_count; i++) {
		p = decimal_put(text, a->large[i].global);
		*p++ = ':';
		p = decimal_put(p, a->large[i].local[0]);
		*p++ = ':';
		p = decimal_put(p, a->large[i].local[1]);
		add_text_of(b, text, (size_t)(p - text));
	}
	array_end(b, start);
}

static void
add_ext_communities(struct buf *b, const struct attributes *a)
{
	size_t start, i;

	if (a->ext_count == 0) {
		add_text(b, NULL);
		return;
	}
	start = array_begin(b, OID_TEXT, a->ext_count);
	for (i = 0; i < a->ext_count; i++)
		add_text(b, a->ext[i]);
	array_end(b, start);
}

/* the attributes of a row; sets which bytes of it tell what is new: path, with its sets, and communities */
static void
encode_tail(struct batch *batch, const struct attributes *a)
{
	struct buf *b = &batch->tail;
	unsigned char *p;

	buf_clear(b);
	p = room(b, TAIL_COLUMNS);
	if (a == NULL) {
		int i;

		for (i = 0; i < TAIL_COLUMNS; i++)
			p = field_null(p);
		done(b, p);
		return;
	}
	p = field_number(p, a->origin_asn);
	p = field_number(p, a->med);
	p = field_number(p, a->local_pref);
	p = a->origin == 0 ? field_null(p) : field_char(p, a->origin);
	p = field_char(p, a->atomic_aggregate ? 1 : 0);	/* boolean: one byte as well */
	done(b, p);
	batch->tail_novel = b->length;
	add_path(b, a);
	add_text(b, a->as_path);
	add_communities(b, a);
	add_large_communities(b, a);
	batch->tail_novel_end = b->length;
	add_ext_communities(b, a);
	add_text(b, a->aggregator);
	add_jsonb(b, a->others);
}

static void
add_labels(struct buf *b, const struct route *r)
{
	size_t start, i;

	if (r->labels_count == 0) {
		add_text(b, NULL);
		return;
	}
	start = array_begin(b, OID_INT4, r->labels_count);
	for (i = 0; i < r->labels_count; i++)
		done(b, field_int4(room(b, 1), r->labels[i]));
	array_end(b, start);
}

/* has the peer announced path and communities of the tail in this family before on this day? */
static bool
is_repeated(struct batch *b, int64_t time_us, int32_t peer_id, const struct route *r, bool same_tail)
{
	if (b->novelty == NULL || r->attributes == NULL)
		return false;
	if (same_tail && b->tail_family == r->family && b->tail_version == r->prefix.family)
		return true;	/* the row before has them */
	b->tail_family = r->family;
	b->tail_version = r->prefix.family;
	return novelty_is_known(b->novelty, peer_id, time_us, r->family, r->prefix.family, b->tail.data + b->tail_novel,
	    b->tail_novel_end - b->tail_novel);
}

void
batch_route(struct batch *batch, int64_t time_us, int32_t peer_id, bool refreshed, const struct route *r)
{
	bool same_tail = batch->tail_valid && batch->tail_of == r->attributes;
	struct buf *b = &batch->copy[BATCH_ROUTES];
	unsigned char *p;

	if (!same_tail) {
		encode_tail(batch, r->attributes);
		batch->tail_of = r->attributes;
		batch->tail_valid = true;
	}
	p = room(b, 9);
	p = put_u16(p, ROUTE_COLUMNS);
	p = field_int4(p, peer_id);
	p = field_time(p, time_us);
	p = field_int8(p, ++batch->seq);
	p = refreshed ? field_char(p, 1) : field_null(p);
	p = is_repeated(batch, time_us, peer_id, r, same_tail) ? field_char(p, 1) : field_null(p);
	p = field_char(p, r->announce ? 'A' : 'W');
	p = field_inet(p, &r->prefix, true);
	p = field_number(p, r->path_id);
	if (r->family == NULL && r->rd == NULL && r->labels_count == 0 && r->nlri == NULL) {
		p = field_null(field_null(field_null(field_null(p))));
		done(b, p);
	} else {
		done(b, p);
		add_text(b, r->family);
		add_text(b, r->rd);
		add_labels(b, r);
		add_jsonb(b, r->nlri);
	}
	done(b, field_inet(room(b, 1), &r->next_hop, false));
	buf_add(b, batch->tail.data, batch->tail.length);
	batch->rows[BATCH_ROUTES]++;
}

void
batch_session(struct batch *batch, int64_t time_us, int32_t peer_id, const char *collector, const char *event,
    const char *family, const char *detail)
{
	struct buf *b = &batch->copy[BATCH_SESSIONS];
	unsigned char *p = room(b, 4);

	p = put_u16(p, SESSION_COLUMNS);
	p = field_time(p, time_us);
	p = field_int8(p, ++batch->seq);
	p = peer_id == 0 ? field_null(p) : field_int4(p, peer_id);
	done(b, p);
	add_text(b, collector);
	add_text(b, event);
	add_text(b, family);
	add_jsonb(b, detail);
	batch->rows[BATCH_SESSIONS]++;
}

void
batch_error(struct batch *batch, int64_t time_us, const char *collector, const char *line, size_t length,
    const char *error)
{
	struct buf *b = &batch->copy[BATCH_ERRORS];
	unsigned char *p = room(b, 3);

	p = put_u16(p, ERROR_COLUMNS);
	p = field_time(p, time_us);
	p = field_int8(p, ++batch->seq);
	done(b, p);
	add_text(b, collector);
	add_safe_text(b, line, length < MESSAGE_LINE_KEPT ? length : MESSAGE_LINE_KEPT);
	add_safe_text(b, error, strlen(error));
	batch->rows[BATCH_ERRORS]++;
}

void
batch_gap(struct batch *batch, const char *collector, int64_t from_us, int64_t to_us, int64_t lines, int64_t bytes,
    const char *reason, int32_t peer_id)
{
	struct buf *b = &batch->copy[BATCH_GAPS];

	done(b, put_u16(room(b, 1), GAP_COLUMNS));
	add_text(b, collector);
	done(b, field_number(field_number(field_time(field_time(room(b, 4), from_us), to_us), lines), bytes));
	add_text(b, reason);
	done(b, peer_id == 0 ? field_null(room(b, 1)) : field_int4(room(b, 1), peer_id));
	batch->seq++;
	batch->rows[BATCH_GAPS]++;
}
