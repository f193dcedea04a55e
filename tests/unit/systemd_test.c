/*
 * What a program has from systemd: secrets as credentials, and whom to tell how it is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/conf.h"
#include "services/crypto.h"
#include "services/notify.h"

static char dir[64], path[128];

static void
put(const char *name, const char *bytes, size_t len, mode_t mode)
{
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, len, file), len);
	fclose(file);
	assert_int_equal(chmod(path, mode), 0);
}

static int
make_dir(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/helpline-systemd-XXXXXX");
	assert_non_null(mkdtemp(dir));
	setenv("CREDENTIALS_DIRECTORY", dir, 1);
	return 0;
}

static int
remove_dir(void **state)
{
	static const char *const names[] = { "REDIS_PASSWORD", "OPENAI_API_KEY", "REDIS_HOST", "conf", "socket", "seal.keys" };

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		unlink(path);
		unsetenv(names[i]);
	}
	rmdir(dir);
	unsetenv("CREDENTIALS_DIRECTORY");
	unsetenv("HELPLINE_CONFIG");
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	return 0;
}

/* ---- credentials ---- */

static void
credentials_are_settings(void **state)
{
	static const char file[] = "REDIS_PASSWORD=of the file\n";
	struct buf problem = BUF_INIT(4096);
	struct conf conf;

	(void)state;
	put("conf", file, sizeof(file) - 1, 0600);
	snprintf(path, sizeof(path), "%s/conf", dir);
	setenv("HELPLINE_CONFIG", path, 1);
	put("REDIS_PASSWORD", "of systemd\n", 11, 0440);
	put("REDIS_HOST", "elsewhere", 9, 0440);		/* no secret: not looked for */
	put("OPENAI_API_KEY", "of systemd", 10, 0440);
	setenv("OPENAI_API_KEY", "of the environment", 1);
	assert_int_equal(conf_load(&conf, &problem), HL_OK);
	assert_string_equal(conf.redis_password, "of systemd");
	assert_string_equal(conf.openai_key, "of the environment");
	assert_string_equal(conf.redis_host, "localhost");
	conf_free(&conf);
	buf_free(&problem);
}

static void
credentials_are_checked(void **state)
{
	static const struct { const char *bytes; size_t len; } bad[] = { { "a\0b", 3 }, { "\xff\xfe", 2 } };
	struct buf problem = BUF_INIT(4096);
	struct conf conf;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		put("REDIS_PASSWORD", bad[i].bytes, bad[i].len, 0400);
		assert_int_equal(conf_load(&conf, &problem), HL_BAD_REQUEST);
		assert_non_null(strstr(problem.data, "the credential REDIS_PASSWORD"));
		buf_reset(&problem);
		unsetenv("REDIS_PASSWORD");
	}
	buf_free(&problem);
}

/* systemd's access list makes the file look readable by its group; anywhere else that is refused. */
static void
keys_of_systemd_are_taken(void **state)
{
	struct buf problem = BUF_INIT(4096);
	struct crypto *crypto;

	(void)state;
	assert_int_equal(crypto_make_keys(dir, &problem), HL_OK);
	snprintf(path, sizeof(path), "%s/seal.keys", dir);
	assert_int_equal(chmod(path, 0440), 0);
	assert_int_equal(crypto_open(dir, &crypto, &problem), HL_OK);
	crypto_free(crypto);
	assert_int_equal(chmod(path, 0444), 0);
	assert_int_equal(crypto_open(dir, &crypto, &problem), HL_BAD_REQUEST);
	assert_int_equal(chmod(path, 0440), 0);
	unsetenv("CREDENTIALS_DIRECTORY");
	assert_int_equal(crypto_open(dir, &crypto, &problem), HL_BAD_REQUEST);
	buf_free(&problem);
}

/* ---- telling ---- */

static int
listen_at(const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct timeval patience = { .tv_sec = 20 };
	size_t len = strlen(name);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	memcpy(address.sun_path, name, len);
	if (*name == '@')
		address.sun_path[0] = '\0';
	assert_int_equal(bind(fd, (struct sockaddr *)&address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setenv("NOTIFY_SOCKET", name, 1);
	return fd;
}

static void
expect(int fd, const char *text)
{
	char got[256];
	ssize_t n = recv(fd, got, sizeof(got) - 1, 0);

	assert_true(n > 0);
	got[n] = '\0';
	assert_string_equal(got, text);
}

static void
on_time(uv_timer_t *timer)
{
	notify_stopping(1500);
	notify_end();
	uv_close((uv_handle_t *)timer, NULL);
}

static void
tell_all_at(const char *name)
{
	int fd = listen_at(name);
	uv_timer_t timer;
	uv_loop_t loop;
	char pid[16], rest[256];

	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	setenv("WATCHDOG_PID", pid, 1);
	setenv("WATCHDOG_USEC", "20000", 1);
	assert_int_equal(uv_loop_init(&loop), 0);
	uv_timer_init(&loop, &timer);
	uv_timer_start(&timer, on_time, 60, 0);
	notify_ready(&loop);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
	expect(fd, "READY=1");
	expect(fd, "WATCHDOG=1");
	while (recv(fd, rest, sizeof(rest), MSG_PEEK) > 0 && strncmp(rest, "STOPPING", 8) != 0)
		expect(fd, "WATCHDOG=1");
	expect(fd, "STOPPING=1\nEXTEND_TIMEOUT_USEC=1500000");
	assert_true(recv(fd, rest, sizeof(rest), MSG_DONTWAIT) < 0);
	close(fd);
}

static void
a_path_is_told(void **state)
{
	char name[80];

	(void)state;
	snprintf(name, sizeof(name), "%s/socket", dir);
	tell_all_at(name);
}

static void
an_abstract_socket_is_told(void **state)
{
	char name[80];

	(void)state;
	snprintf(name, sizeof(name), "@helpline-test-%d", (int)getpid());
	tell_all_at(name);
}

/* The watchdog of whoever started us is not ours to feed; the loop does not go on for its sake. */
static void
another_ones_watchdog_is_left_alone(void **state)
{
	char name[80], rest[64];
	uv_loop_t loop;
	int fd;

	(void)state;
	snprintf(name, sizeof(name), "%s/socket", dir);
	fd = listen_at(name);
	setenv("WATCHDOG_PID", "1", 1);
	setenv("WATCHDOG_USEC", "1000", 1);
	assert_int_equal(uv_loop_init(&loop), 0);
	notify_ready(&loop);
	uv_run(&loop, UV_RUN_DEFAULT);
	notify_end();
	assert_int_equal(uv_loop_close(&loop), 0);
	expect(fd, "READY=1");
	assert_true(recv(fd, rest, sizeof(rest), MSG_DONTWAIT) < 0);
	close(fd);
}

static void
nobody_is_told_without_an_address(void **state)
{
	static const char *const names[] = { "", "/", "@", "vsock:2:1234", "relative" };
	uv_loop_t loop;

	(void)state;
	setenv("WATCHDOG_USEC", "1000", 1);
	unsetenv("WATCHDOG_PID");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		setenv("NOTIFY_SOCKET", names[i], 1);
		assert_int_equal(uv_loop_init(&loop), 0);
		notify_ready(&loop);
		notify_end();
		uv_run(&loop, UV_RUN_DEFAULT);
		assert_int_equal(uv_loop_close(&loop), 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(credentials_are_settings, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(credentials_are_checked, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(keys_of_systemd_are_taken, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(a_path_is_told, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(an_abstract_socket_is_told, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(another_ones_watchdog_is_left_alone, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(nobody_is_told_without_an_address, make_dir, remove_dir),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
