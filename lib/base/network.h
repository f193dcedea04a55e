/*
 * network.h - who counts as one caller.
 */
#ifndef HL_NETWORK_H
#define HL_NETWORK_H

#define NETWORK_MAX	64

/* An IPv6 customer has 2^64 addresses: what counts is their common half.  Any other address is copied as it is. */
void	 network_of(const char *address, char out[NETWORK_MAX]);

#endif
