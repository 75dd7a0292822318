/*
 * exabgp-pg - loads BGP updates from ExaBGP into PostgreSQL.
 *
 * stdin -> intake (thread) -> journal (thread) -> loader -> store -> PostgreSQL,
 * which follow.h (threads) has bring up to date what is derived from the log.
 * This file wires them and decides when to end.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sysexits.h>
#include <unistd.h>

#include <uv.h>

#include "clock.h"
#include "follow.h"
#include "intake.h"
#include "journal.h"
#include "loader.h"
#include "log.h"
#include "metrics.h"
#include "options.h"
#include "print.h"
#include "resync.h"
#include "store.h"
#include "version.h"

/* after SIGTERM; ExaBGP 5 kills after 2 s */
#define TERM_STDIN_MS	1000	/* for stdin to end */
#define TERM_LAST_MS	1500	/* no batch is begun after this */
#define TERM_LEAVE_MS	1750	/* gone, even in the middle of a batch */
#define JOURNAL_GRACE_MS 2000	/* after the time to load, for input to reach the journal */
#define TERM_ALARM_MS	1900	/* gone, even if something hangs */

#define RESYNC_AGAIN_MS	600000	/* after lines were dropped: tables are large, and may be dropped as well */

#define METRICS_FIRST_MS 1000	/* after the start */
#define METRICS_MS	15000
#define METRICS_LEAVE_MS 1000	/* for the last ones to be written */

#define FOLLOWERS	METRICS_FOLLOWERS

struct helper {
	struct options	 options;
	uv_loop_t	 loop;
	uv_async_t	 journal_changed;
	uv_async_t	 terminate;
	uv_signal_t	 sigusr1;
	uv_timer_t	 deadline;
	uv_timer_t	 metrics_timer;
	struct intake	*intake;
	struct journal	*journal;
	struct loader	*loader;
	struct resync	*resync;	/* NULL: not needed, or not yet */
	struct metrics_file *metrics;	/* NULL: not wanted */
	struct follow	*followers[FOLLOWERS];	/* what is brought up to date after commits */
	int64_t		 start_us;
	long long	 term_ms;	/* monotonic time of the signal, 0: none */
	bool		 draining;	/* input has ended */
	bool		 loaded;	/* and is in the database */
	bool		 may_resync;	/* ExaBGP can be asked */
	bool		 opened;	/* the journal is */
	uint64_t	 gaps;		/* of the journal, after which it has been asked */
	long long	 resync_ms;	/* monotonic: not before */
	long long	 resync_again_ms; /* from one to the next */
	bool		 overdue;	/* the time to load is over, but not all is in the journal */
	bool		 leaving;
	bool		 lossless;	/* stdin can wait */
	int		 status;
};

/* for signal handlers */
static volatile sig_atomic_t alarm_status = EX_TEMPFAIL;
static volatile sig_atomic_t term_signal;
static uv_async_t *volatile term_async;		/* NULL: there is nothing to end */

static void	on_deadline(uv_timer_t *);

static void
gather(struct helper *h, struct metrics *m)
{
	size_t i;

	m->collector = h->options.collector;
	m->start_us = h->start_us;
	intake_stats(h->intake, &m->intake);
	loader_stats(h->loader, &m->loader);
	for (i = 0; i < FOLLOWERS; i++)
		follow_stats(h->followers[i], &m->followers[i]);
	m->journal_bytes = journal_disk_bytes(h->journal);
	m->journal_max_bytes = h->options.spool_max;
}

static void
on_metrics(uv_timer_t *timer)
{
	struct helper *h = timer->data;
	struct metrics m;

	gather(h, &m);
	metrics_file_write(h->metrics, &m);
}

/* the disk hangs: leaves without the last metrics */
static void
on_metrics_late(uv_timer_t *timer)
{
	uv_stop(timer->loop);
}

static void
leave(struct helper *h, int status)
{
	size_t i;

	if (h->leaving)
		return;
	h->leaving = true;
	h->status = status;
	alarm_status = status;
	if (h->metrics != NULL) {
		on_metrics(&h->metrics_timer);
		uv_timer_start(&h->metrics_timer, on_metrics_late, METRICS_LEAVE_MS, 0);
		uv_unref((uv_handle_t *)&h->metrics_timer);	/* the loop does not wait for it */
	}
	uv_close((uv_handle_t *)&h->journal_changed, NULL);
	term_async = NULL;
	uv_close((uv_handle_t *)&h->terminate, NULL);
	uv_close((uv_handle_t *)&h->sigusr1, NULL);
	uv_close((uv_handle_t *)&h->deadline, NULL);
	for (i = 0; i < FOLLOWERS; i++)
		follow_leave(h->followers[i]);
	loader_close(h->loader);
	resync_close(h->resync);
}

static void
leave_loaded(struct helper *h)
{
	/* of a file that was not read to its end, the rest is where it was */
	leave(h, h->lossless && !intake_saw_eof(h->intake) ? EX_TEMPFAIL : EX_OK);
}

static bool
followers_are_settled(struct helper *h)
{
	size_t i;

	for (i = 0; i < FOLLOWERS; i++)
		if (!follow_is_settled(h->followers[i]))
			return false;
	return true;
}

static void
on_commit(void *arg, uint64_t connects)
{
	struct helper *h = arg;
	size_t i;

	for (i = 0; i < FOLLOWERS; i++)
		follow_wake(h->followers[i], connects);
}

static void
on_loaded(void *arg)
{
	struct helper *h = arg;
	size_t i;

	journal_clear(h->journal);
	log_info("all input is in the database");
	h->loaded = true;
	/* who looks at bgp.rib when we are gone is to find all of it, if that can be had */
	for (i = 0; i < FOLLOWERS; i++)
		follow_hurry(h->followers[i]);
	if (h->term_ms != 0 || followers_are_settled(h))
		leave_loaded(h);
}

/* from the threads of the journal and of the intake */
static void
on_journal_change(void *arg)
{
	struct helper *h = arg;

	uv_async_send(&h->journal_changed);
}

/* has the peers send their routes again where lines of them may have been missed */
static void
resync_if_missed(struct helper *h)
{
	long long now = clock_monotonic_ms();
	struct journal_position from = { 0, 0 };
	char id[JOURNAL_ID_SIZE];
	uint64_t gaps;

	if (!h->opened) {
		if (!journal_id(h->journal, id))
			return;
		h->opened = true;
		if (journal_unclean(h->journal)) {
			from.segment = journal_first_of_run(h->journal);
			h->resync = resync_start(&h->loop, h->journal, h->options.spool, &from,
			    "the helper before was killed");
		}
		return;
	}
	gaps = journal_gaps(h->journal);
	if (gaps == h->gaps || now < h->resync_ms || !resync_is_over(h->resync) || journal_is_full(h->journal) ||
	    intake_is_over(h->intake))
		return;
	h->gaps = gaps;
	h->resync_again_ms = h->resync_again_ms == 0 ? RESYNC_AGAIN_MS : 2 * h->resync_again_ms;
	h->resync_ms = now + h->resync_again_ms;
	resync_close(h->resync);
	journal_end(h->journal, &from);
	h->resync = resync_start(&h->loop, h->journal, h->options.spool, &from, "lines were dropped");
}

static void
on_journal_changed(uv_async_t *async)
{
	struct helper *h = async->data;

	if (h->may_resync)
		resync_if_missed(h);
	if (h->resync != NULL)
		resync_wake(h->resync);
	if (intake_is_over(h->intake) && !h->draining) {
		h->draining = true;
		log_info("end of input");
		if (h->term_ms == 0 && h->options.drain_seconds != OPTIONS_DRAIN_FOREVER)
			uv_timer_start(&h->deadline, on_deadline, (uint64_t)h->options.drain_seconds * 1000, 0);
	}
	if (h->loaded) {
		if (!h->leaving && followers_are_settled(h))
			leave_loaded(h);
		return;
	}
	if (h->overdue && journal_ended(h->journal))
		on_deadline(&h->deadline);
	else
		loader_wake(h->loader);
}

/* what becomes of input that is not in the database */
static void
tell_the_rest(struct helper *h)
{
	const char *spool = h->options.spool;
	char id[JOURNAL_ID_SIZE];
	struct iovec pieces[2];
	size_t bytes = intake_peek(h->intake, pieces);

	if (bytes > 0)
		log_error("%zu bytes of input could not be written to the journal \"%s\" and are %s", bytes, spool,
		    h->lossless ? "in the file only" : "lost");
	if (!journal_id(h->journal, id))
		log_warn("leaving before the journal \"%s\" could be used: nothing was loaded", spool);
	else if (bytes > 0)
		log_warn("leaving before all input is in the database: what was written to \"%s\" waits there", spool);
	else
		log_warn("leaving before all input is in the database: the rest waits in \"%s\"", spool);
}

static void
on_deadline(uv_timer_t *timer)
{
	struct helper *h = timer->data;
	long long since = clock_monotonic_ms() - h->term_ms;

	if (h->loaded) {
		leave_loaded(h);
		return;
	}
	if (h->term_ms != 0 && since < TERM_LEAVE_MS && !loader_is_idle(h->loader)) {
		loader_hurry(h->loader, true);
		uv_timer_start(&h->deadline, on_deadline, 20, 0);
		return;
	}
	if (h->term_ms == 0 && !journal_ended(h->journal) && !h->overdue) {
		/* what was read is to be on disk at least, if the disk takes it */
		h->overdue = true;
		uv_timer_start(&h->deadline, on_deadline, JOURNAL_GRACE_MS, 0);
		return;
	}
	tell_the_rest(h);
	leave(h, EX_TEMPFAIL);
}

static void
on_alarm(int signal)
{
	(void)signal;
	_exit(alarm_status);
}

/* the loop may be held up, as by a name server that does not answer: its end does not depend on it */
static void
on_term_signal(int signal)
{
	static const struct itimerval alarm = { .it_value = { TERM_ALARM_MS / 1000, TERM_ALARM_MS % 1000 * 1000 } };
	uv_async_t *async = term_async;
	int error = errno;

	if (term_signal == 0) {
		term_signal = signal;
		setitimer(ITIMER_REAL, &alarm, NULL);
		if (async != NULL)
			uv_async_send(async);
	}
	errno = error;
}

static void
on_terminate(uv_async_t *async)
{
	struct helper *h = async->data;

	if (h->term_ms != 0)
		return;
	log_info("ending on signal %d", (int)term_signal);
	h->term_ms = clock_monotonic_ms();
	intake_finish(h->intake, TERM_STDIN_MS);
	loader_hurry(h->loader, false);
	uv_timer_start(&h->deadline, on_deadline, TERM_LAST_MS, 0);
}

static void
on_statistics(uv_signal_t *handle, int signal)
{
	struct helper *h = handle->data;
	struct metrics m;
	struct buf text = { 0 };

	(void)signal;
	gather(h, &m);
	metrics_line(&m, &text);
	log_notice("statistics: %s", (const char *)text.data);
	buf_free(&text);
}

static bool
is_regular_file(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

static int
set_up(struct helper *h)
{
	struct journal_config journal = { .directory = h->options.spool, .max_bytes = h->options.spool_max,
		.sync_ms = h->options.sync_ms, .lossless = h->lossless,
		.on_change = on_journal_change, .arg = h };
	struct loader_config loader = { .conninfo = h->options.dsn, .collector = h->options.collector,
		.spool = h->options.spool, .batch_rows = h->options.batch_rows, .batch_ms = h->options.batch_ms,
		.on_commit = on_commit, .on_loaded = on_loaded, .arg = h };
	struct follow_config followers[FOLLOWERS] = {
		{ .name = "rib", .target = "bgp.rib", .statement = "SELECT bgp.rib_follow($1)",
		    .parameter = h->options.collector, .pause_ms = 200 },
		{ .name = "hunt", .target = "hunt.finding", .statement = "SELECT hunt.scan_follow()",
		    .optional = true, .pause_ms = 50 } };
	size_t i;
	struct sigaction term = { .sa_handler = on_term_signal, .sa_flags = SA_RESTART };

	if (uv_loop_init(&h->loop) != 0 || uv_async_init(&h->loop, &h->journal_changed, on_journal_changed) != 0 ||
	    uv_async_init(&h->loop, &h->terminate, on_terminate) != 0 ||
	    uv_signal_init(&h->loop, &h->sigusr1) != 0 || uv_timer_init(&h->loop, &h->deadline) != 0 ||
	    uv_timer_init(&h->loop, &h->metrics_timer) != 0) {
		log_error("could not set up the event loop");
		return -1;
	}
	h->journal_changed.data = h->terminate.data = h->sigusr1.data = h->deadline.data = h->metrics_timer.data = h;
	term_async = &h->terminate;
	if (sigaction(SIGTERM, &term, NULL) == -1 || sigaction(SIGINT, &term, NULL) == -1 ||
	    uv_signal_start(&h->sigusr1, on_statistics, SIGUSR1) != 0) {
		log_error("could not set up signals");
		return -1;
	}
	/* taking input in comes first: nothing that follows may delay it */
	if ((h->intake = intake_start(STDIN_FILENO, journal.lossless, on_journal_change, h)) == NULL ||
	    (h->journal = journal_start(&journal, h->intake)) == NULL ||
	    (h->loader = loader_new(&h->loop, h->journal, &loader)) == NULL)
		return -1;
	for (i = 0; i < FOLLOWERS; i++) {
		followers[i].conninfo = h->options.dsn;
		followers[i].on_settled = on_journal_change;
		followers[i].arg = h;
		if ((h->followers[i] = follow_start(&followers[i])) == NULL)
			return -1;
	}
	if (h->options.metrics == NULL)
		return 0;
	if ((h->metrics = metrics_file_new(&h->loop, h->options.metrics)) == NULL ||
	    uv_timer_start(&h->metrics_timer, on_metrics, METRICS_FIRST_MS, METRICS_MS) != 0)
		return -1;
	return 0;
}

static int
print(const struct options *o)
{
	struct intake *intake = intake_start(STDIN_FILENO, true, NULL, NULL);
	int status;

	if (intake == NULL)
		return EX_TEMPFAIL;
	status = print_run(intake, o->collector);
	if (status == EX_OK)
		intake_free(intake);
	return status;
}

/* one that is closed would be given to the next file that is opened */
static void
standard_descriptors(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= STDIN_FILENO && fd <= STDERR_FILENO);
	if (fd > STDERR_FILENO)
		close(fd);
}

int
main(int argc, char **argv)
{
	static struct helper helper;
	struct helper *h = &helper;
	struct sigaction ignore = { .sa_handler = SIG_IGN }, alarmed = { .sa_handler = on_alarm };

	standard_descriptors();
	options_parse(&h->options, argc, argv);
	log_threshold(h->options.verbosity < 0 ? LOG_LEVEL_WARN :
	    h->options.verbosity == 0 ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG);
	umask(077);	/* ExaBGP gives its helpers 0137, with which a directory cannot be entered */
	/* only SIGTERM and SIGINT end a helper */
	sigaction(SIGPIPE, &ignore, NULL);
	sigaction(SIGHUP, &ignore, NULL);
	sigaction(SIGUSR1, &ignore, NULL);	/* until there are statistics */
	sigaction(SIGUSR2, &ignore, NULL);
	sigaction(SIGXFSZ, &ignore, NULL);	/* writing fails instead */
	sigaction(SIGALRM, &alarmed, NULL);
	if (h->options.print)
		return print(&h->options);
	if (!store_conninfo_valid(h->options.dsn))
		return EX_CONFIG;
	h->start_us = clock_wall_us();
	srandom((unsigned int)clock_wall_us() ^ (unsigned int)getpid());
	log_info("exabgp-pg %s, collector \"%s\", journal \"%s\"", EXABGP_PG_VERSION, h->options.collector,
	    h->options.spool);
	h->lossless = is_regular_file(STDIN_FILENO);
	h->may_resync = h->options.resync && resync_possible();
	if (set_up(h) == -1)
		return EX_TEMPFAIL;
	uv_run(&h->loop, UV_RUN_DEFAULT);
	uv_close((uv_handle_t *)&h->metrics_timer, NULL);
	uv_run(&h->loop, UV_RUN_NOWAIT);
	loader_free(h->loader);
	journal_free(h->journal);	/* its thread wakes the loop */
	/* a thread that hangs would be waited for by libuv when the process ends in order */
	if (h->metrics != NULL && metrics_file_is_busy(h->metrics))
		_exit(h->status);
	metrics_file_free(h->metrics);
	if (uv_loop_close(&h->loop) != 0)
		log_debug("the event loop was not empty");
	/* the reader of stdin may be waiting for ever: it ends with the process */
	return h->status;
}
