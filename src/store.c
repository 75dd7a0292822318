#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libpq-fe.h>
#include <uv.h>

#include "clock.h"
#include "database.h"
#include "log.h"
#include "peer.h"
#include "store.h"
#include "version.h"

#define CONNECT_LEAST_MS 2000	/* as libpq itself would */
#define PATIENCE_MS	60000	/* for an answer, before the log says that it is awaited */
#define RETRY_FIRST_MS	100
#define RETRY_LAST_MS	10000
#define FEED_BYTES	((size_t)64 * 1024)	/* handed to libpq at once */
#define FEED_TURN_BYTES	((size_t)512 * 1024)	/* before others have a turn */

enum state {
	STATE_CLOSED,		/* no connection, none wanted */
	STATE_WAITING,		/* for the next try */
	STATE_CONNECTING,
	STATE_OPENING,		/* position and peers are being asked for */
	STATE_READY,		/* from here on the database is up */
	STATE_ASKING,		/* for a peer or a partition */
	STATE_LOADING,
	STATE_UNDOING		/* ROLLBACK */
};

static const char *const state_names[] = { "closed", "waiting", "connecting", "opening", "ready", "asking", "loading",
	"undoing" };

/* what the statement under way is for */
enum step { STEP_NONE, STEP_SETTINGS, STEP_POSITION, STEP_PEERS, STEP_PEER, STEP_PARTITION, STEP_COPY, STEP_COMMIT_CALL,
	STEP_COMMIT, STEP_ROLLBACK };

/* what a failed statement asks for */
enum cure {
	CURE_RECONNECT,
	CURE_REOPEN,	/* at once: somebody else moved the position */
	CURE_RETRY,	/* later: not the batch's fault */
	CURE_REJECT,	/* the batch's fault */
	CURE_REFUSE	/* the day's: the peer has too many */
};

struct store {
	struct store_config config;
	uv_loop_t	*loop;
	uv_timer_t	 timer;
	uv_poll_t	*poll;		/* of socket, NULL if none */
	int		 socket;
	int		 poll_events;
	PGconn		*conn;
	enum state	 state;
	enum step	 step;
	bool		 in_transaction;
	char		 journal_id[JOURNAL_ID_SIZE];
	char		*hosts[3];	/* of a connection string with several, in another order; NULL: as it says */
	unsigned int	 retry_ms;
	struct log_repeat trouble;
	long long	 asked_ms;	/* when the statement under way was sent */
	/* the failure of the statement under way */
	bool		 failed;
	enum cure	 cure;
	char		 why[512];
	/* what on_open is to say */
	struct batch_position position;
	int64_t		 seq;
	/* what is asked for */
	struct peer	*peer;
	int64_t		 day;
	const struct batch *batch;
	int		 table;		/* being copied */
	size_t		 fed;		/* bytes of it */
	bool		 feeding;
	bool		 starved;	/* all that the batch has so far is fed */
	struct store_stats stats;
	bool		 closing;
};

static void	statement_next(struct store *);
static void	on_timer(uv_timer_t *);
static void	on_poll(uv_poll_t *, int, int);

bool
store_conninfo_valid(const char *conninfo)
{
	PQconninfoOption *options;

	/* a URI or key=value pairs; a bare word is the name of a database */
	if (strchr(conninfo, '=') == NULL && strstr(conninfo, "://") == NULL)
		return true;
	options = PQconninfoParse(conninfo, NULL);
	if (options == NULL) {
		/* libpq's reason quotes the string, which may have a password */
		log_error("could not understand the connection string: not what libpq takes (key=value pairs or a"
		    " URI)");
		return false;
	}
	PQconninfoFree(options);
	return true;
}

struct store *
store_new(uv_loop_t *loop, const struct store_config *config)
{
	struct store *s = calloc(1, sizeof(*s));

	if (s == NULL || uv_timer_init(loop, &s->timer) != 0) {
		log_error("could not set up loading: out of memory");
		free(s);
		return NULL;
	}
	s->timer.data = s;
	s->config = *config;
	s->loop = loop;
	s->socket = -1;
	s->state = STATE_CLOSED;
	return s;
}

static void
state_set(struct store *s, enum state state, const char *why)
{
	if (state != s->state)
		log_debug("database: %s -> %s (%s)", state_names[s->state], state_names[state], why);
	s->state = state;
}

/* --- the socket ------------------------------------------------------------------ */

static void
on_poll_closed(uv_handle_t *handle)
{
	free(handle);
}

static void
poll_stop(struct store *s)
{
	if (s->poll == NULL)
		return;
	uv_poll_stop(s->poll);
	s->poll->data = NULL;
	uv_close((uv_handle_t *)s->poll, on_poll_closed);
	s->poll = NULL;
	s->socket = -1;
}

/* watches the connection's socket, which changes while connecting, for these events */
static bool
poll_start(struct store *s, int events)
{
	int fd = PQsocket(s->conn), error;

	if (s->poll != NULL && fd == s->socket && events == s->poll_events)
		return true;
	if (s->poll != NULL && fd != s->socket)
		poll_stop(s);
	if (s->poll == NULL) {
		if (fd < 0 || (s->poll = malloc(sizeof(*s->poll))) == NULL)
			return false;
		if ((error = uv_poll_init(s->loop, s->poll, fd)) != 0) {
			log_error("could not watch the database's socket: %s", uv_strerror(error));
			free(s->poll);
			s->poll = NULL;
			return false;
		}
		s->poll->data = s;
		s->socket = fd;
	}
	s->poll_events = events;
	return uv_poll_start(s->poll, events, on_poll) == 0;
}

/* --- failing ----------------------------------------------------------------------- */

static void
disconnect(struct store *s)
{
	poll_stop(s);
	if (s->conn != NULL)
		PQfinish(s->conn);
	s->conn = NULL;
	s->in_transaction = false;
	s->feeding = s->starved = false;
	s->step = STEP_NONE;
	s->batch = NULL;
}

static void
retry_later(struct store *s, const char *why)
{
	uint64_t delay;

	s->retry_ms = s->retry_ms == 0 ? RETRY_FIRST_MS : s->retry_ms * 2;
	if (s->retry_ms > RETRY_LAST_MS)
		s->retry_ms = RETRY_LAST_MS;
	/* jittered: many helpers lose one server at the same time */
	delay = s->retry_ms / 2 + (uint64_t)random() % (s->retry_ms / 2 + 1);
	state_set(s, STATE_WAITING, why);
	uv_timer_start(&s->timer, on_timer, delay, 0);
}

static void
report(struct store *s, const char *why)
{
	s->stats.failures++;
	if (log_repeat_due(&s->trouble))
		log_error("could not load into PostgreSQL: %s; input waits in the journal, %llu failures so far", why,
		    s->trouble.count);
}

/* libpq's messages end with a newline and may have several, indented lines */
static void
one_line(char *text)
{
	char *to = text, *p;

	for (p = text; *p != '\0'; p++) {
		if (!isspace((unsigned char)*p))
			*to++ = *p;
		else if (to > text && to[-1] != ' ')
			*to++ = ' ';
	}
	if (to > text && to[-1] == ' ')
		to--;
	*to = '\0';
}

static void
connection_lost(struct store *s)
{
	char why[512];

	snprintf(why, sizeof(why), "%s", s->conn != NULL ? PQerrorMessage(s->conn) : "out of memory");
	one_line(why);
	if (why[0] == '\0')
		snprintf(why, sizeof(why), "the connection was closed");
	report(s, why);
	disconnect(s);
	retry_later(s, "connection lost");
}

static bool
in_class(const char *sqlstate, const char *class)
{
	return strncmp(sqlstate, class, strlen(class)) == 0;
}

/* PostgreSQL manual, appendix A */
static enum cure
cure_for(const PGresult *res)
{
	const char *sqlstate = PQresultErrorField(res, PG_DIAG_SQLSTATE);
	/* integrity, data, limits (a row too large), WITH CHECK OPTION, RAISE in somebody's trigger */
	static const char *const row[] = { "22", "23", "54", "44", "P0", "27", "09", "21", NULL };
	const char *const *class;

	if (sqlstate == NULL || database_is_gone(sqlstate))
		return CURE_RECONNECT;
	if (strcmp(sqlstate, "EP001") == 0)
		return CURE_REOPEN;
	if (strcmp(sqlstate, "EP002") == 0)
		return CURE_REFUSE;
	/* "no partition of relation found for row": dropped since we looked */
	if (strcmp(sqlstate, "23514") == 0 && PQresultErrorField(res, PG_DIAG_CONSTRAINT_NAME) == NULL)
		return CURE_RETRY;
	for (class = row; *class != NULL; class++)
		if (in_class(sqlstate, *class))
			return CURE_REJECT;
	return CURE_RETRY;
}

static void
note_failure(struct store *s, const PGresult *res)
{
	const char *sqlstate = PQresultErrorField(res, PG_DIAG_SQLSTATE);
	const char *primary = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);
	const char *detail = PQresultErrorField(res, PG_DIAG_MESSAGE_DETAIL);

	if (s->failed)
		return;
	s->failed = true;
	s->cure = cure_for(res);
	if (s->cure == CURE_REJECT && s->step != STEP_COPY && s->step != STEP_COMMIT)
		s->cure = CURE_RETRY;	/* there is no row that could be at fault */
	snprintf(s->why, sizeof(s->why), "%s%s%s%s%s%s", primary != NULL ? primary : PQresultErrorMessage(res),
	    detail != NULL ? ": " : "", detail != NULL ? detail : "", sqlstate != NULL ? " (SQLSTATE " : "",
	    sqlstate != NULL ? sqlstate : "", sqlstate != NULL ? ")" : "");
	one_line(s->why);
}

/* --- statements -------------------------------------------------------------------- */

static void
flush(struct store *s)
{
	int left;

	if (s->conn == NULL)
		return;
	left = PQflush(s->conn);
	if (left == -1 ||
	    !poll_start(s, left == 1 || (s->feeding && !s->starved) ? UV_READABLE | UV_WRITABLE : UV_READABLE))
		connection_lost(s);
}

static void
statement_send(struct store *s, enum step step, const char *sql, int count, const char *const *values)
{
	int sent;

	s->step = step;
	s->failed = false;
	s->asked_ms = clock_monotonic_ms();
	uv_timer_start(&s->timer, on_timer, PATIENCE_MS, 0);
	sent = count == 0 ? PQsendQuery(s->conn, sql) :
	    PQsendQueryParams(s->conn, sql, count, NULL, values, NULL, NULL, 0);
	if (sent != 1)
		connection_lost(s);
	else
		flush(s);
}

static void
open_position(struct store *s)
{
	const char *values[2] = { s->journal_id, s->config.collector };

	state_set(s, STATE_OPENING, "asking for the position");
	statement_send(s, STEP_POSITION,
	    "SELECT segment, position, events, seq, schema_version FROM bgp.ingest_open($1, $2)", 2, values);
}

static void
open_peers(struct store *s)
{
	const char *values[1] = { s->config.collector };

	statement_send(s, STEP_PEERS, "SELECT peer_id, peer_address, peer_asn, local_address, exabgp_pid, line_counter,"
	    " (extract(epoch FROM last_seen) * 1000000)::bigint, state, stale, enhanced_refresh, refreshing"
	    " FROM bgp.ingest_peer_states($1)", 1, values);
}

static const char *const host_keywords[] = { "host", "hostaddr", "port" };

/* "a,b,c" -> "b,c,a" */
static char *
list_rotated(const char *list)
{
	const char *comma = strchr(list, ',');
	char *text;

	if (asprintf(&text, "%s,%.*s", comma + 1, (int)(comma - list), list) == -1)
		return NULL;
	return text;
}

/*
 * A host that takes the connection and then says nothing would hide those after it for ever:
 * connecting without blocking, libpq has no time limit that makes it go on to the next one.  So
 * the next try begins with that.
 */
static void
hosts_rotate(struct store *s)
{
	PQconninfoOption *options = PQconninfo(s->conn), *o;
	size_t i;

	for (o = options; o != NULL && o->keyword != NULL; o++)
		for (i = 0; i < sizeof(s->hosts) / sizeof(s->hosts[0]); i++)
			if (strcmp(o->keyword, host_keywords[i]) == 0 && o->val != NULL &&
			    strchr(o->val, ',') != NULL) {
				free(s->hosts[i]);
				s->hosts[i] = list_rotated(o->val);
			}
	PQconninfoFree(options);
}

/* for all hosts of the connection string together */
static uint64_t
connect_ms(PGconn *conn)
{
	PQconninfoOption *options = PQconninfo(conn), *o;
	long ms = atoi(DATABASE_CONNECT_S) * 1000L;

	for (o = options; o != NULL && o->keyword != NULL; o++)
		if (strcmp(o->keyword, "connect_timeout") == 0 && o->val != NULL && atoi(o->val) > 0)
			ms = atoi(o->val) * 1000L;
	PQconninfoFree(options);
	return ms < CONNECT_LEAST_MS ? CONNECT_LEAST_MS : (uint64_t)ms;
}

static void
connect_start(struct store *s)
{
	struct database_parameters p;
	size_t i;

	database_parameters(&p, s->config.conninfo, NULL);
	for (i = 0; i < sizeof(s->hosts) / sizeof(s->hosts[0]); i++)
		database_parameter_add(&p, host_keywords[i], s->hosts[i]);
	state_set(s, STATE_CONNECTING, "trying");
	s->stats.connects++;
	s->conn = PQconnectStartParams(p.keywords, p.values, 1);
	if (s->conn == NULL || PQstatus(s->conn) == CONNECTION_BAD || !poll_start(s, UV_WRITABLE)) {
		connection_lost(s);
		return;
	}
	uv_timer_start(&s->timer, on_timer, connect_ms(s->conn), 0);
}

/* what the server says besides results */
static void
on_notice(void *arg, const PGresult *res)
{
	const char *sqlstate = PQresultErrorField(res, PG_DIAG_SQLSTATE);
	char text[512];

	(void)arg;
	snprintf(text, sizeof(text), "%s", PQresultErrorMessage(res));
	one_line(text);
	/* that it is about to end will be reported when it has */
	log_message(sqlstate != NULL && database_is_gone(sqlstate) ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARN,
	    "PostgreSQL says: %s", text);
}

static void
connect_step(struct store *s)
{
	PostgresPollingStatusType status;

	/* libpq may close the socket and open another of the same number, which the loop could not tell */
	poll_stop(s);
	status = PQconnectPoll(s->conn);
	switch (status) {
	case PGRES_POLLING_READING:
		if (!poll_start(s, UV_READABLE))
			connection_lost(s);
		break;
	case PGRES_POLLING_WRITING:
		if (!poll_start(s, UV_WRITABLE))
			connection_lost(s);
		break;
	case PGRES_POLLING_OK:
		uv_timer_stop(&s->timer);
		if (PQsetnonblocking(s->conn, 1) != 0) {
			connection_lost(s);
			break;
		}
		PQsetNoticeReceiver(s->conn, on_notice, NULL);
		state_set(s, STATE_OPENING, "connected");
		/*
		 * Limits that a role or database may have would only make a batch fail for ever.  But should
		 * we vanish between two statements, the server is to end this session, and free its locks.  And
		 * what is committed leaves the journal, so it must be on the server's disk.
		 */
		statement_send(s, STEP_SETTINGS, "SET statement_timeout = 0; SET lock_timeout = 0;"
		    " SET idle_in_transaction_session_timeout = '60s'; SET client_min_messages = warning;"
		    " SET tcp_keepalives_idle = 20; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 4;"
		    " SET DateStyle = ISO; SET TimeZone = 'UTC'; SELECT set_config('synchronous_commit', 'on', false)"
		    " WHERE current_setting('synchronous_commit') = 'off'", 0, NULL);
		break;
	default:
		connection_lost(s);
		break;
	}
}

static void
on_timer(uv_timer_t *timer)
{
	struct store *s = timer->data;

	if (s->state == STATE_CONNECTING) {
		report(s, "the server does not answer");
		hosts_rotate(s);
		disconnect(s);
		retry_later(s, "connecting took too long");
	} else if (s->state == STATE_WAITING) {
		connect_start(s);
	} else if (s->step != STEP_NONE) {
		log_warn("the database has not answered for %d s (%s); input waits in the journal",
		    (int)((clock_monotonic_ms() - s->asked_ms) / 1000), state_names[s->state]);
		uv_timer_start(&s->timer, on_timer, (uint64_t)(clock_monotonic_ms() - s->asked_ms), 0);
	}
}

/* --- loading a batch ------------------------------------------------------------------ */

static int
next_table(const struct batch *b, int table)
{
	while (table < BATCH_TABLES && b->rows[table] == 0)
		table++;
	return table;
}

static void
copy_start(struct store *s, int table)
{
	char sql[1024];

	s->table = table;
	s->fed = 0;
	s->starved = false;
	snprintf(sql, sizeof(sql), "%s%s", s->in_transaction ? "" : "BEGIN; ",
	    batch_copy_statement((enum batch_table)table));
	s->in_transaction = true;
	statement_send(s, STEP_COPY, sql, 0, NULL);
}

static void
copy_feed(struct store *s)
{
	const struct buf *b = &s->batch->copy[s->table];
	size_t turn = 0;

	while (s->fed < b->length && turn < FEED_TURN_BYTES) {
		size_t n = b->length - s->fed < FEED_BYTES ? b->length - s->fed : FEED_BYTES;
		int left;

		if (PQputCopyData(s->conn, (const char *)b->data + s->fed, (int)n) != 1 ||
		    (left = PQflush(s->conn)) == -1) {
			connection_lost(s);
			return;
		}
		s->fed += n;
		turn += n;
		if (left == 1)
			break;
	}
	s->starved = s->fed == b->length && !s->batch->sealed;
	if (s->fed == b->length && s->batch->sealed) {
		/* the format's own end, then the protocol's */
		if (PQputCopyData(s->conn, "\xff\xff", 2) != 1 || PQputCopyEnd(s->conn, NULL) != 1) {
			connection_lost(s);
			return;
		}
		s->feeding = false;
	}
	flush(s);
}

struct array {
	struct buf	text;
};

static void
array_add(struct array *a, const char *element)
{
	buf_add(&a->text, a->text.length == 0 ? "{" : ",", 1);
	buf_add(&a->text, element, strlen(element));
}

/* text that may have anything in it */
static void
array_add_quoted(struct array *a, const char *element)
{
	buf_add(&a->text, a->text.length == 0 ? "{\"" : ",\"", 2);
	for (; *element != '\0'; element++) {
		if (*element == '"' || *element == '\\')
			buf_add(&a->text, "\\", 1);
		buf_add(&a->text, element, 1);
	}
	buf_add(&a->text, "\"", 1);
}

static const char *
array_end(struct array *a)
{
	if (a->text.length == 0)
		buf_add(&a->text, "{", 1);
	buf_add(&a->text, "}", 2);	/* with the final NUL */
	return (const char *)a->text.data;
}

static const char *
number_text(char *text, size_t size, int64_t n)
{
	if (n == MESSAGE_NO_NUMBER)
		return "NULL";
	snprintf(text, size, "%" PRId64, n);
	return text;
}

/* as an array element or a parameter */
static const char *
time_text(char *text, size_t size, int64_t us)
{
	return us == MESSAGE_NO_NUMBER ? "NULL" : clock_utc_text(text, size, us);
}

#define PEER_ARRAYS	12	/* parameters of bgp.ingest_commit that run over peers */

static void
commit_call(struct store *s)
{
	const struct batch *b = s->batch;
	struct array arrays[PEER_ARRAYS];
	char numbers[11][24], text[64];
	const char *values[13 + PEER_ARRAYS];
	int64_t fields[11] = { (int64_t)b->from.journal.segment, (int64_t)b->from.journal.offset, b->from.events,
		(int64_t)b->to.journal.segment, (int64_t)b->to.journal.offset, b->to.events, b->seq,
		(int64_t)b->rows[BATCH_ROUTES], (int64_t)b->rows[BATCH_ERRORS],
		(int64_t)b->rows[BATCH_GAPS], (int64_t)b->backlog_bytes };
	char pending[64];
	size_t i;
	int n;

	memset(arrays, 0, sizeof(arrays));
	values[0] = s->journal_id;
	for (n = 0; n < 11; n++)
		values[1 + n] = number_text(numbers[n], sizeof(numbers[n]), fields[n]);
	values[12] = NULL;
	if (b->pending_us != MESSAGE_NO_NUMBER)
		values[12] = time_text(pending, sizeof(pending), b->pending_us);
	for (i = 0; i < b->peers_count; i++) {
		const struct batch_peer *p = &b->peers[i];
		static const char *const states[] = { "NULL", "up", "down", "unknown" };
		static const char *const enhanced[] = { "NULL", "f", "t" };

		array_add(&arrays[0], number_text(text, sizeof(text), p->id));
		array_add(&arrays[1], time_text(text, sizeof(text), p->last_us));
		array_add(&arrays[2], number_text(text, sizeof(text), p->pid));
		array_add(&arrays[3], number_text(text, sizeof(text), p->counter));
		array_add(&arrays[4], states[p->state]);
		array_add(&arrays[5],
		    p->state == PEER_STATE_SAME ? "NULL" : time_text(text, sizeof(text), p->state_us));
		array_add(&arrays[6], p->router_id.family == 0 ? "NULL" : inet_address_text(text, &p->router_id));
		array_add(&arrays[7],
		    p->stale_us == PEER_NOT_STALE ? "-infinity" : time_text(text, sizeof(text), p->stale_us));
		array_add(&arrays[8], enhanced[p->enhanced]);
		if (p->refreshing == NULL)
			array_add(&arrays[9], "NULL");
		else
			array_add_quoted(&arrays[9], p->refreshing);
		array_add(&arrays[10], time_text(text, sizeof(text), p->rows_from_us));
		array_add(&arrays[11], time_text(text, sizeof(text), p->rows_to_us));
	}
	for (n = 0; n < PEER_ARRAYS; n++)
		values[13 + n] = array_end(&arrays[n]);
	statement_send(s, STEP_COMMIT_CALL, "SELECT bgp.ingest_commit($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11,"
	    " $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25)", 13 + PEER_ARRAYS, values);
	for (n = 0; n < PEER_ARRAYS; n++)
		buf_free(&arrays[n].text);
}

/* after a table is copied, or none: the next one, or the end */
static void
load_next(struct store *s, int table)
{
	table = next_table(s->batch, table);
	if (table < BATCH_TABLES)
		copy_start(s, table);
	else
		commit_call(s);
}

/* --- results ------------------------------------------------------------------------------ */

static int64_t
result_number(const PGresult *res, int row, int column)
{
	return PQgetisnull(res, row, column) ? MESSAGE_NO_NUMBER : strtoll(PQgetvalue(res, row, column), NULL, 10);
}

static void
take_position(struct store *s, const PGresult *res)
{
	int64_t version = result_number(res, 0, 4);

	s->position.journal.segment = (uint64_t)result_number(res, 0, 0);
	s->position.journal.offset = (uint64_t)result_number(res, 0, 1);
	s->position.events = (int32_t)result_number(res, 0, 2);
	s->seq = result_number(res, 0, 3);
	if (version < EXABGP_PG_SCHEMA) {
		s->failed = true;
		s->cure = CURE_RETRY;
		snprintf(s->why, sizeof(s->why), "the schema has version %" PRId64
		    ", this program needs %d: run \"exabgp-pg-db upgrade\"", version, EXABGP_PG_SCHEMA);
	}
}

static void
take_peers(struct store *s, const PGresult *res)
{
	int row;

	for (row = 0; row < PQntuples(res); row++) {
		struct store_peer p = { .id = (int32_t)result_number(res, row, 0), .pid = result_number(res, row, 4),
			.counter = result_number(res, row, 5), .last_us = result_number(res, row, 6) };

		if (!PQgetisnull(res, row, 1))
			inet_parse_address(&p.key.address, PQgetvalue(res, row, 1));
		p.key.asn = result_number(res, row, 2);
		p.key.local_asn = MESSAGE_NO_NUMBER;
		if (!PQgetisnull(res, row, 3))
			inet_parse_address(&p.key.local_address, PQgetvalue(res, row, 3));
		p.down = strcmp(PQgetvalue(res, row, 7), "down") == 0;
		p.stale = *PQgetvalue(res, row, 8) == 't';
		p.enhanced = PQgetisnull(res, row, 9) ? MESSAGE_ENHANCED_UNKNOWN :
		    *PQgetvalue(res, row, 9) == 't' ? MESSAGE_ENHANCED_YES : MESSAGE_ENHANCED_NO;
		p.refreshing = PQgetvalue(res, row, 10);
		s->config.on_peer(s->config.arg, &p);
	}
}

static void
take_result(struct store *s, PGresult *res)
{
	switch (PQresultStatus(res)) {
	case PGRES_COMMAND_OK:
	case PGRES_NONFATAL_ERROR:
	case PGRES_EMPTY_QUERY:
		break;
	case PGRES_TUPLES_OK:
		if (s->step == STEP_POSITION && PQntuples(res) == 1)
			take_position(s, res);
		else if (s->step == STEP_PEERS)
			take_peers(s, res);
		else if (s->step == STEP_PEER && PQntuples(res) == 1)
			s->peer->id = (int32_t)result_number(res, 0, 0);
		break;
	default:
		note_failure(s, res);
		break;
	}
}

static void
ready(struct store *s)
{
	s->step = STEP_NONE;
	s->batch = NULL;
	uv_timer_stop(&s->timer);
	state_set(s, STATE_READY, "done");
}

static void
statement_failed(struct store *s)
{
	if (s->in_transaction && s->step != STEP_ROLLBACK) {
		state_set(s, STATE_UNDOING, s->why);
		/* the cure is kept for after it */
		s->step = STEP_ROLLBACK;
		if (PQsendQuery(s->conn, "ROLLBACK") != 1)
			connection_lost(s);
		else
			flush(s);
		return;
	}
	s->in_transaction = false;
	s->step = STEP_NONE;
	s->batch = NULL;
	switch (s->cure) {
	case CURE_RECONNECT:
		report(s, s->why);
		disconnect(s);
		retry_later(s, s->why);
		break;
	case CURE_REOPEN:
		log_info("another connection has loaded part of the journal: asking where to go on");
		open_position(s);
		break;
	case CURE_RETRY:
		/* on a new connection: what the session has inherited may be the cause */
		report(s, s->why);
		disconnect(s);
		retry_later(s, s->why);
		break;
	case CURE_REFUSE:
		s->peer->refused_day = s->day;
		ready(s);
		s->config.on_ready(s->config.arg);
		break;
	case CURE_REJECT:
		s->stats.failures++;
		s->config.on_rejected(s->config.arg, s->why);
		open_position(s);
		break;
	}
}

/* the statement under way is over */
static void
statement_next(struct store *s)
{
	struct store_config *c = &s->config;

	if (s->step == STEP_ROLLBACK || s->failed) {
		statement_failed(s);
		return;
	}
	switch (s->step) {
	case STEP_SETTINGS:
		open_position(s);
		break;
	case STEP_POSITION:
		open_peers(s);
		break;
	case STEP_PEERS:
		ready(s);
		c->on_open(c->arg, &s->position, s->seq);
		break;
	case STEP_PARTITION:
		peer_day_set_ready(s->peer, s->day);
		ready(s);
		c->on_ready(c->arg);
		break;
	case STEP_PEER:
		ready(s);
		c->on_ready(c->arg);
		break;
	case STEP_COPY:
		load_next(s, s->table + 1);
		break;
	case STEP_COMMIT_CALL:
		if (s->in_transaction) {
			statement_send(s, STEP_COMMIT, "COMMIT", 0, NULL);
			break;
		}
		/* FALLTHROUGH */
	case STEP_COMMIT:
		s->in_transaction = false;
		if (s->trouble.count > 0)
			log_info("the database is loaded again after %llu failures", s->trouble.count);
		log_repeat_reset(&s->trouble);
		s->retry_ms = 0;
		s->stats.batches++;
		s->stats.rows += batch_rows(s->batch);
		ready(s);
		c->on_ready(c->arg);
		break;
	default:
		break;
	}
}

static void
read_results(struct store *s)
{
	PGconn *conn = s->conn;
	PGresult *res;

	/* a handler may send the next statement, disconnect, or close */
	while (s->conn == conn && s->step != STEP_NONE && !s->feeding && !PQisBusy(conn)) {
		res = PQgetResult(conn);
		if (res == NULL) {
			if (PQstatus(conn) == CONNECTION_BAD) {
				connection_lost(s);
				return;
			}
			statement_next(s);
			continue;
		}
		if (PQresultStatus(res) == PGRES_COPY_IN) {
			PQclear(res);
			s->feeding = true;
			copy_feed(s);
			continue;
		}
		take_result(s, res);
		PQclear(res);
	}
}

static void
on_poll(uv_poll_t *poll, int status, int events)
{
	struct store *s = poll->data;

	if (s == NULL)
		return;
	if (s->state == STATE_CONNECTING) {
		connect_step(s);
		return;
	}
	if (status < 0 || ((events & UV_READABLE) != 0 && PQconsumeInput(s->conn) == 0)) {
		connection_lost(s);
		return;
	}
	if (s->feeding)
		copy_feed(s);
	else if ((events & UV_WRITABLE) != 0)
		flush(s);
	if (s->conn != NULL)
		read_results(s);
	/* an idle connection says something only when it ends */
	if (s->conn != NULL && s->step == STEP_NONE && PQstatus(s->conn) == CONNECTION_BAD)
		connection_lost(s);
}

/* --- what others ask for ---------------------------------------------------------------------- */

void
store_open(struct store *s, const char *journal_id)
{
	memcpy(s->journal_id, journal_id, sizeof(s->journal_id));
	if (s->state == STATE_CLOSED)
		connect_start(s);
}

static void
on_timer_closed(uv_handle_t *handle)
{
	struct store *s = handle->data;
	size_t i;

	for (i = 0; i < sizeof(s->hosts) / sizeof(s->hosts[0]); i++)
		free(s->hosts[i]);
	free(s);
}

void
store_close(struct store *s)
{
	if (s == NULL || s->closing)
		return;
	s->closing = true;
	disconnect(s);
	s->state = STATE_CLOSED;
	uv_timer_stop(&s->timer);
	uv_close((uv_handle_t *)&s->timer, on_timer_closed);
}

bool
store_is_ready(const struct store *s)
{
	return s->state == STATE_READY;
}

static const char *
nullable(const char *text)
{
	return strcmp(text, "NULL") == 0 || *text == '\0' ? NULL : text;
}

void
store_ensure_peer(struct store *s, struct peer *p)
{
	char address[INET_TEXT_SIZE], local[INET_TEXT_SIZE], asn[24], local_asn[24], seen[64];
	const char *values[6] = { s->config.collector, nullable(inet_address_text(address, &p->key.address)),
		nullable(number_text(asn, sizeof(asn), p->key.asn)),
		nullable(inet_address_text(local, &p->key.local_address)),
		nullable(number_text(local_asn, sizeof(local_asn), p->key.local_asn)), NULL };

	if (p->last_us != MESSAGE_NO_NUMBER) {
		values[5] = time_text(seen, sizeof(seen), p->last_us);
	}
	s->peer = p;
	state_set(s, STATE_ASKING, "new peer");
	statement_send(s, STEP_PEER, "SELECT bgp.ensure_peer($1, $2, $3, $4, $5, $6)", 6, values);
}

void
store_ensure_partition(struct store *s, struct peer *p, int64_t day)
{
	char id[24], date[64];
	const char *values[2] = { number_text(id, sizeof(id), p->id), date };

	time_text(date, sizeof(date), day * CLOCK_DAY_US);
	date[strlen("2026-01-01")] = '\0';
	s->peer = p;
	s->day = day;
	state_set(s, STATE_ASKING, "new partition");
	statement_send(s, STEP_PARTITION, "SELECT bgp.ensure_partition($1, $2)", 2, values);
}

void
store_load(struct store *s, const struct batch *b)
{
	s->batch = b;
	state_set(s, STATE_LOADING, "batch");
	load_next(s, 0);
}

void
store_more(struct store *s)
{
	if (!s->feeding || !s->starved || s->conn == NULL)
		return;
	copy_feed(s);
	/* a failure that was received while there was nothing to feed will not wake us again */
	if (s->conn != NULL)
		read_results(s);
}

void
store_stats(const struct store *s, struct store_stats *stats)
{
	*stats = s->stats;
	stats->up = s->state >= STATE_READY;
}
