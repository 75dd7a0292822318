/*
 * database.h - what the connections of store.h and follow.h have in common.
 */
#ifndef DATABASE_H
#define DATABASE_H

#include <stdbool.h>

#define DATABASE_CONNECT_S	"30"	/* to connect within, unless the user says otherwise */
#define DATABASE_PARAMETERS	12

/* as libpq takes them, NULL at the end */
struct database_parameters {
	const char	*keywords[DATABASE_PARAMETERS];
	const char	*values[DATABASE_PARAMETERS];
};

/* ours, and conninfo's, which win. connect_timeout: NULL for whoever keeps time itself. All must outlive them */
void	database_parameters(struct database_parameters *, const char *conninfo, const char *connect_timeout);
/* one that wins over conninfo's, NULL: none; at most three */
void	database_parameter_add(struct database_parameters *, const char *keyword, const char *value);
/* is an error of this SQLSTATE the connection's or the server's end, and not the statement's? */
bool	database_is_gone(const char *sqlstate);

#endif
