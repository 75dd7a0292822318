/*
 * fuzz_decode - lines of any content become rows that PostgreSQL takes.  The input is
 * one line or several; each message is encoded as the loader would and read again by
 * copy_check.h.  Slowness is the fuzzer's -timeout.
 */
#include "copy_check.h"
#include "decode.h"

#define COLLECTOR	"fuzz"

static struct decoder *decoder;
static struct batch batch;

static void
check_message(const struct message *m)
{
	FUZZ_CHECK(m->time_us == MESSAGE_NO_NUMBER || m->time_us >= 0);
	FUZZ_CHECK(m->pid >= MESSAGE_NO_NUMBER && m->counter >= MESSAGE_NO_NUMBER);
	if (m->has_peer)
		FUZZ_CHECK(m->peer.address.family == 4 || m->peer.address.family == 6);
	FUZZ_CHECK(m->peer.asn >= MESSAGE_NO_NUMBER && m->peer.asn <= UINT32_MAX);
	FUZZ_CHECK(m->peer.local_asn >= MESSAGE_NO_NUMBER && m->peer.local_asn <= UINT32_MAX);
}

static void
encode(const struct message *m, const char *line, size_t length)
{
	int64_t time_us = m->time_us != MESSAGE_NO_NUMBER ? m->time_us : 0;
	size_t i;

	switch (m->kind) {
	case MESSAGE_IGNORED:
		return;
	case MESSAGE_ROUTES:
		FUZZ_CHECK(m->has_peer && m->time_us != MESSAGE_NO_NUMBER && m->routes_count > 0);
		for (i = 0; i < m->routes_count; i++) {
			FUZZ_CHECK(m->routes[i].announce == (m->routes[i].attributes != NULL));
			batch_route(&batch, time_us, 1, false, &m->routes[i]);
		}
		return;
	case MESSAGE_SESSION:
		FUZZ_CHECK(m->event != NULL && m->time_us != MESSAGE_NO_NUMBER);
		batch_session(&batch, time_us, m->has_peer ? 1 : 0, COLLECTOR, m->event, m->family, m->detail);
		return;
	case MESSAGE_ERROR:
		FUZZ_CHECK(m->reason != NULL);
		batch_error(&batch, time_us, COLLECTOR, line, length, m->reason);
		batch_gap(&batch, COLLECTOR, m->time_us, time_us, 1, (int64_t)length, "line lost", m->has_peer ? 1 : 0);
		return;
	}
	FUZZ_CHECK(!"a message of no kind");
}

static void
one_line(const uint8_t *data, size_t length)
{
	static const struct batch_position nowhere;
	char *line = fuzz_copy(data, length);
	const struct message *m = decoder_line(decoder, line, length);

	check_message(m);
	batch_begin(&batch, 1, &nowhere, 0);
	encode(m, line, length);
	copy_check(&batch);
	free(line);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = data + size, *newline;

	if (size > FUZZ_INPUT_MAX)
		return 0;
	if (decoder == NULL) {
		json_object_seed(1);	/* the same run gives the same coverage */
		decoder = decoder_new();
		FUZZ_CHECK(decoder != NULL);
	}
	for (;;) {
		newline = data < end ? memchr(data, '\n', (size_t)(end - data)) : NULL;
		one_line(data, (size_t)((newline != NULL ? newline : end) - data));
		if (newline == NULL)
			return 0;
		data = newline + 1;
	}
}
