#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <xxhash.h>

#include "clock.h"
#include "novelty.h"

#define SECRET_BYTES	192	/* XXH3's default; at least XXH3_SECRET_SIZE_MIN */
#define WAYS		8	/* one cache line */
#define SETS		((size_t)1 << 18)	/* 16 MiB: two million paths, of twenty full tables */

struct novelty {
	unsigned char	 secret[SECRET_BYTES];
	uint64_t	(*sets)[WAYS];	/* hashes, 0: none; the one used last is first */
	uint64_t	 age;		/* part of what is hashed: how often all was forgotten */
};

struct novelty *
novelty_new(void)
{
	struct novelty *n = calloc(1, sizeof(*n));

	if (n == NULL || getrandom(n->secret, sizeof(n->secret), 0) != (ssize_t)sizeof(n->secret) ||
	    (n->sets = calloc(SETS, sizeof(*n->sets))) == NULL) {
		free(n);
		return NULL;
	}
	return n;
}

void
novelty_free(struct novelty *n)
{
	if (n == NULL)
		return;
	free(n->sets);
	free(n);
}

void
novelty_forget(struct novelty *n)
{
	n->age++;	/* what is there gives way to what comes */
}

static uint64_t
hash(const struct novelty *n, const void *data, size_t length)
{
	return XXH3_64bits_withSecret(data, length, n->secret, sizeof(n->secret));
}

bool
novelty_is_known(struct novelty *n, int32_t peer_id, int64_t time_us, const char *family, int version,
    const void *data, size_t length)
{
	const uint64_t key[5] = { n->age, hash(n, data, length),
		family != NULL ? hash(n, family, strlen(family)) : (uint64_t)version,
		(uint64_t)peer_id, (uint64_t)(time_us / CLOCK_DAY_US) };
	uint64_t h = hash(n, key, sizeof(key)), *set = n->sets[h % SETS];
	int i = 0;

	if (h == 0)
		h = 1;
	while (i < WAYS - 1 && set[i] != h)
		i++;
	if (set[i] == h) {
		memmove(set + 1, set, (size_t)i * sizeof(*set));
		set[0] = h;
		return true;
	}
	memmove(set + 1, set, (WAYS - 1) * sizeof(*set));
	set[0] = h;
	return false;
}
