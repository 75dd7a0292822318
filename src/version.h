#ifndef VERSION_H
#define VERSION_H

#define EXABGP_PG_VERSION	"0.1.0"
#define EXABGP_PG_SCHEMA	16	/* newest file of sql/ that the program needs */

#endif
