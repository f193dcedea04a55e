# Unit tests: one cmocka program a file.
if HAVE_CMOCKA
unit_tests =
check_PROGRAMS += $(unit_tests)
TESTS = $(unit_tests)
endif
