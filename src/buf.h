/* buf.h - a byte buffer that grows. */
#ifndef BUF_H
#define BUF_H

#include <stddef.h>
#include <stdint.h>

struct buf {
	unsigned char	*data;
	size_t		 length;
	size_t		 size;
};

/* makes room for n more bytes; waits if there is no memory (sizes are bounded by callers) */
void	buf_reserve(struct buf *, size_t n);
void	buf_add(struct buf *, const void *, size_t);
void	buf_free(struct buf *);

/* an array with room for one element more than count, moved if need be; waits like buf_reserve */
void	*buf_grow_array(void *array, size_t count, size_t *size, size_t element_bytes);

static inline void
buf_clear(struct buf *b)
{
	b->length = 0;
}

#endif
