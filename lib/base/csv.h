/*
 * csv.h - rows for spreadsheets and programs (RFC 4180): commas, CR LF, UTF-8.
 */
#ifndef HL_CSV_H
#define HL_CSV_H

#include "base/buf.h"

/*
 * Appends a cell.  A text that a spreadsheet would take for a formula (it begins with = + - @, TAB, CR or LF, or with the wide
 * forms of the first four) gets an apostrophe in front, which they show or hide but never compute.  NULL: an empty cell.
 */
void	 csv_text(struct buf *row, const char *);	/* the first cell of a row must be one */
void	 csv_int(struct buf *row, int64_t);
void	 csv_real(struct buf *row, double, int digits);	/* at most so many behind the point; NAN: an empty cell */
void	 csv_end(struct buf *row);		/* of the row */

#endif
