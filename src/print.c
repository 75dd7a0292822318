#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#include "buf.h"
#include "clock.h"
#include "decode.h"
#include "intake.h"
#include "log.h"
#include "print.h"
#include "utf8.h"

#define WAIT_MS	1000

/* one JSON object on stdout; keys are columns of bgp.route_log, NULL is left out */
struct printer {
	FILE		*out;
	const char	*collector;
	bool		 first;
};

static void
print_string(FILE *out, const char *text, size_t n)
{
	const unsigned char *p = (const unsigned char *)text, *end = p + n;
	size_t length;

	putc('"', out);
	while (p < end) {
		if (*p == '"' || *p == '\\') {
			putc('\\', out);
			putc(*p++, out);
		} else if (*p < 0x20) {
			fprintf(out, "\\u%04x", *p++);
		} else if ((length = utf8_length(p, end)) == 0) {
			fprintf(out, "\\\\x%02x", *p++);	/* as in bgp.ingest_error */
		} else {
			fwrite(p, 1, length, out);
			p += length;
		}
	}
	putc('"', out);
}

static void
key(struct printer *p, const char *name)
{
	fprintf(p->out, "%s\"%s\":", p->first ? "{" : ",", name);
	p->first = false;
}

static void
put_text(struct printer *p, const char *name, const char *text)
{
	if (text == NULL)
		return;
	key(p, name);
	print_string(p->out, text, strlen(text));
}

static void
put_json(struct printer *p, const char *name, const char *json)
{
	if (json == NULL)
		return;
	key(p, name);
	fputs(json, p->out);
}

static void
put_number(struct printer *p, const char *name, int64_t n)
{
	if (n == MESSAGE_NO_NUMBER)
		return;
	key(p, name);
	fprintf(p->out, "%" PRId64, n);
}

static void
put_time(struct printer *p, const char *name, int64_t us)
{
	char text[CLOCK_TEXT_SIZE];

	key(p, name);
	fprintf(p->out, "\"%s\"", clock_utc_text(text, sizeof(text), us));
}

static void
put_address(struct printer *p, const char *name, const struct inet *i)
{
	char text[INET_TEXT_SIZE];

	if (i->family != 0)
		put_text(p, name, inet_address_text(text, i));
}

static void
put_path(struct printer *p, const struct attributes *a)
{
	size_t i;

	if (a->as_path != NULL)
		put_text(p, "as_path", a->as_path);
	else {
		key(p, "as_path");
		putc('"', p->out);
		for (i = 0; i < a->path_length; i++)
			fprintf(p->out, "%s%" PRIu32, i > 0 ? " " : "", a->path[i]);
		putc('"', p->out);
	}
	key(p, "path");
	putc('[', p->out);
	for (i = 0; i < a->path_length; i++)
		fprintf(p->out, "%s%" PRIu32, i > 0 ? "," : "", a->path[i]);
	putc(']', p->out);
	put_number(p, "origin_asn", a->origin_asn);
}

static void
put_communities(struct printer *p, const struct attributes *a)
{
	size_t i;

	if (a->communities_count > 0) {
		key(p, "communities");
		for (i = 0; i < a->communities_count; i++)
			fprintf(p->out, "%s\"%" PRIu32 ":%" PRIu32 "\"", i > 0 ? "," : "[", a->communities[i].asn,
			    a->communities[i].value);
		putc(']', p->out);
	}
	if (a->large_count > 0) {
		key(p, "large_communities");
		for (i = 0; i < a->large_count; i++)
			fprintf(p->out, "%s\"%" PRIu32 ":%" PRIu32 ":%" PRIu32 "\"", i > 0 ? "," : "[",
			    a->large[i].global, a->large[i].local[0], a->large[i].local[1]);
		putc(']', p->out);
	}
	if (a->ext_count > 0) {
		key(p, "ext_communities");
		for (i = 0; i < a->ext_count; i++) {
			putc(i > 0 ? ',' : '[', p->out);
			print_string(p->out, a->ext[i], strlen(a->ext[i]));
		}
		putc(']', p->out);
	}
}

static void
begin(struct printer *p, const struct message *m)
{
	p->first = true;
	put_time(p, "ts", m->time_us != MESSAGE_NO_NUMBER ? m->time_us : clock_wall_us());
	put_text(p, "collector", p->collector);
	if (m->has_peer) {
		put_address(p, "peer_address", &m->peer.address);
		put_number(p, "peer_asn", m->peer.asn);
	}
}

/* RFC 4271 section 5.1.1 */
static const char *
origin_name(char origin)
{
	switch (origin) {
	case 'i':
		return "igp";
	case 'e':
		return "egp";
	case '?':
		return "incomplete";
	default:
		return NULL;
	}
}

static void
print_route(struct printer *p, const struct message *m, const struct route *r)
{
	const struct attributes *a = r->attributes;
	char prefix[INET_TEXT_SIZE];
	size_t i;

	begin(p, m);
	put_text(p, "kind", r->announce ? "announce" : "withdraw");
	put_text(p, "family", r->family != NULL ? r->family : r->prefix.family == 4 ? "ipv4 unicast" : "ipv6 unicast");
	if (r->prefix.family != 0)
		put_text(p, "prefix", inet_prefix_text(prefix, &r->prefix));
	put_number(p, "path_id", r->path_id);
	put_text(p, "rd", r->rd);
	if (r->labels_count > 0) {
		key(p, "labels");
		for (i = 0; i < r->labels_count; i++)
			fprintf(p->out, "%s%" PRId32, i > 0 ? "," : "[", r->labels[i]);
		putc(']', p->out);
	}
	if (a != NULL) {
		put_address(p, "next_hop", &r->next_hop);
		put_path(p, a);
		put_text(p, "origin", origin_name(a->origin));
		put_number(p, "med", a->med);
		put_number(p, "local_pref", a->local_pref);
		put_communities(p, a);
		put_text(p, "aggregator", a->aggregator);
		put_json(p, "atomic_aggregate", a->atomic_aggregate ? "true" : "false");
		put_json(p, "attributes", a->others);
	}
	put_json(p, "nlri", r->nlri);
	fputs("}\n", p->out);
}

static void
print_line(struct printer *p, struct decoder *d, const char *line, size_t length)
{
	const struct message *m = decoder_line(d, line, length);
	size_t i;

	switch (m->kind) {
	case MESSAGE_IGNORED:
		return;
	case MESSAGE_ROUTES:
		for (i = 0; i < m->routes_count; i++)
			print_route(p, m, &m->routes[i]);
		return;
	case MESSAGE_SESSION:
		begin(p, m);
		put_text(p, "event", m->event);
		put_text(p, "family", m->family);
		put_json(p, "detail", m->detail);
		break;
	case MESSAGE_ERROR:
		begin(p, m);
		key(p, "line");
		print_string(p->out, line, length < MESSAGE_LINE_KEPT ? length : MESSAGE_LINE_KEPT);
		put_text(p, "error", m->reason);
		break;
	}
	fputs("}\n", p->out);
}

/* the lines of two pieces of which the first may end within a line */
static void
print_lines(struct printer *p, struct decoder *d, const struct iovec pieces[2], struct buf *joined)
{
	const char *at = pieces[0].iov_base, *end = at + pieces[0].iov_len, *newline;
	int piece = 0;

	while (at < end || (piece == 0 && pieces[1].iov_len > 0)) {
		newline = at < end ? memchr(at, '\n', (size_t)(end - at)) : NULL;
		if (newline == NULL && piece == 0) {
			buf_clear(joined);
			buf_add(joined, at, (size_t)(end - at));
			piece = 1;
			at = pieces[1].iov_base;
			end = at + pieces[1].iov_len;
			newline = memchr(at, '\n', (size_t)(end - at));
			buf_add(joined, at, (size_t)(newline - at));
			print_line(p, d, (const char *)joined->data, joined->length);
		} else
			print_line(p, d, at, (size_t)(newline - at));
		at = newline + 1;
	}
}

int
print_run(struct intake *intake, const char *collector)
{
	struct printer p = { .out = stdout, .collector = collector };
	struct decoder *d = decoder_new();
	struct buf joined = { 0 };
	struct iovec pieces[2];
	size_t bytes;
	int rc = EX_OK;

	if (d == NULL) {
		log_error("could not start: out of memory");
		return EX_TEMPFAIL;
	}
	while (rc == EX_OK && !intake_ended(intake)) {
		if (!intake_wait(intake, WAIT_MS))
			continue;
		while (rc == EX_OK && (bytes = intake_peek(intake, pieces)) > 0) {
			print_lines(&p, d, pieces, &joined);
			intake_consume(intake, bytes);
			if (fflush(stdout) == EOF) {
				log_error("could not print: %s", strerror(errno));
				rc = EX_TEMPFAIL;
			}
		}
	}
	buf_free(&joined);
	decoder_free(d);
	return rc;
}
