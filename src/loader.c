#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uv.h>

#include "batch.h"
#include "clock.h"
#include "decode.h"
#include "journal.h"
#include "journal_reader.h"
#include "loader.h"
#include "log.h"
#include "novelty.h"
#include "peer.h"
#include "store.h"

#define TURN_LINES	64			/* decoded before the socket has a turn */
#define STREAM_ROWS	1000			/* from here on a batch is sent while it is being filled */
#define BATCH_BYTES	((size_t)12 * 1024 * 1024)	/* whatever the number of rows */
#define RETRY_MS	250

/* what decoding waits for */
enum wait { WAIT_NOTHING, WAIT_JOURNAL, WAIT_STORE };

struct loader {
	struct loader_config config;
	struct journal	*journal;
	struct journal_reader *reader;
	struct decoder	*decoder;
	struct store	*store;
	struct peers	*peers;
	struct novelty	*novelty;
	uv_timer_t	 timer;		/* the age of the batch */
	uv_idle_t	 idle;		/* runs while there is something to decode */
	int		 handles;	/* of these two, open */
	bool		 opened;	/* the store has been told of the journal */
	bool		 ready;		/* the database said where to go on */
	bool		 hurry;
	bool		 last;
	bool		 loaded_told;
	bool		 opened_once;
	bool		 is_stale;	/* the journal is older than what the database knows of it */
	struct batch_position stale;
	int64_t		 stale_seq;

	struct batch	 batches[2];
	struct batch	*filling;
	struct batch	*under_way;	/* NULL if none; may be the one being filled */
	uint64_t	 batch_number;

	/* the record being turned into events */
	struct journal_record record;
	bool		 record_open;
	const struct message *message;	/* of a line */
	size_t		 next_event;	/* of the record */
	bool		 gap_told;	/* before the line */
	struct journal_position at;	/* where events are counted */
	int32_t		 events_at;	/* so many there so far */
	int32_t		 skip;		/* of them the database has these */
	int64_t		 journaled_us;	/* when the open record was written */
	int64_t		 last_us;	/* and the one before it */
	int64_t		 waiting_us;	/* until the database says where to go on: of the oldest line */

	/* a batch that was refused is halved until the row at fault is alone */
	size_t		 row_limit;	/* 0: none */
	struct batch_position first_row;	/* of the batch being filled */
	struct batch_position under_way_first_row;
	bool		 poisoned;	/* the row there was refused */
	unsigned int	 poison_tries;
	struct batch_position poison;
	char		 poison_why[512];

	bool		 text_encoder_told;
	struct log_repeat quarantine;
	struct log_repeat refused;
	struct loader_stats stats;
};

static const struct journal_position nowhere = { 0, 0 };	/* before all that the journal has */

static void	run(struct loader *);

/* --- the store's callbacks ----------------------------------------------------------- */

static void
on_peer(void *arg, const struct store_peer *known)
{
	struct loader *l = arg;
	struct peer *p;

	if (l->ready) {		/* the first one: all that was known may be wrong */
		l->ready = false;
		peers_clear(l->peers);
	}
	if ((p = peers_get(l->peers, &known->key)) == NULL)
		return;
	p->id = known->id;
	p->pid = known->pid;
	p->counter = known->counter;
	p->last_us = known->last_us;
	p->down = known->down;
	p->stale = known->stale;
	p->enhanced = known->enhanced;
	refreshes_parse(&p->refreshes, known->refreshing);
}

static bool
same_position(const struct batch_position *a, const struct batch_position *b)
{
	return a->journal.segment == b->journal.segment && a->journal.offset == b->journal.offset &&
	    a->events == b->events;
}

/*
 * The database is further than all that earlier runs left: segments were removed by hand
 * or an old copy of the journal was put back.  Known from the first answer on, and as long
 * as the database has not moved from there.
 */
static bool
is_beyond_journal(struct loader *l, const struct batch_position *position, int64_t seq)
{
	if (!l->opened_once) {
		l->opened_once = true;
		l->is_stale = position->journal.segment >= journal_first_of_run(l->journal);
		l->stale = *position;
		l->stale_seq = seq;
	}
	/* a batch may end there again by chance, but has rows */
	return l->is_stale && same_position(&l->stale, position) && l->stale_seq == seq;
}

/* begins anew from what the database has */
static void
on_open(void *arg, const struct batch_position *position, int64_t seq)
{
	struct loader *l = arg;

	if (l->ready)		/* no peers came */
		peers_clear(l->peers);
	l->ready = true;
	l->under_way = NULL;
	l->record_open = false;
	l->at = position->journal;
	l->events_at = 0;
	l->skip = position->events;
	journal_reader_seek(l->reader, &position->journal);
	novelty_forget(l->novelty);
	batch_begin(l->filling, ++l->batch_number, position, seq);
	if (is_beyond_journal(l, position, seq)) {
		struct journal_position first = { journal_first_of_run(l->journal), 0 };

		l->at = first;
		l->skip = 0;
		journal_reader_seek(l->reader, &first);
		batch_gap(l->filling, l->config.collector, MESSAGE_NO_NUMBER, clock_wall_us(), MESSAGE_NO_NUMBER,
		    MESSAGE_NO_NUMBER, "the journal that the database knows was replaced by an older one", 0);
		l->filling->to.journal = first;
		l->filling->to.events = 0;
	}
	log_debug("loading from segment %" PRIu64 " offset %" PRIu64 " event %d", position->journal.segment,
	    position->journal.offset, position->events);
	run(l);
}

static void
on_rejected(void *arg, const char *why)
{
	struct loader *l = arg;
	size_t rows = l->under_way != NULL ? batch_rows(l->under_way) : 0;

	if (rows == 0)
		return;
	if (rows > 1) {
		l->row_limit = rows / 2;
		log_debug("PostgreSQL refused one of %zu rows: %s", rows, why);
		return;
	}
	if (l->poisoned && same_position(&l->poison, &l->under_way_first_row))
		l->poison_tries++;
	else
		l->poison_tries = 0;
	l->poisoned = true;
	l->poison = l->under_way_first_row;
	snprintf(l->poison_why, sizeof(l->poison_why), "PostgreSQL refused a row of this line: %s", why);
	if (log_repeat_due(&l->refused))
		log_warn("%s (%llu so far)", l->poison_why, l->refused.count);
}

static void
on_ready(void *arg)
{
	struct loader *l = arg;

	if (l->under_way != NULL && store_is_ready(l->store)) {
		struct batch *b = l->under_way;
		struct store_stats store;

		l->under_way = NULL;
		l->stats.routes += b->rows[BATCH_ROUTES];
		l->stats.sessions += b->rows[BATCH_SESSIONS];
		l->stats.errors += b->rows[BATCH_ERRORS];
		l->stats.gaps += b->rows[BATCH_GAPS];
		l->stats.batches++;
		l->stats.commit_us = clock_wall_us();
		if (b->rows[BATCH_GAPS] > 0)
			l->stats.gap_us = l->stats.commit_us;
		journal_release(l->journal, &b->to.journal);
		store_stats(l->store, &store);
		l->config.on_commit(l->config.arg, store.connects);
		if (l->row_limit > 0 && batch_rows(b) >= l->row_limit) {
			l->row_limit *= 2;
			if (l->row_limit > l->config.batch_rows)
				l->row_limit = 0;
		}
	}
	run(l);
}

/* --- events to rows --------------------------------------------------------------------- */

static int64_t
event_time(const struct loader *l)
{
	if (l->message != NULL && l->message->time_us != MESSAGE_NO_NUMBER)
		return l->message->time_us;
	return l->record.time_us != MESSAGE_NO_NUMBER ? l->record.time_us : clock_wall_us();
}

/*
 * The next event of this place: true if it is to become a row now.  False if the
 * database has it already, or refused it: then it becomes an error, at last nothing.
 */
static bool
event_begin(struct loader *l)
{
	struct batch_position here = { l->at, l->events_at };

	l->events_at++;
	if (l->events_at <= l->skip)
		return false;
	if (batch_rows(l->filling) == 0)
		l->first_row = here;
	if (!l->poisoned || !same_position(&here, &l->poison))
		return true;
	if (l->poison_tries == 0)
		batch_error(l->filling, event_time(l), l->config.collector,
		    l->record.line != NULL ? l->record.line : "", l->record.line != NULL ? l->record.length : 0,
		    l->poison_why);
	else if (l->poison_tries == 1)
		batch_gap(l->filling, l->config.collector, event_time(l), event_time(l), 1, (int64_t)l->record.length,
		    "PostgreSQL refused a row, and the note of it as well", 0);
	else
		log_error("could not store an event in any form: it is skipped");
	return false;
}

static void
event_end(struct loader *l)
{
	if (l->events_at <= l->skip)
		return;
	l->filling->to.journal = l->at;
	l->filling->to.events = l->events_at;
}

static bool
is_full(const struct loader *l)
{
	size_t rows = batch_rows(l->filling);

	return rows >= l->config.batch_rows || (l->row_limit > 0 && rows >= l->row_limit) ||
	    batch_bytes(l->filling) >= BATCH_BYTES || l->filling->lines >= 100 * (size_t)l->config.batch_rows;
}

static void
gap_event(struct loader *l, int64_t from_us, int64_t to_us, int64_t lines, int64_t bytes, const char *why,
    int32_t peer_id)
{
	if (event_begin(l))
		batch_gap(l->filling, l->config.collector, from_us, to_us, lines, bytes, why, peer_id);
	event_end(l);
}

static void
quarantine_event(struct loader *l, const char *reason)
{
	const struct message *m = l->message;

	if (event_begin(l))
		batch_error(l->filling, event_time(l), l->config.collector, l->record.line, l->record.length, reason);
	event_end(l);
	if (m->text_encoder && !l->text_encoder_told) {
		l->text_encoder_told = true;
		log_warn("ExaBGP writes text, not JSON: set \"encoder json\" in its process section");
	} else if (log_repeat_due(&l->quarantine))
		log_warn("quarantined a line: %s (%llu so far, see bgp.ingest_error)", reason, l->quarantine.count);
}

/* since then, MESSAGE_NO_NUMBER if that is not known, or PEER_NOT_STALE */
static void
set_stale(struct loader *l, struct peer *p, int64_t since_us)
{
	bool stale = since_us != PEER_NOT_STALE;

	if (stale == p->stale)
		return;
	if (since_us == MESSAGE_NO_NUMBER)
		since_us = event_time(l);
	batch_peer(l->filling, p);
	p->stale = stale;
	p->stale_us = since_us;
}

static void
forget_refreshes(struct loader *l, struct peer *p)
{
	if (p->refreshes.count == 0)
		return;
	batch_peer(l->filling, p);
	refreshes_clear(&p->refreshes);
	p->refreshes_changed = true;
}

static void
session_event(struct loader *l, struct peer *p)
{
	const struct message *m = l->message;

	if (event_begin(l)) {
		if (p != NULL)
			batch_peer_row(l->filling, p, event_time(l));
		batch_session(l->filling, event_time(l), p != NULL ? p->id : 0, l->config.collector, m->event,
		    m->family, m->detail);
	}
	event_end(l);
	if (p == NULL)
		return;
	if (m->state != PEER_STATE_SAME) {
		batch_peer(l->filling, p);
		p->state = m->state;
		p->state_us = event_time(l);
		p->up = m->state == PEER_STATE_UP;
		p->down = m->state == PEER_STATE_DOWN;
		/* a session that begins sends all its routes, one that ends has none */
		set_stale(l, p, PEER_NOT_STALE);
		forget_refreshes(l, p);
	}
	if (m->enhanced != MESSAGE_ENHANCED_UNKNOWN && m->enhanced != p->enhanced) {
		batch_peer(l->filling, p);
		p->enhanced = m->enhanced;
		p->enhanced_changed = true;
	}
	if (m->router_id.family != 0) {
		batch_peer(l->filling, p);
		p->router_id = m->router_id;
	}
}

static void
peer_is_up(struct loader *l, struct peer *p, int64_t now_us)
{
	if (p->up)
		return;
	batch_peer(l->filling, p);
	p->state = PEER_STATE_UP;
	p->state_us = now_us;
	p->up = true;
	p->down = false;
}

static void
peer_unknown(void *arg, struct peer *p)
{
	struct loader *l = arg;

	batch_peer(l->filling, p);
	p->state = PEER_STATE_UNKNOWN;
	p->state_us = l->record.time_us;
	p->up = false;
	/* the end of a refresh may have been missed as well */
	forget_refreshes(l, p);
	if (!p->down)
		set_stale(l, p, l->record.time_us);
}

/* lines of the peer are missing, and what is left of an answer to a refresh is not all of it */
static void
set_missed(struct loader *l, struct peer *p, int64_t since_us)
{
	set_stale(l, p, since_us);
	if (p->refreshes.count == 0)
		return;
	batch_peer(l->filling, p);
	refreshes_miss(&p->refreshes);
	p->refreshes_changed = true;
}

/* lines of any peer may be missing */
static void
peer_missed(void *arg, struct peer *p)
{
	struct loader *l = arg;
	const struct journal_record *r = &l->record;

	/* one whose session began meanwhile shows that by its counter */
	if (!p->down)
		set_missed(l, p, r->from_us != MESSAGE_NO_NUMBER ? r->from_us : l->last_us);
}

/* of the helper itself; false if it must be gone on with in the next batch */
static bool
helper_event(struct loader *l, const char *event)
{
	char detail[300];

	if (l->next_event == 0) {
		snprintf(detail, sizeof(detail),
		    l->record.type == JOURNAL_START ? "{\"pid\":\"%s\"}" : "{\"reason\":\"%s\"}", l->record.text);
		if (event_begin(l))
			batch_session(l->filling, event_time(l), 0, l->config.collector, event, NULL, detail);
		event_end(l);
		l->next_event++;
	}
	if (l->record.type != JOURNAL_START)
		return true;
	/* what happened while no helper was there is not known */
	if (l->record.unclean) {
		if (is_full(l))
			return false;
		gap_event(l, l->last_us, l->record.time_us, MESSAGE_NO_NUMBER, MESSAGE_NO_NUMBER,
		    "the helper before this one was killed: what it had read and not written, if anything, is lost", 0);
	}
	peers_each(l->peers, peer_unknown, l);
	return true;
}

/* a note of resync.h's; of a peer that this collector has no lines of, there is nothing to say */
static void
resync_note(struct loader *l)
{
	char what[16], address[INET_TEXT_SIZE], local[INET_TEXT_SIZE], detail[320];
	struct peer_key key = { .local_asn = MESSAGE_NO_NUMBER };
	const char *family = NULL;
	struct peer *p = NULL;
	int at = 0;

	if (sscanf(l->record.text, "%15s %63s %63s %n", what, address, local, &at) < 3 || at == 0)
		return;
	if (strcmp(address, "all") != 0) {
		if (sscanf(l->record.text + at, "%" SCNd64, &key.asn) != 1 ||
		    !inet_parse_address(&key.address, address) ||
		    (strcmp(local, "-") != 0 && !inet_parse_address(&key.local_address, local)) ||
		    (p = peers_find(l->peers, &key)) == NULL || p->id == 0)
			return;
	}
	at += (int)strcspn(l->record.text + at, " ");
	at += (int)strspn(l->record.text + at, " ");
	if (strcmp(what, "asked") == 0 && p != NULL) {
		family = l->record.text + at;
		snprintf(detail, sizeof(detail), "{\"phase\":\"asked\"}");
	} else if (strcmp(what, "impossible") == 0)
		snprintf(detail, sizeof(detail), "{\"phase\":\"impossible\",\"reason\":\"%s\"}", l->record.text + at);
	else
		return;
	if (event_begin(l))
		batch_session(l->filling, event_time(l), p != NULL ? p->id : 0, l->config.collector, "resync", family,
		    detail);
	event_end(l);
	if (p == NULL)
		return;
	peer_is_up(l, p, event_time(l));
	if (family != NULL) {
		batch_peer(l->filling, p);
		refreshes_ask(&p->refreshes, family, event_time(l));
		p->refreshes_changed = true;
	}
}

/* the peer of a message, with an id: false if the store must be asked first */
static bool
peer_ready(struct loader *l, struct peer *p, enum wait *wait)
{
	if (p->id != 0)
		return true;
	*wait = WAIT_STORE;
	if (store_is_ready(l->store)) {
		p->last_us = l->message->time_us;
		store_ensure_peer(l->store, p);
	}
	return false;
}

static bool
partition_ready(struct loader *l, struct peer *p, enum wait *wait)
{
	int64_t day = l->message->time_us / CLOCK_DAY_US;

	if (peer_day_ready(p, day))
		return true;
	*wait = WAIT_STORE;
	novelty_forget(l->novelty);	/* the partition may have been dropped, with what was new in it */
	if (store_is_ready(l->store))
		store_ensure_partition(l->store, p, day);
	return false;
}

static const char *
route_family(const struct route *r)
{
	return r->family != NULL ? r->family : r->prefix.family == 4 ? "ipv4 unicast" : "ipv6 unicast";
}

/* does it come because the peer was asked to send all its routes again? */
static bool
is_refreshed(const struct peer *p, const struct route *r)
{
	return p->refreshes.count > 0 && r->announce &&
	    refreshes_cover(&p->refreshes, route_family(r), p->enhanced == MESSAGE_ENHANCED_YES);
}

/* rows of an UPDATE; false if it has more than the batch may take, or the store must be asked */
static bool
route_events(struct loader *l, struct peer *p, enum wait *wait)
{
	const struct message *m = l->message;

	if (m->time_us / CLOCK_DAY_US == p->refused_day) {
		if (l->next_event == 0)
			quarantine_event(l, "the peer has as many days in the log as it may have (bgp.days_max)");
		l->next_event = m->routes_count;
		return true;
	}
	if (!partition_ready(l, p, wait))
		return false;
	peer_is_up(l, p, m->time_us);
	batch_next_message(l->filling);
	while (l->next_event < m->routes_count) {
		const struct route *r = &m->routes[l->next_event];

		if (is_full(l))
			return false;
		if (event_begin(l)) {
			batch_peer_row(l->filling, p, m->time_us);
			batch_route(l->filling, m->time_us, p->id, is_refreshed(p, r), r);
		}
		event_end(l);
		l->next_event++;
	}
	return true;
}

/* an event of the peer's resync; false if the batch is full */
static bool
resync_event(struct loader *l, const struct peer *p, size_t number, const char *family, const char *detail)
{
	if (l->next_event > number)
		return true;
	if (is_full(l))
		return false;
	if (event_begin(l))
		batch_session(l->filling, event_time(l), p->id, l->config.collector, "resync", family, detail);
	event_end(l);
	l->next_event++;
	return true;
}

/* what the message is the end of, or NULL */
static const struct refresh *
ended_refresh(const struct peer *p, const struct message *m)
{
	return m->refresh == MESSAGE_REFRESH_END ? refreshes_find(&p->refreshes, m->family) : NULL;
}

/*
 * What a line says, or its time, of routes being sent again.  The first so many events of the line
 * are others.  Nothing changes before the last event, so that a line that is gone on with in the
 * next batch, or decoded again, gives the same.
 */
static bool
refresh_events(struct loader *l, struct peer *p, size_t number)
{
	const struct message *m = l->message;
	const struct refresh *f = ended_refresh(p, m);
	char detail[128], began[CLOCK_TEXT_SIZE];
	size_t i;

	if (f != NULL && f->phase == REFRESH_ANSWERED) {
		snprintf(detail, sizeof(detail), "{\"phase\":\"end\",\"from\":\"%s\"}",
		    clock_utc_text(began, sizeof(began), f->since_us));
		if (!resync_event(l, p, number++, f->family, detail))
			return false;
	}
	for (i = 0; i < p->refreshes.count && m->time_us != MESSAGE_NO_NUMBER; i++) {
		const struct refresh *late = &p->refreshes.list[i];

		if (late != f && late->phase != REFRESH_BEGUN && refresh_is_overdue(late, m->time_us) &&
		    !resync_event(l, p, number++, late->family, "{\"phase\":\"unanswered\"}"))
			return false;
	}
	return true;
}

static void
refresh_note(struct loader *l, struct peer *p)
{
	const struct message *m = l->message;
	const struct refresh *f = ended_refresh(p, m);
	bool answered = f != NULL && f->phase == REFRESH_ANSWERED;

	if (p->refreshes.count == 0 && m->refresh != MESSAGE_REFRESH_BEGIN)
		return;
	if (m->refresh == MESSAGE_REFRESH_BEGIN)
		refreshes_begin(&p->refreshes, m->family, m->time_us);
	else if (m->refresh == MESSAGE_REFRESH_END)
		refreshes_end(&p->refreshes, m->family);
	if (m->time_us != MESSAGE_NO_NUMBER)
		refreshes_expire(&p->refreshes, m->time_us);
	p->refreshes_changed = true;
	if (answered && refreshes_complete(&p->refreshes))
		set_stale(l, p, PEER_NOT_STALE);
}

/*
 * The events of a line.  The peer's counter is noted at its end only: a batch may end
 * in the middle, and what is decoded again after that must give the same events.
 */
static bool
line_events(struct loader *l, enum wait *wait)
{
	const struct message *m = l->message;
	struct peer *p = NULL;
	int64_t missed;
	char why[160];

	if (m->has_peer)
		p = m->kind == MESSAGE_ERROR ? peers_find(l->peers, &m->peer) : peers_get(l->peers, &m->peer);
	if (m->has_peer && p == NULL && m->kind != MESSAGE_ERROR) {
		quarantine_event(l, "more peers than a collector may have");
		return true;
	}
	if (p != NULL && !peer_ready(l, p, wait))
		return false;
	if (p != NULL && !l->gap_told && (missed = peer_missed_lines(p, m->pid, m->counter)) > 0) {
		if (is_full(l))
			return false;
		snprintf(why, sizeof(why), "ExaBGP counted %" PRId64 " lines of this peer that did not arrive (%" PRId64
		    " to %" PRId64 ")", missed, p->counter + 1, m->counter - 1);
		gap_event(l, p->last_us, m->time_us, missed, MESSAGE_NO_NUMBER, why, p->id);
		set_missed(l, p, p->last_us);
		l->gap_told = true;
	}
	/* told, the gap may have filled the batch */
	if (l->gap_told && is_full(l))
		return false;
	switch (m->kind) {
	case MESSAGE_IGNORED:
		break;
	case MESSAGE_ROUTES:
		if (!route_events(l, p, wait))
			return false;
		break;
	case MESSAGE_SESSION:
		if (l->next_event == 0) {
			session_event(l, p);
			l->next_event = 1;
		}
		break;
	case MESSAGE_ERROR:
		quarantine_event(l, m->reason);
		break;
	}
	if (p != NULL) {
		bool heard = m->kind == MESSAGE_ROUTES || m->kind == MESSAGE_SESSION;

		if (heard && !refresh_events(l, p, m->kind == MESSAGE_ROUTES ? m->routes_count : 1))
			return false;
		batch_peer(l->filling, p);
		if (heard)
			refresh_note(l, p);
		peer_note_line(p, m->pid, m->counter);
		if (m->time_us != MESSAGE_NO_NUMBER)
			p->last_us = m->time_us;
	}
	return true;
}

/* the events of the open record; false if it must be gone on with later */
static bool
record_events(struct loader *l, enum wait *wait)
{
	const struct journal_record *r = &l->record;

	switch (r->type) {
	case JOURNAL_LINE:
		if (!line_events(l, wait))
			return false;
		break;
	case JOURNAL_START:
		if (!helper_event(l, "start"))
			return false;
		break;
	case JOURNAL_RESYNC:
		resync_note(l);
		break;
	case JOURNAL_STOP:
		helper_event(l, "stop");
		break;
	case JOURNAL_GAP:
		gap_event(l, r->from_us, r->to_us, r->lines, r->bytes, r->text, 0);
		peers_each(l->peers, peer_missed, l);
		break;
	case JOURNAL_UNVERIFIED:	/* nothing is lost, as far as one knows: no event that is counted */
		batch_gap(l->filling, l->config.collector, MESSAGE_NO_NUMBER, MESSAGE_NO_NUMBER, 0, 0, r->text, 0);
		break;
	case JOURNAL_NOTHING:
		break;
	}
	l->filling->lines++;
	if (r->next.segment != r->position.segment || r->next.offset != r->position.offset) {
		l->filling->to.journal = r->next;
		l->filling->to.events = 0;
	}
	return true;
}

/* --- filling and sending ------------------------------------------------------------------ */

static bool
record_open(struct loader *l)
{
	if (!journal_reader_next(l->reader, &l->record))
		return false;
	l->record_open = true;
	l->next_event = 0;
	l->gap_told = false;
	l->message = NULL;
	if (l->record.time_us != MESSAGE_NO_NUMBER) {
		l->last_us = l->journaled_us;
		l->journaled_us = l->record.time_us;
	}
	if (l->record.position.segment != l->at.segment || l->record.position.offset != l->at.offset) {
		l->at = l->record.position;
		l->events_at = 0;
		l->skip = 0;
	}
	if (l->record.type == JOURNAL_LINE) {
		l->stats.lines++;
		l->message = decoder_line(l->decoder, l->record.line, l->record.length);
	}
	return true;
}

/* decodes until there is nothing, the batch is full, the store must answer, or others want a turn */
static enum wait
fill(struct loader *l)
{
	enum wait wait = WAIT_NOTHING;
	int turn;

	for (turn = 0; turn < TURN_LINES; turn++) {
		if (is_full(l))
			return WAIT_STORE;
		if (!l->record_open && !record_open(l))
			return WAIT_JOURNAL;
		if (l->filling->first_ms == 0)
			l->filling->first_ms = clock_monotonic_ms();
		if (l->filling->first_us == MESSAGE_NO_NUMBER)
			l->filling->first_us = l->record.time_us;
		if (!record_events(l, &wait))
			return WAIT_STORE;
		l->record_open = false;
	}
	return WAIT_NOTHING;
}

/* the batch being filled is complete: another one is begun */
static void
seal(struct loader *l)
{
	struct batch *b = l->filling, *other = b == &l->batches[0] ? &l->batches[1] : &l->batches[0];

	b->backlog_bytes = journal_backlog(l->journal, &b->to.journal);
	b->pending_us = b->backlog_bytes > 0 ? l->journaled_us : MESSAGE_NO_NUMBER;
	batch_seal(b);
	l->filling = other;
	batch_begin(other, ++l->batch_number, &b->to, b->seq);
}

static void
on_idle(uv_idle_t *handle)
{
	run(handle->data);
}

static void
on_timer(uv_timer_t *handle)
{
	run(handle->data);
}

/* sends what can be sent; true if there is a new batch to fill */
static bool
drive(struct loader *l, enum wait wait, bool is_due)
{
	bool streaming = l->under_way == l->filling;

	if (streaming) {
		/* the store cannot be asked for a peer or a partition before this batch is done */
		if (is_due || wait == WAIT_STORE) {
			seal(l);
			store_more(l->store);
			return true;
		}
		store_more(l->store);
		return false;
	}
	if (l->last || l->under_way != NULL || batch_is_empty(l->filling) || !store_is_ready(l->store))
		return false;
	if (!is_due && l->filling->rows[BATCH_ROUTES] < STREAM_ROWS)
		return false;
	l->under_way = l->filling;
	l->under_way_first_row = l->first_row;
	if (is_due)
		seal(l);
	store_load(l->store, l->under_way);
	return is_due;
}

static void
run(struct loader *l)
{
	enum wait wait;
	long long age;
	bool is_due;

	if (!l->ready || l->handles < 2)
		return;
	wait = l->last ? WAIT_STORE : fill(l);
	age = l->filling->first_ms == 0 ? 0 : clock_monotonic_ms() - l->filling->first_ms;
	is_due = is_full(l) || l->hurry || age >= l->config.batch_ms ||
	    (wait == WAIT_JOURNAL && (journal_ended(l->journal) || journal_is_full(l->journal)));
	if (drive(l, wait, is_due) && wait == WAIT_STORE && !l->last)
		wait = WAIT_NOTHING;
	if (wait == WAIT_NOTHING) {
		uv_idle_start(&l->idle, on_idle);
		return;
	}
	uv_idle_stop(&l->idle);
	if (wait == WAIT_JOURNAL && journal_backlog(l->journal, &l->filling->to.journal) > 0)
		uv_timer_start(&l->timer, on_timer, RETRY_MS, 0);	/* it could not be read for now */
	if (!batch_is_empty(l->filling) && !is_due)
		uv_timer_start(&l->timer, on_timer, (uint64_t)(l->config.batch_ms - age), 0);
	if (wait == WAIT_JOURNAL && batch_is_empty(l->filling) && l->under_way == NULL && !l->loaded_told &&
	    journal_ended(l->journal) && journal_backlog(l->journal, &l->filling->to.journal) == 0) {
		l->loaded_told = true;
		l->config.on_loaded(l->config.arg);
	}
}

/* --- what others ask for --------------------------------------------------------------------- */

struct loader *
loader_new(uv_loop_t *loop, struct journal *journal, const struct loader_config *config)
{
	struct loader *l = calloc(1, sizeof(*l));
	struct store_config store = { .conninfo = config->conninfo, .collector = config->collector, .on_peer = on_peer,
		.on_open = on_open, .on_ready = on_ready, .on_rejected = on_rejected };

	if (l == NULL)
		goto failed;
	store.arg = l;
	l->config = *config;
	l->journal = journal;
	l->filling = &l->batches[0];
	l->journaled_us = l->last_us = l->waiting_us = MESSAGE_NO_NUMBER;
	l->decoder = decoder_new();
	l->peers = peers_new();
	l->novelty = l->batches[0].novelty = l->batches[1].novelty = novelty_new();
	l->reader = journal_reader_new(journal, config->spool);
	if (l->decoder == NULL || l->peers == NULL || l->novelty == NULL || l->reader == NULL ||
	    uv_timer_init(loop, &l->timer) != 0 || uv_idle_init(loop, &l->idle) != 0 ||
	    (l->store = store_new(loop, &store)) == NULL)
		goto failed;
	l->timer.data = l->idle.data = l;
	l->handles = 2;
	return l;
failed:
	log_error("could not set up loading: out of memory");
	loader_free(l);
	return NULL;
}

void
loader_wake(struct loader *l)
{
	char id[JOURNAL_ID_SIZE];

	if (!l->opened && journal_id(l->journal, id)) {
		l->opened = true;
		l->waiting_us = journal_reader_oldest_us(l->journal, l->config.spool);
		store_open(l->store, id);
	} else if (!l->ready && l->waiting_us == MESSAGE_NO_NUMBER && journal_backlog(l->journal, &nowhere) > 0)
		l->waiting_us = clock_wall_us();
	run(l);
}

void
loader_hurry(struct loader *l, bool last)
{
	l->hurry = true;
	if (last && !l->last) {
		l->last = true;
		run(l);
	} else if (!last)
		run(l);
}

bool
loader_is_idle(const struct loader *l)
{
	return l->under_way == NULL || !l->ready;
}

void
loader_close(struct loader *l)
{
	l->handles = 0;
	uv_close((uv_handle_t *)&l->timer, NULL);
	uv_close((uv_handle_t *)&l->idle, NULL);
	store_close(l->store);
	l->store = NULL;
}

void
loader_free(struct loader *l)
{
	if (l == NULL)
		return;
	batch_free(&l->batches[0]);
	batch_free(&l->batches[1]);
	journal_reader_free(l->reader);
	decoder_free(l->decoder);
	peers_free(l->peers);
	novelty_free(l->novelty);
	free(l);
}

void
loader_stats(const struct loader *l, struct loader_stats *stats)
{
	const struct batch *oldest = l->under_way != NULL ? l->under_way : l->filling;
	int64_t oldest_us = l->ready ? oldest->first_us : l->waiting_us;
	struct store_stats store;

	*stats = l->stats;
	store_stats(l->store, &store);
	stats->connects = store.connects;
	stats->failures = store.failures;
	stats->up = store.up;
	/* before the database said where to go on, all that is in the journal may be missing there */
	stats->backlog_bytes = journal_backlog(l->journal, l->ready ? &oldest->from.journal : &nowhere);
	if (oldest_us != MESSAGE_NO_NUMBER)
		stats->lag_us = clock_wall_us() - oldest_us;
	if (stats->lag_us < 0 || (!l->ready && stats->backlog_bytes == 0))
		stats->lag_us = 0;
}
