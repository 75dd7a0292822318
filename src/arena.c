#include <stdalign.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"

#define BLOCK_BYTES	((size_t)128 * 1024)	/* ordinary lines need less */
#define ALIGNMENT	alignof(max_align_t)

struct block {
	struct block	*next;
	size_t		 size;
	alignas(max_align_t) unsigned char data[];
};

struct arena {
	struct block	*first;		/* kept for ever */
	struct block	*current;
	size_t		 used;		/* of current */
	size_t		 total;		/* bytes of all blocks after the first */
	size_t		 limit;
};

static struct block *
block_new(size_t size)
{
	struct block *b = malloc(sizeof(*b) + size);

	if (b != NULL) {
		b->next = NULL;
		b->size = size;
	}
	return b;
}

struct arena *
arena_new(size_t limit)
{
	struct arena *a = malloc(sizeof(*a));

	if (a == NULL || (a->first = block_new(BLOCK_BYTES)) == NULL) {
		free(a);
		return NULL;
	}
	a->current = a->first;
	a->used = 0;
	a->total = 0;
	a->limit = limit;
	return a;
}

static void
arena_release(struct arena *a)
{
	struct block *b, *next;

	for (b = a->first->next; b != NULL; b = next) {
		next = b->next;
		free(b);
	}
	a->first->next = NULL;
	a->total = 0;
}

void
arena_free(struct arena *a)
{
	if (a == NULL)
		return;
	arena_release(a);
	free(a->first);
	free(a);
}

void *
arena_alloc(struct arena *a, size_t size)
{
	struct block *b = a->current;
	size_t need;
	void *p;

	if (size > a->limit)
		return NULL;
	size = (size + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
	if (size > b->size - a->used) {
		/* double what there is, so that a huge line takes few blocks */
		need = a->total < BLOCK_BYTES ? BLOCK_BYTES : a->total;
		if (need > (size_t)16 * 1024 * 1024)
			need = (size_t)16 * 1024 * 1024;
		if (need < size)
			need = size;
		if (a->total + need > a->limit || (b = block_new(need)) == NULL)
			return NULL;
		a->total += need;
		a->current->next = b;
		a->current = b;
		a->used = 0;
	}
	p = b->data + a->used;
	a->used += size;
	return p;
}

char *
arena_vprintf(struct arena *a, const char *format, va_list ap)
{
	va_list again;
	char *p;
	int n;

	va_copy(again, ap);
	n = vsnprintf(NULL, 0, format, again);
	va_end(again);
	if (n < 0 || (p = arena_alloc(a, (size_t)n + 1)) == NULL)
		return NULL;
	vsnprintf(p, (size_t)n + 1, format, ap);
	return p;
}

char *
arena_printf(struct arena *a, const char *format, ...)
{
	va_list ap;
	char *p;

	va_start(ap, format);
	p = arena_vprintf(a, format, ap);
	va_end(ap);
	return p;
}

void
arena_reset(struct arena *a)
{
	if (a->first->next != NULL)
		arena_release(a);
	a->current = a->first;
	a->used = 0;
}
