#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/network.h"

void
network_of(const char *address, char out[NETWORK_MAX])
{
	struct in6_addr v6;

	if (inet_pton(AF_INET6, address, &v6) != 1) {
		snprintf(out, NETWORK_MAX, "%.63s", address);
		return;
	}
	memset(v6.s6_addr + 8, 0, 8);
	inet_ntop(AF_INET6, &v6, out, NETWORK_MAX);
}
