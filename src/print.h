/* print.h - normalized events as JSON, one a line, without database or journal. */
#ifndef PRINT_H
#define PRINT_H

struct intake;

/* until the end of input or of the reader of stdout; returns the exit code */
int	print_run(struct intake *, const char *collector);

#endif
