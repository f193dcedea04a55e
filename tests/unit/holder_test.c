/*
 * holder_test - a process is called dead when it is, and only then.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "records/holder.h"

/* A child that lives until it is killed; its name comes by the pipe. */
static pid_t
child(char name[HOLDER_MAX])
{
	int ends[2];
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		char own[HOLDER_MAX];

		memset(own, 0, sizeof(own));
		holder_name(own);
		(void)!write(ends[1], own, sizeof(own));
		for (;;)
			pause();
	}
	assert_int_equal(read(ends[0], name, HOLDER_MAX), HOLDER_MAX);
	close(ends[0]);
	close(ends[1]);
	return pid;
}

static void
who_was_killed_is_dead(void **state)
{
	char self[HOLDER_MAX], other[HOLDER_MAX];
	pid_t pid;

	(void)state;
	holder_name(self);
	pid = child(other);
	assert_false(holder_is_dead(other, self));
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_true(holder_is_dead(other, self));
	assert_false(holder_is_dead(self, self));
}

static void
a_successor_of_the_same_number_is_another(void **state)
{
	char self[HOLDER_MAX], before[HOLDER_MAX];

	(void)state;
	holder_name(before);
	holder_name(self);
	assert_string_not_equal(before, self);
	assert_true(holder_is_dead(before, self));
}

static void
who_is_elsewhere_may_live(void **state)
{
	static const char *const names[] = {
		"", "-", "?.4000001.00000001", "x", ".", "..", "a.b", "4000001.1", "0e4a6a0e-0000-4000-8000-000000000000.1.4000001.00000001"
	};
	char self[HOLDER_MAX], host[HOLDER_MAX];
	unsigned long long ns;

	(void)state;
	holder_name(self);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_false(holder_is_dead(names[i], self));
	assert_int_equal(sscanf(self + 36, ".%llu.", &ns), 1);	/* another namespace of the same host */
	snprintf(host, sizeof(host), "%.36s.%llu.4000001.00000001", self, ns + 1);
	assert_false(holder_is_dead(host, self));
	assert_false(holder_is_dead(self, "?.1.00000001"));
	assert_false(holder_is_dead("?.4000001.00000001", "?.1.00000001"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_was_killed_is_dead),
		cmocka_unit_test(a_successor_of_the_same_number_is_another),
		cmocka_unit_test(who_is_elsewhere_may_live),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
