/*
 * dialect.h - lines that are not JSON: answers to commands, the text encoder, and
 * what versions of ExaBGP write although no JSON parser takes it.
 */
#ifndef DIALECT_H
#define DIALECT_H

#include <stdbool.h>
#include <stddef.h>

struct buf;

enum dialect_line {
	DIALECT_JSON,		/* begins like an object */
	DIALECT_EMPTY,
	DIALECT_ANSWER,		/* "done", "error", output of a show command */
	DIALECT_TEXT_ENCODER,
	DIALECT_UNKNOWN
};

enum dialect_line	dialect_classify(const char *line, size_t length);

/*
 * Writes the line to out with the known defects mended, each listed with its
 * version in dialect.c.  False if there was none of them.  Linear in length.
 */
bool	dialect_repair(struct buf *out, const char *line, size_t length);

/* longest line that is worth mending */
#define DIALECT_REPAIR_MAX	((size_t)4 * 1024 * 1024)

/* 3.4 has prefixes as keys, which may repeat: dialect_repair adds this and a number */
#define DIALECT_KEY_MARK	'#'
/* and renames the second aggregator of 4.x, which is garbage, to this */
#define DIALECT_DUPLICATE_AGGREGATOR	"aggregator-duplicate"

#endif
