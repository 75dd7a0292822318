/* inet.h - IP addresses and prefixes. */
#ifndef INET_H
#define INET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* family 0: none.  bits: prefix length; that of the address where it is a host. */
struct inet {
	uint8_t	family;		/* 0, 4 or 6 */
	uint8_t	bits;
	uint8_t	address[16];	/* unused bytes are zero */
};

#define INET_TEXT_SIZE	64

/* both: false if text is not exactly an address, or address "/" length */
bool	inet_parse_address(struct inet *, const char *text);
/* host bits are cleared (RFC 4271 section 4.3: they are irrelevant) */
bool	inet_parse_prefix(struct inet *, const char *text);
bool	inet_is_link_local(const struct inet *);
int	inet_compare(const struct inet *, const struct inet *);

static inline size_t
inet_length(const struct inet *i)
{
	return i->family == 4 ? 4 : 16;
}

/* writes at most INET_TEXT_SIZE bytes; returns its first argument */
char	*inet_address_text(char *, const struct inet *);
char	*inet_prefix_text(char *, const struct inet *);

#endif
