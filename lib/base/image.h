/*
 * image.h - what kind of image are these bytes, whatever their sender calls them?  No I/O.
 */
#ifndef HL_IMAGE_H
#define HL_IMAGE_H

#include <stddef.h>

/*
 * "png", "jpg", "gif", "webp", or NULL: none of them, cut off, or with something else behind it.  Static.  What is in it is
 * not decoded: browsers do that, and are told the type and to believe it.
 */
const char *image_type(const void *bytes, size_t len);

#endif
