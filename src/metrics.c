/*
 * Prometheus: https://prometheus.io/docs/instrumenting/exposition_formats/ (text format)
 * and https://prometheus.io/docs/practices/naming/.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <uv.h>

#include "log.h"
#include "metrics.h"
#include "version.h"

#define LINE_MAX_BYTES	512

enum unit { UNIT_NUMBER, UNIT_SECONDS };	/* seconds: the figure is microseconds */

struct metrics_file {
	uv_loop_t	*loop;
	const char	*path;
	struct log_repeat trouble;
	uv_work_t	 work;
	bool		 busy;
	bool		 waiting;	/* next is to be written */
	struct buf	 next;
	/* the thread's while busy */
	struct buf	 text;
	int		 error;		/* errno, or 0 */
};

/* --- text ------------------------------------------------------------------------------ */

static void add(struct buf *, const char *, ...) __attribute__((__format__(__printf__, 2, 3)));

static void
add(struct buf *b, const char *format, ...)
{
	va_list ap;
	int n;

	buf_reserve(b, LINE_MAX_BYTES);
	va_start(ap, format);
	n = vsnprintf((char *)b->data + b->length, LINE_MAX_BYTES, format, ap);
	va_end(ap);
	if (n > 0)
		b->length += n < LINE_MAX_BYTES ? (size_t)n : LINE_MAX_BYTES - 1;
}

static void
add_value(struct buf *b, uint64_t value, enum unit unit)
{
	if (unit == UNIT_SECONDS)
		add(b, "%" PRIu64 ".%06" PRIu64 "\n", value / 1000000, value % 1000000);
	else
		add(b, "%" PRIu64 "\n", value);
}

static void
family(struct buf *b, const char *name, const char *type, const char *help)
{
	add(b, "# HELP exabgp_pg_%s %s\n# TYPE exabgp_pg_%s %s\n", name, help, name, type);
}

/* a figure that has one value */
static void
single(struct buf *b, const struct metrics *m, const char *name, const char *type, const char *help, uint64_t value,
    enum unit unit)
{
	family(b, name, type, help);
	add(b, "exabgp_pg_%s{collector=\"%s\"} ", name, m->collector);
	add_value(b, value, unit);
}

static void
counter(struct buf *b, const struct metrics *m, const char *name, const char *help, uint64_t value)
{
	single(b, m, name, "counter", help, value, UNIT_NUMBER);
}

static void
gauge(struct buf *b, const struct metrics *m, const char *name, const char *help, uint64_t value)
{
	single(b, m, name, "gauge", help, value, UNIT_NUMBER);
}

static void
gauge_seconds(struct buf *b, const struct metrics *m, const char *name, const char *help, int64_t us)
{
	single(b, m, name, "gauge", help, us > 0 ? (uint64_t)us : 0, UNIT_SECONDS);
}

static void
rows(struct buf *b, const struct metrics *m)
{
	const struct loader_stats *l = &m->loader;
	const struct {
		const char	*kind;
		uint64_t	 value;
	} kinds[] = { { "route", l->routes }, { "session", l->sessions }, { "error", l->errors }, { "gap", l->gaps } };
	size_t i;

	family(b, "rows_committed_total", "counter", "Rows committed: routes, session events, bad lines, gaps.");
	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		add(b, "exabgp_pg_rows_committed_total{collector=\"%s\",kind=\"%s\"} %" PRIu64 "\n", m->collector,
		    kinds[i].kind, kinds[i].value);
}

static void
follower(struct buf *b, const struct metrics *m, const char *name, size_t i, uint64_t value, enum unit unit)
{
	add(b, "exabgp_pg_%s{collector=\"%s\",follower=\"%s\"} ", name, m->collector, m->followers[i].name);
	add_value(b, value, unit);
}

static void
followers(struct buf *b, const struct metrics *m)
{
	size_t i;

	family(b, "follower_runs_total", "counter", "Runs that kept bgp.rib or the findings up to date.");
	for (i = 0; i < METRICS_FOLLOWERS; i++)
		follower(b, m, "follower_runs_total", i, m->followers[i].runs, UNIT_NUMBER);
	family(b, "follower_failures_total", "counter", "Runs that failed, and connections for them.");
	for (i = 0; i < METRICS_FOLLOWERS; i++)
		follower(b, m, "follower_failures_total", i, m->followers[i].failures, UNIT_NUMBER);
	family(b, "follower_stalled_seconds", "gauge",
	    "How long work has waited for a run that succeeds, 0 if there is none.");
	for (i = 0; i < METRICS_FOLLOWERS; i++)
		follower(b, m, "follower_stalled_seconds", i, (uint64_t)m->followers[i].stalled_us, UNIT_SECONDS);
}

static void
stalls(struct buf *b, const struct metrics *m)
{
	static const char name[] = "exabgp_pg_stdin_stall_seconds";
	uint64_t count = 0;
	size_t i;

	family(b, "stdin_stall_seconds", "histogram", "How long standard input may have had data that was not read.");
	for (i = 0; i < INTAKE_STALL_BOUNDS; i++) {
		count += m->intake.stalls[i];
		add(b, "%s_bucket{collector=\"%s\",le=\"%g\"} %" PRIu64 "\n", name, m->collector,
		    (double)intake_stall_bounds_us[i] / 1e6, count);
	}
	count += m->intake.stalls[INTAKE_STALL_BOUNDS];
	add(b, "%s_bucket{collector=\"%s\",le=\"+Inf\"} %" PRIu64 "\n", name, m->collector, count);
	add(b, "%s_sum{collector=\"%s\"} ", name, m->collector);
	add_value(b, m->intake.stalls_us, UNIT_SECONDS);
	add(b, "%s_count{collector=\"%s\"} %" PRIu64 "\n", name, m->collector, count);
}

void
metrics_text(const struct metrics *m, struct buf *b)
{
	const struct intake_stats *in = &m->intake;
	const struct loader_stats *l = &m->loader;

	family(b, "info", "gauge", "The helper and the schema version that it needs.");
	add(b, "exabgp_pg_info{collector=\"%s\",version=\"%s\",schema=\"%d\"} 1\n", m->collector, EXABGP_PG_VERSION,
	    EXABGP_PG_SCHEMA);
	gauge_seconds(b, m, "start_time_seconds", "When the helper was started, since 1970.", m->start_us);
	counter(b, m, "input_lines_total", "Lines read from standard input and kept.", in->lines);
	counter(b, m, "input_bytes_total", "Bytes read from standard input.", in->bytes);
	counter(b, m, "dropped_lines_total", "Lines dropped because journal and memory were full.", in->dropped_lines);
	counter(b, m, "dropped_bytes_total", "Bytes of these lines.", in->dropped_bytes);
	gauge(b, m, "input_held_bytes", "Bytes in memory that are not in the journal.", in->held_bytes);
	stalls(b, m);
	gauge(b, m, "journal_bytes", "Size of the journal on disk.", m->journal_bytes);
	gauge(b, m, "journal_limit_bytes", "Size at which nothing more is written to it.", m->journal_max_bytes);
	gauge(b, m, "journal_backlog_bytes", "Bytes of lines in the journal that are not committed.", l->backlog_bytes);
	gauge_seconds(b, m, "lag_seconds", "Age of the oldest of these lines, 0 if there is none.", l->lag_us);
	counter(b, m, "decoded_lines_total", "Lines decoded, again those of a batch that failed.", l->lines);
	rows(b, m);
	counter(b, m, "batches_committed_total", "Transactions committed.", l->batches);
	gauge_seconds(b, m, "last_commit_timestamp_seconds", "When the last of them was, since 1970; 0 if none.",
	    l->commit_us);
	gauge_seconds(b, m, "last_gap_timestamp_seconds", "When lost input was last recorded, since 1970; 0 if never.",
	    l->gap_us);
	followers(b, m);
	counter(b, m, "database_connects_total", "Connections to the database that were tried.", l->connects);
	counter(b, m, "database_failures_total", "Connections and statements that failed.", l->failures);
	gauge(b, m, "database_up", "1 if the database can be loaded, 0 while it is away.", l->up);
}

static int64_t
whole_seconds(int64_t us)
{
	return us > 0 ? us / 1000000 : 0;
}

static uint64_t
stall_count(const struct intake_stats *in, int64_t above_us)
{
	uint64_t count = in->stalls[INTAKE_STALL_BOUNDS];
	size_t i;

	for (i = 0; i < INTAKE_STALL_BOUNDS; i++)
		if (intake_stall_bounds_us[i] > above_us)
			count += in->stalls[i];
	return count;
}

void
metrics_line(const struct metrics *m, struct buf *b)
{
	const struct intake_stats *in = &m->intake;
	const struct loader_stats *l = &m->loader;
	const struct follow_stats *f;

	add(b, "lines_in=%" PRIu64 " bytes_in=%" PRIu64 " lines_dropped=%" PRIu64 " lines_decoded=%" PRIu64
	    " rows=%" PRIu64 " batches=%" PRIu64 " errors=%" PRIu64 " gaps=%" PRIu64, in->lines, in->bytes,
	    in->dropped_lines, l->lines, l->routes + l->sessions, l->batches, l->errors, l->gaps);
	add(b, " backlog_bytes=%" PRIu64 " connects=%" PRIu64 " failures=%" PRIu64, l->backlog_bytes, l->connects,
	    l->failures);
	add(b, " bytes_dropped=%" PRIu64 " bytes_held=%" PRIu64 " routes=%" PRIu64 " sessions=%" PRIu64
	    " lag=%" PRIu64 ".%06" PRIu64, in->dropped_bytes, in->held_bytes, l->routes, l->sessions,
	    (uint64_t)l->lag_us / 1000000, (uint64_t)l->lag_us % 1000000);
	add(b, " journal_bytes=%" PRIu64 " journal_limit=%" PRIu64 " database_up=%d start=%" PRId64
	    " last_commit=%" PRId64 " last_gap=%" PRId64, m->journal_bytes, m->journal_max_bytes, l->up,
	    whole_seconds(m->start_us), whole_seconds(l->commit_us), whole_seconds(l->gap_us));
	add(b, " reads=%" PRIu64 " stalls_10ms=%" PRIu64 " stalls_100ms=%" PRIu64 " stalls_1s=%" PRIu64,
	    stall_count(in, 0), stall_count(in, 10000), stall_count(in, 100000), stall_count(in, 1000000));
	for (f = m->followers; f < m->followers + METRICS_FOLLOWERS; f++)
		add(b, " %s_runs=%" PRIu64 " %s_failures=%" PRIu64 " %s_stalled=%" PRId64, f->name, f->runs, f->name,
		    f->failures, f->name, whole_seconds(f->stalled_us));
	buf_add(b, "", 1);
}

/* --- the file ---------------------------------------------------------------------------- */

/* a device or a directory of this name is not to be replaced */
static int
may_replace(const char *path)
{
	struct stat st;

	if (lstat(path, &st) == -1)
		return errno == ENOENT ? 0 : -1;
	if (S_ISREG(st.st_mode))
		return 0;
	errno = S_ISDIR(st.st_mode) ? EISDIR : EEXIST;
	return -1;
}

/* the umask takes from the file what a node_exporter of another user needs */
static int
write_text(int fd, const struct buf *text)
{
	size_t done = 0;

	while (done < text->length) {
		ssize_t n = write(fd, text->data + done, text->length - done);

		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		done += (size_t)n;
	}
	return fchmod(fd, 0644);
}

/*
 * Whole or not at all: renamed when written.  Another helper of this name may be ending
 * just now, so that the temporary file's name is our own.
 */
static int
replace_file(const char *path, const struct buf *text)
{
	char temporary[PATH_MAX];
	int fd, error;

	if (snprintf(temporary, sizeof(temporary), "%s.%ld.new", path, (long)getpid()) >= (int)sizeof(temporary)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	if (may_replace(path) == -1)
		return -1;
	if (unlink(temporary) == -1 && errno != ENOENT)
		return -1;
	fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd == -1)
		return -1;
	error = write_text(fd, text) == -1 ? errno : 0;
	if (close(fd) == -1 && error == 0)
		error = errno;
	if (error == 0 && rename(temporary, path) == -1)
		error = errno;
	if (error == 0)
		return 0;
	unlink(temporary);
	errno = error;
	return -1;
}

static void
work_run(uv_work_t *work)
{
	struct metrics_file *f = work->data;

	f->error = replace_file(f->path, &f->text) == -1 ? errno : 0;
}

static void	work_begin(struct metrics_file *);

static void
work_done(uv_work_t *work, int status)
{
	struct metrics_file *f = work->data;

	(void)status;
	f->busy = false;
	if (f->error == 0) {
		if (f->trouble.count > 0)
			log_info("the metrics \"%s\" are written again, after %llu failures", f->path,
			    f->trouble.count);
		log_repeat_reset(&f->trouble);
	} else if (log_repeat_due(&f->trouble))
		log_warn("could not write the metrics \"%s\": %s; %llu failures so far", f->path, strerror(f->error),
		    f->trouble.count);
	if (f->waiting)
		work_begin(f);
}

/* the text that waits becomes the thread's */
static void
work_begin(struct metrics_file *f)
{
	struct buf swap = f->text;

	f->text = f->next;
	f->next = swap;
	f->waiting = false;
	f->busy = uv_queue_work(f->loop, &f->work, work_run, work_done) == 0;
}

struct metrics_file *
metrics_file_new(uv_loop_t *loop, const char *path)
{
	struct metrics_file *f = calloc(1, sizeof(*f));

	if (f == NULL) {
		log_error("could not set up metrics: out of memory");
		return NULL;
	}
	f->loop = loop;
	f->path = path;
	f->work.data = f;
	return f;
}

void
metrics_file_write(struct metrics_file *f, const struct metrics *m)
{
	bool late = f->waiting;

	buf_clear(&f->next);
	metrics_text(m, &f->next);
	f->waiting = true;
	if (!f->busy)
		work_begin(f);
	else if (late && log_repeat_due(&f->trouble))
		log_warn("could not write the metrics \"%s\": the disk does not answer; %llu failures so far", f->path,
		    f->trouble.count);
}

bool
metrics_file_is_busy(const struct metrics_file *f)
{
	return f->busy;
}

void
metrics_file_free(struct metrics_file *f)
{
	if (f == NULL)
		return;
	buf_free(&f->text);
	buf_free(&f->next);
	free(f);
}
