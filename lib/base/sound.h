/*
 * sound.h - what kind of recording are these bytes, whatever their sender calls them, and how long is it?  No I/O, no memory.
 *
 * Only the container is read, not the sound in it: speech servers decode, and refuse what they cannot.
 */
#ifndef HL_SOUND_H
#define HL_SOUND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum container { CONTAINER_NONE, CONTAINER_WAV, CONTAINER_MP3, CONTAINER_OGG, CONTAINER_WEBM, CONTAINER_M4A };

struct sound {
	enum container	 container;	/* CONTAINER_NONE: none of them, or cut off before its first sound */
	int64_t		 duration_ms;	/* -1: the file does not tell */
	bool		 cut;		/* it ends before the end that it announces */
};

struct sound sound_read(const void *bytes, size_t len);

const char *container_extension(enum container);	/* "wav", "mp3", "ogg", "webm", "m4a"; "" of none */
const char *container_mime(enum container);	/* "audio/wav", … */

/* The header of a .wav file of 16-bit samples, one channel. */
#define WAV_HEADER 44u
void	 wav_header(unsigned rate, uint32_t sample_bytes, unsigned char out[WAV_HEADER]);

#endif
