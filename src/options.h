/* options.h - command line and environment. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#define OPTIONS_DRAIN_FOREVER	(-1)

struct options {
	const char	*dsn;		/* "" for libpq's own */
	const char	*collector;
	const char	*spool;
	const char	*metrics;	/* file to write figures to, NULL: none */
	uint64_t	 spool_max;	/* bytes */
	unsigned int	 batch_rows;
	unsigned int	 batch_ms;
	unsigned int	 sync_ms;
	int		 drain_seconds;	/* or OPTIONS_DRAIN_FOREVER */
	bool		 resync;
	bool		 print;
	int		 verbosity;	/* 0 normal, above: more, below: less */
};

/* all of it, or ends the program with a message: 0 after help, 64 usage, 78 environment */
void	options_parse(struct options *, int argc, char **argv);

#endif
