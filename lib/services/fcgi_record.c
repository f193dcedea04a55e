#include "services/fcgi_record.h"

FCGI_Header
fcgi_header(int type, int id, size_t len)
{
	return (FCGI_Header){
		.version = FCGI_VERSION_1, .type = (unsigned char)type,
		.requestIdB1 = (unsigned char)(id >> 8), .requestIdB0 = (unsigned char)id,
		.contentLengthB1 = (unsigned char)(len >> 8), .contentLengthB0 = (unsigned char)len,
	};
}

void
fcgi_add_record(struct buf *out, int type, int id, const void *content, size_t len)
{
	FCGI_Header h = fcgi_header(type, id, len);

	buf_add(out, &h, sizeof(h));
	buf_add(out, content, len);
}
