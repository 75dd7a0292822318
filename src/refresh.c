#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "refresh.h"

#define ASKED_US	INT64_C(120000000)	/* for the first answer */
#define BEGUN_US	INT64_C(3600000000)	/* for the last one: a table may be large, a link slow */

void
refreshes_clear(struct refreshes *r)
{
	free(r->list);
	r->list = NULL;
	r->count = 0;
}

static struct refresh *
find(const struct refreshes *r, const char *family)
{
	size_t i;

	for (i = 0; i < r->count; i++)
		if (strcmp(r->list[i].family, family) == 0)
			return &r->list[i];
	return NULL;
}

const struct refresh *
refreshes_find(const struct refreshes *r, const char *family)
{
	return find(r, family);
}

static void
set(struct refreshes *r, const char *family, enum refresh_phase phase, int64_t now_us)
{
	struct refresh *f = find(r, family);

	if (f == NULL) {
		if (r->count == REFRESH_FAMILIES || strlen(family) >= REFRESH_FAMILY_SIZE ||
		    strpbrk(family, ";") != NULL ||
		    (r->list == NULL && (r->list = calloc(REFRESH_FAMILIES, sizeof(*f))) == NULL))
			return;
		f = &r->list[r->count++];
		strcpy(f->family, family);
	}
	f->phase = phase;
	f->since_us = now_us;
}

static void
drop(struct refreshes *r, struct refresh *f)
{
	*f = r->list[--r->count];
	if (r->count == 0)
		refreshes_clear(r);
}

void
refreshes_ask(struct refreshes *r, const char *family, int64_t now_us)
{
	set(r, family, REFRESH_ASKED, now_us);
}

void
refreshes_begin(struct refreshes *r, const char *family, int64_t now_us)
{
	struct refresh *f = find(r, family);
	bool asked = f != NULL && f->phase != REFRESH_BEGUN;

	set(r, family, asked ? REFRESH_ANSWERED : REFRESH_BEGUN, now_us);
}

void
refreshes_end(struct refreshes *r, const char *family)
{
	struct refresh *f = find(r, family);

	if (f != NULL && f->phase == REFRESH_MISSED)
		f->phase = REFRESH_OVERDUE;
	else if (f != NULL)
		drop(r, f);
}

void
refreshes_miss(struct refreshes *r)
{
	size_t i;

	for (i = 0; i < r->count; i++)
		if (r->list[i].phase == REFRESH_ANSWERED)
			r->list[i].phase = REFRESH_MISSED;
}

bool
refresh_is_overdue(const struct refresh *f, int64_t now_us)
{
	switch (f->phase) {
	case REFRESH_ASKED:
		return now_us - f->since_us > ASKED_US;
	case REFRESH_BEGUN:
	case REFRESH_ANSWERED:
	case REFRESH_MISSED:
		return now_us - f->since_us > BEGUN_US;
	case REFRESH_OVERDUE:
		break;
	}
	return false;
}

void
refreshes_expire(struct refreshes *r, int64_t now_us)
{
	size_t i;

	for (i = r->count; i-- > 0;)
		if (refresh_is_overdue(&r->list[i], now_us)) {
			if (r->list[i].phase == REFRESH_BEGUN)
				drop(r, &r->list[i]);
			else
				r->list[i].phase = REFRESH_OVERDUE;
		}
}

bool
refreshes_complete(const struct refreshes *r)
{
	size_t i;

	for (i = 0; i < r->count; i++)
		if (r->list[i].phase != REFRESH_BEGUN)
			return false;
	return true;
}

bool
refreshes_cover(const struct refreshes *r, const char *family, bool enhanced)
{
	const struct refresh *f = find(r, family);

	if (f == NULL || f->phase == REFRESH_OVERDUE)
		return false;
	return f->phase != REFRESH_ASKED || !enhanced;
}

void
refreshes_text(const struct refreshes *r, char *text)
{
	size_t i, n = 0;

	text[0] = '\0';
	for (i = 0; i < r->count; i++)
		n += (size_t)snprintf(text + n, REFRESH_TEXT_SIZE - n, "%s%c %" PRId64 " %s", i == 0 ? "" : ";",
		    r->list[i].phase, r->list[i].since_us, r->list[i].family);
}

void
refreshes_parse(struct refreshes *r, const char *text)
{
	char family[REFRESH_FAMILY_SIZE], phase;
	int64_t since_us;

	refreshes_clear(r);
	for (; text != NULL; text = strchr(text, ';')) {
		text += strspn(text, ";");
		if (sscanf(text, "%c %" SCNd64 " %31[^;]", &phase, &since_us, family) == 3 &&
		    strchr("abBmx", phase) != NULL)
			set(r, family, (enum refresh_phase)phase, since_us);
	}
}
