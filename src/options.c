#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "options.h"
#include "version.h"

#define SPOOL_PARENT	"/var/spool/exabgp-pg"
#define SPOOL_MAX	(UINT64_C(16) << 30)
#define COLLECTOR_MAX	64
#define FILE_SUFFIX	24	/* bytes that a temporary file's name is longer */
#define LETTERS		"d:c:s:m:b:t:w:RpvqVh"

/* options without a letter */
enum { OPTION_NO_RESYNC = 256, OPTION_METRICS };

static const char help[] =
    "usage: exabgp-pg [options] < ExaBGP's JSON\n"
    "Loads BGP updates from ExaBGP into PostgreSQL, as a process of ExaBGP.\n"
    "\n"
    "  -d, --dsn CONNINFO      database to load into [EXABGP_PG_DSN, else libpq's]\n"
    "  -c, --collector NAME    name of this collection point [EXABGP_PG_COLLECTOR, host name]\n"
    "  -s, --spool DIR         journal [EXABGP_PG_SPOOL, " SPOOL_PARENT "/NAME]\n"
    "  -m, --spool-max SIZE    largest journal, K M G T [EXABGP_PG_SPOOL_MAX, 16G]\n"
    "      --metrics FILE      figures for Prometheus, every 15 s [EXABGP_PG_METRICS, none]\n"
    "  -b, --batch-rows N      commit after so many rows [20000]\n"
    "  -t, --batch-ms MS       or so long after the first of them [500]\n"
    "      --sync-ms MS        have the disk keep the journal so often [1000]\n"
    "  -w, --drain SECONDS     go on loading so long at end of input, or inf [30]\n"
    "  -R, --resync            after a start that may have lost lines, ask for a route\n"
    "      --no-resync         refresh of each live peer, or do not [--resync]\n"
    "  -p, --print             no database: normalized events as JSON on stdout\n"
    "  -v, --verbose           more messages; again: still more\n"
    "  -q, --quiet             warnings and errors only\n"
    "  -V, --version\n"
    "  -h, --help\n"
    "\n"
    "Exit: 0 all loaded, 75 the rest waits in the journal, 64 wrong usage, 78 wrong configuration.\n";

/* where a value came from decides how the program ends */
struct source {
	const char	*name;
	int		 status;
};

static void bad(const struct source *, const char *value, const char *wanted) __attribute__((__noreturn__));

static void
bad(const struct source *from, const char *value, const char *wanted)
{
	fprintf(stderr, "exabgp-pg: %s \"%s\" is not %s\n", from->name, value, wanted);
	exit(from->status);
}

static unsigned long
number(const struct source *from, const char *value, unsigned long low, unsigned long high, const char *wanted)
{
	unsigned long n;
	char *end;

	errno = 0;
	n = strtoul(value, &end, 10);
	if (!isdigit((unsigned char)value[0]) || *end != '\0' || errno != 0 || n < low || n > high)
		bad(from, value, wanted);
	return n;
}

/* bytes, with an optional K, M, G or T of 1024 each */
static uint64_t
size(const struct source *from, const char *value)
{
	static const char wanted[] = "a size such as 512M or 16G, at least 64K", units[] = "KMGT";
	unsigned long long n;
	const char *unit;
	char *end;
	int shift = 0;

	errno = 0;
	n = strtoull(value, &end, 10);
	if (*end != '\0') {
		unit = strchr(units, toupper((unsigned char)*end));
		if (unit == NULL)
			bad(from, value, wanted);
		shift = 10 * (int)(unit - units + 1);
		end++;
	}
	if (!isdigit((unsigned char)value[0]) || *end != '\0' || errno != 0 || n > (UINT64_MAX >> shift) / 2 ||
	    n << shift < 64 * 1024)
		bad(from, value, wanted);
	return n << shift;
}

/* it becomes a directory's name and a column: letters, digits, dot, dash, underscore */
static const char *
collector(const struct source *from, const char *value)
{
	const char *p;

	for (p = value; *p != '\0'; p++)
		if (!isalnum((unsigned char)*p) && strchr("._-", *p) == NULL)
			break;
	if (*value == '\0' || *value == '.' || *value == '-' || *p != '\0' || p - value > COLLECTOR_MAX)
		bad(from, value, "a name of letters, digits, dots, dashes and underscores, at most 64");
	return value;
}

/* what it is and whether it can be written is seen when it is written */
static const char *
file(const struct source *from, const char *value)
{
	const char *slash = strrchr(value, '/'), *name = slash != NULL ? slash + 1 : value;

	if (*name == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
	    strlen(name) + FILE_SUFFIX > NAME_MAX || strlen(value) + FILE_SUFFIX >= PATH_MAX)
		bad(from, value, "the name of a file");
	return value;
}

static const char *
host_name(void)
{
	static const struct source from = { "the host name", EX_CONFIG };
	static char name[HOST_NAME_MAX + 1];

	if (gethostname(name, sizeof(name) - 1) == -1 || name[0] == '\0')
		return "localhost";
	return collector(&from, name);
}

/* for what the command line did not say: a value that does not count may be anything */
static void
from_environment(struct options *o)
{
	const char *value;

	if (o->dsn == NULL)
		o->dsn = (value = getenv("EXABGP_PG_DSN")) != NULL ? value : "";
	if (o->collector == NULL && (value = getenv("EXABGP_PG_COLLECTOR")) != NULL && *value != '\0')
		o->collector = collector(&(struct source){ "EXABGP_PG_COLLECTOR", EX_CONFIG }, value);
	if (o->spool == NULL && (value = getenv("EXABGP_PG_SPOOL")) != NULL && *value != '\0')
		o->spool = value;
	if (o->spool_max == 0 && (value = getenv("EXABGP_PG_SPOOL_MAX")) != NULL && *value != '\0')
		o->spool_max = size(&(struct source){ "EXABGP_PG_SPOOL_MAX", EX_CONFIG }, value);
	if (o->metrics == NULL && (value = getenv("EXABGP_PG_METRICS")) != NULL && *value != '\0')
		o->metrics = file(&(struct source){ "EXABGP_PG_METRICS", EX_CONFIG }, value);
}

static void
from_option(struct options *o, int c)
{
	static const struct source spool_max = { "--spool-max", EX_USAGE }, batch_rows = { "--batch-rows", EX_USAGE },
		batch_ms = { "--batch-ms", EX_USAGE }, sync_ms = { "--sync-ms", EX_USAGE },
		drain = { "--drain", EX_USAGE }, name = { "--collector", EX_USAGE },
		directory = { "--spool", EX_USAGE }, metrics = { "--metrics", EX_USAGE };

	switch (c) {
	case 'd':
		o->dsn = optarg;
		break;
	case 'c':
		o->collector = collector(&name, optarg);
		break;
	case 's':
		if (*optarg == '\0')
			bad(&directory, optarg, "a directory");
		o->spool = optarg;
		break;
	case 'm':
		o->spool_max = size(&spool_max, optarg);
		break;
	case 'b':
		o->batch_rows = (unsigned int)number(&batch_rows, optarg, 1, 1000000, "a number from 1 to 1000000");
		break;
	case 't':
		o->batch_ms = (unsigned int)number(&batch_ms, optarg, 1, 3600000, "milliseconds from 1 to 3600000");
		break;
	case 'S':
		o->sync_ms = (unsigned int)number(&sync_ms, optarg, 10, 3600000, "milliseconds from 10 to 3600000");
		break;
	case 'w':
		if (strcmp(optarg, "inf") == 0)
			o->drain_seconds = OPTIONS_DRAIN_FOREVER;
		else
			o->drain_seconds = (int)number(&drain, optarg, 0, 1000000, "seconds from 0 to 1000000, or inf");
		break;
	case OPTION_METRICS:
		o->metrics = file(&metrics, optarg);
		break;
	case 'R':
		o->resync = true;
		break;
	case OPTION_NO_RESYNC:
		o->resync = false;
		break;
	case 'p':
		o->print = true;
		break;
	case 'v':
		o->verbosity++;
		break;
	case 'q':
		o->verbosity = -1;
		break;
	case 'V':
		printf("exabgp-pg %s\n", EXABGP_PG_VERSION);
		exit(EX_OK);
	case 'h':
		fputs(help, stdout);
		exit(EX_OK);
	default:
		fputs("exabgp-pg: try --help\n", stderr);
		exit(EX_USAGE);
	}
}

void
options_parse(struct options *o, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "dsn", required_argument, NULL, 'd' },
		{ "collector", required_argument, NULL, 'c' },
		{ "spool", required_argument, NULL, 's' },
		{ "spool-max", required_argument, NULL, 'm' },
		{ "metrics", required_argument, NULL, OPTION_METRICS },
		{ "batch-rows", required_argument, NULL, 'b' },
		{ "batch-ms", required_argument, NULL, 't' },
		{ "sync-ms", required_argument, NULL, 'S' },
		{ "drain", required_argument, NULL, 'w' },
		{ "resync", no_argument, NULL, 'R' },
		{ "no-resync", no_argument, NULL, OPTION_NO_RESYNC },
		{ "print", no_argument, NULL, 'p' },
		{ "verbose", no_argument, NULL, 'v' },
		{ "quiet", no_argument, NULL, 'q' },
		{ "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	static char spool[sizeof(SPOOL_PARENT) + HOST_NAME_MAX + COLLECTOR_MAX + 2];
	int c;

	memset(o, 0, sizeof(*o));
	o->batch_rows = 20000;
	o->batch_ms = 500;
	o->sync_ms = 1000;
	o->drain_seconds = 30;
	o->resync = true;
	/* asked for help, nothing else matters */
	while ((c = getopt_long(argc, argv, LETTERS, longs, NULL)) != -1)
		if (c == 'V' || c == 'h' || c == '?')
			from_option(o, c);
	optind = 1;
	while ((c = getopt_long(argc, argv, LETTERS, longs, NULL)) != -1)
		from_option(o, c);
	if (optind < argc) {
		fprintf(stderr, "exabgp-pg: unexpected argument \"%s\"; try --help\n", argv[optind]);
		exit(EX_USAGE);
	}
	from_environment(o);
	if (o->collector == NULL)
		o->collector = host_name();
	if (o->spool_max == 0)
		o->spool_max = SPOOL_MAX;
	if (o->spool == NULL) {
		snprintf(spool, sizeof(spool), "%s/%s", SPOOL_PARENT, o->collector);
		o->spool = spool;
	}
}
