/* decimal.h - numbers as text on the hot path, where snprintf would show. */
#ifndef DECIMAL_H
#define DECIMAL_H

#include <stdint.h>

#define DECIMAL_SIZE	10	/* digits of 4294967295 */

/* writes n without a final NUL; returns the place after it */
static inline char *
decimal_put(char *p, uint32_t n)
{
	char digits[DECIMAL_SIZE];
	int i = 0;

	do {
		digits[i++] = (char)('0' + n % 10);
		n /= 10;
	} while (n > 0);
	while (i > 0)
		*p++ = digits[--i];
	return p;
}

#endif
