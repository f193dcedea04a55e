# Unit tests: one cmocka program a file.
if HAVE_CMOCKA
unit_tests = \
	tests/unit/conf_test \
	tests/unit/crypto_test \
	tests/unit/fcgi_test \
	tests/unit/json_test \
	tests/unit/task_test \
	tests/unit/http_test \
	tests/unit/socketio_test \
	tests/unit/engineio_test \
	tests/unit/sse_test
check_PROGRAMS += $(unit_tests)
TESTS = $(unit_tests)
unit_cppflags = $(AM_CPPFLAGS) -DSRCDIR=\"$(abs_top_srcdir)\" $(CMOCKA_CFLAGS)
unit_libs = $(HELPLINE_LIBS) $(CMOCKA_LIBS)

tests_unit_http_test_SOURCES = tests/unit/http_test.c tests/unit/server.c tests/unit/server.h
tests_unit_http_test_CPPFLAGS = $(unit_cppflags)
tests_unit_http_test_LDADD = $(unit_libs)
tests_unit_task_test_CPPFLAGS = $(unit_cppflags)
tests_unit_task_test_LDADD = $(unit_libs)
tests_unit_json_test_CPPFLAGS = $(unit_cppflags)
tests_unit_json_test_LDADD = $(unit_libs)
tests_unit_fcgi_test_CPPFLAGS = $(unit_cppflags)
tests_unit_fcgi_test_LDADD = $(unit_libs)
tests_unit_crypto_test_CPPFLAGS = $(unit_cppflags)
tests_unit_crypto_test_LDADD = $(unit_libs)
tests_unit_conf_test_CPPFLAGS = $(unit_cppflags)
tests_unit_conf_test_LDADD = $(unit_libs)
tests_unit_sse_test_CPPFLAGS = $(unit_cppflags)
tests_unit_sse_test_LDADD = $(unit_libs)
tests_unit_engineio_test_CPPFLAGS = $(unit_cppflags)
tests_unit_engineio_test_LDADD = $(unit_libs)
tests_unit_socketio_test_CPPFLAGS = $(unit_cppflags)
tests_unit_socketio_test_LDADD = $(unit_libs)
endif
