#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"
#include "resync.h"

/* 4.x and 5.x; the others do not know the command, say "error" and do nothing */
static const char commands[] =
    "announce route-refresh ipv4 unicast\n"
    "announce route-refresh ipv6 unicast\n";

bool
resync_possible(void)
{
	struct stat in, out;

	/* ExaBGP's helpers have pipes at both ends; at a prompt or in a script nobody would understand */
	return fstat(STDIN_FILENO, &in) == 0 && S_ISFIFO(in.st_mode) && fstat(STDOUT_FILENO, &out) == 0 &&
	    S_ISFIFO(out.st_mode);
}

void
resync_ask(void)
{
	/* far less than a pipe holds: written whole or, by an ExaBGP that does not read, not at all */
	int flags = fcntl(STDOUT_FILENO, F_GETFL);
	ssize_t n;

	fcntl(STDOUT_FILENO, F_SETFL, flags | O_NONBLOCK);
	n = write(STDOUT_FILENO, commands, sizeof(commands) - 1);
	fcntl(STDOUT_FILENO, F_SETFL, flags);
	if (n == (ssize_t)sizeof(commands) - 1)
		log_info("the helper before was killed: asked ExaBGP for a route refresh of each peer");
	else
		log_warn("could not ask ExaBGP for a route refresh: %s",
		    n == -1 ? strerror(errno) : "it does not read");
}
