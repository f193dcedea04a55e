/*
 * marks.h - what the upstream writes into the first samples of what it says: nanoseconds of the monotonic clock.
 */
#ifndef BENCH_MARKS_H
#define BENCH_MARKS_H

#include <stdint.h>

#define MARKS_MAGIC	0x6b72616d2d737668u

struct marks {
	uint64_t magic;
	uint64_t chat_asked_ns, chat_sent_ns;	/* the model's request had come; the last of these words was written */
	uint64_t speech_asked_ns, speech_sent_ns;	/* this request had come; its first byte was written */
};

#endif
