/*
 * decode_internal.h - what the files of the decoder share: decode.c (lines, messages),
 * decode_attributes.c (path attributes), decode_nlri.c (routes).  Not for others.
 */
#ifndef DECODE_INTERNAL_H
#define DECODE_INTERNAL_H

#include <setjmp.h>

#include <jansson.h>

#include "buf.h"
#include "decode.h"

struct arena;

struct decoder {
	struct arena	*arena;
	struct buf	 repaired;
	struct message	 message;
	jmp_buf		 bad_line;	/* where fail() goes, message.reason set */
	/* the UPDATE under way */
	struct route	*routes;
	size_t		 routes_count;
	size_t		 routes_size;
};

/* the line is quarantined for this reason; does not return */
void	decoder_fail(struct decoder *, const char *, ...)
	    __attribute__((__noreturn__, __format__(__printf__, 2, 3)));
/* memory until the next line; does not return without */
void	*decoder_take(struct decoder *, size_t);
/* short text of any JSON value, for reasons */
const char	*decoder_shown(struct decoder *, const json_t *);
/* JSON text, the same for equal values */
const char	*decoder_dump(struct decoder *, const json_t *);

/* values of the wrong type fail with a reason that names what */
uint32_t	 value_u32(struct decoder *, const json_t *, const char *what);
const char	*value_string(struct decoder *, const json_t *, const char *what);
json_t		*value_object(struct decoder *, json_t *, const char *what);
json_t		*value_array(struct decoder *, json_t *, const char *what);

/* false if it is not a whole number from 0 to max */
bool	value_unsigned(const json_t *, uint64_t max, uint64_t *);
/* the same where 3.4 writes a string, or dialect.c made one of a number too big for jansson */
bool	value_unsigned_or_text(const json_t *, uint64_t max, uint64_t *);
/* decimal digits only */
bool	value_decimal(const char *, uint64_t max, uint64_t *);

static inline uint32_t
wire_u32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* --- path attributes --- */

/* of one UPDATE */
struct attribute_state {
	struct attributes	attributes;
	json_t			*others;	/* what has no column, or NULL */
	const char		*next_hop;	/* main has it here as well */
	/* others with what a next hop adds to them, as made before: with next_hop, with a link-local one */
	const char		*added[2][2];
	const char		*link_local;	/* which */
	size_t			 added_bytes;
};

/* object: what ExaBGP calls "attribute", or NULL */
void	attributes_read(struct decoder *, struct attribute_state *, json_t *object);
/* those of the routes with one next hop: with what that adds to the others */
const struct attributes	*attributes_for(struct decoder *, struct attribute_state *, const char *next_hop,
			    const char *link_local);

/* --- routes --- */

struct family {
	const char	*name;
	const char	*stored;	/* NULL where the prefix tells */
	int		 version;	/* of addresses, 0 if neither */
	bool		 is_prefix;	/* its NLRI must be prefixes */
};

void	family_read(struct decoder *, struct family *, const char *name);
/* all NLRI of one family with one next hop, or withdrawn, become routes of the decoder */
void	nlris_read(struct decoder *, const struct family *, json_t *container, bool announce,
	    const struct inet *next_hop, const struct attributes *);
/* what is announced of one family, by next hop */
void	announce_family(struct decoder *, struct attribute_state *, const struct family *, json_t *by_next_hop);
/* copies of the decoder's routes of [from, to), by NLRI */
const struct route	**routes_sorted(struct decoder *, size_t from, size_t to);
/* drops the routes of [from, to) that are among sorted as well */
void	routes_drop(struct decoder *, size_t from, size_t to, const struct route **sorted, size_t count);

#endif
