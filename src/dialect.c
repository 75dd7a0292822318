#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "buf.h"
#include "dialect.h"
#include "utf8.h"

#define INT64_DIGITS	19	/* of 9223372036854775807 */
#define EOR_MAX		256	/* bytes of an End-of-RIB: bounds the search for its end */

/* next word of line, separated by white space; length 0 at the end */
static const char *
next_word(const char **p, const char *end, size_t *length)
{
	const char *word;

	while (*p < end && isspace((unsigned char)**p))
		(*p)++;
	word = *p;
	while (*p < end && !isspace((unsigned char)**p))
		(*p)++;
	*length = (size_t)(*p - word);
	return word;
}

static bool
word_in(const char *word, size_t length, const char *const *list)
{
	for (; *list != NULL; list++)
		if (strlen(*list) == length && memcmp(word, *list, length) == 0)
			return true;
	return false;
}

/*
 * A line of "show neighbor extensive" (4.2: reactor/api/command/neighbor.py): a header, or indented
 * "NAME VALUE ...", "CAPABILITY: ...", "AFI SAFI: ...".
 */
static bool
is_neighbor_line(const char *line, const char *end)
{
	static const char *const words[] = { "Session", "Setup", "Capability", "Families", "Message", "local", "state",
		"up", "down", "AS", "ID", "hold-time", NULL };
	const char *p = line, *word;
	size_t n;

	if (end - line < 3 || line[0] != ' ' || line[1] != ' ')
		return false;
	word = next_word(&p, end, &n);
	if (word_in(word, n, words) || word[n - 1] == ':')
		return true;
	word = next_word(&p, end, &n);
	return n > 1 && word[n - 1] == ':';
}

enum dialect_line
dialect_classify(const char *line, size_t length)
{
	static const char *const answers[] = { "done", "error", "exabgp", "Peer", "processed", NULL };
	/* reactor/api/response/text.py of 4.2 */
	static const char *const text[] = { "up", "down", "connected", "receive", "send", "received", "sent",
		"notification", "announced", "withdrawn", "update", NULL };
	/* "show adj-rib in" and "show neighbor summary" of 4.x and 5.x */
	static const char *const shown[] = { "ipv4", "ipv6", "l2vpn", "bgp-ls", "local-ip", NULL };
	const char *p = line, *end = line + length, *word;
	bool neighbor = false;
	size_t n;

	word = next_word(&p, end, &n);
	if (n == 0)
		return DIALECT_EMPTY;
	if (word[0] == '{')
		return DIALECT_JSON;
	if (n == strlen("shutdown") && memcmp(word, "shutdown", n) == 0) {
		next_word(&p, end, &n);	/* the text encoder writes two process ids after it */
		return n > 0 ? DIALECT_TEXT_ENCODER : DIALECT_ANSWER;
	}
	if (word_in(word, n, answers) || is_neighbor_line(line, end))
		return DIALECT_ANSWER;
	if (n == strlen("Neighbor") && memcmp(word, "Neighbor", n) == 0) {
		word = next_word(&p, end, &n);
		return n > 0 && (isxdigit((unsigned char)word[0]) || word[0] == ':') ? DIALECT_ANSWER : DIALECT_UNKNOWN;
	}
	if (n == strlen("neighbor") && memcmp(word, "neighbor", n) == 0) {
		neighbor = true;
		word = next_word(&p, end, &n);
	}
	if (n == 0 || !(isxdigit((unsigned char)word[0]) || word[0] == ':') || memchr(word, '{', n) != NULL)
		return DIALECT_UNKNOWN;
	/* an address */
	word = next_word(&p, end, &n);
	if (neighbor && word_in(word, n, text))
		return DIALECT_TEXT_ENCODER;
	if (word_in(word, n, shown) || (!neighbor && n > 0 && isdigit((unsigned char)word[0])))
		return DIALECT_ANSWER;
	return DIALECT_UNKNOWN;
}

/* --- mending ------------------------------------------------------------------ */

struct lexer {
	const char	*p;
	const char	*end;
	struct buf	*out;
	const char	*key;		/* the last one, without quotes */
	size_t		 key_length;
	bool		 old;		/* 3.4 */
	bool		 aggregator;	/* seen */
	unsigned int	 mark;
	bool		 changed;
};

static void
emit(struct lexer *x, const void *data, size_t n)
{
	buf_add(x->out, data, n);
}

/* text that a peer wrote and ExaBGP passed on unescaped */
static bool
is_free_text(const struct lexer *x)
{
	static const char *const keys[] = { "reason", "message", "advisory", "hostname", "domainname", NULL };

	return x->key != NULL && word_in(x->key, x->key_length, keys);
}

static bool
is_escape(const char *p, const char *end)
{
	int i;

	if (end - p < 2)
		return false;
	if (p[1] != 'u')
		return p[1] != '\0' && strchr("\"\\/bfnrt", p[1]) != NULL;
	if (end - p < 6 || memcmp(p + 2, "0000", 4) == 0)
		return false;
	for (i = 2; i < 6; i++)
		if (!isxdigit((unsigned char)p[i]))
			return false;
	return true;
}

/* the inside of a string from a peer: control bytes, stray backslashes and bytes that are not UTF-8 */
static void
emit_free_text(struct lexer *x, const char *p, const char *end)
{
	char escaped[8];
	size_t n;

	while (p < end) {
		unsigned char c = (unsigned char)*p;

		if (c == '\\' && is_escape(p, end)) {
			emit(x, p, 2);
			p += 2;
		} else if (c == '\\') {
			emit(x, "\\\\", 2);
			p++;
			x->changed = true;
		} else if (c < 0x20) {
			emit(x, escaped, (size_t)snprintf(escaped, sizeof(escaped), "\\u%04x", c == 0 ? 0xfffd : c));
			p++;
			x->changed = true;
		} else if ((n = utf8_length((const unsigned char *)p, (const unsigned char *)end)) == 0) {
			emit(x, "\\ufffd", 6);
			p++;
			x->changed = true;
		} else {
			emit(x, p, n);
			p += n;
		}
	}
}

/* past the closing quote of the string that begins at p, or end */
static const char *
string_end(const char *p, const char *end)
{
	for (p++; p < end && *p != '"'; p++)
		if (*p == '\\' && p + 1 < end)
			p++;
	return p < end ? p + 1 : end;
}

static const char *
skip_space(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\t'))
		p++;
	return p;
}

static void
mend_key(struct lexer *x, const char *start, const char *stop)
{
	char mark[16];

	x->key = start + 1;
	x->key_length = (size_t)(stop - start) - 2;
	if (x->key_length == strlen("aggregator") && memcmp(x->key, "aggregator", x->key_length) == 0) {
		/* 4.2 with a 2-byte-AS peer and AS4_AGGREGATOR: the key comes twice */
		if (x->aggregator) {
			emit(x, "\"" DIALECT_DUPLICATE_AGGREGATOR "\"",
			    sizeof("\"" DIALECT_DUPLICATE_AGGREGATOR "\"") - 1);
			x->changed = true;
			return;
		}
		x->aggregator = true;
	}
	if (x->old && memchr(x->key, '/', x->key_length) != NULL) {
		/* 3.4: NLRI are keys, and those of one prefix differ in RD or path identifier only */
		emit(x, start, (size_t)(stop - start) - 1);
		emit(x, mark, (size_t)snprintf(mark, sizeof(mark), "%c%u\"", DIALECT_KEY_MARK, x->mark++));
		x->changed = true;
		return;
	}
	emit(x, start, (size_t)(stop - start));
}

static void
mend_string(struct lexer *x)
{
	const char *start = x->p, *stop, *p;

	if (x->end - start > 4 && start[1] == '"' && isalnum((unsigned char)start[2])) {
		/* 4.2: ""ipv4"" in every ROUTE-REFRESH line */
		for (p = start + 2; p < x->end && (isalnum((unsigned char)*p) || *p == '-' || *p == ' '); p++)
			continue;
		if (x->end - p >= 2 && p[0] == '"' && p[1] == '"') {
			emit(x, start + 1, (size_t)(p - start));
			x->p = p + 2;
			x->changed = true;
			return;
		}
	}
	stop = string_end(start, x->end);
	p = skip_space(stop, x->end);
	x->p = stop;
	if (p < x->end && *p == ':' && stop[-1] == '"' && stop - start >= 2)
		mend_key(x, start, stop);
	else if (is_free_text(x) && stop[-1] == '"' && stop - start >= 2) {
		/* 3.4: raw control bytes; 4.x: escapes nothing but the quote */
		emit(x, "\"", 1);
		emit_free_text(x, start + 1, stop - 1);
		emit(x, "\"", 1);
	} else
		emit(x, start, (size_t)(stop - start));
}

static void
mend_number(struct lexer *x)
{
	const char *start = x->p, *digits, *p;
	bool big;

	digits = *start == '-' ? start + 1 : start;
	for (p = digits; p < x->end && isdigit((unsigned char)*p); p++)
		continue;
	big = p - digits > INT64_DIGITS ||
	    (p - digits == INT64_DIGITS &&
	    memcmp(digits, digits > start ? "9223372036854775808" : "9223372036854775807", INT64_DIGITS) > 0);
	if (p < x->end && (*p == '.' || *p == 'e' || *p == 'E' || *p == '+' || *p == '-')) {
		big = false;
		while (p < x->end && (isalnum((unsigned char)*p) || *p == '.' || *p == '+' || *p == '-'))
			p++;
	}
	/* all: communities of 64 bits, 5.x and main: of 160 bits, are too big for jansson's integers */
	if (big)
		emit(x, "\"", 1);
	emit(x, start, (size_t)(p - start));
	if (big) {
		emit(x, "\"", 1);
		x->changed = true;
	}
	x->p = p > start ? p : start + 1;
	if (p == start)
		emit(x, start, 1);
}

/* main: "announce": { "ipv4 unicast": { "null": [ "eor": { "afi": .., "safi": .. } ] } } */
static bool
mend_eor(struct lexer *x)
{
	const char *p = skip_space(x->p + 1, x->end), *close;
	size_t within = (size_t)(x->end - p);

	if (within < 8 || memcmp(p, "\"eor\":", 6) != 0)
		return false;
	if (within > EOR_MAX)
		within = EOR_MAX;
	if ((close = memchr(p, '}', within)) == NULL)
		return false;
	emit(x, "[ { ", 4);
	emit(x, p, (size_t)(close + 1 - p));
	emit(x, " }", 2);
	x->p = close + 1;
	x->changed = true;
	return true;
}

bool
dialect_repair(struct buf *out, const char *line, size_t length)
{
	struct lexer x = { .p = line, .end = line + length, .out = out };
	static const char old[] = "{ \"exabgp\": \"3.";

	buf_clear(out);
	if (length > DIALECT_REPAIR_MAX)
		return false;
	x.old = length > sizeof(old) && memcmp(line, old, sizeof(old) - 1) == 0;
	buf_reserve(out, length + length / 8 + 64);
	while (x.p < x.end) {
		if (*x.p == '"')
			mend_string(&x);
		else if (isdigit((unsigned char)*x.p) || *x.p == '-')
			mend_number(&x);
		else if (*x.p != '[' || !mend_eor(&x))
			emit(&x, x.p++, 1);
	}
	return x.changed;
}
