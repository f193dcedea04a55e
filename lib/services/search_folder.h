/*
 * search_folder.h - the Markdown and text files below a folder, and what tells that one has changed.
 */
#ifndef HL_SEARCH_FOLDER_H
#define HL_SEARCH_FOLDER_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"

#define FOLDER_MAX_FILE		(2u << 20)	/* bytes of one file */
#define FOLDER_MAX_BYTES	(64u << 20)	/* of all files together */
#define FOLDER_MAX_FILES	10000u
#define FOLDER_MAX_DEPTH	16u

#define FOLDER_STAMP		96u

struct folder_file {
	char	*path;			/* below the folder */
	char	 stamp[FOLDER_STAMP];	/* differs when the file has changed */
	int64_t	 size;			/* bytes, or -1 for a file that is left out */
};

struct folder {
	struct folder_file	*files;		/* by path, in byte order */
	size_t			 count, cap;
	int64_t			 bytes;
	int64_t			 signature;	/* of all paths and stamps */
};

/* HL_NOT_FOUND: no such folder, or it may not be read.  The caller calls folder_free() in every case. */
enum hl_err folder_scan(const char *root, struct folder *ret) HL_MUST_CHECK;
void	 folder_free(struct folder *);

/* The file's bytes.  HL_TOO_LARGE above FOLDER_MAX_FILE, HL_NOT_FOUND when it cannot be read (any more). */
enum hl_err folder_read(const char *root, const char *path, struct buf *ret_bytes) HL_MUST_CHECK;

#endif
