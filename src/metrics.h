/*
 * metrics.h - how it goes, in figures: for Prometheus and as one line of text.
 * The text format is that of node_exporter's textfile collector; names, HELP and TYPE are
 * in metrics.c, what they mean to an operator in the manual page and in
 * exabgp/prometheus-alerts.yml.
 */
#ifndef METRICS_H
#define METRICS_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "follow.h"
#include "intake.h"
#include "loader.h"

#define METRICS_FOLLOWERS	2

struct uv_loop_s;
struct metrics_file;

/* all figures of one moment; times are microseconds since 1970 in UTC */
struct metrics {
	const char		*collector;	/* letters, digits, dots, dashes, underscores */
	int64_t			 start_us;
	struct intake_stats	 intake;
	struct loader_stats	 loader;
	struct follow_stats	 followers[METRICS_FOLLOWERS];
	uint64_t		 journal_bytes;
	uint64_t		 journal_max_bytes;
};

/* adds the text for Prometheus */
void	metrics_text(const struct metrics *, struct buf *);
/* adds key=value pairs with spaces between, and a final NUL */
void	metrics_line(const struct metrics *, struct buf *);

/*
 * A file that always holds a whole text, written by a thread of libuv's pool so that a
 * disk that hangs delays nobody.  What fails is logged and left to the next write.
 */
/* NULL if out of memory; loop and path must outlive it */
struct metrics_file	*metrics_file_new(struct uv_loop_s *, const char *path);
/* if the write before has not ended, the newest text waits for that */
void	metrics_file_write(struct metrics_file *, const struct metrics *);
/* a write has not ended */
bool	metrics_file_is_busy(const struct metrics_file *);
/* only when it is not busy */
void	metrics_file_free(struct metrics_file *);

#endif
