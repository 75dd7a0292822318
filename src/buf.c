#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buf.h"
#include "log.h"

#define RETRY_US	100000

/* nothing may end the program: input is taken in all the same, and memory may be free again */
static void *
allocate(void *old, size_t count, size_t bytes)
{
	struct log_repeat trouble = { 0 };
	void *p;

	while ((p = reallocarray(old, count, bytes)) == NULL) {
		if (log_repeat_due(&trouble))
			log_error("could not allocate %zu times %zu bytes: out of memory, trying again", count, bytes);
		usleep(RETRY_US);
	}
	return p;
}

void
buf_reserve(struct buf *b, size_t n)
{
	size_t size = b->size == 0 ? 1024 : b->size;

	if (n <= b->size - b->length)
		return;
	while (size - b->length < n)
		size *= 2;
	b->data = allocate(b->data, size, 1);
	b->size = size;
}

void
buf_add(struct buf *b, const void *data, size_t n)
{
	buf_reserve(b, n);
	if (n > 0)
		memcpy(b->data + b->length, data, n);
	b->length += n;
}

void
buf_free(struct buf *b)
{
	free(b->data);
	memset(b, 0, sizeof(*b));
}

void *
buf_grow_array(void *array, size_t count, size_t *size, size_t element_bytes)
{
	if (count < *size)
		return array;
	*size = *size == 0 ? 64 : *size * 2;
	return allocate(array, *size, element_bytes);
}
