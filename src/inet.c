#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "inet.h"

/* four decimal numbers without leading zeros; inet_pton does the same at three times the cost */
static bool
parse_ipv4(uint8_t *address, const char *text, size_t length)
{
	const char *end = text + length;
	int i;

	for (i = 0; i < 4; i++) {
		unsigned int value = 0, digits = 0;

		while (text < end && *text >= '0' && *text <= '9' && digits < 4) {
			value = value * 10 + (unsigned int)(*text++ - '0');
			digits++;
		}
		if (digits == 0 || digits > 3 || value > 255 || (digits > 1 && text[-(int)digits] == '0'))
			return false;
		address[i] = (uint8_t)value;
		if (i < 3 && (text == end || *text++ != '.'))
			return false;
	}
	return text == end;
}

static bool
parse_address(struct inet *out, const char *text, size_t length)
{
	char copy[INET6_ADDRSTRLEN];

	memset(out, 0, sizeof(*out));
	if (memchr(text, ':', length) == NULL) {
		out->family = 4;
		out->bits = 32;
		return parse_ipv4(out->address, text, length);
	}
	if (length >= sizeof(copy))
		return false;
	memcpy(copy, text, length);
	copy[length] = '\0';
	out->family = 6;
	out->bits = 128;
	return inet_pton(AF_INET6, copy, out->address) == 1;
}

bool
inet_parse_address(struct inet *out, const char *text)
{
	return parse_address(out, text, strlen(text));
}

bool
inet_parse_prefix(struct inet *out, const char *text)
{
	const char *slash = strchr(text, '/'), *p;
	unsigned int bits = 0, i;

	if (slash == NULL || !parse_address(out, text, (size_t)(slash - text)))
		return false;
	p = slash + 1;
	if (*p == '\0' || strlen(p) > 3)
		return false;
	for (; *p != '\0'; p++) {
		if (*p < '0' || *p > '9')
			return false;
		bits = bits * 10 + (unsigned int)(*p - '0');
	}
	if (bits > out->bits)
		return false;
	out->bits = (uint8_t)bits;
	i = bits / 8;
	if (bits % 8 != 0) {
		out->address[i] &= (uint8_t)(0xff00 >> (bits % 8));
		i++;
	}
	if (i < sizeof(out->address))
		memset(out->address + i, 0, sizeof(out->address) - i);
	return true;
}

bool
inet_is_link_local(const struct inet *i)
{
	return i->family == 6 && i->address[0] == 0xfe && (i->address[1] & 0xc0) == 0x80;
}

int
inet_compare(const struct inet *a, const struct inet *b)
{
	if (a->family != b->family)
		return a->family < b->family ? -1 : 1;
	if (a->bits != b->bits)
		return a->bits < b->bits ? -1 : 1;
	return memcmp(a->address, b->address, sizeof(a->address));
}

char *
inet_address_text(char *text, const struct inet *i)
{
	text[0] = '\0';
	if (i->family != 0)
		inet_ntop(i->family == 4 ? AF_INET : AF_INET6, i->address, text, INET_TEXT_SIZE);
	return text;
}

char *
inet_prefix_text(char *text, const struct inet *i)
{
	size_t n;

	inet_address_text(text, i);
	n = strlen(text);
	snprintf(text + n, INET_TEXT_SIZE - n, "/%u", i->bits);
	return text;
}
