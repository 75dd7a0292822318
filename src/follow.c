#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <libpq-fe.h>

#include "clock.h"
#include "database.h"
#include "follow.h"
#include "log.h"

#define RETRY_FIRST_MS	500
#define RETRY_LAST_MS	30000
#define ABSENT_MS	60000	/* before looking again for a function that the database does not have */
#define BUSY_MS		100	/* while another session is at it */
#define CONFLICTS_MAX	10	/* tries in a row of what lost to another session */

struct follow {
	struct follow_config config;
	pthread_t	 thread;
	PGconn		*conn;		/* the thread's own, as what follows */
	unsigned int	 retry_ms;
	unsigned int	 conflicts;
	struct log_repeat trouble;
	unsigned int	 lost;		/* in a row, while the loader had the same connection */
	uint64_t	 lost_loader;	/* which */
	uint64_t	 lost_wanted;	/* wanted at the last loss */

	pthread_mutex_t	 lock;		/* what follows */
	pthread_cond_t	 wake;
	uint64_t	 wanted;	/* counts wakes */
	uint64_t	 loader;	/* the connection of the last commit */
	uint64_t	 settled;	/* of them, those that were dealt with */
	bool		 failing;	/* the last run did */
	bool		 absent;	/* the database has no such function */
	bool		 hurry;		/* do not wait before the next try */
	long long	 since_ms;	/* monotonic: a run succeeded, or there was work after there had been none */
	struct follow_stats stats;
};

enum outcome { OUTCOME_MORE, OUTCOME_NOTHING, OUTCOME_BUSY, OUTCOME_ABSENT, OUTCOME_AGAIN, OUTCOME_FAILED };

/* the first line of libpq's message, which may end in a newline */
static void
first_line(char *line, size_t size, const char *message)
{
	snprintf(line, size, "%.*s", (int)strcspn(message, "\n"), message);
}

static void
report(struct follow *f)
{
	char why[256];

	first_line(why, sizeof(why), PQerrorMessage(f->conn));
	if (log_repeat_due(&f->trouble))
		log_error("could not keep %s up to date: %s; loading goes on, %llu failures so far",
		    f->config.target, why, f->trouble.count);
}

static void
disconnect(struct follow *f)
{
	if (f->conn != NULL)
		PQfinish(f->conn);
	f->conn = NULL;
}

/*
 * The connection is gone, or there is none to be had.  Of a server that is away the loader tells,
 * once for all.  That it is not away shows in commits between two losses; not the first two, since
 * a commit may have been under way.
 */
static void
connection_lost(struct follow *f)
{
	uint64_t wanted, loader;
	char why[256];

	pthread_mutex_lock(&f->lock);
	wanted = f->wanted;
	loader = f->loader;
	pthread_mutex_unlock(&f->lock);
	if (loader != f->lost_loader)
		f->lost = 0;
	if (f->lost++ > 1 && wanted != f->lost_wanted)
		report(f);
	else {
		first_line(why, sizeof(why), PQerrorMessage(f->conn));
		log_debug("no connection to keep %s up to date: %s", f->config.target, why);
	}
	f->lost_loader = loader;
	f->lost_wanted = wanted;
}

static enum outcome
give_up(struct follow *f, const char *sqlstate)
{
	if (PQstatus(f->conn) == CONNECTION_BAD || (sqlstate != NULL && database_is_gone(sqlstate)))
		connection_lost(f);
	else
		report(f);
	disconnect(f);
	return OUTCOME_FAILED;
}

static bool
is_one_of(const char *sqlstate, const char *a, const char *b)
{
	return sqlstate != NULL && (strcmp(sqlstate, a) == 0 || strcmp(sqlstate, b) == 0);
}

static enum outcome
failure(struct follow *f, const PGresult *res)
{
	const char *sqlstate = PQresultErrorField(res, PG_DIAG_SQLSTATE);

	/* serialization_failure, deadlock_detected */
	if (is_one_of(sqlstate, "40001", "40P01") && f->conflicts++ < CONFLICTS_MAX)
		return OUTCOME_AGAIN;
	/* undefined_function, invalid_schema_name */
	if (f->config.optional && is_one_of(sqlstate, "42883", "3F000"))
		return OUTCOME_ABSENT;
	return give_up(f, sqlstate);
}

/* OUTCOME_NOTHING: there is a connection */
static enum outcome
connect_database(struct follow *f)
{
	enum outcome outcome = OUTCOME_NOTHING;
	struct database_parameters p;
	PGresult *res;

	database_parameters(&p, f->config.conninfo, DATABASE_CONNECT_S);
	f->conn = PQconnectdbParams(p.keywords, p.values, 1);
	if (PQstatus(f->conn) != CONNECTION_OK)
		return give_up(f, NULL);
	/* one snapshot a run; what a crash of the server takes with it is found by the next one */
	res = PQexec(f->conn, "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ;"
	    " SET statement_timeout = 0; SET lock_timeout = 0; SET client_min_messages = error;"
	    " SET synchronous_commit = off");
	if (PQresultStatus(res) != PGRES_COMMAND_OK)
		outcome = give_up(f, PQresultErrorField(res, PG_DIAG_SQLSTATE));
	else
		log_debug("connected to keep %s up to date", f->config.target);
	PQclear(res);
	return outcome;
}

static enum outcome
run(struct follow *f)
{
	enum outcome outcome;
	long long dealt;
	PGresult *res;

	if (f->conn == NULL && (outcome = connect_database(f)) != OUTCOME_NOTHING)
		return outcome;
	res = PQexecParams(f->conn, f->config.statement, f->config.parameter != NULL, NULL, &f->config.parameter,
	    NULL, NULL, 0);
	if (PQresultStatus(res) != PGRES_TUPLES_OK || PQntuples(res) != 1)
		outcome = failure(f, res);
	else {
		if (f->trouble.count > 0)
			log_info("%s is kept up to date again after %llu failures", f->config.target,
			    f->trouble.count);
		log_repeat_reset(&f->trouble);
		f->retry_ms = f->conflicts = f->lost = 0;
		dealt = strtoll(PQgetvalue(res, 0, 0), NULL, 10);
		outcome = dealt > 0 ? OUTCOME_MORE : dealt < 0 ? OUTCOME_BUSY : OUTCOME_NOTHING;
	}
	PQclear(res);
	return outcome;
}

static void
sleep_ms(unsigned int ms)
{
	struct timespec pause = { .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 };

	nanosleep(&pause, NULL);
}

/* so long, unless follow_hurry is called */
static void
wait_ms(struct follow *f, unsigned int ms)
{
	struct timespec until;
	int error = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += (long)(ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&f->lock);
	while (!f->hurry && error == 0)
		error = pthread_cond_timedwait(&f->wake, &f->lock, &until);
	f->hurry = false;
	pthread_mutex_unlock(&f->lock);
}

static unsigned int
retry_ms(struct follow *f)
{
	f->retry_ms = f->retry_ms == 0 ? RETRY_FIRST_MS : f->retry_ms * 2;
	if (f->retry_ms > RETRY_LAST_MS)
		f->retry_ms = RETRY_LAST_MS;
	/* jittered: many helpers lose one server at the same time */
	return f->retry_ms / 2 + (unsigned int)random() % (f->retry_ms / 2 + 1);
}

static bool
has_work(const struct follow *f)
{
	return f->wanted != f->settled || f->failing;
}

/* there is more to do */
static void
progress(struct follow *f)
{
	pthread_mutex_lock(&f->lock);
	f->stats.runs++;
	f->absent = false;
	f->since_ms = clock_monotonic_ms();
	pthread_mutex_unlock(&f->lock);
}

/* what was wanted up to here is dealt with, or cannot be for now */
static void
settle(struct follow *f, uint64_t wanted, enum outcome outcome)
{
	pthread_mutex_lock(&f->lock);
	f->settled = wanted;
	f->failing = outcome == OUTCOME_FAILED;
	f->absent = outcome == OUTCOME_ABSENT;
	if (f->failing)
		f->stats.failures++;
	else
		f->since_ms = clock_monotonic_ms();
	if (f->config.on_settled != NULL)
		f->config.on_settled(f->config.arg);
	pthread_mutex_unlock(&f->lock);
}

static void *
follow_thread(void *arg)
{
	struct follow *f = arg;
	enum outcome outcome;
	uint64_t wanted;

	for (;;) {
		pthread_mutex_lock(&f->lock);
		while (!has_work(f))
			pthread_cond_wait(&f->wake, &f->lock);
		wanted = f->wanted;
		pthread_mutex_unlock(&f->lock);
		outcome = run(f);
		switch (outcome) {
		case OUTCOME_MORE:
			progress(f);
			break;
		case OUTCOME_AGAIN:
			break;
		case OUTCOME_NOTHING:
			settle(f, wanted, outcome);
			sleep_ms(f->config.pause_ms);
			break;
		case OUTCOME_BUSY:	/* what was committed since it began is left for us */
			sleep_ms(BUSY_MS);
			break;
		case OUTCOME_ABSENT:
			settle(f, wanted, outcome);
			sleep_ms(ABSENT_MS);
			break;
		case OUTCOME_FAILED:
			settle(f, wanted, outcome);
			wait_ms(f, retry_ms(f));
			break;
		}
	}
	return NULL;
}

struct follow *
follow_start(const struct follow_config *config)
{
	struct follow *f = calloc(1, sizeof(*f));
	pthread_condattr_t monotonic;
	pthread_attr_t attributes;
	int error;

	if (f == NULL) {
		log_error("could not follow the log: out of memory");
		return NULL;
	}
	f->config = *config;
	f->wanted = 1;	/* what was left by the helper before, or by an upgrade */
	f->since_ms = clock_monotonic_ms();
	pthread_mutex_init(&f->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&f->wake, &monotonic);
	pthread_condattr_destroy(&monotonic);
	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	error = pthread_create(&f->thread, &attributes, follow_thread, f);
	pthread_attr_destroy(&attributes);
	if (error != 0) {
		log_error("could not follow the log: %s", strerror(error));
		free(f);
		return NULL;
	}
	return f;
}

static void
want(struct follow *f)
{
	if (!has_work(f))
		f->since_ms = clock_monotonic_ms();
	f->wanted++;
	pthread_cond_signal(&f->wake);
}

void
follow_wake(struct follow *f, uint64_t connection)
{
	pthread_mutex_lock(&f->lock);
	f->loader = connection;
	want(f);
	pthread_mutex_unlock(&f->lock);
}

void
follow_hurry(struct follow *f)
{
	pthread_mutex_lock(&f->lock);
	f->hurry = true;
	want(f);
	pthread_mutex_unlock(&f->lock);
}

void
follow_leave(struct follow *f)
{
	pthread_mutex_lock(&f->lock);
	f->config.on_settled = NULL;
	pthread_mutex_unlock(&f->lock);
}

bool
follow_is_settled(struct follow *f)
{
	bool settled;

	pthread_mutex_lock(&f->lock);
	settled = f->settled == f->wanted || f->absent;
	pthread_mutex_unlock(&f->lock);
	return settled;
}

void
follow_stats(struct follow *f, struct follow_stats *stats)
{
	pthread_mutex_lock(&f->lock);
	*stats = f->stats;
	stats->name = f->config.name;
	if (has_work(f) && !f->absent)
		stats->stalled_us = (clock_monotonic_ms() - f->since_ms) * 1000;
	pthread_mutex_unlock(&f->lock);
}
