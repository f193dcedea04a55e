#include <stdint.h>
#include <string.h>

#include "base/sha1.h"

static uint32_t
rotate(uint32_t x, unsigned n)
{
	return x << n | x >> (32 - n);
}

static uint32_t
mix(unsigned round, uint32_t b, uint32_t c, uint32_t d)
{
	static const uint32_t k[4] = { 0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6 };

	switch (round / 20) {
	case 0:
		return k[0] + ((b & c) | (~b & d));
	case 2:
		return k[2] + ((b & c) | (b & d) | (c & d));
	default:
		return k[round / 20] + (b ^ c ^ d);
	}
}

static void
block(uint32_t h[5], const unsigned char *p)
{
	uint32_t w[80], a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];

	for (unsigned i = 0; i < 16; i++)
		w[i] = (uint32_t)p[4 * i] << 24 | (uint32_t)p[4 * i + 1] << 16 | (uint32_t)p[4 * i + 2] << 8 | p[4 * i + 3];
	for (unsigned i = 16; i < 80; i++)
		w[i] = rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
	for (unsigned i = 0; i < 80; i++) {
		uint32_t next = rotate(a, 5) + mix(i, b, c, d) + e + w[i];

		e = d;
		d = c;
		c = rotate(b, 30);
		b = a;
		a = next;
	}
	h[0] += a;
	h[1] += b;
	h[2] += c;
	h[3] += d;
	h[4] += e;
}

void
sha1(const void *bytes, size_t len, unsigned char digest[SHA1_LEN])
{
	uint32_t h[5] = { 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0 };
	unsigned char padded[192] = { 0 };
	size_t total;

	if (len > SHA1_MAX_INPUT)
		len = SHA1_MAX_INPUT;
	total = (len + 8) / 64 * 64 + 64;
	if (len)
		memcpy(padded, bytes, len);
	padded[len] = 0x80;
	padded[total - 2] = (unsigned char)(len * 8 >> 8);
	padded[total - 1] = (unsigned char)(len * 8);
	for (size_t at = 0; at < total; at += 64)
		block(h, padded + at);
	for (unsigned i = 0; i < SHA1_LEN; i++)
		digest[i] = (unsigned char)(h[i / 4] >> (24 - i % 4 * 8));
}
