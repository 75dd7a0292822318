/*
 * decode.h - one line of ExaBGP's JSON, of any version, to one normalized message.
 * The only module that sees jansson.  One decoder a process: jansson's allocator is
 * global.
 */
#ifndef DECODE_H
#define DECODE_H

#include <stddef.h>

#include "message.h"

struct decoder;

/* NULL if out of memory */
struct decoder	*decoder_new(void);
void		 decoder_free(struct decoder *);

/*
 * Decodes one line without its newline, of any length and content.  What it gives
 * stays valid until the next call.  A line that cannot be used is a message too, of
 * kind MESSAGE_ERROR, with as much of its peer and counter as could be read.
 */
const struct message	*decoder_line(struct decoder *, const char *line, size_t length);

#endif
