#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <uv.h>

#include "buf.h"
#include "inet.h"
#include "journal.h"
#include "journal_reader.h"
#include "log.h"
#include "resync.h"

#define ANSWER_MS	120000	/* for ExaBGP to begin to answer; it may have tables to read first */
#define QUIET_MS	5000	/* after the answer's last line: with exabgp.api.ack off, no "done" comes */
#define WRITE_MS	100	/* before a full pipe is tried again */
#define TEXT_MAX	256	/* bytes of a line of the answer */
#define FAMILIES_MAX	32	/* of one peer */

enum phase {
	PHASE_ASKED,		/* for the neighbors */
	PHASE_ANSWERED,		/* in part */
	PHASE_WRITING,		/* the commands */
	PHASE_OVER
};

struct neighbor {
	char		 address[INET_TEXT_SIZE];
	char		 local[INET_TEXT_SIZE];		/* "-": not told */
	unsigned long	 asn;
	bool		 up;
	bool		 refresh;			/* both sides can */
	char		 families[FAMILIES_MAX][32];	/* that both sides have */
	unsigned int	 families_count;
};

struct resync {
	struct journal	*journal;
	struct journal_reader *reader;
	uv_timer_t	 timer;
	enum phase	 phase;
	struct neighbor	 neighbor;	/* being read */
	struct buf	 commands;
	size_t		 written;	/* of them */
	unsigned int	 peers;
	unsigned int	 impossible;
	const char	*why;
};

static const char show[] = "show neighbor extensive\n";

bool
resync_possible(void)
{
	struct stat in, out;

	/* ExaBGP's helpers have pipes at both ends; at a prompt or in a script nobody would understand */
	return fstat(STDIN_FILENO, &in) == 0 && S_ISFIFO(in.st_mode) && fstat(STDOUT_FILENO, &out) == 0 &&
	    S_ISFIFO(out.st_mode);
}

/* --- writing ---------------------------------------------------------------------- */

static void
over(struct resync *r)
{
	uv_timer_stop(&r->timer);
	journal_reader_free(r->reader);
	r->reader = NULL;
	buf_free(&r->commands);
	r->phase = PHASE_OVER;
}

static void
impossible(struct resync *r, const char *why)
{
	char note[JOURNAL_NOTE_SIZE];

	log_warn("could not have the peers send their routes again: %s; what was missed shows when their sessions"
	    " restart", why);
	snprintf(note, sizeof(note), "impossible all - - %s", why);
	journal_note(r->journal, note);
	over(r);
}

/* true when all is written; ExaBGP may not be reading for now */
static bool
write_commands(struct resync *r)
{
	int flags = fcntl(STDOUT_FILENO, F_GETFL);
	ssize_t n;

	fcntl(STDOUT_FILENO, F_SETFL, flags | O_NONBLOCK);
	n = write(STDOUT_FILENO, r->commands.data + r->written, r->commands.length - r->written);
	fcntl(STDOUT_FILENO, F_SETFL, flags);
	if (n == -1 && errno != EAGAIN && errno != EINTR) {
		impossible(r, strerror(errno));
		return false;
	}
	if (n > 0)
		r->written += (size_t)n;
	return r->written == r->commands.length;
}

static void	on_timer(uv_timer_t *);

static void
write_more(struct resync *r)
{
	if (r->phase == PHASE_WRITING && write_commands(r))
		over(r);
	if (r->phase == PHASE_WRITING)
		uv_timer_start(&r->timer, on_timer, WRITE_MS, 0);
}

/* --- the answer ------------------------------------------------------------------- */

static void
ask(struct resync *r, const char *family)
{
	const struct neighbor *n = &r->neighbor;
	char text[JOURNAL_NOTE_SIZE];
	int length;

	snprintf(text, sizeof(text), "asked %s %s %lu %s", n->address, n->local, n->asn, family);
	journal_note(r->journal, text);
	length = snprintf(text, sizeof(text), "neighbor %s %s%s%speer-as %lu announce route-refresh %s\n", n->address,
	    n->local[0] == '-' ? "" : "local-ip ", n->local[0] == '-' ? "" : n->local, n->local[0] == '-' ? "" : " ",
	    n->asn, family);
	buf_add(&r->commands, text, (size_t)length);
}

static void
neighbor_end(struct resync *r)
{
	struct neighbor *n = &r->neighbor;
	char note[JOURNAL_NOTE_SIZE];
	unsigned int i;

	if (n->up && n->refresh) {
		for (i = 0; i < n->families_count; i++)
			ask(r, n->families[i]);
		r->peers++;
	} else if (n->up) {
		log_warn("peer %s AS%lu cannot send its routes again (no route refresh, RFC 2918): what was missed"
		    " shows when its session restarts", n->address, n->asn);
		snprintf(note, sizeof(note), "impossible %s %s %lu the session has no route refresh (RFC 2918)",
		    n->address, n->local, n->asn);
		journal_note(r->journal, note);
		r->impossible++;
	}
	memset(n, 0, sizeof(*n));
}

static void
answer_end(struct resync *r)
{
	neighbor_end(r);
	log_info("%s: asking %u peers to send their routes again, %u cannot", r->why, r->peers, r->impossible);
	r->phase = PHASE_WRITING;
	write_more(r);
}

static bool
is_address(const char *text)
{
	struct inet a;

	return inet_parse_address(&a, text);
}

/*
 * One line of the answer: "Neighbor ADDRESS", then indented "local ADDRESS", "state STATE",
 * "AS LOCAL PEER", "CAPABILITY: LOCAL REMOTE", "AFI SAFI: LOCAL REMOTE ADD-PATH".
 */
static void
answer_line(struct resync *r, const char *line)
{
	struct neighbor *n = &r->neighbor;
	char words[4][64];
	int count = sscanf(line, "%63s %63s %63s %63s", words[0], words[1], words[2], words[3]);
	size_t length = count >= 2 ? strlen(words[1]) : 0;

	if (count == 2 && strcmp(words[0], "Neighbor") == 0 && is_address(words[1])) {
		neighbor_end(r);
		snprintf(n->address, sizeof(n->address), "%s", words[1]);
		strcpy(n->local, "-");
	} else if (n->address[0] == '\0' || count < 2 || line[0] != ' ')
		return;
	else if (strcmp(words[0], "local") == 0 && is_address(words[1]))
		snprintf(n->local, sizeof(n->local), "%s", words[1]);
	else if (strcmp(words[0], "state") == 0)
		n->up = strcmp(words[1], "ESTABLISHED") == 0;
	else if (strcmp(words[0], "AS") == 0 && count == 3)
		n->asn = strtoul(words[2], NULL, 10);
	else if (strcmp(words[0], "route-refresh:") == 0 && count == 3)
		n->refresh = strcmp(words[1], "enabled") == 0 && strcmp(words[2], "enabled") == 0;
	else if (count == 4 && words[1][length - 1] == ':' && strcmp(words[2], "enabled") == 0 &&
	    strcmp(words[3], "enabled") == 0 && n->families_count < FAMILIES_MAX) {
		words[1][length - 1] = '\0';
		if (strlen(words[0]) + length < sizeof(n->families[0]))
			sprintf(n->families[n->families_count++], "%s %s", words[0], words[1]);
	}
}

/* a line that is no JSON */
static void
text_line(struct resync *r, const char *line)
{
	if (r->phase == PHASE_ASKED && strcmp(line, "error") == 0) {
		impossible(r, "this ExaBGP does not know \"show neighbor extensive\"");
		return;
	}
	if (r->phase == PHASE_ANSWERED && strcmp(line, "done") == 0) {
		answer_end(r);
		return;
	}
	/* (before the answer, "done" is for the helper that was killed) */
	answer_line(r, line);
	if (r->neighbor.address[0] != '\0') {
		r->phase = PHASE_ANSWERED;
		uv_timer_start(&r->timer, on_timer, QUIET_MS, 0);
	}
}

static void
on_timer(uv_timer_t *timer)
{
	struct resync *r = timer->data;

	switch (r->phase) {
	case PHASE_ASKED:
		impossible(r, "ExaBGP does not answer");
		break;
	case PHASE_ANSWERED:
		answer_end(r);
		break;
	case PHASE_WRITING:
		write_more(r);
		break;
	case PHASE_OVER:
		break;
	}
}

void
resync_wake(struct resync *r)
{
	struct journal_record record;
	char line[TEXT_MAX];

	while (r != NULL && (r->phase == PHASE_ASKED || r->phase == PHASE_ANSWERED) &&
	    journal_reader_next(r->reader, &record)) {
		if (record.type != JOURNAL_LINE || record.length == 0 || record.length >= sizeof(line) ||
		    record.line[0] == '{')
			continue;
		memcpy(line, record.line, record.length);
		line[record.length] = '\0';
		text_line(r, line);
	}
}

struct resync *
resync_start(uv_loop_t *loop, struct journal *journal, const char *directory, const struct journal_position *from,
    const char *why)
{
	struct resync *r = calloc(1, sizeof(*r));

	if (r == NULL || (r->reader = journal_reader_new(journal, directory)) == NULL ||
	    uv_timer_init(loop, &r->timer) != 0) {
		log_error("could not ask for a route refresh: out of memory");
		if (r != NULL)
			journal_reader_free(r->reader);
		free(r);
		return NULL;
	}
	r->journal = journal;
	r->why = why;
	r->timer.data = r;
	journal_reader_seek(r->reader, from);
	uv_timer_start(&r->timer, on_timer, ANSWER_MS, 0);
	buf_add(&r->commands, show, sizeof(show) - 1);
	if (!write_commands(r) && r->phase != PHASE_OVER)
		impossible(r, "ExaBGP does not read");	/* a few bytes, into an empty pipe */
	buf_clear(&r->commands);
	r->written = 0;
	return r;
}

bool
resync_is_over(const struct resync *r)
{
	return r == NULL || r->phase == PHASE_OVER;
}

static void
on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

void
resync_close(struct resync *r)
{
	if (r == NULL)
		return;
	if (r->phase != PHASE_OVER)
		over(r);
	uv_close((uv_handle_t *)&r->timer, on_closed);
}
