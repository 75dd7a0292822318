/* decode_nlri.c - what an UPDATE announces and withdraws, of any address family. */
#include <stdlib.h>
#include <string.h>

#include "decode_internal.h"
#include "dialect.h"

/* --- NLRI ------------------------------------------------------------------------ */

void
family_read(struct decoder *d, struct family *f, const char *name)
{
	static const char *const of_prefixes[] = { "unicast", "multicast", "nlri-mpls", "labeled-unicast",
		"mpls-vpn", NULL };
	const char *space = strchr(name, ' '), *const *safi;

	if (space == NULL || strlen(name) > 64)
		decoder_fail(d, "\"%.64s\" is not an address family", name);
	f->name = f->stored = name;
	f->version = strncmp(name, "ipv4 ", 5) == 0 ? 4 : strncmp(name, "ipv6 ", 5) == 0 ? 6 : 0;
	f->is_prefix = false;
	for (safi = of_prefixes; *safi != NULL; safi++)
		if (f->version != 0 && strcmp(space + 1, *safi) == 0)
			f->is_prefix = true;
	if (f->version != 0 && strcmp(space + 1, "unicast") == 0)
		f->stored = NULL;
}

/* room for so many more */
static void
routes_reserve(struct decoder *d, size_t more)
{
	size_t size = d->routes_count + more;
	struct route *routes;

	if (size <= d->routes_size)
		return;
	if (size < d->routes_size * 2)
		size = d->routes_size * 2;
	routes = decoder_take(d, size * sizeof(*routes));
	if (d->routes_count > 0)
		memcpy(routes, d->routes, d->routes_count * sizeof(*routes));
	d->routes = routes;
	d->routes_size = size;
}

static struct route *
route_add(struct decoder *d)
{
	struct route *r = &d->routes[d->routes_count++];

	memset(r, 0, sizeof(*r));
	r->path_id = MESSAGE_NO_NUMBER;
	return r;
}

/* RFC 7911: ExaBGP writes the 32 bits as a dotted quad */
static int64_t
path_id_read(struct decoder *d, json_t *value)
{
	struct inet quad;
	uint64_t n;

	if (json_is_string(value) && inet_parse_address(&quad, json_string_value(value)) && quad.family == 4)
		return wire_u32(quad.address);
	if (!value_unsigned(value, UINT32_MAX, &n))
		decoder_fail(d, "path-information is %s, not a 32-bit number", decoder_shown(d, value));
	return (int64_t)n;
}

/* [16,17] (3.4), [[16],[17]] (4.x), [[16,257],[17,273]] (main: with the 24 bits on the wire) */
static bool
labels_read(struct decoder *d, struct route *r, json_t *value)
{
	size_t n = json_array_size(value), i;
	int32_t *labels;
	uint64_t label;

	if (!json_is_array(value))
		return false;
	labels = decoder_take(d, n * sizeof(*labels));
	for (i = 0; i < n; i++) {
		json_t *entry = json_array_get(value, i);

		if (json_is_array(entry))
			entry = json_array_get(entry, 0);
		if (!value_unsigned(entry, 0xffffff, &label))
			return false;
		labels[i] = (int32_t)label;
	}
	r->labels = labels;
	r->labels_count = n;
	return true;
}

static void
prefix_read(struct decoder *d, struct route *r, const struct family *f, const char *text)
{
	if (!inet_parse_prefix(&r->prefix, text))
		decoder_fail(d, "\"%.64s\" is not a prefix", text);
	if (f->version != 0 && r->prefix.family != f->version)
		decoder_fail(d, "\"%.64s\" is not a prefix of %s", text, f->name);
	r->family = f->stored;
}

/*
 * The members of one NLRI.  Of a prefix family all have columns, else the whole
 * NLRI is kept as JSON, with rd, labels and path_id beside it where they are plain.
 */
static void
nlri_read_members(struct decoder *d, struct route *r, const struct family *f, json_t *object)
{
	bool whole = !f->is_prefix;
	const char *key;
	json_t *value;

	json_object_foreach(object, key, value) {
		if (strcmp(key, "nlri") == 0)
			continue;
		if (strcmp(key, "path-information") == 0)
			r->path_id = path_id_read(d, value);
		else if (strcmp(key, "rd") == 0 || strcmp(key, "route-distinguisher") == 0)
			r->rd = value_string(d, value, "rd");
		else if (strcmp(key, "label") == 0) {
			if (!labels_read(d, r, value) && f->is_prefix)
				decoder_fail(d, "label is %s", decoder_shown(d, value));
		} else
			whole = true;
	}
	if (whole) {
		r->family = f->name;
		r->nlri = decoder_dump(d, object);
	}
}

/* 4.x and later: { "nlri": "192.0.2.0/24", .. }, or the bare string (api.compact) */
static void
nlri_read(struct decoder *d, struct route *r, const struct family *f, json_t *item)
{
	json_t *text = item;

	if (json_is_object(item))
		text = json_object_get(item, "nlri");
	else if (!json_is_string(item))
		decoder_fail(d, "an NLRI of %s is %s", f->name, decoder_shown(d, item));
	if (f->is_prefix)
		prefix_read(d, r, f, value_string(d, text, "nlri"));
	r->family = f->stored;
	if (json_is_object(item))
		nlri_read_members(d, r, f, item);
	else if (!f->is_prefix) {
		r->family = f->name;
		r->nlri = decoder_dump(d, item);
	}
}

/* 3.4: the prefix is the key; of flow and the like the key is a mere number "flow-0" */
static void
nlri_read_keyed(struct decoder *d, struct route *r, const struct family *f, const char *key, json_t *value)
{
	const char *mark = strchr(key, DIALECT_KEY_MARK);

	value_object(d, value, "an NLRI");
	if (f->is_prefix) {
		if (mark != NULL) {
			char *copy = decoder_take(d, (size_t)(mark - key) + 1);

			memcpy(copy, key, (size_t)(mark - key));
			copy[mark - key] = '\0';
			key = copy;
		}
		prefix_read(d, r, f, key);
	}
	nlri_read_members(d, r, f, value);
}

/* all NLRI of one family with one next hop, or withdrawn; a list, or an object by prefix in 3.4 */
void
nlris_read(struct decoder *d, const struct family *f, json_t *container, bool announce,
    const struct inet *next_hop, const struct attributes *attributes)
{
	const char *key;
	json_t *item;
	size_t i;

	if (!json_is_array(container) && !json_is_object(container))
		decoder_fail(d, "the NLRI of %s are %s, not a list", f->name, decoder_shown(d, container));
	routes_reserve(d, json_is_array(container) ? json_array_size(container) : json_object_size(container));
	if (json_is_array(container)) {
		json_array_foreach(container, i, item) {
			struct route *r = route_add(d);

			nlri_read(d, r, f, item);
			r->announce = announce;
			r->attributes = attributes;
			if (next_hop != NULL)
				r->next_hop = *next_hop;
		}
		return;
	}
	json_object_foreach(container, key, item) {
		struct route *r = route_add(d);

		nlri_read_keyed(d, r, f, key, item);
		r->announce = announce;
		r->attributes = attributes;
		if (next_hop != NULL)
			r->next_hop = *next_hop;
	}
}

static int
compare_route_key(const void *a, const void *b)
{
	const struct route *x = *(const struct route *const *)a, *y = *(const struct route *const *)b;
	const char *fx = x->family == NULL ? "" : x->family, *fy = y->family == NULL ? "" : y->family;
	const char *rx = x->rd == NULL ? "" : x->rd, *ry = y->rd == NULL ? "" : y->rd;
	int c;

	if ((c = inet_compare(&x->prefix, &y->prefix)) != 0)
		return c;
	if (x->path_id != y->path_id)
		return x->path_id < y->path_id ? -1 : 1;
	if ((c = strcmp(fx, fy)) != 0 || (c = strcmp(rx, ry)) != 0)
		return c;
	if (x->nlri == NULL || y->nlri == NULL)
		return (x->nlri != NULL) - (y->nlri != NULL);
	return strcmp(x->nlri, y->nlri);
}

/* copies of the routes of [from, to), since the array moves while routes are added */
const struct route **
routes_sorted(struct decoder *d, size_t from, size_t to)
{
	const struct route **sorted = decoder_take(d, (to - from) * sizeof(*sorted));
	struct route *copies = decoder_take(d, (to - from) * sizeof(*copies));
	size_t i;

	for (i = from; i < to; i++) {
		copies[i - from] = d->routes[i];
		sorted[i - from] = &copies[i - from];
	}
	if (to - from > 1)
		qsort(sorted, to - from, sizeof(*sorted), compare_route_key);
	return sorted;
}

/* drops the routes of [from, to) that are among sorted as well */
void
routes_drop(struct decoder *d, size_t from, size_t to, const struct route **sorted, size_t count)
{
	struct route *kept;
	size_t i, n = 0;

	kept = decoder_take(d, (to - from) * sizeof(*kept));
	for (i = from; i < to; i++) {
		const struct route *key = &d->routes[i];

		if (count == 0 || bsearch(&key, sorted, count, sizeof(*sorted), compare_route_key) == NULL)
			kept[n++] = *key;
	}
	if (n > 0)
		memcpy(&d->routes[from], kept, n * sizeof(*kept));
	memmove(&d->routes[from + n], &d->routes[to], (d->routes_count - to) * sizeof(*d->routes));
	d->routes_count -= (to - from) - n;
}

static bool
next_hop_read(struct decoder *d, struct inet *next_hop, const char *text)
{
	memset(next_hop, 0, sizeof(*next_hop));
	if (strcmp(text, "no-nexthop") == 0 || strcmp(text, "null") == 0 || strcmp(text, "none") == 0 || *text == '\0')
		return false;
	if (!inet_parse_address(next_hop, text))
		decoder_fail(d, "next hop \"%.64s\" is not an address", text);
	return true;
}

/*
 * RFC 2545 section 3: an IPv6 route may have a global and a link-local next hop.
 * 3.4, 4.x and 5.x list its prefix under both: one route, with the global one, the
 * other in its attributes.
 */
void
announce_family(struct decoder *d, struct attribute_state *s, const struct family *f, json_t *by_next_hop)
{
	const char *link_local = NULL, *text;
	const struct route **local_sorted = NULL, **global_sorted;
	size_t local_from = d->routes_count, local_count, global_from;
	struct inet next_hop, local_next_hop = { 0 };
	bool global = false;
	json_t *nlris;

	value_object(d, by_next_hop, "announce");
	json_object_foreach(by_next_hop, text, nlris) {
		next_hop_read(d, &next_hop, text);
		if (inet_is_link_local(&next_hop)) {
			link_local = text;
			local_next_hop = next_hop;
		} else
			global = true;
	}
	if (link_local == NULL || !global) {
		json_object_foreach(by_next_hop, text, nlris) {
			bool some = next_hop_read(d, &next_hop, text);

			nlris_read(d, f, nlris, true, &next_hop, attributes_for(d, s, some ? text : NULL, NULL));
		}
		return;
	}
	nlris_read(d, f, json_object_get(by_next_hop, link_local), true, &local_next_hop,
	    attributes_for(d, s, link_local, NULL));
	local_count = d->routes_count - local_from;
	local_sorted = routes_sorted(d, local_from, d->routes_count);
	global_from = d->routes_count;
	json_object_foreach(by_next_hop, text, nlris) {
		const struct attributes *with, *without;
		size_t from = d->routes_count, i;

		if (strcmp(text, link_local) == 0)
			continue;
		next_hop_read(d, &next_hop, text);
		with = attributes_for(d, s, text, link_local);
		without = attributes_for(d, s, text, NULL);
		nlris_read(d, f, nlris, true, &next_hop, with);
		for (i = from; i < d->routes_count; i++) {
			const struct route *key = &d->routes[i];

			if (bsearch(&key, local_sorted, local_count, sizeof(*local_sorted), compare_route_key) == NULL)
				d->routes[i].attributes = without;
		}
	}
	global_sorted = routes_sorted(d, global_from, d->routes_count);
	routes_drop(d, local_from, global_from, global_sorted, d->routes_count - global_from);
}
