/*
 * msgpack_fuzz - one value after the other, as JSON: what is taken is JSON, and ends where skipping it ends.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/msgpack.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct msgpack m = { data, data + size }, ahead;

	while (m.at < m.end) {
		struct buf json = BUF_INIT(1 << 20), binary = BUF_INIT(1 << 20);
		unsigned binaries = 0;
		enum hl_err skipped, err;

		ahead = m;
		skipped = msgpack_skip(&ahead);
		err = msgpack_json(&m, &json, &binary, &binaries);
		if (err == HL_OK && (skipped != HL_OK || ahead.at != m.at || (binaries == 0) != (binary.len == 0)))
			abort();
		if (err == HL_OK && json_check(json.data, json.len, JSON_JS) != HL_OK)
			abort();
		buf_free(&json);
		buf_free(&binary);
		if (err)
			return 0;
	}
	return 0;
}
