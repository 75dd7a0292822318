#include <stdlib.h>
#include <string.h>

#include "peer.h"

#define SLOTS_FIRST	256
#define COUNTER_JUMP_MAX INT64_C(1000000000)	/* more is no count of ExaBGP's */

struct peers {
	struct peer	**slots;	/* open addressing, a power of two, at most half full */
	size_t		  size;
	size_t		  count;
	struct peer	 *last;		/* lines of one peer come in runs */
};

struct peers *
peers_new(void)
{
	struct peers *p = calloc(1, sizeof(*p));

	if (p == NULL || (p->slots = calloc(SLOTS_FIRST, sizeof(struct peer *))) == NULL) {
		free(p);
		return NULL;
	}
	p->size = SLOTS_FIRST;
	return p;
}

void
peers_clear(struct peers *p)
{
	size_t i;

	for (i = 0; i < p->size; i++) {
		if (p->slots[i] != NULL)
			refreshes_clear(&p->slots[i]->refreshes);
		free(p->slots[i]);
		p->slots[i] = NULL;
	}
	p->count = 0;
	p->last = NULL;
}

void
peers_free(struct peers *p)
{
	if (p == NULL)
		return;
	peers_clear(p);
	free(p->slots);
	free(p);
}

static bool
same_key(const struct peer_key *a, const struct peer_key *b)
{
	return a->asn == b->asn && inet_compare(&a->address, &b->address) == 0 &&
	    inet_compare(&a->local_address, &b->local_address) == 0;
}

/* FNV-1a: keys come from ExaBGP's configuration, not from strangers */
static uint64_t
hash_bytes(uint64_t hash, const void *data, size_t n)
{
	const unsigned char *p = data;

	while (n-- > 0)
		hash = (hash ^ *p++) * UINT64_C(0x100000001b3);
	return hash;
}

static uint64_t
hash_key(const struct peer_key *k)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	hash = hash_bytes(hash, k->address.address, sizeof(k->address.address));
	hash = hash_bytes(hash, k->local_address.address, sizeof(k->local_address.address));
	return hash_bytes(hash, &k->asn, sizeof(k->asn));
}

static struct peer **
find_slot(struct peer **slots, size_t size, const struct peer_key *k)
{
	size_t i = hash_key(k) & (size - 1);

	while (slots[i] != NULL && !same_key(&slots[i]->key, k))
		i = (i + 1) & (size - 1);
	return &slots[i];
}

static bool
grow(struct peers *p)
{
	size_t size = p->size * 2, i;
	struct peer **slots = calloc(size, sizeof(struct peer *));

	if (slots == NULL)
		return false;
	for (i = 0; i < p->size; i++)
		if (p->slots[i] != NULL)
			*find_slot(slots, size, &p->slots[i]->key) = p->slots[i];
	free(p->slots);
	p->slots = slots;
	p->size = size;
	return true;
}

struct peer *
peers_get(struct peers *p, const struct peer_key *k)
{
	struct peer **slot;
	size_t i;

	if (p->last != NULL && same_key(&p->last->key, k))
		return p->last;
	slot = find_slot(p->slots, p->size, k);
	if (*slot == NULL) {
		if (p->count >= PEERS_MAX || (p->count >= p->size / 2 && !grow(p)))
			return NULL;
		slot = find_slot(p->slots, p->size, k);
		if ((*slot = calloc(1, sizeof(**slot))) == NULL)
			return NULL;
		(*slot)->key = *k;
		(*slot)->pid = (*slot)->counter = (*slot)->last_us = (*slot)->stale_us = MESSAGE_NO_NUMBER;
		(*slot)->refused_day = MESSAGE_NO_NUMBER;
		for (i = 0; i < PEER_READY_DAYS; i++)
			(*slot)->ready_days[i] = MESSAGE_NO_NUMBER;
		p->count++;
	}
	p->last = *slot;
	return *slot;
}

struct peer *
peers_find(struct peers *p, const struct peer_key *k)
{
	return *find_slot(p->slots, p->size, k);
}

void
peers_each(struct peers *p, void (*each)(void *, struct peer *), void *arg)
{
	size_t i;

	for (i = 0; i < p->size; i++)
		if (p->slots[i] != NULL)
			each(arg, p->slots[i]);
}

int64_t
peer_missed_lines(const struct peer *p, int64_t pid, int64_t counter)
{
	/* the count goes on across sessions, and begins anew with ExaBGP */
	if (counter == MESSAGE_NO_NUMBER || p->counter == MESSAGE_NO_NUMBER || p->pid != pid ||
	    counter <= p->counter || counter - p->counter > COUNTER_JUMP_MAX)
		return 0;
	return counter - p->counter - 1;
}

void
peer_note_line(struct peer *p, int64_t pid, int64_t counter)
{
	if (counter == MESSAGE_NO_NUMBER)
		return;
	p->pid = pid;
	p->counter = counter;
}

bool
peer_day_ready(const struct peer *p, int64_t day)
{
	size_t i;

	for (i = 0; i < PEER_READY_DAYS; i++)
		if (p->ready_days[i] == day)
			return true;
	return false;
}

void
peer_day_set_ready(struct peer *p, int64_t day)
{
	p->ready_days[p->ready_next] = day;
	p->ready_next = (p->ready_next + 1) % PEER_READY_DAYS;
}
