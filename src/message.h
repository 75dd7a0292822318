/*
 * message.h - one input line, normalized: what every dialect of ExaBGP becomes
 * before it is printed or loaded.  All pointers are into memory that lives until
 * the next line is decoded.
 */
#ifndef MESSAGE_H
#define MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "inet.h"

#define MESSAGE_NO_NUMBER	INT64_C(-1)	/* a number that the line did not have */
#define MESSAGE_TIME_END_US INT64_C(4102444800000000)	/* 2100-01-01: no later time is believed */
#define MESSAGE_LINE_MAX	((size_t)16 * 1024 * 1024)
#define MESSAGE_LINE_KEPT	((size_t)64 * 1024)	/* of a quarantined line */

enum message_kind {
	MESSAGE_IGNORED,	/* an answer to our commands, an empty line, something sent */
	MESSAGE_ROUTES,
	MESSAGE_SESSION,
	MESSAGE_ERROR		/* quarantined: reason says why */
};

/* who told us; identity is address, asn, local_address (and the collector) */
struct peer_key {
	struct inet	address;
	struct inet	local_address;
	int64_t		asn;		/* MESSAGE_NO_NUMBER: not known */
	int64_t		local_asn;	/* not part of the identity */
};

/* a ROUTE-REFRESH that was received (RFC 7313 section 4) */
enum message_refresh { MESSAGE_REFRESH_NONE, MESSAGE_REFRESH_BEGIN, MESSAGE_REFRESH_END };

/* what an OPEN that was received says of enhanced route refresh */
enum message_enhanced { MESSAGE_ENHANCED_UNKNOWN, MESSAGE_ENHANCED_NO, MESSAGE_ENHANCED_YES };

enum peer_state { PEER_STATE_SAME, PEER_STATE_UP, PEER_STATE_DOWN, PEER_STATE_UNKNOWN };

struct community {
	uint32_t	asn;
	uint32_t	value;
};

struct large_community {
	uint32_t	global;
	uint32_t	local[2];
};

/* path attributes of an UPDATE, RFC 4271 section 5 and later ones */
struct attributes {
	const uint32_t	*path;		/* left to right, confederation segments left out */
	size_t		 path_length;
	const char	*as_path;	/* NULL: path separated by spaces */
	int64_t		 origin_asn;	/* MESSAGE_NO_NUMBER: none, or a set */
	char		 origin;	/* i, e, ? or 0 */
	bool		 atomic_aggregate;
	int64_t		 med;
	int64_t		 local_pref;
	const struct community *communities;	/* sorted, no duplicates, as the next two */
	size_t		 communities_count;
	const struct large_community *large;
	size_t		 large_count;
	const char	*const *ext;
	size_t		 ext_count;
	const char	*aggregator;
	const char	*others;	/* JSON object of all the rest, or NULL */
	size_t		 bytes;		/* that they take in a row, at least about */
};

struct route {
	bool		 announce;
	const char	*family;	/* NULL: unicast of the prefix's own address family */
	struct inet	 prefix;	/* family 0: the NLRI is not a prefix */
	int64_t		 path_id;
	const char	*rd;
	const int32_t	*labels;
	size_t		 labels_count;
	const char	*nlri;		/* JSON of the whole NLRI, or NULL */
	struct inet	 next_hop;
	const struct attributes *attributes;	/* NULL on a withdraw */
};

struct message {
	enum message_kind	 kind;
	int64_t			 time_us;	/* ExaBGP's, since 1970 UTC; MESSAGE_NO_NUMBER */
	bool			 has_peer;
	struct peer_key		 peer;
	int64_t			 pid;		/* of ExaBGP */
	int64_t			 counter;	/* its lines for this peer */

	const struct route	*routes;	/* MESSAGE_ROUTES */
	size_t			 routes_count;

	const char		*event;		/* MESSAGE_SESSION */
	const char		*family;
	const char		*detail;	/* JSON or NULL */
	enum peer_state		 state;
	struct inet		 router_id;
	enum message_refresh	 refresh;	/* of family */
	enum message_enhanced	 enhanced;

	const char		*reason;	/* MESSAGE_ERROR */
	bool			 text_encoder;	/* it is a line of ExaBGP's text encoder */
};

#endif
