#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "buf.h"
#include "log.h"

void
buf_reserve(struct buf *b, size_t n)
{
	size_t size = b->size == 0 ? 1024 : b->size;
	unsigned char *data;

	if (n <= b->size - b->length)
		return;
	while (size - b->length < n)
		size *= 2;
	if ((data = realloc(b->data, size)) == NULL) {
		log_error("could not allocate %zu bytes: out of memory", size);
		exit(EX_OSERR);
	}
	b->data = data;
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
	array = reallocarray(array, *size, element_bytes);
	if (array == NULL) {
		log_error("could not allocate %zu elements: out of memory", *size);
		exit(EX_OSERR);
	}
	return array;
}
