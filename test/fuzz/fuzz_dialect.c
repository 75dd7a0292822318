/*
 * fuzz_dialect - telling lines apart and mending them: bounded output, and a line that
 * is valid and has none of the defects means the same afterwards.
 */
#include <ctype.h>

#include <jansson.h>

#include "buf.h"
#include "dialect.h"
#include "fuzz.h"

/* a control byte of a peer's text becomes \u00NN; marks of keys and quotes are less */
#define GROWTH		8
#define GROWTH_FIXED	64

static void
check_class(const char *line, size_t length)
{
	enum dialect_line class = dialect_classify(line, length);
	size_t i;

	for (i = 0; i < length && isspace((unsigned char)line[i]); i++)
		continue;
	FUZZ_CHECK(class <= DIALECT_UNKNOWN);
	FUZZ_CHECK((class == DIALECT_EMPTY) == (i == length));
	FUZZ_CHECK((class == DIALECT_JSON) == (i < length && line[i] == '{'));
}

/* defects that are changed although the line may be valid: keys of 3.4, a second aggregator */
static bool
may_differ(const char *line, size_t length)
{
	static const char old[] = "{ \"exabgp\": \"3.", aggregator[] = "\"aggregator\"";
	const char *first;

	if (length >= sizeof(old) - 1 && memcmp(line, old, sizeof(old) - 1) == 0)
		return true;
	first = memmem(line, length, aggregator, sizeof(aggregator) - 1);
	return first != NULL && memmem(first + 1, length - (size_t)(first + 1 - line), aggregator,
	    sizeof(aggregator) - 1) != NULL;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct buf out;
	json_t *before, *after;
	json_error_t error;
	char *line;

	if (size > FUZZ_INPUT_MAX)
		return 0;
	line = fuzz_copy(data, size);
	check_class(line, size);
	dialect_repair(&out, line, size);
	FUZZ_CHECK(out.length <= GROWTH * size + GROWTH_FIXED);
	before = json_loadb(line, size, JSON_REJECT_DUPLICATES, &error);
	if (before != NULL && !may_differ(line, size)) {
		after = json_loadb((const char *)out.data, out.length, JSON_REJECT_DUPLICATES, &error);
		FUZZ_CHECK(after != NULL && json_equal(before, after));
		json_decref(after);
	}
	json_decref(before);
	free(line);
	return 0;
}
