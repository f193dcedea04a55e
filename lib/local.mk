noinst_LIBRARIES += libhelpline.a
libhelpline_a_SOURCES = \
	lib/base/buf.c lib/base/buf.h \
	lib/base/clock.c lib/base/clock.h \
	lib/base/conf.c lib/base/conf.h \
	lib/base/engineio.c lib/base/engineio.h \
	lib/base/error.c lib/base/error.h \
	lib/base/id.c lib/base/id.h \
	lib/base/json.c lib/base/json.h \
	lib/base/log.c lib/base/log.h \
	lib/base/origin.c lib/base/origin.h \
	lib/base/socketio.c lib/base/socketio.h \
	lib/base/sse.c lib/base/sse.h \
	lib/base/str.c lib/base/str.h \
	lib/loop/task.c lib/loop/task.h \
	lib/services/crypto.c lib/services/crypto.h \
	lib/services/fcgi.c lib/services/fcgi.h \
	lib/services/redis.c lib/services/redis.h
HELPLINE_LIBS = libhelpline.a $(FCGI_LIBS) $(DEPS_LIBS) -lm
