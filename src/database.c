#include <stdlib.h>
#include <string.h>

#include "database.h"

void
database_parameters(struct database_parameters *p, const char *conninfo, const char *connect_timeout)
{
	/* a dead network must not look like a slow server for hours */
	const struct database_parameters parameters = {
		{ "fallback_application_name", "connect_timeout", "keepalives_idle", "keepalives_interval",
		    "keepalives_count", "tcp_user_timeout", "dbname", "client_encoding" },
		{ "exabgp-pg", connect_timeout, "20", "5", "4", "10000", conninfo, "UTF8" } };

	*p = parameters;
}

void
database_parameter_add(struct database_parameters *p, const char *keyword, const char *value)
{
	size_t n = 0;

	while (p->keywords[n] != NULL)
		n++;
	if (n == DATABASE_PARAMETERS - 1)
		abort();
	p->keywords[n] = keyword;
	p->values[n] = value;
}

/* PostgreSQL manual, appendix A: connection_exception; admin_shutdown, crash_shutdown, cannot_connect_now ... */
bool
database_is_gone(const char *sqlstate)
{
	return strncmp(sqlstate, "08", 2) == 0 || strncmp(sqlstate, "57P", 3) == 0;
}
